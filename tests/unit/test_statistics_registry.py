"""The registry and the statistics beyond the paper."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kappascope.errors import InputError
from kappascope.statistics.measure import measure
from kappascope.statistics.registry import PAPER, check_names, names, statistic
from kappascope.statistics.starlet import SCALES
from kappascope.transforms.starlet import starlet

PIXELS = 32
lawful = settings(deadline=None, max_examples=8, derandomize=True)
seeds = st.integers(0, 2**32 - 1)


def maps(seed: int, number: int = 2) -> np.ndarray:
    draws = np.random.default_rng(seed).standard_normal((number, PIXELS, PIXELS))
    return (0.01 * draws).astype(np.float32)


def measured(values: np.ndarray, *wanted: str, **options: object) -> list[np.ndarray]:
    found = measure(values, wanted, pixel_arcmin=0.8, **options)  # type: ignore[arg-type]
    return [found[name].values for name in wanted]


@pytest.mark.parametrize("name", names())
def test_every_statistic_is_a_vector_with_centres_units_and_a_label(name: str) -> None:
    entry = statistic(name)
    result = measure(maps(1), [name], pixel_arcmin=0.8)[name]
    assert result.values.shape == (2, len(result.centres))
    assert np.isfinite(result.values).all()
    assert np.all(np.diff(result.centres) > 0)
    assert result.units == entry.units and entry.label and entry.bin_units and entry.description


@pytest.mark.parametrize("name", names())
def test_every_statistic_is_the_same_alone_and_with_others(name: str) -> None:
    alone = measure(maps(1), [name], pixel_arcmin=0.8)[name].values
    together = measure(maps(1), names(), pixel_arcmin=0.8)[name].values
    np.testing.assert_allclose(alone, together, rtol=1e-6, atol=1e-7 * np.abs(alone).max())


@pytest.mark.parametrize("name", names())
def test_every_statistic_leaves_masked_pixels_out(name: str) -> None:
    mask = np.ones((PIXELS, PIXELS), dtype=bool)
    mask[4:9, 12:20] = False
    changed = np.where(mask, maps(1), 5.0).astype(np.float32)
    np.testing.assert_array_equal(
        measured(maps(1), name, mask=mask)[0], measured(changed, name, mask=mask)[0]
    )


def test_the_papers_five_come_first() -> None:
    assert names()[:5] == PAPER
    assert [statistic(name).label for name in PAPER] == ["PS", "PC", "V0", "V1", "V2"]


def test_an_unknown_name_is_one_line_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"got 'peak'.*did you mean peaks") as caught:
        check_names(["v0", "peak"])
    assert "\n" not in str(caught.value)


def test_listing_names_needs_no_jax() -> None:
    code = (
        "import sys, kappascope.statistics.registry as r; r.names(); "
        "import kappascope.command_line; sys.exit('jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@lawful
@given(seeds)
def test_the_pdf_holds_every_pixel(seed: int) -> None:
    (pdf,) = measured(maps(seed), "pdf", kappa_range=(-0.2, 0.2))
    np.testing.assert_allclose(pdf.sum(axis=1) * 0.4 / 20, 1.0, rtol=1e-5)
    histogram, _ = np.histogram(maps(seed)[0], bins=20, range=(-0.2, 0.2), density=True)
    np.testing.assert_allclose(pdf[0], histogram, rtol=1e-4, atol=1e-4)


@lawful
@given(seeds, st.booleans())
def test_minima_are_the_peaks_of_the_negative_map(seed: int, periodic: bool) -> None:
    (minima,) = measured(maps(seed), "minima", kappa_range=(-0.04, 0.02), periodic=periodic)
    (peaks,) = measured(-maps(seed), "peaks", kappa_range=(-0.02, 0.04), periodic=periodic)
    np.testing.assert_allclose(minima, peaks[:, ::-1])
    assert minima.sum() > 0


@lawful
@given(seeds)
def test_starlet_scales_add_up_to_the_map(seed: int) -> None:
    map_ = maps(seed, 1)[0]
    parts = [np.asarray(part) for part in starlet(map_, SCALES)]
    assert len(parts) == SCALES + 1
    np.testing.assert_allclose(sum(parts), map_, atol=1e-7)
    for part in parts[:-1]:
        assert abs(part.mean()) < 1e-8


@lawful
@given(seeds)
def test_starlet_norms_add_up_over_amplitudes(seed: int) -> None:
    (norms,) = measured(maps(seed, 1), "starlet_l1", bins=10, kappa_range=(-0.005, 0.005))
    wanted = [np.abs(np.asarray(part)).mean() for part in starlet(maps(seed, 1)[0], SCALES)]
    np.testing.assert_allclose(norms.reshape(SCALES + 1, 10).sum(axis=1), wanted, rtol=1e-4)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"bins": 0}, "bins: got 0"),
        ({"ell_range": (0.0, 10.0)}, "ell_range"),
        ({"ell_range": (100.0, 10.0)}, "ell_range"),
        ({"kappa_range": (0.1, -0.1)}, "kappa_range"),
        ({"estimator": "half"}, "estimator: got 'half'; allowed: full, lenstools"),
    ],
)
def test_impossible_settings_are_one_line(option: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        measured(maps(1), "v0", **option)


def test_the_starlet_smooths_by_the_dilated_b3_spline() -> None:
    """Starck et al. (2007): 1, 4, 6, 4, 1 over 16 along each axis, 2^j pixels apart at scale j."""
    point = np.zeros((32, 32), np.float32)
    point[16, 16] = 1.0
    _, _, coarse = (np.asarray(part) for part in starlet(point, 2))
    spline = np.array([1, 4, 6, 4, 1]) / 16
    dilated = np.zeros(9)
    dilated[::2] = spline
    profile = np.convolve(spline, dilated)  # 13 pixels, the middle one at 16
    wanted = np.zeros((32, 32))
    wanted[10:23, 10:23] = np.outer(profile, profile)
    np.testing.assert_allclose(coarse, wanted, atol=1e-7)
