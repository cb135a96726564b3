"""Plant clusters and voids, learn them, and see which attributions find them."""

import shutil
from pathlib import Path

from kappascope.chapters.you2023 import planted
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    section, seed, scratch = spec.you2023, spec.seed, Path(spec.scratch)
    chosen = section.planted
    given = planted.drawn(chosen.training, seed, "training")
    testing = planted.drawn(chosen.testing, seed, "testing")
    learned = planted.train(given, chosen, spec.network, seed, scratch / "network")
    parts = {
        sharpness: planted.parts_of(
            learned, given, testing, sharpness, section, seed, scratch / f"{number}"
        )
        for number, sharpness in enumerate(chosen.sharpness)
    }
    planted.PLANTED.write(
        outputs.table, planted.rows(learned, parts, testing, section.baselines, seed)
    )
    planted.WEIGHTS.write(
        outputs.weights, planted.weight_rows(parts, testing, section.structures, seed)
    )
    shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    run(main)
