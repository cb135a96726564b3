"""Findings of small tables against values by hand."""

import math

import pandas as pd
import pytest
from invented import invented, picked

from kappascope.chapters.matilla2020 import checks, correlations, relevance, table1, table2
from kappascope.chapters.matilla2020 import findings as matilla
from kappascope.chapters.singh2020 import findings as singh
from kappascope.chapters.wilde2022 import findings as wilde
from kappascope.files import read_rows
from kappascope.reporting import findings
from kappascope.statistics import summary
from kappascope.workflow import configuration

CONFIG = configuration.load("paper").model_dump()


def values(rows):
    """(finding, name) → (value, error)."""
    return {(row["finding"], row["name"]): (row["value"], row["error"]) for row in rows}


def test_a_ratio_carries_both_errors():
    row = findings.ratio("a", {"value": 8.0, "error": 1.0}, {"value": 4.0, "error": 0.5})
    assert row["value"] == 2.0
    assert row["error"] == pytest.approx(2.0 * math.hypot(1 / 8, 0.5 / 4))


def test_a_ratio_without_errors_has_none():
    row = findings.ratio("a", {"value": -8.0, "error": math.nan}, {"value": 4.0})
    assert (row["value"], row["error"]) == (-2.0, None)


def test_the_set_up_of_the_paper_is_the_published_one():
    found = values(matilla.setup(CONFIG))
    expected = {"maps": 512, "field_deg": 3.5, "data_vector": 102, "covariance_third": 40000}
    for name, value in expected.items():
        assert found[name, ""][0] == pytest.approx(value)
    assert found["debiasing", ""][0] == pytest.approx((120000 - 104) / 119999, rel=1e-12)


def test_correlations_signs_and_extremes():
    pearson = {
        ("omega_matter", 0.02): -0.3,
        ("sigma_8", 0.02): 0.1,
        ("omega_matter", 0.05): 0.2,
        ("sigma_8", 0.05): 0.2,
        ("omega_matter", 0.06): -0.5,
        ("sigma_8", 0.06): 0.4,
    }
    sizes = picked(pearson, "parameter", "bin_centre")
    table = invented(
        correlations.CORRELATIONS,
        data_set=("noiseless", "noisy"),
        statistic="PC",
        bin_centre=(0.02, 0.05, 0.06),
        parameter=("omega_matter", "sigma_8"),
        pearson=lambda row: sizes(row) * (0.1 if row["data_set"] == "noiseless" else 1.0),
        standard_error=lambda row: 0.01 + row["bin_centre"],
    )
    # Statistics that the paper does not have are left out.
    table += [{**table[0], "statistic": "minima", "pearson": 0.99}]
    found = values(matilla.correlations(CONFIG, pd.DataFrame(table)))
    assert found["largest_noisy", ""] == pytest.approx((0.5, 0.07))
    assert found["opposite_noisy", ""][0] == pytest.approx(2 / 3)
    assert found["tail_sigma_8_noiseless", ""] == pytest.approx((0.03, (0.06 + 0.07) / 2))
    assert found["high_peaks_rise", ""] == pytest.approx((10.0, 10 * math.hypot(0.07 / 0.05, 0.14)))
    assert ("power_sigma_8_noisy", "") not in found


def test_near_is_within_the_nearest_five_and_what_is_on_the_hull_does_not_count():
    table = invented(
        checks.LEAVE_ONE_OUT,
        data_set="noisy",
        cosmology=tuple(range(8)),
        parameter=("omega_matter", "sigma_8"),
        distance_to_fiducial=lambda row: 0.1 * row["cosmology"],
        error_percent=99.0,
        error_from_truth_percent=lambda row: (
            math.nan if row["cosmology"] == 7 else -float(row["cosmology"])
        ),
        standard_error_percent=lambda row: 0.1 * row["cosmology"],
    )
    found = values(matilla.interpolation(CONFIG, pd.DataFrame(table)))
    assert found["largest_error_noisy", ""] == pytest.approx((6.0, 0.6))
    assert found["near_error_sigma_8_noisy", ""] == pytest.approx((4.0, 0.4))


