"""Null runs: the tables of networks that learned nothing, beside those of the run.

needs   maps, statistics, images
makes   null/{kind}/: as the chapters make them, with networks that are untrained or were trained on
        permuted labels
"""

from kappascope.reporting import findings, published

for kind in NULL_CONFIGS:

    module:
        name: kind
        snakefile:
            "null_run.smk"
        config:
            {"null_run": NULL_CONFIGS[kind]}


if "untrained" in NULL_CONFIGS:

    use rule * from untrained exclude measure_statistics, simulate_lenses as untrained_*


if "permuted_labels" in NULL_CONFIGS:

    use rule * from permuted_labels exclude measure_statistics, simulate_lenses as permuted_labels_*


def null_tables(wildcards):
    """Tables of the null runs that the ledger reads."""
    claimed = published.load_claims(ROOT / "paper/claims.yaml")
    names = findings.tables_of_networks(claimed)
    made = {f"{chapter}/{name}.csv" for chapter in TABLES for name in TABLES[chapter]}
    return [
        result(f"{published.NULL_RUNS}/{kind}/{name}")
        for kind in NULL_CONFIGS
        for name in names
        if name in made and name.split("/")[0] in getattr(CONFIG.nulls, kind)
    ]
