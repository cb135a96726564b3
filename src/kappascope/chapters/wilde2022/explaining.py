"""What the lens finder looks at: maps, where they peak, and scenes with one thing changed."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import expit

from kappascope import progress, randomness
from kappascope.attribution.ascent import DeepDream
from kappascope.attribution.labels import coarse, family
from kappascope.attribution.methods import find, image_relevance
from kappascope.chapters.wilde2022 import finder
from kappascope.chapters.wilde2022.config import Explanation
from kappascope.faithfulness import randomization
from kappascope.faithfulness.similarity import correlations
from kappascope.networks.description import Network, Parameters
from kappascope.reporting.errorbars import combined, error_of_mean, proportion_error
from kappascope.stronglens import classifiers, imaging
from kappascope.stronglens.images import NOISE, Images, spread
from kappascope.stronglens.optics import Light
from kappascope.stronglens.populations import (
    COLOURS,
    COMPOUND,
    MAIN,
    NON_LENSES,
    REFERENCE,
    Drawn,
    Population,
)
from kappascope.tables import Table

Array = Any
Model = tuple[Network, Parameters]

CORE_ARCSEC = 0.5
"""Radius of what counts as the main galaxy's core."""
CLOSE_PIXELS = 5.0
BATCH = 16


# ---- maps ----------------------------------------------------------------------------------------


SHARES = Table(
    "wilde2022/shares.csv",
    "method × output × group × region",
    """method, output (0 non-lens, 1 lens), group, region (arcs, or the galaxy's core of 0.5
    arcsec), percent (of Σ|S|), error, area_percent, images""",
)
ARC_COLUMNS = """method, label, group (lens, compound lens), enrichment (Σ|S| a pixel on arcs over
    that of the image, galaxy's core left out), error, shuffled (the same on the
    arcs of other lenses, moved to this galaxy), shuffled_error, ring (on a ring as
    wide as arcs, at the median Einstein radius), ring_error, beyond (enrichment
    over that on other lenses' arcs), beyond_error, sees_arcs (yes, no, cannot tell:
    whether it is larger than one by 2 σ), images"""
ARCS = Table("wilde2022/arcs.csv", "method × group", ARC_COLUMNS)
AGREEMENT = Table(
    "wilde2022/agreement.csv",
    "method × point × reference",
    """method, point (maximum, or centroid of |S|), reference (locator, true centre, chance: the
    place told for the next image), median_pixels (distance), error, within_percent (5 pixels),
    within_error, images""",
)
RING_ARCSEC = 0.3
"""Half of the width of the ring that stands for arcs of no lens in particular."""
SIGMAS = 2.0
PROBES = Table(
    "wilde2022/probes.csv",
    "change × colour of the source",
    """probe, colour, score_percent, drop_percent (of the lens probability), error, margin_drop (of
    the difference of outputs), margin_error, still_called_lens_percent, arc_signal (median
    signal-to-noise of the arcs), contrast (median of the galaxy's flux over the source's, geometric
    mean over bands; empty without either), images""",
)
DREAMS = Table(
    "wilde2022/dreams.csv",
    "start × class × before or after",
    "start, class, when, output, probability_percent, images",
)


def core_mask(images: Images, pixel_arcsec: float) -> np.ndarray:
    """Return (image, y, x): within half an arcsec of the main galaxy's centre."""
    side = images.x.shape[1]
    middle = np.arange(side) - (side - 1) / 2
    dx = middle[None, None, :] - images.place[:, 0, None, None]
    dy = middle[None, :, None] - images.place[:, 1, None, None]
    return np.hypot(dx, dy) * pixel_arcsec < CORE_ARCSEC


