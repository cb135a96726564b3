"""What matilla2020 states of its tables: extremes, shares, spreads and numbers of the set-up."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import scipy.stats

from kappascope.cosmology.parameters import PARAMETERS
from kappascope.networks.architectures import convergence_cnn
from kappascope.reporting.errorbars import combined, error_of_mean
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


def _error_of_mean(rows: Frame) -> float | None:
    """Return the error of the mean correlation of rows: theirs, since they share their maps."""
    return float(rows.standard_error.mean()) or None


@FINDINGS.add("matilla2020.areas", network=False, tables=["areas"])
def degraded_by_noise(config: Config, areas: Frame) -> Iterator[Row]:
    """Area with noise over that without, for each Minkowski functional at 68 % (Sec. III)."""
    at_68 = areas[areas.credibility == 68].rename(columns={"area": "value"})
    for name in FUNCTIONALS:
        one = at_68[at_68.data_vector == name].set_index("data_set")
        if {"noiseless", "noisy"} <= {*one.index}:
            yield ratio("degrades_most", one.loc["noisy"], one.loc["noiseless"], name)


@FINDINGS.add("matilla2020.tightest", network=False, tables=["areas"])
def genus_against_length(config: Config, areas: Frame) -> Iterator[Row]:
    """Area of V2 over that of V1 at 68 %, with noise, as ln (Sec. V: V2 is slightly worse)."""
    chosen = areas[(areas.credibility == 68) & (areas.data_set == "noisy")]
    one = chosen.set_index("data_vector")
    if {"V1", "V2"} <= {*one.index}:
        yield _log_ratio("v2_over_v1_noisy", *_pair(one.loc["V2"]), *_pair(one.loc["V1"]))


def _pair(row_of_area: Frame) -> tuple[float, float]:
    return float(row_of_area.area), float(row_of_area.error)


def _log_ratio(
    finding: str, top: float, top_error: float, bottom: float, bottom_error: float
) -> dict[str, Any]:
    """Return ln(top / bottom) with the errors of both: positive where top is larger."""
    error = math.hypot(top_error / top, bottom_error / bottom)
    return row(finding, math.log(top / bottom), error if math.isfinite(error) else None)


@FINDINGS.add("matilla2020.thirds", network=False, tables=["covariance_convergence"])
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
        yield from _opposite(f"opposite_{data_set}", rows, config["network"]["networks"])
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
                yield row(finding, part.pearson.mean(), _error_of_mean(part))
    if len(tails) == len(TAIL):
        yield ratio("high_peaks_rise", tails["noisy"], tails["noiseless"])


def _opposite(finding: str, rows: Frame, networks: int) -> Iterator[Row]:
    """Share of bins that correlate with the two parameters in opposite ways.

    Each is as unsure as its sign. But bins of one network are opposite together or not at all, so
    that the share is one of networks, with the error of so many coins.
    """
    cells = rows.pivot_table(
        index=["statistic", "bin_centre"],
        columns="parameter",
        values=["pearson", "standard_error"],
        dropna=False,
    ).dropna()
    if len(cells) == 0 or len(cells["pearson"].columns) != len(PARAMETERS):
        return
    positive = scipy.stats.norm.cdf(cells["pearson"] / cells["standard_error"].clip(lower=1e-12))
    first, second = positive[:, 0], positive[:, 1]
    unlike = first * (1 - second) + second * (1 - first)
    share = float((cells["pearson"].prod(axis=1) < 0).mean())
    sure = math.sqrt(np.sum(unlike * (1 - unlike))) / len(cells)
    yield row(finding, share, combined(sure, 0.5 / math.sqrt(networks)))


@FINDINGS.add("matilla2020.linear_model", tables=["linear_model"])
def linear_model(config: Config, table: Frame) -> Iterator[Row]:
    """Sizes of the correlations on maps that the fit did not see."""
    rows = table[(table["sample"] == "held_out") & table.pearson.notna()]
    sizes = rows.pearson.abs()
    if len(rows):
        yield row("linear_largest", sizes.max(), rows.standard_error[sizes.idxmax()])
        yield row("linear_weakest", sizes.min(), rows.standard_error[sizes.idxmin()])
        noisy = rows[rows.data_set == "noisy"]
        yield row("linear_moderate", sizes[noisy.index].mean(), _error_of_mean(noisy))


@FINDINGS.add("matilla2020.leave_one_out", tables=["leave_one_out"])
def interpolation(config: Config, table: Frame) -> Iterator[Row]:
    """Largest errors of interpolation, anywhere and near the fiducial cosmology (App. A)."""
    for data_set, rows in table.groupby("data_set"):
        yield from _interpolation(f"{data_set}", rows)
        for parameter, one in rows.groupby("parameter"):
            yield from _interpolation(f"{parameter}_{data_set}", one)


@FINDINGS.add("matilla2020.released", network=False, tables=["published_network_leave_one_out"])
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
        if part.error_from_truth_percent.notna().any():
            yield _largest(
                f"{where}_error_{name}", part, "error_from_truth_percent", "standard_error_percent"
            )


@FINDINGS.add("matilla2020.emulator", tables=["emulator_check"])
def emulator(config: Config, table: Frame) -> Iterator[Row]:
    """Change of the area with a poorer emulator [%], which has no error: both share their maps."""
    for (data_set, level), rows in table.groupby(["data_set", "credibility"]):
        areas = rows.set_index("emulator").area
        for name in areas.index.drop("all"):
            yield row(f"{name}_{data_set}_{level}", 100 * abs(areas[name] / areas["all"] - 1))


@FINDINGS.add("matilla2020.ranges", network=False, tables=["map_properties"])
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
    """How many of Table II's methods pass its null test, noiseless.

    Each passes with the probability that more than half of its comparisons are not rejected.
    """
    rows = table[(table.data_set == "noiseless") & table.method.isin(SEVEN_METHODS)]
    rows = rows.dropna(subset=["kept_paper", "kept_error"])
    if len(rows):
        chance = scipy.stats.norm.cdf((rows.kept_paper - 0.5) / rows.kept_error)
        yield row("passing", chance.sum(), math.sqrt(np.sum(chance * (1.0 - chance))))


TAILS = {
    "low_tail": [(-math.inf, -1.75)],
    "centre": [(-0.625, 0.5)],
    "high_tail": [(3.125, math.inf)],
    "zero": [(-0.25, 0.125)],
    "beside_zero": [(-1.0, -0.25), (0.125, 0.875)],
}
"""Ranges of bins [r.m.s. of κ of each map] that count as the tails and the centre of Fig. 5."""


@FINDINGS.add("matilla2020.relevance", tables=["relevance", "relevance_shares"])
def relevance(config: Config, table: Frame, shares: Frame) -> Iterator[Row]:
    """Return what Figs. 5 and 6 are said to show: tails, the dip at 0, what noise does (Sec. IV B).

    Ratios are mean logarithms over cosmologies. These share their light cones, so that the error is
    that of one of them.
    """
    for (data_set, method), rows in table.groupby(["data_set", "method"]):
        name = f"{method}_{data_set}"
        parts = {part: _relevance_in(rows, ranges) for part, ranges in TAILS.items()}
        for finding, top, bottom in (
            ("low_tail", "low_tail", "centre"),
            ("high_tail", "high_tail", "centre"),
            ("low_over_high", "low_tail", "high_tail"),
            ("dip", "zero", "beside_zero"),
        ):
            both = _side_by_side(parts[top], parts[bottom])
            if len(both):
                ratio_of = (both.value_top / both.value_bottom).map(math.log)
                errors = ((both.error_top / both.value_top) ** 2) + (
                    (both.error_bottom / both.value_bottom) ** 2
                )
                yield row(f"{finding}_{name}", ratio_of.mean(), errors.map(math.sqrt).mean())
    for (method, region), rows in shares.groupby(["method", "region"]):
        one = rows.set_index("data_set")
        if {"noiseless", "noisy"} <= {*one.index}:
            change = one.share_percent["noisy"] - one.share_percent["noiseless"]
            error = math.hypot(one.uncertainty["noisy"], one.uncertainty["noiseless"])
            yield row(f"noise_{region}_{method}", change, error)


def _side_by_side(top: Frame, bottom: Frame) -> Frame:
    return top.add_suffix("_top").join(bottom.add_suffix("_bottom")).dropna()


def _relevance_in(rows: Frame, ranges: Sequence[tuple[float, float]]) -> Frame:
    """Return relevance per pixel in ranges of bins, (cosmology,) value and error."""
    chosen = [
        rows[(rows.bin_low >= low - 1e-9) & (rows.bin_high <= high + 1e-9)] for low, high in ranges
    ]
    import pandas as pd

    inside = pd.concat(chosen)
    inside = inside[(inside.per_pixel > 0) & inside.per_pixel_error.notna()]
    grouped = inside.groupby("cosmology")
    value = grouped.per_pixel.mean().rename("value")
    error = grouped.per_pixel_error.apply(lambda each: math.sqrt((each**2).sum()) / len(each))
    return value.to_frame().join(error.rename("error"))


FOLLOWING = ("inn_guided_backprop", "deep_taylor_bn_identity", "inn_lrp_alpha1beta0_bn_z")
"""Methods whose maps are said to follow structures of the input."""


@FINDINGS.add("matilla2020.follows", tables=["table2_maps"])
def following(config: Config, table: Frame) -> Iterator[Row]:
    """Return the mean Pearson coefficient of maps with their input, and its scatter over maps.

    The error is that over realizations and over networks of the means of each (Sec. IV A, Fig. 4).
    """
    for (data_set, method), rows in table.groupby(["data_set", "method"]):
        means = [
            rows.groupby(unit).pearson_input.mean().dropna() for unit in ("realization", "network")
        ]
        if len(means[0]) > 1:
            error = combined(*(error_of_mean(list(each)) for each in means))
            yield row(f"follows_{method}_{data_set}", means[0].mean(), error)
    noiseless = table[(table.data_set == "noiseless") & table.method.isin(SEVEN_METHODS)]
    of_maps = noiseless.groupby(["method", "network", "repeat"]).pearson.std().dropna()
    if len(of_maps):
        yield row("scatter_of_maps", of_maps.mean(), error_of_mean(list(of_maps)))


@FINDINGS.add("matilla2020.peaks", tables=["correlations", "statistics"])
def central_peaks(config: Config, table: Frame, measured: Frame) -> Iterator[Row]:
    """Return the mean correlation of the outputs with counts where most peaks are (Fig. 3).

    Those bins in which there are more than half as many as in the fullest.
    """
    for data_set, rows in table[table.statistic == "PC"].groupby("data_set"):
        counts = measured[(measured.statistic == "PC") & (measured.data_set == data_set)]
        counts = counts.groupby("bin_centre")["mean"].mean()
        full = counts.index[counts > counts.max() / 2]
        chosen = rows[rows.bin_centre.round(9).isin([round(each, 9) for each in full])]
        for parameter, part in chosen[chosen.pearson.notna()].groupby("parameter"):
            yield row(f"centre_{parameter}_{data_set}", part.pearson.mean(), _error_of_mean(part))


@FINDINGS.add("matilla2020.setup", network=False, tables=[])
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
    section = config["network"]
    if section["architecture"] == "convergence_cnn":
        network = convergence_cnn(maps["pixels"], section["width"], section["padding"])
        kinds = [node["kind"] for node in network.nodes]
        yield row("convolutions", kinds.count("conv"))
        yield row("poolings", kinds.count("avg_pool") + kinds.count("global_avg_pool"))
