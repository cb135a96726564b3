"""What matilla2020 states of its tables: extremes, shares, spreads and numbers of the set-up."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from kappascope.cosmology.parameters import PARAMETERS
from kappascope.reporting.findings import FINDINGS, Frame, Row, ratio, row
from kappascope.statistics.registry import PAPER, STATISTICS

LABELS = tuple(STATISTICS.label(name) for name in PAPER)
FUNCTIONALS = ("V0", "V1", "V2")
SEVEN_METHODS = (
    *("gradient", "input_x_gradient", "inn_guided_backprop", "inn_deconvnet"),
    *("deep_taylor_bn_identity", "inn_lrp_epsilon_bn_z", "inn_lrp_alpha1beta0_bn_z"),
)
"""Those of Table II."""

NEAR = 5
"""Cosmologies that count as near the fiducial one."""

TAIL = {"noiseless": 0.035, "noisy": 0.056}
"""κ of 3 r.m.s. of the published maps, where the high peaks begin."""

Config = Mapping[str, Any]


def _largest(finding: str, rows: Frame, column: str, error: str | None = None) -> dict[str, Any]:
    """Return the value that is largest in size, with its error."""
    sizes = rows[column].abs()
    return row(finding, sizes.max(), None if error is None else rows[error][sizes.idxmax()])


@FINDINGS.add("matilla2020.areas", tables=["areas"])
def degraded_by_noise(config: Config, areas: Frame) -> Iterator[Row]:
    """Area with noise over that without, for each Minkowski functional at 68 % (Sec. III)."""
    at_68 = areas[areas.credibility == 68].rename(columns={"area": "value"})
    for name in FUNCTIONALS:
        one = at_68[at_68.data_vector == name].set_index("data_set")
        if {"noiseless", "noisy"} <= {*one.index}:
            yield ratio("degrades_most", one.loc["noisy"], one.loc["noiseless"], name)


@FINDINGS.add("matilla2020.thirds", tables=["covariance_convergence"])
def covariance_thirds(config: Config, thirds: Frame) -> Iterator[Row]:
    """Spread of the areas from three thirds of the covariance maps, over their mean [%]."""
    for (data_set, level), areas in thirds.groupby(["data_set", "credibility"]).area:
        spread = 100 * (areas.max() - areas.min()) / areas.mean()
        yield row(f"thirds_{data_set}_{level}", spread)


@FINDINGS.add("matilla2020.correlations", tables=["correlations"])
def correlations(config: Config, table: Frame) -> Iterator[Row]:
    """Extremes and signs of Fig. 3."""
    published = table[table.statistic.isin(LABELS) & table.pearson.notna()]
    tails = {}
    for data_set, rows in published.groupby("data_set"):
        yield _largest(f"largest_{data_set}", rows, "pearson", "standard_error")
        pairs = rows.groupby(["statistic", "bin_centre"]).pearson
        products = pairs.prod()[pairs.count() == len(PARAMETERS)]
        yield row(f"opposite_{data_set}", (products < 0).mean())
        high = rows[(rows.statistic == "PC") & (rows.bin_centre > TAIL[data_set])]
        if len(high):
            best = high.loc[high.pearson.abs().idxmax()]
            tails[data_set] = {"value": abs(best.pearson), "error": best.standard_error}
        sigma_8 = rows.parameter == "sigma_8"
        for finding, part in (
            (f"power_sigma_8_{data_set}", rows[sigma_8 & (rows.statistic == "PS")]),
            (f"tail_sigma_8_{data_set}", high[high.parameter == "sigma_8"]),
        ):
            if len(part):
                error = math.sqrt((part.standard_error**2).sum()) / len(part)
                yield row(finding, part.pearson.mean(), error or None)
    if len(tails) == len(TAIL):
        yield ratio("high_peaks_rise", tails["noisy"], tails["noiseless"])


@FINDINGS.add("matilla2020.linear_model", tables=["linear_model"])
def linear_model(config: Config, table: Frame) -> Iterator[Row]:
    """Sizes of the correlations on maps that the fit did not see."""
    rows = table[(table["sample"] == "held_out") & table.pearson.notna()]
    sizes = rows.pearson.abs()
    if len(rows):
        yield row("linear_largest", sizes.max(), rows.standard_error[sizes.idxmax()])
        yield row("linear_weakest", sizes.min(), rows.standard_error[sizes.idxmin()])
        yield row("linear_moderate", sizes[rows.data_set == "noisy"].mean())


@FINDINGS.add("matilla2020.leave_one_out", tables=["leave_one_out"])
def interpolation(config: Config, table: Frame) -> Iterator[Row]:
    """Largest errors of interpolation, anywhere and near the fiducial cosmology (App. A)."""
    for data_set, rows in table.groupby("data_set"):
        yield from _interpolation(f"{data_set}", rows)
        for parameter, one in rows.groupby("parameter"):
            yield from _interpolation(f"{parameter}_{data_set}", one)


@FINDINGS.add("matilla2020.released", tables=["published_network_leave_one_out"])
def released_interpolation(config: Config, table: Frame) -> Iterator[Row]:
    """Return the same from the released predictions of the published network."""
    yield from _interpolation("released", table)
    for parameter, one in table.groupby("parameter"):
        yield from _interpolation(f"{parameter}_released", one)


def _interpolation(name: str, rows: Frame) -> Iterator[Row]:
    nearest = rows.distance_to_fiducial.drop_duplicates().nsmallest(NEAR)
    for where, part in (
        ("largest", rows),
        ("near", rows[rows.distance_to_fiducial.isin(nearest)]),
    ):
        if part.error_percent.notna().any():
            yield _largest(f"{where}_error_{name}", part, "error_percent")


@FINDINGS.add("matilla2020.emulator", tables=["emulator_check"])
def emulator(config: Config, table: Frame) -> Iterator[Row]:
    """Change of the area with a poorer emulator [%], which has no error: both share their maps."""
    for (data_set, level), rows in table.groupby(["data_set", "credibility"]):
        areas = rows.set_index("emulator").area
        for name in areas.index.drop("all"):
            yield row(f"{name}_{data_set}_{level}", 100 * abs(areas[name] / areas["all"] - 1))


@FINDINGS.add("matilla2020.ranges", tables=["map_properties"])
def ranges(config: Config, table: Frame) -> Iterator[Row]:
    """Return the ends of the statistics' range of κ over the maps' r.m.s. (Sec. III)."""
    for properties in table.itertuples():
        for end, kappa in zip(
            ("low", "high"), config["statistics"][f"kappa_range_{properties.data_set}"], strict=True
        ):
            value = kappa / properties.sigma_kappa
            error = abs(value) * properties.sigma_kappa_error / properties.sigma_kappa
            yield row(f"sigma_{end}_{properties.data_set}", value, error or None)


@FINDINGS.add("matilla2020.null_test", tables=["null_test"])
def passing(config: Config, table: Frame) -> Iterator[Row]:
    """How many of Table II's methods pass its null test, noiseless."""
    rows = table[(table.data_set == "noiseless") & table.method.isin(SEVEN_METHODS)]
    if len(rows):
        yield row("passing", rows.passes_paper.sum())


@FINDINGS.add("matilla2020.setup", tables=[])
def setup(config: Config) -> Iterator[Row]:
    """Numbers of the set-up that follow from the config."""
    maps, statistics = config["maps"], config["statistics"]
    each = maps["training"] + maps["testing"]
    yield row("maps", each)
    yield row("training_share", maps["training"] / each)
    yield row("field_deg", maps["pixels"] * maps["pixel_arcmin"] / 60)
    yield row("covariance_third", maps["covariance"] / 3)
    yield row("half_of_cosmologies", config["cosmology"]["number"] // 2)
    without = statistics["bins"] * len(statistics["names"])
    length = without + len(PARAMETERS)
    yield row("statistics_vector", without)
    yield row("data_vector", length)
    # Sec. III: (N - d - 2) / (N - 1).
    yield row("debiasing", (maps["covariance"] - length - 2) / (maps["covariance"] - 1))
