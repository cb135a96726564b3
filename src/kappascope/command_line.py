"""The ``kappascope`` command: what can be done with files at hand, without the workflow.

Each subcommand is a function that adds its parser (:data:`_SUBCOMMANDS`) and one that runs it. Only
running it may import jax.
"""

import argparse
import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

import kappascope
from kappascope.attribution.command import add_parser as add_attribute
from kappascope.errors import InputError
from kappascope.exchange.command import add_export, add_import
from kappascope.files import check_output, write_json
from kappascope.maps.reading import open_map, open_mask
from kappascope.runtime import available_cores, configure
from kappascope.statistics.registry import PAPER, check_names, names
from kappascope.statistics.settings import ESTIMATORS, Settings, check_pixel_arcmin
from kappascope.stronglens.command import add_parser as add_find_lenses
from kappascope.workflow.doctor import add_parser as add_doctor


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that knows no Greek shows `?`.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except InputError as error:
        print(f"kappascope: error: {error}", file=sys.stderr)
        return 1
    except MemoryError as error:
        print(f"kappascope: error: memory ran out ({error}); ask for less", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Who reads has seen enough (`| head`); what Python would still flush goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


class _Parser(argparse.ArgumentParser):
    """Tells a mistake in one line, and takes -2.35e-2 for a number."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._negative_number_matcher = re.compile(r"^-(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")

    def error(self, message: str) -> NoReturn:
        """End with one line."""
        print(f"kappascope: error: {message}; see {self.prog} --help", file=sys.stderr)
        sys.exit(1)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="kappascope", description=kappascope.__doc__)
    parser.add_argument(
        "--version", action="version", version=f"kappascope {kappascope.__version__}"
    )
    subcommands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for add in _SUBCOMMANDS:
        add(subcommands)
    return parser


LARGEST_SMOOTHING_ARCMIN = 60.0 * 360.0
"""Once around the sky."""


# ---- measure -------------------------------------------------------------------------------------


def _add_measure(subcommands: Any) -> None:
    parser = subcommands.add_parser(
        "measure",
        help="measure power spectrum, peaks and Minkowski functionals of maps",
        description="Measure the power spectrum [sr], peaks per unit of convergence and the "
        "Minkowski functionals V0, V1 [1/pixel], V2 [1/pixel^2] of convergence maps (FITS, NPY or "
        "HDF5), as they are and smoothed, in float64, and write them as JSON. Bins that hold no "
        "Fourier mode are null, and so is what a mask leaves no pixel for.",
    )
    parser.add_argument("maps", nargs="+", metavar="MAP", type=Path)
    parser.add_argument(
        "--mask",
        type=Path,
        help="file of the maps' size, 1 where they are observed and 0 elsewhere; masked pixels "
        "leave every statistic, and so do peaks and gradients that touch them; the power spectrum "
        "is that of the masked map over f_sky",
    )
    parser.add_argument(
        "--image",
        metavar="NAME",
        help="image in files that hold several: a FITS extension's name or number, or an HDF5 "
        "dataset (default: the one called convergence or kappa)",
    )
    parser.add_argument(
        "--pixel-arcmin", type=float, help="side of a pixel [arcmin] (default: the map's header)"
    )
    parser.add_argument(
        "--smoothing-arcmin",
        type=float,
        default=1.0,
        help="standard deviation of the Gaussian [arcmin], 0 for none (default: %(default)g)",
    )
    parser.add_argument(
        "--estimator",
        choices=ESTIMATORS,
        default=ESTIMATORS[0],
        help="of the power spectrum and of peaks: every mode once and ties no peaks, or LensTools' "
        "half plane and single precision (default: %(default)s)",
    )
    parser.add_argument(
        "--also",
        metavar="NAME,NAME,...",
        default="",
        help="further statistics beside the paper's five: "
        + ", ".join(name for name in names() if name not in PAPER),
    )
    parser.add_argument("--bins", type=int, default=20, help="default: %(default)d")
    _add_range(parser, "--ell-range", (100.0, 15000.0))
    _add_range(parser, "--kappa-range", (-0.0235, 0.0704))
    parser.add_argument(
        "--open-edges",
        action="store_true",
        help="leave out pixels whose neighbours lie beyond the map's edge, instead of joining "
        "opposite edges as LensTools does",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT.json", help="file to write"
    )
    parser.set_defaults(run=_measure)


def _add_range(parser: argparse.ArgumentParser, name: str, default: tuple[float, float]) -> None:
    parser.add_argument(
        name,
        nargs=2,
        type=float,
        default=default,
        metavar=("LOW", "HIGH"),
        help=f"default: {default[0]:g} {default[1]:g}",
    )


def _measure(options: argparse.Namespace) -> None:
    check_names(name for name in options.also.split(",") if name)
    if not 0 <= options.smoothing_arcmin <= LARGEST_SMOOTHING_ARCMIN:
        raise InputError(
            f"--smoothing-arcmin: got {options.smoothing_arcmin:g}; give 0 (none) to "
            f"{LARGEST_SMOOTHING_ARCMIN:g} arcmin"
        )
    if options.pixel_arcmin is not None:
        check_pixel_arcmin(options.pixel_arcmin)
    check_output(options.output, "-o", (".json",), [*options.maps, options.mask])
    names = [path.name for path in options.maps]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{name}: two maps of this name; results are listed by file name")
    mask = None if options.mask is None else open_mask(options.mask)
    maps, pixel_arcmin = _opened(options, mask)
    # All is refused that can be before jax starts up.
    settings = Settings.from_ranges(
        pixel_arcmin,
        options.bins,
        options.ell_range,
        options.kappa_range,
        options.estimator,
        not options.open_edges,
    )
    for path, map_ in zip(options.maps, maps, strict=True):
        _check_ranges(path, map_ if mask is None else map_[mask], len(map_), settings)
    configure(threads=available_cores(), x64=True)
    results = {}
    for name, map_ in zip(names, maps, strict=True):
        results[name] = _measured_both(map_, mask, settings, options)
    write_json(
        options.output,
        {
            "ell_edges": list(settings.ell_edges),
            "kappa_edges": list(settings.kappa_edges),
            "estimator": settings.estimator,
            "periodic": settings.periodic,
            "mask": None if options.mask is None else options.mask.name,
            "maps": results,
        },
    )


def _opened(options: argparse.Namespace, mask: np.ndarray | None) -> tuple[list[np.ndarray], float]:
    """Return the maps, (y, x) float64 each, and the one side of their pixels [arcmin]."""
    maps: list[np.ndarray] = []
    scales: list[float] = []
    for path in options.maps:
        map_, pixel_arcmin = open_map(
            path, mask=mask, image=options.image, pixel_arcmin=options.pixel_arcmin
        )
        if pixel_arcmin is None:
            raise InputError(
                f"{path}: its header does not say the pixel scale; give --pixel-arcmin"
            )
        if scales and not np.isclose(pixel_arcmin, scales[0], rtol=1e-6, atol=0):
            raise InputError(
                f"{path}: its pixels are {pixel_arcmin:.6g} arcmin, those of {options.maps[0]} "
                f"{scales[0]:.6g}; measure maps of different pixel scale one by one"
            )
        maps.append(map_.astype(np.float64))
        scales.append(pixel_arcmin)
    return maps, scales[0]


def _check_ranges(path: Path, seen: np.ndarray, pixels: int, settings: Settings) -> None:
    """Refuse ranges in which nothing of a map lies: all its statistics would be zeros."""
    low, high = settings.kappa_edges[0], settings.kappa_edges[-1]
    if not ((seen >= low) & (seen < high)).any():
        raise InputError(
            f"--kappa-range: no pixel of {path} lies between {low:g} and {high:g}; they reach from "
            f"{seen.min():g} to {seen.max():g}"
        )
    longest = 360.0 * 60.0 / (settings.pixel_arcmin * pixels)
    shortest = longest * (pixels // 2) * np.sqrt(2)
    if settings.ell_edges[0] >= shortest or settings.ell_edges[-1] < longest:
        raise InputError(
            f"--ell-range: no Fourier mode of {path} lies between {settings.ell_edges[0]:g} and "
            f"{settings.ell_edges[-1]:g}; with pixels of {settings.pixel_arcmin:g} arcmin they "
            f"reach from {longest:.4g} to {shortest:.4g}"
        )


_KEYS = {
    "peaks": "peak_counts_per_kappa",
    "v0": "V0",
    "v1": "V1_per_pixel",
    "v2": "V2_per_pixel2",
}


def _measured_both(
    map_: np.ndarray, mask: np.ndarray | None, settings: Settings, options: argparse.Namespace
) -> dict[str, Any]:
    also = [name for name in options.also.split(",") if name and name not in PAPER]
    results = {
        "angle_deg": settings.pixel_arcmin * len(map_) / 60.0,
        "raw": _one(map_, mask, settings, also),
    }
    if options.smoothing_arcmin:
        smoothed, kept = _smoothed(map_, mask, settings.pixel_arcmin, options)
        name = f"smoothed_{options.smoothing_arcmin:g}arcmin_fft"
        results[name] = _one(smoothed, kept, settings, also)
    return results


def _smoothed(
    map_: np.ndarray, mask: np.ndarray | None, pixel_arcmin: float, options: argparse.Namespace
) -> tuple[np.ndarray, np.ndarray | None]:
    from kappascope.maps.smoothing import smooth, smooth_masked

    sigma_pixels = options.smoothing_arcmin / pixel_arcmin
    if mask is None:
        return np.asarray(smooth(map_[None], sigma_pixels)[0]), None
    batch, smaller = smooth_masked(map_[None], mask, sigma_pixels)
    kept = np.asarray(smaller)
    if not kept.any():
        raise InputError(
            f"{options.mask}: nothing observed is left after smoothing by "
            f"{options.smoothing_arcmin:g} arcmin; smooth less"
        )
    return np.asarray(batch[0]), kept


def _one(
    map_: np.ndarray, mask: np.ndarray | None, settings: Settings, also: Sequence[str]
) -> dict[str, Any]:
    from kappascope.statistics.kernels import modes_in_bins
    from kappascope.statistics.measure import measure_with

    measured = measure_with(map_[None], settings, (*PAPER, *also), mask)
    unmeasured = _unmeasured(mask, len(map_), settings)
    power = measured["power_spectrum"].values[0].tolist()
    empty = modes_in_bins(len(map_), settings) == 0
    listed = [None if bare else value for bare, value in zip(empty, power, strict=True)]
    return {
        "power_spectrum_ell": settings.ell_centres.tolist(),
        "power_spectrum_sr": listed,
        "peak_thresholds_mid": settings.kappa_centres.tolist(),
        **{
            key: [None] * len(settings.kappa_centres)
            if name in unmeasured
            else measured[name].values[0].tolist()
            for name, key in _KEYS.items()
        },
        **{
            name: {
                "bins": measured[name].centres.tolist(),
                "values": measured[name].values[0].tolist(),
                "units": measured[name].units,
            }
            for name in also
        },
        "std": float(np.std(map_ if mask is None else map_[mask])),
    }


def _unmeasured(mask: np.ndarray | None, pixels: int, settings: Settings) -> set[str]:
    """Return the statistics for which a mask leaves no pixel whose neighbours are all seen."""
    import jax.numpy as jnp

    from kappascope.statistics.kernels import observed

    where = observed(None if mask is None else jnp.asarray(mask), pixels, settings.periodic)
    unmeasured = set()
    if where.neighbours is not None and not where.neighbours.any():
        unmeasured.add("peaks")
    if where.stencil is not None and not where.stencil.any():
        unmeasured |= {"v1", "v2"}
    return unmeasured


_SUBCOMMANDS: tuple[Callable[[Any], None], ...] = (
    _add_measure,
    add_attribute,
    add_import,
    add_export,
    add_find_lenses,
    add_doctor,
)
