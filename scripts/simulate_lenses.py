"""Simulate images of strong lenses, of other galaxies, and of compound lenses."""

from kappascope.stronglens import images
from kappascope.stronglens.populations import COMPOUND, LENSES, NON_LENSES
from kappascope.workflow.script import run


def numbers(lenses, non_lenses, compound):
    """Return how many of each kind; what does not divide goes to the first."""
    found = {}
    for kinds, total in ((NON_LENSES, non_lenses), (LENSES, lenses), (COMPOUND, compound)):
        for place, kind in enumerate(kinds):
            found[kind] = total // len(kinds) + (place < total % len(kinds))
    return {kind: number for kind, number in found.items() if number}


def main(inputs, outputs, spec):
    section, seed = spec.images, spec.seed
    camera, population = images.camera_of(section), images.population_of(section)
    training, testing = section.training, section.testing
    sets = {
        "training": numbers(training // 2, training - training // 2, 0),
        "compound_training": numbers(0, 0, section.compound_training),
        "testing": numbers(testing // 2, testing - testing // 2, 2 * section.compound),
    }
    simulated = {
        name: images.simulate(population, camera, seed, name, wanted)
        for name, wanted in sets.items()
    }
    images.save(outputs.images, simulated)


if __name__ == "__main__":
    run(main)
