"""Watershed segments of convergence maps."""

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st

from kappascope.transforms import segments


def a_map(seed: int, sigma: float = 0.02, pixels: int = 48, blur: float = 2.0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(pixels, pixels))
    smooth = scipy.ndimage.gaussian_filter(noise, blur, mode="wrap")
    return (sigma * smooth / smooth.std()).astype(np.float32)


def test_values_are_cut_as_the_released_notebook_does() -> None:
    """Negative values wrap around; less than one level is zero (design of the notebooks)."""
    values = np.array([[-0.02, -0.003, 0.0, 0.003, 0.1, 0.726]])
    np.testing.assert_array_equal(segments.quantized(values), [[251, 0, 0, 0, 25, 185]])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), sigma=st.floats(0.001, 0.1), most=st.integers(2, 80))
def test_every_pixel_has_a_segment_and_every_label_occurs(
    seed: int, sigma: float, most: int
) -> None:
    labels = segments.divide(a_map(seed, sigma), segments.Settings(most=most))
    assert labels.dtype == np.int16
    assert set(np.unique(labels)) == set(range(labels.max() + 1))
    assert labels.max() + 1 <= most


def test_segments_are_connected_and_ordered_by_size() -> None:
    map_ = a_map(3)
    labels = segments.divide(map_, segments.Settings(most=1000))
    # Specks of foreground without a centre of their own stay with the background.
    assert (labels[segments.quantized(map_) == 0] == 0).all()
    sizes = np.bincount(labels.ravel())[1:]
    assert (np.diff(sizes) <= 0).all() and len(sizes) > 5
    for label in range(1, labels.max() + 1):
        _, pieces = scipy.ndimage.label(labels == label, np.ones((3, 3)))
        assert pieces == 1


def test_segments_keep_to_one_side_of_the_contour() -> None:
    """Overdense and underdense pixels touch only across the background where the map is smooth."""
    map_ = a_map(4, 0.01, blur=4.0)
    labels = segments.divide(map_, segments.Settings(most=1000))
    mixed = [
        label
        for label in range(1, labels.max() + 1)
        if (map_[labels == label] > 0).any() and (map_[labels == label] < 0).any()
    ]
    assert len(mixed) < 0.1 * labels.max()


@pytest.mark.parametrize("value", [0.0, 0.003, -0.003])
def test_a_map_without_structure_is_one_segment(value: float) -> None:
    labels = segments.divide(np.full((32, 32), value, np.float32))
    np.testing.assert_array_equal(labels, 0)


def test_a_map_that_is_all_foreground_is_divided_without_background() -> None:
    labels = segments.divide(np.full((32, 32), 0.5, np.float32))
    assert labels.min() == 0 and set(np.unique(labels)) == set(range(labels.max() + 1))


def test_maps_are_divided_one_by_one() -> None:
    maps = np.stack([a_map(seed) for seed in range(3)])
    together = segments.divide_all(maps)
    for map_, labels in zip(maps, together, strict=True):
        np.testing.assert_array_equal(segments.divide(map_), labels)
