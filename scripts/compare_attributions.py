"""Put a sum-of-parts model beside post-hoc attributions of its network, on the same maps."""

from kappascope.chapters.you2023 import baselines, explaining
from kappascope.files import write_arrays
from kappascope.networks import description
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    section = spec.you2023
    chosen = section.baselines
    explained = explaining.explained_maps(inputs.maps, [inputs.network], chosen.maps, spec)
    (parts,) = explaining.all_parts([inputs.network], [inputs.model], explained, section)
    (model,) = description.load_all([inputs.network])
    learned = explaining.explained_maps(
        inputs.maps, [inputs.network], chosen.readout_training, spec, "training"
    )
    (their_parts,) = explaining.all_parts([inputs.network], [inputs.model], learned, section)
    attributions, theirs = (
        baselines.all_attributed(model, some.maps, seen, chosen, spec.seed)
        for some, seen in ((explained, parts), (learned, their_parts))
    )
    fitted_to = baselines.Learned(learned.maps, learned.targets / learned.scale, theirs)
    given = baselines.Compared(spec.index, model, explained, attributions, fitted_to, chosen)
    baselines.MAPS.write(outputs.maps, baselines.rows(given, parts))
    write_arrays(outputs.examples, baselines.examples(explained.maps, attributions))
    baselines.AREA_MAPS.write(outputs.areas, baselines.area_rows(given))


if __name__ == "__main__":
    run(main)
