"""Score frequency bands of test maps with the network that reads scales."""

import numpy as np

from kappascope.chapters.singh2020 import bands
from kappascope.files import write_arrays
from kappascope.networks import description
from kappascope.workflow.script import run

SHOWN = ((0.0, 0.1), (0.1, 0.2), (0.2, 0.4), (0.4, 0.8))


def main(inputs, outputs, spec):
    section, seed = spec.bands, spec.seed
    models = description.load_all(inputs.networks)
    with np.load(inputs.networks[0]) as stored:
        scale = stored["target_scale"]
    maps, split, rows = bands.explained_maps(inputs.maps, spec, section.maps)
    accuracy = bands.accuracy(models, scale, split, spec)
    found = bands.curves(models, maps, split, rows, section, seed)
    arrays = {
        "bands": found.bands,
        "ell": found.ell(found.bands),
        "cosmology": found.cosmology,
        "omega_matter": found.values[0],
        "sigma_8": found.values[1],
        "pixel_arcmin": found.pixel_arcmin,
        "shown_bands": SHOWN,
        "pictures": bands.pictures(maps[len(maps) // 2 :], SHOWN),
        **{f"scores_{name}": values.mean(0) for name, values in found.scores.items()},
    }
    bands.ACCURACY.write(outputs.accuracy, accuracy)
    bands.CURVES.write(outputs.curves, bands.curve_rows(found))
    bands.PEAKS.write(outputs.peaks, bands.peak_rows(found, seed))
    bands.TRENDS.write(outputs.trends, bands.trend_rows(found, seed))
    write_arrays(outputs.arrays, arrays)


if __name__ == "__main__":
    run(main)
