"""Score simulated and real images with the lens finders; ask the locator where the lens is."""

from pathlib import Path

import numpy as np

from kappascope.chapters.wilde2022 import finder, observed, released
from kappascope.files import write_arrays
from kappascope.networks import description
from kappascope.networks.learning import LABELS
from kappascope.stronglens import classifiers, finders, images
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    section, seed = spec.wilde2022.images, spec.seed
    camera = images.camera_of(section)
    tested = images.load(inputs.images, "testing")
    models = description.load_all(inputs.finders)
    locator, sorter = description.load_all([inputs.locator, inputs.sorter])
    scores = np.stack([classifiers.probability(model, tested.x) for model in models])
    usual = ~np.isin(tested.kind, finder.COMPOUND)
    plain = tested.select(usual)
    finder.FINDER.write(outputs.accuracy, finder.accuracy_rows(scores[:, usual], plain, seed))
    finder.RECALL.write(outputs.recall, finder.recall_rows(scores, tested))
    finder.ROC.write(outputs.roc, finder.roc_rows(scores[:, usual], plain))
    edges = finder.edges_of(section.source_magnitudes)
    finder.COMPLETENESS.write(outputs.completeness, finder.completeness_rows(scores, tested, edges))
    finder.F1_SHARE.write(outputs.f1_share, finder.f1_rows(scores[:, usual], plain, seed))
    finder.MATCHED.write(outputs.matched, finder.matched_rows(scores, tested, seed))
    told = classifiers.places(locator, tested.x)
    rows = finder.position_rows(
        told, classifiers.probability(locator, tested.x), tested, camera.pixel_arcsec, seed
    )
    finder.POSITION.write(outputs.position, rows)
    finder.SORTER.write(outputs.sorter, finder.sorter_rows(sorter, tested))
    write_arrays(
        outputs.scores,
        {
            "scores": scores.astype(np.float32),
            "places": told,
            "kind": tested.kind,
            "true_places": tested.place,
            "einstein_radii": tested.einstein_radius,
        },
    )

    folders = sorted({Path(path).parent for path in inputs.released})
    networks = [finders.read(folder) for folder in folders]
    if spec.learns != LABELS:
        networks = released.unlearned(networks, seed)
    made = released.tables(
        networks,
        images.population_of(section),
        camera.survey,
        spec.wilde2022.published.images,
        seed,
    )
    released.FINDERS.write(outputs.released, made["finders"])
    released.ACCURACY.write(outputs.released_accuracy, made["accuracy"])
    released.ARCS.write(outputs.released_arcs, made["arcs"])

    light = observed.typical_light(plain.of("lens"), camera)
    systems = []
    if jackpot := getattr(inputs, "jackpot", None):
        systems += observed.systems(Path(jackpot).parent.parent, camera, light, seed)
    if own := getattr(inputs, "own", None):
        systems += observed.own_systems(images.read_own(own, camera))
    real = observed.real_rows(systems, models, locator, sorter)
    observed.REAL.write(outputs.real, real)
    write_arrays(outputs.systems, observed.packed(systems, camera))


if __name__ == "__main__":
    run(main)
