"""Average the comparison of attributions over maps and networks."""

from kappascope.chapters.you2023 import baselines
from kappascope.files import read_rows, write_csv
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    accuracy = read_rows(inputs.accuracy)
    backbone = [float(row["mse"]) for row in accuracy if row["reader"] == "network"]
    table = baselines.summary(read_rows(inputs.rows), sum(backbone) / len(backbone))
    write_csv(outputs.table, table, baselines.COLUMNS)
    write_csv(outputs.best, baselines.best_rows(table), baselines.BEST_COLUMNS)


if __name__ == "__main__":
    run(main)
