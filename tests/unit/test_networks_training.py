"""Training: the same to the bit however often it is killed, and it learns."""

import dataclasses
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from typed import section

from kappascope import randomness
from kappascope.errors import InputError
from kappascope.networks import fit, learning, prediction, training
from kappascope.networks.description import Network
from kappascope.networks.module import GraphNetwork, activations, flatten, forward

SETTINGS = training.Settings(
    epochs=6,
    batch=16,
    peak_learning_rate=0.05,
    schedule="one_cycle",
    momentum=0.9,
    kernel_l2=5e-5,
    batch_norm_momentum=0.9,
    output_bias="mean",
    checkpoint_every_seconds=1e9,
)


def tiny_network(pixels: int = 16) -> Network:
    """Two convolutions: what training does to a description does not depend on its length."""
    margins = [[1, 1], [1, 1]]

    def conv(name: str, source: str, features: int) -> dict[str, Any]:
        params = {"kernel": f"{name}.kernel", "bias": f"{name}.bias"}
        return {
            "name": name, "kind": "conv", "inputs": [source], "features": features,
            "window": [3, 3], "strides": [1, 1], "padding": margins, "params": params,
        }  # fmt: skip

    moments = {field: f"bn1.{field}" for field in ("scale", "bias", "mean", "var")}
    nodes = (
        conv("conv1", "x", 8),
        {"name": "bn1", "kind": "batch_norm", "inputs": ["conv1"], "eps": 1e-3, "params": moments},
        {"name": "relu1", "kind": "relu", "inputs": ["bn1"]},
        conv("conv2", "relu1", 8),
        {"name": "relu2", "kind": "relu", "inputs": ["conv2"]},
        {"name": "pool", "kind": "global_avg_pool", "inputs": ["relu2"]},
        {
            "name": "dense", "kind": "dense", "inputs": ["pool"], "features": 2,
            "params": {"kernel": "dense.kernel", "bias": "dense.bias"},
        },
    )  # fmt: skip
    return Network("tiny", (pixels, pixels, 1), 2, nodes)


class Maps:
    """White noise of varying scatter: the second target is the scatter, the first its square."""

    def __init__(self, count: int = 160, pixels: int = 16, seed: int = 1) -> None:
        generator = np.random.default_rng(seed)
        scatter = generator.uniform(0.5, 1.5, count)
        noise = generator.standard_normal((count, pixels, pixels))
        self.maps = (scatter[:, None, None] * noise).astype(np.float32)
        self.targets = np.stack([scatter**2, scatter], -1)
        self.rows_read: list[np.ndarray] = []

    def __len__(self) -> int:
        return len(self.maps)

    def read(self, rows: np.ndarray) -> np.ndarray:
        self.rows_read.append(rows)
        return self.maps[rows]


def as_seen(maps: jax.Array, key: jax.Array) -> jax.Array:
    return maps + 0.01 * jax.random.normal(key, maps.shape, maps.dtype)


def trained(
    scratch: Path,
    settings: training.Settings = SETTINGS,
    maps: Maps | None = None,
    seed: int = 1,
    index: int = 0,
    held_out: tuple[np.ndarray, np.ndarray] | None = None,
    learns: learning.Learns = learning.LABELS,
) -> training.Trained:
    maps = maps or Maps()
    return training.train(
        tiny_network(),
        maps,
        maps.targets,
        as_seen,
        settings,
        seed,
        index,
        scratch,
        "test",
        held_out,
        learns,
    )


def assert_same(first: training.Trained, second: training.Trained) -> None:
    assert set(first.parameters) == set(second.parameters)
    for name, value in first.parameters.items():
        np.testing.assert_array_equal(value, second.parameters[name], err_msg=name)
    np.testing.assert_array_equal(first.history, second.history)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> training.Trained:
    return trained(tmp_path_factory.mktemp("reference"))


# It learns.


