"""Explain networks whose answer is known: which method finds it."""

from pathlib import Path

from kappascope.faithfulness import controls, judging
from kappascope.networks import description
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    judged, truth = {}, {}
    for path in inputs:  # those of the true labels first: others are compared with them
        number, control = Path(path).parent.name, Path(path).parent.parent.name
        network, parameters, extra = description.load(Path(path).parent)
        patches = extra["x"][..., 0]
        maps = controls.relevance_maps(network, parameters, patches, spec.saliency, spec.seed)
        truth.setdefault(number, maps)
        compared = truth[number] if control in controls.SHUFFLED else None
        rows = judging.rows(control, float(extra["r_squared"]), patches, maps, spec.seed, compared)
        judged.setdefault(control, []).append(rows)
    averaged = [row for each in judged.values() for row in judging.over_networks(each)]
    judging.KNOWN_ANSWERS.write(outputs[0], averaged)


if __name__ == "__main__":
    run(main)
