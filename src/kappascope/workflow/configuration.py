"""From tier, variants and overrides to one effective, validated config.

The base is config/config.yaml, the default tier. A tier (config/tiers), any number of variants
(config/variants) and a user's own values are laid over it in this order; each holds only what
differs. The JSON Schema (workflow/schemas/config.schema.json) gives every key its meaning, unit,
default and allowed values; config/README.md is written from it by
``python -m kappascope.workflow.configuration``.
"""

import csv
import difflib
import functools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from kappascope.attribution import labels
from kappascope.cosmology.parameters import PARAMETERS
from kappascope.errors import InputError
from kappascope.files import write_text


def _checkout() -> Path:
    """Return the repository's root: around this file, or where an installed package is used."""
    around = Path(__file__).resolve().parents[3]
    here = Path.cwd()
    own = "config/config.yaml"
    return here if not (around / own).is_file() and (here / own).is_file() else around


ROOT = _checkout()
DEFAULT_TIER = "default"
GIVEN = "--config or --configfile"
MINIMUM_PIXELS_VALID = 348  # receptive field of the 18 convolutions without padding
MINIMUM_PIXELS_GROUPS = 29  # three 4×4 convolutions, each followed by 2×2 pooling
MINIMUM_PIXELS_PER_SMOOTHING = 1.2
COSMOGRID_PIXEL_ARCMIN = 6.87  # HEALPix nside 512
LENS_BANDS = ("VIS", "Y", "J", "H")
LENS_NODES = (  # of architectures.lens_finder: those that have pixels
    *(f"{kind}{number}" for number in (1, 2, 3, 4) for kind in ("conv", "relu")),
    *("pool1", "pool2", "pool4"),
)
TABLE_COLUMNS = ("cosmology", "omega_matter", "sigma_8", "origin", "order")

Config = dict[str, Any]
Root = str | Path | None


def load(
    tier: str | None = None,
    variants: Sequence[str] = (),
    overrides: Mapping[str, Any] | None = None,
    root: Root = None,
) -> Config:
    """Merge base, tier, variants and overrides, and validate the result.

    ``tier`` is ``None`` or ``"default"`` for the base alone; ``overrides`` is nested like the
    config; ``root`` is the repository's root. Unless ``overrides`` names the ``run``, it becomes
    the tier's name followed by ``-{variant}`` for each variant.
    """
    base = Path(root) if root is not None else ROOT
    tier = tier or DEFAULT_TIER
    layers: list[tuple[str, Mapping[str, Any]]] = [_layer(base, "config/config.yaml")]
    if tier != DEFAULT_TIER:
        layers.append(_layer(base, _named(base, "tier", tier)))
    layers += [_layer(base, _named(base, "variant", variant)) for variant in variants]
    layers.append((GIVEN, overrides or {}))
    merged: Config = {}
    origins: dict[str, str] = {}
    for file, values in layers:
        merged = merge(merged, values)
        for path, _ in _leaves(values):
            origins.pop(".".join(path), None)  # so that the last layer's keys stand last
            origins[".".join(path)] = file
    if "run" not in (overrides or {}):
        merged["run"] = "-".join([tier, *variants])
    merged = {"tier": tier, "variants": list(variants), **merged}
    config = _converted(merged, schema(base))
    validate(config, origins, base)
    return config


