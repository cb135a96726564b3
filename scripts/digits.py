"""Name basis images of digits after the class they speak for, by a network."""

from kappascope.chapters.singh2020 import basis_images
from kappascope.files import write_arrays
from kappascope.networks import digits
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    if images := getattr(inputs, "images", None):
        found, weights = digits.read_mnist(images, inputs.labels), inputs.weights
    else:
        found, weights = digits.bundled_digits(), None
    explained = basis_images.explain(
        found, spec.digits, spec.basis_images, spec.seed, weights, spec.learns
    )
    basis_images.COMPONENTS.write(outputs.components, explained.rows)
    basis_images.ACCURACY.write(outputs.accuracy, explained.accuracy)
    basis_images.AGREEMENT.write(outputs.agreement, explained.agreement)
    write_arrays(outputs.basis, {"images": explained.basis.images})


if __name__ == "__main__":
    run(main)