def share_rows(
    maps: Mapping[str, np.ndarray], images: Images, pixel_arcsec: float, output: int
) -> list[dict[str, Any]]:
    """Return rows of ``shares.csv``: how much of Σ|S| lies on arcs and on the galaxy's core.

    ``area_percent`` is the share of the pixels there: what a map that says nothing would have.

    Parameters
    ----------
    maps : method → (image, y, x).

    """
    core = core_mask(images, pixel_arcsec)
    regions = {"arcs": images.arc_mask & ~core, "core": core & ~images.arc_mask}
    groups = {"non-lens": ~images.lenses}
    groups |= {kind: images.kind == kind for kind in NON_LENSES}
    groups |= {f"{c} lens": (images.kind == "lens") & (images.colour == c) for c in COLOURS}
    groups |= {"lens": images.kind == "lens", "compound lens": np.isin(images.kind, COMPOUND)}
    rows = []
    for method, method_maps in maps.items():
        size = np.abs(method_maps)
        total = size.sum((1, 2))
        for group, in_group in groups.items():
            for region, mask in regions.items():
                chosen = in_group & mask.any((1, 2)) & (total > 0)
                if chosen.sum() < 2:
                    continue
                part = (size * mask)[chosen].sum((1, 2)) / total[chosen]
                area = mask[chosen].mean((1, 2))
                rows.append(
                    {
                        "method": method,
                        "output": output,
                        "group": group,
                        "region": region,
                        "percent": 100 * float(part.mean()),
                        "error": error_of_mean(100 * part),
                        "area_percent": 100 * float(area.mean()),
                        "images": len(part),
                    }
                )
    return rows


def moved_to_middle(values: np.ndarray, images: Images) -> np.ndarray:
    """Move images (image, y, x) so that their main galaxies stand in the middle, to a pixel."""
    steps = -np.rint(images.place).astype(int)
    return np.stack(
        [np.roll(one, (dy, dx), (0, 1)) for one, (dx, dy) in zip(values, steps, strict=True)]
    )


def arc_rows(
    maps: Mapping[str, np.ndarray], images: Images, pixel_arcsec: float, seed: int
) -> Iterator[dict[str, Any]]:
    """Yield rows of ``arcs.csv``: relevance on a lens's own arcs, beside other lenses' arcs there.

    Arcs lie around galaxies, where any map of an image with a galaxy in its middle is large. What
    is seen of arcs is what their own place holds beyond the places of others'.

    Parameters
    ----------
    maps : method → (image, y, x), for the lens output.

    """
    core = core_mask(images, pixel_arcsec)
    arcs = moved_to_middle(images.arc_mask & ~core, images).astype(float)
    side = images.x.shape[1]
    middle = np.arange(side) - (side - 1) / 2
    radius = np.hypot(middle[:, None], middle[None, :]) * pixel_arcsec
    groups = {"lens": images.kind == "lens", "compound lens": np.isin(images.kind, COMPOUND)}
    for name, method_maps in maps.items():
        size = moved_to_middle(np.where(core, 0.0, np.abs(method_maps)), images)
        for group, in_group in groups.items():
            chosen = np.flatnonzero(in_group & arcs.any((1, 2)) & (size.sum((1, 2)) > 0))
            if len(chosen) < 3:
                continue
            there, shown = arcs[chosen].reshape(len(chosen), -1), size[chosen]
            shown = (shown / shown.mean((1, 2), keepdims=True)).reshape(len(chosen), -1)
            # Image × mask: relevance a pixel, over the image's mean.
            every = shown @ there.T / there.sum(1)
            at = np.median(images.einstein_radius[chosen])
            ring = (np.abs(radius - at) < RING_ARCSEC).ravel()
            yield {
                "method": name,
                "label": family(name),
                "group": group,
                **_against_others(every, shown[:, ring].mean(1), f"{name} {group}", seed),
                "images": len(chosen),
            }


