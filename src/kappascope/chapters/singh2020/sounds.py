"""Which frequencies a classifier of sounds listens to (singh2020 Fig. S2).

Generated sounds have a known answer: a class is a band, and each clip holds a tone or a chirp
within the band of its class. A fainter one lies in the band of another class: that a band is not
silent does not tell the class. Louder tones below and above all bands, and noise, are common to all
classes, and every clip has the same r.m.s., so neither loudness nor the loudest frequency tells it
either. How many clips keep their class when their band is filtered away says, without any method of
attribution, whether the network listens there. Real recordings in the folders of UrbanSound8K have
no known answer.

The explained output is the score of the clip's class less the mean score of all classes, since the
same number added to all scores changes no prediction.
"""

import csv
import dataclasses
import math
import struct
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io.wavfile
import scipy.signal

from kappascope import progress, randomness
from kappascope.attribution.methods import IntegratedGradients, Method, Model, find
from kappascope.attribution.trim import decomposed, transformed
from kappascope.chapters.singh2020 import config
from kappascope.errors import InputError
from kappascope.networks import architectures, classification, learning
from kappascope.networks.description import Network, Parameters
from kappascope.networks.evaluate import evaluate
from kappascope.networks.learning import Learns
from kappascope.reporting.errorbars import errors_of_means
from kappascope.tables import Table
from kappascope.transforms.fourier import RealFourier

Array = Any
Band = tuple[float, float]

BANDS_HZ: tuple[Band, ...] = (
    (400.0, 700.0),
    (800.0, 1100.0),
    (1200.0, 1600.0),
    (1800.0, 2300.0),
    (2500.0, 3000.0),
)
"""Bands of the generated classes [Hz]."""
DISTRACTORS_HZ: tuple[Band, ...] = ((50.0, 300.0), (3200.0, 3900.0))
"""Bands of tones that clips of all classes hold [Hz]."""
FAINTER: Band = (0.2, 0.6)
"""Amplitude of the tone in another class's band, relative to the one in the clip's own."""
LEAST_RATE_HZ = 8000
"""The generated sounds reach up to nearly half of this."""

CURVES = Table(
    "singh2020/sounds_curves.csv",
    "method × class × band",
    "source, method, class, name, frequency_hz, relevance, error",
)
SHARES = Table(
    "singh2020/sounds.csv",
    "method × class",
    """source, method, class, name, band_low_hz, band_high_hz, share_inside_percent, error,
    power_inside_percent, peak_hz, peak_inside, kept_without_band_percent, clips""",
)
ACCURACY = Table(
    "singh2020/sounds_accuracy.csv",
    "source",
    "source, classes, clips, accuracy_percent, error, chance_percent",
)


@dataclasses.dataclass(frozen=True)
class Clips:
    """Sounds to train with and to test with.

    Attributes
    ----------
    names : (class,) what the classes are called.
    bands_hz : (class,) true bands; None where they are not known.
    training, testing : (clip, sample) float32 of unit r.m.s.
    training_labels, testing_labels : (clip,) class numbers.

    """

    names: tuple[str, ...]
    bands_hz: tuple[Band, ...] | None
    training: np.ndarray
    training_labels: np.ndarray
    testing: np.ndarray
    testing_labels: np.ndarray


def read(section: config.Sounds, seed: int) -> Clips:
    """Generate or read the clips that the config asks for."""
    if section.source == "urbansound8k":
        return urbansound8k(section.path, section.rate_hz, _samples(section))
    if section.rate_hz < LEAST_RATE_HZ:
        raise InputError(
            f"singh2020.sounds.rate_hz: got {section.rate_hz:g}; generated sounds need at least "
            f"{LEAST_RATE_HZ} Hz"
        )
    parts: list[np.ndarray] = []
    for part, split in enumerate(("training", "testing")):
        parts += generated(getattr(section, split), section.rate_hz, _samples(section), seed, part)
    names = tuple(f"{low:g}–{high:g} Hz" for low, high in BANDS_HZ)
    return Clips(names, BANDS_HZ, *parts)


