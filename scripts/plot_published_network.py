"""Draw the contour of the published network's outputs beside that of this run's network."""

from kappascope.chapters.matilla2020.figures.contours import (
    published_network_panel,
    read_pictures,
)
from kappascope.inference.measurements import listed
from kappascope.reporting.style import provenance, save_figure
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    ours = listed(inputs.get("ours", []))
    figure = published_network_panel(
        read_pictures(inputs.published),
        read_pictures(ours[0]) if ours else None,
        spec.maps.pixels * spec.maps.pixel_arcmin / 60.0,
    )
    files = [inputs.published, *ours]
    save_figure(figure, outputs.pdf, provenance(files))


if __name__ == "__main__":
    run(main)
