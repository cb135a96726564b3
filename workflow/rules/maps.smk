"""Convergence maps: simulated light cones, or an archive; then the maps against theory.

needs   config/cosmologies.csv, or the archive at maps.path
makes   results/maps/{digest}/batch_{k}.h5, matilla2020/{validation,gallery}.{pdf,png},
        map_properties.csv, validation_{moments,power}.csv
"""

if config["maps"]["source"] == "simulation":

    rule simulate_maps:
        output:
            MAPS_FOLDER + "/batch_{batch}.h5",
        params:
            spec=lambda wildcards: spec(
                "simulate_maps",
                ["seed", "cosmology", "simulation"],
                maps=_made_from["maps"],
                cosmologies=COSMOLOGIES,
                fiducial=FIDUCIAL,
                batch=int(wildcards.batch),
                jax=True,
            ),
        log:
            MAPS_FOLDER + "/batch_{batch}.log",
        benchmark:
            MAPS_FOLDER + "/batch_{batch}.tsv"
        resources:
            mem_mb=2500,
            gpu=1,
        conda:
            "../../envs/environment.yaml"
        script:
            "../../scripts/simulate_maps.py"

else:

    rule import_maps:
        output:
            MAPS,
        params:
            spec=lambda wildcards: spec(
                "import_maps",
                ["seed", "cosmology", "maps"],
                fiducial=config["cosmology"]["fiducial"],
            ),
        log:
            MAPS_FOLDER + "/import.log",
        benchmark:
            MAPS_FOLDER + "/import.tsv"
        resources:
            mem_mb=2500,
        conda:
            "../../envs/environment.yaml"
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
    params:
        spec=spec(
            "validate_maps",
            ["seed", "cosmology", "maps", "noise"],
            cosmologies=COSMOLOGIES,
            fiducial=FIDUCIAL,
            data_sets=DATA_SETS,
            jax=True,
        ),
    log:
        log_of("validate_maps"),
    benchmark:
        benchmark_of("validate_maps")
    conda:
        "../../envs/environment.yaml"
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
    params:
        spec=spec("plot_maps", [], data_sets=DATA_SETS),
    log:
        log_of("plot_maps"),
    conda:
        "../../envs/environment.yaml"
    script:
        "../../scripts/plot_maps.py"
