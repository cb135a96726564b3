"""Nonlinear saliency maps: what they show of classifiers and regressors (rosenzweig2021)."""
