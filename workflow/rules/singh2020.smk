"""Which scales? Attribution to transformations of the input (singh2020, TRIM).

needs   maps, networks; real digits and statements where there are any
makes   singh2020/: fig2 (topics), fig3, fig4, figS1, band_nulls (frequency bands of a κ network),
        planted_band, figS2 (sounds), figS3 (digits), table1 (a planted frequency), dictionary (learned transformations)
"""


localrules:
    compare_bands,
    plot_bands,
    plot_planted_frequency,
    plot_topics,
    plot_digits,
    plot_sounds,
    plot_dictionary,


BAND_NETWORK = {
    **ONE_NETWORK,
    **{
        name: config["singh2020"]["bands"][name]
        for name in ("architecture", "width", "epochs", "peak_learning_rate")
    },
    # A bias as large as the outputs would drown the scores of bands, which share it out.
    "output_bias": "zero",
}
BAND_MAPS = {
    **config["maps"],
    "smoothing_arcmin": config["singh2020"]["bands"]["smoothing_arcmin"],
}
BAND_NETWORKS = singh("networks/{number}/network.npz")
BANDS = singh("bands.npz")
TABLES["singh2020"] = [
    "band_accuracy",
    "band_curves",
    "band_peaks",
    "band_trends",
    "band_learned",
    "planted_band",
    "table1",
    "topics",
    "topics_accuracy",
    "digits",
    "digits_accuracy",
    "digits_agreement",
    "sounds",
    "sounds_curves",
    "sounds_accuracy",
    "dictionary",
]
STATEMENTS = real_files(statements="text/liar_plus_test2.tsv")
DIGITS = real_files(
    images="mnist/t10k-images-idx3-ubyte.gz",
    labels="mnist/t10k-labels-idx1-ubyte.gz",
    weights="mnist/trim_lenet.npz",
)
PUBLISHED_BANDS = real_files(published="published/trim_mean_curve_digitised.txt")


rule train_band_network:
    input:
        MAPS,
    output:
        network=BAND_NETWORKS,
        description=singh("networks/{number}/network.json"),
        history=singh("networks/{number}/history.csv"),
    log:
        log_of("train_band_network_{number}"),
    benchmark:
        benchmark_of("train_band_network_{number}")
    priority: PRIORITY + 9
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("train_band_network"),
    params:
        spec=lambda wildcards: resumable(
            f"bands-{wildcards.number}",
            spec(
                "train_network",
                ["seed", "noise", "learns"],
                network=BAND_NETWORK,
                maps=BAND_MAPS,
                data_set="noiseless",
                index=network_index(wildcards),
                jax=True,
            ),
        ),
    script:
        "../../scripts/train_network.py"


rule band_curves:
    input:
        maps=MAPS,
        networks=expand(
            BAND_NETWORKS, number=range(config["singh2020"]["bands"]["networks"])
        ),
    output:
        arrays=BANDS,
        accuracy=report(
            singh("band_accuracy.csv"),
            caption="../report/band_accuracy.rst",
            category="Transformations",
        ),
        curves=singh("band_curves.csv"),
        peaks=report(
            singh("band_peaks.csv"),
            caption="../report/band_peaks.rst",
            category="Transformations",
        ),
        trends=singh("band_trends.csv"),
    log:
        log_of("band_curves"),
    benchmark:
        benchmark_of("band_curves")
    priority: PRIORITY
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("band_curves"),
    params:
        spec=spec(
            "band_curves",
            ["seed", "noise", "singh2020.bands"],
            maps=BAND_MAPS,
            jax=True,
        ),
    script:
        "../../scripts/band_curves.py"


NULL_BANDS = null_files("singh2020", "band_curves.csv")


