"""Gravitational optics of galaxies: deflection, multi-plane ray shooting, Sérsic light.

Angles are in arcsec, on the sky of the observer. Conventions are those of lenstronomy, against
which tests compare: ellipses are a factor √q narrower and wider than the circle of the same area,
position angles are counted from x to y, Einstein radii belong to the last source plane.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Array = Any
TINY = 1e-9
"""Keeps the direction at a deflector's very centre defined [arcsec]."""


class Deflector(NamedTuple):
    """Singular isothermal ellipsoids with external shear; every field is a number or an array.

    Attributes
    ----------
    einstein_radius : θ_E [arcsec] of the convergence θ_E / (2 √(q x² + y²/q)).
    axis_ratio : q, minor over major axis, below 1.
    angle : of the major axis [rad].
    x, y : centre [arcsec].
    shear_1, shear_2 : external shear.

    """

    einstein_radius: Array
    axis_ratio: Array
    angle: Array
    x: Array
    y: Array
    shear_1: Array
    shear_2: Array


class Light(NamedTuple):
    """Sérsic profiles; every field is a number or an array.

    Attributes
    ----------
    radius : half-light radius [arcsec], of the circle of the same area.
    index : Sérsic index n.
    axis_ratio, angle : q and direction of the major axis [rad].
    x, y : centre [arcsec].

    """

    radius: Array
    index: Array
    axis_ratio: Array
    angle: Array
    x: Array
    y: Array


def _rotated(x: Array, y: Array, angle: Array) -> tuple[Array, Array]:
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    return cosine * x + sine * y, cosine * y - sine * x


def deflection(deflector: Deflector, x: Array, y: Array) -> tuple[Array, Array]:
    """Return the deflection [arcsec] at (x, y) (Kormann et al. 1994; Keeton 2001, eq. 3.24).

    The shear's deflection vanishes at the deflector's centre.
    """
    x, y = x - deflector.x, y - deflector.y
    along, across = _rotated(x, y, deflector.angle)
    q = deflector.axis_ratio
    flattening = jnp.sqrt(1 - q**2)
    scale = deflector.einstein_radius * jnp.sqrt(q) / flattening
    psi = jnp.sqrt(q**2 * along**2 + across**2) + TINY
    first = scale * jnp.arctan(flattening * along / psi)
    second = scale * jnp.arctanh(flattening * across / psi)
    back_x, back_y = _rotated(first, second, -deflector.angle)
    return (
        back_x + deflector.shear_1 * x + deflector.shear_2 * y,
        back_y + deflector.shear_2 * x - deflector.shear_1 * y,
    )


def shoot(
    deflectors: Sequence[Deflector], scaling: Array, x: Array, y: Array
) -> list[tuple[Array, Array]]:
    """Follow rays back through one or two deflectors at different distances.

    Parameters
    ----------
    deflectors : the nearest first; deflections are for the last source plane.
    scaling : share β of the first one's deflection that counts for the second one's plane,
        D₁₂ D_s / (D₂ D_1s).
    x, y : where rays reach the observer [arcsec].

    Returns
    -------
    Where the rays cross each later plane: behind one deflector the source's, else the second
    deflector's and the source's.

    """
    first = deflection(deflectors[0], x, y)
    last = x - first[0], y - first[1]
    if len(deflectors) == 1:
        return [last]
    middle = x - scaling * first[0], y - scaling * first[1]
    second = deflection(deflectors[1], *middle)
    return [middle, (last[0] - second[0], last[1] - second[1])]


def sersic_b(index: Array) -> Array:
    """Return b_n, such that half the light lies within the radius: 1.9992 n − 0.3271."""
    return 1.9992 * index - 0.3271


def brightness(light: Light, x: Array, y: Array) -> Array:
    """Return the surface brightness at (x, y), relative to that at the half-light radius."""
    radius = elliptical_radius(light, x, y) / light.radius
    return jnp.exp(-sersic_b(light.index) * (radius ** (1 / light.index) - 1))


def effective_area(light: Light) -> Array:
    """Return total light over brightness at the half-light radius [arcsec²] (Ciotti 1991)."""
    n, b = light.index, sersic_b(light.index)
    gamma = jnp.exp(jax.scipy.special.gammaln(2 * n))
    return 2 * jnp.pi * n * light.radius**2 * jnp.exp(b) * b ** (-2 * n) * gamma


def elliptical_radius(light: Light, x: Array, y: Array) -> Array:
    """Return the radius [arcsec] of the circle as large as the ellipse through (x, y)."""
    along, across = _rotated(x - light.x, y - light.y, light.angle)
    q = light.axis_ratio
    return jnp.sqrt(q * along**2 + across**2 / q) + TINY


def spiral_arms(light: Light, x: Array, y: Array, strength: Array, winding: Array) -> Array:
    """Return the factor that two logarithmic arms change a disc's light by, positive.

    Parameters
    ----------
    strength : of the arms, below 1.
    winding : radians for each factor e in radius; its sign is the sense.

    """
    along, across = _rotated(x - light.x, y - light.y, light.angle)
    azimuth = jnp.arctan2(across / light.axis_ratio, along)
    radius = elliptical_radius(light, x, y) / light.radius
    # No arms in the middle: they begin at half the half-light radius.
    begun = radius**2 / (radius**2 + 0.25)
    return 1 + strength * begun * jnp.cos(2 * (azimuth - winding * jnp.log(radius)))
