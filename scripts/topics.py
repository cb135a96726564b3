"""Attribute a text network's output to topics."""

from kappascope.chapters.singh2020 import topics
from kappascope.files import write_csv
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    settings = spec.topics
    if statements := getattr(inputs, "statements", None):
        documents = topics.statement_documents(statements, settings)
    else:
        documents = topics.generated_documents(settings, spec.seed)
    rows, accuracy = topics.explain(documents, settings, spec.seed)
    write_csv(outputs.topics, rows, topics.COLUMNS)
    write_csv(outputs.accuracy, accuracy, topics.ACCURACY_COLUMNS)


if __name__ == "__main__":
    run(main)
