"""The command ``kappascope attribute``, and the pages that tell about it."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from registered import METHODS, PATTERNS

from kappascope.attribution.methods import attribute, find
from kappascope.command_line import main
from kappascope.networks import description
from kappascope.networks.description import Network, Parameters
from kappascope.workflow import configuration

COMMAND = [sys.executable, "-c", "from kappascope.command_line import main; exit(main())"]
DOCS = configuration.ROOT / "docs"
SIDE = 6


@pytest.fixture(autouse=True)
def precision_as_before() -> Iterator[None]:
    # The command sets its process's precision; other tests share this one.
    before = jax.config.jax_enable_x64
    yield
    jax.config.update("jax_enable_x64", before)


def small_network(pool: str = "avg_pool") -> tuple[Network, Parameters]:
    generator = np.random.default_rng(1)
    none = [[0, 0], [0, 0]]
    nodes: tuple[dict[str, Any], ...] = (
        {
            "name": "conv",
            "kind": "conv",
            "inputs": ["x"],
            "strides": [1, 1],
            "padding": none,
            "params": {"kernel": "conv.kernel", "bias": "conv.bias"},
        },
        {"name": "relu", "kind": "relu", "inputs": ["conv"]},
        {"kind": pool, "window": [2, 2], "strides": [2, 2], "padding": none}
        | {"name": "pool", "inputs": ["relu"]},
        {"name": "mean", "kind": "global_avg_pool", "inputs": ["pool"]},
        {
            "name": "dense",
            "kind": "dense",
            "inputs": ["mean"],
            "params": {"kernel": "dense.kernel"},
        },
    )
    parameters = {
        "conv.kernel": generator.standard_normal((3, 3, 1, 4)).astype(np.float32),
        "conv.bias": generator.standard_normal(4).astype(np.float32),
        "dense.kernel": generator.standard_normal((4, 2)).astype(np.float32),
    }
    return Network("small", (SIDE, SIDE, 1), 2, nodes), parameters


def some_inputs(batch: int = 3) -> np.ndarray:
    shape = (batch, SIDE, SIDE, 1)
    return np.random.default_rng(2).standard_normal(shape).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a network ``net`` and inputs ``x.npy``; the working directory."""
    description.save("net" if monkeypatch.chdir(tmp_path) else tmp_path / "net", *small_network())
    np.save(tmp_path / "x.npy", some_inputs())
    return tmp_path


def run(*arguments: str | Path) -> int:
    return main(["attribute", *map(str, arguments)])


BASIC = ("--network", "net", "--method", "input_x_gradient", "-o", "out.npy")


# What it writes.


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_relevance_and_conventions_are_written(folder: Path, precision: str) -> None:
    options = ["--x64"] if precision == "float64" else []
    assert run(*BASIC, "--inputs", "x.npy", *options) == 0
    found = np.load(folder / "out.npy")
    assert found.dtype == precision
    network, parameters = small_network()
    with jax.enable_x64(precision == "float64"):
        wide = {name: value.astype(precision) for name, value in parameters.items()}
        x = some_inputs().astype(precision)
        wanted = attribute("input_x_gradient", (network, wide), x)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6 if not options else 1e-14)
    told = json.loads((folder / "out.conventions.json").read_text())
    assert told == json.loads(json.dumps(find("input_x_gradient").conventions()))
    assert told["method"] == "input_x_gradient" and told["seed"] == "1"
    assert {path.name for path in folder.iterdir()} == {
        "net",
        "x.npy",
        "out.npy",
        "out.conventions.json",
    }


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("network", "method"),
    [("chain", "lrp_epsilon"), ("chain", "guided_grad_cam.relu3"), ("mlp", "deep_lift")],
)
def test_the_file_is_that_of_the_library(
    reference: Path, tmp_path: Path, network: str, method: str
) -> None:
    """Inputs from the file ``network.npz``; a network of maps and one of plain vectors."""
    folder = reference / "attribution" / network
    with np.load(folder / "reference.npz") as arrays:
        wanted = arrays[method]
    axes = tuple(range(2, wanted.ndim))
    for options, tolerance in ((["--x64"], 1e-6), ([], 1e-4)):
        output = tmp_path / "deep" / "out.npy"
        assert run("--network", folder, "--method", method, *options, "-o", output) == 0
        error = np.abs(np.load(output) - wanted).max(axes) / np.abs(wanted).max(axes)
        assert error.max() < tolerance


