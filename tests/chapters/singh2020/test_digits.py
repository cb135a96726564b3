"""Basis images of digits: readers, the released network, and parts whose class is known."""

import gzip
import io

import jax
import matplotlib.pyplot as plt
import numpy as np
import pytest
from typed import section

from kappascope.chapters.singh2020 import basis_images
from kappascope.chapters.singh2020.figures import digits as drawn
from kappascope.errors import InputError
from kappascope.files import read_rows
from kappascope.networks import digits
from kappascope.networks.architectures import lenet
from kappascope.networks.description import Network
from kappascope.networks.module import forward

SETTINGS = section(
    "digits",
    training_percent=80,
    networks=1,
    epochs=6,
    batch=32,
    learning_rate=4e-3,
)
BASIS = section("singh2020.basis_images", components=10, attributed=80)


def idx(values):
    header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
    return gzip.compress(header + values.astype(np.uint8).tobytes(), mtime=0)


def mnist(tmp_path, images, labels):
    paths = tmp_path / "images.gz", tmp_path / "labels.gz"
    for path, values in zip(paths, (images, labels), strict=True):
        path.write_bytes(idx(values))
    return paths


def test_mnist_is_read(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (7, 28, 28))
    found = digits.read_mnist(*mnist(tmp_path, images, np.arange(7)))
    assert found.images == pytest.approx(images / 255)
    assert found.labels.tolist() == list(range(7))
    assert found.source == "MNIST test digits"


WHOLE = idx(np.zeros((2, 28, 28)))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no gzip at all", "cannot be unpacked"),
        (b"", "starts with"),
        (WHOLE[:-12], "cannot be unpacked"),
        (WHOLE[:12] + b"\xff\xff" + WHOLE[14:], "cannot be unpacked"),
        (gzip.compress(b"\0\0\x08\x01" + bytes(40), mtime=0), "starts with 00000801"),
        (
            gzip.compress(gzip.decompress(WHOLE)[:-1], mtime=0),
            "holds 1567 bytes, its header says 2×28×28",
        ),
        (gzip.compress(b"\0\0\x08\x03\0\0", mtime=0), "starts with"),
    ],
)
def test_files_that_are_no_digits_are_refused_in_one_line(tmp_path, content, said):
    path = tmp_path / "images.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        digits.read_idx(path, 3)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (np.zeros((3, 8, 8)), np.zeros(3), "MNIST has 28×28"),
        (np.zeros((3, 28, 28)), np.zeros(2), "2 labels up to 0 for 3 digits"),
        (np.zeros((3, 28, 28)), np.full(3, 11), "3 labels up to 11"),
    ],
)
def test_digits_and_labels_that_do_not_fit_are_refused(tmp_path, images, labels, said):
    with pytest.raises(InputError, match=said):
        digits.read_mnist(*mnist(tmp_path, images, labels))


@pytest.mark.parametrize(("pixels", "wanted"), [(28, 32), (8, 28), (5, 5)])
def test_enlargement_is_bilinear(pixels, wanted):
    image = np.random.default_rng(0).uniform(size=(2, pixels, pixels)).astype(np.float32)
    expected = jax.image.resize(image, (2, wanted, wanted), "bilinear")
    found = digits.resized(image, digits.bilinear(pixels, wanted))
    assert found == pytest.approx(np.asarray(expected), abs=1e-5)


def released(change=lambda arrays: None):
    """Arrays of the released file's names and shapes."""
    draw = np.random.default_rng(0)
    sizes = {"c1": (6, 1, 5, 5), "c3": (16, 6, 5, 5), "c5": (120, 16, 5, 5)}
    arrays = {}
    for name, shape in sizes.items():
        arrays[f"convnet.{name}.weight"] = draw.normal(size=shape).astype(np.float32)
    for name, shape in {"f6": (84, 120), "f7": (10, 84)}.items():
        arrays[f"fc.{name}.weight"] = draw.normal(size=shape).astype(np.float32)
    for name in list(arrays):
        size = len(arrays[name])
        arrays[name.replace("weight", "bias")] = draw.normal(size=size).astype(np.float32)
    change(arrays)
    handle = io.BytesIO()
    np.savez(handle, **arrays)
    return arrays, handle.getvalue()