def from_command_line(given: Mapping[str, Any], root: Root = None) -> Config:
    """Return the effective config for what Snakemake collected from --config and --configfile.

    The keys ``tier`` and ``variants`` select; everything else is an override, nested mappings
    such as ``network={width: 4}`` included.
    """
    overrides = dict(given)
    tier = overrides.pop("tier", None)
    variants = overrides.pop("variants", None) or []
    if isinstance(variants, str):
        variants = [name for name in re.split(r"[,\s]+", variants) if name]
    if not (tier is None or isinstance(tier, str)):
        raise InputError(f"{GIVEN}: tier: got {_shown(tier)}, expected a name such as smoke")
    if not isinstance(variants, list) or not all(isinstance(name, str) for name in variants):
        raise InputError(f"{GIVEN}: variants: got {_shown(variants)}, expected names")
    return load(tier, variants, overrides, root)


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> Config:
    """Lay ``over`` on ``base``: mappings merge key by key, anything else replaces."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            merged[key] = merge(old, value)
        else:
            merged[key] = value
    return merged


def write_effective(config: Mapping[str, Any], path: str | Path) -> None:
    """Write the effective config as YAML; a file that already says the same is left untouched."""
    text = (
        "# The config this run used, complete. To run the same again:\n"
        "# snakemake --cores all --configfile THIS_FILE\n"
        + yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True, default_flow_style=None)
    )
    file = Path(path)
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        write_text(file, text)


def available(kind: str, root: Root = None) -> list[str]:
    """Names of the tiers (``kind`` = "tier") or variants ("variant") that exist."""
    folder = (Path(root) if root is not None else ROOT) / "config" / f"{kind}s"
    names = sorted(file.stem for file in folder.glob("*.yaml"))
    return [DEFAULT_TIER, *names] if kind == "tier" else names


def _named(root: Path, kind: str, name: str) -> str:
    names = available(kind, root)
    if name not in names:
        raise InputError(
            f"{GIVEN}: {kind}{'s' if kind == 'variant' else ''}: got {_shown(name)}, "
            f"there is {', '.join(names) or 'none'}{_nearest(name, names)}"
        )
    return f"config/{kind}s/{name}.yaml"


def _layer(root: Path, file: str) -> tuple[str, Mapping[str, Any]]:
    return file, read_yaml(root / file, file)


def read_yaml(path: Path, label: str | None = None) -> Config:
    """Read a YAML mapping; mistakes are told with the file and the line."""
    name = label or str(path)
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{name}: cannot be read ({error.strerror}); check the path, or run this in a checkout "
            "of the repository"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not text"
        raise InputError(f"{name}{line}: not valid YAML ({problem}); correct that line") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InputError(f"{name}: holds {_shown(value)}, expected keys and values")
    return value


# ---------------------------------------------------------------------------------- schema


@functools.cache
def schema(root: Path = ROOT) -> Config:
    """JSON Schema of the config."""
    path = root / "workflow/schemas/config.schema.json"
    loaded: Config = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def defaults(root: Path = ROOT) -> Config:
    """Collect the defaults that the schema gives, nested like config/config.yaml."""

    def collect(node: Mapping[str, Any]) -> Any:
        if "properties" not in node:
            return node["default"]
        inner = node["properties"].items()
        return {name: collect(child) for name, child in inner if not child.get("selector")}

    collected: Config = collect(schema(root))
    return collected


def options(root: Path = ROOT) -> Iterator[tuple[str, Config]]:
    """Yield (dotted key, its part of the schema) for every section and every value."""

    def walk(prefix: str, node: Mapping[str, Any]) -> Iterator[tuple[str, Config]]:
        for name, child in node["properties"].items():
            yield prefix + name, child
            if "properties" in child:
                yield from walk(f"{prefix}{name}.", child)

    yield from walk("", schema(root))


def allowed(option: Mapping[str, Any]) -> str:
    """Say in words what the schema allows for one value."""
    if "properties" in option:
        return "a section with the keys " + ", ".join(option["properties"])
    if "enum" in option:
        return "one of " + ", ".join(str(value) for value in option["enum"])
    kinds = option["type"] if isinstance(option["type"], list) else [option["type"]]
    names = {"string": "text", "boolean": "true or false", "array": "a list", "null": "null"}
    words = " or ".join(
        names.get(kind, f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}") for kind in kinds
    )
    if kinds == ["array"]:
        words = _allowed_items(option)
    bounds = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    limits = [f"{sign} {option[name]:g}" for name, sign in bounds.items() if name in option]
    if "multipleOf" in option:
        limits.append(
            "even" if option["multipleOf"] == 2 else f"a multiple of {option['multipleOf']}"
        )
    if "pattern" in option:
        limits.append("of letters, digits, dots, dashes and underscores")
    return " ".join([words, " and ".join(limits)]).strip()


def _allowed_items(option: Mapping[str, Any]) -> str:
    item = option["items"]
    if option.get("maxItems") is not None:
        return f"{option['maxItems']} {item['type']}s, increasing"
    least = "at least one, " if option.get("minItems") else ""
    if "enum" in item:
        return f"a list ({least}none twice) of {', '.join(item['enum'])}"
    return (
        f"a list ({least}none twice) of names" if option.get("uniqueItems") else "a list of names"
    )


# ------------------------------------------------------------------------------ validation


def validate(
    config: Mapping[str, Any], origins: Mapping[str, str] | None = None, root: Root = None
) -> None:
    """Raise InputError, one line, for the first thing that is wrong with a complete config.

    ``origins`` maps dotted keys to the file that set them, so that the message can name it.
    """
    import jsonschema

    base = Path(root) if root is not None else ROOT
    description = schema(base)
    found = jsonschema.Draft202012Validator(description).iter_errors(config)
    # Unknown keys first: a misspelt key is often the cause of what else is wrong.
    errors = sorted(found, key=lambda e: (e.validator != "additionalProperties", str(e.json_path)))
    problem = _schema_problem(errors[0], base) if errors else None
    if problem is None:
        problem = next((p for p in _missing(config, base)), None)
    if problem is None:
        problem = next(iter(_cross_checks(config, base)), None)
    if problem is not None:
        key, text = problem
        raise InputError(f"{_origin(key, origins or {})}: {key}: {text}")


def _origin(key: str, origins: Mapping[str, str]) -> str:
    if key in origins:
        return origins[key]
    inside = [file for path, file in origins.items() if path.startswith(f"{key}.")]
    return inside[-1] if inside else "config"


def _schema_problem(error: Any, root: Path) -> tuple[str, str]:
    path = [str(part) for part in error.absolute_path if isinstance(part, str)]
    key = ".".join(path)
    if error.validator == "additionalProperties":
        unknown = next(name for name in error.instance if name not in error.schema["properties"])
        full = ".".join([*path, str(unknown)])
        siblings = ", ".join(error.schema["properties"])
        near = _nearest(full, [name for name, _ in options(root)], str(unknown))
        where = f"in {key}" if key else "here"
        return full, f"unknown key{near or ';'} allowed {where}: {siblings}"
    option = dict(options(root))[key]
    if "string" in option["type"] and error.validator == "type":
        return key, (
            f"got {_shown(error.instance)}: what was written reads as {_kind(error.instance)}, and "
            "its text is lost; quote it in a --configfile, on a command line (which drops quotes) "
            f"write '{key.split('.')[-1]}=!!str ...', or begin it with a letter"
        )
    near = ""
    choices = option.get("enum") or option.get("items", {}).get("enum")
    if choices and isinstance(error.instance, str):
        near = _nearest(error.instance, [str(choice) for choice in choices]).rstrip(";")
    return key, f"got {_shown(error.instance)}, allowed is {allowed(option)}{near}{_unit(option)}"


def _kind(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "nothing" if value is None else "true or false"
    return "a number" if isinstance(value, int | float) else f"a {type(value).__name__}"


def _unit(option: Mapping[str, Any]) -> str:
    unit = option.get("unit", "none")
    return "" if unit in ("none", "count") else f" [{unit}]"


def _missing(config: Mapping[str, Any], root: Path) -> Iterator[tuple[str, str]]:
    present = {".".join(path) for path, _ in _leaves(config)}
    for key, option in options(root):
        leaf = "properties" not in option and not option.get("selector")
        if leaf and key not in present:
            yield key, f"missing; the default is {_shown(option['default'])}"


def _nearest(name: str, names: Iterable[str], last: str | None = None) -> str:
    """Return ``; did you mean X?;`` with the known key closest to ``name``, or nothing."""
    known = list(names)
    for other in known:
        if other.lower() == name.lower():
            return f"; did you mean {other}?"
    found = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
    if not found and last is not None:
        endings = {known_name.split(".")[-1]: known_name for known_name in reversed(known)}
        found = [endings[e] for e in difflib.get_close_matches(last, endings, n=1, cutoff=0.6)]
    if not found:
        found = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {found[0]}?" if found else ""


def _cross_checks(config: Mapping[str, Any], root: Path) -> Iterator[tuple[str, str]]:
    yield from _check_ranges(config)
    yield from _check_maps(config)
    yield from _check_network(config)
    yield from _check_methods(config)
    yield from _check_transformations(config)
    yield from _check_data_vector(config, root)
    if config["maps"]["source"] == "simulation":
        yield from _check_simulation(config)
        yield from _check_cosmologies(config, root)


def _check_ranges(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in ("ell_range", "kappa_range_noiseless", "kappa_range_noisy"):
        low, high = config["statistics"][name]
        if not low < high:
            yield f"statistics.{name}", f"got [{low:g}, {high:g}], the first must be the smaller"
    low = config["statistics"]["ell_range"][0]
    if low <= 0:
        yield "statistics.ell_range", f"got {low:g} as lower edge; log bins need one above 0"


def _check_maps(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    maps = config["maps"]
    smoothing, pixel = maps["smoothing_arcmin"], maps["pixel_arcmin"]
    if maps["source"] == "cosmogrid":
        yield (
            "maps.source",
            f"got cosmogrid, whose pixels are {COSMOGRID_PIXEL_ARCMIN:g} arcmin (HEALPix nside "
            f"512): a smoothing of {smoothing:g} arcmin cannot be resolved; use simulation, "
            "columbia, massivenus or folder",
        )
    if smoothing / pixel < MINIMUM_PIXELS_PER_SMOOTHING:
        yield (
            "maps.pixel_arcmin",
            f"a smoothing of {smoothing:g} arcmin is {smoothing / pixel:.2f} pixels of {pixel:g} "
            f"arcmin; at least {MINIMUM_PIXELS_PER_SMOOTHING} are needed to resolve it: use "
            "smaller pixels and, for the same cost, a smaller field",
        )
    if maps["source"] != "simulation" and maps["path"] is None:
        yield (
            "maps.path",
            f"got null, but maps.source is {maps['source']}: give the folder that holds the maps",
        )
    if maps["source"] == "folder" and maps["table"] is None:
        yield (
            "maps.table",
            "got null, but maps.source is folder: give a CSV with the columns file, Omega_m, "
            "sigma_8 and, where the files do not say it, pixel_arcmin",
        )


def _check_network(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    network, maps = config["network"], config["maps"]
    convolutions = "convergence_cnn" in (network["architecture"], config["trim"]["architecture"])
    if convolutions and network["padding"] == "VALID" and maps["pixels"] < MINIMUM_PIXELS_VALID:
        yield (
            "network.padding",
            f"got VALID with maps of {maps['pixels']} pixels, which shrink to nothing in 18 "
            f"convolutions; use SAME, or maps.pixels of at least {MINIMUM_PIXELS_VALID}",
        )
    total = maps["training"] * config["cosmology"]["number"]
    if network["batch"] > total:
        yield (
            "network.batch",
            f"got {network['batch']}, more than the {total} training maps; lower it",
        )


def _check_methods(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, more in (
        ("saliency", ()),
        ("trim", ()),
        ("sounds", ("cd",)),
        ("groups.baselines", ()),
        ("lenses", ()),
    ):
        section = functools.reduce(lambda inner, name: inner[name], key.split("."), config)
        for name in section["methods"]:
            known = (*labels.NAMES, *more)
            # Grad-CAM is brought to the maps' size there.
            window = re.fullmatch(r"occlusion_w(\d+)s(\d+)", name)
            if window and not 0 < int(window[2]) <= int(window[1]):
                yield (
                    f"{key}.methods",
                    f"got {name}, whose windows leave pixels out; the stride must be from 1 to "
                    f"{window[1]}",
                )
            coarse = key in ("groups.baselines", "lenses") and name.startswith("grad_cam.")
            if name not in known and not coarse and not re.fullmatch(labels.PATTERN, name):
                yield (
                    f"{key}.methods",
                    f"got {_shown(name)}; kappascope attribute --list has the methods that give "
                    f"every pixel a value{_nearest(name, known)}",
                )


def _check_transformations(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    low, high = config["trim"]["band_range"]
    if not low < high:
        yield "trim.band_range", f"got [{low:g}, {high:g}], the first must be the smaller"
    groups = config["groups"]
    side = config["maps"]["pixels"] // groups["rebin"]
    if side < MINIMUM_PIXELS_GROUPS:
        yield (
            "groups.rebin",
            f"got {groups['rebin']}, which leaves maps of {side} pixels; the network needs "
            f"{MINIMUM_PIXELS_GROUPS}: rebin less",
        )
    if groups["model"]["training"] > config["maps"]["training"]:
        yield (
            "groups.model.training",
            f"got {groups['model']['training']}, more than the {config['maps']['training']} "
            "training maps of a cosmology (maps.training)",
        )
    lenses = config["lenses"]
    faint = lenses["source_magnitudes"]
    if not faint[0] < faint[1]:
        yield (
            "lenses.source_magnitudes",
            f"got [{faint[0]:g}, {faint[1]:g}], the first must be the brighter, the smaller number",
        )
    own = lenses["own_images"]
    if own is not None and not Path(own).is_file():
        yield (
            "lenses.own_images",
            f"got {_shown(own)}, which is no file here; give an npz as docs/how-to/find-lenses.md "
            "describes it",
        )
    if own is not None and (problem := name_problem(own)):
        yield "lenses.own_images", f"got {_shown(own)}: {problem}"
    if lenses["batch"] > lenses["training"]:
        yield (
            "lenses.batch",
            f"got {lenses['batch']}, more than the {lenses['training']} training images; lower it",
        )
    if lenses["bands"] != sorted(lenses["bands"], key=LENS_BANDS.index):
        yield (
            "lenses.bands",
            f"got [{', '.join(lenses['bands'])}]; give them from blue to red, as "
            f"{', '.join(LENS_BANDS)}",
        )
    for name in lenses["methods"]:
        node = name.partition(".")[2]
        if node and node not in LENS_NODES:
            yield "lenses.methods", f"got {name}; the networks' nodes are {', '.join(LENS_NODES)}"
        window = re.fullmatch(r"occlusion_w(\d+)s(\d+)", name)
        if window and not 0 < int(window[1]) <= lenses["pixels"]:
            yield "lenses.methods", f"got {name}, but images have {lenses['pixels']} pixels"
    half = lenses["pixels"] * lenses["pixel_arcsec"] / 2
    if lenses["reach_arcsec"] > half - 1:
        yield (
            "lenses.reach_arcsec",
            f"got {lenses['reach_arcsec']:g}, but images end {half:g} arcsec from the middle; "
            "leave 1 arcsec around the galaxy",
        )
    sounds = config["sounds"]
    if sounds["source"] == "urbansound8k" and sounds["path"] is None:
        yield "sounds.path", "got null, but sounds.source is urbansound8k: give its folder"
    smoothing, pixel = config["trim"]["smoothing_arcmin"], config["maps"]["pixel_arcmin"]
    if 0 < smoothing < MINIMUM_PIXELS_PER_SMOOTHING * pixel:
        yield (
            "trim.smoothing_arcmin",
            f"got {smoothing:g}, {smoothing / pixel:.2f} pixels; use 0 (as they are) or at least "
            f"{MINIMUM_PIXELS_PER_SMOOTHING} pixels",
        )


def name_problem(file: str | Path) -> str:
    """Say why Snakemake cannot take a file as an input, or nothing."""
    if "{" in str(file) or "}" in str(file):
        return "has braces in its name, which Snakemake reads as wildcards; rename it or link to it"
    return ""


def _check_data_vector(config: Mapping[str, Any], root: Path) -> Iterator[tuple[str, str]]:
    statistics = config["statistics"]
    known = registered_statistics(root)
    for key in ("names", "beyond"):
        for name in statistics[key]:
            if known and name not in known:
                hint = _nearest(name, known)
                text = f"got {_shown(name)}, the registry holds {', '.join(known)}{hint}"
                yield f"statistics.{key}", text
    twice = sorted(set(statistics["names"]) & set(statistics["beyond"]))
    if twice:
        yield "statistics.beyond", f"got {twice[0]}, which statistics.names already holds; drop one"
    length = statistics["bins"] * len(statistics["names"]) + len(PARAMETERS)
    maps = config["maps"]["covariance"]
    if maps <= length + 2:
        yield (
            "maps.covariance",
            f"got {maps}, but a covariance of {length} numbers ({len(statistics['names'])} "
            f"statistics x {statistics['bins']} bins + {len(PARAMETERS)}) needs at least "
            f"{length + 3} maps; ask for more maps or fewer statistics.bins",
        )


def _check_simulation(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    simulation = config["simulation"]
    if simulation["mesh"] < simulation["particles"]:
        yield (
            "simulation.mesh",
            f"got {simulation['mesh']}, but simulation.particles is {simulation['particles']}; a "
            "force mesh is at least as fine as the particles",
        )
    if simulation["batches"] > config["cosmology"]["number"]:
        yield (
            "simulation.batches",
            f"got {simulation['batches']} jobs for {config['cosmology']['number']} cosmologies; "
            "use at most one job a cosmology",
        )


def _check_cosmologies(config: Mapping[str, Any], root: Path) -> Iterator[tuple[str, str]]:
    cosmology = config["cosmology"]
    try:
        rows = read_cosmologies(root / cosmology["table"])
    except InputError as error:
        yield "cosmology.table", str(error)
        return
    if cosmology["number"] > len(rows):
        yield (
            "cosmology.number",
            f"got {cosmology['number']}, but {cosmology['table']} has {len(rows)} rows",
        )
        return
    chosen = rows[: cosmology["number"]]
    fiducial = cosmology["fiducial"]
    if not any(is_fiducial(row, fiducial) for row in chosen):
        pair = (fiducial["omega_matter"], fiducial["sigma_8"])
        near = min(
            chosen,
            key=lambda r: abs(r["omega_matter"] - pair[0]) + abs(r["sigma_8"] - pair[1]),
        )
        yield (
            "cosmology.fiducial",
            f"got ({pair[0]:g}, {pair[1]:g}), which is none of the first {len(chosen)} rows of "
            f"{cosmology['table']}; the nearest is ({near['omega_matter']:g}, {near['sigma_8']:g})",
        )
    least = min(row["omega_matter"] for row in chosen)
    if cosmology["omega_baryon"] >= least:
        yield (
            "cosmology.omega_baryon",
            f"got {cosmology['omega_baryon']:g}, but the table has Omega_m = {least:g}: matter "
            "includes the baryons",
        )


def warnings(config: Mapping[str, Any]) -> list[str]:
    """Return things a user should know that do not stop a run, one line each."""
    simulation, maps = config["simulation"], config["maps"]
    if maps["source"] != "simulation":
        return []
    from kappascope.cosmology.model import Cosmology

    fiducial = Cosmology(**config["cosmology"]["fiducial"])
    distance = float(fiducial.comoving_distance(1 / (1 + maps["source_redshift"])))
    # The lensing kernel of one source plane peaks half way to it.
    field = distance / 2 * maps["pixels"] * maps["pixel_arcmin"] / 3437.75
    if field <= simulation["box_mpc_h"]:
        return []
    return [
        f"simulation.box_mpc_h: got {simulation['box_mpc_h']:g}, but the field is {field:.0f} "
        "Mpc/h wide where lensing is strongest, so the box repeats inside a map; use a larger box"
    ]


# ----------------------------------------------------------------------------- cosmologies


def cosmologies(config: Mapping[str, Any], root: Root = None) -> list[dict[str, Any]]:
    """Rows of the cosmology table that a run uses, the fiducial first, in the table's order."""
    base = Path(root) if root is not None else ROOT
    rows = read_cosmologies(base / config["cosmology"]["table"])
    return rows[: config["cosmology"]["number"]]


