"""What jobs need, from the config."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from kappascope import costs
from kappascope.errors import InputError
from kappascope.workflow import configuration, resources
from kappascope.workflow.config import Library

ROOT = configuration.ROOT
TIERS = configuration.available("tier")


@pytest.fixture(scope="module", params=TIERS)
def config(request: pytest.FixtureRequest) -> Library:
    return configuration.load(request.param)


def rule_files() -> str:
    return "\n".join(file.read_text() for file in (ROOT / "workflow/rules").glob("*.smk"))


def test_every_rule_asks_for_what_it_needs() -> None:
    for text in (file.read_text() for file in (ROOT / "workflow/rules").glob("*.smk")):
        rules = re.findall(r"^ *rule (\w+):|^ *name:\n", text, flags=re.M)
        asked = re.findall(r"\*\*resources_of\(", text)
        assert len(asked) == len(rules)
    for name in re.findall(r"^ *rule (\w+):", rule_files(), flags=re.M):
        assert f'**resources_of("{name}")' in rule_files(), name


def test_estimates_are_of_rules_that_exist_and_are_not_local() -> None:
    text = rule_files()
    local = re.findall(
        r"^    (\w+),$", "".join(re.findall(r"localrules:\n((?:    \w+,\n)+)", text)), flags=re.M
    )
    assert len(local) > 15
    for name in resources.rules():
        assert re.search(rf"rule {name}:", text), name
        assert name not in local
    for name in re.findall(r"^ *rule (\w+):", text, flags=re.M):
        assert (name in local) != (name in resources.rules()), name


def test_all_that_is_asked_for_is_sensible(config: Library) -> None:
    for name in resources.rules():
        need = resources.need(name, config)
        assert need.jobs >= 1 and 1 <= need.seconds < 1e7 and 300 <= need.megabytes < 5e5, name
        asked = resources.resources(name, config)
        assert asked["mem_mb"](None, 1) > need.megabytes
        assert asked["runtime"](None, 1) * 60 > 2 * need.seconds / config.cluster.gpu_speed


def test_each_attempt_gets_more() -> None:
    asked = resources.resources("train_network", configuration.load())
    memory = [asked["mem_mb"](None, attempt) for attempt in (1, 2, 3)]
    minutes = [asked["runtime"](None, attempt) for attempt in (1, 2, 3)]
    assert memory[1] == pytest.approx(2 * memory[0], abs=2)
    assert memory[2] == pytest.approx(4 * memory[0], abs=4)
    assert minutes[0] < minutes[1] < minutes[2]


def test_the_config_says_where_and_with_how_much() -> None:
    plain = resources.resources("train_network", configuration.load())
    assert set(plain) == {"mem_mb", "runtime"}
    cluster = {
        "partition": "main",
        "gpu_partition": "fast",
        "gpus": 1,
        "memory_factor": 2.0,
        "time_factor": 3.0,
        "gpu_speed": 1.0,
    }
    config = configuration.load(overrides={"cluster": cluster})
    asked = resources.resources("train_network", config)
    assert asked["slurm_partition"] == "fast" and asked["gpu"] == 1
    assert asked["mem_mb"](None, 1) == pytest.approx(2 * plain["mem_mb"](None, 1), abs=2)
    assert asked["runtime"](None, 1) == pytest.approx(3 * plain["runtime"](None, 1), abs=3)
    on_cpu = resources.resources("constrain", config)
    assert on_cpu["slurm_partition"] == "main" and "gpu" not in on_cpu


def test_needs_grow_with_what_there_is_to_do() -> None:
    small = configuration.load("smoke")
    large = configuration.load("desk")
    for name in ("simulate_maps", "train_network", "predict", "randomize", "band_curves"):
        assert resources.need(name, large).seconds > resources.need(name, small).seconds, name
        assert resources.need(name, large).megabytes >= resources.need(name, small).megabytes, name


def test_a_batch_of_the_paper_tier_is_worth_a_place_in_the_queue() -> None:
    config = configuration.load("paper")
    seconds = resources.need("simulate_maps", config).seconds
    assert seconds / config.cluster.gpu_speed >= 300


@pytest.mark.parametrize(("tier", "hours"), [("smoke", 0.12), ("default", 0.68), ("desk", 6.0)])
def test_tiers_keep_to_their_budgets_on_two_cores(tier: str, hours: float) -> None:
    total = resources.total(configuration.load(tier))
    assert max(total.core_seconds / 2, total.longest_seconds) < hours * 3600


def test_totals_add_up(config: Library) -> None:
    total = resources.total(config)
    assert total.longest_seconds <= total.core_seconds
    assert total.megabytes == max(
        resources.need(name, config).megabytes for name in resources.rules()
    )
    maps = config.maps
    count = config.cosmology.number * (maps.training + maps.testing) + maps.covariance
    assert total.disk_megabytes > count * maps.pixels**2 * 4 / 2**20


def test_nothing_of_the_cluster_changes_what_a_job_depends_on() -> None:
    """Only the effective config, which holds everything, may name the section."""
    for file in Path(ROOT / "workflow/rules").glob("*.smk"):
        assert not re.search(r"(config|CONFIG)\W*cluster", file.read_text()), file.name
        for sections in re.findall(r'spec\(\s*"\w+",\s*\[([^\]]*)\]', file.read_text()):
            assert '"cluster"' not in sections, file.name


# ---- measuring -----------------------------------------------------------------------------------


def a_run(folder: Path, config: Library, faster: float, larger: float) -> Path:
    """Write the benchmark files of a run whose jobs cost what the table says, times a factor."""
    run = folder / "results" / "mine"
    for name in ("benchmarks", "logs"):
        (run / name).mkdir(parents=True)
    for rule in resources.rules():
        need = resources.need(rule, config)
        job = costs.table()[rule, costs.JOB]
        cpu = job[0] + faster * (need.seconds - job[0])
        memory = job[1] + larger * (need.megabytes - job[1])
        for number in range(2):
            (run / f"benchmarks/{rule}_{number}.tsv").write_text(
                f"s\tmax_rss\tcpu_time\n{2 * cpu}\t{memory}\t{cpu}\n"
            )
            told = {"rule": rule, "start_up_seconds": job[0], "compilation_seconds": job[0]}
            told["work_seconds"] = 2 * (cpu - job[0])
            (run / f"logs/{rule}_{number}.timing.json").write_text(json.dumps(told))
    configuration.write_effective(config.model_dump(), run / "config.yaml")
    return run


@pytest.mark.parametrize(("faster", "larger"), [(1.0, 1.0), (0.5, 2.0)])
def test_a_table_measured_from_a_run_says_what_its_jobs_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faster: float, larger: float
) -> None:
    """CPU seconds count, not the wall's: these jobs shared their cores with as much again."""
    config = configuration.load("smoke")
    before = {rule: resources.need(rule, config) for rule in resources.rules()}
    jobs = {rule: costs.table()[rule, costs.JOB] for rule in resources.rules()}
    run = a_run(tmp_path, config, faster, larger)
    rows = resources.measured(run, config)
    assert [(row["rule"], row["unit"]) for row in rows] == list(costs.table())
    path = tmp_path / "table.csv"
    resources.write(rows, path)
    measured = costs.table(path)
    monkeypatch.setattr(costs, "table", lambda: measured)
    for rule, need in before.items():
        seconds = jobs[rule][0] + faster * (need.seconds - jobs[rule][0])
        megabytes = jobs[rule][1] + larger * (need.megabytes - jobs[rule][1])
        found = resources.need(rule, config)
        assert found.seconds == pytest.approx(seconds, rel=0.02), rule
        assert found.megabytes == pytest.approx(megabytes, rel=0.02), rule


