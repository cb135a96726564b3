"""A finished run, made up: every table that the ledger and the paper read, small figures."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from invented import invented, picked

from kappascope.attribution.labels import label
from kappascope.chapters.matilla2020 import (
    accuracy,
    checks,
    correlations,
    information,
    ranking,
    regions,
    relevance,
    table1,
    table2,
    validation,
)
from kappascope.chapters.rosenzweig2021 import arms, experiments, pairs, photographs
from kappascope.chapters.singh2020 import (
    bands,
    basis_images,
    learned,
    planted_band,
    planted_frequency,
    sounds,
    topics,
)
from kappascope.chapters.wilde2022 import cues, explaining, finder, observed, released
from kappascope.chapters.you2023 import baselines, planted, structures, theorem
from kappascope.chapters.you2023 import explaining as explaining_groups
from kappascope.chapters.you2023 import regions as group_regions
from kappascope.cosmology.parameters import PARAMETERS
from kappascope.faithfulness import judging
from kappascope.reporting import claims, figures, findings, published
from kappascope.statistics import summary
from kappascope.tables import Table
from kappascope.workflow import configuration

DATA_SETS = ("noiseless", "noisy")
BOTH = {"data_set": DATA_SETS, "credibility": (68, 95)}
STATISTICS = ("PS", "PC", "V0", "V1", "V2")
ROOT = Path(__file__).resolve().parents[2]

Made = tuple[str, Table, list[dict[str, Any]]]
"""Name of a file, its table and rows."""


def made(table: Table, file: str = "", **values: Any) -> Made:
    """Make up a file of a table, its first if no other is asked for."""
    return file or Path(table.files.split(",")[0]).name, table, invented(table, **values)


def published_by(group: str, *keys: str) -> dict[Any, float]:
    """Published numbers of a group of claims, by columns that they are selected by."""
    found = {}
    for claim in published.load_claims(ROOT / "paper/claims.yaml"):
        if claim.id.startswith(group) and claim.select:
            places = tuple(claim.select["where"][key] for key in keys)
            found[places] = float(claim.published)
    return found


def matilla() -> Iterator[Made]:
    """Tables of matilla2020, with numbers like the published ones."""
    rng = np.random.default_rng(7)
    changes = published_by("matilla2020.table1.", "data_set", "credibility", "statistic")
    areas = {"PS": 9e-3, "PC": 6e-3, "V0": 4e-3, "V1": 2.4e-3, "V2": 1.5e-3, "All": 1e-3}

    def change(row: dict[str, Any]) -> float:
        return changes[row["data_set"], row["credibility"], row["statistic"]]

    def area(row: dict[str, Any]) -> float:
        name, _, network = row["data_vector"].partition("+")
        noise = 4 * (0.5 if name == "V1" else 1.0) if row["data_set"] == "noisy" else 1.0
        gain = 1 + change({**row, "statistic": name}) / 100 if network else 1.0
        return noise * areas[name] * gain

    def correlation(row: dict[str, Any]) -> float:
        size = 0.1 if row["data_set"] == "noiseless" else 0.2
        return (1 if row["parameter"] == "sigma_8" else -1) * size * rng.uniform(0.5, 1.0)

    def bins(name: str) -> list[dict[str, Any]]:
        centres = np.geomspace(100, 15000, 20) if name == "PS" else np.linspace(-0.02, 0.1, 20)
        return invented(
            correlations.CORRELATIONS,
            data_set=DATA_SETS,
            statistic=name,
            bin_centre=tuple(centres.tolist()),
            parameter=PARAMETERS,
            pearson=correlation,
            standard_error=0.01,
        )

    matrix = {"noiseless": ((0.34, -0.26), (-0.24, 0.45)), "noisy": ((0.60, -0.56), (-0.56, 0.62))}

    def linear(row: dict[str, Any]) -> float:
        place = PARAMETERS.index(row["network"]), PARAMETERS.index(row["linear"])
        return matrix[row["data_set"]][place[0]][place[1]] * (1 + 0.3 * (row["sample"] == "fitted"))

    def left_out(data_sets: tuple[str, ...]) -> list[dict[str, Any]]:
        return invented(
            checks.LEAVE_ONE_OUT,
            data_set=data_sets,
            cosmology=tuple(range(33)),
            parameter=PARAMETERS,
            distance_to_fiducial=lambda row: 0.02 * row["cosmology"],
            on_hull=lambda row: row["cosmology"] > 28,
            error_from_truth_percent=lambda row: (
                float("nan")
                if row["on_hull"]
                else (0.3 + row["distance_to_fiducial"])
                * (1.0 if row["data_set"] == "noiseless" else 8.0)
                * rng.uniform(-1, 1)
            ),
        )

    def accuracies(source: str, data_sets: tuple[str, ...]) -> list[dict[str, Any]]:
        return invented(
            accuracy.ACCURACY,
            source=source,
            data_set=data_sets,
            parameter=PARAMETERS,
            rmse=picked({"omega_matter": 0.0104, "sigma_8": 0.0212}, "parameter"),
            rmse_error=0.0003,
            scatter_fiducial=picked({"omega_matter": 0.0070, "sigma_8": 0.0213}, "parameter"),
            scatter_error=0.0005,
        )

    properties = {"data_set": DATA_SETS, "sigma_kappa": (0.0117, 0.0187), "skewness": (2.2, 0.6)}

    yield made(
        table1.CHANGES,
        **BOTH,
        statistic=tuple(areas),
        area_change_percent=lambda row: change(row) + rng.normal(0, 0.3),
        error_percent=2.0,
        limit="",
    )
    yield made(
        table1.AREAS,
        **BOTH,
        data_vector=tuple(f"{name}{end}" for name in areas for end in ("", "+DNN")),
        area=area,
        error=lambda row: 0.05 * row["area"],
        area_mcmc=lambda row: 1.01 * row["area"],
        hull_touched=False,
    )
    yield made(
        summary.MEANS,
        data_set=DATA_SETS,
        statistic="PC",
        bin_centre=tuple(np.linspace(-0.02, 0.1, 20).tolist()),
        mean=lambda row: float(np.exp(-((row["bin_centre"] / 0.01) ** 2))),
    )
    yield (
        "correlations.csv",
        correlations.CORRELATIONS,
        [row for name in STATISTICS for row in bins(name)],
    )
    yield made(
        correlations.LINEAR_MODEL,
        data_set=DATA_SETS,
        sample=("fitted", "held_out"),
        network=PARAMETERS,
        linear=PARAMETERS,
        pearson=linear,
        standard_error=0.02,
    )
    yield "leave_one_out.csv", checks.LEAVE_ONE_OUT, left_out(DATA_SETS)
    yield "published_network_leave_one_out.csv", checks.LEAVE_ONE_OUT, left_out(DATA_SETS[:1])
    yield made(
        checks.EMULATOR_CHECK,
        **BOTH,
        emulator=("all", "without_fiducial", "half"),
        area=picked({"all": 1e-3, "without_fiducial": 1.01e-3, "half": 1.06e-3}, "emulator"),
        error=2e-5,
    )
    yield made(
        checks.THIRDS,
        **BOTH,
        third=(1, 2, 3),
        area=lambda row: 1e-3 * (1 + 0.01 * row["third"]),
    )
    yield "network_accuracy.csv", accuracy.ACCURACY, accuracies("ours", DATA_SETS)
    yield (
        "published_network_accuracy.csv",
        accuracy.ACCURACY,
        accuracies("published_network", DATA_SETS[:1]),
    )
    yield made(
        validation.MOMENTS,
        "map_properties.csv",
        which=properties,
        sigma_kappa_error=1e-4,
        pixel_noise=0.1259,
        smoothed_noise=0.01457,
    )
    yield from saliency()


def per_pixel(row: dict[str, Any]) -> float:
    """Return relevance a pixel as published: high at the tails, more so at the negative one."""
    place = (row["bin_low"] + row["bin_high"]) / 2
    dip = 0.1 if row["method"] == "input_x_gradient" and abs(place) < 0.1 else 1.0
    return dip * (0.1 + place**2 * (2.0 if place < 0 else 0.5))


def saliency() -> Iterator[Made]:
    """Tables of the first chapter's second half."""
    edges = relevance.EDGES.tolist()
    methods = tuple(configuration.load().matilla2020.saliency.methods[:7])
    printed = published_by("matilla2020.table2.", "method", "coefficient")
    named = {"data_set": DATA_SETS, "method": methods, "label": lambda row: label(row["method"])}

    def gradient(row: dict[str, Any]) -> bool:
        return row["method"] in ("gradient", "input_x_gradient")

    def similarity(row: dict[str, Any]) -> float:
        return printed.get((row["method"], row["coefficient"]), 0.2)

    def p_value(passed: float, failed: float) -> Any:
        return lambda row: (
            "" if row["coefficient"] == "ssim" else passed if gradient(row) else failed
        )

    shares = {
        ("noiseless", "gradient", "negative"): 86,
        ("noiseless", "gradient", "above_3_sigma"): 4,
        ("noiseless", "input_x_gradient", "negative"): 83,
        ("noiseless", "input_x_gradient", "above_3_sigma"): 12,
        ("noisy", "gradient", "negative"): 13,
        ("noisy", "gradient", "above_3_sigma"): 36,
        ("noisy", "input_x_gradient", "negative"): 2,
        ("noisy", "input_x_gradient", "above_3_sigma"): 68,
    }
    pairs = {
        "method": ("input_x_gradient", "gradient", "input_x_gradient"),
        "other": ("inn_lrp_epsilon_bn_z", "smoothgrad", "integrated_gradients"),
        "pearson": (0.99, 0.8, 0.7),
    }

    def planted(value: Any) -> Any:
        return lambda row: value if row["control"] == "planted_low" else ""

    def permuted(value: Any) -> Any:
        return lambda row: value if row["control"] == "permuted_labels" else ""

    yield made(
        table2.TABLE2,
        **named,
        coefficient=("pearson", "spearman", "kendall", "ssim"),
        mean=similarity,
        scatter=0.02,
        error=0.02 / math.sqrt(10),
        low=-0.02,
        high=0.02,
        p_mean=p_value(0.3, 0.0),
        p_paper=p_value(0.3, 0.0),
        p_shift=p_value(0.4, 0.001),
        p_null=p_value(0.4, 0.02),
        rejected_paper=p_value(0.1, 1.0),
        rejected_paper_error=0.08,
        comparisons=98,
        empty=2,
    )
    yield made(
        table2.NULL_TEST,
        **named,
        passes_paper=lambda row: int(gradient(row)),
        passes_shift=lambda row: int(gradient(row)),
        passes_null=lambda row: int(gradient(row)),
        kept_paper=lambda row: 0.9 if gradient(row) else 0.0,
        kept_error=0.08,
        verdict=lambda row: "passes" if gradient(row) else "fails",
        largest=0.01,
    )
    yield made(
        information.INFORMATION,
        data_set=DATA_SETS,
        region=tuple(regions.REGIONS),
        filler="gaussian",
        place=information.PLACES,
        reader=("DNN", "PC"),
        pixel_percent=10.0,
        area_change_percent=lambda row: 80.0 if row["region"] == "peaks" else 5.0,
        area_change_error=2.0,
        r2_lost=lambda row: 0.3 if row["region"] == "peaks" else 0.02,
        r2_lost_error=0.01,
        r2_omega_matter=0.5,
        r2_omega_matter_error=0.1,
        r2_sigma_8=0.9,
        r2_sigma_8_error=0.05,
    )
    yield made(
        ranking.RANKING,
        data_set=DATA_SETS,
        method=methods,
        label=lambda row: row["method"],
        spearman=0.3,
        error=0.2,
        p=0.3,
        regions=5,
    )
    yield made(
        table2.AGREEMENT,
        data_set=DATA_SETS,
        pairs=pairs,
        scatter=0.01,
    )
    yield made(
        table2.TABLE2_MAPS,
        data_set=DATA_SETS,
        method=methods,
        realization=(0, 1, 2),
        repeat=(0, 1),
        pearson=lambda row: 0.2 + 0.01 * row["realization"],
        pearson_input=lambda row: (
            (-0.2 if gradient(row) else 0.4 if row["method"] != "inn_deconvnet" else 0.01)
            + 0.001 * row["realization"]
        ),
    )
    yield made(
        relevance.RELEVANCE,
        data_set=DATA_SETS,
        method=("gradient", "input_x_gradient"),
        cosmology=(0, 1),
        bins={"bin_low": tuple(edges[:-1]), "bin_high": tuple(edges[1:])},
        per_pixel=per_pixel,
        per_pixel_error=lambda row: 0.01 * row["per_pixel"],
    )
    yield made(
        relevance.SHARES,
        data_set=DATA_SETS,
        method=("gradient", "input_x_gradient"),
        region=("negative", "above_3_sigma"),
        share_percent=picked(shares, "data_set", "method", "region"),
        scatter_networks="",
        uncertainty=0.3,
        pixel_percent=60.0,
    )
    yield made(
        table2.SENSITIVITY,
        data_set=DATA_SETS,
        rules={"rule": ("alpha_beta", "alpha_beta", "epsilon"), "value": (0.0, 1.0, 0.1)},
        randomized=0.4,
        randomized_scatter=0.05,
    )
    yield made(
        judging.KNOWN_ANSWERS,
        control=("true_labels", "permuted_labels", "planted_low"),
        method=methods,
        label=named["label"],
        r_squared=0.9,
        enrichment=planted(2.0),
        enrichment_error=planted(0.1),
        margin=planted(0.5),
        margin_error=planted(0.1),
        found=planted("yes"),
        pearson_trained=permuted(0.1),
        pearson_trained_error=permuted(0.1),
        maps=100,
        networks=5,
    )


