"""Voids and clusters among the groups of all sum-of-parts models, and how well these predict."""

from kappascope.chapters.you2023 import explaining, regions, structures
from kappascope.files import write_arrays
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    section = spec.you2023
    chosen = section.structures
    explained = explaining.explained_maps(inputs.maps, inputs.networks, chosen.maps, spec)
    found = explaining.all_parts(inputs.networks, inputs.models, explained, section)
    rows = [
        row
        for number, parts in enumerate(found)
        for row in structures.group_rows(parts, explained.maps, explained.cosmology, number)
    ]
    groups = structures.Groups.of(rows, explained.light_cone, len(found))
    sweep = {name: getattr(chosen, f"{name}_thresholds") for name in structures.STRUCTURES}
    usual = {"void": chosen.void_below, "cluster": chosen.cluster_above}
    thresholds = {name: sorted({usual[name], *sweep[name]}) for name in sweep}
    weights, orders = structures.weight_rows(groups, thresholds, spec.seed)
    histogram = structures.histogram_rows(groups, usual, spec.seed)
    placed = regions.placed(found, explained.maps, groups, usual, chosen.area_cap_percent / 100)

    def at_usual(listed):
        return [row for row in listed if row["threshold"] == usual[row["structure"]]]

    structures.GROUPS.write(outputs.groups, rows)
    structures.WEIGHTS.write(outputs.weights, at_usual(weights))
    structures.ORDER.write(outputs.order, at_usual(orders))
    structures.WEIGHTS.write(outputs.sweep, weights)
    structures.ORDER.write(outputs.sweep_order, orders)
    structures.HISTOGRAM.write(outputs.histogram, histogram)
    regions.REGIONS.write(outputs.regions, regions.share_rows(placed, spec.seed))
    regions.ORDER.write(outputs.region_order, regions.order_rows(placed, spec.seed))
    regions.AREA.write(outputs.region_area, regions.area_rows(placed, spec.seed))
    accuracy = explaining.accuracy_rows(inputs.networks, found, explained)
    explaining.ACCURACY.write(outputs.accuracy, accuracy)
    write_arrays(outputs.parts, explaining.packed(found[0], explained))
    write_arrays(outputs.examples, explaining.examples(found[0], explained, usual))
    for line in explaining.remarks(groups, explained, usual):
        print(line, flush=True)


if __name__ == "__main__":
    run(main)
