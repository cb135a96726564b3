"""Sounds: planted bands, attribution to frequencies, the loader of recordings, the figure."""

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.io.wavfile
from hypothesis import given, settings
from hypothesis import strategies as st
from loaded import script
from typed import section as section_of
from typed import typed

from kappascope.attribution.methods import attribute
from kappascope.chapters.singh2020 import sounds
from kappascope.chapters.singh2020.figures.sounds import importance_of_frequencies
from kappascope.errors import InputError
from kappascope.files import read_rows
from kappascope.networks import architectures, classification
from kappascope.networks.description import Network, Parameters
from kappascope.networks.module import forward
from kappascope.reporting.figures import FIGURES

RATE = 8000
SAMPLES = 800
SECTION: dict[str, Any] = {
    "source": "generated",
    "path": None,
    "rate_hz": RATE,
    "seconds": SAMPLES / RATE,
    "training": 40,
    "testing": 40,
    "width": 2,
    "epochs": 1,
    "batch": 16,
    "learning_rate": 0.003,
    "band_width_hz": 200,
    "clips": 4,
    "path_nodes": 4,
    "methods": ["integrated_gradients", "cd"],
}


def asked(**changes: Any) -> Any:
    return section_of("singh2020.sounds", **{**SECTION, **changes})


def matched_filters(frequencies: tuple[float, ...]) -> tuple[Network, Parameters]:
    """Each class's score is the mean rectified output of filters tuned to its frequency."""
    window, count = 81, len(frequencies)
    network = architectures.waveform_cnn(SAMPLES, 4 * count, count)
    nodes = [node for node in network.nodes if node["name"] in ("conv1", "relu1", "pool", "dense")]
    nodes[2] = {**nodes[2], "inputs": ["relu1"]}
    network = Network("matched_filters", (1, SAMPLES, 1), count, tuple(nodes))
    time = (np.arange(window) - window // 2) / RATE
    taps, weights = [], np.zeros((4 * count, count))
    for number, frequency in enumerate(frequencies):
        for quarter in range(4):  # phases, so that a rectified filter answers to all of them
            phase = quarter * np.pi / 2
            taps.append(np.hanning(window) * np.cos(2 * np.pi * frequency * time + phase))
            weights[4 * number + quarter, number] = 1
    parameters = {
        "conv1.kernel": np.array(taps, np.float32).T[None, :, None],
        "conv1.bias": np.zeros(4 * count, np.float32),
        "dense.kernel": weights.astype(np.float32),
        "dense.bias": np.zeros(count, np.float32),
    }
    return network, parameters


def written(folder: Path, rows: list[tuple[str, int, int, str]] | None = None) -> Path:
    """A folder laid out as UrbanSound8K: one class is low, the other is high."""
    listed = rows or [
        (f"{fold}-{number}.wav", fold, number, name)
        for fold in (1, 5, 10)
        for number, name in enumerate(("low", "high"))
    ]
    table = folder / "metadata" / "UrbanSound8K.csv"
    table.parent.mkdir(parents=True)
    with open(table, "w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(["slice_file_name", "fsID", "fold", "classID", "class"])
        writer.writerows([(file, 7, fold, number, name) for file, fold, number, name in listed])
    for file, fold, number, _ in listed:
        path = folder / "audio" / f"fold{fold}" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        tone = np.sin(2 * np.pi * (500, 2500)[number % 2] * np.arange(22050) / 44100)
        both = np.stack([tone, tone], -1)
        scipy.io.wavfile.write(path, 44100, (20000 * both).astype(np.int16))
    return folder


def loudest(clips: np.ndarray) -> np.ndarray:
    """Frequency of most power of each clip [Hz]."""
    modes = np.abs(np.fft.rfft(clips, axis=-1))
    return np.fft.rfftfreq(clips.shape[-1], 1 / RATE)[modes.argmax(-1)]


# Generated sounds.


def test_the_loudest_class_band_is_the_clips_own() -> None:
    clips, labels = sounds.generated(200, RATE, 2000, 3, 0)
    edges = sounds.band_edges(RATE, 100)
    power = sounds.power(clips, sounds.band_masks(2000, RATE, edges))
    of_bands = np.stack([power[:, sounds.inside(edges, band)].sum(1) for band in sounds.BANDS_HZ])
    assert (of_bands.argmax(0) == labels).mean() > 0.97
    assert np.bincount(labels).tolist() == [40] * 5


def test_neither_loudness_nor_the_loudest_frequency_tells_the_class() -> None:
    clips, _ = sounds.generated(100, RATE, 2000, 3, 0)
    np.testing.assert_allclose((clips**2).mean(1), 1, rtol=1e-5)
    found = loudest(clips)
    bands = np.array(sounds.DISTRACTORS_HZ)
    common = ((bands[:, :1] <= found) & (found <= bands[:, 1:])).any(0)
    assert common.mean() > 0.7


def test_clips_depend_on_seed_and_part_only() -> None:
    first = sounds.generated(10, RATE, SAMPLES, 3, 0)[0]
    np.testing.assert_array_equal(first, sounds.generated(10, RATE, SAMPLES, 3, 0)[0])
    assert not np.allclose(first, sounds.generated(10, RATE, SAMPLES, 3, 1)[0])
    assert not np.allclose(first, sounds.generated(10, RATE, SAMPLES, 4, 0)[0])


def test_a_rate_too_low_for_the_sounds_is_refused() -> None:
    with pytest.raises(InputError, match=r"sounds.rate_hz: got 4000"):
        sounds.read(asked(rate_hz=4000), 0)


# Bands.


@settings(deadline=None, max_examples=25, derandomize=True)
@given(
    samples=st.integers(10, 300), rate=st.sampled_from([8000, 11025, 44100]),
    width=st.floats(50, 9000),
)  # fmt: skip
def test_bands_hold_each_frequency_once_and_all_power(
    samples: int, rate: int, width: float
) -> None:
    masks = sounds.band_masks(samples, rate, sounds.band_edges(rate, width))
    assert (masks.sum(0) == 1).all()
    clips = np.random.default_rng(samples).standard_normal((3, samples))
    np.testing.assert_allclose(sounds.power(clips, masks).sum(1), 1)
    np.testing.assert_allclose(
        sum((sounds.filtered_away(clips, ~mask)) for mask in masks), clips, atol=1e-12
    )


def test_power_is_that_of_the_filtered_clips() -> None:
    clips = np.random.default_rng(0).standard_normal((2, 51))
    masks = sounds.band_masks(51, RATE, sounds.band_edges(RATE, 900))
    parts = np.stack([(sounds.filtered_away(clips, ~m) ** 2).sum(1) for m in masks], 1)
    np.testing.assert_allclose(sounds.power(clips, masks), parts / (clips**2).sum(1)[:, None])


def test_only_positive_relevance_is_shared_out() -> None:
    scores = np.array([[1.0, -5.0, 3.0], [-1.0, -1.0, -1.0]])
    share = sounds.positive_share(scores, np.array([True, True, False]))
    assert share[0] == 0.25
    assert np.isnan(share[1])


# Attribution.


@pytest.mark.parametrize("method", ["integrated_gradients", "cd", "input_x_gradient"])
def test_a_matched_filter_listens_to_its_own_band(method: str) -> None:
    frequencies = (550.0, 1450.0, 2750.0)
    network, parameters = matched_filters(frequencies)
    edges = sounds.band_edges(RATE, 100)
    masks = sounds.band_masks(SAMPLES, RATE, edges)
    time = np.arange(SAMPLES) / RATE
    tones = sum(np.sin(2 * np.pi * frequency * time) for frequency in (*frequencies, 3500.0))
    noise = np.random.default_rng(1).standard_normal((4, SAMPLES))
    clips = (tones + 0.3 * noise).astype(np.float32)
    for number, frequency in enumerate(frequencies):
        model = sounds.explained_class(network, parameters, number)
        scores = sounds.relevance(method, model, clips, masks, 8)
        near = sounds.inside(edges, (frequency - 100, frequency + 100))
        assert near[scores.mean(0).argmax()]
        assert (sounds.positive_share(scores, near) > 0.9).all()
        for other in set(frequencies) - {frequency}:
            elsewhere = sounds.inside(edges, (other - 100, other + 100))
            assert (scores[:, elsewhere].sum(1) < 0).all()  # the others speak against it


def random_network(outputs: int = 3) -> tuple[Network, Parameters]:
    network = architectures.waveform_cnn(SAMPLES, 2, outputs)
    parameters = dict(classification.initial_parameters(network, 5, 0))
    draws = np.random.default_rng(0)
    for name in parameters:
        if name.endswith("bias"):
            parameters[name] = draws.normal(0, 0.1, parameters[name].shape).astype(np.float32)
    return network, parameters


def test_the_explained_output_is_the_score_above_the_mean() -> None:
    network, parameters = random_network()
    x = np.random.default_rng(1).standard_normal((4, 1, SAMPLES, 1)).astype(np.float32)
    scores = np.asarray(forward(network, parameters, x))
    for number in range(3):
        one, changed = sounds.explained_class(network, parameters, number)
        expected = scores[:, number] - scores.mean(1)
        np.testing.assert_allclose(forward(one, changed, x)[:, 0], expected, atol=1e-5)


def test_relevance_of_bands_adds_up_to_that_of_samples() -> None:
    network, parameters = random_network()
    model = sounds.explained_class(network, parameters, 1)
    clips = np.random.default_rng(1).standard_normal((3, SAMPLES)).astype(np.float32)
    masks = sounds.band_masks(SAMPLES, RATE, sounds.band_edges(RATE, 300))
    x = clips[:, None, :, None]
    found = sounds.relevance("integrated_gradients", model, clips, masks, 50).sum(1)
    on_samples = np.asarray(attribute("integrated_gradients", model, x, 0)).sum((1, 2, 3))
    np.testing.assert_allclose(found, on_samples, rtol=1e-3, atol=1e-6)
    change = forward(*model, x)[:, 0] - forward(*model, 0 * x)[:, 0]
    np.testing.assert_allclose(found, change, atol=0.05 * np.abs(change).max())
    plain = attribute("input_x_gradient", model, x, 0).sum((1, 2, 3))
    by_band = sounds.relevance("input_x_gradient", model, clips, masks).sum(1)
    np.testing.assert_allclose(by_band, plain, rtol=1e-4, atol=1e-5)


def test_a_trained_network_listens_to_the_planted_bands() -> None:
    chosen = asked(
        training=2000, testing=150, width=8, epochs=10, seconds=0.2,
        batch=32, clips=12, path_nodes=10, band_width_hz=100,
    )  # fmt: skip
    clips = sounds.read(chosen, 1)
    network, parameters = sounds.train(clips, chosen, 1)
    right = sounds.predicted(network, parameters, clips.testing) == clips.testing_labels
    assert right.mean() > 0.8
    shares = [share for _, share in sounds.explain(network, parameters, clips, right, chosen)]
    assert len(shares) == 10
    for share in shares:
        assert share["peak_inside"] == 1
        assert share["share_inside_percent"] > 2 * share["power_inside_percent"]
    # A class can be what is left when no other one is heard: only most of them need their bands.
    assert np.median([share["kept_without_band_percent"] for share in shares]) < 20


def test_a_network_that_is_never_right_is_refused() -> None:
    clips = sounds.read(asked(), 1)
    network, parameters = random_network(5)
    wrong = np.zeros(len(clips.testing), bool)
    with pytest.raises(InputError, match=r"sounds.epochs: no testing clip"):
        list(sounds.explain(network, parameters, clips, wrong, asked()))


# Recordings.


def test_recordings_are_read_by_fold_at_the_asked_rate(tmp_path: Path) -> None:
    clips = sounds.urbansound8k(written(tmp_path), RATE, SAMPLES)
    assert clips.names == ("low", "high")
    assert clips.bands_hz is None
    assert clips.training.shape == (4, SAMPLES) and clips.testing.shape == (2, SAMPLES)
    for part, labels in (
        (clips.training, clips.training_labels),
        (clips.testing, clips.testing_labels),
    ):
        np.testing.assert_array_equal(loudest(part), np.where(labels == 0, 500, 2500))
        np.testing.assert_allclose((part**2).mean(1), 1, rtol=1e-5)


@pytest.mark.parametrize("kind", ["uint8", "int16", "int32", "float32"])
def test_all_kinds_of_wav_give_the_same_sound(tmp_path: Path, kind: str) -> None:
    sound = 0.5 * np.sin(2 * np.pi * 300 * np.arange(4000) / RATE)
    if kind == "float32":
        data = sound.astype(np.float32)
    else:
        limits = np.iinfo(kind)
        middle = 0 if limits.min < 0 else 128
        data = np.round(sound * (limits.max - middle) + middle).astype(kind)
    scipy.io.wavfile.write(tmp_path / "a.wav", RATE, data)
    found = sounds.waveform(tmp_path / "a.wav", RATE, SAMPLES)
    np.testing.assert_allclose(found, sound[:SAMPLES], atol=0.01)


def test_what_is_cut_off_does_not_change_the_rest(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 44100).astype(np.float32)
    scipy.io.wavfile.write(tmp_path / "a.wav", 44100, noise)
    long = sounds.waveform(tmp_path / "a.wav", RATE, RATE)
    short = sounds.waveform(tmp_path / "a.wav", RATE, SAMPLES)
    np.testing.assert_allclose(short, long[:SAMPLES], atol=1e-6)


def test_short_recordings_are_filled_up_with_silence(tmp_path: Path) -> None:
    scipy.io.wavfile.write(tmp_path / "a.wav", RATE, np.full(100, 0.5, np.float32))
    found = sounds.waveform(tmp_path / "a.wav", RATE, SAMPLES)
    np.testing.assert_array_equal(found[:100], 0.5)
    np.testing.assert_array_equal(found[100:], 0)


GOOD = [("a.wav", 1, 0, "low"), ("b.wav", 10, 1, "high")]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*GOOD, ("c.wav", 2, 1, "low")], "c.wav is of the unknown class 'low'"),
        ([*GOOD, ("c.wav", 2, 0, "")], "c.wav is of the unknown class ''"),
        ([("a.wav", 1, 0, "low"), ("b.wav", 10, 2, "high")], "there is no class 1"),
        ([("a.wav", 1, 0, "low"), ("b.wav", 11, 1, "high")], "line 3 has fold 11"),
        ([("a.wav", 1, 0, "low"), ("b.wav", 2, 1, "high")], "no clips in fold 10"),
        ([("a.wav", 10, 0, "low"), ("b.wav", 10, 1, "high")], "no clips in fold 1 to 9"),
        ([("a.wav", 1, "dog", "low")], "line 2 needs whole numbers"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tmp_path: Path, rows: list, message: str) -> None:
    table = tmp_path / "metadata" / "UrbanSound8K.csv"
    fitting = [row for row in rows if isinstance(row[2], int)]
    written(tmp_path, fitting or GOOD)
    if not fitting:
        table.write_text("slice_file_name,fold,classID,class\na.wav,1,dog,low\n", encoding="utf-8")
    with pytest.raises(InputError, match=message):
        sounds.urbansound8k(tmp_path, RATE, SAMPLES)


