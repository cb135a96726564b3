"""Documents: links lead somewhere, what they name exists, nothing of a machine stands in them."""

import itertools
import json
import os
import re
import shlex
import subprocess

import pytest
import yaml

from kappascope import __version__
from kappascope.networks.kinds import FUNCTION, KINDS
from kappascope.workflow import configuration, reference

ROOT = configuration.ROOT
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "config").glob("*.md")]
)


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_link_leads_to_a_file(file):
    text = re.sub(r"```.*?```", "", file.read_text(encoding="utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if "://" not in target:
            assert (file.parent / target).exists(), target


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_path_of_the_repository_that_is_named_exists(file):
    text = file.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:src|config|paper|docs|envs|workflow|scripts)/[\w./-]+)`", text):
        if not name.endswith("mine.py"):
            assert (ROOT / name).exists(), name


def test_results_that_headings_name_are_made_by_rules():
    rules = "".join(file.read_text() for file in (ROOT / "workflow/rules").glob("*.smk"))
    text = (ROOT / "docs/reference/files.md").read_text(encoding="utf-8")
    for name in re.findall(r"^## .*`([\w./{}]+\.(?:h5|nc))`", text, flags=re.M):
        made = name.replace("maps/{hash}/", "{MAPS_FOLDER}/")
        assert made in rules or made.replace(".h5", "") in rules, name


def test_every_table_that_a_rule_makes_is_documented():
    text = (ROOT / "docs/reference/files.md").read_text(encoding="utf-8")
    calls = r'\b(?:matilla|singh|you|wilde|rosenzweig)\("(\w+\.csv)"\)'
    for file in (ROOT / "workflow/rules").glob("*2*.smk"):
        names = set(re.findall(calls, file.read_text(encoding="utf-8")))
        assert names, file.name
        assert [name for name in sorted(names) if f"`{name}`" not in text] == [], file.name


def test_tables_are_documented_as_they_are_declared():
    text = (ROOT / "docs/reference/files.md").read_text(encoding="utf-8")
    assert text == reference.files_text(text), "run: make config-reference"
    for folder, tables in reference.declared_tables().items():
        assert f"<!-- {folder}: written" in text
        for table in tables:
            assert f"| {table.row} |" in text


def test_kinds_of_nodes_are_documented_as_they_are_declared():
    text = (ROOT / "docs/reference/networks.md").read_text(encoding="utf-8")
    assert text == reference.networks_text(text), "run: make config-reference"
    for kind in KINDS.values():
        assert (f"| `{kind.name}` | {kind.role} |" in text) == (kind.role != FUNCTION)


def test_every_config_key_that_is_named_exists():
    known = {key for key, _ in configuration.options()}
    sections = {key for key in known if "." not in key and key not in ("run", "seed", "tier")}
    for file in DOCUMENTS:
        named = re.findall(r"`(\w+(?:\.\w+)+)`", file.read_text(encoding="utf-8"))
        for key in named:
            ending = key.rpartition(".")[2]
            if key.split(".")[0] in sections and ending not in ("py", "yaml", "csv", "json", "npz"):
                assert key in known, f"{file.name}: {key}"


def given_keys(text):
    """Dotted keys of the config that commands of a text give."""
    for line in re.findall(r"snakemake [^`\n#]*--config [^`\n#]*", text):
        words = shlex.split(line.strip().rstrip("`"), posix=True)
        after = words[words.index("--config") + 1 :]
        for word in itertools.takewhile(lambda word: not word.startswith("--"), after):
            key, equals, value = word.partition("=")
            if equals:
                read = {key: yaml.safe_load(value)}
                yield from (".".join(path) for path, _ in configuration._leaves(read))


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.stem)
def test_commands_give_keys_that_exist(file):
    known = {key for key, _ in configuration.options()}
    for key in given_keys(file.read_text(encoding="utf-8")):
        assert key in known, f"{file.name}: {key}"


def test_commands_with_keys_are_found():
    text = "snakemake --cores all --config tier=smoke 'network={width: 4}' run=narrow"
    assert list(given_keys(text)) == ["tier", "network.width", "run"]


def test_every_page_stands_in_the_index():
    text = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    for file in (ROOT / "docs").rglob("*.md"):
        if file.name != "index.md":
            assert f"({file.relative_to(ROOT / 'docs')})" in text, file.name


def test_licence_citation_and_version_agree():
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["license"] == "MIT" and citation["version"] == __version__
    assert f'version = "{__version__}"' in (ROOT / "pyproject.toml").read_text()
    assert {"cff-version", "message", "title", "authors"} <= set(citation)


def test_every_make_target_that_is_named_exists():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.M))
    for file in DOCUMENTS:
        for name in re.findall(r"make ([a-z-]+)", file.read_text(encoding="utf-8")):
            words = re.findall(rf"(?:`|^)make {name}\b", file.read_text(encoding="utf-8"), re.M)
            assert name in targets or not words, f"{file.name}: make {name}"


def test_captions_are_one_paragraph_each():
    captions = list((ROOT / "workflow/report").glob("*.rst"))
    assert captions
    for file in captions:
        text = file.read_text(encoding="utf-8")
        assert len(text.strip().splitlines()) == 1 and text.strip().endswith("."), file.name


def test_ci_calls_make_test_and_requires_real_data_where_they_lie():
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    text = script.read_text()
    assert "pipefail" in text and "make test" in text
    assert "KAPPASCOPE_REQUIRE_REAL_DATA=1" in text
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0


def test_no_path_of_a_machine_stands_in_what_we_wrote():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    for name in listed.stdout.splitlines():
        file = ROOT / name
        if file.is_file() and file.suffix in {
            ".py",
            ".md",
            ".yaml",
            ".toml",
            ".smk",
            ".typ",
            ".rst",
            ".json",
            ".csv",
        }:
            text = file.read_text(encoding="utf-8")
            assert not re.search(r"(?<![\w.])/(?:work|home|root|mnt)/\w", text), name


def test_the_schema_offers_completion_to_editors():
    schema = json.loads((ROOT / "config/schema.json").read_text(encoding="utf-8"))
    assert schema["$schema"].startswith("https://json-schema.org/")


def test_the_page_on_transforms_is_true(tmp_path, monkeypatch):
    """Its Python is run from the top; the other pages have tests of their own."""
    monkeypatch.chdir(tmp_path)
    pages = [file for file in (ROOT / "docs").rglob("*.md") if "```python" in file.read_text()]
    assert sorted(page.stem for page in pages) == [
        "explain-your-network",
        "find-lenses",
        "import-networks",
        "own-figures",
        "transforms",
    ]
    text = (ROOT / "docs/how-to/transforms.md").read_text(encoding="utf-8")
    names = {}
    for block in re.findall(r"```python\n(.*?)```", text, re.S):
        exec(compile(block, "transforms.md", "exec"), names)
    assert names["relevant"].shape == (4, 5, 2) and names["scores"].shape == (5, 4)