def test_a_folder_without_benchmarks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no benchmarks of jobs; give the folder of a run"):
        resources.measured(tmp_path, configuration.load("smoke"))


def test_every_unit_of_work_has_a_cost_and_no_cost_is_without_a_unit() -> None:
    config = configuration.load()
    counted = {
        (rule, unit)
        for rule in resources.rules()
        for unit in resources.counts()[rule](config).units
    }
    counted |= {(rule, costs.JOB) for rule in (*resources.rules(), "other")}
    assert counted == {key for key in costs.table() if key[0] != "all"}


@pytest.mark.parametrize(
    ("rule", "key"),
    [
        ("train_network", "network.epochs"),
        ("constrain", "matilla2020.constraints.bootstrap"),
        ("randomize", "matilla2020.saliency.curve_maps"),
        ("band_curves", "singh2020.bands.bands"),
        ("explain_groups", "you2023.structures.maps"),
        ("find_lenses", "wilde2022.published.images"),
        ("nonlinear_saliency", "rosenzweig2021.steps"),
    ],
)
def test_twice_the_work_takes_longer(rule: str, key: str) -> None:
    config = configuration.load()
    before = resources.need(rule, config).seconds
    *sections, name = key.split(".")
    section: Any = config
    for each in sections:
        section = getattr(section, each)
    twice: dict[str, Any] = {name: 2 * getattr(section, name)}
    for each in reversed(sections):
        twice = {each: twice}
    after = resources.need(rule, configuration.load("default", overrides=twice)).seconds
    assert 1.2 * before < after < 2.1 * before
