"""Draw the learning curves and the predicted against the true parameters."""

import xarray

from kappascope.chapters.matilla2020.figures import networks
from kappascope.files import read_rows
from kappascope.reporting.style import provenance, save_figure
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    names, seeds = spec.data_sets, spec.network.networks
    keys = [(name, number) for name in names for number in range(seeds)]
    histories = {key: read_rows(path) for key, path in zip(keys, inputs.histories, strict=True)}
    save_figure(networks.learning_curves(histories), outputs.learning, provenance(inputs.histories))
    truth, predicted = {}, {}
    for name, path in zip(names, inputs.predictions, strict=True):
        with xarray.open_dataset(path, engine="h5netcdf") as stored:
            testing = stored.sel(map=stored["split"].values.astype(str) == "testing")
            parameters = [testing[key].values for key in ("omega_matter", "sigma_8")]
            truth[name] = xarray.DataArray(parameters).values.T
            predicted[name] = testing["prediction"].values[0]
    save_figure(
        networks.predicted_against_true(truth, predicted),
        outputs.predicted,
        provenance(inputs.predictions),
    )


if __name__ == "__main__":
    run(main)
