"""The claims ledger and the paper.

needs   every table and figure
makes   config.yaml (the effective config), {chapter}/findings.csv, claims.csv, paper.pdf
"""

from kappascope.reporting import findings


localrules:
    effective_config,
    write_claims,
    build_paper,


ALL_TABLES = [
    result(f"{chapter}/{name}.csv") for chapter in TABLES for name in TABLES[chapter]
]
ALL_FIGURES = [
    result(f"{chapter}/{name}.png") for chapter in FIGURES for name in FIGURES[chapter]
]


rule effective_config:
    output:
        result("config.yaml"),
    log:
        log_of("effective_config"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("effective_config"),
    params:
        spec=spec("write_config", [], effective=config),
    script:
        "../../scripts/write_config.py"


rule write_claims:
    input:
        ALL_TABLES,
        null_tables,
        claims="paper/claims.yaml",
        config=result("config.yaml"),
    output:
        collect(result("{chapter}/findings.csv"), chapter=findings.chapters()),
        claims=report(
            result("claims.csv"),
            caption="../report/claims.rst",
            category="Claims",
        ),
    log:
        log_of("write_claims"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("write_claims"),
    params:
        spec=spec("write_claims", [], findings.modules()),
    script:
        "../../scripts/write_claims.py"


rule build_paper:
    input:
        ALL_TABLES,
        ALL_FIGURES,
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
        **resources_of("build_paper"),
    params:
        spec=spec("build_paper", []),
    script:
        "../../scripts/build_paper.py"
