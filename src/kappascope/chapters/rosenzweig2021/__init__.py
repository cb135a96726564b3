"""Rosenzweig et al. (2021): nonlinear saliency."""
