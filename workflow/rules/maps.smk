"""Convergence maps: simulated light cones, or an archive; their statistics; the maps against theory.

needs   config/cosmologies.csv, or the archive at maps.path
makes   results/maps/{digest}/batch_{k}.h5, matilla2020/{validation,gallery}.{pdf,png},
        statistics/{data_set}.nc, map_properties.csv, validation_{moments,power}.csv
"""

from kappascope.cosmology.table import is_fiducial


localrules:
    plot_maps,


if SIMULATED:
    COSMOLOGIES = [
        [row["cosmology"], row["omega_matter"], row["sigma_8"]]
        for row in sorted(ROWS, key=lambda row: row["cosmology"])
    ]
    FIDUCIAL = next(
        row["cosmology"] for row in ROWS if is_fiducial(row, CONFIG.cosmology.fiducial)
    )

    rule simulate_maps:
        output:
            f"{MAPS_BATCH}.h5",
        log:
            f"{MAPS_BATCH}.log",
        benchmark:
            f"{MAPS_BATCH}.tsv"
        conda:
            "../../envs/environment.yaml"
        resources:
            **resources_of("simulate_maps"),
        params:
            spec=lambda wildcards: spec(
                "simulate_maps",
                ["seed", "cosmology", "simulation"],
                maps=MAPS_MADE_FROM["maps"],
                cosmologies=COSMOLOGIES,
                fiducial=FIDUCIAL,
                batch=int(wildcards.batch),
                jax=True,
            ),
        script:
            "../../scripts/simulate_maps.py"

else:

    rule import_maps:
        input:
            LISTED_FILES,
        output:
            MAPS,
        log:
            f"{MAPS_FOLDER}/import.log",
        benchmark:
            f"{MAPS_FOLDER}/import.tsv"
        conda:
            "../../envs/environment.yaml"
        resources:
            **resources_of("import_maps"),
        params:
            spec=lambda wildcards: spec(
                "import_maps",
                ["seed", "cosmology.fiducial"],
                maps=MAPS_MADE_FROM["maps"],
            ),
        script:
            "../../scripts/import_maps.py"


rule validate_maps:
    input:
        MAPS,
    output:
        arrays=result("maps/validation.npz"),
        power=matilla("validation_power.csv"),
        moments=matilla("validation_moments.csv"),
        properties=report(
            matilla("map_properties.csv"),
            caption="../report/map_properties.rst",
            category="Maps",
        ),
    log:
        log_of("validate_maps"),
    benchmark:
        benchmark_of("validate_maps")
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("validate_maps"),
    params:
        spec=spec(
            "validate_maps",
            ["seed", "cosmology", "cosmology.fiducial", "maps", "noise"],
            data_sets=DATA_SETS,
            jax=True,
        ),
    script:
        "../../scripts/validate_maps.py"


rule plot_maps:
    input:
        arrays=rules.validate_maps.output.arrays,
        power=rules.validate_maps.output.power,
        moments=rules.validate_maps.output.moments,
    output:
        gallery=report(
            matilla("gallery.png"), caption="../report/gallery.rst", category="Maps"
        ),
        gallery_pdf=matilla("gallery.pdf"),
        validation=report(
            matilla("validation.png"),
            caption="../report/validation.rst",
            category="Maps",
        ),
        validation_pdf=matilla("validation.pdf"),
    log:
        log_of("plot_maps"),
    conda:
        "../../envs/environment.yaml"
    resources:
        **resources_of("plot_maps"),
    params:
        spec=figure_spec("plot_maps", [], data_sets=DATA_SETS),
    script:
        "../../scripts/plot.py"


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
        **resources_of("measure_statistics"),
    params:
        spec=lambda wildcards: spec(
            "measure_statistics",
            ["seed", "maps", "noise", "statistics"],
            data_set=wildcards.data_set,
            jax=True,
        ),
    script:
        "../../scripts/measure_statistics.py"