def _samples(section: config.Sounds) -> int:
    return round(section.seconds * section.rate_hz)


# ---- generated sounds ----------------------------------------------------------------------------


def _chirps(generator: np.random.Generator, bands: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Return (clip, sample) tones (every other clip) and chirps within (clip, 2) bands [Hz]."""
    ends = generator.uniform(bands[:, :1], bands[:, 1:], (len(bands), 2))
    ends[::2, 1] = ends[::2, 0]
    start, change = ends[:, :1], np.diff(ends, axis=1) / time[-1]
    phase = generator.uniform(0, 2 * np.pi, (len(bands), 1))
    return np.sin(phase + 2 * np.pi * (start * time + change * time**2 / 2))


def generated(
    count: int, rate_hz: float, samples: int, seed: int, part: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw clips of the classes of :data:`BANDS_HZ`, equally many of each.

    Parameters
    ----------
    part : tells sets of clips apart.

    Returns
    -------
    (clip, sample) float32 of unit r.m.s. and (clip,) labels.

    """
    generator = randomness.generator(seed, "generated sounds", part)
    labels = np.arange(count) // 2 % len(BANDS_HZ)  # in pairs: a tone and a chirp
    time = np.arange(samples) / rate_hz
    amplitude = generator.uniform(0.4, 1.0, (count, 1))
    bands = np.array(BANDS_HZ)
    clips = amplitude * _chirps(generator, bands[labels], time)
    other = (labels + generator.integers(1, len(bands), count)) % len(bands)
    clips += (
        amplitude * generator.uniform(*FAINTER, (count, 1)) * _chirps(generator, bands[other], time)
    )
    for band in DISTRACTORS_HZ:
        amplitude = generator.uniform(0.5, 1.5, (count, 1))
        clips += amplitude * _chirps(generator, np.tile(band, (count, 1)), time)
    clips += 0.5 * generator.standard_normal(clips.shape)
    return _normalized(clips), labels


def _normalized(clips: np.ndarray) -> np.ndarray:
    """Divide clips by their r.m.s.; silence stays silent."""
    size = np.sqrt((clips**2).mean(-1, keepdims=True))
    return (clips / np.where(size > 0, size, 1)).astype(np.float32)


# ---- UrbanSound8K --------------------------------------------------------------------------------

_TESTING_FOLD = 10


def urbansound8k(path: str | Path | None, rate_hz: float, samples: int) -> Clips:
    """Read recordings laid out as UrbanSound8K: fold 10 for testing, the others for training.

    Parameters
    ----------
    path : the folder with ``metadata/UrbanSound8K.csv`` and ``audio/fold1`` to ``audio/fold10``.
    rate_hz : to resample to.
    samples : to cut to, or to fill up with silence to.

    Raises
    ------
    InputError
        When a file is missing or damaged, or the table does not fit.

    """
    if path is None:
        raise InputError(
            "singh2020.sounds.path: got nothing; urbansound8k needs the data set's folder"
        )
    rows = _metadata(Path(path) / "metadata" / "UrbanSound8K.csv")
    names = _classes(rows)
    clips = np.empty((len(rows), samples), np.float32)
    tracked = progress.track(rows, len(rows), "read sounds", unit="clip")
    for number, (file, fold, _, _) in enumerate(tracked):
        wav = Path(path) / "audio" / f"fold{fold}" / file
        clips[number] = waveform(wav, rate_hz, samples)
    labels = np.array([label for _, _, label, _ in rows])
    test = np.array([fold == _TESTING_FOLD for _, fold, _, _ in rows])
    for kind, chosen in (("1 to 9", ~test), (f"{_TESTING_FOLD}", test)):
        if not chosen.any():
            raise InputError(f"singh2020.sounds.path: {path} has no clips in fold {kind}")
    clips = _normalized(clips)
    return Clips(names, None, clips[~test], labels[~test], clips[test], labels[test])


def _metadata(path: Path) -> list[tuple[str, int, int, str]]:
    """Read (file, fold, class number, class name) of each clip."""
    if not path.is_file():
        raise InputError(
            f"{path}: not found; singh2020.sounds.path must be the folder of UrbanSound8K"
        )
    rows = []
    with open(path, newline="", encoding="utf-8") as handle:
        for number, row in enumerate(csv.DictReader(handle), start=2):
            try:
                entry = (row["slice_file_name"], int(row["fold"]), int(row["classID"]))
                rows.append((*entry, row["class"]))
            except KeyError as error:
                raise InputError(f"{path}: has no column {error.args[0]}") from None
            except (TypeError, ValueError):
                raise InputError(
                    f"{path}: line {number} needs whole numbers in fold and classID"
                ) from None
            if not 1 <= entry[1] <= _TESTING_FOLD:
                raise InputError(f"{path}: line {number} has fold {entry[1]}, not 1 to 10")
    if not rows:
        raise InputError(f"{path}: lists no clips")
    return rows


def _classes(rows: Sequence[tuple[str, int, int, str]]) -> tuple[str, ...]:
    """Return the names of classes 0, 1, ..."""
    names: dict[int, str] = {}
    for file, _, number, name in rows:
        if not name or names.setdefault(number, name) != name:
            raise InputError(
                f"UrbanSound8K.csv: {file} is of the unknown class {name!r}; class {number} is "
                f"{names.get(number, '')!r} elsewhere"
            )
    missing = set(range(len(names))) - set(names)
    if missing:
        raise InputError(
            f"UrbanSound8K.csv: classes must be 0, 1, 2, ...; there is no class {min(missing)}"
        )
    return tuple(names[number] for number in range(len(names)))


def waveform(path: str | Path, rate_hz: float, samples: int) -> np.ndarray:
    """Read a WAV file as one channel, (sample,) float32 in [-1, 1].

    Parameters
    ----------
    rate_hz : to resample to.
    samples : to cut to, or to fill up with silence to.

    """
    if not Path(path).is_file():
        raise InputError(f"{path}: not found, but UrbanSound8K.csv names it")
    try:
        with warnings.catch_warnings():
            # Recordings carry all kinds of further chunks.
            warnings.simplefilter("ignore", scipy.io.wavfile.WavFileWarning)
            found_hz, data = scipy.io.wavfile.read(path)
    except (ValueError, EOFError, OSError, struct.error) as error:
        raise InputError(f"{path}: not a whole WAV file ({error})") from None
    if not data.size or found_hz <= 0:
        raise InputError(f"{path}: holds no sound")
    sound = _floats(data)
    sound = sound.mean(1) if sound.ndim == 2 else sound
    common = math.gcd(found_hz, round(rate_hz))
    up, down = round(rate_hz) // common, found_hz // common
    # Of the recording: the rest would be cut off, but for the reach of the filter.
    needed = -(-(samples + 1) * down // up) + 20 * (1 + down // up)
    sound = scipy.signal.resample_poly(sound[:needed], up, down)[:samples]
    return np.pad(sound, (0, samples - len(sound))).astype(np.float32)


def _floats(data: np.ndarray) -> np.ndarray:
    if np.issubdtype(data.dtype, np.floating):
        return data.astype(np.float64)
    limits = np.iinfo(data.dtype)
    middle = 0 if limits.min < 0 else (limits.max + 1) / 2  # eight bits come without a sign
    return (data - middle) / (limits.max + 1 - middle)


# ---- the network ---------------------------------------------------------------------------------


def train(
    clips: Clips, section: config.Sounds, seed: int, learns: Learns = learning.LABELS
) -> tuple[Network, Parameters]:
    """Train a classifier of waveforms."""
    samples = clips.training.shape[1]
    network = architectures.waveform_cnn(samples, section.width, len(clips.names))
    settings = classification.Settings(section.epochs, section.batch, section.learning_rate)
    x = clips.training[:, None, :, None]
    parameters = classification.train(
        network, x, clips.training_labels, settings, seed, 0, "train on sounds", learns=learns
    )
    return network, parameters


def predicted(network: Network, parameters: Parameters, clips: np.ndarray) -> np.ndarray:
    """Return the class numbers (clip,) that a network gives to waveforms (clip, sample)."""
    return evaluate(network, parameters, clips[:, None, :, None]).argmax(1)


def accuracy_row(source: str, names: Sequence[str], right: np.ndarray) -> dict[str, Any]:
    """Return the row of the accuracy table.

    Parameters
    ----------
    right : (clip,) bool.

    """
    share = right.mean()
    return {
        "source": source,
        "classes": len(names),
        "clips": len(right),
        "accuracy_percent": 100 * share,
        "error": 100 * math.sqrt(share * (1 - share) / len(right)),
        "chance_percent": 100 / len(names),
    }


# ---- attribution ---------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Spectrum:
    """Fourier transform of series: (batch, 1, sample, 1) ↔ (batch, frequency, 2)."""

    samples: int

    def forward(self, x: Array) -> Array:
        """Return coefficients, real and imaginary parts last."""
        return RealFourier(self.samples).forward(x[:, 0, :, 0])

    def inverse(self, s: Array) -> Array:
        """Return series."""
        return RealFourier(self.samples).inverse(s)[:, None, :, None]


def explained_class(network: Network, parameters: Parameters, number: int) -> Model:
    """Return a network of one output: the score of a class less the mean score of all classes."""
    last = network.nodes[-1]
    changed = dict(parameters)
    for name in last["params"].values():
        scores = np.asarray(parameters[name])
        changed[name] = scores[..., number : number + 1] - scores.mean(-1, keepdims=True)
    nodes = (*network.nodes[:-1], {**last, "features": 1})
    return dataclasses.replace(network, outputs=1, nodes=nodes), changed


def band_edges(rate_hz: float, width_hz: float) -> np.ndarray:
    """Return edges [Hz] of bands from zero to the Nyquist frequency; the last may be narrower."""
    edges = np.arange(0, rate_hz / 2, width_hz)
    return np.append(edges, rate_hz / 2)


def band_masks(samples: int, rate_hz: float, edges_hz: np.ndarray) -> np.ndarray:
    """Return (band, frequency) masks: low ≤ f < high, the Nyquist frequency in the last band."""
    frequency = np.fft.rfftfreq(samples, 1 / rate_hz)
    band = np.clip(np.searchsorted(edges_hz, frequency, "right") - 1, 0, len(edges_hz) - 2)
    return np.arange(len(edges_hz) - 1)[:, None] == band


def relevance(
    method: str, model: Model, clips: np.ndarray, masks: np.ndarray, nodes: int = 50
) -> np.ndarray:
    """Attribute the output of a network to bands of frequencies.

    Parameters
    ----------
    method : ``cd`` or a name that :func:`kappascope.attribution.methods.find` knows.
    model : a network of one output.
    clips : (clip, sample).
    masks : (band, frequency).
    nodes : gradients along the path of integrated gradients.

    Returns
    -------
    (clip, band).

    """
    x = clips[:, None, :, None]
    transform = Spectrum(clips.shape[1])
    if method == "cd":
        parts, _ = decomposed(model, x, transform, list(masks[:, :, None]))
        return np.asarray(parts)[..., 0].T
    chosen: str | Method = method
    if method == "integrated_gradients":
        chosen = dataclasses.replace(find(method), procedure=IntegratedGradients(nodes))
    scores = np.asarray(transformed(chosen, model, x, transform, 0))
    return scores.sum(-1) @ masks.T


def power(clips: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return the share of each clip's power in each band, (clip, band)."""
    modes = np.abs(np.fft.rfft(clips, axis=-1)) ** 2
    modes[:, 1 : (clips.shape[-1] + 1) // 2] *= 2  # these stand for negative frequencies as well
    total = modes.sum(-1, keepdims=True)
    return modes @ masks.T / np.where(total > 0, total, 1)


def filtered_away(clips: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return clips (clip, sample) without the frequencies of a mask (frequency,)."""
    modes = np.where(mask, 0, np.fft.rfft(clips, axis=-1))
    return np.fft.irfft(modes, clips.shape[-1], axis=-1).astype(clips.dtype)


def inside(edges_hz: np.ndarray, band_hz: Band) -> np.ndarray:
    """Return which bands between the edges have their centre in a class's band, (band,) bool."""
    centres = (edges_hz[1:] + edges_hz[:-1]) / 2
    return (band_hz[0] <= centres) & (centres < band_hz[1])


def positive_share(scores: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return the share of the positive relevance in the chosen bands, (clip,).

    NaN for a clip without positive relevance.
    """
    positive = np.maximum(scores, 0)
    total = positive.sum(-1)
    return np.where(total > 0, positive[:, chosen].sum(-1) / np.where(total > 0, total, 1), np.nan)


def explain(
    network: Network,
    parameters: Parameters,
    clips: Clips,
    right: np.ndarray,
    section: config.Sounds,
) -> Iterator[tuple[list[dict[str, Any]], dict[str, Any]]]:
    """Explain correctly classified testing clips, a class and a method at a time.

    Parameters
    ----------
    right : (clip,) bool, whether a testing clip is classified correctly.

    Yields
    ------
    Rows of the curve, and the row of the shares; classes without such clips are left out.

    Raises
    ------
    InputError
        When no clip is classified correctly.

    """
    if not right.any():
        raise InputError(
            "singh2020.sounds.epochs: no testing clip is classified correctly; train longer"
        )
    edges = band_edges(section.rate_hz, section.band_width_hz)
    masks = band_masks(clips.testing.shape[1], section.rate_hz, edges)
    work = [(name, number) for name in section.methods for number in range(len(clips.names))]
    for method, number in progress.track(work, len(work), "explain sounds", unit="class"):
        rows = np.flatnonzero(right & (clips.testing_labels == number))[: section.clips]
        if not len(rows):
            continue
        chosen = clips.testing[rows]
        model = explained_class(network, parameters, number)
        scores = relevance(method, model, chosen, masks, section.path_nodes)
        named = {
            "source": section.source,
            "method": method,
            "class": number,
            "name": clips.names[number],
        }
        shares = _shares(edges, scores, power(chosen, masks), band := _band(clips, number))
        if band is not None:
            without = filtered_away(chosen, masks[inside(edges, band)].any(0))
            kept = predicted(network, parameters, without) == number
            shares["kept_without_band_percent"] = 100 * kept.mean()
        yield _curve(named, edges, scores), {**named, **shares}


def _band(clips: Clips, number: int) -> Band | None:
    return None if clips.bands_hz is None else clips.bands_hz[number]


def _curve(
    named: Mapping[str, Any], edges_hz: np.ndarray, scores: np.ndarray
) -> list[dict[str, Any]]:
    centres = (edges_hz[1:] + edges_hz[:-1]) / 2
    mean, error = scores.mean(0), errors_of_means(scores)
    return [
        {**named, "frequency_hz": centre, "relevance": mean[k], "error": _or_empty(error[k])}
        for k, centre in enumerate(centres)
    ]


def _shares(
    edges_hz: np.ndarray, scores: np.ndarray, powers: np.ndarray, band_hz: Band | None
) -> dict[str, Any]:
    peak = scores.mean(0).argmax()
    peak_hz = (edges_hz[peak] + edges_hz[peak + 1]) / 2
    row = dict.fromkeys(SHARES.columns[4:], "") | {"peak_hz": peak_hz, "clips": len(scores)}
    if band_hz is None:
        return row
    chosen = inside(edges_hz, band_hz)
    shares = positive_share(scores, chosen)
    shares = shares[np.isfinite(shares)]
    return row | {
        "band_low_hz": band_hz[0],
        "band_high_hz": band_hz[1],
        "share_inside_percent": _or_empty(100 * shares.mean()) if len(shares) else "",
        "error": _or_empty(100 * errors_of_means(shares)),
        "power_inside_percent": 100 * powers[:, chosen].sum(-1).mean(),
        "peak_inside": int(chosen[peak]),
    }


def _or_empty(value: Any) -> Any:
    return float(value) if np.isfinite(value) else ""
