"""``kappascope attribute``: explain a network in the exchange format, without the workflow.

Nothing here imports jax before the command runs.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from kappascope import progress
from kappascope.errors import InputError
from kappascope.files import write_array, write_json
from kappascope.runtime import available_cores, configure

BATCH = 16


def add_parser(subcommands: Any) -> None:
    """Add the subcommand."""
    parser = subcommands.add_parser(
        "attribute",
        help="explain a network's outputs: relevance of every pixel",
        description="Explain the outputs of a network (network.json and network.npz in a folder) "
        "by one attribution method, in float32, and write the relevance of every pixel as NPY, "
        "(output, batch, ...). What the method does by convention is written beside it, to "
        "OUT.conventions.json.",
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
    if options.output.is_dir():
        raise InputError(f"--output: {options.output} is a folder; name the file to write")
    if options.seed < 0:
        raise InputError(f"--seed: got {options.seed}; give 0 or more")
    from kappascope.networks import description

    network, stored, extra = description.load(options.network)
    dtype = np.float64 if options.x64 else np.float32
    x = _inputs(options, extra, len(network.input_shape)).astype(dtype)
    configure(threads=available_cores(), x64=options.x64)
    from kappascope.attribution import methods

    method = methods.find(options.method, network)
    parameters = {name: value.astype(dtype) for name, value in stored.items()}
    batches = methods.in_batches(
        method, (network, parameters), x, options.outputs, options.seed, min(BATCH, len(x))
    )
    # Most of what can be wrong shows in the first batch: no bar stands above that message.
    rows, relevance = next(batches)
    found = [relevance]
    with progress.bar(len(x), options.method, initial=rows.stop, unit="input") as shown:
        for rows, relevance in batches:
            found.append(relevance)
            shown.update(rows.stop - rows.start)
    write_json(options.output.with_suffix(".conventions.json"), method.conventions())
    write_array(options.output, np.concatenate(found, 1))


def _inputs(options: argparse.Namespace, extra: Any, dimensions: int) -> np.ndarray:
    if options.inputs is None:
        path = options.network / "network.npz"
        if "x" not in extra:
            raise InputError(f"{path}: holds no array x to explain; give --inputs")
        x, path = extra["x"], f"{path}, array x"
    else:
        path = options.inputs
        try:
            with open(path, "rb") as handle:
                x = np.load(handle)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(
                f"{path}: not a whole NPY file ({error}); save inputs with numpy.save"
            ) from error
    kinds = (np.integer, np.floating)
    if not isinstance(x, np.ndarray) or not any(np.issubdtype(x.dtype, kind) for kind in kinds):
        raise InputError(f"{path}: holds no real numbers; save inputs with numpy.save")
    if not x.size:
        raise InputError(f"{path}: holds no inputs")
    x = np.atleast_1d(x)
    return x[..., None] if dimensions == 3 and x.ndim == 3 else x


def _listing() -> str:
    from kappascope.attribution.methods import METHODS, PATTERNS

    lines = []
    for method in METHODS.values():
        conventions = method.conventions()
        del conventions["method"]
        told = ", ".join(f"{key}: {value}" for key, value in conventions.items())
        lines += [method.name, f"    {method.text}", f"    [{told}]"]
    for name, (_, _, text) in PATTERNS.items():
        lines += [name, f"    {text}"]
    return "\n".join(lines)