def test_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"sounds.path: got nothing"):
        sounds.urbansound8k(None, RATE, SAMPLES)
    with pytest.raises(InputError, match=r"UrbanSound8K.csv: not found; singh2020.sounds.path"):
        sounds.urbansound8k(tmp_path, RATE, SAMPLES)
    written(tmp_path)
    wav = tmp_path / "audio" / "fold5" / "5-1.wav"
    whole = wav.read_bytes()
    for damaged, message in (
        (b"no sound at all", "5-1.wav: not a whole WAV file"),
        (whole[:20], "5-1.wav: not a whole WAV file"),
        (b"", "5-1.wav: not a whole WAV file"),
    ):
        wav.write_bytes(damaged)
        with pytest.raises(InputError, match=message):
            sounds.urbansound8k(tmp_path, RATE, SAMPLES)
    scipy.io.wavfile.write(wav, RATE, np.zeros(0, np.int16))
    with pytest.raises(InputError, match=r"5-1.wav: (holds no sound|not a whole WAV)"):
        sounds.urbansound8k(tmp_path, RATE, SAMPLES)
    wav.unlink()
    with pytest.raises(InputError, match=r"5-1.wav: not found, but UrbanSound8K.csv names it"):
        sounds.urbansound8k(tmp_path, RATE, SAMPLES)
    table = tmp_path / "metadata" / "UrbanSound8K.csv"
    table.write_text("slice_file_name,fold,class\na.wav,1,low\n", encoding="utf-8")
    with pytest.raises(InputError, match="has no column classID"):
        sounds.urbansound8k(tmp_path, RATE, SAMPLES)
    table.write_text("slice_file_name,fold,classID,class\n", encoding="utf-8")
    with pytest.raises(InputError, match="lists no clips"):
        sounds.urbansound8k(tmp_path, RATE, SAMPLES)


