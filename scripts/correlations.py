"""Correlate the network's outputs with every bin of every statistic (matilla2020 Fig. 3)."""

from kappascope.chapters.matilla2020 import correlations
from kappascope.inference import measurements
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    rows = []
    for measured in measurements.load_run(inputs, spec):
        rows += correlations.correlation_rows(measured)
    correlations.CORRELATIONS.write(outputs.correlations, rows)


if __name__ == "__main__":
    run(main)
