"""What runs again after a change, and that nothing else does."""

from pathlib import Path

import pytest
from checkouts import SMOKE, Checkout

pytestmark = pytest.mark.workflow

CODE = "\n\ndef added_by_a_test() -> int:\n    return 1\n"
WORDS = "\n\n# A comment that a test added.\n"
LAST = {"write_claims", "build_paper"}
TABLES_AND_FIGURES = {
    "gather_table1",
    "plot_fig1",
    "plot_fig2",
    "plot_published_network",
    *LAST,
}
AFTER_STATISTICS = {
    "summarize_statistics",
    "plot_statistics",
    "constrain",
    "correlations",
    "plot_fig3",
    "fit_linear_model",
    "emulator_checks",
    "plot_fig7",
    "network_accuracy",
    *TABLES_AND_FIGURES,
}


SALIENCY = {
    "randomize",
    "relevance",
    "gather_table2",
    "known_answers",
    "judge_methods",
    "plot_saliency_examples",
    "plot_randomization",
    "plot_relevance",
    "plot_sensitivity",
    "plot_known_answers",
}


SHOWN_INFORMATION = {"gather_information", "plot_information"}
INFORMATION = {"information", *SHOWN_INFORMATION}
"""What replaces parts of maps and measures again."""


BANDS = {"band_curves", "compare_bands", "plot_bands", "learn_dictionaries", "plot_dictionary"}
"""What transforms maps."""
TRANSFORMATIONS = {
    *BANDS,
    "planted_band",
    "planted_frequency",
    "plot_planted_frequency",
    "topics",
    "plot_topics",
    "digits",
    "plot_digits",
    "sounds",
    "plot_sounds",
}


COMPARED = {"compare_attributions", "gather_baselines", "plot_baselines"}
PLANTED_GROUPS = {"planted_structures"}
"""Attributions of planted maps, which need no others."""
GROUPS = {
    "train_group_network",
    "train_sum_of_parts",
    "explain_groups",
    "plot_groups",
    *COMPARED,
}
"""What finds groups in maps."""


SEEN_LENSES = {"explain_lenses", "planted_cues", "plot_lenses"}
NONLINEAR = {"nonlinear_saliency", "planted_pairs", "plot_nonlinear"}
"""What explains networks that read images of galaxies."""
PHOTOGRAPHED = {"nonlinear_photographs", "plot_photographs"}


def add(checkout: Checkout, file: str, text: str) -> None:
    place = checkout.root / file
    place.write_text(place.read_text(encoding="utf-8") + text, encoding="utf-8")


def without_real_data(jobs: set[str], real_data: bool) -> set[str]:
    return jobs if real_data else jobs - {"plot_published_network", "plot_photographs"}


@pytest.fixture
def has_real_data(finished: Checkout) -> bool:
    """Whether the finished run had the published network's outputs."""
    return (finished.root / "results/smoke/matilla2020/published_network_contour.pdf").is_file()


def test_running_again_does_nothing(rerun: Checkout) -> None:
    ended = rerun.run("--cores", "2", *SMOKE)
    assert ended.status == 0 and "Nothing to be done" in ended.text


def test_a_moved_and_touched_checkout_does_nothing(rerun: Checkout) -> None:
    """A fresh clone has new times on every source file; only inputs' times count."""
    for folder in ("src", "scripts", "workflow", "config"):
        for file in (rerun.root / folder).rglob("*"):
            file.touch()
    assert not rerun.planned(*SMOKE, nulls=True)


@pytest.mark.parametrize(
    ("file", "measuring"),
    [
        # The maps' power against theory is measured with the same kernels.
        (
            "statistics/kernels.py",
            {"measure_statistics", "validate_maps", "plot_maps", *INFORMATION},
        ),
        ("statistics/minima.py", {"measure_statistics", *INFORMATION}),
    ],
)
def test_a_kernel_reruns_what_measures_with_it(
    rerun: Checkout, has_real_data: bool, file: str, measuring: set[str]
) -> None:
    add(rerun, f"src/kappascope/{file}", CODE)
    planned = set(rerun.planned(*SMOKE))
    assert planned == without_real_data(measuring | AFTER_STATISTICS, has_real_data)


def test_relevance_rules_rerun_what_explains(rerun: Checkout, has_real_data: bool) -> None:
    add(rerun, "src/kappascope/attribution/rules.py", CODE)
    expected = SALIENCY | TRANSFORMATIONS | COMPARED | PLANTED_GROUPS
    expected |= SEEN_LENSES | NONLINEAR | LAST
    expected |= SHOWN_INFORMATION
    # It explains a released finder as well.
    expected |= {"find_lenses", *PHOTOGRAPHED}
    assert set(rerun.planned(*SMOKE)) == without_real_data(expected, has_real_data)


def test_transforms_rerun_what_uses_them(rerun: Checkout) -> None:
    add(rerun, "src/kappascope/transforms/fourier.py", CODE)
    assert set(rerun.planned(*SMOKE)) <= TRANSFORMATIONS | NONLINEAR | LAST
    assert {"band_curves", "topics", "digits"} <= set(rerun.planned(*SMOKE))


