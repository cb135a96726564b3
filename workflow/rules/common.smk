"""Configuration, paths and the one way in which rules say what they depend on."""

import csv
import functools
import os
import sys
from pathlib import Path

# This checkout's code, whatever is installed: jobs import the same, by PYTHONPATH below.
sys.path.insert(0, str(Path(workflow.basedir) / "src"))

from kappascope.errors import InputError
from kappascope.files import name_problem
from kappascope.registry import EXTENSIONS, extensions
from kappascope.reporting.figures import FIGURES as DRAWN
from kappascope.reporting.figures import stems
from kappascope.reporting.published import NULL_RUNS
from kappascope.workflow import configuration, provenance
from kappascope.workflow import resources as measured

# One core a job, as for JAX: threads of two jobs that wait for each other's cores slow small matrix
# products down three times. One arena: memory then does not grow with the number of maps.
for name in (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "MALLOC_ARENA_MAX",
):
    os.environ.setdefault(name, "1")

ROOT = Path(workflow.basedir)
# Jobs import the code whose hash they carry, wherever they run and in whichever environment.
os.environ.update(
    PYTHONPATH=os.pathsep.join(
        [str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
)


def refuse(problem):
    """End with one line for the user, and no Snakemake traceback around it."""
    print(f"kappascope: error: {problem}", file=sys.stderr, flush=True)
    os._exit(1)


try:
    # A null run's rules are those of a module (nulls.smk), which hands its config over.
    CONFIG = config.get("null_run") or configuration.from_command_line(config, ROOT)
    config = CONFIG.model_dump()
    NULL_CONFIGS = {
        kind: configuration.null_of(CONFIG, kind) for kind in CONFIG.nulls.kinds
    }
    SIMULATED = CONFIG.maps.source == "simulation"
    ROWS = configuration.cosmologies(CONFIG, ROOT) if SIMULATED else []
except InputError as error:
    refuse(error)

# Jobs know the same declarations.
os.environ[EXTENSIONS] = os.pathsep.join(map(str, extensions()))

DATA_SETS = CONFIG.data_sets
NETWORK_NUMBERS = list(range(CONFIG.network.networks))
REAL_DATA = Path(
    os.environ.get("KAPPASCOPE_REAL_DATA", ROOT.parent / "shared" / "realdata")
)
PUBLISHED_NETWORK = REAL_DATA / "cnn_outputs" / "ribli2019_noiseless.npz"
RESULTS = f"results/{config['run']}"
# What no network makes, null runs have in common with their run.
SHARED = RESULTS.partition(f"/{NULL_RUNS}/")[0]


# Null runs come last, when what they compile lies ready.
PRIORITY = 0 if RESULTS == SHARED else -20


def result(name):
    """Path of a result of this run."""
    return f"{RESULTS}/{name}"


def shared(name):
    """Path of a result of this run that its null runs read, too."""
    return f"{SHARED}/{name}"


def matilla(name):
    """Path of a table or figure of Matilla et al. (2020)."""
    return result(f"matilla2020/{name}")


def singh(name):
    """Path of a table or figure of Singh et al. (2020)."""
    return result(f"singh2020/{name}")


def you(name):
    """Path of a table or figure of You et al. (2023)."""
    return result(f"you2023/{name}")


def wilde(name):
    """Path of a table or figure of Wilde et al. (2022)."""
    return result(f"wilde2022/{name}")


def rosenzweig(name):
    """Path of a table or figure of Rosenzweig et al. (2021)."""
    return result(f"rosenzweig2021/{name}")


def log_of(name):
    """Path of a rule's log."""
    return result(f"logs/{name}.log")


def benchmark_of(name):
    """Path of a rule's measured time and memory."""
    return result(f"benchmarks/{name}.tsv")


def resources_of(rule):
    """Time, memory and cores of a rule's job."""
    return measured.resources(rule, CONFIG)


def spec(script, sections, modules=(), **more):
    """Config sections, further plain values and code: all that the outputs depend on.

    Sections go by dotted names; a script finds them under the last part. Of a section with
    brackets behind it only these keys: "maps[pixels, pixel_arcmin]".
    """
    chosen = {}
    for section in sections:
        path, _, keys = section.rstrip("]").partition("[")
        value = functools.reduce(
            lambda inner, name: inner[name], path.split("."), config
        )
        only = [name.strip() for name in keys.split(",")] if keys else None
        chosen[path] = {name: value[name] for name in only} if only else value
    code = provenance.source_hash(f"scripts/{script}.py", *modules)
    return {**chosen, **more, "code": code}


def figure_spec(figure, sections, **more):
    """What a rule's figures depend on, the module that draws them included."""
    drawing = DRAWN.entries()[figure].module
    return spec("plot", sections, [drawing], figure=figure, **more)


def null_files(chapter, name):
    """One table of a chapter from every null run that makes the chapter, by kind."""
    return {
        kind: result(f"{NULL_RUNS}/{kind}/{chapter}/{name}")
        for kind in NULL_CONFIGS
        if chapter in getattr(CONFIG.nulls, kind)
    }


def resumable(label, content):
    """A spec with the folder of a long training's checkpoint, named after what it depends on."""
    folder = f"results/.training/{label}-{provenance.digest(content)}"
    return {**content, "scratch": folder}


# Maps belong to what made them, not to a run: runs with the same simulation share them. Smoothing
# comes after the maps.
MAPS_MADE_FROM = {
    "seed": config["seed"],
    "cosmology": config["cosmology"],
    "maps": {k: v for k, v in config["maps"].items() if k != "smoothing_arcmin"},
    **({"simulation": config["simulation"]} if SIMULATED else {}),
}
MAPS_FOLDER = f"results/maps/{provenance.digest(MAPS_MADE_FROM)}"
# An archive is read by one job.
BATCHES = list(range(config["simulation"]["batches"] if SIMULATED else 1))
MAPS_BATCH = f"{MAPS_FOLDER}/batch_{{batch}}"
MAPS = [f"{MAPS_FOLDER}/batch_{batch}.h5" for batch in BATCHES]


def listed_files():
    """The table of a folder of maps and the files it names, so that a change reruns the import.

    What is missing is left to the import, which says so in its own words.
    """
    maps = config["maps"]
    if maps["source"] != "folder" or not os.path.isfile(maps["table"]):
        return []
    with open(
        maps["table"], newline="", encoding="utf-8-sig", errors="replace"
    ) as table:
        names = {
            row.get(name) for row in csv.DictReader(table) for name in ("file", "mask")
        }
    files = [os.path.join(maps["path"], name) for name in sorted(filter(None, names))]
    listed = [maps["table"], *(file for file in files if os.path.isfile(file))]
    for file in listed:
        if problem := name_problem(file):
            refuse(f"{file}: {problem}")
    return listed


LISTED_FILES = listed_files()


def real_files(**names):
    """Real data, by what they are called, below their folder; none unless all are there."""
    paths = {name: REAL_DATA / file for name, file in names.items()}
    return paths if all(path.exists() for path in paths.values()) else {}


# An ImageNet classifier for rosenzweig2021.
CLASSIFIER = real_files(
    network="published_networks/efficientnet_lite0/network.npz",
    description="published_networks/efficientnet_lite0/network.json",
    names="published_networks/efficientnet_lite0/class_names.txt",
)
# Chapter → names of its tables (.csv), from its rules, and of its figures (.pdf, .png).
TABLES = {}
FIGURES = stems(
    DATA_SETS,
    without=[
        *([] if PUBLISHED_NETWORK.exists() else ["outputs"]),
        *([] if CLASSIFIER else ["classifier"]),
    ],
)


def targets():
    """Names of targets and their files: each table and figure, each chapter as a whole.

    ``matilla2020_table1`` is Table I, ``matilla2020_fig4`` Figure 4 for every data set.
    """
    named = {}
    for chapter in TABLES:
        made = [f"{name}.csv" for name in TABLES[chapter]]
        made += [f"{name}.pdf" for name in FIGURES.get(chapter, [])]
        for file in made:
            stem = file.rpartition(".")[0]
            if stem.rpartition("_")[2] in DATA_SETS:
                stem = stem.rpartition("_")[0]
            path = result(f"{chapter}/{file}")
            named.setdefault(f"{chapter}_{stem}", []).append(path)
            named.setdefault(chapter, []).append(path)
    for table in ("table1", "table2", "linear_model"):
        named[f"matilla2020_{table}"].append(matilla(f"{table}.tex"))
    named["singh2020_table1"].append(singh("table1.tex"))
    named["you2023_groups"] = [you("groups.csv")]
    return named


def network_index(wildcards):
    """What a network's random numbers are drawn for; null runs have networks of their own."""
    return int(wildcards.number) + (0 if RESULTS == SHARED else 1000)


# The number of networks does not change what one learns.
ONE_NETWORK = {k: v for k, v in config["network"].items() if k != "networks"}
STATISTICS = shared("statistics/{data_set}.nc")
NETWORK = result("networks/{data_set}/{number}/network.npz")
PREDICTIONS = result("networks/{data_set}/predictions.nc")


def everything():
    """All results of a run, the paper last."""
    return [
        *(result("paper.pdf"), result("claims.csv"), result("config.yaml")),
        *(
            [matilla("published_network_contour.pdf")]
            if PUBLISHED_NETWORK.exists()
            else []
        ),
        *(result(f"own/{stem}.pdf") for stem in FIGURES.get("own", [])),
    ]


wildcard_constraints:
    data_set="noiseless|noisy",
    number=r"\d+",
    batch=r"\d+",
