"""Attribution methods by name, and the names that stand for many."""

from kappascope.attribution.methods import Method, find
from kappascope.attribution.registry import METHODS as REGISTRY

ENTRIES = REGISTRY.entries().values()
METHODS: dict[str, Method] = {
    entry.name: find(entry.name) for entry in ENTRIES if "pattern" not in entry.info
}
PATTERNS = [entry.name for entry in ENTRIES if "pattern" in entry.info]
