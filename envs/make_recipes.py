"""Write the conda environment from the lock: `make lock` runs this.

The lock is what counts: pip installs it as it is (Makefile), the container recipe hands it to pip
(kappascope.def), and conda gets its list of versions. Snakemake copies environment.yaml elsewhere
before it uses it, so that it cannot refer to the lock by name.
"""

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
HEAD = """# conda environment with the packages of requirements.lock; `make lock` writes it.
# `snakemake --sdm conda` uses it; by hand: conda env create -f envs/environment.yaml
name: kappascope
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python=3.11
  - pip
  - pip:
"""


def recipe(lock: str) -> str:
    """Return the text of environment.yaml for the text of a lock."""
    pins = re.findall(r"^([A-Za-z0-9_.-]+==[^\\\n]+?) *\\?$", lock, flags=re.M)
    return HEAD + "".join(f'      - "{pin.strip()}"\n' for pin in pins)


if __name__ == "__main__":
    text = recipe((HERE / "requirements.lock").read_text(encoding="utf-8"))
    if '"' in text.replace('      - "', "").replace('"\n', ""):
        sys.exit("envs/requirements.lock: a marker with double quotes; make_recipes.py cannot")
    (HERE / "environment.yaml").write_text(text, encoding="utf-8")
