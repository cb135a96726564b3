"""What makes a lens? Networks that find strong lenses, and what they look at (wilde2022).

needs   real lenses where there are any
makes   wilde2022/: finder.csv, recall.csv, roc.csv, completeness.csv, position.csv, sorter.csv,
        real.csv, matched.csv, f1_share.csv, published_finders.csv, published_accuracy.csv,
        published_arcs.csv, planted.csv, shares.csv, arcs.csv, agreement.csv, probes.csv, dreams.csv,
        randomization.csv and the figures gallery, finder, position, maps, dreams, probes, arcs,
        planted, real; images.h5, networks/
"""

from kappascope.stronglens import surveys


localrules:
    plot_lenses,


LENS_IMAGES = shared("wilde2022/images.h5")
LENS_NETWORK = wilde("networks/{task}/{number}/network.npz")
LENS_FINDERS = [
    LENS_NETWORK.format(task="finder", number=k)
    for k in range(CONFIG.wilde2022.networks.networks)
]
LOCATOR = LENS_NETWORK.format(task="locator", number=0)
SORTER = LENS_NETWORK.format(task="sorter", number=0)
TABLES["wilde2022"] = [
    "finder",
    "recall",
    "roc",
    "completeness",
    "matched",
    "position",
    "sorter",
    "real",
    "shares",
    "arcs",
    "agreement",
    "probes",
    "dreams",
    "randomization",
    "planted",
    "f1_share",
    "published_finders",
    "published_accuracy",
    "published_arcs",
]
PUBLISHED_FINDERS = real_files(
    **{
        f"{name}_{file}": f"published_networks/wilde2022/{name}/{file}"
        for name in CONFIG.wilde2022.published.networks
        for file in ("about.json", "network.json", "network.npz")
    }
)
REAL_LENSES = real_files(
    jackpot="stronglens/jackpot/data.fits",
    jackpot_noise="stronglens/jackpot/noise_map.fits",
    jackpot_psf="stronglens/jackpot/psf.fits",
    jackpot_info="stronglens/jackpot/info.json",
    **{
        f"ring_{band}_{name.split('.')[0]}": f"stronglens/cosmos_web_ring/{band}_{name}"
        for band in ("F277W", "F444W")
        for name in ("data.fits", "noise_map.fits", "psf.fits", "info.json")
    },
)
# What the file of the survey says: scripts read it by its name.
SURVEY = surveys.read(CONFIG.wilde2022.images.survey).model_dump()
OWN_FILE = CONFIG.wilde2022.own_images
OWN_IMAGES = {"own": OWN_FILE} if OWN_FILE else {}


rule simulate_lenses:
    output:
        images=LENS_IMAGES,
    log:
        log_of("simulate_lenses"),
    benchmark:
        benchmark_of("simulate_lenses")
    priority: 9
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("simulate_lenses"),
    params:
        spec=spec(
            "simulate_lenses",
            ["seed", "wilde2022.images"],
            survey=SURVEY,
            jax=True,
        ),
    script:
        "../../scripts/simulate_lenses.py"


rule train_lens_network:
    input:
        images=LENS_IMAGES,
    output:
        network=LENS_NETWORK,
        description=wilde("networks/{task}/{number}/network.json"),
        about=wilde("networks/{task}/{number}/about.json"),
    log:
        log_of("train_lens_network_{task}_{number}"),
    benchmark:
        benchmark_of("train_lens_network_{task}_{number}")
    wildcard_constraints:
        task="finder|locator|sorter",
    priority: PRIORITY + 9
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("train_lens_network"),
    params:
        spec=lambda wildcards: resumable(
            f"{wildcards.task}-{wildcards.number}-{provenance.digest(config['wilde2022']['images'])}",
            spec(
                "train_lens_network",
                [
                    "seed",
                    "learns",
                    "wilde2022.networks[width, epochs, batch, learning_rate]",
                    "wilde2022.images[pixels, pixel_arcsec, bands]",
                ],
                task=wildcards.task,
                index=network_index(wildcards),
                jax=True,
            ),
        ),
    script:
        "../../scripts/train_lens_network.py"


