"""``kappascope attribute``: explain a network in the exchange format, without the workflow.

Nothing here imports jax before the command runs.
"""

import argparse
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from kappascope import progress
from kappascope.attribution import labels
from kappascope.errors import InputError, reason
from kappascope.files import check_output, is_special, write_array, write_arrays, write_json
from kappascope.maps.reading import one_array, without_data
from kappascope.runtime import available_cores, configure
from kappascope.statistics.settings import check_pixel_arcmin
from kappascope.transforms.registry import TRANSFORMS

BATCH = 16
LARGEST = 1e10
"""No input of a network is further from zero; -1.6e30 (UNSEEN) or 1e20 is no data."""


def add_parser(subcommands: Any) -> None:
    """Add the subcommand."""
    parser = subcommands.add_parser(
        "attribute",
        help="explain a network's outputs: relevance of every pixel",
        description="Explain the outputs of a network (network.json and network.npz in a folder) "
        "by one attribution method, in float32, and write the relevance of every pixel as NPY, "
        "(output, batch, ...). What the method does by convention is written beside it, to "
        "OUT.conventions.json. With --transform fft the relevance of frequencies instead, "
        "(output, batch, band), with another transform that of its coefficients, (output, batch, "
        "...). The methods cd, cd_rest and cd_fair (contextual decomposition) say what part of the "
        "outputs comes from a part of the input, --relevant or bands, and writes an NPZ with "
        "relevant and irrelevant, (batch, output) or (band, batch, output).",
    )
    parser.add_argument("--list", action="store_true", help="print all methods and stop")
    parser.add_argument("--network", type=Path, metavar="DIR", help="folder of the network")
    parser.add_argument("--method", metavar="NAME", help="one of --list")
    parser.add_argument(
        "--inputs",
        type=Path,
        metavar="X.npy",
        help="(batch, y, x, channel), or (batch, y, x) for one channel "
        "(default: the array x of network.npz)",
    )
    parser.add_argument(
        "--relevant", type=Path, metavar="R.npy", help="part of the inputs that cd follows"
    )
    parser.add_argument(
        "--transform",
        metavar="NAME",
        help="explain coefficients instead of pixels: " + ", ".join(TRANSFORMS.names()),
    )
    parser.add_argument(
        "--bands",
        metavar="LO:HI,...",
        help="frequency bands in units of the Nyquist frequency, lower edge included; vectors can "
        "go without and get every coefficient, (output, batch, frequency, real and imaginary)",
    )
    parser.add_argument(
        "--pixel-arcmin",
        type=float,
        metavar="P",
        help="side of a pixel: the edges of --bands are then multipoles",
    )
    parser.add_argument(
        "--outputs", type=int, nargs="+", metavar="K", help="outputs to explain (default: all)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of SmoothGrad's noise (default: %(default)d)"
    )
    parser.add_argument("--x64", action="store_true", help="compute and write float64")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT.npy", help="file to write")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    if options.list:
        configure()
        print(_listing())
        return
    for name in ("network", "method", "output"):
        if getattr(options, name) is None:
            raise InputError(f"--{name}: missing; see kappascope attribute --help")
    inputs = [options.inputs, options.relevant]
    inputs += [options.network / name for name in ("network.json", "network.npz")]
    if options.method in labels.DECOMPOSITIONS:
        check_output(options.output, "--output", (".npz",), inputs)
    else:
        check_output(options.output, "--output", (".npy",), inputs)
        check_output(_conventions(options.output), "--output", (".json",), inputs)
    if options.seed < 0:
        raise InputError(f"--seed: got {options.seed}; give 0 or more")
    from kappascope.networks import description

    for name in ("bands", "pixel_arcmin"):
        if getattr(options, name) is not None and options.transform != "fft":
            raise InputError(f"--{name.replace('_', '-')}: needs --transform fft")
    if options.transform is not None:
        for _, problem in TRANSFORMS.check("--transform", options.transform):
            raise InputError(f"--transform: {problem}")
    network, stored, extra = description.load(options.network)
    dtype = np.float64 if options.x64 else np.float32
    x = _inputs(options, extra, len(network.input_shape)).astype(dtype)
    configure(threads=available_cores(), x64=options.x64)
    parameters = {name: value.astype(dtype) for name, value in stored.items()}
    if options.method in labels.DECOMPOSITIONS:
        _decompose(options, network, parameters, x)
        return
    from kappascope.attribution import methods

    method = methods.find(options.method, network)
    if options.relevant is not None:
        raise InputError("--relevant: only --method cd follows a part of the input; leave it out")
    if options.transform is not None:
        relevance = _transformed(options, method, network, parameters, x)
        _write(options.output, method, relevance)
        return
    batches = methods.in_batches(
        method, (network, parameters), x, options.outputs, options.seed, min(BATCH, len(x))
    )
    # Most of what can be wrong shows in the first batch: no bar stands above that message.
    rows, relevance = next(batches)
    pieces = [relevance]
    with progress.bar(len(x), options.method, initial=rows.stop, unit="input") as shown:
        for rows, relevance in batches:
            pieces.append(relevance)
            shown.update(rows.stop - rows.start)
    _write(options.output, method, np.concatenate(pieces, 1))


def _conventions(output: Path) -> Path:
    return output.with_suffix(".conventions.json")


def _write(output: Path, method: Any, relevance: np.ndarray) -> None:
    # Beside a pipe or a device there is no place for a second file.
    if not is_special(output):
        write_json(_conventions(output), method.conventions())
    write_array(output, relevance)


