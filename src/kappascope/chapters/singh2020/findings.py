"""What singh2020 states of its tables: the peak on the published axis, and the set-up."""

from collections.abc import Iterator, Mapping
from typing import Any

from kappascope.reporting.findings import FINDINGS, Frame, Row, row


@FINDINGS.add("singh2020.peak", tables=["band_peaks"])
def peak(config: Mapping[str, Any], peaks: Frame) -> Iterator[Row]:
    """Multipole of the peak for Ω_m on the axis of Figs. 3 and 4."""
    chosen = peaks[(peaks.parameter == "omega_matter") & (peaks.method == "cd")]
    for one in chosen[chosen.group == "all"].itertuples():
        scale = one.ell_published_axis / one.ell
        yield row("peak_ell_published_axis", one.ell_published_axis, scale * one.error)


@FINDINGS.add("singh2020.setup", network=False, tables=[])
def setup(config: Mapping[str, Any]) -> Iterator[Row]:
    """Numbers of the set-up that follow from the config."""
    number = config["cosmology"]["number"]
    yield row("maps", config["maps"]["training"] * number)
    yield row("test_maps", config["maps"]["testing"] * number)
