"""Topics of texts: the reader, the transformation, and a planted topic that must come first."""

import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from typed import section

from kappascope.chapters.singh2020 import topics
from kappascope.chapters.singh2020.figures.topics import attribution_of_topics
from kappascope.errors import InputError
from kappascope.files import read_rows
from kappascope.networks.architectures import multilayer_perceptron

SETTINGS = section(
    "singh2020.topics",
    topics=5,
    minimum_documents=1,
    generated_documents=500,
    folds=2,
    networks=2,
    hidden=[16, 16],
    epochs=6,
    batch=32,
    learning_rate=4e-3,
)
ROWS = (
    ("1", "a.json", "false", 'She said "the moon" is cheese.'),
    # The mark of this statement has no partner; a reader that looks for it swallows the next.
    ("2", "b.json", "mostly-true", '"Budgets rose by 3 percent.'),
    ("3", "c.json", "half-true", "Budgets fell."),
    ("4", "d.json", "pants-fire", 'The moon paid taxes."'),
    ("5", "e.json", "true", "Taxes are taxes."),
)


def table(path, rows=ROWS):
    lines = ["\t".join((*row, "taxes")) + "\n" for row in rows]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_quotation_marks_join_no_statements(tmp_path):
    statements, fake = topics.read_statements(table(tmp_path / "liar.tsv"))
    assert statements == [ROWS[0][3], ROWS[1][3], ROWS[3][3], ROWS[4][3]]
    assert fake.tolist() == [True, False, True, False]


def test_words_are_counted_without_stop_words_and_numbers(tmp_path):
    documents = topics.statement_documents(table(tmp_path / "liar.tsv"), SETTINGS)
    assert "taxes" in documents.words
    assert not {"the", "3", "is"} & set(documents.words)
    assert documents.counts[3, documents.words.index("taxes")] == 2
    assert documents.source == "LIAR-PLUS"
    assert documents.planted is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"1\ta.json\tperhaps\tThe moon.\n", "line 1: got 'perhaps'"),
        (b"1\ta.json\ttrue\tA.\nhello\n", "line 2: got '1 columns'"),
        (b"1\ta.json\ttrue\tThe moon.\n", "needs fake and true"),
        (b"", "needs fake and true"),
        (b"\xff\xfe\x00", "cannot be read as text"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path, content, said):
    path = tmp_path / "liar.tsv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        topics.read_statements(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_words_too_rare_are_refused(tmp_path):
    settings = SETTINGS.model_copy(update=dict(minimum_documents=5))
    with pytest.raises(InputError, match=r"topics\.minimum_documents: got 5"):
        topics.statement_documents(table(tmp_path / "liar.tsv"), settings)


def test_all_statements_of_liar_plus_are_read(real_data):
    statements, fake = topics.read_statements(real_data / "text" / "liar_plus_test2.tsv")
    # 250 false, 214 barely-true, 92 pants-fire; 211 true, 249 mostly-true.
    assert (len(statements), int(fake.sum())) == (1016, 556)
    assert max(map(len, statements)) < 700  # nothing was joined


def test_topics_share_out_the_words_of_each_document():
    counts = np.random.default_rng(0).poisson(0.5, (60, 20)).astype(np.float32)
    counts[7] = 0
    phi, coefficients = topics.fit_topics(counts, 4, seed=3)
    assert phi.sum(1) == pytest.approx(1)
    assert (phi > 0).all()
    assert coefficients.sum(1) == pytest.approx(counts.sum(1))
    assert topics.fit_topics(counts, 4, seed=3)[0] == pytest.approx(phi, abs=0)


