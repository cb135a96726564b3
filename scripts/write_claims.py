"""Write what papers state of a run's tables, and the ledger: every published number and ours."""

from pathlib import Path

from kappascope import files
from kappascope.reporting import claims, findings, published
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    effective = Path(inputs.config)
    config = files.read_yaml(effective)
    findings.write_all(effective.parent, config)
    rows = claims.check(published.load_claims(inputs.claims), effective.parent, config)
    claims.write(outputs.claims, rows)
    for paper, count in claims.summary(rows).items():
        print(f"{paper}: " + ", ".join(f"{number} {status}" for status, number in count.items()))
    print(claims.sentence(rows))


if __name__ == "__main__":
    run(main)
