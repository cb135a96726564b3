"""Scores of finders against scikit-learn and known answers; what locators learn."""

import dataclasses
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from typed import section

from kappascope.attribution.methods import image_relevance
from kappascope.chapters.wilde2022 import explaining, finder
from kappascope.errors import InputError
from kappascope.networks import classification
from kappascope.stronglens import classifiers, images, surveys
from kappascope.stronglens.imaging import Camera, observe
from kappascope.stronglens.populations import KINDS, MAIN, REFERENCE, Population

CAMERA = Camera(32, 0.2, ("VIS", "H"), 2, surveys.read("euclid"))
POPULATION = Population(0.8, (21.5, 23.5), 0.5)
SECTION = section("wilde2022.networks", width=4, epochs=2, batch=8, learning_rate=0.003)


@pytest.fixture(scope="module")
def simulated() -> images.Images:
    return images.simulate(POPULATION, CAMERA, 5, "testing", {kind: 8 for kind in KINDS})


@pytest.fixture(scope="module")
def usual(simulated) -> images.Images:
    return simulated.select(~np.isin(simulated.kind, finder.COMPOUND))


@pytest.fixture(scope="module")
def model(usual):
    return classifiers.train("finder", usual, SECTION, 1, 0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_measures_are_scikit_learns(seed: int) -> None:
    draw = np.random.default_rng(seed)
    true = draw.uniform(size=60) < 0.4
    true[:2] = True, False
    # Few values: many ties.
    score = np.round(draw.uniform(size=60), 1) * 0.98 + 0.01
    called = score > 0.5
    called[0] = True
    told = {
        "precision": (finder.precision, metrics.precision_score),
        "recall": (finder.recall, metrics.recall_score),
        "f1": (finder.f1, metrics.f1_score),
    }
    for ours, theirs in told.values():
        assert ours(called, true) == pytest.approx(theirs(true, called))
    area = finder.area_under_curve(score, true)
    assert area == pytest.approx(metrics.roc_auc_score(true, score))


def test_accuracy_rows_have_a_mean_over_networks(usual) -> None:
    draw = np.random.default_rng(0)
    scores = draw.uniform(size=(3, len(usual)))
    rows = finder.accuracy_rows(scores, usual, 1)
    assert len(rows) == 4 * 4
    for name in ("precision", "recall", "f1", "auc"):
        each = [r["value"] for r in rows if r["measure"] == name and r["network"] != "mean"]
        mean = next(r for r in rows if r["measure"] == name and r["network"] == "mean")
        assert mean["value"] == pytest.approx(np.mean(each))
        assert mean["error"] >= np.std(each, ddof=1) / np.sqrt(3)


def test_a_perfect_score_is_told_as_one_with_a_small_error(usual) -> None:
    scores = usual.lenses.astype(float)[None, :] * 0.98 + 0.01
    rows = {r["measure"]: r for r in finder.accuracy_rows(scores, usual, 1) if r["network"] == "0"}
    assert all(row["value"] == 1 for row in rows.values())
    recalled = finder.recall_rows(scores, usual)
    by_kind = {(r["kind"], r["colour"]): r for r in recalled}
    assert by_kind["lens", ""]["called_lens_percent"] == 100
    assert by_kind["isolated", ""]["called_lens_percent"] == 0
    assert by_kind["isolated", ""]["error"] > 0
    curve = finder.roc_rows(scores, usual)
    assert {row["true_positive"] for row in curve if row["false_positive"] == 0} >= {1.0}


def test_completeness_counts_every_lens_once(simulated) -> None:
    scores = np.full((1, len(simulated)), 0.9)
    edges = finder.edges_of(POPULATION.source_magnitudes)
    rows = finder.completeness_rows(scores, simulated, edges)
    mine = [r for r in rows if (r["kind"], r["quantity"]) == ("lens", "source_magnitude")]
    assert sum(r["images"] for r in mine) == (simulated.kind == "lens").sum()
    assert {r["recall_percent"] for r in mine} == {100.0}


def test_the_locators_loss_counts_places_of_lenses_only() -> None:
    outputs = np.array([[0.0, 20.0, 1.0, 0.5, 1.0], [20.0, 0.0, 9.0, 9.0, 9.0]], np.float32)
    targets = np.array([[1.0, 4.0, 2.0, 1.0], [0.0, 0.0, 0.0, 0.0]], np.float32)
    assert float(classifiers.located(outputs, targets)) == pytest.approx(0.0, abs=1e-6)
    off = outputs + np.array([[0, 0, 0.3, 0, 0], [0, 0, 5, 5, 5]], np.float32)
    assert float(classifiers.located(off, targets)) == pytest.approx(
        classifiers.PLACE_WEIGHT * 0.1, rel=1e-4
    )
    none = np.array([[0.0, 1.0, 1.0, 1.0]] * 2) * 0
    assert np.isfinite(float(classifiers.located(outputs, none)))


def test_training_is_resumed_to_the_same_weights(usual, tmp_path, monkeypatch) -> None:
    whole = classifiers.train("locator", usual, SECTION, 1, 0)[1]
    calls = {"n": 0}
    real = images.turned

    def interrupted(x, targets, draw):
        calls["n"] += 1
        if calls["n"] == 7:
            raise KeyboardInterrupt
        return real(x, targets, draw)

    monkeypatch.setattr(classifiers, "turned", interrupted)
    every_step = {"checkpoint_every_seconds": 0.0}
    train = classification.train
    monkeypatch.setattr(classification, "train", lambda *a, **k: train(*a, **{**k, **every_step}))
    with pytest.raises(KeyboardInterrupt):
        classifiers.train("locator", usual, SECTION, 1, 0, tmp_path)
    assert (tmp_path / "checkpoint.msgpack").is_file()
    resumed = classifiers.train("locator", usual, SECTION, 1, 0, tmp_path)[1]
    assert 7 < calls["n"] < 7 + 2 * (len(usual) // 8)
    for name, value in whole.items():
        np.testing.assert_array_equal(value, resumed[name])


def test_finders_never_see_compound_lenses(simulated) -> None:
    with pytest.raises(InputError, match="finder: compound lenses are for testing"):
        classifiers.train("finder", simulated, SECTION, 1, 0)
    targets = classifiers.targets_of("sorter", simulated)
    assert set(targets[np.isin(simulated.kind, finder.COMPOUND)]) == {2}
    with pytest.raises(InputError, match="task 'seeker'"):
        classifiers.network_for("seeker", 32, 2, 4)


# ---- what it looks at ----------------------------------------------------------------------------


def test_relevance_has_the_images_size_for_every_method(model, usual) -> None:
    x = usual.x[:3].astype(np.float32)
    for name in ("gradient", "grad_cam.relu4", "guided_grad_cam.relu4", "occlusion_w8s8"):
        assert image_relevance(name, model, x, 1, 0).shape == (3, 32, 32)
    coarse = image_relevance("grad_cam.relu4", model, x, 1, 0)
    np.testing.assert_array_equal(coarse[:, ::4, ::4].repeat(4, 1).repeat(4, 2), coarse)


def test_shares_of_a_map_on_the_arcs_alone(simulated) -> None:
    core = explaining.core_mask(simulated, 0.2)
    only = (simulated.arc_mask & ~core).astype(float)
    even = np.ones_like(only)
    rows = explaining.share_rows({"only": only, "even": even}, simulated, 0.2, 1)
    for row in rows:
        if row["method"] == "only":
            assert row["percent"] == pytest.approx(100 if row["region"] == "arcs" else 0)
        else:
            assert row["percent"] == pytest.approx(row["area_percent"])


def test_maxima_are_where_maps_are_largest_and_agree_with_whom_they_should(simulated) -> None:
    maps = np.zeros((len(simulated), 32, 32))
    column, row = np.rint(simulated.place + 15.5).astype(int).T
    maps[np.arange(len(maps)), row, column] = 1
    found = explaining.peaks(maps)
    assert np.abs(found - simulated.place).max() <= 0.5 + 1e-6
    rows = explaining.agreement_rows({"m": maps}, simulated.place, simulated, 1)
    by_reference = {r["reference"]: r for r in rows if r["point"] == "maximum"}
    assert by_reference["locator"]["median_pixels"] < 0.75
    assert by_reference["locator"]["within_percent"] == 100
    assert by_reference["chance"]["median_pixels"] > 1


def test_a_map_around_the_place_has_its_centroid_there_and_not_its_maximum(simulated) -> None:
    y, x = np.mgrid[:32, :32] - 15.5
    column, row = simulated.place.T[..., None, None]
    ring = np.abs(np.hypot(x - column, y - row) - 5) < 1
    maps = ring * (1 + 0.01 * (x > column))
    rows = explaining.agreement_rows({"m": maps}, simulated.place, simulated, 1)
    found = {r["point"]: r["median_pixels"] for r in rows if r["reference"] == "true centre"}
    assert found["centroid"] < 1.0 < 3.0 < found["maximum"]


def test_a_map_of_a_lenss_own_arcs_is_told_from_one_of_its_surroundings(simulated) -> None:
    lenses = simulated.of("lens")
    many = images.simulate(POPULATION, CAMERA, 6, "testing", {"lens": 24})
    middle = np.hypot(*(np.mgrid[:32, :32] - 15.5))
    around = np.broadcast_to(np.exp(-((middle / 8) ** 2)), many.arc_mask.shape)
    noise = np.random.default_rng(1).random(many.arc_mask.shape)
    maps = {"gradient": many.arc_mask + 0.05 * noise, "guided_backprop": around + 0.05 * noise}
    rows = {row["method"]: row for row in explaining.arc_rows(maps, many, 0.2, 1)}
    assert len(lenses) and set(rows["gradient"]) == set(explaining.ARCS.columns)
    seen, near = rows["gradient"], rows["guided_backprop"]
    # Both are large on arcs; only one on a lens's own.
    assert seen["enrichment"] > 2 and near["enrichment"] > 1.3
    assert seen["sees_arcs"] == "yes" and seen["beyond"] > 1.5
    assert near["sees_arcs"] != "yes" and near["beyond"] == pytest.approx(1, abs=0.1)
    assert near["ring"] > 1


def test_compound_lenses_are_compared_with_single_ones_as_bright(simulated) -> None:
    """Recall that depends on brightness alone differs between kinds, not at matched brightness."""
    draw = np.random.default_rng(4)
    kind = np.repeat(["lens", "compound_arcs", "double_rings", "isolated"], 900)
    signal = np.exp(draw.normal(np.repeat([4.0, 4.7, 4.7, 0.0], 900), 0.7))
    signal[kind == "isolated"] = 0.0
    told = SimpleNamespace(kind=kind, arc_signal=signal)
    chance = 1 / (1 + np.exp(-2 * (np.log(signal + 1e-9) - 4.3)))
    score = (draw.random((2, len(kind))) < chance).astype(float)
    score[:, kind == "double_rings"] *= draw.random((2, 900)) < 0.7
    rows = {row["kind"]: row for row in finder.matched_rows(score, told, 1)}
    arcs, rings = rows["compound_arcs"], rows["double_rings"]
    assert set(arcs) == set(finder.MATCHED.columns)
    assert arcs["recall_percent"] - arcs["unmatched_percent"] > 15
    assert abs(arcs["difference_percent"]) < 3 * arcs["difference_error"] < 10
    assert rings["difference_percent"] < -5 * rings["difference_error"]
    assert arcs["overlap_percent"] > 95


def test_arcs_that_are_brighter_have_more_signal(simulated) -> None:
    assert (simulated.arc_signal[simulated.lenses] > 1).all()
    assert not simulated.arc_signal[~simulated.lenses].any()
    size = simulated.arc_mask.sum((1, 2))[simulated.lenses]
    assert np.corrcoef(size, np.log(simulated.arc_signal[simulated.lenses]))[0, 1] > 0.5


def test_changed_scenes_change_what_they_say(simulated) -> None:
    lenses = simulated.of("lens")
    drawn = explaining.scenes_again(POPULATION, lenses, 5, "testing")
    probes = dict(explaining.probes(drawn, CAMERA))
    same, signal = explaining.seen(probes["none"], lenses, 5, "testing")
    np.testing.assert_allclose(signal, lenses.arc_signal, rtol=1e-5)
    # Kept in half precision: eleven bits.
    np.testing.assert_allclose(same, lenses.x.astype(np.float32), rtol=1e-3, atol=1e-4)
    for name, probe in probes.items():
        if name != "none":
            assert (explaining.seen(probe, lenses, 5, "testing")[0] != same).any()
    covered, signal = explaining.seen(probes["arcs_covered"], lenses, 5, "testing")
    assert not signal.any()
    assert not covered[lenses.arc_mask].any()
    np.testing.assert_array_equal(covered[~lenses.arc_mask], same[~lenses.arc_mask])


def test_swapped_colours_keep_brightness_in_the_reference_band() -> None:
    each = POPULATION.draw(2, "testing", "lens", 0, 0)
    galaxy, source = each.scene.foreground_flux[MAIN], each.scene.background_flux[1]
    both = explaining.recoloured(each, "both").scene
    np.testing.assert_allclose(both.background_flux[1][REFERENCE], source[REFERENCE], rtol=1e-5)
    ratio = both.background_flux[1] / galaxy
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)
    ratio = both.foreground_flux[MAIN] / source
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)
    arcs = explaining.recoloured(each, "arcs").scene
    np.testing.assert_array_equal(arcs.foreground_flux, each.scene.foreground_flux)
    assert (each.scene.background_flux[1] == source).all()