def test_outputs_in_the_order_asked_for(folder: Path) -> None:
    assert run(*BASIC, "--inputs", "x.npy") == 0
    every = np.load("out.npy")
    assert every.shape == (2, 3, SIDE, SIDE, 1)
    for asked in ([1], [1, 0]):
        assert run(*BASIC, "--inputs", "x.npy", "--outputs", *map(str, asked)) == 0
        np.testing.assert_allclose(np.load("out.npy"), every[asked], rtol=1e-5, atol=1e-7)


def test_maps_without_an_axis_for_the_channel(folder: Path) -> None:
    assert run(*BASIC, "--inputs", "x.npy") == 0
    every = np.load("out.npy")
    # Whole numbers and double precision are read as well.
    np.save("flat.npy", some_inputs()[..., 0].astype(np.float64))
    assert run(*BASIC, "--inputs", "flat.npy") == 0
    np.testing.assert_array_equal(np.load("out.npy"), every)
    np.save("whole.npy", np.ones((1, SIDE, SIDE), int))
    assert run(*BASIC, "--inputs", "whole.npy") == 0
    assert np.load("out.npy").shape == (2, 1, SIDE, SIDE, 1)


def test_inputs_beside_the_parameters_are_the_default(folder: Path) -> None:
    assert run(*BASIC, "--inputs", "x.npy") == 0
    wanted = np.load("out.npy")
    description.save("net", *small_network(), x=some_inputs())
    assert run(*BASIC) == 0
    np.testing.assert_array_equal(np.load("out.npy"), wanted)


def test_many_inputs_go_through_in_batches(folder: Path) -> None:
    """SmoothGrad's noise is that of one call, whatever the batch."""
    x = some_inputs(19)
    np.save("many.npy", x)
    arguments = ("--network", "net", "--method", "smoothgrad", "-o", "out.npy")
    assert run(*arguments, "--inputs", "many.npy", "--seed", "5") == 0
    network, parameters = small_network()
    wanted = np.asarray(attribute("smoothgrad", (network, parameters), x, seed=5))
    atol = 1e-5 * np.abs(wanted).max()
    np.testing.assert_allclose(np.load("out.npy"), wanted, rtol=0, atol=atol)
    assert run(*arguments, "--inputs", "many.npy", "--seed", "6") == 0
    assert np.abs(np.load("out.npy") - wanted).max() > 1e3 * atol


def test_an_inner_nodes_size_is_kept(folder: Path) -> None:
    arguments = ("--network", "net", "--method", "grad_cam.pool", "-o", "out.npy")
    assert run(*arguments, "--inputs", "x.npy") == 0
    assert np.load("out.npy").shape == (2, 3, 2, 2)
    told = json.loads((folder / "out.conventions.json").read_text())
    assert told == {
        "method": "grad_cam.pool",
        "node": "pool",
        "seed": "1",
        "final_relu": True,
    }


# The list of methods.


def test_every_method_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--list") == 0
    lines = capsys.readouterr().out.splitlines()
    names = [line for line in lines if not line.startswith(" ")]
    assert sorted(names[:-1]) == sorted([*METHODS, *PATTERNS]) and names[-1] == "cd"
    for name, method in METHODS.items():
        place = lines.index(name)
        assert lines[place + 1].strip() == method.text
        for key, value in method.conventions().items():
            assert key == "method" or f"{key}: {value}" in lines[place + 2]


def test_a_terminal_without_greek_lists_them_too() -> None:
    surroundings = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    ended = subprocess.run(
        [*COMMAND, "attribute", "--list"], capture_output=True, env=surroundings, check=False
    )
    assert ended.returncode == 0 and b"lrp_epsilon" in ended.stdout and ended.stderr == b""


