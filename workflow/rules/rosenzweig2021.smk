"""How nonlinear is it? Nonlinear saliency maps (rosenzweig2021).

needs   images and the network of three classes of wilde2022.smk, maps, networks; real digits where there
        are any
makes   rosenzweig2021/: trajectories.csv, examples.csv, blurring.csv, summary.csv, kappa.csv, arms.csv,
        pairs.csv and the figures fig1 to fig4 for galaxies and for digits, kappa, arms, pairs; the same
        for photographs where an ImageNet classifier is at hand: photographs.csv, photographs_*.csv
"""


localrules:
    plot_nonlinear,
    plot_photographs,


TABLES["rosenzweig2021"] = [
    *("trajectories", "examples", "blurring", "summary", "kappa", "arms", "pairs"),
    *("photographs", "photographs_trajectories", "photographs_blurring"),
    *("photographs_summary", "photographs_unlikely"),
]
PHOTOGRAPHS = [f"fig{number}_photographs" for number in (1, 2, 3, 4)]
NONLINEAR = [name for name in FIGURES["rosenzweig2021"] if name not in PHOTOGRAPHS]
PICTURES = {
    "digits" if name == "images" else name: path
    for name, path in DIGITS.items()
    if name in ("images", "labels")
}


rule nonlinear_saliency:
    input:
        **PICTURES,
        images=LENS_IMAGES,
        sorter=SORTER,
        maps=MAPS,
        network=NETWORK.format(data_set=DATA_SETS[0], number=0),
    output:
        trajectories=rosenzweig("trajectories.csv"),
        examples=rosenzweig("examples.csv"),
        blurring=rosenzweig("blurring.csv"),
        summary=report(
            rosenzweig("summary.csv"),
            caption="../report/nonlinear_summary.rst",
            category="Nonlinear saliency",
        ),
        kappa=rosenzweig("kappa.csv"),
        arms=report(
            rosenzweig("arms.csv"),
            caption="../report/nonlinear_arms.rst",
            category="Nonlinear saliency",
        ),
        arrays=rosenzweig("examples.npz"),
    log:
        log_of("nonlinear_saliency"),
    benchmark:
        benchmark_of("nonlinear_saliency")
    priority: PRIORITY + 5
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("nonlinear_saliency"),
    params:
        spec=spec(
            "nonlinear_saliency",
            [
                "seed",
                "cosmology",
                "maps",
                "noise",
                "digits",
                "rosenzweig2021",
                "learns",
            ],
            data_set=DATA_SETS[0],
            jax=True,
        ),
    script:
        "../../scripts/nonlinear_saliency.py"


rule planted_pairs:
    input:
        **PICTURES,
    output:
        report(
            rosenzweig("pairs.csv"),
            caption="../report/planted_pairs.rst",
            category="Nonlinear saliency",
        ),
    log:
        log_of("planted_pairs"),
    benchmark:
        benchmark_of("planted_pairs")
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("planted_pairs"),
    params:
        spec=spec(
            "planted_pairs",
            ["seed", "digits", "rosenzweig2021[steps, step, blur_pixels, pairs]"],
            jax=True,
        ),
    script:
        "../../scripts/planted_pairs.py"


rule plot_nonlinear:
    input:
        arrays=rosenzweig("examples.npz"),
        examples=rosenzweig("examples.csv"),
        trajectories=rosenzweig("trajectories.csv"),
        blurring=rosenzweig("blurring.csv"),
        kappa=rosenzweig("kappa.csv"),
        arms=rosenzweig("arms.csv"),
        pairs=rosenzweig("pairs.csv"),
    output:
        [rosenzweig(f"{name}.pdf") for name in NONLINEAR],
        report(
            [rosenzweig(f"{name}.png") for name in NONLINEAR],
            caption="../report/nonlinear_figures.rst",
            category="Nonlinear saliency",
        ),
    log:
        log_of("plot_nonlinear"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("plot_nonlinear"),
    params:
        spec=figure_spec("plot_nonlinear", []),
    script:
        "../../scripts/plot.py"


rule nonlinear_photographs:
    input:
        **CLASSIFIER,
    output:
        trajectories=rosenzweig("photographs_trajectories.csv"),
        examples=rosenzweig("photographs.csv"),
        blurring=rosenzweig("photographs_blurring.csv"),
        summary=rosenzweig("photographs_summary.csv"),
        unlikely=report(
            rosenzweig("photographs_unlikely.csv"),
            caption="../report/photographs.rst",
            category="Nonlinear saliency",
        ),
        arrays=rosenzweig("photographs.npz"),
    log:
        log_of("nonlinear_photographs"),
    benchmark:
        benchmark_of("nonlinear_photographs")
    priority: PRIORITY + 5
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("nonlinear_photographs"),
    params:
        spec=spec(
            "nonlinear_photographs",
            ["seed", "learns", "rosenzweig2021.photographs"],
            jax=True,
        ),
    script:
        "../../scripts/nonlinear_photographs.py"


rule plot_photographs:
    input:
        arrays=rosenzweig("photographs.npz"),
        examples=rosenzweig("photographs.csv"),
        trajectories=rosenzweig("photographs_trajectories.csv"),
        blurring=rosenzweig("photographs_blurring.csv"),
    output:
        [rosenzweig(f"{name}.pdf") for name in PHOTOGRAPHS],
        report(
            [rosenzweig(f"{name}.png") for name in PHOTOGRAPHS],
            caption="../report/photographs.rst",
            category="Nonlinear saliency",
        ),
    log:
        log_of("plot_photographs"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("plot_photographs"),
    params:
        spec=figure_spec("plot_photographs", []),
    script:
        "../../scripts/plot.py"
