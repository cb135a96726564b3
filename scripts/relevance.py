"""Sort the squared saliency of one data set by convergence, at every cosmology."""

from kappascope.chapters.matilla2020 import experiments, relevance
from kappascope.networks import description
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    models = description.load_all(inputs.networks)
    bins, shares = experiments.relevance_by_convergence(inputs.maps, models, spec.data_set, spec)
    relevance.RELEVANCE.write(outputs.bins, bins)
    relevance.SHARES.write(outputs.shares, shares)


if __name__ == "__main__":
    run(main)