def test_it_learns_what_can_be_learnt(tmp_path: Path) -> None:
    outside = Maps(count=70, seed=2)  # two full batches of 32 and a rest
    settings = dataclasses.replace(SETTINGS, epochs=12)
    result = trained(tmp_path, settings, held_out=(outside.maps, outside.targets))
    assert result.history.shape == (12, 2)
    assert np.isfinite(result.history).all()
    # Guessing the mean leaves a mean absolute error of 0.86 standard deviations.
    assert result.history[-1, 0] < 0.4
    assert result.history[-1, 1] < 0.4
    assert result.history[-1, 0] < 0.5 * result.history[0, 0]
    # What the history says of the held-out maps is what the returned parameters do.
    np.testing.assert_allclose(result.target_scale, Maps().targets.std(0), rtol=1e-6)
    outputs = jax.jit(partial(forward, tiny_network()))(result.parameters, outside.maps[..., None])
    error = np.mean(np.abs(outputs - outside.targets / result.target_scale))
    assert error == pytest.approx(result.history[-1, 1], rel=1e-4)


def test_training_starts_from_the_mean_of_the_targets_which_keep_their_sign(
    tmp_path: Path,
) -> None:
    still = dataclasses.replace(SETTINGS, epochs=1, peak_learning_rate=1e-12, kernel_l2=0.0)
    result = trained(tmp_path, still)
    targets = Maps().targets
    np.testing.assert_allclose(
        result.parameters["dense.bias"], targets.mean(0) / targets.std(0), rtol=1e-5
    )
    assert (result.parameters["dense.bias"] > 1).all()  # scaled and not centred


def test_an_epoch_reads_every_map_once_in_an_order_of_its_own(tmp_path: Path) -> None:
    maps = Maps()
    trained(tmp_path, dataclasses.replace(SETTINGS, epochs=3), maps)
    assert len(maps.rows_read) == 3 * 10
    epochs = [np.concatenate(maps.rows_read[start : start + 10]) for start in (0, 10, 20)]
    for rows in epochs:
        np.testing.assert_array_equal(np.sort(rows), np.arange(160))
    assert not np.array_equal(epochs[0], epochs[1])
    batches = [set(rows.tolist()) for rows in maps.rows_read]
    assert batches[0] not in batches[10:]


def test_maps_that_fill_no_batch_are_left_for_another_epoch(tmp_path: Path) -> None:
    maps = Maps(count=40)
    trained(tmp_path, dataclasses.replace(SETTINGS, epochs=2), maps)
    assert [len(rows) for rows in maps.rows_read] == [16, 16, 16, 16]
    assert set(maps.rows_read[0]) | set(maps.rows_read[1]) != set(maps.rows_read[2]) | set(
        maps.rows_read[3]
    )


def test_noise_and_augmentation_are_drawn_afresh_at_every_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[object, ...]] = []
    key = training.randomness.key

    def spy(*name: Any) -> jax.Array:
        asked.append(name)
        return key(*name)

    monkeypatch.setattr(training.randomness, "key", spy)
    trained(tmp_path, dataclasses.replace(SETTINGS, epochs=2))
    for purpose in ("augmentation", "training noise"):
        assert [name for name in asked if name[1] == purpose] == [
            (1, purpose, 0, step) for step in range(20)
        ]


def test_the_penalty_is_the_sum_of_squared_convolution_kernels() -> None:
    network = tiny_network()
    module = training.GraphNetwork(network)
    variables = jax.jit(module.init)(jax.random.key(0), np.zeros((1, 16, 16, 1), np.float32))
    maps = Maps(count=8)
    targets = maps.targets.astype(np.float32)

    @jax.jit
    def loss(weight: float) -> jax.Array:
        params, statistics = variables["params"], variables["batch_stats"]
        return training._loss(params, statistics, module, maps.maps, targets, weight)[0]

    values = [loss(weight) for weight in (0.0, 0.5)]
    squares = sum(
        float((variables["params"][name]["kernel"] ** 2).sum()) for name in ("conv1", "conv2")
    )
    assert float(values[1] - values[0]) == pytest.approx(0.5 * squares, rel=1e-5)


def test_augmentation_makes_the_eight_views_of_a_square() -> None:
    one = np.arange(9, dtype=np.float32).reshape(1, 3, 3)
    many = np.asarray(training._augment(np.repeat(one, 400, 0), jax.random.key(1)))
    turned = [np.rot90(one[0], n) for n in range(4)]
    views = [view.tobytes() for side in turned for view in (side, side.T)]
    counts = [sum(seen.tobytes() == view for seen in many) for view in views]
    assert sum(counts) == 400
    assert min(counts) > 25  # each has probability 1/8


