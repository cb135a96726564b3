"""Configuration, paths and the one way in which rules say what they depend on."""

import os
import sys
from pathlib import Path

from kappascope import configuration, provenance
from kappascope.errors import InputError

ROOT = Path(workflow.basedir)
try:
    config = configuration.from_command_line(config, ROOT)
    ROWS = configuration.cosmologies(config, ROOT)
except InputError as error:
    # One line for the user, and no Snakemake traceback around it.
    print(f"kappascope: error: {error}", file=sys.stderr, flush=True)
    os._exit(1)

COSMOLOGIES = [
    [row["cosmology"], row["omega_matter"], row["sigma_8"]]
    for row in sorted(ROWS, key=lambda row: row["cosmology"])
]
FIDUCIAL = next(
    row["cosmology"]
    for row in ROWS
    if configuration.is_fiducial(row, config["cosmology"]["fiducial"])
)
DATA_SETS = config["constraints"]["data_sets"]
NETWORK_NUMBERS = list(range(config["network"]["seeds"]))
REAL_DATA = Path(
    os.environ.get("KAPPASCOPE_REAL_DATA", ROOT.parent / "shared" / "realdata")
)
PUBLISHED_NETWORK = REAL_DATA / "cnn_outputs" / "ribli2019_noiseless.npz"
RESULTS = f"results/{config['run']}"


def result(name):
    """Path of a result of this run."""
    return f"{RESULTS}/{name}"


def matilla(name):
    """Path of a table or figure of Matilla et al. (2020)."""
    return result(f"matilla2020/{name}")


def log_of(name):
    """Path of a rule's log."""
    return result(f"logs/{name}.log")


def benchmark_of(name):
    """Path of a rule's measured time and memory."""
    return result(f"benchmarks/{name}.tsv")


def figure(stem):
    """Both files of a figure."""
    return {"pdf": matilla(f"{stem}.pdf"), "png": matilla(f"{stem}.png")}


def spec(script, sections, **more):
    """What a rule depends on: config sections, further plain values and the code it runs."""
    chosen = {name: config[name] for name in sections}
    return {**chosen, **more, "code": provenance.source_hash(f"scripts/{script}.py")}


# Maps belong to what made them, not to a run: runs with the same simulation share them.
MAPS_SECTIONS = ["seed", "cosmology", "maps"] + (
    ["simulation"] if config["maps"]["source"] == "simulation" else []
)
_made_from = {name: config[name] for name in MAPS_SECTIONS}
# Smoothing comes after the maps.
_made_from["maps"] = {
    key: value
    for key, value in config["maps"].items()
    if not (config["maps"]["source"] == "simulation" and key == "smoothing_arcmin")
}
MAPS_FOLDER = f"results/maps/{provenance.digest(_made_from)}"
BATCHES = list(range(config["simulation"]["batches"]))
MAPS = [f"{MAPS_FOLDER}/batch_{batch}.h5" for batch in BATCHES]

STATISTICS = result("statistics/{data_set}.nc")
NETWORK = result("networks/{data_set}/{number}/network.npz")
PREDICTIONS = result("networks/{data_set}/predictions.nc")


def everything():
    """All results of a run, the paper last."""
    return [result("paper.pdf"), result("claims.csv"), result("config.yaml")] + (
        [matilla("published_network_contour.pdf")] if PUBLISHED_NETWORK.exists() else []
    )


wildcard_constraints:
    data_set="noiseless|noisy",
    number=r"\d+",
    batch=r"\d+",
