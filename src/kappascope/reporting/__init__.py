"""The ledger of claims, error bars, and the style of figures."""
