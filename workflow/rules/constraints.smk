"""Constraints: credible areas, Table I, Figures 1-3 and 7, the linear model.

needs   statistics/{data_set}.nc, networks/{data_set}/predictions.nc
makes   matilla2020/{table1,areas,correlations,linear_model,leave_one_out,emulator_check,
        covariance_convergence,...}.csv and figures
"""


localrules:
    gather_table1,
    plot_fig1,
    plot_fig2,
    correlations,
    plot_fig3,
    fit_linear_model,
    plot_fig7,
    plot_published_network,


FIDUCIAL_PARAMETERS = config["cosmology"]["fiducial"]
CONTOUR_FIGURES = {"fig1": "noiseless", "fig2": "noisy"}


rule constrain:
    input:
        statistics=STATISTICS,
        predictions=PREDICTIONS,
    output:
        areas=result("constraints/areas_{data_set}.csv"),
        changes=result("constraints/changes_{data_set}.csv"),
        posteriors=result("constraints/posteriors_{data_set}.npz"),
        dropped_bins=result("constraints/dropped_bins_{data_set}.csv"),
    log:
        log_of("constrain_{data_set}"),
    benchmark:
        benchmark_of("constrain_{data_set}")
    conda:
        "../../envs/environment.yaml"
    resources:
        **needs.resources("constrain", config),
    params:
        spec=lambda wildcards: spec(
            "constrain",
            ["seed", "statistics", "constraints"],
            data_set=wildcards.data_set,
            fiducial=FIDUCIAL_PARAMETERS,
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
        **needs.resources("gather_table1", config),
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
                posteriors=result(f"constraints/posteriors_{data_set}.npz"),
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
                **needs.resources(f"plot_{number}", config),
            params:
                spec=spec("plot_contours", [], data_set=data_set),
            script:
                "../../scripts/plot_contours.py"


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
        **needs.resources("correlations", config),
    params:
        spec=spec(
            "correlations",
            ["statistics"],
            data_sets=DATA_SETS,
            fiducial=FIDUCIAL_PARAMETERS,
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
        **needs.resources("plot_fig3", config),
    params:
        spec=spec("plot_correlations", [], data_sets=DATA_SETS),
    script:
        "../../scripts/plot_correlations.py"


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
    conda:
        "../../envs/environment.yaml"
    resources:
        **needs.resources("fit_linear_model", config),
    params:
        spec=spec(
            "linear_model",
            ["statistics"],
            data_sets=DATA_SETS,
            fiducial=FIDUCIAL_PARAMETERS,
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
        posteriors=result("constraints/emulator_checks.npz"),
    log:
        log_of("emulator_checks"),
    benchmark:
        benchmark_of("emulator_checks")
    conda:
        "../../envs/environment.yaml"
    resources:
        **needs.resources("emulator_checks", config),
    params:
        spec=spec(
            "emulator_checks",
            ["seed", "statistics", "constraints"],
            data_sets=DATA_SETS,
            fiducial=FIDUCIAL_PARAMETERS,
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
        **needs.resources("plot_fig7", config),
    params:
        spec=spec("plot_emulator_checks", [], data_sets=DATA_SETS),
    script:
        "../../scripts/plot_emulator_checks.py"


rule published_network:
    input:
        network=PUBLISHED_NETWORK,
    output:
        areas=matilla("published_network_areas.csv"),
        accuracy=matilla("published_network_accuracy.csv"),
        leave_one_out=matilla("published_network_leave_one_out.csv"),
        posteriors=result("constraints/published_network.npz"),
    log:
        log_of("published_network"),
    benchmark:
        benchmark_of("published_network")
    conda:
        "../../envs/environment.yaml"
    resources:
        **needs.resources("published_network", config),
    params:
        spec=spec(
            "published_network",
            ["seed", "constraints"],
            fiducial=FIDUCIAL_PARAMETERS,
        ),
    script:
        "../../scripts/published_network.py"


rule plot_published_network:
    input:
        published=rules.published_network.output.posteriors,
        ours=(
            [result("constraints/posteriors_noiseless.npz")]
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
        **needs.resources("plot_published_network", config),
    params:
        spec=spec("plot_published_network", ["maps"]),
    script:
        "../../scripts/plot_published_network.py"
