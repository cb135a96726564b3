"""Which structures? Sum-of-parts models, voids and clusters, attributions compared (you2023).

needs   maps
makes   you2023/: theorem.csv, groups.csv, weights.csv, weight_order.csv, weight_sweep.csv, weight_histogram.csv,
        regions.csv, region_order.csv, region_area.csv, accuracy.csv, baselines.csv, best.csv,
        mask_area.csv, planted.csv, planted_weights.csv and the figures theorem, weights, sweep,
        gallery, structures, regions, baselines, mask_area, attributions, planted; networks/, models/, parts.npz (masks and scores)
"""


localrules:
    gather_baselines,
    plot_theorem,
    plot_groups,
    plot_baselines,


GROUPS = CONFIG.you2023
GROUP_NETWORK = {
    **ONE_NETWORK,
    **GROUPS.network.model_dump(exclude={"networks", "masked_share"}),
    "architecture": "cosmogrid_cnn",
}
GROUP_NUMBERS = list(range(GROUPS.network.networks))
GROUP_NETWORKS = you("networks/{number}/network.npz")
GROUP_MODELS = you("models/{number}.npz")
TABLES["you2023"] = [
    "theorem",
    "theorem_growth",
    "accuracy",
    "weights",
    "weight_order",
    "weight_sweep",
    "weight_sweep_order",
    "weight_histogram",
    "regions",
    "region_order",
    "region_area",
    "baselines",
    "best",
    "mask_area",
    "planted",
    "planted_weights",
]


rule theorem:
    output:
        table=report(
            you("theorem.csv"), caption="../report/theorem.rst", category="Groups"
        ),
        growth=you("theorem_growth.csv"),
    log:
        log_of("theorem"),
    benchmark:
        benchmark_of("theorem")
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("theorem"),
    params:
        spec=spec("theorem", ["you2023[theorem]"]),
    script:
        "../../scripts/theorem.py"


