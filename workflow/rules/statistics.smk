"""Statistics of every map, one job a data set.

needs   maps
makes   statistics/{data_set}.nc, matilla2020/statistics.{pdf,png}
"""


localrules:
    plot_statistics,


rule measure_statistics:
    input:
        MAPS,
    output:
        STATISTICS,
    log:
        log_of("measure_statistics_{data_set}"),
    benchmark:
        benchmark_of("measure_statistics_{data_set}")
    conda:
        "../../envs/environment.yaml"
    resources:
        **needs.resources("measure_statistics", config),
    params:
        spec=lambda wildcards: spec(
            "measure_statistics",
            ["seed", "maps", "noise", "statistics"],
            data_set=wildcards.data_set,
            jax=True,
        ),
    script:
        "../../scripts/measure_statistics.py"


rule plot_statistics:
    input:
        expand(STATISTICS, data_set=DATA_SETS),
    output:
        pdf=matilla("statistics.pdf"),
        png=matilla("statistics.png"),
        csv=matilla("statistics.csv"),
    log:
        log_of("plot_statistics"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **needs.resources("plot_statistics", config),
    params:
        spec=spec("plot_statistics", [], data_sets=DATA_SETS),
    script:
        "../../scripts/plot_statistics.py"
