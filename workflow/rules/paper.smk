"""The claims ledger and the paper.

needs   every table and figure
makes   config.yaml (the effective config), claims.csv, paper.pdf
"""


localrules:
    effective_config,
    write_claims,
    build_paper,


TABLES = (
    [
        matilla(f"{name}.csv")
        for name in (
            "table1",
            "areas",
            "correlations",
            "linear_model",
            "leave_one_out",
            "emulator_check",
            "covariance_convergence",
            "network_accuracy",
            "map_properties",
            *SALIENCY_TABLES,
        )
    ]
    + (
        [
            matilla("published_network_accuracy.csv"),
            matilla("published_network_leave_one_out.csv"),
        ]
        if PUBLISHED_NETWORK.exists()
        else []
    )
    + [singh(f"{name}.csv") for name in TRIM_TABLES]
    + [you(f"{name}.csv") for name in GROUP_TABLES if name != "groups"]
    + [wilde(f"{name}.csv") for name in LENS_TABLES]
    + [rosenzweig(f"{name}.csv") for name in NONLINEAR_TABLES]
)
FIGURES = (
    [
        matilla(f"{name}.png")
        for name in [
            figure for figure, name in CONTOUR_FIGURES.items() if name in DATA_SETS
        ]
        + [
            "fig3",
            "fig7",
            "validation",
            "gallery",
            "statistics",
            "learning_curve",
            "predicted_against_true",
        ]
        + SALIENCY_FIGURES
        + (["published_network_contour"] if PUBLISHED_NETWORK.exists() else [])
    ]
    + [singh(f"{name}.png") for name in TRIM_FIGURES]
    + [you(f"{name}.png") for name in GROUP_FIGURES]
    + [wilde(f"{name}.png") for name in LENS_FIGURES]
    + [rosenzweig(f"{name}.png") for name in NONLINEAR_FIGURES]
)


rule effective_config:
    output:
        result("config.yaml"),
    log:
        log_of("effective_config"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **needs.resources("effective_config", config),
    params:
        spec=spec("write_config", [], effective=config),
    script:
        "../../scripts/write_config.py"


rule write_claims:
    input:
        TABLES,
        claims="paper/claims.yaml",
        config=result("config.yaml"),
    output:
        report(
            result("claims.csv"),
            caption="../report/claims.rst",
            category="Claims",
        ),
    log:
        log_of("write_claims"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **needs.resources("write_claims", config),
    params:
        spec=spec("write_claims", []),
    script:
        "../../scripts/write_claims.py"


rule build_paper:
    input:
        TABLES,
        FIGURES,
        collect("paper/{name}", name=glob_wildcards("paper/{name,.+[.]typ}").name),
        collect(
            "paper/published/{name}",
            name=glob_wildcards("paper/published/{name,.+[.]csv}").name,
        ),
        config=result("config.yaml"),
        claims=result("claims.csv"),
        ledger="paper/claims.yaml",
    output:
        report(result("paper.pdf"), caption="../report/paper.rst", category="Paper"),
    log:
        log_of("build_paper"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **needs.resources("build_paper", config),
    params:
        spec=spec("build_paper", []),
    script:
        "../../scripts/build_paper.py"
