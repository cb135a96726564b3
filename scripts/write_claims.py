"""Compare every published number of paper/claims.yaml with a run and write the ledger."""

from pathlib import Path

from kappascope import files
from kappascope.reporting import claims
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    effective = Path(inputs.config)
    config = files.read_yaml(effective)
    rows = claims.check(claims.load_claims(inputs.claims), effective.parent, config)
    claims.write(outputs[0], rows)
    for paper, count in claims.summary(rows).items():
        print(f"{paper}: " + ", ".join(f"{number} {status}" for status, number in count.items()))


if __name__ == "__main__":
    run(main)