@pytest.mark.parametrize("method", topics.METHODS)
def test_a_linear_network_gives_each_topic_its_words_weights(method):
    # Positive weights without biases: ReLU does nothing, the answer is s_k φ_k · w.
    draw = np.random.default_rng(1)
    network = multilayer_perceptron(12, (8, 6), 2)
    parameters = {}
    for name in network.parameter_names:
        number = int(name[5]) - 1
        inputs, outputs = ((12, 8), (8, 6), (6, 2))[number]
        shape = (inputs, outputs) if name.endswith("kernel") else (outputs,)
        scale = draw.uniform(0.1, 1, shape) if name.endswith("kernel") else np.zeros(shape)
        parameters[name] = scale.astype(np.float32)
    counts = draw.poisson(2.0, (9, 12)).astype(np.float32)
    phi = draw.dirichlet(np.ones(12), 3)
    coefficients = draw.uniform(0, 4, (9, 3)).astype(np.float32)
    # What the topics expect must stay below the counts, or the residual turns negative.
    counts += np.ceil(coefficients @ phi).astype(np.float32)
    transform = topics.Matrix(phi, (12,), fit=lambda x: coefficients)
    kernels = [parameters[f"dense{number}.kernel"] for number in (1, 2, 3)]
    weights = np.linalg.multi_dot(kernels)
    expected = coefficients * (phi @ (weights[:, 1] - weights[:, 0]))
    scores, together = topics.topic_scores(method, (network, parameters), counts, transform)
    assert scores == pytest.approx(expected, rel=1e-4, abs=1e-4)
    if method == "cd":
        assert together[:, 0] == pytest.approx(expected.sum(1), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("number", [1, 11])
def test_folds_that_cannot_be_are_refused(number):
    with pytest.raises(InputError, match=r"topics\.folds"):
        topics.folds(10, number, seed=0)


def test_every_document_is_held_out_once():
    parts = topics.folds(23, 4, seed=2)
    assert sorted(np.concatenate(parts)) == list(range(23))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.fixture(scope="module")
def explained():
    documents = topics.generated_documents(SETTINGS, seed=1)
    return documents, *topics.explain(documents, SETTINGS, seed=1)


@pytest.mark.parametrize("method", topics.METHODS)
def test_the_planted_topic_comes_first(explained, method):
    documents, rows, accuracy = explained
    mine = [row for row in rows if row["method"] == method]
    assert [row["planted"] for row in mine] == [1, 0, 0, 0, 0]
    lead = mine[0]["attribution"] - mine[1]["attribution"]
    assert lead > 5 * np.hypot(mine[0]["error"], mine[1]["error"])
    best = np.argsort(-documents.planted)[:5]
    assert len({documents.words[index] for index in best} & set(mine[0]["words"].split())) >= 4
    ahead = accuracy[0]["accuracy_percent"] - accuracy[0]["majority_percent"]
    assert ahead > 4 * accuracy[0]["error_percent"]


def test_networks_that_learned_shuffled_labels_see_no_topic(explained):
    _, rows, accuracy = explained
    row = next(row for row in rows if row["method"] == "cd" and row["planted"])
    assert abs(row["shuffled_attribution"]) < 0.25 * row["attribution"]
    assert abs(accuracy[0]["shuffled_percent"] - 50) < 10


def test_topics_and_residual_add_up_to_the_output(explained):
    row = explained[2][0]
    assert row["topics_together"] + row["residual"] == pytest.approx(row["output"], rel=1e-4)
    assert row["rightly_fake"] <= row["fake_statements"] <= row["statements"] == 500


def test_generated_documents_depend_on_the_seed_only():
    one, same, other = (topics.generated_documents(SETTINGS, seed) for seed in (4, 4, 5))
    assert np.array_equal(one.counts, same.counts)
    assert not np.array_equal(one.counts, other.counts)


def test_too_few_documents_called_fake_are_refused(explained):
    documents, _, _ = explained
    none = topics.Judged(-np.ones((2, 500)), {"cd": np.zeros((2, 500, 5))}, np.zeros((2, 500, 2)))
    with pytest.raises(InputError, match="0 statements rightly called fake"):
        topics.topic_rows(documents, np.full((5, 60), 1 / 60), none, none)


def test_the_figure_says_what_it_was_drawn_from(explained, tmp_path):
    _, rows, accuracy = explained
    topics.TOPICS.write(tmp_path / "topics.csv", rows)
    topics.ACCURACY.write(tmp_path / "accuracy.csv", accuracy)
    figure = attribution_of_topics(
        read_rows(tmp_path / "topics.csv"), read_rows(tmp_path / "accuracy.csv")[0]
    )
    axes = figure.axes[0]
    assert axes.get_title(loc="right").startswith("generated documents, ")
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names[0] == rows[0]["words"] + " (planted)"
    assert [bar.get_width() for bar in axes.patches] == pytest.approx(
        [row["attribution"] for row in rows[:5]]
    )
    plt.close(figure)


def test_a_topic_without_words_of_its_own_is_not_the_planted_one(explained):
    documents, _, _ = explained
    phi = np.stack([np.full(60, 1 / 60), documents.planted, documents.planted[::-1]])
    assert topics.planted_topic(documents, phi) == 1


def test_figures_need_no_jax():
    code = (
        "import sys; from kappascope.chapters.singh2020.figures import digits, topics; "
        "assert 'jax' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