# Scripts and figure.


@pytest.mark.parametrize("source", ["generated", "urbansound8k"])
def test_scripts_write_tables_and_figure(tmp_path: Path, root: Path, source: str) -> None:
    section = {**SECTION, "source": source}
    if source == "urbansound8k":
        section |= {"path": str(written(tmp_path / "recordings")), "batch": 4}
    out = SimpleNamespace(
        accuracy=tmp_path / "accuracy.csv",
        shares=tmp_path / "sounds.csv",
        curves=tmp_path / "curves.csv",
    )
    script(root, "sounds")(
        SimpleNamespace(), out, typed({"seed": 2, "sounds": section, "learns": "labels"})
    )
    shares, curves = read_rows(out.shares), read_rows(out.curves)
    assert tuple(shares[0]) == sounds.SHARES.columns and tuple(curves[0]) == sounds.CURVES.columns
    known = source == "generated"
    for row in shares:
        assert all(bool(row[name]) == known for name in ("band_low_hz", "peak_inside"))
    assert len(curves) == 20 * len(shares)
    assert read_rows(out.accuracy)[0]["classes"] == ("5" if known else "2")
    drawn = FIGURES["plot_sounds"](out, SimpleNamespace())
    assert len(drawn["figS2"].axes) >= 2


def test_the_figure_has_a_panel_a_method_and_shades_known_bands() -> None:
    curves = [
        {"method": method, "class": str(number), "name": "x", "frequency_hz": str(frequency),
         "relevance": "1", "error": ""}
        for method in ("cd", "gradient") for number in range(7) for frequency in (100, 200)
    ]  # fmt: skip
    shares = [
        {"method": "cd", "class": str(k), "band_low_hz": "100" if k else "", "band_high_hz": "150"}
        for k in range(7)
    ]
    first, second = importance_of_frequencies(curves, shares).axes
    assert len(first.get_lines()) == 5 + 1  # five classes, as in the paper, and zero
    assert len(first.patches) == 4 and not second.patches
