"""Spaces in which an image can be explained: Fourier bands, wavelets, matrices, segments."""
