"""Build the paper of a run: paper/paper.typ with the run's tables and figures, to one PDF.

The source and what it may show are copied to a scratch folder first, so that Typst reads nothing
else, and what a run did not make is shown as missing.
"""

import json
import shutil
import tempfile
from pathlib import Path

import typst

from kappascope.errors import InputError
from kappascope.files import atomic_path
from kappascope.workflow.script import run

SHOWN = {".csv", ".json", ".pdf", ".png", ".svg", ".yaml"}
ROOT = Path(__file__).resolve().parent.parent


def gathered(results: Path, scratch: Path, output: Path) -> list[str]:
    """Copy the run's tables and figures to ``scratch``; return their names inside the run."""
    names = []
    folders = [path for path in results.glob("*") if path.is_dir() and path.name != "logs"]
    for place in (results, *sorted(folders)):
        for file in sorted(place.iterdir()):
            name = file.relative_to(results)
            if file.suffix in SHOWN and file.is_file() and file != output and file.name[0] != ".":
                (scratch / name.parent).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, scratch / name)
                names.append(str(name))
    return names


def main(inputs, outputs, spec):
    build(Path(inputs.config).parent, Path(outputs[0]))


def build(results: Path, output: Path, source: Path = ROOT / "paper") -> None:
    """Compile the paper of the run in ``results``; the same files give the same bytes."""
    if not results.is_dir():
        raise InputError(f"{results}: no such folder; give the folder of a run (results/NAME)")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        shutil.copytree(source, scratch / "paper")
        names = gathered(results, scratch / "run", output)
        compiled = typst.compile(
            scratch / "paper/paper.typ",
            root=scratch,
            format="pdf",
            ignore_system_fonts=True,  # the wheel's own fonts: the same bytes everywhere
            timestamp=0,
            sys_inputs={"available": json.dumps(names), "run": results.name},
        )
    with atomic_path(output) as path:
        path.write_bytes(compiled)


if __name__ == "__main__":
    run(main)
