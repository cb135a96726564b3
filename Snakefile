"""kappascope: what does a network look at when it reads a lensing image?

    snakemake --cores all                       the default tier
    snakemake --cores all --config tier=smoke   another tier; variants=... adds variants
    snakemake --cores 2 table1                  one table or figure by its number in the paper

Results of a run lie under results/{run}/, simulated maps (shared by runs that differ only further
down) under results/maps/. Configuration: config/README.md.
"""

from snakemake.utils import min_version

min_version("9.27")


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/maps.smk"
include: "workflow/rules/statistics.smk"
include: "workflow/rules/networks.smk"
include: "workflow/rules/constraints.smk"
include: "workflow/rules/saliency.smk"
include: "workflow/rules/trim.smk"
include: "workflow/rules/groups.smk"
include: "workflow/rules/lenses.smk"
include: "workflow/rules/nonlinear.smk"
include: "workflow/rules/paper.smk"


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


rule constraints:
    input:
        matilla("areas.csv"),
        matilla("emulator_check.csv"),


rule table1:
    input:
        matilla("table1.csv"),
        matilla("table1.tex"),


rule table2:
    input:
        matilla("table2.csv"),
        matilla("table2.tex"),


rule fig1:
    input:
        matilla("fig1.pdf"),


rule fig2:
    input:
        matilla("fig2.pdf"),


rule fig3:
    input:
        matilla("fig3.pdf"),


rule fig4:
    input:
        expand(matilla("fig4_{data_set}.pdf"), data_set=DATA_SETS),


rule fig5:
    input:
        matilla("fig5.pdf"),


rule fig6:
    input:
        matilla("fig6.pdf"),


rule fig7:
    input:
        matilla("fig7.pdf"),


rule saliency:
    input:
        [matilla(f"{name}.pdf") for name in SALIENCY_FIGURES],
        [matilla(f"{name}.csv") for name in SALIENCY_TABLES],


rule trim:
    input:
        [singh(f"{name}.pdf") for name in TRIM_FIGURES],
        [singh(f"{name}.csv") for name in TRIM_TABLES],


rule trim_table1:
    input:
        singh("table1.csv"),
        singh("table1.tex"),


rule trim_fig2:
    input:
        singh("fig2.pdf"),


rule trim_fig3:
    input:
        singh("fig3.pdf"),


rule trim_fig4:
    input:
        singh("fig4.pdf"),


rule trim_figS1:
    input:
        singh("figS1.pdf"),


rule trim_figS2:
    input:
        singh("figS2.pdf"),


rule trim_figS3:
    input:
        singh("figS3.pdf"),


rule groups:
    input:
        [you(f"{name}.pdf") for name in GROUP_FIGURES],
        [you(f"{name}.csv") for name in GROUP_TABLES],


rule lenses:
    input:
        [wilde(f"{name}.pdf") for name in LENS_FIGURES],
        [wilde(f"{name}.csv") for name in LENS_TABLES],


rule nonlinear:
    input:
        [rosenzweig(f"{name}.pdf") for name in NONLINEAR_FIGURES],
        [rosenzweig(f"{name}.csv") for name in NONLINEAR_TABLES],


rule linear_model:
    input:
        matilla("linear_model.csv"),
        matilla("linear_model.tex"),


rule published_network_contour:
    input:
        matilla("published_network_contour.pdf"),


rule claims:
    input:
        result("claims.csv"),


rule paper:
    input:
        result("paper.pdf"),
