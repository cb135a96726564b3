"""One function a figure, one house style; nothing here imports JAX."""
