"""Summarise the networks' errors on the testing maps: RMSE, R², scatter, bias at the fiducial."""

from kappascope.chapters.matilla2020 import accuracy
from kappascope.inference import measurements
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    rows = []
    for measured in measurements.load_run(inputs, spec):
        rows += accuracy.accuracy_rows(
            "ours", measured, bootstrap=spec.constraints.bootstrap, seed=spec.seed
        )
    accuracy.ACCURACY.write(outputs.network_accuracy, rows)


if __name__ == "__main__":
    run(main)
