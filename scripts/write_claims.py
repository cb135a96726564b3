"""Compare every published number of paper/claims.yaml with a run and write the ledger.

By hand: ``python scripts/write_claims.py paper/claims.yaml results/default``.
"""

import sys
from pathlib import Path

from kappascope.errors import InputError
from kappascope.reporting import claims
from kappascope.workflow import configuration
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    write(inputs.claims, Path(inputs.config), outputs[0])


def write(ledger: str, effective: Path, table: str) -> None:
    """Check all claims against the run whose effective config is given; write claims.csv."""
    config = configuration.read_yaml(effective)
    rows = claims.check(claims.load_claims(ledger), effective.parent, config)
    claims.write(table, rows)
    for paper, count in claims.summary(rows).items():
        print(f"{paper}: " + ", ".join(f"{number} {status}" for status, number in count.items()))


if __name__ == "__main__":
    run(main)
elif __name__ == "__main__":
    try:
        if len(sys.argv) != 3:
            raise InputError("usage: python scripts/write_claims.py CLAIMS.yaml results/RUN")
        folder = Path(sys.argv[2])
        write(sys.argv[1], folder / "config.yaml", str(folder / "claims.csv"))
    except InputError as error:
        sys.exit(f"error: {error}")
