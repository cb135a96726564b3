"""Sort the squared saliency of one data set by convergence, at every cosmology."""

from kappascope.chapters.matilla2020 import experiments, relevance
from kappascope.files import write_csv
from kappascope.networks import description
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    models = description.load_all(inputs.networks)
    bins, shares = experiments.relevance_by_convergence(inputs.maps, models, spec.data_set, spec)
    write_csv(outputs.bins, bins, relevance.RELEVANCE_COLUMNS)
    write_csv(outputs.shares, shares, relevance.SHARE_COLUMNS)


if __name__ == "__main__":
    run(main)
