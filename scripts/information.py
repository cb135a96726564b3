"""Replace parts of the maps of one data set and measure what networks and statistics lose."""

from kappascope.chapters.matilla2020 import information
from kappascope.networks import description
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    models = description.load_scaled(inputs.networks)
    rows = information.losses(inputs.maps, models, spec.data_set, spec)
    information.INFORMATION.write(outputs[0], rows)


if __name__ == "__main__":
    run(main)
