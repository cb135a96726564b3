"""Matilla et al. (2020): what a convolutional network learns about weak lensing.

needs   maps, statistics/{data_set}.nc, networks/
makes   matilla2020/: Table I (table1, areas, dropped_bins, ...), Figures 1-3 and 7, the linear
        model, checks of the emulator; Table II (table2, null_test, randomization, ...), Figures
        4-6, relevance by convergence, synthetic controls
"""


localrules:
    summarize_statistics,
    plot_statistics,
    gather_table1,
    plot_fig1,
    plot_fig2,
    correlations,
    plot_fig3,
    fit_linear_model,
    plot_fig7,
    plot_published_network,
    gather_table2,
    plot_saliency_examples,
    plot_randomization,
    gather_information,
    plot_information,
    plot_relevance,
    plot_sensitivity,
    plot_known_answers,


CONTOUR_FIGURES = {"fig1": "noiseless", "fig2": "noisy"}


rule constrain:
    input:
        statistics=STATISTICS,
        predictions=PREDICTIONS,
    output:
        areas=matilla("constraints/areas_{data_set}.csv"),
        changes=matilla("constraints/changes_{data_set}.csv"),
        posteriors=matilla("constraints/posteriors_{data_set}.npz"),
        dropped_bins=matilla("constraints/dropped_bins_{data_set}.csv"),
    log:
        log_of("constrain_{data_set}"),
    benchmark:
        benchmark_of("constrain_{data_set}")
    priority: PRIORITY
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("constrain"),
    params:
        spec=lambda wildcards: spec(
            "constrain",
            ["seed", "statistics", "matilla2020.constraints", "cosmology.fiducial"],
            data_set=wildcards.data_set,
        ),
    script:
        "../../scripts/constrain.py"


