"""Train a classifier of sounds and ask which frequencies it listens to."""

from kappascope.chapters.singh2020 import sounds
from kappascope.files import write_csv
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    section = spec.sounds
    clips = sounds.read(section, spec.seed)
    network, parameters = sounds.train(clips, section, spec.seed)
    right = sounds.predicted(network, parameters, clips.testing) == clips.testing_labels
    explained = list(sounds.explain(network, parameters, clips, right, section))
    accuracy = sounds.accuracy_row(section.source, clips.names, right)
    write_csv(outputs.accuracy, [accuracy], sounds.ACCURACY_COLUMNS)
    write_csv(outputs.shares, [share for _, share in explained], sounds.SHARE_COLUMNS)
    curves = [row for curve, _ in explained for row in curve]
    write_csv(outputs.curves, curves, sounds.CURVE_COLUMNS)


if __name__ == "__main__":
    run(main)
