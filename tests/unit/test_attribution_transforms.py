"""Contextual decomposition, and attribution to a transformation of the input."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_attribution_rules import Builder, chain, inputs

from kappascope.attribution import contextual, labels, trim
from kappascope.attribution.methods import attribute
from kappascope.command_line import main
from kappascope.errors import InputError
from kappascope.networks import description
from kappascope.networks.module import activations, forward
from kappascope.networks.operations import apply_node
from kappascope.transforms import fourier, matrix, wavelets

BANDS = ((0.0, 0.3), (0.3, 0.7), (0.7, 1.5))


def stored(reference: Path, name: str, dtype: Any) -> tuple[Any, np.ndarray, Any]:
    folder = reference / "attribution" / name
    network, parameters, extra = description.load(folder)
    model = network, {key: value.astype(dtype) for key, value in parameters.items()}
    return model, extra["x"].astype(dtype), np.load(folder / "reference.npz")


def difference(ours: Any, theirs: np.ndarray) -> float:
    return float(np.abs(np.asarray(ours) - theirs).max() / np.abs(theirs).max())


@pytest.mark.parametrize("x64", [True, False])
@pytest.mark.parametrize("name", ["residual", "mlp"])
def test_decomposition_agrees_with_acd(reference: Path, name: str, x64: bool) -> None:
    with jax.enable_x64(x64):
        model, x, arrays = stored(reference, name, np.float64 if x64 else np.float32)
        parts = {f"band{k}": band for k, band in enumerate(arrays.get("cd.band_inputs", []))}
        mask = arrays["cd.pixel_mask"][..., None] if name == "residual" else arrays["cd.index_mask"]
        parts["mask"] = x * mask
        compared = 0
        for case, part in parts.items():
            values = contextual.decompose(*model, activations(*model, x), np.asarray(part, x.dtype))
            for key in arrays.files:
                if not key.startswith(f"cd.{case}."):
                    continue
                *node, which = key.split(".")[2:]
                at = node[0] if node else model[0].nodes[-1]["name"]
                ours = values[at][0 if which == "relevant" else 1]
                assert difference(ours, arrays[key]) < (1e-9 if x64 else 1e-4), key
                compared += 1
        assert compared == (32 if name == "residual" else 2)


def a_residual_network(seed: int) -> Any:
    """Convolutions, normalization, both poolings and an addition, random parameters."""
    builder = Builder((12, 12, 1), seed)
    builder.conv(3, pad=1)
    builder.norm()
    start = builder.add("relu")
    builder.conv(3, pad=1)
    end = builder.norm()
    builder.add("add", start, end)
    builder.add("relu")
    builder.pool("max_pool")
    builder.pool("avg_pool")
    builder.add("global_avg_pool")
    builder.dense(2)
    return builder.model(np.float32)


def both_parts(model: Any, relevant: np.ndarray, irrelevant: np.ndarray) -> dict[str, Any]:
    """Contextual decomposition with each part carried by itself, as its inventors wrote it."""
    network, parameters = model
    values = {"x": (relevant, irrelevant)}
    for node in network.nodes:
        pairs = [values[name] for name in node["inputs"]]
        apply = partial(apply_node, node, parameters)
        r, i = (np.asarray(apply(*side)) for side in zip(*pairs, strict=True))
        if node["kind"] in ("conv", "dense", "batch_norm"):
            zero = np.asarray(apply(np.zeros_like(pairs[0][0][:1])))
            r, i = r - zero, i - zero
            share = np.abs(r) / np.maximum(np.abs(r) + np.abs(i), 1e-30)
            r, i = r + share * zero, i + (1 - share) * zero
        if node["kind"] == "relu":
            i = np.asarray(apply(sum(pairs[0]))) - r
        if node["kind"] == "max_pool":
            r, i = (jax.jvp(apply, (sum(pairs[0]),), (part,))[1] for part in pairs[0])
        values[node["name"]] = r, i
    return values


@settings(max_examples=10, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), share=st.floats(0, 1))
def test_parts_add_up_to_the_activation_everywhere(seed: int, share: float) -> None:
    with jax.enable_x64(True):
        network, single = a_residual_network(seed)
        parameters = {name: value.astype(np.float64) for name, value in single.items()}
        x = inputs((network, single)).astype(np.float64)
        part = x * np.random.default_rng(seed).uniform(0, share, x.shape)
        whole = activations(network, parameters, x)
        values = contextual.decompose(network, parameters, whole, part)
        apart = both_parts((network, parameters), part, x - part)
        for name in whole:
            scale = np.abs(np.asarray(whole[name])).max() + 1e-30
            for ours, alone in zip(values[name], apart[name], strict=True):
                assert np.abs(np.asarray(ours) - alone).max() < 1e-8 * scale, name
            assert np.abs(sum(apart[name]) - whole[name]).max() < 1e-8 * scale, name


def test_everything_gets_the_output_and_nothing_gets_none() -> None:
    """But for biases of normalizations where a unit is silent, which go to the other part."""
    builder = Builder((8, 8, 1), 3)
    builder.conv(3, pad=1)
    builder.add("relu")
    builder.pool("max_pool")
    builder.add("flatten")
    builder.dense(4)
    builder.add("relu")
    builder.dense(2)
    model = builder.model(np.float32)
    x = inputs(model)
    whole = activations(*model, x)
    last = model[0].nodes[-1]["name"]
    full = contextual.decompose(*model, whole, x)[last]
    none = contextual.decompose(*model, whole, np.zeros_like(x))[last]
    np.testing.assert_allclose(full[0], whole[last], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(none[0], 0, atol=1e-5)


def test_conventions_have_the_names_that_commands_and_configs_know() -> None:
    assert set(contextual.CONVENTIONS) == set(labels.DECOMPOSITIONS)
    assert contextual.CONVENTIONS["cd"] == contextual.PUBLISHED


@pytest.mark.parametrize("seed", [1, 2])
def test_a_part_of_nothing_is_credited_with_nothing_and_biases_stay_with_the_rest(seed) -> None:
    """As published, a part of a millionth of the input takes its share of every bias."""
    network, parameters = a_residual_network(seed)
    x = inputs((network, parameters))
    whole, last = activations(network, parameters, x), network.nodes[-1]["name"]

    def credited(name: str, part: np.ndarray) -> np.ndarray:
        convention = contextual.CONVENTIONS[name]
        found = contextual.decompose(network, parameters, whole, part, convention)
        for node, (r, i) in found.items():
            np.testing.assert_allclose(r + i, whole[node], rtol=1e-4, atol=1e-4)
        return np.asarray(found[last][0])

    for name in contextual.CONVENTIONS:
        np.testing.assert_allclose(credited(name, np.zeros_like(x)), 0, atol=1e-5)
    half, tenth = credited("cd_rest", 0.5 * x), credited("cd_rest", 0.1 * x)
    assert not np.allclose(credited("cd", 0.5 * x), half, rtol=1e-3)
    # Without biases of its own a part goes through ReLU and maxima in proportion.
    np.testing.assert_allclose(half, 5 * tenth, rtol=2e-4, atol=1e-5)


def test_a_fair_relu_gives_two_halves_the_same() -> None:
    node = {"name": "r", "kind": "relu", "inputs": ["x"]}
    network = description.Network("relu", (3,), 3, (node,))
    x = np.array([[4.0, -2.0, 1.0]], np.float32)
    part = np.array([[6.0, -1.0, -2.0]], np.float32)
    fair = contextual.CONVENTIONS["cd_fair"]
    values = activations(network, {}, x)
    r, i = contextual.decompose(network, {}, values, part, fair)["r"]
    # Of the other part, seen as the relevant one, it says what is left: no order is favoured.
    other, _ = contextual.decompose(network, {}, values, x - part, fair)["r"]
    np.testing.assert_allclose(i, other)
    np.testing.assert_allclose(r, [[5.0, 0.0, -1.0]])


def test_a_sigmoid_has_no_rule() -> None:
    builder = Builder((4,), 0)
    builder.dense(1)
    builder.add("sigmoid")
    model = builder.model(np.float32)
    x = inputs(model)
    with pytest.raises(InputError, match="no rule for sigmoid"):
        contextual.decompose(*model, activations(*model, x), x)
    for method in ("lrp_epsilon", "deep_taylor"):
        with pytest.raises(InputError, match="no rule for sigmoid"):
            attribute(method, model, x, 0)


def test_the_numbers_of_a_hand_worked_layer() -> None:
    node = {"name": "d", "kind": "dense", "inputs": ["x"], "params": {"kernel": "w", "bias": "b"}}
    relu = {"name": "r", "kind": "relu", "inputs": ["d"]}
    network = description.Network("hand", (2,), 2, (node, relu))
    weights = np.array([[1.0, -2.0], [3.0, 1.0]], np.float32).T
    parameters = {"w": weights, "b": np.array([0.5, -1.0], np.float32)}
    x, part = np.array([[1.0, 2.0]], np.float32), np.array([[1.0, 0.0]], np.float32)
    values = contextual.decompose(network, parameters, activations(network, parameters, x), part)
    np.testing.assert_allclose(values["d"][0], [[1.1, 2.4]], rtol=1e-6)
    np.testing.assert_allclose(values["d"][1], [[-3.6, 1.6]], rtol=1e-6)
    np.testing.assert_allclose(values["r"][0], [[1.1, 2.4]], rtol=1e-6)
    np.testing.assert_allclose(values["r"][1], [[-1.1, 1.6]], rtol=1e-6)


# ---- transforms ----------------------------------------------------------------------------------


def test_masks_and_filtered_maps_are_the_stored_ones(reference: Path) -> None:
    with jax.enable_x64(True):
        _, x, arrays = stored(reference, "residual", np.float64)
        bands = [(0.0, 0.3), (0.3, 0.6), (0.6, 2.0)]
        masks = fourier.ring_masks(32, bands)
        np.testing.assert_array_equal(masks, arrays["cd.ring_masks"].astype(bool))
        for mask, band in zip(masks, arrays["cd.band_inputs"], strict=True):
            assert difference(fourier.filtered(x, mask), band) < 1e-12


def test_a_wave_lies_in_the_band_of_its_frequency() -> None:
    pixels, wave = 32, 8  # half of Nyquist
    x = np.cos(2 * np.pi * wave * np.arange(pixels) / pixels)
    map_ = np.broadcast_to(x, (1, pixels, pixels))[..., None].astype(np.float32)
    masks = fourier.ring_masks(pixels, [(0, 0.45), (0.45, 0.55), (0.55, 1.5)])
    kept = [np.abs(np.asarray(fourier.filtered(map_, mask))).max() for mask in masks]
    assert kept[1] == pytest.approx(1, abs=1e-5) and max(kept[0], kept[2]) < 1e-5
    np.testing.assert_array_equal(fourier.ring_masks(pixels, BANDS).sum(0), 1)


def test_nyquist_is_13500_for_pixels_of_08_arcmin() -> None:
    assert fourier.multipole_of_band(1.0, 0.8) == pytest.approx(13_500, rel=1e-15)


@pytest.mark.parametrize("method", ["gradient", "integrated_gradients", "deep_lift"])
def test_attribution_to_coefficients_agrees_with_captum(reference: Path, method: str) -> None:
    with jax.enable_x64(True):
        model, x, arrays = stored(reference, "mlp", np.float64)
        ours = trim.transformed(method, model, x, fourier.RealFourier(100))
        assert difference(ours, arrays[f"trim.{method}"]) < 1e-6


@pytest.mark.parametrize(
    "method", ["input_x_gradient", "integrated_gradients", "deep_lift", "lrp_epsilon"]
)
def test_bands_that_share_out_all_frequencies_share_out_all_relevance(method: str) -> None:
    model = chain()
    x = inputs(model)
    bands = trim.band_relevance(method, model, x, BANDS, [0, 1])
    whole = np.asarray(attribute(method, model, x)).sum((2, 3, 4))
    np.testing.assert_allclose(np.asarray(bands).sum(-1), whole, rtol=2e-3, atol=1e-5)


def test_bands_are_sums_of_coefficients() -> None:
    with jax.enable_x64(True):
        network, parameters = chain()
        parameters = {name: value.astype(float) for name, value in parameters.items()}
        x = inputs((network, parameters)).astype(float)
        each = trim.transformed("input_x_gradient", (network, parameters), x, fourier.Fourier(), 0)
        masks = fourier.ring_masks(x.shape[1], BANDS)
        bands = trim.band_relevance("input_x_gradient", (network, parameters), x, BANDS, [0])[0]
        for k, mask in enumerate(masks):
            summed = np.asarray(each)[:, mask].sum((1, 2, 3))
            np.testing.assert_allclose(bands[:, k], summed, rtol=1e-9, atol=1e-14)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6))
def test_an_orthogonal_basis_keeps_the_sum(seed: int) -> None:
    generator = np.random.default_rng(seed)
    builder = Builder((6,), seed)
    builder.dense(5)
    builder.add("relu")
    builder.dense(2)
    model = builder.model(np.float32)
    x = generator.normal(size=(3, 6)).astype(np.float32)
    basis = np.linalg.qr(generator.normal(size=(6, 6)))[0]
    transform = matrix.Matrix(basis, (6,))
    ours = trim.transformed("input_x_gradient", model, x, transform, 0)
    plain = attribute("input_x_gradient", model, x, 0)
    np.testing.assert_allclose(ours.sum(-1), plain.sum(-1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(transform.inverse(transform.forward(x)), x, atol=1e-5)


def test_what_a_basis_cannot_hold_gets_nothing() -> None:
    model = chain_of_sums()
    transform = matrix.Matrix(np.eye(4)[:2], (4,))
    x = np.array([[1.0, 2.0, 3.0, 4.0]], np.float32)
    ours = trim.transformed("input_x_gradient", model, x, transform, 0)
    np.testing.assert_allclose(ours, [[1.0, 2.0]], rtol=1e-6)


def chain_of_sums() -> Any:
    node = {"name": "d", "kind": "dense", "inputs": ["x"], "params": {"kernel": "w"}}
    return description.Network("sum", (4,), 1, (node,)), {"w": np.ones((4, 1), np.float32)}


@pytest.mark.parametrize("name", ["haar", "db2"])
def test_wavelets_are_orthogonal_and_split_by_scale(name: str) -> None:
    generator = np.random.default_rng(4)
    wavelet = wavelets.Wavelet(name, 3)
    for x in (generator.normal(size=(3, 32)), generator.normal(size=(2, 16, 16, 1))):
        s = np.asarray(wavelet.forward(x.astype(np.float32)))
        assert s.shape == x.shape
        np.testing.assert_allclose(np.sum(s**2), np.sum(x**2), rtol=1e-5)
        np.testing.assert_allclose(wavelet.inverse(s), x, atol=1e-5)
    flat = np.asarray(wavelet.forward(np.ones((1, 32), np.float32)))
    np.testing.assert_allclose(flat[0, :4], 8**0.5, rtol=1e-5)
    np.testing.assert_allclose(flat[0, 4:], 0, atol=1e-6)


def test_db2_has_no_details_on_a_straight_line() -> None:
    line = np.arange(16, dtype=np.float32)[None]
    details = np.asarray(wavelets.Wavelet("db2", 1).forward(line))[0, 8:]
    np.testing.assert_allclose(details[:-1], 0, atol=1e-5)  # the last one joins the edges
    assert abs(details[-1]) > 1


def test_wavelets_that_cannot_be_are_refused() -> None:
    with pytest.raises(InputError, match="wavelet: got 'db9'"):
        wavelets.Wavelet("db9")
    with pytest.raises(InputError, match="12 is no multiple of 8"):
        wavelets.Wavelet("haar", 3).forward(np.zeros((1, 12), np.float32))


def test_starlet_scales_add_up_and_share_the_relevance() -> None:
    builder = Builder((16, 16, 1), 5)
    builder.conv(3, pad=1)
    builder.add("relu")
    builder.add("global_avg_pool")
    builder.dense(2)
    model = builder.model(np.float32)
    x = inputs(model)
    transform = wavelets.Starlet(3)
    scales = transform.forward(x)
    assert scales.shape == (len(x), 4, 16, 16, 1)
    np.testing.assert_allclose(transform.inverse(scales), x, atol=1e-5)
    ours = trim.transformed("input_x_gradient", model, x, transform, 0)
    plain = attribute("input_x_gradient", model, x, 0)
    np.testing.assert_allclose(ours.sum((1, 2, 3, 4)), plain.sum((1, 2, 3)), rtol=1e-4, atol=1e-5)


def test_parts_of_any_transform_are_followed() -> None:
    builder = Builder((6,), 2)
    builder.dense(5)
    builder.add("relu")
    builder.dense(2)
    model = builder.model(np.float32)
    x = inputs(model)
    basis = np.eye(6)[[4, 1]]
    relevant, irrelevant = trim.decomposed(model, x, matrix.Matrix(basis, (6,)))
    assert relevant.shape == (2, len(x), 2)
    for k, place in enumerate((4, 1)):
        part = np.zeros_like(x)
        part[:, place] = x[:, place]
        expected = contextual.decompose(*model, activations(*model, x), part)
        last = model[0].nodes[-1]["name"]
        np.testing.assert_allclose(relevant[k], expected[last][0], atol=1e-5)
        np.testing.assert_allclose(irrelevant[k], expected[last][1], atol=1e-5)
    fitted = matrix.Matrix(basis, (6,), fit=lambda x: np.full((len(x), 2), 2.0))
    np.testing.assert_array_equal(fitted.forward(x), 2.0)


def test_bands_of_series_and_by_multipole() -> None:
    series = np.cos(2 * np.pi * 0.25 * np.arange(64))[None, None, :, None].astype(np.float32)
    masks = fourier.band_masks((1, 64, 1), [(0.0, 0.3), (0.4, 0.6)])
    assert masks.shape == (2, 1, 64)
    parts = [np.asarray(fourier.filtered(series, mask)) for mask in masks]
    np.testing.assert_allclose(parts[0], 0, atol=1e-6)
    np.testing.assert_allclose(parts[1], series, atol=1e-6)
    ((low, high),) = fourier.parse_bands("1350:6750", 0.8)
    assert (low, high) == pytest.approx((0.1, 0.5))
    assert fourier.bands_around([0.1, 0.5], 0.3) == ((0.0, 0.25), (0.35, 0.65))


@pytest.mark.parametrize("text", ["", "0.1", "0.3:0.1", "-1:2", "a:b", "0:nan"])
def test_bands_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="--bands: got"):
        fourier.parse_bands(text)


# ---- from the shell ------------------------------------------------------------------------------


def saved(folder: Path) -> tuple[Any, np.ndarray]:
    network, parameters = chain()
    model = network, {name: value.astype(np.float32) for name, value in parameters.items()}
    x = inputs(model)
    description.save(folder, *model, x=x)
    return model, x


def run(folder: Path, *arguments: Any) -> int:
    return main(["attribute", "--network", str(folder), *map(str, arguments)])


def test_the_command_follows_a_part(tmp_path: Path) -> None:
    (network, parameters), x = saved(tmp_path)
    np.save(tmp_path / "r.npy", x * 0.5)
    out = tmp_path / "out.npz"
    assert run(tmp_path, "--method", "cd", "--relevant", tmp_path / "r.npy", "-o", out) == 0
    with np.load(out) as parts:
        assert sorted(parts.files) == ["irrelevant", "relevant"]
        total = parts["relevant"] + parts["irrelevant"]
    np.testing.assert_allclose(total, forward(network, parameters, x), rtol=1e-5)


def test_bands_of_the_command_can_be_multipoles(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved(tmp_path)
    found = []
    for bands in (("0:0.5",), ("0:6750", "--pixel-arcmin", 0.8)):
        out = tmp_path / "out.npy"
        wanted = ("--method", "gradient", "--transform", "fft", "--bands", *bands, "-o", out)
        assert run(tmp_path, *wanted) == 0
        found.append(np.load(out))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)
    assert run(tmp_path, *wanted[:-4], "--pixel-arcmin", 0, "-o", out) == 1
    assert "pixel_arcmin: got 0" in capsys.readouterr().err


def test_the_command_follows_bands(tmp_path: Path) -> None:
    model, x = saved(tmp_path)
    bands = ("--transform", "fft", "--bands", "0:0.3,0.3:0.7,0.7:1.5")
    assert run(tmp_path, "--method", "cd", *bands, "-o", tmp_path / "cd.npz") == 0
    with np.load(tmp_path / "cd.npz") as parts:
        assert parts["relevant"].shape == (3, len(x), 2)
        whole = forward(*model, x)
        for total in parts["relevant"] + parts["irrelevant"]:
            np.testing.assert_allclose(total, whole, rtol=1e-4)
    out = tmp_path / "bands.npy"
    assert run(tmp_path, "--method", "input_x_gradient", *bands, "-o", out) == 0
    assert np.load(out).shape == (2, len(x), 3)
    assert json.loads((tmp_path / "bands.conventions.json").read_text())["times_input"]


def test_the_command_gives_every_coefficient_of_vectors(reference: Path, tmp_path: Path) -> None:
    folder = reference / "attribution/mlp"
    out = tmp_path / "trim.npy"
    arguments = ("--method", "deep_lift", "--transform", "fft", "-o", out)
    assert run(folder, *arguments) == 0
    with np.load(folder / "reference.npz") as arrays:
        assert difference(np.load(out), arrays["trim.deep_lift"]) < 1e-4


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--method", "cd"), "give either --relevant"),
        (("--method", "cd", "--transform", "fft"), "--bands: missing"),
        (("--method", "cd", "--transform", "fft", "--bands", "1:0"), "edges must rise"),
        (("--method", "cd", "--transform", "fft", "--bands", "0:1", "--outputs", "7"), "output 7"),
        (("--method", "gradient", "--bands", "0:1"), "needs --transform fft"),
        (("--method", "gradient", "--transform", "fft"), "--bands: missing"),
        (("--method", "gradient", "--relevant", "r.npy"), "only --method cd"),
        (("--method", "grad_cam.relu1", "--transform", "fft", "--bands", "0:1"), "no map over"),
        (("--method", "cd", "--relevant", "none.npy"), "not a whole NPY file"),
    ],
)
def test_bad_options_are_one_line(
    tmp_path: Path, arguments: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    saved(tmp_path)
    before = sorted(tmp_path.iterdir())
    ending = "npz" if "cd" in arguments else "npy"
    assert run(tmp_path, *arguments, "-o", tmp_path / f"out.{ending}") == 1
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("pixels", [32, 33])
def test_a_wave_lies_at_its_multipole_whatever_the_number_of_pixels(pixels: int) -> None:
    pixel_arcmin, number = 0.8, 16
    ell = number * 360 * 60 / (pixels * pixel_arcmin)
    (band,) = fourier.parse_bands(f"{ell - 10}:{ell + 10}", pixel_arcmin)
    (mask,) = fourier.band_masks((pixels, pixels, 1), [band])
    assert mask[0, number] and not mask[0, number - 1]
