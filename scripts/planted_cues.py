"""Plant a coloured dot and a ring, learn them, and see which maps find them."""

import shutil
from pathlib import Path

from kappascope.chapters.wilde2022 import cues
from kappascope.stronglens import images
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    chapter, seed = spec.wilde2022, spec.seed
    section = chapter.cues
    given = cues.drawn(images.load(inputs.images, "training"), section.training, seed, "training")
    testing = cues.drawn(images.load(inputs.images, "testing"), section.testing, seed, "testing")
    model = cues.train(given, section, chapter.networks, seed, Path(spec.scratch))
    maps = cues.maps_of(model, testing, chapter.explanation, seed)
    cues.PLANTED.write(outputs[0], cues.rows(maps, testing, cues.called(model, testing)))
    shutil.rmtree(spec.scratch, ignore_errors=True)


if __name__ == "__main__":
    run(main)