def test_recoloured_arcs_can_keep_their_signal(simulated) -> None:
    lenses = simulated.of("lens")
    drawn = explaining.scenes_again(POPULATION, lenses, 5, "testing")
    probes = dict(explaining.probes(drawn, CAMERA))

    def signal(name: str) -> np.ndarray:
        scenes = [each.scene for each in probes[name].drawn]
        return observe(CAMERA, scenes, True).arc_signal(CAMERA)

    np.testing.assert_allclose(signal("arc_colour_same_signal"), signal("none"), rtol=0.02)
    assert np.abs(signal("arc_colour") / signal("none") - 1).max() > 0.1

    def contrast(name: str) -> np.ndarray:
        return explaining.contrasts(probes[name].drawn, CAMERA)

    same = "arc_colour_same_contrast"
    np.testing.assert_allclose(signal(same), signal("none"), rtol=0.02)
    np.testing.assert_allclose(contrast(same), contrast("none"), rtol=1e-5)
    assert np.abs(contrast("arc_colour_same_signal") / contrast("none") - 1).max() > 0.1
    flux = drawn[0].scene.foreground_flux[MAIN] / drawn[0].scene.background_flux[1]
    assert contrast("none")[0] == pytest.approx(np.exp(np.log(flux[[0, 3]]).mean()))
    assert np.isnan(contrast("arcs_removed")).all()


