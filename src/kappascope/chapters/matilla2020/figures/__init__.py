"""Figures of Matilla et al. (2020)."""
