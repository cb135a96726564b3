"""Simulate the boxes of one batch and write the maps seen through them."""

from kappascope.simulation import campaign
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    parameters = {row[0]: (row[1], row[2]) for row in spec.cosmologies}
    maps, simulation = spec.maps, spec.simulation
    listed = campaign.boxes(
        [row[0] for row in spec.cosmologies],
        spec.fiducial,
        {split: getattr(simulation, f"boxes_{split}") for split in campaign.SPLITS},
        {split: getattr(maps, split) for split in campaign.SPLITS},
    )
    mine = campaign.share(listed, spec.batch, simulation.batches)
    campaign.write_batch(outputs[0], mine, parameters, spec)


if __name__ == "__main__":
    run(main)
