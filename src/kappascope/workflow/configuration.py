"""From tier, variants and overrides to one effective, validated config.

The base is config/config.yaml, the default tier. A tier (config/tiers), any number of variants
(config/variants) and a user's own values are laid over it in this order; each holds only what
differs. The models of :mod:`kappascope.workflow.config` give every key its meaning, unit and
allowed values.
"""

import datetime
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
import yaml

from kappascope import registry
from kappascope.cosmology import table
from kappascope.errors import InputError, nearest, shown
from kappascope.files import checkout, merge, read_yaml, write_text
from kappascope.reporting.published import NULL_RUNS
from kappascope.sections import Problem, Section
from kappascope.workflow.config import LEARNS, Library, whole

ROOT = checkout()
DEFAULT_TIER = "default"
GIVEN = "--config or --configfile"

Config = dict[str, Any]
Root = str | Path | None


def load(
    tier: str | None = None,
    variants: Sequence[str] = (),
    overrides: Mapping[str, Any] | None = None,
    root: Root = None,
) -> Library:
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
    converted = _converted(merged, schema(base))
    given = converted.get("extensions", [])
    if isinstance(given, list) and all(isinstance(file, str) for file in given):
        registry.use(given)
    return validated(converted, origins)


def from_command_line(given: Mapping[str, Any], root: Root = None) -> Library:
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
        raise InputError(f"{GIVEN}: tier: got {shown(tier)}, expected a name such as smoke")
    if not isinstance(variants, list) or not all(isinstance(name, str) for name in variants):
        raise InputError(f"{GIVEN}: variants: got {shown(variants)}, expected names")
    return load(tier, variants, overrides, root)


COMMON = ("seed", "cosmology", "maps", "data_sets", "noise", "simulation", "statistics")
"""What a null run has in common with its run."""


def null_of(config: Library, kind: str) -> Library:
    """Return the config of a null run: as the run's, but its networks learn nothing.

    Raises
    ------
    InputError
        Where ``nulls.overrides`` is no part of a config, or would change what both have in common.

    """
    overrides = _converted(config.nulls.overrides, schema())
    for name in (*COMMON, "wilde2022.images"):
        section, _, part = name.partition(".")
        if section in overrides and (not part or part in overrides[section]):
            raise InputError(
                f"nulls.overrides: got {name}, which null runs have in common with their run; set "
                "what networks and tables need less of"
            )
    learns: Config = {
        "learns": LEARNS[kind],
        "nulls": {**{name: [] for name in LEARNS}, "overrides": {}},
    }
    origins = {".".join(path): "nulls.overrides" for path, _ in _leaves(overrides)}
    made = validated({**merge(config.model_dump(), overrides), **learns}, origins)
    return made.model_copy(update={"run": f"{config.run}/{NULL_RUNS}/{kind}"})


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
            f"{GIVEN}: {kind}{'s' if kind == 'variant' else ''}: got {shown(name)}, "
            f"there is {', '.join(names) or 'none'}{nearest(name, names)}"
        )
    return f"config/{kind}s/{name}.yaml"


def _layer(root: Path, file: str) -> tuple[str, Mapping[str, Any]]:
    return file, read_yaml(root / file, file)


# ---- schema --------------------------------------------------------------------------------------


@functools.cache
def schema(root: Path = ROOT) -> Config:
    """JSON Schema of the config, for editors: made from the models, defaults from config.yaml."""
    made = whole().model_json_schema()
    kinds = made.pop("$defs")
    values = read_yaml(root / "config/config.yaml", "config/config.yaml")

    def plain(node: Mapping[str, Any], value: Any) -> Config:
        """Put definitions where they are used, and null among the types."""
        node = dict(node)
        node.pop("title", None)
        if "$ref" in node:
            node = {**kinds[node.pop("$ref").rpartition("/")[2]], **node}
            node.pop("title", None)
        if "anyOf" in node:
            first, null = node.pop("anyOf")
            node = {**first, **node, "type": [first["type"], null["type"]]}
        if "properties" not in node:
            return {**node, "default": value}
        node.pop("required", None)
        node["description"] = " ".join(node["description"].split("\n\n")[0].split())
        inner = value if isinstance(value, Mapping) else {}
        node["properties"] = {k: plain(v, inner.get(k)) for k, v in node["properties"].items()}
        return node

    values = {"tier": DEFAULT_TIER, "variants": [], **values}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **plain(made, values)}


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
    names["object"] = "a section of keys and values"
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
    kind = {"integer": "integers", "number": "numbers"}.get(item.get("type", ""), "names")
    if option.get("maxItems") is not None:
        return f"{option['maxItems']} {kind}" + (", increasing" if kind == "numbers" else "")
    least = {0: "", 1: "at least one, "}.get(option.get("minItems", 0), "at least two, ")
    if "enum" in item:
        return f"a list ({least}none twice) of {', '.join(item['enum'])}"
    return (
        f"a list ({least}none twice) of {kind}"
        if option.get("uniqueItems")
        else f"a list of {kind}"
    )


