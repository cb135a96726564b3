"""What the talk of wilde2022 states of its tables: places against chance."""

from collections.abc import Iterator, Mapping
from typing import Any

from kappascope.reporting.findings import FINDINGS, Frame, Row, ratio


@FINDINGS.add("wilde2022.places", tables=["agreement"])
def places(config: Mapping[str, Any], agreement: Frame) -> Iterator[Row]:
    """How often a map's maximum lies within 5 pixels of the locator's place, over chance."""
    named = {"within_percent": "value", "within_error": "error"}
    chosen = agreement[agreement.point == "maximum"]
    columns = chosen[["method", "reference", *named]].rename(columns=named)
    for method, rows in columns.groupby("method"):
        by_reference = rows.set_index("reference")
        if by_reference.value.get("chance", 0):
            both = by_reference.loc["locator"], by_reference.loc["chance"]
            yield ratio(f"place_{method}", *both)
