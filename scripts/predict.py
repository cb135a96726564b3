"""Apply the trained networks of one data set to every testing and covariance map."""

from kappascope.networks import description, prediction
from kappascope.statistics.storage import write_statistics
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    networks = description.load_scaled(inputs.networks)
    dataset = prediction.predict_dataset(inputs.maps, networks, spec.data_set, spec)
    write_statistics(dataset, outputs[0])


if __name__ == "__main__":
    run(main)