def singh() -> Iterator[Made]:
    """Tables of singh2020."""
    errors = {"cd": 0.4, "deep_lift": 3.6, "gradient_shap": 4.0, "integrated_gradients": 4.2}
    errors |= {"input_x_gradient": 1.0, "gradient": 0.5, "cd_magnitude": 20.0}
    yield made(
        bands.ACCURACY,
        parameter=PARAMETERS,
        r_squared=0.95,
        error=0.01,
    )
    yield made(
        learned.LEARNED,
        parameter=PARAMETERS,
        method=("cd", "cd_rest"),
        null="untrained",
    )
    yield made(
        planted_band.PLANTED,
        target={"target": (1, 6), "low": (0.16, 0.73), "high": (0.28, 0.84)},
        method=("cd", "integrated_gradients"),
        label=lambda row: row["method"],
        hits_percent=picked({"cd": 95.0}, "method", otherwise=60.0),
    )
    yield made(
        bands.PEAKS,
        parameter=PARAMETERS,
        method=("cd", "integrated_gradients"),
        group=("all", "1", "2", "3", "4"),
        ell=3600.0,
        error=300.0,
        ell_published_axis=7200.0,
    )
    yield made(
        bands.TRENDS,
        parameter=PARAMETERS,
        method="cd",
        quantity=("peak_ell", "contrast", "score_at_peak"),
    )
    yield made(
        planted_frequency.TABLE1,
        variant=("as_released", "as_told"),
        inverse=("exact", "torch17"),
        method=tuple(errors),
        label=lambda row: row["method"],
        error_percent=picked(errors, "method"),
        standard_error_percent=0.3,
    )
    yield made(
        topics.ACCURACY,
        source=("LIAR-PLUS",),
        accuracy_percent=59.0,
        error_percent=1.5,
        statements=1016,
        fake_statements=556,
        rightly_fake=492,
    )
    yield made(
        basis_images.ACCURACY,
        model=("released LeNet", "own network 1", "own network 2"),
        source="MNIST test digits",
        accuracy_percent=99.08,
        digits=10000,
    )
    yield made(
        basis_images.AGREEMENT,
        first="released LeNet, cd",
        second="own network 1, cd",
        agreement_percent=40.0,
    )
    yield made(
        sounds.SHARES,
        source="generated",
        method=("integrated_gradients", "cd"),
        name="400–700 Hz",
        share_inside_percent=93.0,
        power_inside_percent=14.0,
    )
    yield made(
        sounds.ACCURACY,
        source=("generated", "urbansound8k"),
        accuracy_percent=57.0,
        error=1.0,
    )


