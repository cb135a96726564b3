"""Which pixels? Saliency maps, the randomization test, relevance by convergence (matilla2020 IV).

needs   maps, networks
makes   matilla2020/table2.{csv,tex}, table2_maps.csv, null_test.csv, method_agreement.csv,
        randomization.csv, sensitivity.csv, relevance.csv, relevance_shares.csv, known_answers.csv, fig4 to fig6 and the figures of
        those tables
"""


localrules:
    gather_table2,
    plot_saliency_examples,
    plot_randomization,
    plot_relevance,
    plot_sensitivity,
    plot_known_answers,


SALIENCY = result("saliency/{data_set}")
RELEVANCE_FIGURES = {"fig5": "noiseless", "fig6": "noisy"}
CONTROLS = [
    "true_labels",
    "permuted_labels",
    "noise_only",
    "planted_low",
    "planted_high",
]
KNOWN = result("saliency/known_answers/{control}/{number}/network.npz")
KNOWN_NUMBERS = list(range(config["known_answers"]["networks"]))
SALIENCY_FIGURES = (
    [f"fig4_{name}" for name in DATA_SETS]
    + [figure for figure, name in RELEVANCE_FIGURES.items() if name in DATA_SETS]
    + [f"randomization_{name}" for name in DATA_SETS]
    + ["sensitivity", "known_answers"]
)
SALIENCY_TABLES = [
    "table2",
    "table2_maps",
    "null_test",
    "method_agreement",
    "randomization",
    "sensitivity",
    "relevance",
    "relevance_shares",
    "known_answers",
]


rule randomize:
    input:
        maps=MAPS,
        networks=expand(NETWORK, number=NETWORK_NUMBERS, allow_missing=True),
    output:
        curves=f"{SALIENCY}/randomization.csv",
        full=f"{SALIENCY}/table2_maps.csv",
        agreement=f"{SALIENCY}/method_agreement.csv",
        sensitivity=f"{SALIENCY}/sensitivity.csv",
        examples=f"{SALIENCY}/examples.npz",
    log:
        log_of("randomize_{data_set}"),
    benchmark:
        benchmark_of("randomize_{data_set}")
    priority: 5
    conda:
        "../../envs/environment.yaml"
    resources:
        **needs.resources("randomize", config),
    params:
        spec=lambda wildcards: spec(
            "randomize",
            ["seed", "cosmology", "maps", "noise", "saliency"],
            data_set=wildcards.data_set,
            jax=True,
        ),
    script:
        "../../scripts/randomize.py"


rule relevance:
    input:
        maps=MAPS,
        networks=expand(NETWORK, number=NETWORK_NUMBERS, allow_missing=True),
    output:
        bins=f"{SALIENCY}/relevance.csv",
        shares=f"{SALIENCY}/relevance_shares.csv",
    log:
        log_of("relevance_{data_set}"),
    benchmark:
        benchmark_of("relevance_{data_set}")
    conda:
        "../../envs/environment.yaml"
    resources:
        **needs.resources("relevance", config),
    params:
        spec=lambda wildcards: spec(
            "relevance",
            ["seed", "maps", "noise", "saliency"],
            data_set=wildcards.data_set,
            jax=True,
        ),
    script:
        "../../scripts/relevance.py"