def test_f1_falls_with_the_share_of_hard_non_lenses_and_is_ours_at_ours() -> None:
    kind = np.array(["lens"] * 200 + ["isolated"] * 300 + ["companions"] * 100)
    score = np.zeros((2, 600))
    score[:, :160] = 0.9  # 80 % of lenses
    score[:, 500:540] = 0.9  # 40 % of companions, no other
    told = SimpleNamespace(kind=kind, lenses=kind == "lens")
    rows = {round(row["hard_percent"]): row for row in finder.f1_rows(score, told, 1)}
    assert set(rows[0]) == set(finder.F1_SHARE.columns) and len(rows) == 11
    assert rows[0]["precision"] == 1 and rows[0]["f1"] == pytest.approx(2 * 160 / (320 + 40))
    assert rows[100]["precision"] == pytest.approx(160 / (160 + 0.4 * 400))
    assert rows[30]["f1"] > rows[60]["f1"] > rows[90]["f1"]
    assert [name for name, row in rows.items() if row["ours"]] in ([20], [30])
    without = SimpleNamespace(kind=kind[:500], lenses=told.lenses[:500])
    assert finder.f1_rows(score[:, :500], without, 1) == []


def test_probe_rows_start_from_no_change(model, simulated) -> None:
    lenses = simulated.of("lens")
    rows = explaining.probe_rows([model], POPULATION, CAMERA, lenses, 5, "testing")
    none = next(r for r in rows if r["probe"] == "none" and not r["colour"])
    assert none["drop_percent"] == 0
    score = 100 * classifiers.probability(model, lenses.x).mean()
    assert none["score_percent"] == pytest.approx(score, abs=0.5)
    for row in rows:
        assert row["score_percent"] + row["drop_percent"] == pytest.approx(
            next(
                r["score_percent"]
                for r in rows
                if r["probe"] == "none" and r["colour"] == row["colour"]
            )
        )


