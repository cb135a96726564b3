"""Two digits side by side: which maps of the two classes separate them."""

from kappascope.attribution.ascent import NonlinearSaliency
from kappascope.chapters.rosenzweig2021 import pairs
from kappascope.networks import digits
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    chapter, seed = spec.rosenzweig2021, spec.seed
    section = chapter.pairs
    if found := getattr(inputs, "digits", None):
        pictures = digits.read_mnist(found, inputs.labels)
    else:
        pictures = digits.bundled_digits()
    training, test = digits.divided(pictures, spec.digits, seed)
    model = pairs.trained(training, section, spec.digits, seed)
    drawn = pairs.drawn(test, section.testing, seed, "testing")
    both = pairs.seen(model, drawn)
    told = pairs.selected(drawn, both)
    saliency = NonlinearSaliency(
        steps=chapter.steps, step=chapter.step.digits, sigma=chapter.blur_pixels
    )
    maps = pairs.maps_of(model, told, saliency, section, seed) if len(told.labels) else {}
    pairs.TABLE.write(outputs[0], pairs.rows(maps, told, 100 * float(both.mean())))


if __name__ == "__main__":
    run(main)
