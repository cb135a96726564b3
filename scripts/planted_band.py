"""Plant targets in bands of frequencies, learn them, and see which methods find the bands."""

import shutil
from pathlib import Path

from kappascope.chapters.singh2020 import planted_band
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    section, seed = spec.planted_band, spec.seed
    given = planted_band.drawn(section.training, seed, "training")
    testing = planted_band.drawn(section.testing, seed, "testing")
    model, untrained, scale = planted_band.train(
        given, section, spec.network, seed, Path(spec.scratch)
    )
    rows = planted_band.rows(model, untrained, scale, testing, section, seed)
    planted_band.PLANTED.write(outputs[0], rows)
    shutil.rmtree(spec.scratch, ignore_errors=True)


if __name__ == "__main__":
    run(main)