def is_fiducial(row: Mapping[str, Any], fiducial: Mapping[str, float]) -> bool:
    """Whether a row of the table is the fiducial, to the table's three digits."""
    return all(abs(row[name] - fiducial[name]) < 5e-4 for name in ("omega_matter", "sigma_8"))


def read_cosmologies(path: Path) -> list[dict[str, Any]]:
    """Read a cosmology table; rows sorted by the column ``order``."""
    try:
        with open(path, newline="", encoding="utf-8") as handle:
            reader = csv.DictReader(handle)
            missing = [name for name in TABLE_COLUMNS if name not in (reader.fieldnames or [])]
            if missing:
                raise InputError(f"{path}: has no column {missing[0]}; add it")
            rows = [_table_row(path, line, row) for line, row in enumerate(reader, start=2)]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    for name in ("cosmology", "order"):
        if len({row[name] for row in rows}) < len(rows):
            raise InputError(f"{path}: two rows have the same {name}; make them different")
    return sorted(rows, key=lambda row: row["order"])


def _table_row(path: Path, line: int, row: Mapping[str, str]) -> dict[str, Any]:
    try:
        parsed: dict[str, Any] = {
            "cosmology": int(row["cosmology"]),
            "omega_matter": float(row["omega_matter"]),
            "sigma_8": float(row["sigma_8"]),
            "origin": row["origin"],
            "order": int(row["order"]),
        }
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}, line {line}: {error}; correct the number") from error
    if not (0 < parsed["omega_matter"] < 1 and 0 < parsed["sigma_8"] < 3):
        pair = (parsed["omega_matter"], parsed["sigma_8"])
        raise InputError(
            f"{path}, line {line}: got (Omega_m, sigma_8) = {pair}, outside (0, 1) x (0, 3)"
        )
    return parsed