def _against_others(
    every: np.ndarray, ring: np.ndarray, purpose: str, seed: int, draws: int = 200
) -> dict[str, Any]:
    """Compare enrichments (image, mask) of images' own masks with those of the others'."""
    number = len(every)
    own = np.diag(every)
    others = (every.sum(1) - own) / (number - 1)
    beyond = float(own.mean() / others.mean())
    draw = randomness.generator(seed, f"bootstrap of arcs: {purpose}")
    picks = [draw.integers(number, size=number) for _ in range(draws)]
    error = float(np.std([own[pick].mean() / others[pick].mean() for pick in picks], ddof=1))
    told = abs(beyond - 1) > SIGMAS * error
    return {
        "enrichment": float(own.mean()),
        "error": error_of_mean(own),
        "shuffled": float(others.mean()),
        "shuffled_error": error_of_mean(others),
        "ring": float(ring.mean()),
        "ring_error": error_of_mean(ring),
        "beyond": beyond,
        "beyond_error": error,
        "sees_arcs": ("yes" if beyond > 1 else "no") if told else "cannot tell",
    }


def centroids(maps: np.ndarray) -> np.ndarray:
    """Return the mean place of |S|, (image, 2) column and row from the middle [pixel]."""
    size = np.abs(maps)
    middle = np.arange(maps.shape[1]) - (maps.shape[1] - 1) / 2
    weight = size / np.maximum(size.sum((1, 2), keepdims=True), 1e-300)
    return np.stack([(weight.sum(1) * middle).sum(1), (weight.sum(2) * middle).sum(1)], 1)


def peaks(maps: np.ndarray) -> np.ndarray:
    """Return where maps are largest, (image, 2) column and row from the middle [pixel].

    The mean place of all pixels that share the largest value, as Grad-CAM's coarse ones do.
    """
    side = maps.shape[1]
    middle = np.arange(side) - (side - 1) / 2
    top = maps == maps.max((1, 2), keepdims=True)
    weight = top / top.sum((1, 2), keepdims=True)
    return np.stack([(weight.sum(1) * middle).sum(1), (weight.sum(2) * middle).sum(1)], 1)


POINTS = {"maximum": peaks, "centroid": centroids}
"""Where a map points: methods that rightly peak on arcs have their maximum off the centre."""


def agreement_rows(
    maps: Mapping[str, np.ndarray], predicted_places: np.ndarray, images: Images, seed: int
) -> list[dict[str, Any]]:
    """Return rows of ``agreement.csv``: how far maps point from the place that a locator tells.

    Of lenses of every kind. ``chance`` compares with the place told for the next image, which knows
    of the galaxy at most that it is near the middle. :data:`CLOSE_PIXELS` count as agreement.

    Parameters
    ----------
    maps : method → (image, y, x), for the lens output.
    predicted_places : (image, 2) column and row.

    """
    rows = []
    lenses = images.lenses
    predicted_places, images = predicted_places[lenses], images.select(lenses)
    for method, method_maps in maps.items():
        # A map that is zero everywhere points nowhere.
        shown = method_maps[lenses].any((1, 2))
        if shown.sum() < 2:
            continue
        references = {
            "locator": predicted_places,
            "true centre": images.place,
            "chance": np.roll(predicted_places, 1, 0),
        }
        for (point, place_of), (reference, other) in itertools.product(
            POINTS.items(), references.items()
        ):
            place = place_of(method_maps[lenses][shown])
            distance = np.hypot(*(place - other[shown]).T)
            row = finder.median_row(f"{method}, {point}, {reference}", distance, "pixel", seed)
            within = distance <= CLOSE_PIXELS
            rows.append(
                {
                    "method": method,
                    "point": point,
                    "reference": reference,
                    "median_pixels": row["median"],
                    "error": row["error"],
                    "within_percent": 100 * float(within.mean()),
                    "within_error": 100 * proportion_error(float(within.mean()), len(within)),
                    "images": len(within),
                }
            )
    return rows


