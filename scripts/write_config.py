"""Write the effective config of a run beside its results."""

from kappascope.workflow import configuration
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    configuration.write_effective(spec.effective, outputs[0])


if __name__ == "__main__":
    run(main)