def test_schedules() -> None:
    one_cycle = training.learning_rate(SETTINGS, 10)
    rates = np.array([float(one_cycle(step)) for step in range(61)])
    assert rates.max() == pytest.approx(0.05, rel=1e-3)
    assert np.argmax(rates) == 18  # 30 % of 60 steps
    assert rates[0] < 0.1 * rates.max()
    assert rates[-1] < 0.01 * rates.max()
    steps = training.learning_rate(
        dataclasses.replace(SETTINGS, schedule="steps", peak_learning_rate=1e-3), 10
    )
    seen = [float(steps(step)) for step in (0, 99, 101, 199, 201, 299)]
    np.testing.assert_allclose(seen, [1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5], rtol=1e-5)


# It is the same every time.


def test_two_trainings_are_the_same_to_the_bit_and_seeds_differ(
    tmp_path: Path, reference: training.Trained
) -> None:
    assert_same(trained(tmp_path / "a"), reference)
    for name, more in (("b", {"seed": 2}), ("c", {"index": 1})):
        other = trained(tmp_path / name, **more)  # type: ignore[arg-type]
        for parameter in ("conv1.kernel", "dense.kernel", "bn1.mean"):
            assert not np.allclose(
                other.parameters[parameter], reference.parameters[parameter], rtol=1e-3
            )


def test_looking_at_held_out_maps_changes_nothing(
    tmp_path: Path, reference: training.Trained
) -> None:
    outside = Maps(count=40, seed=2)
    looked = trained(tmp_path, held_out=(outside.maps, outside.targets))
    for name, value in reference.parameters.items():
        np.testing.assert_array_equal(looked.parameters[name], value)


class StopError(Exception):
    """The power went."""


