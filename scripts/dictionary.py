"""Learn dictionaries of convergence with sparse codes and sparse attributions (singh2020 S4)."""

from pathlib import Path

from kappascope.chapters.singh2020 import dictionary
from kappascope.files import write_arrays
from kappascope.networks import description
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    model = description.load(Path(inputs.network).parent)[:2]
    training, testing = (
        dictionary.read_tiles(inputs.maps, split, model, spec) for split in ("training", "testing")
    )
    rows, arrays = dictionary.compare(training, testing, spec.dictionary, spec.seed)
    dictionary.TRADE_OFF.write(outputs.table, rows)
    write_arrays(outputs.atoms, arrays)


if __name__ == "__main__":
    run(main)