def test_dreams_drive_their_class_up(model, simulated) -> None:
    arrays, rows = explaining.all_dreams(model, simulated, 6, 1)
    assert {name.split("/")[1] for name in arrays} == {"noise", "isolated galaxy", "lens"}
    for start in ("noise", "isolated galaxy", "lens"):
        for name in ("non-lens", "lens"):
            before, after = (
                next(
                    r["output"]
                    for r in rows
                    if (r["start"], r["class"], r["when"]) == (start, name, when)
                )
                for when in ("before", "after")
            )
            assert after > before


def test_randomization_knows_every_method(model, simulated) -> None:
    x = simulated.of("lens").x[:2].astype(np.float32)
    names = ["gradient", "guided_grad_cam.relu4", "deep_dream"]
    coarse = ["grad_cam.relu4", "grad_cam_raw.relu4"]
    rows = explaining.randomization_rows(model, x, [*names, *coarse], 2, 1)
    assert [row["method"] for row in rows] == names
    for row in rows:
        assert row["maps"] == 4
        assert row["spearman"] is None or -1 <= row["spearman"] <= 1
    jax.clear_caches()


def test_maps_that_are_zero_everywhere_point_nowhere(simulated) -> None:
    maps = np.zeros((len(simulated), 32, 32))
    lenses = np.flatnonzero(simulated.lenses)
    maps[lenses[:5], 3, 4] = 1
    rows = explaining.agreement_rows({"m": maps}, simulated.place, simulated, 1)
    assert {row["images"] for row in rows} == {5}
    assert explaining.agreement_rows({"m": 0 * maps}, simulated.place, simulated, 1) == []