rule compare_bands:
    input:
        peaks=singh("band_peaks.csv"),
        nulls=list(null_files("singh2020", "band_peaks.csv").values()),
    output:
        report(
            singh("band_learned.csv"),
            caption="../report/band_learned.rst",
            category="Transformations",
        ),
    log:
        log_of("compare_bands"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("compare_bands"),
    params:
        spec=spec("compare_bands", [], kinds=list(NULL_BANDS)),
    script:
        "../../scripts/compare_bands.py"


rule plot_bands:
    input:
        **PUBLISHED_BANDS,
        arrays=BANDS,
        curves=singh("band_curves.csv"),
        nulls=list(NULL_BANDS.values()),
        planted=singh("planted_band.csv"),
    output:
        fig3=report(
            singh("fig3.png"),
            caption="../report/trim_fig3.rst",
            category="Transformations",
        ),
        fig3_pdf=singh("fig3.pdf"),
        fig4=report(
            singh("fig4.png"),
            caption="../report/trim_fig4.rst",
            category="Transformations",
        ),
        fig4_pdf=singh("fig4.pdf"),
        fig_s1=report(
            singh("figS1.png"),
            caption="../report/trim_fig4.rst",
            category="Transformations",
        ),
        fig_s1_pdf=singh("figS1.pdf"),
        nulls=report(
            singh("band_nulls.png"),
            caption="../report/band_learned.rst",
            category="Transformations",
        ),
        nulls_pdf=singh("band_nulls.pdf"),
        planted=report(
            singh("planted_band.png"),
            caption="../report/planted_band.rst",
            category="Transformations",
        ),
        planted_pdf=singh("planted_band.pdf"),
    log:
        log_of("plot_bands"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("plot_bands"),
    params:
        spec=figure_spec("plot_bands", [], kinds=list(NULL_BANDS)),
    script:
        "../../scripts/plot.py"


rule planted_band:
    output:
        report(
            singh("planted_band.csv"),
            caption="../report/planted_band.rst",
            category="Transformations",
        ),
    log:
        log_of("planted_band"),
    benchmark:
        benchmark_of("planted_band")
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("planted_band"),
    params:
        spec=resumable(
            "planted-band",
            spec(
                "planted_band",
                ["seed", "singh2020.planted_band"],
                network=BAND_NETWORK,
                jax=True,
            ),
        ),
    script:
        "../../scripts/planted_band.py"


rule planted_frequency:
    output:
        table1=report(
            singh("table1.csv"),
            caption="../report/trim_table1.rst",
            category="Transformations",
        ),
        latex=singh("table1.tex"),
        data_sets=singh("planted_frequency.csv"),
    log:
        log_of("planted_frequency"),
    benchmark:
        benchmark_of("planted_frequency")
    priority: PRIORITY
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("planted_frequency"),
    params:
        spec=spec(
            "planted_frequency",
            ["seed", "singh2020.planted_frequency", "learns"],
            jax=True,
        ),
    script:
        "../../scripts/planted_frequency.py"


rule plot_planted_frequency:
    input:
        table1=singh("table1.csv"),
        claims="paper/claims.yaml",
    output:
        pdf=singh("planted_frequency.pdf"),
        png=report(
            singh("planted_frequency.png"),
            caption="../report/trim_table1.rst",
            category="Transformations",
        ),
    log:
        log_of("plot_planted_frequency"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("plot_planted_frequency"),
    params:
        spec=figure_spec("plot_planted_frequency", []),
    script:
        "../../scripts/plot.py"


rule topics:
    input:
        **STATEMENTS,
    output:
        topics=singh("topics.csv"),
        accuracy=singh("topics_accuracy.csv"),
    log:
        log_of("topics"),
    benchmark:
        benchmark_of("topics")
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("topics"),
    params:
        spec=spec("topics", ["seed", "singh2020.topics"], jax=True),
    script:
        "../../scripts/topics.py"


rule plot_topics:
    input:
        topics=singh("topics.csv"),
        accuracy=singh("topics_accuracy.csv"),
    output:
        pdf=singh("fig2.pdf"),
        png=report(
            singh("fig2.png"),
            caption="../report/trim_fig2.rst",
            category="Transformations",
        ),
    log:
        log_of("plot_topics"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("plot_topics"),
    params:
        spec=figure_spec("plot_topics", []),
    script:
        "../../scripts/plot.py"


rule digits:
    input:
        **DIGITS,
    output:
        components=singh("digits.csv"),
        accuracy=singh("digits_accuracy.csv"),
        agreement=singh("digits_agreement.csv"),
        basis=singh("digits.npz"),
    log:
        log_of("digits"),
    benchmark:
        benchmark_of("digits")
    priority: PRIORITY
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("digits"),
    params:
        spec=spec(
            "digits", ["seed", "digits", "singh2020.basis_images", "learns"], jax=True
        ),
    script:
        "../../scripts/digits.py"


rule plot_digits:
    input:
        components=singh("digits.csv"),
        accuracy=singh("digits_accuracy.csv"),
        basis=singh("digits.npz"),
    output:
        pdf=singh("figS3.pdf"),
        png=report(
            singh("figS3.png"),
            caption="../report/trim_figS3.rst",
            category="Transformations",
        ),
    log:
        log_of("plot_digits"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("plot_digits"),
    params:
        spec=figure_spec("plot_digits", []),
    script:
        "../../scripts/plot.py"


rule sounds:
    output:
        shares=singh("sounds.csv"),
        curves=singh("sounds_curves.csv"),
        accuracy=singh("sounds_accuracy.csv"),
    log:
        log_of("sounds"),
    benchmark:
        benchmark_of("sounds")
    priority: PRIORITY
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("sounds"),
    params:
        spec=spec("sounds", ["seed", "singh2020.sounds", "learns"], jax=True),
    script:
        "../../scripts/sounds.py"


rule plot_sounds:
    input:
        shares=singh("sounds.csv"),
        curves=singh("sounds_curves.csv"),
    output:
        pdf=singh("figS2.pdf"),
        png=report(
            singh("figS2.png"),
            caption="../report/trim_figS2.rst",
            category="Transformations",
        ),
    log:
        log_of("plot_sounds"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("plot_sounds"),
    params:
        spec=figure_spec("plot_sounds", []),
    script:
        "../../scripts/plot.py"


rule learn_dictionaries:
    input:
        maps=MAPS,
        network=NETWORK.format(
            data_set=config["singh2020"]["dictionary"]["data_set"], number=0
        ),
    output:
        table=singh("dictionary.csv"),
        atoms=singh("atoms.npz"),
    log:
        log_of("learn_dictionaries"),
    benchmark:
        benchmark_of("learn_dictionaries")
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("learn_dictionaries"),
    params:
        spec=spec(
            "dictionary", ["seed", "maps", "noise", "singh2020.dictionary"], jax=True
        ),
    script:
        "../../scripts/dictionary.py"


rule plot_dictionary:
    input:
        table=singh("dictionary.csv"),
        atoms=singh("atoms.npz"),
    output:
        atoms=report(
            singh("atoms.png"),
            caption="../report/trim_atoms.rst",
            category="Transformations",
        ),
        atoms_pdf=singh("atoms.pdf"),
        trade_off=report(
            singh("dictionary.png"),
            caption="../report/trim_dictionary.rst",
            category="Transformations",
        ),
        trade_off_pdf=singh("dictionary.pdf"),
    log:
        log_of("plot_dictionary"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("plot_dictionary"),
    params:
        spec=figure_spec("plot_dictionary", []),
    script:
        "../../scripts/plot.py"
