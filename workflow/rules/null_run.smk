"""The rules of a null run: those of a run, without maps, paper and figures of one's own."""


include: "common.smk"
include: "networks.smk"
include: "matilla2020.smk"
include: "singh2020.smk"
include: "you2023.smk"
include: "wilde2022.smk"
include: "rosenzweig2021.smk"