def test_released_kernels_are_turned_into_our_order(tmp_path):
    path = tmp_path / "lenet.npz"
    arrays, content = released()
    path.write_bytes(content)
    reader = digits.released_lenet(path)
    assert reader.parameters["c2.kernel"][3, 1, 4, 9] == arrays["convnet.c3.weight"][9, 4, 3, 1]
    assert reader.parameters["f4.kernel"][7, 2] == arrays["fc.f6.weight"][2, 7]
    assert reader.see(np.ones((2, 28, 28), np.float32)) == pytest.approx(np.ones((2, 32, 32, 1)))
    assert forward(reader.network, reader.parameters, np.zeros((1, 32, 32, 1))).shape == (1, 10)
    assert reader.network == lenet()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda arrays: arrays.pop("fc.f6.bias"), r"fc\.f6\.bias is nothing"),
        (
            lambda a: a.update({"fc.f6.bias": np.zeros(9)}),
            r"fc\.f6\.bias is \(9,\), the released LeNet has \(84,\)",
        ),
        (
            lambda a: a.update({"convnet.c1.weight": np.zeros((6, 1, 3, 3))}),
            r"convnet\.c1\.weight is \(6, 1, 3, 3\)",
        ),
    ],
)
def test_other_weights_are_refused(tmp_path, change, said):
    path = tmp_path / "lenet.npz"
    path.write_bytes(released(change)[1])
    with pytest.raises(InputError, match=said) as caught:
        digits.released_lenet(path)
    assert "\n" not in str(caught.value)


def test_a_damaged_weight_file_is_refused(tmp_path):
    path = tmp_path / "lenet.npz"
    path.write_bytes(released()[1][:5000])
    with pytest.raises(InputError, match="not a whole npz file"):
        digits.released_lenet(path)


def test_the_released_network_is_right_as_often_as_published(real_data):
    folder = real_data / "mnist"
    found = digits.read_mnist(
        folder / "t10k-images-idx3-ubyte.gz", folder / "t10k-labels-idx1-ubyte.gz"
    )
    row = basis_images.accuracy_row(digits.released_lenet(folder / "trim_lenet.npz"), found)
    assert row["digits"] == 10_000
    assert row["accuracy_percent"] == pytest.approx(99.1, abs=0.05)
    assert row["error_percent"] == pytest.approx(0.095, abs=0.002)


def test_the_basis_of_separate_bars_is_the_bars():
    draw = np.random.default_rng(0)
    bars = np.zeros((3, 28, 28), np.float32)
    for number in range(3):
        bars[number, 5 + 7 * number : 8 + 7 * number, 4:20] = 1
    # Each bar is missing somewhere, or mixtures of bars would do as well.
    amounts = (draw.uniform(0.1, 1, (60, 3)) * (draw.uniform(size=(60, 3)) > 0.5)).astype(
        np.float32
    )
    images = np.einsum("ak,kij->aij", amounts, bars)
    basis = basis_images.fit_basis(images[:40], images[40:], 3, seed=0)
    order = basis.images.reshape(3, -1).argmax(1).argsort()
    assert basis.images[order] == pytest.approx(bars, abs=0.01)
    assert basis.coefficients[:, order] == pytest.approx(amounts[40:], abs=0.02)


@pytest.mark.parametrize("components", [0, 6])
def test_a_basis_larger_than_the_digits_is_refused(components):
    images = np.zeros((5, 28, 28))
    with pytest.raises(InputError, match=r"basis_images\.components"):
        basis_images.fit_basis(images, images, components, seed=0)


@pytest.mark.parametrize("side", [28, 32])
def test_a_linear_network_gives_each_part_its_weights(side):
    # Every way of attributing must find s_k (H_k · W), through the enlargement as well.
    draw = np.random.default_rng(2)
    kernel = draw.normal(size=(side * side, 10)).astype(np.float32)
    dense = {"name": "dense", "kind": "dense", "inputs": ["flatten"], "features": 10}
    nodes = (
        {"name": "flatten", "kind": "flatten", "inputs": ["x"]},
        {**dense, "params": {"kernel": "dense.kernel"}},
    )
    network = Network("linear", (side, side, 1), 10, nodes)
    resize = digits.bilinear(28, side)
    reader = digits.Reader("linear", network, {"dense.kernel": kernel}, resize)
    basis = basis_images.Basis(
        draw.uniform(size=(4, 28, 28)).astype(np.float32),
        draw.uniform(size=(6, 4)).astype(np.float32),
    )
    images = draw.uniform(size=(6, 28, 28)).astype(np.float32)
    weights = digits.resized(basis.images, resize).reshape(4, -1) @ kernel
    expected = basis.coefficients[:, :, None] * weights
    for method in basis_images.METHODS:
        found = basis_images.component_scores(reader, images, basis, method)
        assert found == pytest.approx(expected, abs=1e-3)
    assert basis_images.removal_scores(reader, images, basis) == pytest.approx(expected, abs=1e-3)


