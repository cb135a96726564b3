"""kappascope: what does a network look at when it reads a lensing image?

    snakemake --cores all                       the default tier
    snakemake --cores all --config tier=smoke   another tier; variants=... adds variants
    snakemake --cores 2 matilla2020_table1      one table or figure of a paper; singh2020: all of one

Results of a run lie under results/{run}/, simulated maps (shared by runs that differ only further
down) under results/maps/. Configuration: config/README.md.
"""

from snakemake.utils import min_version

min_version("9.27")


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/start.smk"
include: "workflow/rules/maps.smk"
include: "workflow/rules/networks.smk"
include: "workflow/rules/matilla2020.smk"
include: "workflow/rules/singh2020.smk"
include: "workflow/rules/you2023.smk"
include: "workflow/rules/wilde2022.smk"
include: "workflow/rules/rosenzweig2021.smk"
include: "workflow/rules/nulls.smk"
include: "workflow/rules/paper.smk"
include: "workflow/rules/own.smk"


rule all:
    default_target: True
    input:
        everything(),


rule maps:
    input:
        MAPS,
        matilla("validation.pdf"),


rule statistics:
    input:
        expand(STATISTICS, data_set=DATA_SETS),
        matilla("statistics.pdf"),


rule networks:
    input:
        expand(NETWORK, data_set=DATA_SETS, number=NETWORK_NUMBERS),
        matilla("learning_curve.pdf"),
        matilla("network_accuracy.csv"),


for target, made in targets().items():

    rule:
        name:
            target
        input:
            made,


rule claims:
    input:
        result("claims.csv"),


rule paper:
    input:
        result("paper.pdf"),