def you() -> Iterator[Made]:
    """Tables of you2023."""
    favoured = {"void": "omega_matter", "cluster": "sigma_8"}
    proved = list(theorem.rows(8, 4))
    methods = ("random", "lime", "fresh", "sum_of_parts")
    yield made(
        structures.WEIGHTS,
        structure=tuple(favoured),
        threshold=0.0,
        parameter=PARAMETERS,
        weighting=structures.WEIGHTINGS,
        weight_percent=lambda row: 50 + 5 * (row["parameter"] == favoured[row["structure"]]),
        error=1.0,
        maps_with=100,
    )
    yield made(
        structures.ORDER,
        structure=tuple(favoured),
        threshold=0.0,
        weighting="per_group",
        heavier_for=picked(favoured, "structure"),
        difference_percent=picked({"void": 1.4, "cluster": -6.0}, "structure"),
        error=1.0,
    )
    yield made(
        explaining_groups.ACCURACY,
        reader=("network", "sum_of_parts"),
        mse=picked({"network": 0.004, "sum_of_parts": 0.011}, "reader"),
        additivity=picked({"sum_of_parts": 1e-7}, "reader", otherwise=""),
        groups="",
        groups_with_score="",
    )
    yield made(
        baselines.BASELINES,
        method=methods,
        label=lambda row: row["method"],
        purity=picked({"sum_of_parts": 0.6}, "method", otherwise=0.5),
        mse=picked({"sum_of_parts": 0.01}, "method", otherwise=0.02),
    )
    yield made(
        structures.HISTOGRAM,
        structure=tuple(favoured),
        parameter=PARAMETERS,
        low=(0.0, 0.9),
        percent=lambda row: 20 + 10 * (row["parameter"] == favoured[row["structure"]]),
        error=1.0,
    )
    yield made(
        group_regions.REGIONS,
        definition=group_regions.DEFINITIONS,
        structure=tuple(favoured),
        parameter=PARAMETERS,
        share_percent=lambda row: 20 + 10 * (row["parameter"] == favoured[row["structure"]]),
        error=1.0,
    )
    yield made(
        group_regions.ORDER,
        definition=group_regions.DEFINITIONS,
        structure=tuple(favoured),
        heavier_for=picked(favoured, "structure"),
        beyond_null="yes",
    )
    yield made(
        baselines.MASK_AREA,
        method=methods,
        label=lambda row: row["method"],
        area_percent=(5.0, 40.0),
        error_ratio=2.0,
    )
    yield made(
        planted.PLANTED,
        target=planted.TARGETS,
        method=methods,
        label=lambda row: row["method"],
        sharpness=picked({"sum_of_parts": 20.0}, "method", otherwise=""),
        hits_percent=picked({"lime": 95.0}, "method", otherwise=40.0),
    )
    yield made(
        planted.WEIGHTS,
        sharpness=(1.4, 20.0),
        target=planted.TARGETS,
        structure=structures.STRUCTURES,
    )
    yield "theorem.csv", theorem.THEOREM, proved
    yield "theorem_growth.csv", theorem.GROWTH, theorem.growth_rows(proved)


