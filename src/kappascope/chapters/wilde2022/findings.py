"""What the talk of wilde2022 states of its tables: arcs and places against chance."""

from collections.abc import Iterator, Mapping
from typing import Any

from kappascope.reporting.findings import FINDINGS, Frame, Row, ratio, row


@FINDINGS.add("wilde2022.arcs", tables=["shares"])
def arcs(config: Mapping[str, Any], shares: Frame) -> Iterator[Row]:
    """Each method's share on the arcs of lenses over their share of the area."""
    chosen = shares[(shares.group == "lens") & (shares.region == "arcs") & (shares.output == 1)]
    for one in chosen.itertuples():
        if one.area_percent:
            scale = 1 / one.area_percent
            yield row(f"arcs_{one.method}", one.percent * scale, one.error * scale or None)


@FINDINGS.add("wilde2022.places", tables=["agreement"])
def places(config: Mapping[str, Any], agreement: Frame) -> Iterator[Row]:
    """How often a map's maximum lies within 5 pixels of the locator's place, over chance."""
    named = {"within_percent": "value", "within_error": "error"}
    columns = agreement[["method", "reference", *named]].rename(columns=named)
    for method, rows in columns.groupby("method"):
        by_reference = rows.set_index("reference")
        if by_reference.value.get("chance", 0):
            both = by_reference.loc["locator"], by_reference.loc["chance"]
            yield ratio(f"place_{method}", *both)
