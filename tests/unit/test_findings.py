"""Findings of small tables against values by hand."""

import math

import pandas as pd
import pytest
from invented import invented, picked

from kappascope.chapters.matilla2020 import checks, correlations
from kappascope.chapters.matilla2020 import findings as matilla
from kappascope.chapters.singh2020 import findings as singh
from kappascope.chapters.wilde2022 import findings as wilde
from kappascope.files import read_rows
from kappascope.reporting import findings
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
    assert found["tail_sigma_8_noiseless", ""] == pytest.approx((0.03, math.hypot(0.06, 0.07) / 2))
    assert found["high_peaks_rise", ""] == pytest.approx((10.0, 10 * math.hypot(0.07 / 0.05, 0.14)))
    assert ("power_sigma_8_noisy", "") not in found


def test_near_is_within_the_nearest_five_and_what_is_on_the_hull_does_not_count():
    table = invented(
        checks.LEAVE_ONE_OUT,
        data_set="noisy",
        cosmology=tuple(range(8)),
        parameter=("omega_matter", "sigma_8"),
        distance_to_fiducial=lambda row: 0.1 * row["cosmology"],
        error_percent=lambda row: math.nan if row["cosmology"] == 7 else -float(row["cosmology"]),
    )
    found = values(matilla.interpolation(CONFIG, pd.DataFrame(table)))
    assert found["largest_error_noisy", ""] == (6.0, None)
    assert found["near_error_sigma_8_noisy", ""] == (4.0, None)


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


def test_the_peak_is_scaled_to_the_published_axis():
    columns = {"parameter": ["omega_matter"], "method": ["cd"], "group": ["all"]}
    columns |= {"ell": [3000.0], "error": [100.0], "ell_published_axis": [6000.0]}
    (row,) = singh.peak(CONFIG, pd.DataFrame(columns))
    assert (row["value"], row["error"]) == (6000.0, 200.0)


def test_arcs_and_places_over_chance():
    columns = {"method": ["m"], "output": [1], "group": ["lens"], "region": ["arcs"]}
    columns |= {"percent": [30.0], "error": [3.0], "area_percent": [10.0]}
    (row,) = wilde.arcs(CONFIG, pd.DataFrame(columns))
    assert row["finding"] == "arcs_m" and (row["value"], row["error"]) == pytest.approx((3.0, 0.3))
    places = {"method": ["m", "m"], "reference": ["locator", "chance"]}
    places |= {"within_percent": [60.0, 20.0], "within_error": [0.0, 2.0]}
    (row,) = wilde.places(CONFIG, pd.DataFrame(places))
    assert (row["value"], row["error"]) == pytest.approx((3.0, 0.3))
    places["within_percent"] = [60.0, 0.0]
    assert list(wilde.places(CONFIG, pd.DataFrame(places))) == []


def test_a_run_that_lacks_tables_has_the_findings_of_the_others(tmp_path):
    findings.write(tmp_path, CONFIG)
    rows = {row["finding"] for row in read_rows(tmp_path / "matilla2020/findings.csv")}
    assert rows == {row["finding"] for row in matilla.setup(CONFIG)}
    assert read_rows(tmp_path / "wilde2022/findings.csv") == []
