"""Are the maps what they should be? Moments and power of maps against Limber and halofit."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from kappascope.maps.dataset import MapSet, read_maps
from kappascope.maps.noise import add_shape_noise, shape_noise_sigma
from kappascope.maps.smoothing import smooth
from kappascope.simulation.cosmology import Cosmology, limber_power, matter_power
from kappascope.statistics.kernels import average_over_modes, power_spectrum

MOMENT_COLUMNS = (
    "data_set",
    "cosmology",
    "omega_matter",
    "sigma_8",
    "maps",
    "sigma_kappa",
    "sigma_kappa_error",
    "sigma_expected",
    "skewness",
    "skewness_error",
    "pixel_noise",
    "smoothed_noise",
)
POWER_COLUMNS = ("cosmology", "omega_matter", "sigma_8", "ell", "power", "power_error", "limber")


def model(section: Mapping[str, Any], omega_matter: float, sigma_8: float) -> Cosmology:
    """Return the cosmology of one row with the parameters all rows share."""
    return Cosmology(
        omega_matter,
        sigma_8,
        section["hubble"],
        section["omega_baryon"],
        section["spectral_index"],
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


def _moments(maps: np.ndarray) -> tuple[float, float, float, float]:
    """σ and skewness about each map's mean, over all maps, with errors from the maps' scatter."""
    centred = maps - maps.mean((1, 2), keepdims=True)
    second, third = (centred**2).mean((1, 2)), (centred**3).mean((1, 2))
    sigma = math.sqrt(second.mean())
    skewness = third.mean() / sigma**3
    count = math.sqrt(len(maps))
    influence = third / sigma**3 - 1.5 * skewness * second / sigma**2
    return (
        sigma,
        float(second.std() / (2 * sigma) / count),
        float(skewness),
        float(influence.std() / count),
    )


def validate(
    paths: Sequence[str | Path], spec: Mapping[str, Any], most_maps: int = 2000
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, np.ndarray]]:
    """Measure moments and power of the maps of a few cosmologies.

    Parameters
    ----------
    paths : batches of maps.
    spec : config sections ``cosmology``, ``maps``, ``noise``, ``seed``, the rows ``cosmologies``,
        the ``fiducial`` row and ``data_sets``.
    most_maps : maps used of a cosmology.

    Returns
    -------
    Moment rows, power rows, and arrays for figures: ``gallery_{data_set}`` (map, y, x),
    ``pdf_{data_set}`` (bin), ``pdf_edges`` (bin + 1) in units of σ.

    """
    files = [Path(path) for path in paths]
    testing = read_maps(files, split="testing")
    # At the fiducial the covariance maps come from more boxes, which settles low multipoles.
    covariance = read_maps(files, split="covariance")
    maps, noise = spec["maps"], spec["noise"]
    pixel, size = testing.pixel_arcmin, None
    moments: list[dict[str, Any]] = []
    power_rows: list[dict[str, Any]] = []
    arrays: dict[str, np.ndarray] = {"pdf_edges": np.linspace(-4, 8, 61)}
    for number in chosen_cosmologies(spec["cosmologies"], spec["fiducial"], 5):
        many = number == spec["fiducial"] and (covariance.cosmology == number).any()
        source = covariance if many else testing
        mine = source.select(np.flatnonzero(source.cosmology == number)[:most_maps])
        if not len(mine):
            continue
        assert mine.convergence is not None
        size = mine.convergence.shape[-1]
        omega_matter, sigma_8 = float(mine.omega_matter[0]), float(mine.sigma_8[0])
        cosmology = model(spec["cosmology"], omega_matter, sigma_8)
        named = {"cosmology": number, "omega_matter": omega_matter, "sigma_8": sigma_8}
        power_rows += _power_rows(mine, cosmology, named, maps["source_redshift"])
        clean = expected_sigma(
            cosmology, maps["source_redshift"], maps["smoothing_arcmin"], pixel * size
        )
        for data_set in spec["data_sets"]:
            white = 0.0
            seen = mine.convergence
            if data_set == "noisy":
                white = shape_noise_sigma(
                    pixel, noise["galaxies_per_arcmin2"], noise["ellipticity_rms"]
                )
                seen = add_shape_noise(
                    mine, spec["seed"], noise["galaxies_per_arcmin2"], noise["ellipticity_rms"]
                )
            smoothed = np.asarray(smooth(seen, maps["smoothing_arcmin"] / pixel))
            # White noise under a Gaussian of width s pixels keeps 1/(2 s √π) of its scatter.
            soft = white / (2 * maps["smoothing_arcmin"] / pixel * math.sqrt(math.pi))
            sigma, sigma_error, skewness, skewness_error = _moments(smoothed)
            moments.append(
                {
                    "data_set": data_set,
                    **named,
                    "maps": len(mine),
                    "sigma_kappa": sigma,
                    "sigma_kappa_error": sigma_error,
                    "sigma_expected": math.hypot(clean, soft),
                    "skewness": skewness,
                    "skewness_error": skewness_error,
                    "pixel_noise": white,
                    "smoothed_noise": soft,
                }
            )
            if number == spec["fiducial"]:
                arrays[f"gallery_{data_set}"] = smoothed[:3]
                scaled = (smoothed - smoothed.mean((1, 2), keepdims=True)) / sigma
                arrays[f"pdf_{data_set}"] = np.histogram(scaled, arrays["pdf_edges"], density=True)[
                    0
                ]
    arrays["field_arcmin"] = np.array(pixel * (size or 0))
    return moments, power_rows, arrays


def _power_rows(
    mine: MapSet, cosmology: Cosmology, named: Mapping[str, Any], source_redshift: float
) -> list[dict[str, Any]]:
    assert mine.convergence is not None
    pixels = mine.convergence.shape[-1]
    fundamental = 360 * 60 / (pixels * mine.pixel_arcmin)
    edges = np.geomspace(0.9 * fundamental, 0.5 * fundamental * pixels, 19).tolist()
    maps = jnp.asarray(mine.convergence)
    measured = np.asarray(power_spectrum(maps, mine.pixel_arcmin, edges))
    power = matter_power(cosmology)

    def limber(ell: np.ndarray) -> np.ndarray:
        # Smooth enough to interpolate: a map has ten thousand distinct multipoles.
        nodes = np.geomspace(ell.min() * 0.999, ell.max() * 1.001, 200)
        values = limber_power(cosmology, power, nodes, source_redshift)
        return np.exp(np.interp(np.log(ell), np.log(nodes), np.log(values)))

    expected = average_over_modes(limber, pixels, mine.pixel_arcmin, edges)
    ell = average_over_modes(lambda multipole: multipole, pixels, mine.pixel_arcmin, edges)
    mean = measured.mean(0)
    error = measured.std(0) / math.sqrt(len(mine))
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