rule gather_table2:
    input:
        **{
            name: expand(f"{SALIENCY}/{file}.csv", data_set=DATA_SETS)
            for name, file in {
                "curves": "randomization",
                "full": "table2_maps",
                "sensitivity": "sensitivity",
                "agreement": "method_agreement",
                "bins": "relevance",
                "shares": "relevance_shares",
            }.items()
        },
    output:
        table2=report(
            matilla("table2.csv"),
            caption="../report/table2.rst",
            category="Saliency",
        ),
        latex=matilla("table2.tex"),
        maps=matilla("table2_maps.csv"),
        null_test=matilla("null_test.csv"),
        agreement=matilla("method_agreement.csv"),
        curves=matilla("randomization.csv"),
        sensitivity=matilla("sensitivity.csv"),
        bins=matilla("relevance.csv"),
        shares=report(
            matilla("relevance_shares.csv"),
            caption="../report/relevance_shares.rst",
            category="Saliency",
        ),
    log:
        log_of("gather_table2"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **needs.resources("gather_table2", config),
    params:
        spec=spec("table2", []),
    script:
        "../../scripts/table2.py"


rule plot_saliency_examples:
    input:
        examples=f"{SALIENCY}/examples.npz",
    output:
        pdf=matilla("fig4_{data_set}.pdf"),
        png=report(
            matilla("fig4_{data_set}.png"),
            caption="../report/fig4.rst",
            category="Saliency",
        ),
    log:
        log_of("plot_saliency_examples_{data_set}"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **needs.resources("plot_saliency_examples", config),
    params:
        spec=lambda wildcards: spec(
            "plot_saliency_examples", [], data_set=wildcards.data_set
        ),
    script:
        "../../scripts/plot_saliency_examples.py"


rule plot_randomization:
    input:
        randomization=matilla("randomization.csv"),
    output:
        pdf=matilla("randomization_{data_set}.pdf"),
        png=report(
            matilla("randomization_{data_set}.png"),
            caption="../report/randomization.rst",
            category="Saliency",
        ),
    log:
        log_of("plot_randomization_{data_set}"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **needs.resources("plot_randomization", config),
    params:
        spec=lambda wildcards: spec(
            "plot_randomization", [], data_set=wildcards.data_set
        ),
    script:
        "../../scripts/plot_randomization.py"


rule plot_relevance:
    input:
        relevance=matilla("relevance.csv"),
    output:
        pdf=matilla("{figure}.pdf"),
        png=report(
            matilla("{figure}.png"),
            caption="../report/relevance.rst",
            category="Saliency",
        ),
    log:
        log_of("plot_{figure}"),
    wildcard_constraints:
        figure="fig5|fig6",
    conda:
        "../../envs/environment.yaml"
    resources:
        **needs.resources("plot_relevance", config),
    params:
        spec=lambda wildcards: spec(
            "plot_relevance", [], data_set=RELEVANCE_FIGURES[wildcards.figure]
        ),
    script:
        "../../scripts/plot_relevance.py"


rule plot_sensitivity:
    input:
        sensitivity=matilla("sensitivity.csv"),
        examples=expand(f"{SALIENCY}/examples.npz", data_set=DATA_SETS),
    output:
        pdf=matilla("sensitivity.pdf"),
        png=report(
            matilla("sensitivity.png"),
            caption="../report/sensitivity.rst",
            category="Saliency",
        ),
    log:
        log_of("plot_sensitivity"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **needs.resources("plot_sensitivity", config),
    params:
        spec=spec("plot_sensitivity", [], data_sets=DATA_SETS),
    script:
        "../../scripts/plot_sensitivity.py"


rule known_answers:
    input:
        MAPS,
    output:
        networks=expand(KNOWN, number=KNOWN_NUMBERS, allow_missing=True),
        descriptions=expand(
            result("saliency/known_answers/{control}/{number}/network.json"),
            number=KNOWN_NUMBERS,
            allow_missing=True,
        ),
    log:
        log_of("known_answers_{control}"),
    benchmark:
        benchmark_of("known_answers_{control}")
    wildcard_constraints:
        control="|".join(CONTROLS),
    conda:
        "../../envs/environment.yaml"
    resources:
        **needs.resources("known_answers", config),
    params:
        spec=known_answers_spec,
    script:
        "../../scripts/known_answers.py"


rule judge_methods:
    input:
        expand(KNOWN, control=CONTROLS, number=KNOWN_NUMBERS),
    output:
        report(
            matilla("known_answers.csv"),
            caption="../report/known_answers.rst",
            category="Saliency",
        ),
    log:
        log_of("judge_methods"),
    benchmark:
        benchmark_of("judge_methods")
    conda:
        "../../envs/environment.yaml"
    resources:
        **needs.resources("judge_methods", config),
    params:
        spec=spec("judge_methods", ["seed", "saliency"], jax=True),
    script:
        "../../scripts/judge_methods.py"


rule plot_known_answers:
    input:
        known_answers=matilla("known_answers.csv"),
    output:
        pdf=matilla("known_answers.pdf"),
        png=matilla("known_answers.png"),
    log:
        log_of("plot_known_answers"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **needs.resources("plot_known_answers", config),
    params:
        spec=spec("plot_known_answers", []),
    script:
        "../../scripts/plot_known_answers.py"
