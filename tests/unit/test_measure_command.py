"""The command ``kappascope measure``."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from astropy.io import fits

from kappascope import __version__
from kappascope.command_line import main

PIXELS = 64


@pytest.fixture(autouse=True)
def precision_as_before() -> Any:
    # The command switches its process to float64; other tests share this one.
    before = jax.config.jax_enable_x64
    yield
    jax.config.update("jax_enable_x64", before)


def a_map(seed: int = 1, pixels: int = PIXELS) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.02, (pixels, pixels)).astype(np.float32)


def saved(path: Path, array: np.ndarray, angle: float | None = 1.0) -> Path:
    unit = fits.PrimaryHDU(array)
    if angle is not None:
        unit.header["ANGLE"] = angle
    unit.writeto(path)
    return path


def run(*arguments: str | Path) -> int:
    return main(["measure", *map(str, arguments)])


def compare(ours: Any, theirs: Any, rtol: float, where: str = "") -> None:
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys(), where
        for key, value in theirs.items():
            compare(ours[key], value, rtol, f"{where}/{key}")
    else:
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=0, err_msg=where)


@pytest.mark.realdata
def test_the_file_is_that_of_lenstools(real_data: Path, reference: Path, tmp_path: Path) -> None:
    wanted = json.loads((reference / "lenstools_statistics.json").read_text())
    scales = {name: entry["angle_deg"] * 60 / 512 for name, entry in wanted["maps"].items()}
    scales["exp_colombia_true_convergence_map.fits"] *= 2
    groups = [
        [name for name in scales if name.startswith("convergence")],
        ["exp_colombia_true_convergence_map.fits"],
    ]
    for number, names in enumerate(groups):
        output = tmp_path / f"{number}.json"
        scale = [] if number == 0 else ["--pixel-arcmin", str(scales[names[0]])]
        paths = [real_data / "kappa" / name for name in names]
        assert run(*paths, "--estimator", "lenstools", *scale, "-o", output) == 0
        ours = json.loads(output.read_text())
        compare(ours["ell_edges"], wanted["ell_edges"], 1e-12)
        compare(ours["kappa_edges"], wanted["kappa_edges"], 1e-12)
        compare(ours["maps"], {name: wanted["maps"][name] for name in names}, 1e-6)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "mask", "options"),
    [
        ("unmasked.fit", "mask.fit", ["--kappa-range", "-0.2", "0.2"]),
        (
            "ks_e_0.29arcmin360.fits",
            "cosmos_full_mask_0.29arcmin360.fits",
            ["--pixel-arcmin", "0.29"],
        ),
    ],
)
def test_real_masked_maps(
    real_data: Path, tmp_path: Path, name: str, mask: str, options: list[str]
) -> None:
    folder = real_data / "kappa"
    output = tmp_path / "out.json"
    assert run(folder / name, "--mask", folder / mask, *options, "-o", output) == 0
    found = json.loads(output.read_text())["maps"][name]
    seen = fits.getdata(folder / mask) > 0
    map_ = fits.getdata(folder / name).astype(np.float64)
    raw = found["raw"]
    assert raw["std"] == pytest.approx(map_[seen].std(), rel=1e-6)
    above = [np.mean(map_[seen] >= middle) for middle in raw["peak_thresholds_mid"]]
    np.testing.assert_allclose(raw["V0"], above, rtol=1e-9)
    assert np.sum(raw["peak_counts_per_kappa"]) > 0
    # Total power over f_sky is the mean square of the observed pixels, less what lies outside the
    # bins: with bins that hold every mode but the mean, exactly.
    options = [*options, "--bins", "1", "--ell-range", "1", "1e6"]
    assert run(folder / name, "--mask", folder / mask, *options, "-o", output) == 0
    entry = json.loads(output.read_text())["maps"][name]
    side = np.radians(entry["angle_deg"])
    masked = np.where(seen, map_, 0)
    wanted = masked.var() / seen.mean() * side**2 / (map_.size - 1)
    assert entry["raw"]["power_spectrum_sr"][0] == pytest.approx(wanted, rel=1e-9)
    assert 0 < entry["smoothed_1arcmin_fft"]["std"] < entry["raw"]["std"]


def test_bins_without_modes_are_null(tmp_path: Path) -> None:
    output = tmp_path / "out.json"
    assert run(saved(tmp_path / "a.fits", a_map()), "-o", output) == 0
    text = output.read_text()
    assert "NaN" not in text and "Infinity" not in text
    power = json.loads(text)["maps"]["a.fits"]["raw"]["power_spectrum_sr"]
    # A degree holds no mode below ell = 360; 100 to 349 are five bins of the twenty.
    assert power[:4] == [None] * 4 and all(value > 0 for value in power[5:])


def test_options_reach_the_file(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", a_map())
    output = tmp_path / "deep" / "out.json"
    options = ["--pixel-arcmin", "0.5", "--smoothing-arcmin", "2.5", "--bins", "7"]
    options += ["--ell-range", "1000", "9000", "--kappa-range", "-0.04", "0.04"]
    assert run(tmp_path / "a.npy", *options, "-o", output) == 0
    found = json.loads(output.read_text())
    assert len(found["ell_edges"]) == 8 and found["ell_edges"][0] == pytest.approx(1000)
    assert found["kappa_edges"][-1] == 0.04
    entry = found["maps"]["a.npy"]
    assert entry["angle_deg"] == pytest.approx(0.5 * PIXELS / 60)
    assert set(entry) == {"angle_deg", "raw", "smoothed_2.5arcmin_fft"}
    options[3] = "0"
    assert run(tmp_path / "a.npy", *options, "-o", output) == 0
    assert set(json.loads(output.read_text())["maps"]["a.npy"]) == {"angle_deg", "raw"}


def test_open_edges_drop_what_wraps(tmp_path: Path) -> None:
    map_ = np.zeros((PIXELS, PIXELS), dtype=np.float32)
    map_[0, 5] = map_[20, 20] = 0.03
    path = saved(tmp_path / "a.fits", map_)
    counts = []
    for options in ([], ["--open-edges"]):
        assert run(path, *options, "-o", tmp_path / "out.json") == 0
        raw = json.loads((tmp_path / "out.json").read_text())["maps"]["a.fits"]["raw"]
        counts.append(sum(raw["peak_counts_per_kappa"]) * 0.0939 / 20)
    assert counts == pytest.approx([2, 1])


def not_finite() -> np.ndarray:
    map_ = a_map()
    map_[1, 2] = np.nan
    return map_


BAD = {
    "missing": (["gone.fits"], "gone.fits: there is no such file"),
    "truncated": (["short.fits"], "short.fits: not a whole FITS file"),
    "no FITS": (["text.fits"], "text.fits: not a whole FITS file"),
    "not finite": (["nan.fits"], "nan.fits: 1 pixels are NaN or infinite"),
    "not square": (["oblong.fits"], "oblong.fits: got 32x64 pixels"),
    "no scale": (["bare.fits"], "bare.fits: its header does not say the pixel scale"),
    "two scales": (["a.fits", "wide.fits"], "wide.fits: its pixels are 1.875 arcmin"),
    "twice": (["a.fits", "a.fits"], "a.fits: two maps of this name"),
    "dark": (["a.fits", "--mask", "dark.fits"], "dark.fits: the mask hides every pixel"),
    "speckled": (["a.fits", "--mask", "dot.fits"], "dot.fits: nothing observed is left"),
    "mask size": (["a.fits", "--mask", "small.fits"], "its mask 32x32"),
    "scale": (["a.fits", "--pixel-arcmin", "0"], "pixel_arcmin: got 0"),
    "smoothing": (["a.fits", "--smoothing-arcmin", "-1"], "--smoothing-arcmin: got -1"),
    "range": (["a.fits", "--kappa-range", "1", "0"], "kappa_range: got 1 0"),
    "bins": (["a.fits", "--bins", "0"], "bins: got 0"),
    "absurd smoothing": (
        ["a.fits", "--smoothing-arcmin", "1e200"],
        "--smoothing-arcmin: got 1e",
    ),
    "absurd scale": (["a.fits", "--pixel-arcmin", "1e-200"], "pixel_arcmin: got 1e-200"),
    "no pixel in the range": (
        ["a.fits", "--kappa-range", "1", "2"],
        "--kappa-range: no pixel of a.fits lies between 1 and 2; they reach from -0.",
    ),
    "no mode in the range": (
        ["a.fits", "--ell-range", "1", "300"],
        "--ell-range: no Fourier mode of a.fits lies between 1 and 300",
    ),
    "more bins than memory": (["a.fits", "--bins", "1000000000000"], "memory ran out"),
    "infinite scale": (["a.fits", "--pixel-arcmin", "inf"], "pixel_arcmin: got inf"),
    "quoted list": (["a.fits a.fits"], "give each file as an argument of its own"),
    "no such image": (["a.fits", "--image", "KAPPA"], "a.fits: has no extension 'KAPPA', only"),
}


@pytest.mark.parametrize("problem", BAD)
def test_bad_input_is_one_line(
    tmp_path: Path,
    problem: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    saved(tmp_path / "a.fits", a_map())
    saved(tmp_path / "wide.fits", a_map(), angle=2.0)
    saved(tmp_path / "bare.fits", a_map(), angle=None)
    saved(tmp_path / "nan.fits", not_finite())
    saved(tmp_path / "oblong.fits", a_map()[:32])
    saved(tmp_path / "dark.fits", np.zeros((PIXELS, PIXELS)))
    saved(tmp_path / "small.fits", np.ones((32, 32)))
    dot = np.zeros((PIXELS, PIXELS))
    dot[7, 7] = 1
    saved(tmp_path / "dot.fits", dot)
    (tmp_path / "text.fits").write_text("no FITS at all")
    (tmp_path / "short.fits").write_bytes((tmp_path / "a.fits").read_bytes()[:4000])
    monkeypatch.chdir(tmp_path)
    arguments, message = BAD[problem]
    assert run(*arguments, "-o", "out.json") == 1
    told = capsys.readouterr().err
    assert told.startswith("kappascope: error: ") and message in told
    assert told.count("\n") == 1 and "Traceback" not in told
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize("pattern", ["-o *.fits", "*.fits -o a.fits", "-o *.fits b.fits"])
def test_maps_are_never_overwritten(
    tmp_path: Path, pattern: str, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [saved(tmp_path / f"{name}.fits", a_map(seed)) for seed, name in enumerate("abc")]
    before = [path.read_bytes() for path in paths]
    listed = " ".join(map(str, paths))
    arguments = pattern.replace("*.fits", listed).replace("a.fits", str(paths[0]))
    arguments = arguments.replace("-o b.fits", "").replace(" b.fits", "")
    assert run(*arguments.split()) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert [path.read_bytes() for path in paths] == before


def test_numbers_may_be_written_in_any_way(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.fits", a_map())
    ranges = ["--kappa-range", "-2.35e-2", "7.04e-2"]
    assert run(path, *ranges, "-o", tmp_path / "out.json") == 0
    assert json.loads((tmp_path / "out.json").read_text())["kappa_edges"][0] == -0.0235


def test_a_mistake_in_options_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run("a.fits", "--kappa-range", "1", "-o", "out.json")
    told = capsys.readouterr().err
    assert ended.value.code == 1 and told.count("\n") == 1
    assert told.startswith("kappascope: error: argument --kappa-range: expected 2 arguments; see")


def test_what_a_mask_leaves_no_pixel_for_is_null(tmp_path: Path) -> None:
    stripes = np.zeros((PIXELS, PIXELS))
    stripes[:, ::2] = 1
    mask = saved(tmp_path / "mask.fits", stripes)
    options = ["--mask", mask, "--smoothing-arcmin", "0", "-o", tmp_path / "out.json"]
    assert run(saved(tmp_path / "a.fits", a_map()), *options) == 0
    raw = json.loads((tmp_path / "out.json").read_text())["maps"]["a.fits"]["raw"]
    for name in ("peak_counts_per_kappa", "V1_per_pixel", "V2_per_pixel2"):
        assert raw[name] == [None] * 20, name
    assert sum(raw["V0"]) > 0


def test_equal_pixels_are_no_peaks(tmp_path: Path) -> None:
    fine = np.kron(np.random.default_rng(1).normal(0, 0.02, (32, 32)), np.ones((2, 2)))
    peaks = {}
    for precision in ("float32", "float64"):
        for estimator in ("full", "lenstools"):
            np.save(tmp_path / "a.npy", fine.astype(precision))
            options = ["--pixel-arcmin", "0.5", "--kappa-range", "-1", "1"]
            options += ["--smoothing-arcmin", "0", "--estimator", estimator]
            assert run(tmp_path / "a.npy", *options, "-o", tmp_path / "out.json") == 0
            raw = json.loads((tmp_path / "out.json").read_text())["maps"]["a.npy"]["raw"]
            peaks[precision, estimator] = sum(raw["peak_counts_per_kappa"])
    assert peaks["float32", "full"] == peaks["float64", "full"] == 0
    # LensTools compares a single-precision copy: about half of the plateaus stand out.
    assert peaks["float64", "lenstools"] > 0


def test_a_result_may_go_into_a_pipe(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.fits", a_map())
    command = [sys.executable, "-m", "kappascope", "measure", path, "-o", "/dev/stdout"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "a.fits" in json.loads(ended.stdout)["maps"]


def test_a_device_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.fits", a_map())
    command = [sys.executable, "-m", "kappascope", "measure", path, "-o", tmp_path / "out.json"]
    surroundings = {**os.environ, "JAX_PLATFORMS": "cuda"}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=surroundings)
    assert ended.returncode == 1 and not (tmp_path / "out.json").exists()
    assert ended.stderr.splitlines()[-1].startswith("kappascope: error: JAX_PLATFORMS: got 'cuda'")
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("seconds", [0.05, 0.2, 0.5, 1.0])
def test_ctrl_c_is_one_line(tmp_path: Path, seconds: float) -> None:
    path = saved(tmp_path / "a.fits", a_map(pixels=1024))
    command = [sys.executable, "-m", "kappascope", "measure", path, "-o", tmp_path / "out.json"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        # Python itself must have started.
        maps = Path(f"/proc/{running.pid}/maps")
        while running.poll() is None and "numpy" not in maps.read_text():
            time.sleep(0.01)
        time.sleep(seconds)
        running.send_signal(signal.SIGINT)
        told = running.communicate()[1]
    if (tmp_path / "out.json").exists():  # a fast machine may have ended before
        assert running.returncode == 0 and told == ""
    else:
        assert told == "kappascope: interrupted\n"
        assert running.returncode == 130


def test_what_python_ignores_interrupts_again() -> None:
    code = """
import gc, signal, time
from kappascope import interrupts

def collecting(phase, info):
    if phase == "start":
        signal.raise_signal(signal.SIGINT)

interrupts.listen(signal.SIGINT)
gc.callbacks.append(collecting)
try:
    gc.collect()
    gc.callbacks.clear()
    time.sleep(60)
except KeyboardInterrupt:
    interrupts.stopped()
    print("stopped")
time.sleep(3 * interrupts.AGAIN_SECONDS)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert ran.stdout == "stopped\n" and ran.stderr == "" and ran.returncode == 0


def test_a_full_disk_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = saved(tmp_path / "a.fits", a_map())
    monkeypatch.setattr("kappascope.files.os.replace", full)
    assert run(path, "-o", tmp_path / "out.json") == 1
    assert "the disk is full" in capsys.readouterr().err
    assert [found.name for found in tmp_path.iterdir()] == ["a.fits"]


def test_the_installed_command(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from kappascope.command_line import main; exit(main())"]
    version = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout == f"kappascope {__version__}\n"
    failed = subprocess.run(
        [*command, "measure", "gone.fits", "-o", str(tmp_path / "out.json")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert failed.returncode == 1
    assert failed.stderr.startswith("kappascope: error: gone.fits: ")
