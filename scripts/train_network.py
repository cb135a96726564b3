"""Train one network on the training maps of one data set."""

import shutil
from pathlib import Path

import numpy as np

from kappascope.files import write_csv
from kappascope.maps.dataset import SplitMaps
from kappascope.maps.smoothing import remaining_smoothing
from kappascope.networks import architectures, description, prediction, training
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    section, data_set = spec.network, spec.data_set
    maps = SplitMaps(inputs, "training")
    rebin = getattr(spec, "rebin", 1)
    network = architectures.regressor(maps.pixels // rebin, section)
    testing = SplitMaps(inputs, "testing")
    some = np.linspace(0, len(testing) - 1, min(section.held_out_maps, len(testing))).astype(int)
    pixel = maps.columns.pixel_arcmin
    scratch = Path(spec.scratch)
    trained = training.train(
        network,
        maps,
        maps.targets,
        prediction.observer(
            prediction.noise_sigma(data_set, pixel, spec.noise),
            remaining_smoothing(maps.columns, spec.maps.smoothing_arcmin),
            maps.columns.mask,
            rebin,
            getattr(spec, "masked_share", 0.0),
        ),
        training.Settings.of(section),
        spec.seed,
        spec.index,
        scratch,
        f"train {data_set} {spec.index}",
        (
            prediction.observed(testing.select(some), data_set, spec, rebin),
            testing.targets[some],
        ),
        spec.learns,
    )
    folder = Path(outputs.network).parent
    description.save(folder, network, trained.parameters, target_scale=trained.target_scale)
    write_csv(
        outputs.history,
        [
            {"epoch": epoch + 1, "training_error": inside, "held_out_error": outside}
            for epoch, (inside, outside) in enumerate(trained.history)
        ],
        ("epoch", "training_error", "held_out_error"),
    )
    shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    run(main)
