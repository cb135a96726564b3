"""``kappascope import`` and ``kappascope export``: networks from and for other programs."""

import argparse
from pathlib import Path
from typing import Any

from kappascope.errors import InputError
from kappascope.files import check_output

LAYOUTS = ("nchw", "nhwc", "ncw", "nwc")


def add_import(subcommands: Any) -> None:
    """Add ``kappascope import``."""
    parser = subcommands.add_parser(
        "import",
        help="read a network from ONNX or a PyTorch state dict",
        description="Read a network and write it as network.json and network.npz, which every "
        "other command reads. MODEL is an ONNX file, its weights inside or in a file beside it, or "
        "with --like the weights of a PyTorch state dict (.pt, .pth) for a network that has been "
        "imported before. Images are (n, y, x, channel) here, whatever they were.",
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help=".onnx, .pt or .pth")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--like", type=Path, metavar="DIR", help="network that a state dict is the weights of"
    )
    parser.add_argument(
        "--layout", choices=LAYOUTS, help="of the model's input (default: found out)"
    )
    parser.set_defaults(run=_import)


def add_export(subcommands: Any) -> None:
    """Add ``kappascope export``."""
    parser = subcommands.add_parser(
        "export",
        help="write a network as ONNX",
        description="Write a network (network.json and network.npz in a folder) as an ONNX file "
        "that reads (batch, channel, y, x) or (batch, feature).",
    )
    parser.add_argument("network", type=Path, metavar="DIR")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="MODEL.onnx")
    parser.set_defaults(run=_export)


def _import(options: argparse.Namespace) -> None:
    from kappascope.networks import description

    model, folder = options.model, options.output
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--output: {folder} is a file; give a folder")
    inputs = [model]
    if options.like is not None:
        inputs += [options.like / name for name in ("network.json", "network.npz")]
    for name in ("network.json", "network.npz"):
        check_output(folder / name, "--output", (".json", ".npz"), inputs)
    if not model.is_file():
        raise InputError(f"{str(model)[:200]}: not found; give an ONNX file or a state dict")
    if model.suffix == ".onnx":
        if options.like is not None:
            raise InputError("--like: an ONNX file holds its network; leave it out")
        from kappascope.exchange.onnx_import import read

        network, parameters, notes = read(model, options.layout)
    else:
        network, parameters, notes = _state_dict(options)
    folder.mkdir(parents=True, exist_ok=True)
    description.save(folder, network, parameters)
    counted = sum(array.size for array in parameters.values())
    print(
        f"{network.name}: {len(network.nodes)} nodes, {counted} weights, {network.outputs} outputs"
    )
    for note in notes:
        print(f"  {note}")


def _state_dict(options: argparse.Namespace) -> tuple[Any, Any, list[str]]:
    from kappascope.exchange import state_dicts
    from kappascope.networks import description

    if options.model.suffix not in (".pt", ".pth"):
        raise InputError(
            f"{options.model}: ends in {options.model.suffix or 'nothing'}; give an ONNX file "
            "(.onnx), or a state dict (.pt, .pth) with --like"
        )
    if options.layout is not None:
        raise InputError("--layout: only for ONNX; leave it out")
    if options.like is None:
        raise InputError(
            f"{options.model}: a state dict says no network; give --like DIR of one that was "
            "imported from ONNX, or export the model as ONNX"
        )
    network, like, _ = description.load(options.like)
    weights = state_dicts.read(options.model)
    return network, *state_dicts.fill(network, like, weights, options.model)


def _export(options: argparse.Namespace) -> None:
    from kappascope.exchange import onnx_export
    from kappascope.networks import description

    network, parameters, extra = description.load(options.network)
    inputs = [options.network / name for name in ("network.json", "network.npz")]
    check_output(options.output, "--output", (".onnx",), inputs)
    scale = extra.get("target_scale")
    onnx_export.write(options.output, network, parameters, scale)
    units = "" if scale is None else ", outputs in the units of its targets"
    shape = network.input_shape
    axes = f"channel, y, x) of {shape[2]}×{shape[0]}×{shape[1]}" if len(shape) == 3 else "feature)"
    print(f"{options.output}: reads (batch, {axes}{units}")