rule plot_theorem:
    input:
        table=you("theorem.csv"),
    output:
        pdf=you("theorem.pdf"),
        png=report(
            you("theorem.png"), caption="../report/theorem.rst", category="Groups"
        ),
    log:
        log_of("plot_theorem"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("plot_theorem"),
    params:
        spec=figure_spec("plot_theorem", []),
    script:
        "../../scripts/plot.py"


rule train_group_network:
    input:
        MAPS,
    output:
        network=GROUP_NETWORKS,
        description=you("networks/{number}/network.json"),
        history=you("networks/{number}/history.csv"),
    log:
        log_of("train_group_network_{number}"),
    benchmark:
        benchmark_of("train_group_network_{number}")
    priority: PRIORITY + 9
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("train_group_network"),
    params:
        spec=lambda wildcards: resumable(
            f"groups-{wildcards.number}",
            spec(
                "train_network",
                ["seed", "maps", "noise", "learns"],
                network=GROUP_NETWORK,
                data_set=GROUPS.data_set,
                rebin=GROUPS.rebin,
                masked_share=GROUPS.network.masked_share,
                index=network_index(wildcards),
                jax=True,
            ),
        ),
    script:
        "../../scripts/train_network.py"


rule train_sum_of_parts:
    input:
        maps=MAPS,
        network=GROUP_NETWORKS,
        description=you("networks/{number}/network.json"),
    output:
        model=GROUP_MODELS,
        history=you("models/{number}_history.csv"),
    log:
        log_of("train_sum_of_parts_{number}"),
    benchmark:
        benchmark_of("train_sum_of_parts_{number}")
    priority: PRIORITY + 9
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("train_sum_of_parts"),
    params:
        spec=lambda wildcards: resumable(
            f"parts-{wildcards.number}",
            spec(
                "train_sum_of_parts",
                [
                    *("seed", "maps", "noise", "learns"),
                    "you2023[data_set, rebin, segments, model]",
                ],
                checkpoint_every_seconds=CONFIG.network.checkpoint_every_seconds,
                index=network_index(wildcards),
                jax=True,
            ),
        ),
    script:
        "../../scripts/train_sum_of_parts.py"


rule explain_groups:
    input:
        maps=MAPS,
        networks=expand(GROUP_NETWORKS, number=GROUP_NUMBERS),
        models=expand(GROUP_MODELS, number=GROUP_NUMBERS),
    output:
        groups=you("groups.csv"),
        weights=report(
            you("weights.csv"), caption="../report/weights.rst", category="Groups"
        ),
        order=you("weight_order.csv"),
        sweep=you("weight_sweep.csv"),
        sweep_order=you("weight_sweep_order.csv"),
        histogram=you("weight_histogram.csv"),
        regions=report(
            you("regions.csv"), caption="../report/regions.rst", category="Groups"
        ),
        region_order=you("region_order.csv"),
        region_area=you("region_area.csv"),
        accuracy=report(
            you("accuracy.csv"),
            caption="../report/parts_accuracy.rst",
            category="Groups",
        ),
        parts=you("parts.npz"),
        examples=you("examples.npz"),
    log:
        log_of("explain_groups"),
    benchmark:
        benchmark_of("explain_groups")
    priority: PRIORITY
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("explain_groups"),
    params:
        spec=spec(
            "explain_groups",
            [
                "seed",
                "maps",
                "noise",
                "you2023[data_set, rebin, segments, model, structures]",
            ],
            jax=True,
        ),
    script:
        "../../scripts/explain_groups.py"


rule planted_structures:
    output:
        table=report(
            you("planted.csv"),
            caption="../report/planted_structures.rst",
            category="Groups",
        ),
        weights=you("planted_weights.csv"),
    log:
        log_of("planted_structures"),
    benchmark:
        benchmark_of("planted_structures")
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("planted_structures"),
    params:
        spec=resumable(
            "planted-structures",
            spec(
                "planted_structures",
                ["seed", "you2023[model, structures, baselines, planted]"],
                network=GROUP_NETWORK,
                jax=True,
            ),
        ),
    script:
        "../../scripts/planted_structures.py"


rule compare_attributions:
    input:
        maps=MAPS,
        network=GROUP_NETWORKS,
        model=GROUP_MODELS,
    output:
        maps=you("comparison/{number}.csv"),
        areas=you("comparison/{number}_areas.csv"),
        examples=you("comparison/{number}.npz"),
    log:
        log_of("compare_attributions_{number}"),
    benchmark:
        benchmark_of("compare_attributions_{number}")
    priority: PRIORITY + 5
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("compare_attributions"),
    params:
        spec=lambda wildcards: spec(
            "compare_attributions",
            [
                "seed",
                "maps",
                "noise",
                "you2023[data_set, rebin, segments, model, baselines]",
            ],
            index=network_index(wildcards),
            jax=True,
        ),
    script:
        "../../scripts/compare_attributions.py"


rule gather_baselines:
    input:
        rows=expand(you("comparison/{number}.csv"), number=GROUP_NUMBERS),
        areas=expand(you("comparison/{number}_areas.csv"), number=GROUP_NUMBERS),
        accuracy=you("accuracy.csv"),
    output:
        table=report(
            you("baselines.csv"), caption="../report/baselines.rst", category="Groups"
        ),
        best=you("best.csv"),
        mask_area=report(
            you("mask_area.csv"), caption="../report/mask_area.rst", category="Groups"
        ),
    log:
        log_of("gather_baselines"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("gather_baselines"),
    params:
        spec=spec("gather_baselines", []),
    script:
        "../../scripts/gather_baselines.py"


rule plot_groups:
    input:
        histogram=you("weight_histogram.csv"),
        weights=you("weights.csv"),
        sweep=you("weight_sweep.csv"),
        regions=you("regions.csv"),
        region_order=you("region_order.csv"),
        region_area=you("region_area.csv"),
        examples=you("examples.npz"),
        claims="paper/claims.yaml",
    output:
        weights=report(
            you("weights.png"), caption="../report/weights.rst", category="Groups"
        ),
        weights_pdf=you("weights.pdf"),
        sweep=report(
            you("sweep.png"), caption="../report/weight_sweep.rst", category="Groups"
        ),
        sweep_pdf=you("sweep.pdf"),
        gallery=report(
            you("gallery.png"), caption="../report/groups.rst", category="Groups"
        ),
        gallery_pdf=you("gallery.pdf"),
        structures=report(
            you("structures.png"), caption="../report/groups.rst", category="Groups"
        ),
        structures_pdf=you("structures.pdf"),
        regions=report(
            you("regions.png"), caption="../report/regions.rst", category="Groups"
        ),
        regions_pdf=you("regions.pdf"),
    log:
        log_of("plot_groups"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("plot_groups"),
    params:
        spec=figure_spec(
            "plot_groups",
            [],
            field_arcmin=CONFIG.maps.pixels * CONFIG.maps.pixel_arcmin,
            thresholds={
                "void": GROUPS.structures.void_below,
                "cluster": GROUPS.structures.cluster_above,
            },
        ),
    script:
        "../../scripts/plot.py"


rule plot_baselines:
    input:
        table=you("baselines.csv"),
        areas=you("mask_area.csv"),
        examples=you("comparison/0.npz"),
        planted=you("planted.csv"),
    output:
        png=report(
            you("baselines.png"), caption="../report/baselines.rst", category="Groups"
        ),
        pdf=you("baselines.pdf"),
        mask_area=report(
            you("mask_area.png"), caption="../report/mask_area.rst", category="Groups"
        ),
        mask_area_pdf=you("mask_area.pdf"),
        attributions=report(
            you("attributions.png"),
            caption="../report/attributions.rst",
            category="Groups",
        ),
        attributions_pdf=you("attributions.pdf"),
        planted=report(
            you("planted.png"),
            caption="../report/planted_structures.rst",
            category="Groups",
        ),
        planted_pdf=you("planted.pdf"),
    log:
        log_of("plot_baselines"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("plot_baselines"),
    params:
        spec=figure_spec("plot_baselines", []),
    script:
        "../../scripts/plot.py"
