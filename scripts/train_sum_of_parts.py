"""Train a sum-of-parts model over one trained network."""

import shutil
from pathlib import Path

from kappascope.chapters.you2023 import sum_of_parts
from kappascope.files import write_csv
from kappascope.maps.dataset import SplitMaps, first_of_each
from kappascope.networks import description, prediction
from kappascope.transforms import segments
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    section = spec.you2023
    network, parameters, extra = description.load(Path(inputs.network).parent)
    split = SplitMaps(inputs.maps, "training")
    rows = first_of_each(split.columns.cosmology, section.model.training)
    maps = prediction.observed(split.select(rows), section.data_set, spec, section.rebin)
    data = sum_of_parts.divided(
        network, parameters, maps, segments.Settings(**section.segments.model_dump())
    )
    scratch = Path(spec.scratch)
    trained, errors = sum_of_parts.train(
        network,
        parameters,
        data,
        split.targets[rows] / extra["target_scale"],
        sum_of_parts.Settings.of(section.model, spec.checkpoint_every_seconds),
        spec.seed,
        spec.index,
        scratch,
        f"sum of parts {spec.index}",
        spec.learns,
    )
    sum_of_parts.save(outputs.model, trained)
    write_csv(
        outputs.history,
        [{"epoch": epoch + 1, "squared_error": error} for epoch, error in enumerate(errors)],
        ("epoch", "squared_error"),
    )
    shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    run(main)
