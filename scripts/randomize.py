"""Explain maps with the trained networks of one data set and with networks drawn anew."""

from kappascope.chapters.matilla2020 import experiments, regions, table2
from kappascope.files import write_arrays
from kappascope.networks import description, prediction
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    section, data_set, seed = spec.saliency, spec.data_set, spec.seed
    models = description.load_all(inputs.networks)
    maps, pixel_arcmin = prediction.fiducial_maps(inputs.maps, data_set, spec, section.maps)
    curves, full = experiments.randomization_test(models, maps, data_set, section, seed)
    sensitivity = experiments.sensitivity_rows(models[0], maps, data_set, section, seed)
    explained = experiments.explanations(models, maps, section, seed)
    agreement = experiments.agreement_rows(explained, data_set)
    shares = regions.share_rows(data_set, maps[..., 0], explained)
    examples = experiments.example_maps(models[0], maps, pixel_arcmin, section, seed)
    table2.CURVES.write(outputs.curves, curves)
    table2.TABLE2_MAPS.write(outputs.full, full)
    table2.AGREEMENT.write(outputs.agreement, agreement)
    regions.METHOD_SHARES.write(outputs.shares, shares)
    table2.SENSITIVITY.write(outputs.sensitivity, sensitivity)
    write_arrays(outputs.examples, examples)


if __name__ == "__main__":
    run(main)