rule gather_table1:
    input:
        changes=expand(rules.constrain.output.changes, data_set=DATA_SETS),
        areas=expand(rules.constrain.output.areas, data_set=DATA_SETS),
        dropped_bins=expand(rules.constrain.output.dropped_bins, data_set=DATA_SETS),
    output:
        table1=report(
            matilla("table1.csv"),
            caption="../report/table1.rst",
            category="Constraints",
        ),
        latex=matilla("table1.tex"),
        areas=report(
            matilla("areas.csv"),
            caption="../report/areas.rst",
            category="Constraints",
        ),
        beyond=matilla("beyond_the_paper.csv"),
        dropped_bins=matilla("dropped_bins.csv"),
    log:
        log_of("table1"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("gather_table1"),
    params:
        spec=spec("table1", []),
    script:
        "../../scripts/table1.py"


for number, data_set in CONTOUR_FIGURES.items():

    if data_set in DATA_SETS:

        rule:
            name:
                f"plot_{number}"
            input:
                posteriors=matilla(f"constraints/posteriors_{data_set}.npz"),
            output:
                png=report(
                    matilla(f"{number}.png"),
                    caption=f"../report/{number}.rst",
                    category="Constraints",
                ),
                pdf=matilla(f"{number}.pdf"),
            log:
                log_of(f"plot_{number}"),
            conda:
                "../../envs/environment.yaml"
            resources:
                **resources_of(f"plot_{number}"),
            params:
                spec=figure_spec("plot_contours", [], data_set=data_set),
            script:
                "../../scripts/plot.py"


rule correlations:
    input:
        statistics=expand(STATISTICS, data_set=DATA_SETS),
        predictions=expand(PREDICTIONS, data_set=DATA_SETS),
    output:
        correlations=matilla("correlations.csv"),
    log:
        log_of("correlations"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("correlations"),
    params:
        spec=spec(
            "correlations",
            ["statistics", "cosmology.fiducial"],
            data_sets=DATA_SETS,
        ),
    script:
        "../../scripts/correlations.py"


rule plot_fig3:
    input:
        correlations=matilla("correlations.csv"),
    output:
        png=report(
            matilla("fig3.png"), caption="../report/fig3.rst", category="Constraints"
        ),
        pdf=matilla("fig3.pdf"),
    log:
        log_of("plot_fig3"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("plot_fig3"),
    params:
        spec=figure_spec("plot_fig3", [], data_sets=DATA_SETS),
    script:
        "../../scripts/plot.py"


rule fit_linear_model:
    input:
        statistics=expand(STATISTICS, data_set=DATA_SETS),
        predictions=expand(PREDICTIONS, data_set=DATA_SETS),
    output:
        linear_model=report(
            matilla("linear_model.csv"),
            caption="../report/linear_model.rst",
            category="Constraints",
        ),
        latex=matilla("linear_model.tex"),
    log:
        log_of("linear_model"),
    benchmark:
        benchmark_of("linear_model")
    priority: PRIORITY
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("fit_linear_model"),
    params:
        spec=spec(
            "linear_model",
            ["statistics", "cosmology.fiducial"],
            data_sets=DATA_SETS,
        ),
    script:
        "../../scripts/linear_model.py"


rule emulator_checks:
    input:
        statistics=expand(STATISTICS, data_set=DATA_SETS),
        predictions=expand(PREDICTIONS, data_set=DATA_SETS),
    output:
        leave_one_out=report(
            matilla("leave_one_out.csv"),
            caption="../report/leave_one_out.rst",
            category="Constraints",
        ),
        emulator_check=report(
            matilla("emulator_check.csv"),
            caption="../report/emulator_check.rst",
            category="Constraints",
        ),
        covariance_convergence=report(
            matilla("covariance_convergence.csv"),
            caption="../report/covariance_convergence.rst",
            category="Constraints",
        ),
        posteriors=matilla("constraints/emulator_checks.npz"),
    log:
        log_of("emulator_checks"),
    benchmark:
        benchmark_of("emulator_checks")
    priority: PRIORITY
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("emulator_checks"),
    params:
        spec=spec(
            "emulator_checks",
            ["seed", "statistics", "matilla2020.constraints", "cosmology.fiducial"],
            data_sets=DATA_SETS,
        ),
    script:
        "../../scripts/emulator_checks.py"


rule plot_fig7:
    input:
        posteriors=rules.emulator_checks.output.posteriors,
    output:
        png=report(
            matilla("fig7.png"), caption="../report/fig7.rst", category="Constraints"
        ),
        pdf=matilla("fig7.pdf"),
    log:
        log_of("plot_fig7"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("plot_fig7"),
    params:
        spec=figure_spec("plot_fig7", [], data_sets=DATA_SETS),
    script:
        "../../scripts/plot.py"


rule published_network:
    input:
        network=PUBLISHED_NETWORK,
    output:
        areas=matilla("published_network_areas.csv"),
        accuracy=matilla("published_network_accuracy.csv"),
        leave_one_out=matilla("published_network_leave_one_out.csv"),
        posteriors=matilla("constraints/published_network.npz"),
    log:
        log_of("published_network"),
    benchmark:
        benchmark_of("published_network")
    priority: PRIORITY
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("published_network"),
    params:
        spec=spec(
            "published_network",
            ["seed", "matilla2020.constraints", "cosmology.fiducial"],
        ),
    script:
        "../../scripts/published_network.py"


rule plot_published_network:
    input:
        published=rules.published_network.output.posteriors,
        ours=(
            [matilla("constraints/posteriors_noiseless.npz")]
            if "noiseless" in DATA_SETS
            else []
        ),
    output:
        png=report(
            matilla("published_network_contour.png"),
            caption="../report/published_network_contour.rst",
            category="Constraints",
        ),
        pdf=matilla("published_network_contour.pdf"),
    log:
        log_of("plot_published_network"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("plot_published_network"),
    params:
        spec=figure_spec("plot_published_network", ["maps"]),
    script:
        "../../scripts/plot.py"


rule summarize_statistics:
    input:
        expand(STATISTICS, data_set=DATA_SETS),
    output:
        matilla("statistics.csv"),
    log:
        log_of("summarize_statistics"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("summarize_statistics"),
    params:
        spec=spec("summarize_statistics", []),
    script:
        "../../scripts/summarize_statistics.py"


rule plot_statistics:
    input:
        table=matilla("statistics.csv"),
    output:
        pdf=matilla("statistics.pdf"),
        png=matilla("statistics.png"),
    log:
        log_of("plot_statistics"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("plot_statistics"),
    params:
        spec=figure_spec("plot_statistics", [], data_sets=DATA_SETS),
    script:
        "../../scripts/plot.py"


# ---- which pixels? (section IV) ----


SALIENCY = matilla("saliency/{data_set}")
RELEVANCE_FIGURES = {"fig5": "noiseless", "fig6": "noisy"}
CONTROLS = [
    "true_labels",
    "permuted_labels",
    "noise_only",
    "planted_low",
    "planted_high",
]
KNOWN = matilla("saliency/known_answers/{control}/{number}/network.npz")
KNOWN_NUMBERS = list(range(CONFIG.matilla2020.known_answers.networks))
TABLES["matilla2020"] = [
    *("table1", "areas", "correlations", "linear_model", "leave_one_out"),
    *("emulator_check", "covariance_convergence", "network_accuracy", "map_properties"),
    *("table2", "table2_maps", "null_test", "method_agreement", "randomization"),
    *("sensitivity", "relevance", "relevance_shares", "known_answers"),
    *("information", "method_shares", "information_ranking"),
    *(
        ("published_network_accuracy", "published_network_leave_one_out")
        if PUBLISHED_NETWORK.exists()
        else ()
    ),
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
        shares=f"{SALIENCY}/method_shares.csv",
        examples=f"{SALIENCY}/examples.npz",
    log:
        log_of("randomize_{data_set}"),
    benchmark:
        benchmark_of("randomize_{data_set}")
    priority: PRIORITY + 5
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("randomize"),
    params:
        spec=lambda wildcards: spec(
            "randomize",
            ["seed", "cosmology", "maps", "noise", "matilla2020.saliency"],
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
    priority: PRIORITY
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("relevance"),
    params:
        spec=lambda wildcards: spec(
            "relevance",
            ["seed", "maps", "noise", "matilla2020.saliency"],
            data_set=wildcards.data_set,
            jax=True,
        ),
    script:
        "../../scripts/relevance.py"


rule information:
    input:
        maps=MAPS,
        networks=expand(NETWORK, number=NETWORK_NUMBERS, allow_missing=True),
    output:
        f"{SALIENCY}/information.csv",
    log:
        log_of("information_{data_set}"),
    benchmark:
        benchmark_of("information_{data_set}")
    priority: PRIORITY
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("information"),
    params:
        spec=lambda wildcards: spec(
            "information",
            [
                *("seed", "cosmology", "maps", "noise", "statistics"),
                "matilla2020.constraints[likelihood, sky_deg2]",
                "matilla2020.information",
            ],
            data_set=wildcards.data_set,
            jax=True,
        ),
    script:
        "../../scripts/information.py"


rule gather_information:
    input:
        information=expand(f"{SALIENCY}/information.csv", data_set=DATA_SETS),
        shares=expand(f"{SALIENCY}/method_shares.csv", data_set=DATA_SETS),
    output:
        information=matilla("information.csv"),
        shares=matilla("method_shares.csv"),
        ranking=report(
            matilla("information_ranking.csv"),
            caption="../report/information.rst",
            category="Saliency",
        ),
    log:
        log_of("gather_information"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("gather_information"),
    params:
        spec=spec("gather_information", ["seed"]),
    script:
        "../../scripts/gather_information.py"


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
        **resources_of("gather_table2"),
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
        **resources_of("plot_saliency_examples"),
    params:
        spec=lambda wildcards: figure_spec(
            "plot_saliency_examples", [], data_set=wildcards.data_set
        ),
    script:
        "../../scripts/plot.py"


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
        **resources_of("plot_randomization"),
    params:
        spec=lambda wildcards: figure_spec(
            "plot_randomization", [], data_set=wildcards.data_set
        ),
    script:
        "../../scripts/plot.py"


rule plot_information:
    input:
        information=matilla("information.csv"),
        shares=matilla("method_shares.csv"),
    output:
        pdf=matilla("information.pdf"),
        png=report(
            matilla("information.png"),
            caption="../report/information.rst",
            category="Saliency",
        ),
    log:
        log_of("plot_information"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("plot_information"),
    params:
        spec=figure_spec("plot_information", [], data_sets=DATA_SETS),
    script:
        "../../scripts/plot.py"


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
        **resources_of("plot_relevance"),
    params:
        spec=lambda wildcards: figure_spec(
            "plot_relevance", [], data_set=RELEVANCE_FIGURES[wildcards.figure]
        ),
    script:
        "../../scripts/plot.py"


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
        **resources_of("plot_sensitivity"),
    params:
        spec=figure_spec("plot_sensitivity", [], data_sets=DATA_SETS),
    script:
        "../../scripts/plot.py"


rule known_answers:
    input:
        MAPS,
    output:
        networks=expand(KNOWN, number=KNOWN_NUMBERS, allow_missing=True),
        descriptions=expand(
            matilla("saliency/known_answers/{control}/{number}/network.json"),
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
        **resources_of("known_answers"),
    params:
        spec=lambda wildcards: resumable(
            wildcards.control,
            spec(
                "known_answers",
                ["seed", "maps", "noise", "matilla2020.known_answers"],
                network=ONE_NETWORK,
                control=wildcards.control,
                jax=True,
            ),
        ),
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
        **resources_of("judge_methods"),
    params:
        spec=spec("judge_methods", ["seed", "matilla2020.saliency"], jax=True),
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
        **resources_of("plot_known_answers"),
    params:
        spec=figure_spec("plot_known_answers", []),
    script:
        "../../scripts/plot.py"
