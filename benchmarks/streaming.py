"""Peak memory of simulating, measuring and predicting more and more fiducial maps.

python benchmarks/streaming.py [--maps 500 2000 8000] [--pixels 128]

Maps go to disk some at a time and are read back some at a time, so that memory should not grow with
their number. Each number and stage is a process of its own.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from run import options, report

STAGES = ("simulate", "statistics", "predict")


def main() -> None:
    parser = options(__doc__.splitlines()[0], repeats=1)
    parser.add_argument("--maps", type=int, nargs="+", default=[500, 2000, 8000])
    parser.add_argument("--pixels", type=int, default=128)
    parser.add_argument("--stage", choices=STAGES, help="run this one here, in --folder")
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    if arguments.stage:
        work(arguments.stage, arguments.maps[0], arguments.pixels, arguments.folder)
        return
    peaks: dict[str, list[float]] = {stage: [] for stage in STAGES}
    for maps in arguments.maps:
        with tempfile.TemporaryDirectory() as folder:
            for stage in STAGES:
                given = ["--stage", stage, "--maps", str(maps), "--pixels", str(arguments.pixels)]
                ended = subprocess.run(
                    [sys.executable, __file__, *given, "--folder", folder],
                    check=True,
                    stdout=subprocess.PIPE,
                    text=True,
                    env={**os.environ, "MALLOC_ARENA_MAX": "1"},  # as jobs have it
                )
                peaks[stage].append(json.loads(ended.stdout)["megabytes"])
                report(f"peak memory, {stage}", "MB", peaks[stage][-1:], maps=maps)
    for stage, values in peaks.items():
        report(
            f"peak memory, {stage}, largest over smallest",
            "1",
            [max(values) / min(values)],
            "≤ 1.1",
        )


def work(stage: str, maps: int, pixels: int, folder: Path) -> None:
    """Do one stage with the default tier's settings and print the peak memory so far."""
    from kappascope import runtime
    from kappascope.sections import Spec
    from kappascope.workflow import configuration

    runtime.configure(threads=1)
    config = configuration.load(
        overrides={"maps": {"covariance": maps, "pixels": pixels}, "simulation": {"batches": 1}}
    )
    parts = {name: getattr(config, name) for name in type(config).model_fields}
    spec = Spec(**parts, code="benchmark")
    path = folder / "batch_0.h5"
    if stage == "simulate":
        from kappascope.simulation import campaign

        counts = {"training": 0, "testing": 0, "covariance": maps}
        boxes = {**dict.fromkeys(counts, 1), "covariance": config.simulation.boxes_covariance}
        campaign.write_batch(path, campaign.boxes([0], 0, boxes, counts), {0: (0.26, 0.8)}, spec)
    elif stage == "statistics":
        from kappascope.statistics.measure import measure_dataset
        from kappascope.statistics.storage import write_statistics

        write_statistics(measure_dataset([path], "noisy", spec), folder / "statistics.nc")
    else:
        import numpy as np

        from kappascope import randomness
        from kappascope.networks import architectures, prediction, training
        from kappascope.networks.module import GraphNetwork, flatten

        network = architectures.regressor(pixels, config.network)
        module = GraphNetwork(network, 0.9)
        variables = training.initial_variables(module, randomness.generator(1, "benchmark"))
        ones = np.ones(2, np.float32)
        prediction.predict_dataset(
            [path], [(network, flatten(network, variables), ones)], "noisy", spec
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"megabytes": peak / (2**20 if sys.platform == "darwin" else 2**10)}))


if __name__ == "__main__":
    main()