def _decompose(options: argparse.Namespace, network: Any, parameters: Any, x: np.ndarray) -> None:
    """Follow a part of the inputs, or each band of them, through the network."""
    from kappascope.attribution import contextual, methods, trim

    methods.check_inputs(network, parameters, x)
    convention = contextual.CONVENTIONS[options.method]
    if options.transform not in (None, "fft"):
        raise InputError("--method cd: follows bands of --transform fft, or --relevant R.npy")
    if (options.relevant is None) == (options.transform is None):
        raise InputError("--method cd: give either --relevant R.npy or --transform fft --bands ...")
    if options.relevant is not None:
        relevant = _loaded(options.relevant).astype(x.dtype)
        relevant = relevant[..., None] if relevant.ndim == x.ndim - 1 else relevant
        if relevant.shape != x.shape:
            raise InputError(
                f"{options.relevant}: of shape {relevant.shape}, the inputs are {x.shape}; a part "
                "of the inputs has their shape"
            )
        if not np.isfinite(relevant).all():
            raise InputError(f"{options.relevant}: has NaN or infinity")
        values = contextual.evaluated(network, parameters, x)
        scores = contextual.scores(network, parameters, values, relevant, convention)
    else:
        scores = trim.decomposed_bands((network, parameters), x, _bands(options), convention)
    outputs = range(network.outputs) if options.outputs is None else options.outputs
    for k in outputs:
        if not 0 <= k < network.outputs:
            raise InputError(f"output {k}: the network has outputs 0 to {network.outputs - 1}")
    parts = [np.asarray(part)[..., list(outputs)] for part in scores]
    if not np.isfinite(parts).all():
        raise InputError("cd: a score is not finite; the network's values overflow, use --x64")
    write_arrays(options.output, dict(zip(("relevant", "irrelevant"), parts, strict=True)))


def _bands(options: argparse.Namespace) -> tuple[tuple[float, float], ...]:
    from kappascope.transforms.fourier import parse_bands

    if options.bands is None:
        raise InputError("--bands: missing; write LO:HI,... in units of the Nyquist frequency")
    if options.pixel_arcmin is not None:
        check_pixel_arcmin(options.pixel_arcmin)
    return parse_bands(options.bands, options.pixel_arcmin)


def _transformed(
    options: argparse.Namespace, method: Any, network: Any, parameters: Any, x: np.ndarray
) -> np.ndarray:
    from kappascope.attribution import trim
    from kappascope.transforms import fourier

    outputs = list(range(network.outputs)) if options.outputs is None else options.outputs
    model = (network, parameters)
    if options.transform != "fft":
        if len(network.input_shape) == 1:
            raise InputError(
                f"--transform {options.transform}: for maps; this network reads vectors"
            )
        relevance = trim.transformed(
            method, model, x, TRANSFORMS[options.transform](), outputs, options.seed
        )
        return np.asarray(relevance)
    if options.bands is None and len(network.input_shape) == 1:
        transform = fourier.RealFourier(network.input_shape[0])
        relevance = trim.transformed(method, model, x, transform, outputs, options.seed)
        return np.asarray(relevance)
    return np.asarray(trim.band_relevance(method, model, x, _bands(options), outputs, options.seed))


def _loaded(path: Path) -> np.ndarray:
    try:
        with open(path, "rb") as handle:
            x = one_array(handle)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{str(path)[:200]}: not a whole NPY file ({reason(error)}); save inputs with "
            "numpy.save"
        ) from error
    return _real(x, str(path))


def _real(x: Any, name: str) -> np.ndarray:
    kinds = (np.integer, np.floating)
    if not isinstance(x, np.ndarray) or not any(np.issubdtype(x.dtype, kind) for kind in kinds):
        raise InputError(f"{name}: holds no real numbers; save inputs with numpy.save")
    if not x.size:
        raise InputError(f"{name}: holds no inputs")
    marked = np.isfinite(x) & without_data(x, LARGEST)
    if marked.any():
        raise InputError(
            f"{name}: {np.count_nonzero(marked)} pixels hold marks of missing data "
            f"({x[marked][0]:g}); fill them as the network was trained to see them"
        )
    return np.atleast_1d(x)


def _inputs(options: argparse.Namespace, extra: Any, dimensions: int) -> np.ndarray:
    if options.inputs is None:
        path = options.network / "network.npz"
        if "x" not in extra:
            raise InputError(f"{path}: holds no array x to explain; give --inputs")
        x = _real(extra["x"], f"{path}, array x")
    else:
        x = _loaded(options.inputs)
    return x[..., None] if dimensions == 3 and x.ndim == 3 else x


def _listing() -> str:
    from kappascope.attribution.methods import METHODS, find

    lines = []
    for entry in METHODS.entries().values():
        text = " ".join(METHODS.given(entry.name)["text"].split())
        lines += [entry.name, f"    {text}"]
        if "pattern" not in entry.info:
            conventions = find(entry.name).conventions()
            del conventions["method"]
            summary = ", ".join(f"{key}: {value}" for key, value in conventions.items())
            lines.append(f"    [{summary}]")
    lines += [
        "cd",
        "    Contextual decomposition (Murdoch et al. 2018; Singh et al. 2019): the part of the "
        "outputs that comes from a part of the input; relevant + irrelevant = output.",
    ]
    return "\n".join(lines)