class Stopping(Maps):
    """Maps that cannot be read any more after some steps."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    def read(self, rows: np.ndarray) -> np.ndarray:
        if len(self.rows_read) == self.after:
            raise StopError
        return super().read(rows)


@pytest.mark.parametrize(("every", "stops"), [(1, [1]), (1, [5, 1, 1, 17]), (4, [23]), (4, [59])])
def test_a_training_that_was_stopped_goes_on_as_if_nothing_had_happened(
    tmp_path: Path,
    reference: training.Trained,
    monkeypatch: pytest.MonkeyPatch,
    every: int,
    stops: list[int],
) -> None:
    # A clock that ticks once a look makes checkpoints every so many steps.
    ticks = iter(range(10**6))
    monkeypatch.setattr(fit.time, "monotonic", lambda: next(ticks))
    settings = dataclasses.replace(SETTINGS, checkpoint_every_seconds=every - 0.5)
    for after in stops:
        with pytest.raises(StopError):
            trained(tmp_path, settings, Stopping(after))
    maps = Maps()
    assert_same(trained(tmp_path, settings, maps), reference)
    if sum(stops) > 2 * every * len(stops):
        assert len(maps.rows_read) < 60  # it did go on, and not start over
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.msgpack"]


def test_a_finished_training_is_not_repeated(tmp_path: Path, reference: training.Trained) -> None:
    trained(tmp_path)
    maps = Maps()
    assert_same(trained(tmp_path, maps=maps), reference)
    assert not maps.rows_read


@pytest.mark.parametrize("content", ["half", "nothing", "noise"])
def test_a_damaged_checkpoint_is_left_aside(
    tmp_path: Path,
    reference: training.Trained,
    capfd: pytest.CaptureFixture[str],
    content: str,
) -> None:
    """A disk's failure costs the time of the steps and not the run: it starts over, and says so."""
    path = tmp_path / "checkpoint.msgpack"
    trained(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(
        {"half": whole[: len(whole) // 2], "nothing": b"", "noise": b"{]?" * 99}[content]
    )
    assert_same(trained(tmp_path), reference)
    assert str(path) in capfd.readouterr().err


CHILD = """
import os, signal, sys
from pathlib import Path
from kappascope import runtime
runtime.configure(threads=1, cache=sys.argv[2])
import numpy as np
from kappascope import files
from kappascope.networks import architectures, fit, prediction, training

# The published network cut to three convolutions, which compile sooner than eighteen.
architectures.BLOCKS = (((3, 1), (3, 2)), ((3, 2),))
where, how, after = sys.argv[3], sys.argv[4], int(sys.argv[5])
generator = np.random.default_rng(3)
maps = generator.standard_normal((40, 32, 32)).astype(np.float32)
targets = generator.uniform(0.5, 1.0, (40, 2))
calls = {"read": 0, "save": 0}

def reached(kind):
    calls[kind] += 1
    if how == kind and calls[kind] == after:
        os.kill(os.getpid(), signal.SIGKILL)

class Source:
    def __len__(self):
        return 40
    def read(self, rows):
        reached("read")
        return maps[rows]

replace = files.os.replace
def killed_before_the_move(source, destination):
    reached("save")
    replace(source, destination)
files.os.replace = killed_before_the_move

ticks = iter(range(10**6))
fit.time.monotonic = lambda: next(ticks)
settings = training.Settings(6, 8, 0.05, "one_cycle", 0.9, 5e-5, 0.9, "mean", 2.5)
result = training.train(
    architectures.convergence_cnn(32, 2, "SAME"), Source(), targets,
    prediction.observer(0.1, 1.2), settings, 7, 0, Path(where), "child", (maps[:33], targets[:33]),
)
np.savez(sys.argv[1], history=result.history, **result.parameters)
"""


def test_a_kill_at_any_step_or_in_the_middle_of_a_save_leaves_the_same_weights(
    tmp_path: Path,
) -> None:
    """A short network in processes of their own, killed with SIGKILL and started again."""
    generator = randomness.generator(int(os.environ.get("KAPPASCOPE_TEST_SEED", "5")), "kill")

    def child(name: str, how: str = "never", after: int = 0) -> int:
        # One folder of compiled code, as in a run of the workflow.
        arguments = [tmp_path / f"{name}.npz", tmp_path / "compiled", tmp_path / name, how, after]
        done = subprocess.run(
            [sys.executable, "-c", CHILD, *map(str, arguments)], stderr=subprocess.PIPE, text=True
        )
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        return done.returncode

    assert child("whole") == 0
    assert child("killed", "read", int(generator.integers(4, 16))) == -signal.SIGKILL
    assert (tmp_path / "killed" / "checkpoint.msgpack").is_file()
    assert child("killed", "save", int(generator.integers(1, 4))) == -signal.SIGKILL
    assert child("killed") == 0
    with np.load(tmp_path / "whole.npz") as whole, np.load(tmp_path / "killed.npz") as killed:
        assert set(whole.files) == set(killed.files)
        assert whole["history"].shape == (6, 2)
        for name in whole.files:
            np.testing.assert_array_equal(whole[name], killed[name], err_msg=name)
            assert np.isfinite(whole[name]).all()


# What it refuses.


def test_fewer_maps_than_a_batch_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"network\.batch: got 16, more than the 12 training maps; lower it"
    ) as caught:
        trained(tmp_path, maps=Maps(count=12))
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("spoilt", ["map", "target", "rate"])
def test_what_is_no_number_is_refused_in_one_line(tmp_path: Path, spoilt: str) -> None:
    """Weights that are NaN too: a compiled ReLU can make a finite loss of them."""
    maps, settings = Maps(), SETTINGS
    if spoilt == "map":
        maps.maps[5, 0, 0] = np.inf
    elif spoilt == "target":
        maps.targets[5, 0] = np.nan
    else:
        settings = dataclasses.replace(SETTINGS, peak_learning_rate=1e30)
    told = r"network\.peak_learning_rate: the loss became (nan|inf) at step \d+; lower the rate"
    with pytest.raises(InputError, match=told) as caught:
        trained(tmp_path, settings, maps)
    assert "\n" not in str(caught.value)


def test_settings_are_the_networks_section_of_the_config() -> None:
    given = section("network", **dataclasses.asdict(SETTINGS), width=8, padding="SAME")
    assert training.Settings.of(given) == SETTINGS
    with pytest.raises(AttributeError, match="batch"):
        training.Settings.of(section("network", epochs=3))


# Maps as the network sees them.


def test_the_observer_adds_noise_of_its_key_and_smooths() -> None:
    maps = np.zeros((64, 32, 32), np.float32)
    key = jax.random.key(1)
    smooth_only = np.asarray(prediction.observer(0.0, 1.5)(maps + 1, key))
    np.testing.assert_allclose(smooth_only, 1.0, rtol=1e-5)
    seen = np.asarray(prediction.observer(0.3, 1.5)(maps, key))
    # White noise under a Gaussian of s pixels keeps 1/(2 s √π) of its scatter.
    assert seen[:, 8:-8, 8:-8].std() == pytest.approx(0.3 / (2 * 1.5 * np.sqrt(np.pi)), rel=0.03)
    np.testing.assert_array_equal(seen, prediction.observer(0.3, 1.5)(maps, key))
    other = np.asarray(prediction.observer(0.3, 1.5)(maps, jax.random.key(2)))
    assert abs(np.corrcoef(seen.ravel(), other.ravel())[0, 1]) < 0.05


def test_noise_belongs_to_the_noisy_set() -> None:
    noise = section("noise", galaxies_per_arcmin2=30.0, ellipticity_rms=0.4)
    assert prediction.noise_sigma("noiseless", 210 / 512, noise) == 0.0
    assert prediction.noise_sigma("noisy", 210 / 512, noise) == pytest.approx(0.1259, abs=5e-5)


# ---------------------------------------------------------------------- what is learned from


def outside(found: training.Trained) -> float:
    """Return R² of the second target on maps that were not trained on."""
    maps = Maps(seed=2)
    outputs = forward(tiny_network(), found.parameters, maps.maps[..., None])
    error = outputs[:, 1] * found.target_scale[1] - maps.targets[:, 1]
    return float(1 - np.mean(error**2) / maps.targets[:, 1].var())


def test_permuted_labels_teach_nothing(tmp_path: Path) -> None:
    assert outside(trained(tmp_path / "a")) > 0.8
    permuted = trained(tmp_path / "b", learns=learning.PERMUTED)
    assert outside(permuted) < 0.2
    assert_same(permuted, trained(tmp_path / "c", learns=learning.PERMUTED))


def test_a_network_that_learns_nothing_is_as_it_was_drawn(tmp_path: Path) -> None:
    """Its normalizations alone have seen maps: what they hand on has mean 0 and variance 1."""
    maps = Maps()
    result = trained(tmp_path, maps=maps, learns=learning.NOTHING)
    assert [len(rows) for rows in maps.rows_read] == [training.SEEN]
    assert result.history.shape == (0, 2) and not list(tmp_path.iterdir())
    network = tiny_network()
    generator = randomness.generator(1, "initial weights", 0)
    drawn = flatten(network, training.initial_variables(GraphNetwork(network, 0.9), generator))
    moments = {
        name
        for node in network.nodes
        if node["kind"] == "batch_norm"
        for field, name in node["params"].items()
        if field in ("mean", "var")
    }
    assert moments
    bias = maps.targets.mean(0) / result.target_scale
    np.testing.assert_allclose(result.parameters["dense.bias"], bias, rtol=1e-6)
    for name, value in result.parameters.items():
        if name in moments or name == "dense.bias":
            assert not np.array_equal(value, drawn[name]), name
        else:
            np.testing.assert_array_equal(value, drawn[name], err_msg=name)
    seen = np.asarray(as_seen(maps.maps[np.sort(maps.rows_read[0])], jax.random.key(0)))
    values = activations(network, result.parameters, seen[..., None])
    for node in network.nodes:
        if node["kind"] == "batch_norm":
            assert np.mean(values[node["name"]]) == pytest.approx(0.0, abs=0.05)
            assert np.var(values[node["name"]]) == pytest.approx(1.0, abs=0.05)


def test_each_network_has_a_permutation_of_its_own() -> None:
    labels = np.arange(50)
    first = learning.given(learning.PERMUTED, labels, 1, "maps", 0)
    assert sorted(first) == labels.tolist() and (first != labels).any()
    np.testing.assert_array_equal(first, learning.given(learning.PERMUTED, labels, 1, "maps", 0))
    for seed, of, index in ((2, "maps", 0), (1, "groups", 0), (1, "maps", 1)):
        assert (first != learning.given(learning.PERMUTED, labels, seed, of, index)).any()
    for learns in (learning.LABELS, learning.NOTHING):
        np.testing.assert_array_equal(learning.given(learns, labels, 1, "maps", 0), labels)