def wilde() -> Iterator[Made]:
    """Tables of wilde2022."""
    called = {"isolated": 2.0, "spiral": 4.0, "companions": 30.0, "merger": 5.0, "lens": 90.0}
    called |= {"compound_arcs": 76.0, "double_rings": 52.0}
    recalls = {
        "kind": (*called, "lens", "lens"),
        "colour": (*("" for _ in called), "blue", "red"),
        "called_lens_percent": (*called.values(), 93.0, 74.0),
    }
    drops = {
        "arc_colour": 40.0,
        "arc_colour_same_signal": 30.0,
        "arc_colour_same_contrast": 30.0,
        "galaxy_colour": 20.0,
        "arcs_removed": 60.0,
        "arcs_covered": 50.0,
    }
    yield made(
        finder.FINDER,
        network="mean",
        measure=("precision", "recall", "f1", "auc"),
        value=0.87,
        error=0.01,
    )
    yield made(
        finder.RECALL,
        kinds=recalls,
        error=2.0,
    )
    yield made(
        released.FINDERS,
        network=("OU-66", "mean", "best"),
        kind=tuple(called),
        sources=("", "released"),
        called_lens_percent=picked(called, "kind"),
        error=2.0,
    )
    yield made(
        released.ACCURACY,
        network=("OU-66", "mean"),
        measure=("precision", "recall", "f1", "auc"),
        value=0.87,
        error=0.01,
    )
    yield made(
        released.ARCS,
        method=("gradient", "guided_grad_cam.relu9"),
        label=lambda row: row["method"],
        group=("lens", "compound lens"),
        beyond=1.5,
        beyond_error=0.1,
        sees_arcs="yes",
    )
    yield made(
        finder.POSITION,
        what=("lens: place", "lens: the image's middle"),
        median=picked({"lens: place": 0.5}, "what", otherwise=6.0),
        unit="pixel",
    )
    yield made(
        explaining.SHARES,
        method=("gradient", "grad_cam.relu4", "guided_grad_cam.relu4"),
        output=1,
        group="lens",
        region="arcs",
        percent=30.0,
        error=1.0,
        area_percent=9.0,
    )
    yield made(
        explaining.PROBES,
        probe=tuple(drops),
        colour="",
        drop_percent=picked(drops, "probe"),
        error=1.0,
    )
    yield made(
        explaining.ARCS,
        method=("gradient", "grad_cam.relu4", "guided_grad_cam.relu4"),
        label=lambda row: row["method"],
        group=("lens", "compound lens"),
        beyond=1.5,
        beyond_error=0.1,
        sees_arcs="yes",
    )
    yield made(
        cues.PLANTED,
        cue=cues.CUES,
        method=("gradient", "grad_cam.relu4"),
        label=lambda row: row["method"],
        hits_percent=picked({"gradient": 95.0}, "method", otherwise=60.0),
    )
    yield made(
        finder.F1_SHARE,
        hard_percent=(0.0, 50.0, 100.0),
        ours=picked({50.0: "yes"}, "hard_percent", otherwise=""),
    )
    yield made(
        finder.MATCHED,
        kind=("compound_arcs", "double_rings"),
        difference_percent=-10.0,
        difference_error=2.0,
    )
    yield made(
        explaining.AGREEMENT,
        method=("grad_cam.relu4", "occlusion_w4s4"),
        point=("maximum", "centroid"),
        reference=("locator", "true centre", "chance"),
        within_percent=picked({"chance": 10.0}, "reference", otherwise=60.0),
        within_error=2.0,
    )
    yield made(
        observed.REAL,
        seen={
            "system": (*["SLACS J0946+1006 (Jackpot)"] * 3, "COSMOS-Web ring"),
            "treatment": (
                "F814W, arcs as red as the galaxy",
                "F814W, arcs as red as the galaxy, at its own brightness",
                "F814W, arcs blue",
                "F277W and F444W for the ends of the survey's bands",
            ),
        },
        einstein_radius_arcsec=1.38,
        lens_percent=80.0,
        error=2.0,
    )


