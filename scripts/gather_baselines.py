"""Average the comparison of attributions over maps and networks."""

from kappascope.chapters.you2023 import baselines
from kappascope.files import read_rows
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    accuracy = read_rows(inputs.accuracy)
    backbone = [float(row["mse"]) for row in accuracy if row["reader"] == "network"]
    whole = sum(backbone) / len(backbone)
    table = baselines.summary(read_rows(inputs.rows), whole)
    baselines.BASELINES.write(outputs.table, table)
    areas = baselines.area_summary(read_rows(inputs.areas), whole)
    baselines.MASK_AREA.write(outputs.mask_area, areas)
    baselines.BEST.write(outputs.best, baselines.best_rows(table))


if __name__ == "__main__":
    run(main)
