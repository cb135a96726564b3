"""Flat ΛCDM: parameters, background, growth and power spectra; importable without JAX."""
