"""Name basis images of digits after the class they speak for, by a network."""

from kappascope.files import write_arrays, write_csv
from kappascope.trim import digits
from kappascope.workflow_script import run


def main(inputs, outputs, spec):
    settings = digits.Settings(**spec["digits"])
    if images := getattr(inputs, "images", None):
        found, weights = digits.read_mnist(images, inputs.labels), inputs.weights
    else:
        found, weights = digits.bundled_digits(), None
    explained = digits.explain(found, settings, spec["seed"], weights)
    write_csv(outputs.components, explained.rows, digits.COLUMNS)
    write_csv(outputs.accuracy, explained.accuracy, digits.ACCURACY_COLUMNS)
    write_csv(outputs.agreement, explained.agreement, digits.AGREEMENT_COLUMNS)
    write_arrays(outputs.basis, {"images": explained.basis.images})


if "snakemake" in globals():
    run(main, snakemake)
