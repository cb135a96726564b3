"""Predict the network's outputs linearly from all statistics (matilla2020 Eq. 5), and correlate."""

from kappascope.chapters.matilla2020 import correlations, latex
from kappascope.files import write_text
from kappascope.inference import measurements
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    rows = []
    for measured in measurements.load_run(inputs, spec):
        rows += correlations.linear_model_rows(measured)
    write_text(outputs.latex, latex.linear_model(rows))
    correlations.LINEAR_MODEL.write(outputs.linear_model, rows)


if __name__ == "__main__":
    run(main)
