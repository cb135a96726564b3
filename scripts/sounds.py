"""Train a classifier of sounds and ask which frequencies it listens to."""

from kappascope.chapters.singh2020 import sounds
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    section = spec.sounds
    clips = sounds.read(section, spec.seed)
    network, parameters = sounds.train(clips, section, spec.seed, spec.learns)
    right = sounds.predicted(network, parameters, clips.testing) == clips.testing_labels
    explained = list(sounds.explain(network, parameters, clips, right, section))
    accuracy = sounds.accuracy_row(section.source, clips.names, right)
    sounds.ACCURACY.write(outputs.accuracy, [accuracy])
    sounds.SHARES.write(outputs.shares, [share for _, share in explained])
    curves = [row for curve, _ in explained for row in curve]
    sounds.CURVES.write(outputs.curves, curves)


if __name__ == "__main__":
    run(main)
