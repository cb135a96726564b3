"""Statistics of convergence maps: each takes a map to a vector.

:mod:`~kappascope.statistics.kernels` holds the paper's five, :mod:`~kappascope.statistics.registry`
says how to add one, :mod:`~kappascope.statistics.measure` applies any of them to maps.
"""
