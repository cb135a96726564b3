"""Figures of Singh et al. (2020)."""
