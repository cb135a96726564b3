"""Draw basis images of digits and the class each speaks for: singh2020 Fig. S3."""

import numpy as np

from kappascope.chapters.singh2020.figures.digits import basis_images
from kappascope.files import read_rows
from kappascope.reporting.style import provenance, save_figure
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    with np.load(inputs.basis) as arrays:
        images = arrays["images"]
    figure = basis_images(images, read_rows(inputs.components), read_rows(inputs.accuracy))
    used = [inputs.basis, inputs.components, inputs.accuracy]
    save_figure(figure, outputs.pdf, provenance(used))


if __name__ == "__main__":
    run(main)
