"""Put band curves of the run's networks beside those of networks that learned nothing."""

from kappascope.chapters.singh2020 import learned
from kappascope.files import read_rows
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    nulls = {
        kind: read_rows(path) for kind, path in zip(spec.kinds, list(inputs.nulls), strict=True)
    }
    learned.LEARNED.write(outputs[0], learned.rows(read_rows(inputs.peaks), nulls))


if __name__ == "__main__":
    run(main)