# --------------------------------------------------------------------------------- helpers


def registered_statistics(root: Path = ROOT) -> list[str]:
    """Names in the registry of statistics, read from its source without running it."""
    import ast

    file = root / "src/kappascope/statistics/registry.py"
    if not file.is_file():
        return []
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(t, ast.Name) and t.id == "_MODULES" for t in targets):
            value = getattr(node, "value", None)
            if isinstance(value, ast.Dict):
                keys = [k.value for k in value.keys if isinstance(k, ast.Constant)]
                return [str(key) for key in keys]
    return []


def _leaves(
    values: Mapping[str, Any], prefix: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*prefix, str(key)))
        else:
            yield (*prefix, str(key)), value


def _converted(value: Any, option: Mapping[str, Any]) -> Any:
    """Give values the type the schema asks for, so that 30 and 30.0 are the same config.

    Text that reads as a number, null or a truth value becomes one: YAML takes 1e-3 for text, and
    Snakemake hands everything inside ``--config key={...}`` over as text. Not the other way round:
    2.10 has become 2.1 before it comes here, and would name another run's folder.
    """
    if isinstance(value, Mapping) and "properties" in option:
        inner = option["properties"]
        return {str(key): _converted(v, inner.get(key, {})) for key, v in value.items()}
    kind = option.get("type")
    if kind == "array" and isinstance(value, list | tuple):
        return [_converted(item, option["items"]) for item in value]
    if kind == "array" and isinstance(value, str) and option["items"]["type"] == "string":
        return [name for name in re.split(r"[,\s]+", value) if name]
    if isinstance(kind, list) and value in ("null", "~"):
        return None
    if kind == "boolean" and value in ("true", "false", "True", "False"):
        return value.lower() == "true"
    if kind in ("number", "integer") and not isinstance(value, bool):
        return _number(value, kind)
    return value