def test_the_list_stops_when_nobody_reads_on() -> None:
    command = [*COMMAND, "attribute", "--list"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        told = process.stderr.read()
        assert process.wait(60) == 0
    assert told == b""


# What it refuses.


def with_nan(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flat[-1] = np.nan
    return array


def spoilt_network(**changes: np.ndarray) -> Callable[[], Any]:
    def spoil() -> None:
        network, parameters = small_network()
        description.save("net", network, {**parameters, **changes})

    return spoil


def with_x(x: np.ndarray) -> Callable[[], Any]:
    return lambda: description.save("net", *small_network(), x=x)


def saved(x: np.ndarray) -> Callable[[], Any]:
    return lambda: np.save("x.npy", x)


def two_arrays() -> None:
    with open("x.npy", "wb") as handle:
        np.save(handle, some_inputs())
        np.save(handle, some_inputs())


def damaged() -> None:
    _, parameters = small_network()
    noise = {"noise": np.random.default_rng(1).normal(size=5000)}
    np.savez_compressed("net/network.npz", **parameters, **noise)
    content = bytearray(Path("net/network.npz").read_bytes())
    for place in range(len(content) // 2, len(content) // 2 + 40):
        content[place] ^= 255
    Path("net/network.npz").write_bytes(content)


def truncated(name: str, size: int) -> Callable[[], Any]:
    return lambda: Path(name).write_bytes(Path(name).read_bytes()[:size])


HUGE = np.full((3, 3, 1, 4), 1e38, np.float32)
BAD: dict[str, tuple[Callable[[], Any] | None, list[str], str]] = {
    "unknown method": (
        None,
        ["--method", "lrp_epsilom"],
        "method 'lrp_epsilom' is unknown; did you mean lrp_epsilon?",
    ),
    "unknown node": (
        None,
        ["--method", "grad_cam.pol"],
        "grad_cam.pol: the network has no node 'pol'; did you mean pool?",
    ),
    "node without pixels": (
        None,
        ["--method", "grad_cam.mean"],
        "node 'mean': Grad-CAM needs a node of (batch, y, x, channel)",
    ),
    "window": (
        None,
        ["--method", "occlusion_w7s1"],
        "occlusion_w7s1: the window must fit into the input of 6x6",
    ),
    "output": (None, ["--outputs", "0", "2"], "output 2: network 'small' has outputs 0 to 1"),
    "negative output": (None, ["--outputs", "-1"], "output -1: network 'small' has outputs 0 to 1"),
    "no rule": (
        lambda: description.save("net", *small_network("max_pool")),
        ["--method", "deep_lift"],
        "node 'pool': deep_lift has no rule for max_pool; use another method for this network",
    ),
    "size": (
        saved(some_inputs()[:, :5]),
        [],
        "inputs of shape (3, 5, 6, 1): network 'small' reads (batch, 6, 6, 1)",
    ),
    "channels": (saved(np.zeros((3, 6, 6, 2))), [], "inputs of shape (3, 6, 6, 2)"),
    "one map": (saved(some_inputs()[0, ..., 0]), [], "inputs of shape (6, 6): network 'small'"),
    "one number": (saved(np.float32(1)), [], "inputs of shape (1,): network 'small' reads"),
    "no maps": (saved(some_inputs()[:0]), [], "x.npy: holds no inputs"),
    "NaN": (saved(with_nan(some_inputs())), [], "inputs: number 2 has NaN or infinity"),
    "NaN parameter": (
        spoilt_network(**{"conv.bias": with_nan(np.ones(4, np.float32))}),
        [],
        "network 'small': parameter conv.bias is not finite",
    ),
    "overflow": (
        spoilt_network(**{"conv.kernel": HUGE}),
        ["--method", "lrp_0"],
        "lrp_0: the relevance of input 0 for output 0 is not finite; the network's "
        "values overflow, use --x64",
    ),
    "missing inputs": (lambda: Path("x.npy").unlink(), [], "x.npy: not a whole NPY file (["),
    "truncated inputs": (truncated("x.npy", 200), [], "x.npy: not a whole NPY file ("),
    "empty inputs": (truncated("x.npy", 0), [], "x.npy: not a whole NPY file ("),
    "no array": (
        lambda: Path("x.npy").write_text("no array\n"),
        [],
        "x.npy: not a whole NPY file (",
    ),
    "archive": (
        lambda: Path("x.npy").write_bytes(Path("net/network.npz").read_bytes()),
        [],
        "x.npy: not a whole NPY file (it is an archive of arrays); save inputs with numpy.save",
    ),
    "UNSEEN": (
        saved(np.where(some_inputs() > 1, -1.6375e30, 0).astype(np.float32)),
        [],
        "pixels hold marks of missing data (-1.6375e+30); fill them",
    ),
    "texts": (saved(np.array(["a"])), [], "x.npy: holds no real numbers; save"),
    "complex": (saved(some_inputs() * 1j), [], "x.npy: holds no real numbers"),
    "objects": (saved(np.array([{}])), [], "x.npy: not a whole NPY file ("),
    "no network": (None, ["--network", "gone"], "gone/network.json: not found; a network is"),
    "truncated network": (
        truncated("net/network.npz", 300),
        [],
        "net/network.npz: not a whole npz file (",
    ),
    "no inputs at all": (
        None,
        ["--inputs", ""],
        "net/network.npz: holds no array x to explain; give --inputs",
    ),
    "stored texts": (
        with_x(np.array(["a"])),
        ["--inputs", ""],
        "net/network.npz, array x: holds no",
    ),
    "stored nothing": (
        with_x(some_inputs()[:0]),
        ["--inputs", ""],
        "net/network.npz, array x: holds no inputs",
    ),
    "seed": (None, ["--method", "smoothgrad", "--seed", "-1"], "--seed: got -1; give 0 or more"),
    "folder": (lambda: Path("out.npy").mkdir(), [], "--output: out.npy is a folder; name the file"),
    "over its inputs": (
        lambda: os.link("x.npy", "out.npy"),
        [],
        "--output: out.npy is one of the files to read and would be overwritten",
    ),
    "another ending": (
        None,
        ["-o", "out.fits"],
        "--output: got out.fits, which does not end in .npy",
    ),
    "over the network": (
        None,
        ["--method", "cd", "--relevant", "x.npy", "-o", "net/network.npz"],
        "--output: net/network.npz is one of the files to read",
    ),
    "a long name": (None, ["-o", "a" * 241 + ".npy"], "aaa...: the name is too long"),
    "windows that leave pixels out": (
        None,
        ["--method", "occlusion_w2s5"],
        "occlusion_w2s5: windows 5 pixels apart; the stride must be from 1 to the window's 2",
    ),
    "an infinite pixel": (
        None,
        ["--transform", "fft", "--bands", "0:1", "--pixel-arcmin", "inf"],
        "pixel_arcmin: got inf; give a positive number",
    ),
    "multipoles without a pixel": (
        None,
        ["--transform", "fft", "--bands", "4500:9000"],
        "--bands: got '4500:9000', whose edges look like multipoles; give --pixel-arcmin",
    ),
    "multipoles from zero": (
        None,
        ["--transform", "fft", "--bands", "0:4500"],
        "--bands: got '0:4500', whose edges look like multipoles; give --pixel-arcmin",
    ),
    "bands without a transform": (
        None,
        ["--method", "cd", "--relevant", "x.npy", "--bands", "0:0.1", "-o", "out.npz"],
        "--bands: needs --transform fft",
    ),
    "a pixel without a transform": (
        None,
        ["--pixel-arcmin", "0.5"],
        "--pixel-arcmin: needs --transform fft",
    ),
    "size, for cd": (
        saved(some_inputs()[:, :5, :5]),
        ["--method", "cd", "--transform", "fft", "--bands", "0:1", "-o", "out.npz"],
        "inputs of shape (3, 5, 5, 1): network 'small' reads (batch, 6, 6, 1)",
    ),
    "NaN, for cd": (
        saved(with_nan(some_inputs())),
        ["--method", "cd", "--transform", "fft", "--bands", "0:1", "-o", "out.npz"],
        "inputs: number 2 has NaN or infinity",
    ),
    "two arrays": (two_arrays, [], "x.npy: not a whole NPY file (it holds more than one array"),
    "a damaged network": (damaged, [], "net/network.npz: not a whole npz file ("),
    "a long name of a network": (
        None,
        ["--network", "a" * 300],
        "not found; a network is a folder",
    ),
    "a band between frequencies": (
        None,
        ["--method", "cd", "--transform", "fft", "--bands", "0.1:0.2", "-o", "out.npz"],
        "band 0.1:0.2 holds no coefficient",
    ),
}


@pytest.mark.parametrize("problem", BAD)
def test_bad_input_is_one_line(
    folder: Path, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, options, message = BAD[problem]
    if spoil is not None:
        spoil()
    given = {"--network": "net", "--method": "input_x_gradient", "--inputs": "x.npy"}
    given["-o"] = "out.npy"
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert run(*given_with(given, options)) == 1
    told = capsys.readouterr().err.lstrip("\n")
    assert told.startswith("kappascope: error: ") and message in told
    assert told.count("\n") == 1 and "Traceback" not in told
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert after == before


def given_with(given: dict[str, str], options: list[str]) -> list[str]:
    """Options replace what is given under the same name; an empty one takes it away."""
    kept = {name: value for name, value in given.items() if name not in options}
    listed = [] if options == ["--inputs", ""] else options
    return [*(text for pair in kept.items() for text in pair), *listed]


@pytest.mark.parametrize("name", ["network", "method", "output"])
def test_what_is_missing_is_named(
    folder: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"--network": "net", "--method": "gradient", "--output": "out.npy"}
    del given[f"--{name}"]
    assert run(*given_with(given, [])) == 1
    told = capsys.readouterr().err
    assert told == f"kappascope: error: --{name}: missing; see kappascope attribute --help\n"


def test_a_full_disk_is_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kappascope.files.os.replace", full)
    assert run(*BASIC, "--inputs", "x.npy") == 1
    assert "the disk is full" in capsys.readouterr().err
    assert {path.name for path in folder.iterdir()} == {"net", "x.npy"}


def test_a_folder_that_cannot_be_made_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "file").write_text("")
    assert run(*BASIC, "--inputs", "x.npy", "-o", "file/out.npy") == 1
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("kappascope: error: file/out.conventions.json: cannot write here (")


# The pages.


def tables(page: str) -> list[list[list[str]]]:
    """Return the tables of a page: rows of cells, without the head."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.findall(r"(?:^\|.*\n)+", text, flags=re.M)
    rows = [[re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines()] for table in found]
    return [[[cell.strip() for cell in row] for row in table[2:]] for table in rows]


def test_the_reference_names_every_method_once() -> None:
    *described, conventions, transforms = tables("reference/attribution.md")
    assert [row[0] for row in transforms][-1] == "`Matrix`"
    names = [row[0].strip("`") for table in described for row in table]
    assert sorted(names) == sorted([*METHODS, *PATTERNS])
    assert all(cell for table in described for row in table for cell in row)
    told = {row[0].strip("`"): row[1:] for row in conventions}
    known = {name: method.conventions() for name, method in METHODS.items()}
    assert told == {
        name: [each["seed"], each["batch_norm"]] for name, each in known.items() if "seed" in each
    }


def test_the_reference_of_the_command_names_every_option() -> None:
    listed = tables("reference/command-line.md")[-1]
    told = {cells[0].strip("`").split()[0] for cells in listed}
    shown = subprocess.run([*COMMAND, "attribute", "--help"], capture_output=True, text=True)
    known = set(re.findall(r"^  (-[-\w]+)", shown.stdout, flags=re.M)) - {"-h"}
    assert known == told


def test_the_page_about_a_network_of_ones_own_is_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every block of the page is run, from the top."""
    monkeypatch.chdir(tmp_path)
    text = (DOCS / "how-to/explain-your-network.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    blocks = re.findall(r"```(python|sh)\n(.*?)```", text, flags=re.S)
    assert [language for language, _ in blocks] == [
        "python",
        "sh",
        "sh",
        "python",
        "python",
        "python",
    ]
    assert text.count("```") == 2 * len(blocks)
    for language, block in blocks:
        if language == "python":
            exec(compile(block, "explain-your-network.md", "exec"), names)
            continue
        for line in block.splitlines():
            program, *arguments = shlex.split(line)
            assert program == "kappascope" and main(arguments) == 0
    assert np.load("relevance.npy").shape == (2, 4, 32, 32, 1)
    assert Path("relevance.conventions.json").is_file()
    assert np.load("cam.npy").shape == (1, 4, 32, 32)
    with np.load("scales.npz") as scales:
        assert scales["relevant"].shape == scales["irrelevant"].shape == (3, 4, 2)
    relevance = np.asarray(names["relevance"])
    assert relevance.shape == (4, 32, 32, 1) and np.abs(relevance).max() > 0
    assert names["outputs"].shape == (4, 2)