def test_areas_against_the_whole_emulator_and_their_spread():
    table = invented(
        checks.EMULATOR_CHECK,
        data_set="noisy",
        credibility=68,
        emulator=("all", "half"),
        area=picked({"all": 2.0, "half": 1.5}, "emulator"),
    )
    found = values(matilla.emulator(CONFIG, pd.DataFrame(table)))
    assert found == {("half_noisy_68", ""): (25.0, None)}
    thirds = invented(
        checks.THIRDS,
        data_set="noisy",
        credibility=68,
        third=(1, 2, 3),
        area=lambda row: float(row["third"]),
    )
    found = values(matilla.covariance_thirds(CONFIG, pd.DataFrame(thirds)))
    assert found["thirds_noisy_68", ""][0] == pytest.approx(100.0)


EDGES = relevance.EDGES.tolist()


def bins_of_relevance(**values):
    return invented(
        relevance.RELEVANCE,
        data_set="noiseless",
        method="gradient",
        cosmology=(0, 1),
        bins={"bin_low": tuple(EDGES[:-1]), "bin_high": tuple(EDGES[1:])},
        **values,
    )


def test_tails_are_ratios_to_the_centre_with_the_error_of_one_light_cone():
    def height(row):
        place = (row["bin_low"] + row["bin_high"]) / 2
        return 8.0 if place < -1.75 else 4.0 if place > 3.125 else 2.0

    table = bins_of_relevance(
        per_pixel=height, per_pixel_error=lambda row: 0.1 if row["cosmology"] else 0.3
    )
    found = values(matilla.relevance(CONFIG, pd.DataFrame(table), pd.DataFrame(SHARES)))
    ln = {"low_tail": math.log(4), "high_tail": math.log(2), "low_over_high": math.log(2)}
    for name, value in ln.items():
        assert found[f"{name}_gradient_noiseless", ""][0] == pytest.approx(value)
    assert found["dip_gradient_noiseless", ""][0] == pytest.approx(0.0)
    low, centre = 1 / 8 / math.sqrt(2), 1 / 2 / math.sqrt(3)
    expected = 0.2 * math.hypot(low, centre)
    assert found["low_tail_gradient_noiseless", ""][1] == pytest.approx(expected)


SHARES = invented(
    relevance.SHARES,
    data_set=("noiseless", "noisy"),
    method="gradient",
    region="negative",
    share_percent=picked({"noiseless": 80.0, "noisy": 10.0}, "data_set"),
    uncertainty=picked({"noiseless": 3.0, "noisy": 4.0}, "data_set"),
)


def test_what_noise_does_to_shares_and_a_tail_without_pixels():
    table = bins_of_relevance(per_pixel=lambda row: math.nan if row["bin_low"] > 3 else 1.0)
    found = values(matilla.relevance(CONFIG, pd.DataFrame(table), pd.DataFrame(SHARES)))
    assert found["noise_negative_gradient", ""] == pytest.approx((-70.0, 5.0))
    assert ("high_tail_gradient_noiseless", "") not in found


def test_following_is_a_mean_of_maps():
    table = invented(
        table2.TABLE2_MAPS,
        data_set="noiseless",
        method=("gradient", "inn_deconvnet"),
        realization=(0, 1, 2),
        repeat=(0, 1),
        pearson=lambda row: row["realization"] * (1.0 + row["repeat"]),
        pearson_input=lambda row: 0.1 * row["realization"],
    )
    found = values(matilla.following(CONFIG, pd.DataFrame(table)))
    assert found["follows_gradient_noiseless", ""] == pytest.approx((0.1, 0.1 / math.sqrt(3)))
    assert found["scatter_of_maps", ""][0] == pytest.approx(1.5)