def rosenzweig() -> Iterator[Made]:
    """Tables of rosenzweig2021."""
    told = {
        "best probability": {"nonlinear": 99.0, "linear": 80.0},
        "driven from 1 % above 95 %": {"nonlinear": 100.0, "linear": 50.0},
        "smallest threshold": {"nonlinear": 0.0, "linear": 0.0},
        "largest threshold": {"nonlinear": 95.0, "linear": 95.0},
        "lowered by blurring": {"nonlinear": 87.5, "linear": 60.0},
        "overlap of the last masks": {"both": 0.2},
    }
    stated = [(name, *pair) for name, values in told.items() for pair in values.items()]
    rows = invented(
        experiments.SUMMARY,
        subject=("galaxies", "digits"),
        rank=("first", "second"),
        stated=dict(zip(("statement", "method", "value"), zip(*stated, strict=True), strict=True)),
        error=2.0,
        unit="%",
        examples=40,
    )
    more = invented(
        experiments.SUMMARY,
        subject=("galaxies", "digits"),
        rank="both",
        statement="overlap of first and second class",
        method=("nonlinear", "linear", "jacobian", "random"),
        value=picked({"nonlinear": 0.1, "linear": 0.8}, "method", otherwise=0.3),
        error=0.02,
    )
    more += invented(
        experiments.SUMMARY,
        subject=("galaxies", "digits"),
        rank="second",
        statement="rank correlation of threshold and probability",
        method="nonlinear",
        value=0.0,
        error=0.1,
    )
    more += invented(
        experiments.SUMMARY,
        subject=("galaxies", "digits"),
        rank=("first", "second"),
        statement="lowered by blurring, less random pixels",
        method="nonlinear",
        value=30.0,
        error=5.0,
    )
    yield "summary.csv", experiments.SUMMARY, [*rows, *more]
    photographed = [
        {**row, "subject": "photographs"} for row in [*rows, *more] if row["subject"] == "digits"
    ]
    driven = {**photographed[0], "rank": "unlikely", "method": "nonlinear", "value": 100.0}
    driven["statement"] = "driven from 1 % above 95 %"
    yield "photographs_summary.csv", experiments.SUMMARY, [*photographed, driven]
    yield made(
        photographs.UNLIKELY,
        photograph=tuple(photographs.FILES),
        start_percent=0.5,
        best_percent=99.0,
    )
    yield made(
        arms.TABLE,
        subject=("galaxies", "digits"),
        arm=tuple(arms.ARMS),
        label=picked(arms.LABELS, "arm"),
        best_percent=picked({"ascent": 20.0, "blur": 10.0}, "arm", otherwise=99.0),
        threshold_less_both=0.0,
    )
    yield made(
        pairs.TABLE,
        method=tuple(pairs.LABELS),
        label=picked(pairs.LABELS, "method"),
        separates_percent=picked({"nonlinear": 95.0}, "method", otherwise=25.0),
    )