def test_segments_rerun_what_divides_maps(rerun: Checkout) -> None:
    add(rerun, "src/kappascope/chapters/you2023/structures.py", CODE)
    planned = set(rerun.planned(*SMOKE))
    assert planned == {"explain_groups", "plot_groups", *COMPARED, *PLANTED_GROUPS, *LAST}


def test_ascents_rerun_what_explains_and_no_network(rerun: Checkout) -> None:
    add(rerun, "src/kappascope/attribution/ascent.py", CODE)
    planned = set(rerun.planned(*SMOKE))
    assert SEEN_LENSES | NONLINEAR <= planned
    assert not [name for name in planned if name.startswith("train_")]


def test_optics_rerun_all_of_strong_lenses(rerun: Checkout) -> None:
    add(rerun, "src/kappascope/stronglens/optics.py", CODE)
    lenses = {"simulate_lenses", "train_lens_network", "find_lenses"}
    expected = lenses | SEEN_LENSES | NONLINEAR - {"planted_pairs"} | LAST
    assert set(rerun.planned(*SMOKE)) == expected


def test_similarity_measures_rerun_what_compares(rerun: Checkout) -> None:
    add(rerun, "src/kappascope/faithfulness/similarity.py", CODE)
    planned = set(rerun.planned(*SMOKE))
    assert {"randomize", "judge_methods"} <= planned and "train_network" not in planned


def test_comments_and_docstrings_rerun_nothing(rerun: Checkout) -> None:
    for file in ("statistics/kernels.py", "files.py", "simulation/nbody.py"):
        add(rerun, f"src/kappascope/{file}", WORDS)
        place = rerun.root / "src/kappascope" / file
        text = place.read_text(encoding="utf-8")
        place.write_text(text.replace('"""', '"""Also: ', 1), encoding="utf-8")
    add(rerun, "scripts/measure_statistics.py", WORDS)
    assert not rerun.planned(*SMOKE)


def test_the_simulation_reruns_all_that_comes_from_maps(
    rerun: Checkout, has_real_data: bool
) -> None:
    add(rerun, "src/kappascope/simulation/raytracing.py", CODE)
    planned = set(rerun.planned(*SMOKE))
    networks = {"train_network", "predict", "plot_networks"}
    maps = {"simulate_maps", "validate_maps", "plot_maps", "measure_statistics"}
    expected = maps | networks | SALIENCY | AFTER_STATISTICS | BANDS | {"train_band_network"}
    expected |= GROUPS | NONLINEAR - {"planted_pairs"} | INFORMATION
    assert planned == without_real_data(expected, has_real_data)


def test_a_figure_reruns_itself_and_the_paper(rerun: Checkout) -> None:
    add(rerun, "src/kappascope/chapters/matilla2020/figures/correlations.py", CODE)
    assert set(rerun.planned(*SMOKE)) == {"plot_fig3", "build_paper"}


def test_a_script_reruns_its_rule(rerun: Checkout) -> None:
    add(rerun, "scripts/correlations.py", CODE)
    again = {"correlations", "untrained_correlations", "plot_fig3", *LAST}
    assert set(rerun.planned(*SMOKE, nulls=True)) == again


def test_a_chapter_of_the_paper_reruns_the_paper(rerun: Checkout) -> None:
    add(rerun, "paper/abstract.typ", "\n// A test was here.\n")
    assert set(rerun.planned(*SMOKE)) == {"build_paper"}


def test_more_bootstraps_rerun_constraints_only(rerun: Checkout, has_real_data: bool) -> None:
    planned = rerun.planned("--config", "tier=smoke", "matilla2020={constraints: {bootstrap: 21}}")
    expected = {
        "constrain",
        "emulator_checks",
        "plot_fig7",
        "network_accuracy",
        "published_network",
        "effective_config",
        *TABLES_AND_FIGURES,
    }
    if not has_real_data:
        expected -= {"published_network", "plot_published_network"}
    assert set(planned) == expected


def test_one_more_network_trains_one_more(rerun: Checkout) -> None:
    planned = rerun.planned("--config", "tier=smoke", "network={networks: 2}")
    assert planned["train_network"] == 2 and planned["predict"] == 2
    assert "simulate_maps" not in planned and "measure_statistics" not in planned


@pytest.mark.parametrize("variant", ["noise_10_per_arcmin2", "smoothing_2arcmin"])
def test_variants_reuse_the_maps(finished: Checkout, tmp_path: Path, variant: str) -> None:
    planned = finished.copy(tmp_path / "repository").planned(*SMOKE, f"variants={variant}")
    assert planned["simulate_maps"] == 0
    assert planned["measure_statistics"] == planned["train_network"] == 2


def test_another_seed_makes_other_maps(rerun: Checkout) -> None:
    assert rerun.planned(*SMOKE, "seed=2")["simulate_maps"] == 2
