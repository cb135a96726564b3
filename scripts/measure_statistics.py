"""Measure every statistic of every map of one data set.

Power spectrum, peaks and Minkowski functionals (matilla2020 §II), and those of the registry beyond,
of noiseless maps (smoothed) or noisy ones (shape noise added, then smoothed).
"""

from kappascope.statistics.measure import measure_dataset
from kappascope.statistics.storage import write_statistics
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    dataset = measure_dataset(list(inputs), spec.data_set, spec)
    write_statistics(dataset, outputs[0])


if __name__ == "__main__":
    run(main)
