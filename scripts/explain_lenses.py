"""Say what the lens finder looks at: maps, changed scenes, Deep Dreams."""

from kappascope.chapters.wilde2022 import explaining
from kappascope.files import write_arrays
from kappascope.networks import description
from kappascope.stronglens import classifiers, images
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    section, seed = spec.explanation, spec.seed
    camera, population = images.camera_of(spec.images), images.population_of(spec.images)
    tested = images.load(inputs.images, "testing")
    finders = description.load_all(inputs.finders)
    (locator,) = description.load_all([inputs.locator])
    chosen = explaining.chosen_images(tested, section.explained)
    maps = explaining.all_maps(finders[0], chosen, section, seed)
    explaining.SHARES.write(
        outputs.shares, explaining.all_share_rows(maps, chosen, camera.pixel_arcsec)
    )
    of_lens = {name: found for (name, k), found in maps.items() if k == classifiers.LENS}
    explaining.ARCS.write(
        outputs.arcs, explaining.arc_rows(of_lens, chosen, camera.pixel_arcsec, seed)
    )
    explaining.AGREEMENT.write(
        outputs.agreement,
        explaining.agreement_rows(
            of_lens,
            classifiers.places(locator, chosen.x)[:, :2],
            chosen,
            seed,
        ),
    )
    probed = tested.of("lens").select(slice(0, section.probed))
    probes = explaining.probe_rows(finders, population, camera, probed, seed, "testing")
    explaining.PROBES.write(outputs.probes, probes)
    dreams, rows = explaining.all_dreams(finders[0], tested, section.dream_steps, seed)
    explaining.DREAMS.write(outputs.dreams, rows)
    lenses = tested.of("lens").x[: section.randomized].astype("float32")
    explaining.RANDOMIZATION.write(
        outputs.randomization,
        explaining.randomization_rows(finders[0], lenses, section.methods, section.repeats, seed),
    )
    write_arrays(
        outputs.examples,
        {**explaining.examples(maps, chosen, finders[0]), **dreams}
        | explaining.gallery(tested, camera),
    )


if __name__ == "__main__":
    run(main)
