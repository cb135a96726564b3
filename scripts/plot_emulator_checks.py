"""Draw the network's contours from emulators with cosmologies left out: matilla2020 Fig. 7."""

from kappascope.chapters.matilla2020.figures.contours import emulator_check_panels, read_pictures
from kappascope.reporting.style import provenance, save_figure
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    arrays = read_pictures(inputs.posteriors)
    panels = {
        name: {
            key.removeprefix(f"{name}/"): value
            for key, value in arrays.items()
            if key.startswith(f"{name}/")
        }
        for name in spec.data_sets
    }
    save_figure(emulator_check_panels(panels), outputs.pdf, provenance([inputs.posteriors]))


if __name__ == "__main__":
    run(main)
