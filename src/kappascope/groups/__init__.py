"""Groups of features: which structures of a map a network reads (you2023)."""
