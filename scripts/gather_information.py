"""Hold what readers lose without parts of maps against where explanations see relevance."""

from kappascope.chapters.matilla2020 import information
from kappascope.files import read_rows
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    lost, shares = read_rows(inputs.information), read_rows(inputs.shares)
    information.INFORMATION.write(outputs.information, lost)
    information.METHOD_SHARES.write(outputs.shares, shares)
    information.RANKING.write(outputs.ranking, information.ranking(lost, shares, spec.seed))


if __name__ == "__main__":
    run(main)