def test_completeness_reaches_the_largest_einstein_radii(simulated) -> None:
    radii = np.linspace(0.5, 2.45, len(simulated))
    wide = dataclasses.replace(simulated, einstein_radius=radii)
    edges = finder.edges_of(POPULATION.source_magnitudes)
    rows = finder.completeness_rows(np.full((1, len(wide)), 0.9), wide, edges)
    for kind in ("lens", *finder.COMPOUND):
        mine = [r for r in rows if (r["kind"], r["quantity"]) == (kind, "einstein_radius")]
        assert sum(r["images"] for r in mine) == (wide.kind == kind).sum()


def test_the_randomization_tests_error_is_that_over_draws(model, simulated, monkeypatch) -> None:
    # Two draws of two maps: equal within a draw, far apart between them.
    draw = np.random.default_rng(0)
    one = draw.normal(size=(8, 8))
    pairs = [(one, one), (one, one), (one, -np.abs(one) + 9), (one, -np.abs(one) + 9)]
    comparisons = [
        SimpleNamespace(method="gradient", repeat=k // 2, trained=a, randomized=b, empty=False)
        for k, (a, b) in enumerate(pairs)
    ]
    monkeypatch.setattr(
        explaining.randomization, "compare", lambda *given, **more: iter(comparisons)
    )
    x = simulated.x[:2].astype(np.float32)
    (row,) = explaining.randomization_rows(model, x, ["gradient"], 2, 1)
    assert row["spearman"] == pytest.approx(0, abs=1e-6)
    # Means of the draws are 1 and -1: their scatter √2 over √2 draws.
    assert row["error"] == pytest.approx(1)
