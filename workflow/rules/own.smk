"""Figures that the user's own files declare (`extensions`), and that no chapter has.

needs   the files of this run that a declaration reads
makes   own/{stem}.pdf and .png
"""

OWN_FIGURES = {
    name: entry
    for name, entry in DRAWN.entries().items()
    if name not in DRAWN.names(own=True)
}
for name, entry in OWN_FIGURES.items():
    if not entry.info.get("reads") or not entry.info.get("makes"):
        refuse(
            f"{entry.file}: figure {name!r} needs makes=(...), stems of its files, and "
            "reads=(...), the files below results/{run}/ that it is drawn from; add them"
        )
    FIGURES.setdefault("own", []).extend(entry.info["makes"])
if OWN_FIGURES:
    TABLES["own"] = []


for figure, entry in OWN_FIGURES.items():

    rule:
        name:
            figure
        input:
            [result(file) for file in entry.info["reads"]],
        output:
            [
                result(f"own/{stem}.{ending}")
                for stem in entry.info["makes"]
                for ending in ("pdf", "png")
            ],
        log:
            log_of(figure),
        localrule: True
        conda:
            "../../envs/environment.yaml"
        resources:
            **resources_of(figure),
        params:
            spec=figure_spec(figure, []),
        script:
            "../../scripts/plot.py"