TABLES = {
    "matilla2020": matilla,
    "singh2020": singh,
    "you2023": you,
    "wilde2022": wilde,
    "rosenzweig2021": rosenzweig,
}


def make_nulls(folder: Path, config: dict[str, Any]) -> None:
    """Give a run null runs that found nothing: 0 wherever the ledger looks."""
    listed = published.load_claims(ROOT / "paper/claims.yaml")
    for name in findings.tables_of_networks(listed):
        rows = pd.read_csv(folder / name)
        looked_at = {
            c.select["column"] for c in listed if c.select and c.select.get("table") == name
        }
        rows[sorted(looked_at)] = 0.0
        for kind in published.null_runs(config):
            path = folder / published.NULL_RUNS / kind / name
            path.parent.mkdir(parents=True, exist_ok=True)
            rows.to_csv(path, index=False)


def make_run(folder: Path) -> Path:
    """Fill ``folder`` with a made-up run."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    config = configuration.load(root=ROOT).model_dump()
    configuration.write_effective(config, folder / "config.yaml")
    for chapter, invent in TABLES.items():
        for name, table, rows in invent():
            table.write(folder / chapter / name, rows)
    listed = figures.stems(DATA_SETS).items()
    for name in [f"{chapter}/{stem}" for chapter, stems in listed for stem in stems]:
        figure, axes = plt.subplots(figsize=(7, 3.5))
        axes.plot(np.sin(np.arange(30)))
        axes.set_title(name)
        for suffix in ("png", "pdf"):
            figure.savefig(folder / f"{name}.{suffix}", dpi=60)
        plt.close(figure)
    make_nulls(folder, config)
    findings.write_all(folder, config)
    rows = claims.check(published.load_claims(ROOT / "paper/claims.yaml"), folder, config)
    claims.write(folder / "claims.csv", rows)
    return folder


@pytest.fixture(scope="session")
def fake_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a made-up, finished run."""
    return make_run(tmp_path_factory.mktemp("results") / "default")
