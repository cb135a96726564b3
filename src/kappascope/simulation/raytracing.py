"""Multi-plane ray-tracing: light is bent at every lens plane (Jain, Seljak & White 2000).

With β the angle at which a ray pierces plane k and χ_k its distance (Hilbert et al. 2009, Eq. 14,
written for steps D = β_{k+1} - β_k):

    β_{k+1} = (1 - A) β_{k-1} + A β_k + C α_k(β_k)
    A = (χ_k / χ_{k+1}) (1 + (χ_{k+1} - χ_k)/(χ_k - χ_{k-1})),  C = -(χ_{k+1} - χ_k)/χ_{k+1}

and the same for the Jacobian ∂β/∂θ with C U_k ∂β_k/∂θ in place of C α_k, where U = ∂α/∂β is the
plane's shear matrix. The convergence is κ = 1 - (J₀₀ + J₁₁)/2.
"""

import math
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from kappascope.simulation.lightcone import Draws, Slabs

Array = Any


@jax.jit
def _lensing_fields(surface: Array) -> Array:
    """Deflection and shear fields of a periodic plane.

    surface (p, p): ∇²ψ in units where a plane pixel is the unit of length → (p, p, 5):
    ψ_x, ψ_y, ψ_xx, ψ_yy, ψ_xy.
    """
    pixels = surface.shape[-1]
    kx = 2 * jnp.pi * jnp.fft.fftfreq(pixels)[:, None]
    ky = 2 * jnp.pi * jnp.fft.rfftfreq(pixels)[None, :]
    squared = kx**2 + ky**2
    potential = -jnp.fft.rfft2(surface) / jnp.where(squared > 0, squared, 1.0)
    potential = jnp.where(squared > 0, potential, 0.0)
    # The derivative of a real field has no Nyquist mode.
    odd_x = jnp.where(jnp.abs(kx) < jnp.pi * (1 - 1e-6), 1j * kx, 0.0)
    odd_y = jnp.where(jnp.abs(ky) < jnp.pi * (1 - 1e-6), 1j * ky, 0.0)
    factors = (odd_x, odd_y, -(kx**2), -(ky**2), odd_x * odd_y)
    fields = [jnp.fft.irfft2(potential * factor, s=(pixels, pixels)) for factor in factors]
    return jnp.stack(fields, -1)


def _read(fields: Array, position: Array) -> Array:
    """Bilinear read-out of (p, p, c) fields at positions (..., 2) in plane pixels → (..., c)."""
    pixels = fields.shape[0]
    lower = jnp.floor(position)
    x, y = position[..., 0] - lower[..., 0], position[..., 1] - lower[..., 1]
    i = jnp.mod(lower.astype(jnp.int32), pixels)
    j = jnp.mod(i + 1, pixels)
    return (
        ((1 - x) * (1 - y))[..., None] * fields[i[..., 0], i[..., 1]]
        + (x * (1 - y))[..., None] * fields[j[..., 0], i[..., 1]]
        + ((1 - x) * y)[..., None] * fields[i[..., 0], j[..., 1]]
        + (x * y)[..., None] * fields[j[..., 0], j[..., 1]]
    )


@jax.jit
def _advance(
    rays: tuple[Array, ...], fields: Array, draws: tuple[Array, ...], geometry: Array
) -> tuple[Array, ...]:
    """Take a batch of maps through one plane.

    rays : angles (map, pixels, pixels, 2), Jacobians (map, pixels, pixels, 2, 2) and the last step
    of both; fields (axis, p, p, 5); draws : axis, shift and flip of each map; geometry : plane
    pixels a radian, A - 1 and C.
    """
    side = fields.shape[1]
    scale, ratio, pull = geometry

    def one(arguments: tuple[Array, ...]) -> tuple[Array, ...]:
        angles, jacobian, step, step_jacobian, axis, shift, flip = arguments
        read = _read(fields[axis], angles * scale * flip + shift * side)
        deflection = read[..., :2] * flip / scale
        cross = read[..., 4] * flip[0] * flip[1]
        shear = jnp.stack(
            [jnp.stack([read[..., 2], cross], -1), jnp.stack([cross, read[..., 3]], -1)], -2
        )
        step = ratio * step + pull * deflection
        step_jacobian = ratio * step_jacobian + pull * (shear @ jacobian)
        return angles + step, jacobian + step_jacobian, step, step_jacobian

    return jax.lax.map(one, (*rays, *draws))


def multi_plane_maps(
    planes: Iterable[npt.NDArray[np.float32]],
    cone: Slabs,
    box_mpc_h: float,
    draws: Draws,
    pixels: int,
    pixel_arcmin: float,
) -> npt.NDArray[np.float32]:
    """Convergence with deflection and lens-lens coupling; arguments as in ``born_maps``.

    Returns
    -------
    (map, pixels, pixels) float32.

    """
    count = len(draws.axis)
    pixel = math.radians(pixel_arcmin / 60.0)
    offset = (np.arange(pixels) - 0.5 * (pixels - 1)) * pixel
    theta = np.stack(np.meshgrid(offset, offset, indexing="ij"), -1).astype(np.float32)
    angles = jnp.broadcast_to(theta, (count, *theta.shape))
    jacobian = jnp.broadcast_to(jnp.eye(2), (count, pixels, pixels, 2, 2))
    rays: tuple[Array, ...] = (
        angles,
        jacobian,
        jnp.zeros_like(angles),
        jnp.zeros_like(jacobian),
    )
    distance = np.append(cone.distance, cone.source_distance)
    for slab, plane in enumerate(planes):
        here, beyond = distance[slab], distance[slab + 1]
        before = distance[slab - 1] if slab else 0.0
        ratio = (here / beyond) * (1 + (beyond - here) / (here - before)) if slab else 1.0
        pull = -(beyond - here) / beyond
        # κ of the slab seen alone is weight·δ = (χ_s - χ)/χ_s × ∇·α/2: undo the geometry.
        strength = 2 * cone.weight[slab] * cone.source_distance / (cone.source_distance - here)
        fields = jnp.stack([_lensing_fields(jnp.asarray(side) * strength) for side in plane])
        scale = here / box_mpc_h * plane.shape[-1]
        seen = (draws.axis[:, slab], draws.shift[:, slab], draws.flip[:, slab])
        rays = _advance(rays, fields, seen, jnp.asarray([scale, ratio - 1, pull], jnp.float32))
    jacobian = rays[1]
    return np.asarray(1 - 0.5 * (jacobian[..., 0, 0] + jacobian[..., 1, 1]))
