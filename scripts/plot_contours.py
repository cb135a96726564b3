"""Draw the credible contours of one data set: matilla2020 Fig. 1 (noiseless) or Fig. 2 (noisy)."""

from kappascope.chapters.matilla2020.figures.contours import contour_panels, read_pictures
from kappascope.reporting.style import provenance, save_figure
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    figure = contour_panels(read_pictures(inputs.posteriors))
    save_figure(figure, outputs.pdf, provenance([inputs.posteriors], data_set=spec.data_set))


if __name__ == "__main__":
    run(main)
