"""Which topics make a short text look fake: Figure 2 of Singh et al. (2020).

A network reads how often each word stands in a statement. Latent Dirichlet allocation takes the
counts x to counts of topics, s = (words in the statement) · θ, and back to the counts the topics
expect, x' = s · φ; x − x' stays outside the topics. The parts s_k φ_k are followed through the
network by contextual decomposition.

Statements are few, so each is judged by networks that learned from the other parts of the
statements (cross-validation). Words and topics come from all statements: neither sees a label.
"""

import csv
import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import make_multilabel_classification
from sklearn.decomposition import LatentDirichletAllocation
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from kappascope import randomness
from kappascope.attribution.trim import decomposed, transformed
from kappascope.chapters.singh2020.config import Topics
from kappascope.errors import InputError
from kappascope.networks import classification
from kappascope.networks.architectures import multilayer_perceptron
from kappascope.networks.description import Network, Parameters
from kappascope.networks.evaluate import evaluate
from kappascope.reporting.errorbars import errors_of_means
from kappascope.tables import Table
from kappascope.transforms.matrix import Matrix

FAKE_LABELS = ("pants-fire", "false", "barely-true")
"""Verdicts of PolitiFact that count as fake; ``half-true`` is neither and left out."""
TRUE_LABELS = ("mostly-true", "true")
STATEMENTS, GENERATED = "LIAR-PLUS", "generated documents"
METHODS = ("cd", "integrated_gradients", "input_x_gradient")
TOP_WORDS = 10
TOPICS = Table(
    "singh2020/topics.csv",
    "method × topic",
    """source, method, topic, words, attribution, error (over statements), scatter_networks,
    shuffled_attribution, shuffled_scatter (networks of shuffled labels), planted, statements""",
)
ACCURACY = Table(
    "singh2020/topics_accuracy.csv",
    "source",
    """source, accuracy_percent, error_percent, majority_percent, logistic_regression_percent,
    shuffled_percent, statements, fake_statements, rightly_fake, output, topics_together,
    residual (mean attribution of all topics, and of what they do not hold)""",
)


@dataclasses.dataclass(frozen=True)
class Documents:
    """Statements as bags of words.

    Attributes
    ----------
    counts : (document, word).
    words : names of the columns.
    fake : (document,) the label.
    source : ``LIAR-PLUS`` or ``generated documents``.
    planted : (word,) probabilities of the topic that decides the label, where it is known.

    """

    counts: np.ndarray
    words: tuple[str, ...]
    fake: np.ndarray
    source: str
    planted: np.ndarray | None = None


def read_statements(path: str | Path) -> tuple[list[str], np.ndarray]:
    """Read statements and whether they are fake from LIAR-PLUS.

    Quotation marks in the file do not pair up, so they mean nothing to the reader: a reader that
    obeys them joins statements.

    Returns
    -------
    statements, and (statement,) bool; ``half-true`` ones are left out.

    Raises
    ------
    InputError
        When the file is no table of labels and statements.

    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error}); fetch it again") from None
    known = {*FAKE_LABELS, *TRUE_LABELS, "half-true"}
    statements, fake = [], []
    rows = csv.reader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    for number, row in enumerate(rows, start=1):
        if not any(row):
            continue
        if len(row) < 4 or row[2] not in known:
            got = row[2] if len(row) > 2 else f"{len(row)} columns"
            raise InputError(
                f"{path}, line {number}: got {got!r:.40}; the third column of LIAR-PLUS is a "
                f"label ({', '.join(sorted(known))}) and the fourth the statement"
            )
        if row[2] != "half-true":
            statements.append(row[3])
            fake.append(row[2] in FAKE_LABELS)
    if len(set(fake)) < 2:
        raise InputError(f"{path}: needs fake and true statements, found {len(fake)} statements")
    return statements, np.array(fake)


def statement_documents(path: str | Path, settings: Topics) -> Documents:
    """Count the words of LIAR-PLUS, without English stop words."""
    statements, fake = read_statements(path)
    # A number of years or dollars is no word of a topic.
    counter = CountVectorizer(
        stop_words="english",
        min_df=settings.minimum_documents,
        token_pattern=r"(?u)\b[^\W\d]\w+\b",
        dtype=np.float32,
    )
    try:
        counts = counter.fit_transform(statements).toarray()
    except ValueError:
        raise InputError(
            f"singh2020.topics.minimum_documents: got {settings.minimum_documents}, no word of "
            f"{path} stands in so many statements; lower it"
        ) from None
    return Documents(counts, tuple(counter.get_feature_names_out()), fake, STATEMENTS)


def generated_documents(settings: Topics, seed: int) -> Documents:
    """Draw documents of known topics; those with the planted topic are labelled fake.

    The planted topic is the one that nearest to half of the documents hold.
    """
    number = int(randomness.generator(seed, "generated documents").integers(2**31))
    counts, holds, _, probabilities = make_multilabel_classification(
        n_samples=settings.generated_documents,
        n_features=60,
        n_classes=settings.topics,
        n_labels=2,
        length=100,
        allow_unlabeled=False,
        return_distributions=True,
        random_state=number,
    )
    planted = int(np.argmin(np.abs(holds.mean(0) - 0.5)))
    words = tuple(f"word{index}" for index in range(counts.shape[1]))
    return Documents(
        counts.astype(np.float32),
        words,
        holds[:, planted].astype(bool),
        GENERATED,
        probabilities[:, planted],
    )


def fit_topics(counts: np.ndarray, topics: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Fit topics (latent Dirichlet allocation) to counts of words.

    Parameters
    ----------
    counts : (document, word).

    Returns
    -------
    φ (topic, word), the probabilities of words, and s (document, topic), the words of each
    document shared out among the topics.

    """
    model = LatentDirichletAllocation(
        topics,
        max_iter=15,
        random_state=int(randomness.generator(seed, "topics").integers(2**31)),
    )
    shares = model.fit_transform(counts)
    phi = model.components_ / model.components_.sum(1, keepdims=True)
    return phi, shares * counts.sum(1, keepdims=True)