def _number(value: Any, kind: str) -> Any:
    if not isinstance(value, int | float | str):
        return value
    try:
        number = float(value)
    except ValueError:
        return value
    if number != number or number in (float("inf"), float("-inf")):
        return str(value)
    if kind == "integer":
        return int(number) if number.is_integer() else value
    return number


def _shown(value: Any) -> str:
    """Show a value on one line, short."""
    text = "nothing" if value == "" else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


# ------------------------------------------------------------------------- option reference


def reference(root: Path = ROOT) -> str:
    """Text of config/README.md: every key, from the schema, and what the tiers change."""
    lines = [
        "# Options",
        "",
        "<!-- Written by `make config-reference` from workflow/schemas/config.schema.json. -->",
        "",
        "`config.yaml` is the default tier, complete. A tier in `tiers/` and the variants in",
        "`variants/` hold only what differs; `--config` and `--configfile` come last:",
        "",
        "```",
        "snakemake --cores all --config tier=smoke variants=noise_10_per_arcmin2",
        "snakemake --cores all --config tier=smoke 'network={width: 4}' run=narrow",
        "snakemake --cores all --configfile mine.yaml",
        "```",
        "",
        "Results go to `results/{run}/`: the tier's name, then `-{variant}` for each variant,",
        "unless `run` is given. An unknown key or an impossible value stops everything before the",
        "first job. The effective config is written to `results/{run}/config.yaml`.",
        "",
        f"Tiers: {', '.join(f'`{name}`' for name in available('tier', root))}. "
        f"Variants: {', '.join(f'`{name}`' for name in available('variant', root))}.",
    ]
    description = schema(root)["properties"]
    lines += _section("Run", "What to run and where it goes.", "", description, root)
    for name, part in description.items():
        if "properties" in part:
            lines += _section(name, part["description"], f"{name}.", part["properties"], root)
    return "\n".join([*lines, *_tier_table(root)]) + "\n"


