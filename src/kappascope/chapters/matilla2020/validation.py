"""Are the maps what they should be? Moments and power of maps against Limber and halofit."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from kappascope.cosmology.config import Universes
from kappascope.cosmology.model import Cosmology, limber_power, matter_power
from kappascope.maps.dataset import MapSet, SplitMaps
from kappascope.maps.noise import add_shape_noise, shape_noise_sigma
from kappascope.maps.smoothing import smooth
from kappascope.sections import Spec
from kappascope.statistics.kernels import average_over_modes, power_spectrum
from kappascope.tables import Table

MOMENTS = Table(
    "matilla2020/validation_moments.csv, map_properties.csv (fiducial cosmology)",
    "data set × cosmology",
    """data_set, cosmology, omega_matter, sigma_8, maps, sigma_kappa, sigma_kappa_error,
    sigma_expected, skewness, skewness_error, pixel_noise, smoothed_noise""",
)
POWER = Table(
    "matilla2020/validation_power.csv",
    "cosmology × bin",
    """cosmology, omega_matter, sigma_8, ell, power, power_error (of the simulated maps' C_ℓ),
    limber (theory)""",
)


def model(section: Universes, omega_matter: float, sigma_8: float) -> Cosmology:
    """Return the cosmology of one row with the parameters all rows share."""
    return Cosmology(
        omega_matter,
        sigma_8,
        section.hubble,
        section.omega_baryon,
        section.spectral_index,
    )


def expected_sigma(
    cosmology: Cosmology, source_redshift: float, smoothing_arcmin: float, field_arcmin: float
) -> float:
    """Return the r.m.s. of smoothed κ about the mean of a square field, from Limber and halofit.

    A field does not know of waves much longer than itself: with S the transform of the square,
    σ² = ∫ d²ℓ/(2π)² C(ℓ) exp(-ℓ²θ²) (1 - |S(ℓ)|²).
    """
    power = matter_power(cosmology)
    ell = np.logspace(0.5, 4.7, 600)
    angle = (np.arange(24) + 0.5) / 24 * (math.pi / 4)
    side = math.radians(field_arcmin / 60.0) / (2 * math.pi)
    inside = np.sinc(np.outer(ell, np.cos(angle)) * side) ** 2
    inside *= np.sinc(np.outer(ell, np.sin(angle)) * side) ** 2
    beam = np.exp(-((ell * math.radians(smoothing_arcmin / 60.0)) ** 2))
    spectrum = limber_power(cosmology, power, ell, source_redshift)
    integrand = ell**2 * spectrum * beam * (1 - inside.mean(1)) / (2 * math.pi)
    return float(np.sqrt(np.trapezoid(integrand, np.log(ell))))


def chosen_cosmologies(rows: Sequence[Sequence[float]], fiducial: int, number: int) -> list[int]:
    """Pick the fiducial and cosmologies spread evenly in Ω_m."""
    ordered = sorted((row for row in rows if row[0] != fiducial), key=lambda row: row[1])
    places = np.linspace(0, len(ordered) - 1, min(number - 1, len(ordered))).round().astype(int)
    return [fiducial, *(int(ordered[place][0]) for place in places)]


def _moments(second: np.ndarray, third: np.ndarray) -> tuple[float, float, float, float]:
    """σ and skewness over all maps, with errors from the maps' scatter.

    second, third : (map) each map's mean square and cube about its mean.
    """
    sigma = math.sqrt(second.mean())
    skewness = third.mean() / sigma**3
    count = math.sqrt(len(second))
    influence = third / sigma**3 - 1.5 * skewness * second / sigma**2
    return (
        sigma,
        float(second.std() / (2 * sigma) / count),
        float(skewness),
        float(influence.std() / count),
    )


def validate(
    paths: Sequence[str | Path],
    spec: Spec,
    cosmologies: Sequence[tuple[int, float, float]],
    fiducial: int,
    most_maps: int = 2000,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, np.ndarray]]:
    """Measure moments and power of the maps of a few cosmologies.

    Parameters
    ----------
    paths : batches of maps.
    spec : config sections ``cosmology``, ``maps``, ``noise``, ``seed`` and ``data_sets``.
    cosmologies : (number, Ω_m, σ8) of each.
    fiducial : number of the fiducial.
    most_maps : maps used of a cosmology.

    Returns
    -------
    Moment rows, power rows, and arrays for figures: ``gallery_{data_set}`` (map, y, x),
    ``pdf_{data_set}`` (bin), ``pdf_edges`` (bin + 1) in units of σ.

    """
    files = [Path(path) for path in paths]
    # Read some at a time: a run may have a hundred thousand.
    testing = SplitMaps(files, "testing", most_bytes=0)
    # At the fiducial the covariance maps come from more boxes, which settles low multipoles.
    covariance = SplitMaps(files, "covariance", most_bytes=0)
    moments: list[dict[str, Any]] = []
    power_rows: list[dict[str, Any]] = []
    arrays: dict[str, np.ndarray] = {"pdf_edges": np.linspace(-4, 8, 61)}
    for number in chosen_cosmologies(cosmologies, fiducial, 5):
        many = number == fiducial and (covariance.columns.cosmology == number).any()
        source = covariance if many else testing
        rows = np.flatnonzero(source.columns.cosmology == number)[:most_maps]
        if not len(rows):
            continue
        maps = _Maps(source, rows)
        columns = source.columns
        omega_matter = float(columns.omega_matter[rows[0]])
        sigma_8 = float(columns.sigma_8[rows[0]])
        cosmology = model(spec.cosmology, omega_matter, sigma_8)
        named = {"cosmology": number, "omega_matter": omega_matter, "sigma_8": sigma_8}
        redshift = spec.maps.source_redshift
        power_rows += _power_rows(maps, cosmology, named, redshift)
        clean = expected_sigma(
            cosmology, redshift, spec.maps.smoothing_arcmin, maps.pixel * maps.pixels
        )
        for data_set in spec.data_sets:
            row, pictures = _moment_row(maps, data_set, clean, spec)
            moments.append({"data_set": data_set, **named, **row})
            if number == fiducial:
                arrays[f"gallery_{data_set}"] = pictures
                arrays[f"pdf_{data_set}"] = _density(
                    maps, data_set, spec, row["sigma_kappa"], arrays["pdf_edges"]
                )
    arrays["field_arcmin"] = np.array(testing.columns.pixel_arcmin * testing.pixels)
    return moments, power_rows, arrays


PIECE_BYTES = 32 * 2**20
"""Maps in memory at a time."""


@dataclasses.dataclass(frozen=True)
class _Maps:
    """Some rows of a split, read in pieces."""

    source: SplitMaps
    rows: np.ndarray

    @property
    def pixel(self) -> float:
        return self.source.columns.pixel_arcmin

    @property
    def pixels(self) -> int:
        return self.source.pixels

    def pieces(self) -> Iterator[MapSet]:
        size = max(1, PIECE_BYTES // (4 * self.pixels**2))
        for start in range(0, len(self.rows), size):
            yield self.source.select(self.rows[start : start + size])


def _smoothed(piece: MapSet, data_set: str, spec: Spec) -> np.ndarray:
    """Return maps (map, y, x) of a piece as a data set shows them."""
    noise = spec.noise
    seen = piece.convergence
    if data_set == "noisy":
        seen = add_shape_noise(piece, spec.seed, noise.galaxies_per_arcmin2, noise.ellipticity_rms)
    return np.asarray(smooth(seen, spec.maps.smoothing_arcmin / piece.pixel_arcmin))


def _moment_row(
    maps: _Maps, data_set: str, clean: float, spec: Spec
) -> tuple[dict[str, Any], np.ndarray]:
    """Moments of smoothed maps beside what theory expects, and the first three maps."""
    noise, smoothing = spec.noise, spec.maps.smoothing_arcmin
    white = 0.0
    if data_set == "noisy":
        white = shape_noise_sigma(maps.pixel, noise.galaxies_per_arcmin2, noise.ellipticity_rms)
    # White noise under a Gaussian of width s pixels keeps 1/(2 s √π) of its scatter.
    soft = white / (2 * smoothing / maps.pixel * math.sqrt(math.pi))
    second: list[np.ndarray] = []
    third: list[np.ndarray] = []
    pictures: list[np.ndarray] = []
    for piece in maps.pieces():
        smoothed = _smoothed(piece, data_set, spec)
        pictures.append(smoothed[: max(3 - 3 * len(pictures), 0)])
        centred = smoothed - smoothed.mean((1, 2), keepdims=True)
        second.append((centred**2).mean((1, 2)))
        third.append((centred**3).mean((1, 2)))
    sigma, sigma_error, skewness, skewness_error = _moments(
        np.concatenate(second), np.concatenate(third)
    )
    row = {
        "maps": len(maps.rows),
        "sigma_kappa": sigma,
        "sigma_kappa_error": sigma_error,
        "sigma_expected": math.hypot(clean, soft),
        "skewness": skewness,
        "skewness_error": skewness_error,
        "pixel_noise": white,
        "smoothed_noise": soft,
    }
    return row, np.concatenate(pictures)


def _density(maps: _Maps, data_set: str, spec: Spec, sigma: float, edges: np.ndarray) -> np.ndarray:
    """One-point distribution (bin) of smoothed maps in units of their r.m.s."""
    counts = np.zeros(len(edges) - 1)
    for piece in maps.pieces():
        smoothed = _smoothed(piece, data_set, spec)
        scaled = (smoothed - smoothed.mean((1, 2), keepdims=True)) / sigma
        counts += np.histogram(scaled, edges)[0]
    return counts / counts.sum() / np.diff(edges)


def _power_rows(
    maps: _Maps, cosmology: Cosmology, named: Mapping[str, Any], source_redshift: float
) -> list[dict[str, Any]]:
    pixels = maps.pixels
    fundamental = 360 * 60 / (pixels * maps.pixel)
    edges = np.geomspace(0.9 * fundamental, 0.5 * fundamental * pixels, 19).tolist()
    measured = np.concatenate(
        [
            np.asarray(power_spectrum(jnp.asarray(piece.convergence), maps.pixel, edges))
            for piece in maps.pieces()
        ]
    )
    power = matter_power(cosmology)

    def limber(ell: np.ndarray) -> np.ndarray:
        # Smooth enough to interpolate: a map has ten thousand distinct multipoles.
        nodes = np.geomspace(ell.min() * 0.999, ell.max() * 1.001, 200)
        values = limber_power(cosmology, power, nodes, source_redshift)
        return np.exp(np.interp(np.log(ell), np.log(nodes), np.log(values)))

    expected = average_over_modes(limber, pixels, maps.pixel, edges)
    ell = average_over_modes(lambda multipole: multipole, pixels, maps.pixel, edges)
    mean = measured.mean(0)
    error = measured.std(0) / math.sqrt(len(maps.rows))
    return [
        {
            **named,
            "ell": ell[k],
            "power": mean[k],
            "power_error": error[k],
            "limber": expected[k],
        }
        for k in np.flatnonzero(np.isfinite(ell))
    ]