def chosen_images(images: Images, number: int) -> Images:
    """Return testing images to explain: half lenses, a quarter non-lenses and compound lenses."""
    groups = ((("lens",), number // 2), (NON_LENSES, number // 4), (COMPOUND, number // 4))
    rows = []
    for kinds, wanted in groups:
        candidates = np.flatnonzero(np.isin(images.kind, kinds))
        rows.append(spread(candidates, wanted))
    return images.select(np.concatenate(rows))


Maps = dict[tuple[str, int], np.ndarray]
"""(method, output) → (image, y, x)."""


def all_maps(model: Model, images: Images, section: Explanation, seed: int) -> Maps:
    """Explain both outputs of a finder with every configured method."""
    x = images.x.astype(np.float32)
    maps: Maps = {}
    with progress.bar(2 * len(section.methods), "explain lenses", unit="map set") as shown:
        for name in section.methods:
            for output in range(2):
                maps[name, output] = image_relevance(name, model, x, output, seed)
                shown.update()
    return maps


def all_share_rows(maps: Maps, images: Images, pixel_arcsec: float) -> list[dict[str, Any]]:
    """Return the rows of ``shares.csv`` for both outputs."""
    rows = []
    for output in range(2):
        by_method = {name: method_maps for (name, k), method_maps in maps.items() if k == output}
        rows += share_rows(by_method, images, pixel_arcsec, output)
    return rows


EXAMPLES = 8


def examples(maps: Maps, images: Images, model: Model) -> dict[str, np.ndarray]:
    """Return images with their maps for figures: clear lenses, non-lenses, compound lenses."""
    score = classifiers.probability(model, images.x)
    rows: list[int] = []
    for kinds, wanted, sign in (
        (("lens",), 3, -1),
        (("companions",), 1, 1),
        (("spiral",), 1, 1),
        (("isolated",), 1, 1),
        (("compound_arcs",), 1, -1),
        (("double_rings",), 1, -1),
    ):
        candidates = np.flatnonzero(np.isin(images.kind, kinds))
        rows += [
            int(k) for k in candidates[np.argsort(sign * score[candidates], kind="stable")][:wanted]
        ]
    arrays = {
        f"map/{name}/{output}": method_maps[rows] for (name, output), method_maps in maps.items()
    }
    return {
        **arrays,
        "example/x": images.x[rows],
        "example/kind": images.kind[rows],
        "example/colour": images.colour[rows],
        "example/arc_mask": images.arc_mask[rows],
        "example/score": score[rows],
    }


RANDOMIZATION = Table(
    "wilde2022/randomization.csv",
    "method",
    "method, spearman (of |S| and the map of untrained weights), error, empty, maps",
)


def gallery(images: Images, camera: imaging.Camera) -> dict[str, np.ndarray]:
    """Return the first images of every kind for a figure."""
    each = EXAMPLES
    arrays = {
        f"gallery/{kind}": images.of(kind).x[:each].astype(np.float32)
        for kind in dict.fromkeys(images.kind.tolist())
    }
    reds = images.select((images.kind == "lens") & (images.colour == "red"))
    blues = images.select((images.kind == "lens") & (images.colour == "blue"))
    arrays["gallery/lens"] = blues.x[:each].astype(np.float32)
    arrays["gallery/lens_red"] = reds.x[:each].astype(np.float32)
    bands = np.array(camera.bands)
    return {**arrays, "pixel_arcsec": np.array(camera.pixel_arcsec), "bands": bands}


# ---- changed scenes ------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Probe:
    """Scenes with one thing changed.

    Attributes
    ----------
    drawn : the scenes.
    camera : with which they are seen.
    covered : whether pixels with arcs are set to zero afterwards.

    """

    drawn: Sequence[Drawn]
    camera: imaging.Camera
    covered: bool = False


def _with_fluxes(each: Drawn, foreground: np.ndarray, background: np.ndarray) -> Drawn:
    scene = each.scene._replace(foreground_flux=foreground, background_flux=background)
    return dataclasses.replace(each, scene=scene)


def _recoloured(flux: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Give fluxes (wavelength,) others' colours, the flux at the reference one as it was."""
    return (like * flux[REFERENCE] / like[REFERENCE]).astype(np.float32)


def recoloured(each: Drawn, what: str) -> Drawn:
    """Give the arcs the galaxy's colour (``arcs``), the galaxy the arcs' (``galaxy``) or both."""
    scene = each.scene
    front, behind = scene.foreground_flux.copy(), scene.background_flux.copy()
    galaxy, source = front[MAIN].copy(), behind[1].copy()
    if what in ("arcs", "both"):
        for k in np.flatnonzero(behind[:, REFERENCE] > 0):
            behind[k] = _recoloured(behind[k], galaxy)
    if what in ("galaxy", "both"):
        front[MAIN] = _recoloured(galaxy, source)
    return _with_fluxes(each, front, behind)


def contrasts(drawn: Sequence[Drawn], camera: imaging.Camera) -> np.ndarray:
    """Return (scene,): the galaxy's flux over the source's, geometric mean over bands.

    NaN without one of them. Lensing multiplies all bands of a source alike.
    """
    galaxies = camera.flux(np.array([each.scene.foreground_flux[MAIN] for each in drawn], float))
    sources = camera.flux(np.array([each.scene.background_flux[1] for each in drawn], float))
    known = (galaxies > 0) & (sources > 0)
    ratio = np.where(known, galaxies, np.nan) / np.where(known, sources, np.nan)
    return np.exp(np.log(ratio).mean(1))


def as_contrasted(
    changed: Sequence[Drawn], drawn: Sequence[Drawn], camera: imaging.Camera, rounds: int = 3
) -> list[Drawn]:
    """Scale arcs and galaxies of changed scenes to signal-to-noise and contrast of the others.

    Arcs in the galaxy's colour stand out less in the bluest band, however bright they are in all.
    """
    wanted, out = contrasts(drawn, camera), list(changed)
    for _ in range(rounds):
        out = as_bright(out, drawn, camera, rounds=1)
        factors = wanted / contrasts(out, camera)
        for k, factor in enumerate(factors.astype(np.float32)):
            front = out[k].scene.foreground_flux.copy()
            front[MAIN] *= factor
            out[k] = _with_fluxes(out[k], front, out[k].scene.background_flux)
    return out


def as_bright(
    changed: Sequence[Drawn], drawn: Sequence[Drawn], camera: imaging.Camera, rounds: int = 3
) -> list[Drawn]:
    """Scale the arcs of changed scenes to the signal-to-noise that they have in the others.

    Other colours at the same flux in one band have another signal in all: a change of colour alone
    also makes arcs fainter.
    """

    def signal(scenes: Sequence[Drawn]) -> np.ndarray:
        return imaging.observe(camera, imaging.scenes_of(scenes), True).arc_signal(camera)

    wanted, out = signal(drawn), list(changed)
    for _ in range(rounds):
        # Not in proportion: arcs add to their own noise.
        factors = wanted / np.maximum(signal(out), 1e-9)
        out = [
            _with_fluxes(
                each, each.scene.foreground_flux, each.scene.background_flux * np.float32(f)
            )
            for each, f in zip(out, factors, strict=True)
        ]
    return out


def _moved(each: Drawn, by: float) -> Drawn:
    """Move the whole scene along x, towards the image's other half [arcsec]."""
    scene = each.scene
    step = np.float32(-by if each.place[0] > 0 else by)

    def shifted(profiles: Light) -> Light:
        return profiles._replace(x=profiles.x + step)

    deflectors = scene.deflectors._replace(x=scene.deflectors.x + step)
    return dataclasses.replace(
        each,
        scene=scene._replace(
            deflectors=deflectors,
            foreground=shifted(scene.foreground),
            background=shifted(scene.background),
        ),
    )


def probes(drawn: Sequence[Drawn], camera: imaging.Camera) -> Iterator[tuple[str, Probe]]:
    """Yield the unchanged scenes, ``none``, and then one change after the other."""

    def without(front: bool) -> list[Drawn]:
        changed = []
        for each in drawn:
            fore, back = each.scene.foreground_flux.copy(), each.scene.background_flux.copy()
            if front:
                fore[MAIN] = 0
            else:
                back[:] = 0
            changed.append(_with_fluxes(each, fore, back))
        return changed

    yield "none", Probe(drawn, camera)
    for what, name in (("arcs", "arc_colour"), ("galaxy", "galaxy_colour"), ("both", "swapped")):
        yield name, Probe([recoloured(each, what) for each in drawn], camera)
    recoloured_arcs = [recoloured(each, "arcs") for each in drawn]
    yield "arc_colour_same_signal", Probe(as_bright(recoloured_arcs, drawn, camera), camera)
    yield "arc_colour_same_contrast", Probe(as_contrasted(recoloured_arcs, drawn, camera), camera)
    yield "arcs_removed", Probe(without(front=False), camera)
    yield "arcs_covered", Probe(drawn, camera, covered=True)
    yield "galaxy_removed", Probe(without(front=True), camera)
    for factor in (1.5, 2.0, 3.0):
        wider = dataclasses.replace(camera, psf_factor=factor)
        yield f"psf_{factor:g}", Probe(drawn, wider)
    for pixels in (4, 8):
        moved = [_moved(each, pixels * camera.pixel_arcsec) for each in drawn]
        yield f"moved_{pixels}", Probe(moved, camera)


def seen(probe: Probe, images: Images, seed: int, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Observe changed scenes, with the noise of the unchanged ones.

    Parameters
    ----------
    images : what is known of the scenes; noise is drawn from their kind and index.

    Returns
    -------
    (image, y, x, band) as networks see them, and (image,) signal-to-noise of the arcs.

    """
    observed = imaging.observe(probe.camera, imaging.scenes_of(probe.drawn), True)
    light, signal = observed.light, observed.arc_signal(probe.camera)
    noise = np.concatenate(
        [
            probe.camera.noise(light[k : k + 1], seed, f"{NOISE}: {split} {kind}", [int(index)])
            for k, (kind, index) in enumerate(zip(images.kind, images.index, strict=True))
        ]
    )
    flux = light + noise
    if probe.covered:
        flux = np.where(images.arc_mask[..., None], 0, flux)
        signal = np.zeros_like(signal)
    return imaging.stretched(flux, probe.camera.sky_noise()), signal


def scenes_again(population: Population, images: Images, seed: int, split: str) -> list[Drawn]:
    """Draw the scenes of images once more."""
    names = zip(images.kind, images.index, images.attempt, strict=True)
    return [population.draw(seed, split, str(k), int(i), int(a)) for k, i, a in names]


def probe_rows(
    models: Sequence[Model],
    population: Population,
    camera: imaging.Camera,
    images: Images,
    seed: int,
    split: str,
) -> list[dict[str, Any]]:
    """Return rows of ``probes.csv``: scores of lenses before and after each change.

    The drop is in percent of probability and in the difference of outputs, mean over images and
    networks; errors over images, and over networks where there are several.
    """
    drawn = scenes_again(population, images, seed, split)
    rows: list[dict[str, Any]] = []
    before: np.ndarray | None = None
    with progress.bar(14, "changed scenes", unit="change") as shown:
        for name, probe in probes(drawn, camera):
            x, signal = seen(probe, images, seed, split)
            contrast = contrasts(probe.drawn, camera)
            margins = np.stack([classifiers.margin(model, x) for model in models]).astype(float)
            before = margins if before is None else before
            p, start = expit(margins), expit(before)
            for colour in ("", *COLOURS):
                selected = images.colour == colour if colour else np.ones(len(images), bool)
                if selected.sum() < 2:
                    continue
                drop, drop_error = _mean(100 * (start - p)[:, selected])
                fall, fall_error = _mean((before - margins)[:, selected])
                rows.append(
                    {
                        "probe": name,
                        "colour": colour,
                        "score_percent": 100 * float(p[:, selected].mean()),
                        "drop_percent": drop,
                        "error": drop_error,
                        "margin_drop": fall,
                        "margin_error": fall_error,
                        "still_called_lens_percent": 100 * float((p[:, selected] > 0.5).mean()),
                        "arc_signal": float(np.median(signal[selected])),
                        "contrast": _median_or_none(contrast[selected]),
                        "images": int(selected.sum()),
                    }
                )
            shown.update()
    return rows


def _median_or_none(values: np.ndarray) -> float | None:
    """Return the median, None where a value is not known."""
    return float(np.median(values)) if np.isfinite(values).all() else None


def _mean(values: np.ndarray) -> tuple[float, float]:
    """Mean over (network, image), with the error over both."""
    over_images, over_networks = error_of_mean(values.mean(0)), error_of_mean(values.mean(1))
    return float(values.mean()), combined(over_images, over_networks)


# ---- Deep Dream ----------------------------------------------------------------------------------


def dreams(
    model: Model, starts: Mapping[str, np.ndarray], settings: DeepDream, low: Array, high: Array
) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """Dream of every class from every start.

    Parameters
    ----------
    starts : name → (image, y, x, band).
    low, high : (band,) the range of images.

    Returns
    -------
    "start/class" → images, and rows of ``dreams.csv``.

    """
    dreamt_images, rows = {}, []
    for start, x in starts.items():
        for output, name in enumerate(classifiers.CLASSES["finder"]):
            dreamt, values = settings.dream(*model, x, output, low, high)
            dreamt_images[f"{start}/{name}"] = np.asarray(dreamt)
            sign = 1 if output == classifiers.LENS else -1
            for when, image in (("before", x), ("after", np.asarray(dreamt))):
                score = expit(sign * classifiers.margin(model, image).astype(float))
                rows.append(
                    {
                        "start": start,
                        "class": name,
                        "when": when,
                        "output": float(values[0 if when == "before" else -1].mean()),
                        "probability_percent": 100 * float(score.mean()),
                        "images": len(x),
                    }
                )
    return dreamt_images, rows


def all_dreams(
    model: Model, images: Images, steps: int, seed: int
) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """Dream from noise, from a non-lens and from a lens: arrays to draw and rows."""
    low, high = (f(images.x.astype(np.float32), (0, 1, 2)) for f in (np.min, np.max))
    draw = randomness.generator(seed, "start of Deep Dream")
    shape = (4, *images.x.shape[1:3], 1)
    # The same noise in every band, as published: it has no colour.
    noise = np.repeat(draw.uniform(0, 0.3 * high.min(), shape), len(high), -1)
    starts = {
        "noise": noise.astype(np.float32),
        "isolated galaxy": images.of("isolated").x[:4].astype(np.float32),
        "lens": images.of("lens").x[:4].astype(np.float32),
    }
    dreamt_images, rows = dreams(model, starts, DeepDream(steps=steps), low, high)
    arrays = {f"dream/{name}": values for name, values in dreamt_images.items()}
    return arrays | {f"dream/{name}/start": x for name, x in starts.items()}, rows


# ---- trust ---------------------------------------------------------------------------------------


def randomization_rows(
    model: Model, x: np.ndarray, names: Sequence[str], repeats: int, seed: int
) -> list[dict[str, Any]]:
    """Return rows of ``randomization.csv``: maps of the finder against those of untrained weights.

    All layers are drawn anew; rank correlation of |S|, mean over images and draws, its error that
    over draws' means: maps of one draw share a network. Methods without a value for every pixel
    are left out.
    """
    names = [name for name in names if not coarse(name)]
    methods = [find(name, model[0]) for name in names]
    layers = len(randomization.layers(model[0]))
    coefficients: dict[str, dict[int, list[float]]] = {name: {} for name in names}
    for one in randomization.compare(
        model,
        x,
        methods,
        [("cascading", layers)],
        repeats,
        seed,
        "initial",
        "lens finder drawn anew",
        min(BATCH, len(x)),
        output=classifiers.LENS,
    ):
        if not one.empty:
            value = correlations(np.abs(one.trained), np.abs(one.randomized)).spearman
            coefficients[one.method].setdefault(one.repeat, []).append(value)
    rows = []
    for name, draws in coefficients.items():
        means = np.array([np.mean(values) for values in draws.values()])
        rows.append(
            {
                "method": name,
                "spearman": float(means.mean()) if len(means) else None,
                "error": error_of_mean(means),
                "empty": repeats * len(x) - sum(map(len, draws.values())),
                "maps": repeats * len(x),
            }
        )
    return rows
