"""``kappascope find-lenses``: score cut-outs of real images and draw why.

Nothing here imports jax before the command runs.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kappascope import progress
from kappascope.errors import InputError
from kappascope.files import check_output, write_csv
from kappascope.runtime import available_cores, configure

COLUMNS = (
    *("name", "lens_percent", "network", "bands", "files", "native_pixel_arcsec"),
    *("pixel_arcsec", "field_arcsec", "shift_arcsec", "filled_percent", "noise", "scaling"),
)
"""Of the scores; files, native pixels and noise are those of each band."""
DRAWN = 8
"""Objects on a figure."""


def add_parser(subcommands: Any) -> None:
    """Add the subcommand."""
    parser = subcommands.add_parser(
        "find-lenses",
        help="score cut-outs of real images with a lens finder, and draw what it looks at",
        description="Resample cut-outs, flux kept, to the pixels of a lens finder, scale them as "
        "its about.json says, and write the probability of a lens with all that was done to each "
        "image. FILE is a FITS image of one band (OBJECT_BAND.fits, or FILTER in its header, or "
        "BAND=FILE), a FITS file with an extension for each band, or an NPZ archive "
        "(docs/how-to/find-lenses.md). NaN, values beyond 1e10 and masked pixels are no data: "
        "extensions called MASK, DQ or BAD are bad where they are set, WHT, WEIGHT and IVAR where "
        "they are zero.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument(
        "--network",
        required=True,
        metavar="DIR|NAME",
        help="folder of a network with about.json, or a released one: OU-66, OU-VIS, ...",
    )
    parser.add_argument(
        "--band",
        action="append",
        default=[],
        metavar="BAND=NAME",
        help="what the files call a band of the network, for example VIS=F814W",
    )
    parser.add_argument(
        "--mask", type=Path, metavar="MASK.fits", help="of the images' size, 0 where they are good"
    )
    parser.add_argument(
        "--pixel-arcsec", type=float, metavar="P", help="side of a pixel (default: the header's)"
    )
    parser.add_argument(
        "--fill",
        action="store_true",
        help="take images that cover the network's field in part: the rest gets sky and noise",
    )
    parser.add_argument(
        "--method",
        action="append",
        default=[],
        metavar="NAME",
        help="explanation to draw, of kappascope attribute --list (default: guided Grad-CAM and "
        "Grad-CAM of the last map, gradient)",
    )
    parser.add_argument("--figure", type=Path, metavar="OUT.png", help="draw images and maps")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.csv")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    side = options.pixel_arcsec
    if side is not None and not 0 < side < math.inf:
        raise InputError(f"--pixel-arcsec: got {side:g}; give the side of a pixel [arcsec]")
    from kappascope.stronglens import cutouts, finders

    finder = finders.named(options.network)
    paths = [cutouts.given(file, finder.bands)[1] for file in options.files]
    check_output(options.output, "-o", (".csv",), [*paths, options.mask])
    if options.figure is not None:
        check_output(options.figure, "--figure", (".png",), [*paths, options.mask])
        check_output(options.figure.with_suffix(".pdf"), "--figure", (".pdf",), paths)
    called = _called(options.band, finder.bands)
    objects = cutouts.read(options.files, finder.bands, called, options.mask, side)
    brought = [cutouts.bring(each, finder, options.fill) for each in objects]
    configure(threads=available_cores())
    from kappascope.networks.evaluate import evaluate

    x = np.stack([each.x for each in brought])
    logits = evaluate(*finder.model, x).astype(float)[:, : len(finder.outputs)]
    scores = np.exp(logits - np.logaddexp.reduce(logits, 1)[:, None])[:, finder.lens]
    rows = [_row(each, finder, score) for each, score in zip(brought, scores, strict=True)]
    if options.figure is not None:
        _draw(options, finder, brought, x, scores, paths)
    write_csv(options.output, rows, COLUMNS)
    for each, score in zip(brought, scores, strict=True):
        print(f"{each.name}: {100 * score:.1f} % lens")


def _called(given: Sequence[str], bands: Sequence[str]) -> dict[str, str]:
    called = {}
    for each in given:
        band, found, name = each.partition("=")
        if not found or not name or band not in bands:
            raise InputError(
                f"--band: got {each}; give BAND=NAME, with a band of the network "
                f"({', '.join(bands)})"
            )
        called[band] = name
    return called


def _row(brought: Any, finder: Any, score: float) -> dict[str, Any]:
    def joined(values: Sequence[Any]) -> str:
        return " ".join(v if isinstance(v, str) else f"{v:.4g}" for v in values)

    return {
        "name": brought.name,
        "lens_percent": 100 * float(score),
        "network": finder.name,
        "bands": joined(finder.bands),
        "files": joined(brought.sources),
        "native_pixel_arcsec": joined(brought.native_arcsec),
        "pixel_arcsec": finder.pixel_arcsec,
        "field_arcsec": finder.field_arcsec,
        "shift_arcsec": brought.shift_arcsec,
        "filled_percent": brought.filled_percent,
        "noise": joined(brought.noise.tolist()),
        "scaling": finder.scaling,
    }


def _draw(
    options: argparse.Namespace,
    finder: Any,
    brought: Sequence[Any],
    x: np.ndarray,
    scores: Any,
    paths: Sequence[Path],
) -> None:
    from kappascope.attribution.methods import find, image_relevance
    from kappascope.networks.module import last_map
    from kappascope.reporting.style import provenance, save_figure
    from kappascope.stronglens.cutout_figure import explained

    names = options.method
    if not names:
        node = last_map(*finder.model)
        names = ["gradient"]
        if node is not None:
            names = [f"guided_grad_cam.{node}", f"grad_cam.{node}", "gradient"]
    for name in names:
        find(name, finder.model[0])
    order = np.argsort(-scores, kind="stable")[:DRAWN]
    maps = {}
    with progress.bar(len(names), "explain", unit="method") as shown:
        for name in names:
            maps[name] = image_relevance(
                name, finder.model, x[order], finder.lens, 0, min(16, len(order))
            )
            shown.update()
    chosen = [brought[k] for k in order]
    figure = explained(chosen, 100 * scores[order], maps, finder)
    save_figure(figure, options.figure.with_suffix(""), provenance(paths, network=finder.name))
