"""How badly the best attribution of single features fails for products of features."""

from kappascope.chapters.you2023 import theorem
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    section = spec.you2023.theorem
    rows = list(theorem.rows(section.features, section.program_features))
    theorem.THEOREM.write(outputs.table, rows)
    theorem.GROWTH.write(outputs.growth, theorem.growth_rows(rows))


if __name__ == "__main__":
    run(main)