def test_the_most_frequent_peaks():
    table = invented(
        correlations.CORRELATIONS,
        data_set="noisy",
        statistic=("PC", "V0"),
        bin_centre=(0.01, 0.02, 0.03),
        parameter="sigma_8",
        pearson=lambda row: -row["bin_centre"] if row["statistic"] == "PC" else 9.0,
        standard_error=0.1,
    )
    counts = invented(
        summary.MEANS,
        data_set="noisy",
        statistic="PC",
        bin_centre=(0.01, 0.02, 0.03),
        mean=picked({0.01: 0.8, 0.02: 1.0, 0.03: 0.2}, "bin_centre"),
    )
    found = values(matilla.central_peaks(CONFIG, pd.DataFrame(table), pd.DataFrame(counts)))
    assert found == {("centre_sigma_8_noisy", ""): pytest.approx((-0.015, 0.1))}


def test_genus_against_length():
    table = invented(
        table1.AREAS,
        data_set=("noiseless", "noisy"),
        credibility=(68, 95),
        data_vector=("V1", "V2"),
        area=lambda row: 2.0 if row["data_vector"] == "V2" else 1.0,
        error=0.1,
    )
    found = values(matilla.genus_against_length(CONFIG, pd.DataFrame(table)))
    assert found["v2_over_v1_noisy", ""] == pytest.approx((math.log(2), math.hypot(0.05, 0.1)))


def test_a_null_run_borrows_what_no_network_makes(tmp_path):
    def write(folder, table, name, rows):
        table.write(folder / "matilla2020" / name, rows)

    peaks = invented(
        correlations.CORRELATIONS,
        data_set="noisy",
        statistic="PC",
        parameter="sigma_8",
        bin_centre=0.01,
        pearson=0.5,
    )
    counts = invented(summary.MEANS, data_set="noisy", statistic="PC", bin_centre=0.01)
    config = {**CONFIG, "nulls": {"untrained": ["matilla2020"], "permuted_labels": []}}
    write(tmp_path, summary.MEANS, "statistics.csv", counts)
    null = tmp_path / "null/untrained"
    findings.write_all(tmp_path, config)
    listed = read_rows(null / "matilla2020/findings.csv")
    assert "centre_sigma_8_noisy" not in {row["finding"] for row in listed}
    write(null, correlations.CORRELATIONS, "correlations.csv", peaks)
    findings.write_all(tmp_path, config)
    listed = read_rows(null / "matilla2020/findings.csv")
    assert {"centre_sigma_8_noisy"} <= {row["finding"] for row in listed}
    ours = read_rows(tmp_path / "matilla2020/findings.csv")
    assert "centre_sigma_8_noisy" not in {row["finding"] for row in ours}


def test_the_peak_is_scaled_to_the_published_axis():
    columns = {"parameter": ["omega_matter"], "method": ["cd"], "group": ["all"]}
    columns |= {"ell": [3000.0], "error": [100.0], "ell_published_axis": [6000.0]}
    (row,) = singh.peak(CONFIG, pd.DataFrame(columns))
    assert (row["value"], row["error"]) == (6000.0, 200.0)


def test_places_over_chance_are_those_of_maxima():
    places = {"method": ["m"] * 4, "point": ["maximum", "maximum", "centroid", "centroid"]}
    places |= {"reference": ["locator", "chance"] * 2}
    places |= {"within_percent": [60.0, 20.0, 90.0, 30.0], "within_error": [0.0, 2.0] * 2}
    (row,) = wilde.places(CONFIG, pd.DataFrame(places))
    assert (row["value"], row["error"]) == pytest.approx((3.0, 0.3))
    places["within_percent"] = [60.0, 0.0, 90.0, 30.0]
    assert list(wilde.places(CONFIG, pd.DataFrame(places))) == []


def test_a_run_that_lacks_tables_has_the_findings_of_the_others(tmp_path):
    findings.write(tmp_path, CONFIG)
    rows = {row["finding"] for row in read_rows(tmp_path / "matilla2020/findings.csv")}
    assert rows == {row["finding"] for row in matilla.setup(CONFIG)}
    assert read_rows(tmp_path / "wilde2022/findings.csv") == []
