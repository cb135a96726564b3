"""Hold what readers lose without parts of maps against where explanations see relevance."""

from kappascope.chapters.matilla2020 import information, ranking, regions
from kappascope.files import read_rows
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    lost, shares = read_rows(inputs.information), read_rows(inputs.shares)
    information.INFORMATION.write(outputs.information, lost)
    regions.METHOD_SHARES.write(outputs.shares, shares)
    ranking.RANKING.write(outputs.ranking, ranking.ranking(lost, shares, spec.seed))


if __name__ == "__main__":
    run(main)
