"""Convergence maps: on disk, from archives, with shape noise, smoothed.

Import what you need from the modules: :mod:`~kappascope.maps.dataset` (HDF5 batches),
:mod:`~kappascope.maps.noise`, :mod:`~kappascope.maps.smoothing` (needs jax) and
:mod:`~kappascope.maps.archives` (other people's maps).
"""
