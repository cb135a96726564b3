"""Put a sum-of-parts model beside post-hoc attributions of its network, on the same maps."""

from kappascope.chapters.you2023 import baselines, explaining
from kappascope.maps.dataset import SplitMaps, first_of_each
from kappascope.networks import description, prediction
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    section = spec.you2023
    chosen = section.baselines
    explained = explaining.explained_maps(inputs.maps, [inputs.network], chosen.maps, spec)
    (parts,) = explaining.all_parts([inputs.network], [inputs.model], explained, section)
    (model,) = description.load_all([inputs.network])
    split = SplitMaps(inputs.maps, "training")
    rows = first_of_each(split.columns.cosmology, chosen.fresh_training)
    maps = prediction.observed(split.select(rows), section.data_set, spec, section.rebin)
    found = baselines.rows(
        spec.index,
        model,
        parts,
        explained,
        (maps, split.targets[rows] / explained.scale),
        chosen,
        spec.seed,
    )
    baselines.MAPS.write(outputs[0], found)


if __name__ == "__main__":
    run(main)