def topic_scores(
    method: str, model: tuple[Network, Parameters], counts: np.ndarray, transform: Matrix
) -> tuple[np.ndarray, np.ndarray]:
    """Attribute the output for fake, less that for true, to topics.

    Softmax sees the difference of the outputs only.

    Returns
    -------
    (document, topic) scores; (document, 2) scores of all topics together and of what is left.

    """
    if method == "cd":
        topics = len(transform.basis)
        masks = [*np.eye(topics, dtype=bool), np.ones(topics, bool)]
        relevant, irrelevant = map(np.asarray, decomposed(model, counts, transform, masks))
        each, rest = _difference(relevant), _difference(irrelevant)
        return each[:-1].T, np.stack([each[-1], rest[-1]], 1)
    each = np.asarray(transformed(method, model, counts, transform, (0, 1)))
    scores = each[1] - each[0]
    return scores, np.full((len(counts), 2), np.nan)


def _difference(outputs: np.ndarray) -> np.ndarray:
    return outputs[..., 1] - outputs[..., 0]


@dataclasses.dataclass(frozen=True)
class Judged:
    """What networks say about documents they did not learn from.

    Attributes
    ----------
    outputs : (network, document) output for fake less that for true.
    scores : method → (network, document, topic).
    together : (network, document, 2) contextual decomposition of all topics, and of the rest.

    """

    outputs: np.ndarray
    scores: dict[str, np.ndarray]
    together: np.ndarray


def judge(
    documents: Documents,
    fake: np.ndarray,
    phi: np.ndarray,
    coefficients: np.ndarray,
    settings: Topics,
    seed: int,
    methods: Sequence[str] = METHODS,
) -> Judged:
    """Cross-validate networks and attribute what they say about held-out documents.

    Parameters
    ----------
    fake : (network, document) labels to learn.
    phi, coefficients : from :func:`fit_topics`.

    """
    counts = documents.counts
    network = multilayer_perceptron(counts.shape[1], tuple(settings.hidden), 2)
    number, topics = settings.networks, len(phi)
    outputs = np.zeros((number, len(counts)))
    together = np.zeros((number, len(counts), 2))
    scores = {method: np.zeros((number, len(counts), topics)) for method in methods}
    training = classification.Settings(settings.epochs, settings.batch, settings.learning_rate)
    for fold, rows in enumerate(folds(len(counts), settings.folds, seed)):
        others = np.setdiff1d(np.arange(len(counts)), rows)
        transform = Matrix(phi, counts.shape[1:], fit=_known(coefficients[rows]))
        for index in range(number):
            parameters = classification.train(
                network,
                counts[others],
                fake[index, others].astype(int),
                training,
                seed,
                fold * number + index,
                f"text network {index + 1}, fold {fold + 1}",
            )
            model = network, parameters
            outputs[index, rows] = _difference(evaluate(network, parameters, counts[rows]))
            for method in methods:
                scores[method][index, rows], rest = topic_scores(
                    method, model, counts[rows], transform
                )
                if method == "cd":
                    together[index, rows] = rest
    return Judged(outputs, scores, together)