def _section(title: str, text: str, prefix: str, part: Mapping[str, Any], root: Path) -> list[str]:
    lines = ["", f"## {title}", "", text, ""]
    lines += ["| key | default | unit | allowed | meaning |", "|---|---|---|---|---|"]
    for name, option in part.items():
        if "properties" not in option:
            unit = "" if option["unit"] == "none" else option["unit"]
            cells = (_code(prefix + name), _code(_cell(option["default"])), unit, allowed(option))
            lines.append(f"| {' | '.join(cells)} | {option['description']} |")
        elif prefix:
            for inner, leaf in option["properties"].items():
                key = f"{prefix}{name}.{inner}"
                unit = "" if leaf["unit"] == "none" else leaf["unit"]
                cells = (_code(key), _code(_cell(leaf["default"])), unit, allowed(leaf))
                lines.append(f"| {' | '.join(cells)} | {leaf['description']} |")
    return lines


def _tier_table(root: Path) -> list[str]:
    names = available("tier", root)
    tiers = {name: load(name, root=root) for name in names}
    lines = ["", "## What the tiers change", "", f"| key | {' | '.join(names)} |"]
    lines.append("|---" * (len(names) + 1) + "|")
    for key, option in options(root):
        if "properties" in option or key in ("tier", "variants", "run"):
            continue
        values = [
            functools.reduce(lambda c, n: c[n], key.split("."), tiers[name]) for name in names
        ]
        if any(value != values[0] for value in values):
            shown = [_cell(v) if i == 0 or v != values[0] else "" for i, v in enumerate(values)]
            lines.append(f"| {_code(key)} | {' | '.join(shown)} |")
    return lines


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, list):
        return "[" + ", ".join(_cell(item) for item in value) + "]"
    return (
        "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    )


def _code(text: str) -> str:
    return f"`{text}`"


def main() -> None:
    """Write config/README.md."""
    write_text(ROOT / "config/README.md", reference())


if __name__ == "__main__":
    main()
