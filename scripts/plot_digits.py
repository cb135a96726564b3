"""Draw basis images of digits and the class each speaks for: singh2020 Fig. S3."""

import numpy as np

from kappascope.figures.digits import basis_images
from kappascope.figures.style import provenance, save_figure
from kappascope.files import read_rows


def main(inputs, outputs, spec):
    with np.load(inputs.basis) as arrays:
        images = arrays["images"]
    figure = basis_images(images, read_rows(inputs.components), read_rows(inputs.accuracy))
    used = [inputs.basis, inputs.components, inputs.accuracy]
    save_figure(figure, outputs.pdf, provenance(used))


if "snakemake" in globals():
    from kappascope.workflow_script import run

    run(main, snakemake)