def _known(coefficients: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return a fit that was made before; every network and method would repeat it."""
    return lambda x: coefficients


def folds(documents: int, number: int, seed: int) -> list[np.ndarray]:
    """Share documents out at random; rows of each fold."""
    if not 2 <= number <= documents:
        raise InputError(
            f"singh2020.topics.folds: got {number} for {documents} statements; take 2 or more"
        )
    order = randomness.generator(seed, "folds of statements").permutation(documents)
    return [np.sort(part) for part in np.array_split(order, number)]


def topic_rows(
    documents: Documents, phi: np.ndarray, judged: Judged, shuffled: Judged
) -> list[dict[str, Any]]:
    """Average over documents rightly called fake: rows of ``topics.csv``, the highest first.

    Parameters
    ----------
    shuffled : by networks that each learned labels shuffled in their own way. Where nothing can be
        learned, the majority class and the choice of documents called fake lift the means all the
        same: this says how far, and how much that varies from one network to the next.

    """
    right = (judged.outputs.mean(0) > 0) & documents.fake
    chance = (shuffled.outputs > 0) & documents.fake
    planted = planted_topic(documents, phi)
    rows = []
    for method, scores in judged.scores.items():
        mean, error = _mean_and_error(scores.mean(0)[right])
        each = zip(shuffled.scores[method], chance, strict=True)
        low = np.array([values[rows].mean(0) for values, rows in each if rows.any()])
        scatter, low_scatter = _scatter(scores[:, right].mean(1)), _scatter(low)
        for topic in np.argsort(-mean, kind="stable"):
            rows.append(
                {
                    "source": documents.source,
                    "method": method,
                    "topic": int(topic),
                    "words": " ".join(top_words(phi[topic], documents.words)),
                    "attribution": mean[topic],
                    "error": error[topic],
                    "scatter_networks": scatter[topic],
                    "shuffled_attribution": low[:, topic].mean() if len(low) else None,
                    "shuffled_scatter": low_scatter[topic],
                    "planted": None if planted is None else int(topic == planted),
                    "statements": int(right.sum()),
                }
            )
    return rows


def _mean_and_error(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard error over documents: (document, topic) → (topic) each."""
    if len(values) < 2:
        raise InputError(
            f"topics: {len(values)} statements rightly called fake, too few to average; "
            "raise singh2020.topics.epochs or singh2020.topics.networks"
        )
    return values.mean(0), errors_of_means(values)


def _scatter(values: np.ndarray) -> Sequence[float | None]:
    """Return the standard deviation over networks: (network, topic) → (topic,)."""
    return values.std(0, ddof=1) if len(values) > 1 else [None] * values.shape[-1]


def top_words(probabilities: np.ndarray, words: Sequence[str]) -> list[str]:
    """Return a topic's ten most probable words."""
    return [words[index] for index in np.argsort(-probabilities, kind="stable")[:TOP_WORDS]]


def planted_topic(documents: Documents, phi: np.ndarray) -> int | None:
    """Return the fitted topic that is most like the planted one, if there is one."""
    if documents.planted is None:
        return None
    fitted, planted = (x - x.mean(-1, keepdims=True) for x in (phi, documents.planted))
    # A topic that no document needs gives every word the same probability.
    size = np.maximum(np.linalg.norm(fitted, axis=1), 1e-12)
    return int(np.argmax(fitted @ planted / size))


def accuracy_row(
    documents: Documents, judged: Judged, shuffled: Judged, settings: Topics, seed: int
) -> dict[str, Any]:
    """Return the row of ``topics_accuracy.csv``.

    ``output`` is the mean output for fake less that for true over documents rightly called fake;
    ``topics_together`` and ``residual`` are what contextual decomposition makes of it.
    """
    fake, outputs = documents.fake, judged.outputs.mean(0)
    right = (outputs > 0) & fake
    share = np.mean((outputs > 0) == fake)
    together = judged.together.mean(0)[right].mean(0)
    return {
        "source": documents.source,
        "accuracy_percent": 100 * share,
        "error_percent": 100 * math.sqrt(share * (1 - share) / len(fake)),
        "majority_percent": 100 * max(fake.mean(), 1 - fake.mean()),
        "logistic_regression_percent": 100 * _yardstick(documents, settings, seed),
        "shuffled_percent": 100 * np.mean((shuffled.outputs > 0) == fake),
        "statements": len(fake),
        "fake_statements": int(fake.sum()),
        "rightly_fake": int(right.sum()),
        "output": outputs[right].mean(),
        "topics_together": together[0],
        "residual": together[1],
    }


def _yardstick(documents: Documents, settings: Topics, seed: int) -> float:
    """Accuracy of logistic regression on the same folds."""
    right = 0
    for rows in folds(len(documents.fake), settings.folds, seed):
        others = np.setdiff1d(np.arange(len(documents.fake)), rows)
        model = LogisticRegression(C=0.1, max_iter=500)
        model.fit(documents.counts[others], documents.fake[others])
        right += int((model.predict(documents.counts[rows]) == documents.fake[rows]).sum())
    return right / len(documents.fake)


def explain(
    documents: Documents, settings: Topics, seed: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Do the whole of Figure 2.

    Returns
    -------
    rows of ``topics.csv`` and of ``topics_accuracy.csv``.

    """
    phi, coefficients = fit_topics(documents.counts, settings.topics, seed)
    fake = documents.fake
    orders = [
        randomness.generator(seed, "shuffled labels", index).permutation(len(fake))
        for index in range(settings.networks)
    ]
    learned = np.stack([fake] * settings.networks), np.stack([fake[order] for order in orders])
    judged, shuffled = (
        judge(documents, labels, phi, coefficients, settings, seed) for labels in learned
    )
    rows = topic_rows(documents, phi, judged, shuffled)
    return rows, [accuracy_row(documents, judged, shuffled, settings, seed)]
