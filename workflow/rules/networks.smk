"""The 18-convolution network: training, outputs for every map, how well it does.

needs   maps
makes   networks/{data_set}/{number}/network.{json,npz}, networks/{data_set}/predictions.nc,
        matilla2020/{learning_curve,predicted_against_true}.{pdf,png}, network_accuracy.csv
"""


localrules:
    plot_networks,
    network_accuracy,


# The longest jobs start first, so that no core waits for the last of them.
rule train_network:
    input:
        MAPS,
    output:
        network=NETWORK,
        description=result("networks/{data_set}/{number}/network.json"),
        history=result("networks/{data_set}/{number}/history.csv"),
    log:
        log_of("train_{data_set}_{number}"),
    benchmark:
        benchmark_of("train_{data_set}_{number}")
    priority: PRIORITY + 10
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("train_network"),
    params:
        spec=lambda wildcards: resumable(
            f"{wildcards.data_set}-{wildcards.number}",
            spec(
                "train_network",
                ["seed", "maps", "noise", "learns"],
                network=ONE_NETWORK,
                data_set=wildcards.data_set,
                index=network_index(wildcards),
                jax=True,
            ),
        ),
    script:
        "../../scripts/train_network.py"


rule predict:
    input:
        maps=MAPS,
        networks=expand(NETWORK, number=NETWORK_NUMBERS, allow_missing=True),
    output:
        PREDICTIONS,
    log:
        log_of("predict_{data_set}"),
    benchmark:
        benchmark_of("predict_{data_set}")
    priority: PRIORITY
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("predict"),
    params:
        spec=lambda wildcards: spec(
            "predict",
            ["seed", "maps", "noise"],
            data_set=wildcards.data_set,
            jax=True,
        ),
    script:
        "../../scripts/predict.py"


rule plot_networks:
    input:
        histories=expand(
            result("networks/{data_set}/{number}/history.csv"),
            data_set=DATA_SETS,
            number=NETWORK_NUMBERS,
        ),
        predictions=expand(PREDICTIONS, data_set=DATA_SETS),
    output:
        learning=report(
            matilla("learning_curve.png"),
            caption="../report/learning_curve.rst",
            category="Networks",
        ),
        learning_pdf=matilla("learning_curve.pdf"),
        predicted=report(
            matilla("predicted_against_true.png"),
            caption="../report/predicted_against_true.rst",
            category="Networks",
        ),
        predicted_pdf=matilla("predicted_against_true.pdf"),
    log:
        log_of("plot_networks"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("plot_networks"),
    params:
        spec=figure_spec("plot_networks", ["network[networks]"], data_sets=DATA_SETS),
    script:
        "../../scripts/plot.py"


rule network_accuracy:
    input:
        statistics=expand(STATISTICS, data_set=DATA_SETS),
        predictions=expand(PREDICTIONS, data_set=DATA_SETS),
    output:
        network_accuracy=report(
            matilla("network_accuracy.csv"),
            caption="../report/network_accuracy.rst",
            category="Networks",
        ),
    log:
        log_of("network_accuracy"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("network_accuracy"),
    params:
        spec=spec(
            "network_accuracy",
            ["seed", "matilla2020.constraints", "cosmology.fiducial"],
            data_sets=DATA_SETS,
        ),
    script:
        "../../scripts/network_accuracy.py"
