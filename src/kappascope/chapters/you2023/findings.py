"""What you2023 states of its tables and set-up."""

from collections.abc import Iterator, Mapping
from typing import Any

from kappascope.reporting.findings import FINDINGS, Frame, Row, row


@FINDINGS.add("you2023.theorem", network=False, tables=["theorem"])
def theorem(config: Mapping[str, Any], table: Frame) -> Iterator[Row]:
    """Largest total error of one group of all features, for monomials."""
    errors = table[table.function == "monomial"].grouped_error.abs()
    yield row("grouped_error", errors.max())


@FINDINGS.add("you2023.setup", network=False, tables=[])
def setup(config: Mapping[str, Any]) -> Iterator[Row]:
    """Numbers of the set-up that follow from the config."""
    section = config["you2023"]
    yield row("maps", section["model"]["training"] * config["cosmology"]["number"])
    yield row("pixel_arcmin", config["maps"]["pixel_arcmin"] * section["rebin"])
