"""Source hashes: what changes them, what does not, and how far they follow imports."""

import subprocess
import sys

import pytest

from kappascope.errors import InputError
from kappascope.workflow import provenance

OUTSIDE = ("script.py", "scripts/script.py")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package called kappascope in a scratch folder; returns (write, hash)."""
    source = tmp_path / "src/kappascope"

    def write(name, text):
        path = tmp_path / name if name in OUTSIDE else source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        provenance._parsed.cache_clear()
        provenance._file.cache_clear()
        provenance._remembered.cache_clear()

    def digest(*names):
        return provenance.source_hash(*names)

    monkeypatch.setattr(provenance, "SOURCE", source)
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    write("__init__.py", "")
    write(
        "a.py",
        "from kappascope import b\nfrom kappascope.sub.c import f\n\n"
        "def run():\n    return f(b.x)\n",
    )
    write("b.py", "x = 1\n")
    write("sub/__init__.py", "")
    write("sub/c.py", "def f(value):\n    import kappascope.d\n    return value\n")
    write("d.py", "y = 2\n")
    write("unused.py", "z = 3\n")
    yield write, digest
    for cached in (provenance._parsed, provenance._file, provenance._remembered):
        cached.cache_clear()
    provenance._used.clear()


@pytest.mark.parametrize("file", ["a.py", "b.py", "sub/c.py", "sub/__init__.py", "d.py"])
def test_a_change_of_code_anywhere_along_the_imports_counts(package, file):
    write, digest = package
    before = digest("kappascope.a")
    write(file, (provenance.SOURCE / file).read_text() + "new = 1\n")
    assert digest("kappascope.a") != before


def test_what_runs_scripts_and_models_of_the_config_are_no_part_of_results(package):
    write, digest = package
    write("workflow/__init__.py", "")
    write("workflow/script.py", "from kappascope import locks\n")
    write("config.py", "meaning = 1\n")
    write("locks.py", "wait = 1\n")
    code = "from kappascope.workflow.script import run\nfrom kappascope import b, config\n"
    write("script.py", code)
    before = digest("script.py")
    for name in ("workflow/script.py", "locks.py", "config.py"):
        write(name, (provenance.SOURCE / name).read_text() + "new = 1\n")
    assert digest("script.py") == before
    write("b.py", "x = 2\n")
    assert digest("script.py") != before


def test_no_script_of_the_workflow_depends_on_locks_and_checksums():
    for script in (provenance.ROOT / "scripts").glob("*.py"):
        names = {file.name for file in provenance.sources(f"scripts/{script.name}")}
        assert not names & {
            "script.py",
            "running.py",
            "integrity.py",
            "sections.py",
            "config.py",
        }, script.name


def test_statistics_reach_the_starlet_and_no_other_transformation():
    """One that declares itself in a registry reaches all that do."""
    reached = provenance.sources("scripts/measure_statistics.py")
    names = {file.name for file in reached if file.parent.name == "transforms"}
    assert names == {"__init__.py", "starlet.py"}
    bands = {file.name for file in provenance.sources("scripts/band_curves.py")}
    assert {"fourier.py", "wavelets.py"} <= bands


def test_a_change_of_what_is_not_imported_does_not_count(package):
    write, digest = package
    before = digest("kappascope.a")
    write("unused.py", "z = 4\n")
    assert digest("kappascope.a") == before
    assert digest("kappascope.unused") != before


def test_comments_layout_and_docstrings_do_not_count(package):
    write, digest = package
    before = digest("kappascope.a")
    write("b.py", '"""A module."""\n\n\n# why\nx = (\n    1\n)\n')
    write(
        "sub/c.py",
        'def f(value):\n    """Give."""\n    import kappascope.d\n\n    return value  # so\n',
    )
    assert digest("kappascope.a") == before


def test_a_changed_constant_counts(package):
    write, digest = package
    before = digest("kappascope.a")
    write("b.py", "x = 1.0\n")
    assert digest("kappascope.a") != before


def test_relative_imports_and_names_in_a_registry_are_followed(package):
    write, digest = package
    write("sub/c.py", "from . import e\nfrom ..d import y\n\ndef f(value):\n    return value\n")
    write("sub/e.py", "w = 1\n")
    write("b.py", 'x = 1\nMODULES = {"z": "kappascope.unused"}\n')
    names = {path.name for path in provenance.sources("kappascope.a")}
    assert {"e.py", "d.py", "unused.py"} <= names
    before = digest("kappascope.a")
    write("unused.py", "z = 5\n")
    assert digest("kappascope.a") != before


def test_import_cycles_end(package):
    write, digest = package
    write("d.py", "import kappascope.a\n")
    assert digest("kappascope.a") == digest("kappascope.a")


def test_scripts_are_hashed_with_what_they_import(package):
    write, digest = package
    write("scripts/script.py", "from kappascope.b import x\nprint(x)\n")
    before = digest("scripts/script.py")
    write("b.py", "x = 7\n")
    assert digest("scripts/script.py") != before
    before = digest("scripts/script.py")
    write("scripts/script.py", "from kappascope.b import x\nprint(-x)\n")
    assert digest("scripts/script.py") != before


def test_the_order_of_names_does_not_matter(package):
    _, digest = package
    assert digest("kappascope.a", "kappascope.unused") == digest(
        "kappascope.unused", "kappascope.a"
    )
    assert digest("kappascope.a") != digest("kappascope.a", "kappascope.unused")


@pytest.mark.parametrize("name", ["kappascope.nothing", "scripts/none.py", "numpy"])
def test_a_name_of_no_module_is_told(name):
    with pytest.raises(InputError, match=name):
        provenance.source_hash(name)


def test_the_hash_is_the_same_in_another_process_that_imports_nothing():
    code = (
        "import sys; from kappascope.workflow import provenance; "
        "print(provenance.source_hash('kappascope.reporting.claims')); "
        "sys.exit('kappascope.reporting.claims' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == provenance.source_hash("kappascope.reporting.claims")


def test_what_is_remembered_gives_the_same_hash_and_damage_does_no_harm(package, monkeypatch):
    write, digest = package
    before = digest("kappascope.a")
    (provenance.ROOT / ".snakemake").mkdir()
    provenance._remember()
    memory = provenance._memory()
    assert memory.is_file()
    write("unused.py", "z = 9\n")  # forgets what this process knows
    with monkeypatch.context() as patched:
        patched.setattr(provenance, "_analysed", lambda *_: pytest.fail("parsed again"))
        assert digest("kappascope.a") == before
    write("d.py", "y = 3\n")
    assert digest("kappascope.a") != before
    for damage in ("", "[]", "{", '{"a": 1}'):
        memory.write_text(damage)
        write("d.py", "y = 2\n")
        assert digest("kappascope.a") == before


def test_a_digest_does_not_know_the_order_of_keys():
    value = {"seed": 1, "network": {"width": 8, "seeds": 3}}
    turned = {"network": {"seeds": 3, "width": 8}, "seed": 1}
    assert provenance.digest(value) == provenance.digest(turned)
    assert provenance.digest(value) != provenance.digest({**value, "seed": 2})
