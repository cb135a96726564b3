"""Attribute a text network's output to topics."""

from kappascope.chapters.singh2020 import topics
from kappascope.workflow.script import run


def main(inputs, outputs, spec):
    settings = spec.topics
    if statements := getattr(inputs, "statements", None):
        documents = topics.statement_documents(statements, settings)
    else:
        documents = topics.generated_documents(settings, spec.seed)
    rows, accuracy = topics.explain(documents, settings, spec.seed)
    topics.TOPICS.write(outputs.topics, rows)
    topics.ACCURACY.write(outputs.accuracy, accuracy)


if __name__ == "__main__":
    run(main)
