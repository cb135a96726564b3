"""Matilla et al. (2020): what a convolutional network learns about weak lensing."""