# ---- validation ----------------------------------------------------------------------------------


def validated(values: Mapping[str, Any], origins: Mapping[str, str] | None = None) -> Library:
    """Return the typed config.

    Parameters
    ----------
    origins : dotted key → the file that set it, so that a message can name it.

    Raises
    ------
    InputError
        One line for the first thing that is wrong.

    """
    try:
        config = whole().model_validate(values)
        problem = next(_problems(config, config), None)
    except pydantic.ValidationError as error:
        # Unknown keys first: a misspelt key is often the cause of what else is wrong.
        errors = sorted(
            error.errors(), key=lambda e: (e["type"] != "extra_forbidden", str(e["loc"]))
        )
        problem = _problem(errors[0])
    if problem is not None:
        key, text = problem
        raise InputError(f"{_origin(key, origins or {})}: {key}: {text}")
    return config


def _problems(section: Section, config: Library) -> Iterator[Problem]:
    yield from section.problems(config)
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from _problems(value, config)


def _origin(key: str, origins: Mapping[str, str]) -> str:
    if key in origins:
        return origins[key]
    inside = [file for path, file in origins.items() if path.startswith(f"{key}.")]
    return inside[-1] if inside else "config"


def _problem(error: Any) -> Problem:
    """Put an error of Pydantic into words."""
    known = dict(options())
    parts = [part for part in error["loc"] if isinstance(part, str)]
    key, value = ".".join(parts), error["input"]
    if error["type"] == "extra_forbidden":
        above, name = ".".join(parts[:-1]), parts[-1]
        if key in known:
            inside = "={".join(key.split("."))
            return (
                key,
                f"a key of a section is written inside it: {inside}: ...{'}' * key.count('.')}",
            )
        siblings = (known[above] if above else schema())["properties"]
        near = nearest(key, known, name)
        where = f"in {above}" if above else "here"
        return key, f"unknown key{near or ';'} allowed {where}: {', '.join(siblings)}"
    option = known[key]
    if error["type"] == "missing":
        hint = "" if "properties" in option else f"; give {allowed(option)}{_unit(option)}"
        return key, f"missing{hint}"
    lost = value is None or isinstance(value, bool | int | float | datetime.date)
    if error["type"] == "string_type" and lost and not {"items", "enum"} & set(option):
        return key, (
            f"got {shown(value)}: what was written reads as {_kind(value)}, and its text is lost; "
            "quote it in a --configfile, on a command line (which drops quotes) write "
            f"'{key.split('.')[-1]}=!!str ...', or begin it with a letter"
        )
    near = ""
    choices = option.get("enum") or option.get("items", {}).get("enum")
    if choices and isinstance(value, str):
        near = nearest(value, [str(choice) for choice in choices])
    return key, f"got {shown(value)}, allowed is {allowed(option)}{near}{_unit(option)}"


def _kind(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "nothing" if value is None else "true or false"
    return "a number" if isinstance(value, int | float) else f"a {type(value).__name__}"


def _unit(option: Mapping[str, Any]) -> str:
    unit = option.get("unit", "none")
    return "" if unit in ("none", "count") else f" [{unit}]"


def warnings(config: Library) -> list[str]:
    """Return things a user should know that do not stop a run, one line each."""
    simulation, maps = config.simulation, config.maps
    if maps.source != "simulation":
        return []
    # c/H0 ∫ dz/E(z) [Mpc/h] by the trapezoid rule: good for a warning, and scipy stays out.
    omega = config.cosmology.fiducial.omega_matter
    z = np.linspace(0, maps.source_redshift, 200)
    inverse = 1 / np.sqrt(omega * (1 + z) ** 3 + 1 - omega)
    distance = 2997.92 * float(np.trapezoid(inverse, z))
    # The lensing kernel of one source plane peaks half way to it.
    field = distance / 2 * maps.pixels * maps.pixel_arcmin / 3437.75
    if field <= simulation.box_mpc_h:
        return []
    return [
        f"simulation.box_mpc_h: got {simulation.box_mpc_h:g}, but the field is {field:.0f} "
        "Mpc/h wide where lensing is strongest, so the box repeats inside a map; use a larger box"
    ]


def cosmologies(config: Library, root: Root = None) -> list[dict[str, Any]]:
    """Rows of the table of cosmologies that a run uses, in its order: the fiducial first."""
    base = Path(root) if root is not None else ROOT
    return table.read(base / config.cosmology.table)[: config.cosmology.number]


# ---- values --------------------------------------------------------------------------------------


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
    if not isinstance(value, int | float | str) or (kind == "integer" and isinstance(value, int)):
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