rule find_lenses:
    input:
        **REAL_LENSES,
        **OWN_IMAGES,
        released=list(PUBLISHED_FINDERS.values()),
        images=LENS_IMAGES,
        finders=LENS_FINDERS,
        locator=LOCATOR,
        sorter=SORTER,
    output:
        accuracy=report(
            wilde("finder.csv"), caption="../report/lens_finder.rst", category="Lenses"
        ),
        recall=report(
            wilde("recall.csv"), caption="../report/lens_recall.rst", category="Lenses"
        ),
        roc=wilde("roc.csv"),
        completeness=wilde("completeness.csv"),
        matched=wilde("matched.csv"),
        f1_share=wilde("f1_share.csv"),
        position=wilde("position.csv"),
        sorter=wilde("sorter.csv"),
        real=report(
            wilde("real.csv"), caption="../report/lens_real.rst", category="Lenses"
        ),
        released=report(
            wilde("published_finders.csv"),
            caption="../report/released_finders.rst",
            category="Lenses",
        ),
        released_accuracy=wilde("published_accuracy.csv"),
        released_arcs=wilde("published_arcs.csv"),
        scores=wilde("scores.npz"),
        systems=wilde("systems.npz"),
    log:
        log_of("find_lenses"),
    benchmark:
        benchmark_of("find_lenses")
    priority: PRIORITY
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("find_lenses"),
    params:
        spec=spec(
            "find_lenses",
            ["seed", "learns", "wilde2022[images, published]"],
            survey=SURVEY,
            jax=True,
        ),
    script:
        "../../scripts/find_lenses.py"


rule explain_lenses:
    input:
        images=LENS_IMAGES,
        finders=LENS_FINDERS,
        locator=LOCATOR,
    output:
        shares=wilde("shares.csv"),
        agreement=wilde("agreement.csv"),
        arcs=report(wilde("arcs.csv"), caption="../report/arcs.rst", category="Lenses"),
        probes=report(
            wilde("probes.csv"), caption="../report/lens_probes.rst", category="Lenses"
        ),
        dreams=wilde("dreams.csv"),
        randomization=wilde("randomization.csv"),
        examples=wilde("examples.npz"),
    log:
        log_of("explain_lenses"),
    benchmark:
        benchmark_of("explain_lenses")
    priority: PRIORITY
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("explain_lenses"),
    params:
        spec=spec(
            "explain_lenses",
            ["seed", "wilde2022.images", "wilde2022.explanation"],
            survey=SURVEY,
            jax=True,
        ),
    script:
        "../../scripts/explain_lenses.py"


rule planted_cues:
    input:
        images=LENS_IMAGES,
    output:
        report(
            wilde("planted.csv"),
            caption="../report/planted_cues.rst",
            category="Lenses",
        ),
    log:
        log_of("planted_cues"),
    benchmark:
        benchmark_of("planted_cues")
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("planted_cues"),
    params:
        spec=resumable(
            "planted-cues",
            spec(
                "planted_cues",
                ["seed", "wilde2022[networks, explanation, cues]"],
                jax=True,
            ),
        ),
    script:
        "../../scripts/planted_cues.py"


rule plot_lenses:
    input:
        claims="paper/claims.yaml",
        scores=wilde("scores.npz"),
        systems=wilde("systems.npz"),
        examples=wilde("examples.npz"),
        tables=[
            wilde(f"{name}.csv")
            for name in (
                "finder",
                "recall",
                "roc",
                "completeness",
                "matched",
                "arcs",
                "position",
                "agreement",
                "shares",
                "probes",
                "planted",
                "f1_share",
                "dreams",
                "real",
            )
        ],
    output:
        [wilde(f"{name}.pdf") for name in FIGURES["wilde2022"]],
        report(
            [wilde(f"{name}.png") for name in FIGURES["wilde2022"]],
            caption="../report/lens_figures.rst",
            category="Lenses",
        ),
    log:
        log_of("plot_lenses"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("plot_lenses"),
    params:
        spec=figure_spec("plot_lenses", []),
    script:
        "../../scripts/plot.py"
