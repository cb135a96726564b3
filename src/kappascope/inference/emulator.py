"""The expected data vector between the simulated cosmologies.

A Clough-Tocher interpolant (piecewise cubic on the Delaunay triangles, C1) in (omega_matter,
sigma_8) of the mean data vectors (matilla2020 §III). It is linear in the values at its nodes, so
interpolating the identity matrix once gives weights that serve every data vector and bootstrap.
"""

import functools

import numpy as np
from scipy.interpolate import CloughTocher2DInterpolator
from scipy.spatial import Delaunay, QhullError

from kappascope.errors import InputError

# The nodes' gradients come from an iteration whose tolerance is absolute where gradients are below
# 1, so that a power spectrum of 1e-9 would stop at its first guess; weights are of order 1.
_TOLERANCE = 1e-12
_ITERATIONS = 5000


class Emulator:
    """Interpolation weights of a set of cosmologies.

    Arguments
    ---------
    parameters : (cosmology, 2) omega_matter and sigma_8 of the nodes.
    """

    def __init__(self, parameters: np.ndarray) -> None:
        self.parameters = np.asarray(parameters, dtype=np.float64)
        if len(self.parameters) < 4:
            raise InputError(
                f"cosmology.number: the emulator has {len(self.parameters)} cosmologies, at least "
                "4 are needed; simulate more"
            )
        try:
            self.triangles = Delaunay(self.parameters)
        except QhullError as error:
            raise InputError(
                "cosmology.table: the cosmologies lie on one line in (omega_matter, sigma_8), so "
                "nothing can be interpolated between them; spread them out"
            ) from error
        if self.triangles.coplanar.size:
            raise InputError(
                "cosmology.table: two cosmologies of the testing split have the same "
                "(omega_matter, sigma_8); keep one"
            )
        self._interpolate = CloughTocher2DInterpolator(
            self.triangles, np.eye(len(self.parameters)), tol=_TOLERANCE, maxiter=_ITERATIONS
        )

    @property
    def bounds(self) -> np.ndarray:
        """(2, 2) lowest and highest (omega_matter, sigma_8) of the nodes."""
        return np.stack([self.parameters.min(axis=0), self.parameters.max(axis=0)])

    @functools.cached_property
    def hull(self) -> np.ndarray:
        """Nodes on the convex hull, where no interpolation without them is possible: (node,)."""
        return np.unique(self.triangles.convex_hull)

    def weights(self, points: np.ndarray) -> np.ndarray:
        """Return what each node contributes at ``points``.

        Parameters
        ----------
        points : (point, 2).

        Returns
        -------
        (point, cosmology); the rows sum to 1 and are NaN outside the hull.

        """
        return np.asarray(self._interpolate(np.asarray(points, dtype=np.float64)))

    def contains(self, points: np.ndarray) -> np.ndarray:
        """Tell which ``points`` (point, 2) lie inside the hull: (point,) bool."""
        return self.triangles.find_simplex(np.asarray(points, dtype=np.float64)) >= 0

    def predict(self, means: np.ndarray, omega_matter: float, sigma_8: float) -> np.ndarray:
        """Return the vector expected at one cosmology.

        Parameters
        ----------
        means : (cosmology, bin) mean data vectors at the nodes.
        omega_matter, sigma_8 : where.

        Returns
        -------
        (bin,)

        Raises
        ------
        InputError
            Outside the hull of the nodes: this emulator does not extrapolate.

        """
        weights = self.weights(np.array([[omega_matter, sigma_8]]))[0]
        if not np.isfinite(weights).all():
            low, high = self.bounds
            raise InputError(
                f"cosmology (omega_matter, sigma_8) = ({omega_matter:g}, {sigma_8:g}) lies outside "
                f"the hull of the simulated ones, which spans omega_matter {low[0]:g} to "
                f"{high[0]:g} and sigma_8 {low[1]:g} to {high[1]:g}; choose one inside or simulate "
                "more"
            )
        return weights @ means
