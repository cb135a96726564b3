"""The workflow's saliency jobs: which maps are explained, and what is kept of each."""

import dataclasses
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kappascope import progress
from kappascope.attribution import rules
from kappascope.attribution.methods import Method, Model, Propagation, find, in_batches
from kappascope.chapters.matilla2020 import relevance
from kappascope.chapters.matilla2020.config import Saliency
from kappascope.faithfulness import randomization, similarity
from kappascope.maps.dataset import SplitMaps
from kappascope.networks import prediction
from kappascope.reporting.errorbars import mean_and_scatter
from kappascope.sections import Spec

BATCH = 16


# ---- randomization -------------------------------------------------------------------------------


def randomization_test(
    models: Sequence[Model], maps: np.ndarray, data_set: str, section: Saliency, seed: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Run the randomization test with every network; each has draws of its own.

    Parameters
    ----------
    maps : (map, y, x, 1) as the network sees them.

    Returns
    -------
    Rows of ``randomization.csv`` and of ``table2_maps.csv``.

    """
    curves, full = [], []
    for number, model in enumerate(models):
        methods = [randomization.configured(name, section, model[0]) for name in section.methods]
        last = len(randomization.layers(model[0]))
        stages = [(mode, k) for mode in randomization.MODES for k in range(1, last + 1)]
        if not section.curve_repeats:
            stages = []
        named = {"data_set": data_set, "network": number}
        statistics = section.batch_norm_statistics
        for comparison in randomization.compare(
            model,
            maps[: section.curve_maps],
            methods,
            stages,
            section.curve_repeats,
            seed,
            statistics,
            f"layers {data_set} {number}",
            section.curve_maps,
            maps,
            first=number * section.curve_repeats,
        ):
            inner = comparison.without_border(section.border_pixels)
            curves.append({**named, **randomization.curve_row(inner)})
        drawn = randomization.compare(
            model,
            maps,
            methods,
            [("cascading", last)],
            section.repeats,
            seed,
            statistics,
            f"all layers {data_set} {number}",
            section.curve_maps,
            first=number * section.repeats,
        )
        full += [{**named, **row} for row in _full_rows(drawn, maps, section, seed)]
    return curves, full


def _full_rows(
    drawn: Iterable[randomization.Comparison], maps: np.ndarray, section: Saliency, seed: int
) -> list[dict[str, Any]]:
    """Rows of ``table2_maps.csv`` of one network; each draw is compared with the one before, too.

    The first draw with the last: of n draws there are n pairs, or one of two.
    """
    rows: dict[tuple[str, int, int], dict[str, Any]] = {}
    first: dict[tuple[str, int], np.ndarray] = {}
    previous: dict[tuple[str, int], np.ndarray] = {}
    nothing = dict.fromkeys(randomization.NULLS.values())
    for comparison in drawn:
        inner = comparison.without_border(section.border_pixels)
        map_of = (inner.method, inner.realization)
        kappa = randomization.cropped(maps[inner.realization, ..., 0], section.border_pixels)
        row = randomization.table2_row(inner, kappa, seed, section.kendall_shifts)
        before = previous.get(map_of)
        null = nothing if before is None else randomization.null_row(before, inner.randomized)
        rows[(*map_of, inner.repeat)] = {**row, **null}
        first.setdefault(map_of, inner.randomized)
        previous[map_of] = inner.randomized
    if section.repeats > 2:
        start = min(repeat for *_, repeat in rows)
        for map_of, latest in previous.items():
            rows[(*map_of, start)] |= randomization.null_row(latest, first[map_of])
    return list(rows.values())


def explanations(
    models: Sequence[Model], maps: np.ndarray, section: Saliency, seed: int
) -> list[dict[str, np.ndarray]]:
    """Explain maps (map, y, x, 1) with each network: of each, method → (map, y, x)."""
    return [
        {
            name: randomization.explained(
                randomization.configured(name, section, model[0]),
                model,
                maps,
                seed,
                section.curve_maps,
            )
            for name in section.methods
        }
        for model in models
    ]


def agreement_rows(
    explained: Sequence[Mapping[str, np.ndarray]], data_set: str
) -> list[dict[str, Any]]:
    """Correlate the methods with each other on the trained networks: rows of the agreement table.

    Parameters
    ----------
    explained : of :func:`explanations`.

    """
    coefficients: dict[tuple[str, str], list[float]] = {}
    for each in explained:
        for pair in itertools.combinations(each, 2):
            for one, other in zip(*(each[name] for name in pair), strict=True):
                coefficients.setdefault(pair, []).append(similarity.pearson(one, other))
    rows = []
    for (method, other), values in coefficients.items():
        mean, scatter = mean_and_scatter(values)
        names = {"data_set": data_set, "method": method, "other": other}
        rows.append({**names, "pearson": mean, "scatter": scatter})
    return rows


def example_maps(
    model: Model, maps: np.ndarray, pixel_arcmin: float, section: Saliency, seed: int
) -> dict[str, np.ndarray]:
    """Return the maps of Figure 4 and of the sensitivity figure, cut to a patch.

    Parameters
    ----------
    maps : (map, y, x, 1), of which the first is explained; relevance is that of the whole map,
        shown in its middle.

    Returns
    -------
    ``kappa`` (y, x); ``methods`` (method) and their ``conventions`` (method) as JSON; ``maps``
    (method, 3, y, x) for the trained network, the last layer drawn anew, all layers drawn anew;
    ``alpha_beta`` and ``epsilon`` (setting, y, x) with ``alpha_beta_values`` and
    ``epsilon_values``; ``pixel_arcmin``.

    """
    kappa = maps[:1]
    side = min(section.patch_pixels, kappa.shape[1])
    start = (kappa.shape[1] - side) // 2
    patch = (slice(start, start + side),) * 2
    methods = [randomization.configured(name, section, model[0]) for name in section.methods]
    last = len(randomization.layers(model[0]))
    stages = [("cascading", 1), ("cascading", last)]
    comparisons = randomization.compare(
        model,
        kappa,
        methods,
        stages,
        1,
        seed,
        section.batch_norm_statistics,
        "examples",
        section.curve_maps,
        maps,
    )
    panels: dict[str, list[np.ndarray]] = {method.name: [] for method in methods}
    for comparison in comparisons:
        method_panels = panels[comparison.method]
        if not method_panels:
            method_panels.append(comparison.trained[patch])
        method_panels.append(comparison.randomized[patch])
    arrays = {
        "kappa": kappa[(0, *patch, 0)],
        "methods": np.array(list(panels)),
        "conventions": np.array([json.dumps(method.conventions()) for method in methods]),
        "maps": np.array(list(panels.values()), np.float32),
        "pixel_arcmin": np.array(pixel_arcmin),
    }
    for rule, settings in sensitivity_settings(section).items():
        shown = [
            randomization.explained(method, model, kappa, seed, section.curve_maps)
            for method in settings.values()
        ]
        arrays[rule] = np.array([each[(0, *patch)] for each in shown], np.float32)
        arrays[f"{rule}_values"] = np.array(list(settings))
    return arrays


def sensitivity_settings(section: Saliency) -> dict[str, dict[float, Method]]:
    """Return rule → value → method: LRP-αβ over β and LRP-ε over ε, as the paper's otherwise."""

    def varied(name: str, rule: rules.Rule) -> Method:
        method = find(name)
        procedure = method.procedure
        assert isinstance(procedure, Propagation)
        composite = dataclasses.replace(procedure.composite, conv=rule, dense=rule)
        changed = dataclasses.replace(procedure, composite=composite)
        return dataclasses.replace(method, name=f"{name} {rule}", procedure=changed)

    return {
        "alpha_beta": {
            beta: varied("inn_lrp_alpha1beta0_bn_z", rules.AlphaBeta(1 + beta, beta, "both"))
            for beta in section.betas
        },
        "epsilon": {
            epsilon: varied("inn_lrp_epsilon_bn_z", rules.Epsilon(epsilon))
            for epsilon in section.epsilons
        },
    }


def sensitivity_rows(
    model: Model, maps: np.ndarray, data_set: str, section: Saliency, seed: int
) -> list[dict[str, Any]]:
    """Compare maps over α, β and ε: rows of ``sensitivity.csv``.

    Parameters
    ----------
    maps : (map, y, x, 1); the first ``curve_maps`` are explained.

    """
    rows = []
    few = maps[: section.curve_maps]
    last = len(randomization.layers(model[0]))
    for rule, settings in sensitivity_settings(section).items():
        default = "inn_lrp_alpha1beta0_bn_z" if rule == "alpha_beta" else "inn_lrp_epsilon_bn_z"
        batch = section.curve_maps
        usual = randomization.explained(find(default), model, few, seed, batch)
        for value, method in settings.items():
            like, survives = [], []
            for comparison in randomization.compare(
                model,
                few,
                [method],
                [("cascading", last)],
                section.repeats,
                seed,
                section.batch_norm_statistics,
                f"{rule} {value:g} {data_set}",
                batch,
                maps,
            ):
                if comparison.repeat == 0:
                    other = usual[comparison.realization]
                    like.append(similarity.pearson(comparison.trained, other))
                inner = comparison.without_border(section.border_pixels)
                survives.append(similarity.pearson(inner.trained, inner.randomized))
            row = {"data_set": data_set, "rule": rule, "value": value}
            row["similarity"], row["similarity_scatter"] = mean_and_scatter(like)
            row["randomized"], row["randomized_scatter"] = mean_and_scatter(survives)
            rows.append(row)
    return rows


# ---- relevance by convergence --------------------------------------------------------------------


def relevance_by_convergence(
    paths: Sequence[str | Path],
    models: Sequence[Model],
    data_set: str,
    spec: Spec,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Sort squared saliency by convergence at every cosmology (Figures 5 and 6).

    Parameters
    ----------
    paths : batches of maps.
    spec : config sections ``seed``, ``maps``, ``noise``, ``saliency``.

    Returns
    -------
    Rows of ``relevance.csv`` and of ``relevance_shares.csv``.

    """
    maps = SplitMaps(paths, "testing")
    cosmologies = np.unique(maps.columns.cosmology)
    by_method: dict[str, list[list[dict[str, np.ndarray]]]] = {
        name: [] for name in relevance.METHODS
    }
    truths = []
    with progress.bar(len(cosmologies), f"relevance {data_set}", unit="cosmology") as shown:
        for cosmology in cosmologies:
            rows = np.flatnonzero(maps.columns.cosmology == cosmology)
            rows = rows[: spec.saliency.relevance_maps]
            truths.append(maps.targets[rows[0]])
            seen = prediction.observed(maps.select(rows), data_set, spec)
            by_network: dict[str, list[dict[str, np.ndarray]]] = {name: [] for name in by_method}
            for model in models:
                gradient = _gradients(model, seen)
                for name, factor in (("gradient", 1.0), ("input_x_gradient", seen[..., None])):
                    saliency = relevance.squared(gradient * factor)
                    by_network[name].append(relevance.sorted_by_convergence(seen, saliency))
            for name, each in by_network.items():
                by_method[name].append(each)
            shown.update()
    bins, shares = [], []
    for name, by_cosmology in by_method.items():
        for cosmology, truth, each in zip(cosmologies, truths, by_cosmology, strict=True):
            named = {
                "data_set": data_set,
                "method": name,
                "cosmology": int(cosmology),
                "omega_matter": truth[0],
                "sigma_8": truth[1],
            }
            bins += relevance.relevance_rows(named, relevance.stacked(each), len(each))
        shares += relevance.share_rows(data_set, name, _by_network(by_cosmology))
    return bins, shares


def _gradients(model: Model, seen: np.ndarray) -> np.ndarray:
    pieces = [
        gradient for _, gradient in in_batches("gradient", model, seen[..., None], batch=BATCH)
    ]
    return np.concatenate(pieces, 1)


def _by_network(
    by_cosmology: Sequence[Sequence[Mapping[str, np.ndarray]]],
) -> dict[str, np.ndarray]:
    """Stack shares to (network, cosmology, map); cosmologies keep as many maps as all have."""
    fewest = min(len(each[0]["negative"]) for each in by_cosmology)
    return {
        region: np.array(
            [[part[region][:fewest] for part in each] for each in by_cosmology]
        ).swapaxes(0, 1)
        for name in relevance.REGIONS
        for region in (name, f"{name}_pixels")
    }