def bar_digits(number=400):
    """Ten classes, each a bar of its own on a faint background."""
    draw = np.random.default_rng(0)
    labels = np.arange(number) % 10
    images = draw.uniform(0, 0.05, (number, 28, 28)).astype(np.float32)
    for image, label in zip(images, labels, strict=True):
        row, column = divmod(label, 2)
        place = slice(2 + 5 * row, 5 + 5 * row), slice(2 + 13 * column, 12 + 13 * column)
        image[place] += draw.uniform(0.6, 0.95)
    return digits.Digits(images, labels, "bars")


@pytest.fixture(scope="module")
def explained():
    return basis_images.explain(bar_digits(), SETTINGS, BASIS, seed=1)


def test_bars_are_named_after_their_class(explained):
    cd = [row for row in explained.rows if row["method"] == "cd"]
    assert sorted(row["class_by_use"] for row in cd) == list(range(10))
    assert explained.accuracy[0]["accuracy_percent"] > 97
    right = [row["class"] == row["class_by_use"] for row in cd]
    removed = [row["class_by_removal"] == row["class_by_use"] for row in cd]
    assert np.mean(right) >= 0.9
    assert np.mean(removed) >= 0.9


def test_rows_tell_winner_and_runner_up():
    reader = digits.Reader("one", lenet(), {}, np.eye(28))
    scores = np.zeros((4, 1, 10))
    scores[:, 0, 3] = [1, 2, 3, 4]
    scores[:, 0, 8] = [1, 1, 2, 2]
    (row,) = basis_images.component_rows(reader, "cd", scores, np.array([3]), np.array([8]))
    assert (row["class"], row["runner_up"]) == (3, 8)
    assert (row["score"], row["runner_up_score"], row["margin"]) == (2.5, 1.5, 1.0)
    assert row["error"] == pytest.approx(np.std([1, 2, 3, 4], ddof=1) / 2)
    assert row["margin_error"] == pytest.approx(np.std([0, 1, 1, 2], ddof=1) / 2)
    assert (row["class_by_removal"], row["class_by_use"], row["digits"]) == (3, 8, 4)


def test_agreement_counts_equal_names():
    def row(model, method, number, name):
        classes = {"class_by_removal": name, "class_by_use": 0}
        return {"model": model, "method": method, "component": number, "class": name, **classes}

    names = {("a", "cd"): (0, 1, 2, 3), ("a", "input_x_gradient"): (0, 1, 2, 2)}
    names[("b", "cd")] = names[("b", "input_x_gradient")] = (0, 1, 3, 2)
    rows = [row(*key, *each) for key, classes in names.items() for each in enumerate(classes)]
    found = {(each["first"], each["second"]): each for each in basis_images.agreement_rows(rows)}
    assert len(found) == 7
    both = found[("a, cd", "b, cd")]
    assert both["agreement_percent"] == 50
    assert both["chance_percent"] == 25
    assert both["error_percent"] == 25
    assert found[("a, cd", "a, input_x_gradient")]["agreement_percent"] == 75
    assert found[("a, cd", "a, removal")]["agreement_percent"] == 100
    assert found[("b, cd", "b, use")]["agreement_percent"] == 25


def test_bundled_digits_are_as_large_as_mnist():
    found = digits.bundled_digits()
    assert found.images.shape == (1797, 28, 28)
    assert 0 <= found.images.min() < found.images.max() <= 1
    assert set(found.labels) == set(range(10))
    assert "scikit-learn" in found.source


def test_the_figure_names_images_and_source(explained, tmp_path):
    basis_images.COMPONENTS.write(tmp_path / "digits.csv", explained.rows)
    basis_images.ACCURACY.write(tmp_path / "accuracy.csv", explained.accuracy)
    basis_images.AGREEMENT.write(tmp_path / "agreement.csv", explained.agreement)
    rows = read_rows(tmp_path / "digits.csv")
    figure = drawn.basis_images(explained.basis.images, rows, read_rows(tmp_path / "accuracy.csv"))
    shown = [panel for panel in figure.axes if panel.images]
    assert len(shown) == 10
    for panel, row in zip(shown, rows, strict=False):
        model, used = (text.get_text() for text in panel.texts)
        assert model.strip("()") == row["class"]
        assert used == row["class_by_use"]
    assert figure.legends[0].get_title().get_text().startswith("bars;")
    plt.close(figure)
