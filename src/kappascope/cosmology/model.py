"""Flat ΛCDM background and growth in closed form, and the power spectra simulations aim at.

Distances are comoving, in Mpc/h; wavenumbers in h/Mpc; times are scale factors a. Growth is
normalised to D(1) = 1. Power spectra come from jax_cosmo: Eisenstein & Hu (1998) linear power and
Takahashi et al. (2012) halofit.
"""

import dataclasses
import functools
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import integrate, interpolate, special

HUBBLE_DISTANCE_MPC_H = 2997.92458
"""c/H0 in Mpc/h."""

Array = npt.NDArray[np.floating[Any]]


@dataclasses.dataclass(frozen=True)
class Cosmology:
    """A flat ΛCDM model: w = -1, massless neutrinos, no radiation after the start."""

    omega_matter: float
    sigma_8: float
    hubble: float = 0.72
    omega_baryon: float = 0.046
    spectral_index: float = 0.96

    def expansion(self, a: npt.ArrayLike) -> Array:
        """H(a)/H0."""
        a = np.asarray(a, float)
        return np.sqrt(self.omega_matter / a**3 + 1.0 - self.omega_matter)

    def growth(self, a: npt.ArrayLike) -> Array:
        """Linear growth factor D(a), D(1) = 1, from the hypergeometric closed form."""
        return self._unnormalised_growth(a) / self._unnormalised_growth(1.0)

    def _unnormalised_growth(self, a: npt.ArrayLike) -> Array:
        a = np.asarray(a, float)
        ratio = (1.0 - self.omega_matter) / self.omega_matter
        return a * special.hyp2f1(1.0 / 3.0, 1.0, 11.0 / 6.0, -ratio * a**3)

    def growth_derivative(self, a: npt.ArrayLike) -> Array:
        """dD/da, from the growth equation's first integral."""
        a = np.asarray(a, float)
        # E(a) ∫ da'/(a'E)^3 solves the growth equation; its derivative needs no differencing.
        expansion = self.expansion(a)
        slope = -1.5 * self.omega_matter / a**4 / expansion**2
        integral = self._unnormalised_growth(a) / expansion / (2.5 * self.omega_matter)
        derivative = expansion * (slope * integral + 1.0 / (a * expansion) ** 3)
        return 2.5 * self.omega_matter * derivative / self._unnormalised_growth(1.0)

    def comoving_distance(self, a: npt.ArrayLike) -> Array:
        """Radial comoving distance to scale factor a, Mpc/h."""
        return np.interp(np.asarray(a, float), *self._distance_table())

    def scale_factor(self, distance_mpc_h: npt.ArrayLike) -> Array:
        """Scale factor at a comoving distance in Mpc/h."""
        a, distance = self._distance_table()
        return np.interp(np.asarray(distance_mpc_h, float), distance[::-1], a[::-1])

    @functools.lru_cache(maxsize=256)  # noqa: B019 - frozen and hashable; tables are small
    def _distance_table(self) -> tuple[Array, Array]:
        a = np.linspace(0.1, 1.0, 4001)
        integrand = HUBBLE_DISTANCE_MPC_H / (a**2 * self.expansion(a))
        inside_out = integrate.cumulative_simpson(integrand[::-1], x=-a[::-1], initial=0.0)
        return a, inside_out[::-1]


WAVENUMBERS = np.logspace(-3.0, 2.0, 400)
"""Wavenumbers at which power is tabulated, h/Mpc."""


@functools.cache
def _power_function() -> Any:
    import jax
    import jax.numpy as jnp

    with warnings.catch_warnings():
        # jax_cosmo 0.1 imports pkg_resources, which says on every import that it is going away.
        warnings.simplefilter("ignore", UserWarning)
        import jax_cosmo

    def power(parameters: Any, wavenumbers: Any, a: Any) -> Any:
        omega_matter, sigma_8, hubble, omega_baryon, spectral_index = parameters
        model = jax_cosmo.Cosmology(
            Omega_c=omega_matter - omega_baryon,
            Omega_b=omega_baryon,
            h=hubble,
            sigma8=sigma_8,
            n_s=spectral_index,
            w0=-1.0,
            wa=0.0,
            Omega_k=0.0,
        )
        linear = jax_cosmo.power.linear_matter_power(model, wavenumbers, a=jnp.ones(1))
        halofit = jax_cosmo.power.nonlinear_matter_power(model, wavenumbers, a=a)
        return linear.reshape(-1), halofit.reshape(-1)

    return jax.jit(power)


@dataclasses.dataclass(frozen=True)
class MatterPower:
    """Tabulated matter power of one cosmology, (Mpc/h)³.

    Attributes
    ----------
    wavenumbers : (k,) h/Mpc.
    scale_factors : (a,) ascending.
    linear : (k,) linear power today.
    halofit : (a, k) nonlinear power.

    """

    wavenumbers: Array
    scale_factors: Array
    linear: Array
    halofit: Array

    def linear_today(self, wavenumbers: npt.ArrayLike) -> Array:
        """Linear power at a = 1; shape of ``wavenumbers``; zero at k = 0."""
        k = np.asarray(wavenumbers, float)
        safe = np.where(k > 0, k, 1.0)
        return np.where(
            k > 0, np.exp(np.interp(np.log(safe), np.log(self.wavenumbers), np.log(self.linear))), 0
        )

    def nonlinear(self, wavenumbers: npt.ArrayLike, a: npt.ArrayLike) -> Array:
        """Halofit power at (k, a), arrays that broadcast against each other."""
        k, scale = np.broadcast_arrays(np.asarray(wavenumbers, float), np.asarray(a, float))
        points = np.stack([scale, np.log(k)], -1)
        return np.exp(self._interpolator()(points)).reshape(k.shape)

    def _interpolator(self) -> Any:
        return interpolate.RegularGridInterpolator(
            (self.scale_factors, np.log(self.wavenumbers)),
            np.log(self.halofit),
            bounds_error=False,
            fill_value=None,
        )


def matter_power(cosmology: Cosmology, scale_factors: npt.ArrayLike | None = None) -> MatterPower:
    """Tabulate linear and halofit power of ``cosmology`` (jax_cosmo, one compilation a process)."""
    a = np.linspace(0.4, 1.0, 25) if scale_factors is None else np.asarray(scale_factors, float)
    # jax_cosmo integrates the amplitude too coarsely: by 0.2 % at the fiducial, 3 % at Ω_m = 0.1.
    linear, _ = _tabulated(cosmology, cosmology.sigma_8, a)
    asked = cosmology.sigma_8**2 / sigma_8_of(linear)
    linear, halofit = _tabulated(cosmology, asked, a)
    return MatterPower(WAVENUMBERS, a, linear, halofit)


def _tabulated(cosmology: Cosmology, sigma_8: float, a: Array) -> tuple[Array, Array]:
    """Linear (k,) and halofit (a, k) power of jax_cosmo at :data:`WAVENUMBERS`."""
    parameters = np.array(
        [
            cosmology.omega_matter,
            sigma_8,
            cosmology.hubble,
            cosmology.omega_baryon,
            cosmology.spectral_index,
        ],
        np.float32,
    )
    with warnings.catch_warnings():
        # It also asks for int64 while tracing, which single precision has no use for.
        warnings.simplefilter("ignore", UserWarning)
        # One scale factor at a time: compiling a mapped halofit takes three times as long.
        both = [
            _power_function()(parameters, WAVENUMBERS.astype(np.float32), one)
            for one in a.astype(np.float32)
        ]
    halofit = np.array([nonlinear for _, nonlinear in both], float)
    return np.asarray(both[0][0], float), halofit


def top_hat(x: Array) -> Array:
    """Fourier transform of a ball, x = kR."""
    safe = np.where(x > 1e-3, x, 1.0)
    return np.where(x > 1e-3, 3.0 * (np.sin(safe) - safe * np.cos(safe)) / safe**3, 1.0)


SIGMA_8_RADIUS_MPC_H = 8.0


def sigma_8_of(linear: Array) -> float:
    """R.m.s. contrast in spheres of 8 Mpc/h of linear power (k,) at :data:`WAVENUMBERS`."""
    window = top_hat(SIGMA_8_RADIUS_MPC_H * WAVENUMBERS)
    integrand = linear * window**2 * WAVENUMBERS**3 / (2 * np.pi**2)
    return float(np.sqrt(np.trapezoid(integrand, np.log(WAVENUMBERS))))


def lensing_weight(
    cosmology: Cosmology, distance_mpc_h: npt.ArrayLike, source_distance_mpc_h: float
) -> Array:
    """Weight W(χ) in κ = ∫ W δ dχ, in h/Mpc: (3/2) Ω_m (H0/c)² χ (1 - χ/χ_s) / a."""
    distance = np.asarray(distance_mpc_h, float)
    a = cosmology.scale_factor(distance)
    weight = 1.5 * cosmology.omega_matter / HUBBLE_DISTANCE_MPC_H**2
    return weight * distance * np.clip(1.0 - distance / source_distance_mpc_h, 0.0, None) / a


def limber_power(
    cosmology: Cosmology, power: MatterPower, ell: npt.ArrayLike, source_redshift: float
) -> Array:
    """Convergence power spectrum in sr, Limber with halofit (matilla2020, Eq. 2).

    Parameters
    ----------
    ell : (ell,) angular wavenumbers.
    source_redshift : redshift of the one source plane.

    Returns
    -------
    (ell,) array.

    """
    wanted = np.asarray(ell, float)
    source = float(cosmology.comoving_distance(1.0 / (1.0 + source_redshift)))
    distance = np.linspace(source / 400, source * (1 - 1 / 400), 399)
    weight = lensing_weight(cosmology, distance, source)
    k = (wanted[:, None] + 0.5) / distance
    a = np.broadcast_to(cosmology.scale_factor(distance), k.shape)
    integrand = weight**2 / distance**2 * power.nonlinear(k, a)
    return integrate.simpson(integrand, x=distance, axis=1)


@functools.lru_cache(maxsize=512)
def sigma_8_from_amplitude(
    amplitude: float,
    omega_matter: float,
    neutrino_mass_ev: float = 0.0,
    hubble: float = 0.7,
    omega_baryon: float = 0.046,
    spectral_index: float = 0.97,
) -> float:
    """Derive sigma_8 today from the primordial amplitude; approximate, good to two per cent.

    The shape is Eisenstein & Hu's (1998) without neutrinos, from jax_cosmo; the amplitude is that
    of the curvature perturbations, grown in LCDM without radiation. Massive neutrinos lower sigma_8
    by 4 f_nu, half of the suppression 8 f_nu of the power (Lesgourgues & Pastor 2006). Give
    MassiveNuS's own values in a table where percents matter. Defaults are those of MassiveNuS.

    Parameters
    ----------
    amplitude : A_s at 0.05 / Mpc.
    omega_matter, omega_baryon : density parameters of all matter and of baryons today.
    neutrino_mass_ev : sum of the neutrino masses [eV].
    hubble : h.
    spectral_index : n_s.

    """
    import jax.numpy as jnp

    with warnings.catch_warnings():
        # jax_cosmo 0.1 imports pkg_resources, which says on every import that it is going away.
        warnings.simplefilter("ignore")
        from jax_cosmo import Cosmology, transfer
    from scipy.integrate import quad, simpson

    cosmology = Cosmology(
        Omega_c=omega_matter - omega_baryon,
        Omega_b=omega_baryon,
        h=hubble,
        n_s=spectral_index,
        sigma8=0.8,
        Omega_k=0.0,
        w0=-1.0,
        wa=0.0,
    )
    wavenumber = np.geomspace(1e-4, 30.0, 2000)  # h/Mpc
    shape = np.asarray(transfer.Eisenstein_Hu(cosmology, jnp.asarray(wavenumber)), dtype=float)
    # Growth today, normalised to the scale factor in matter domination (Heath 1977).
    integral, _ = quad(lambda a: (a / (omega_matter + (1 - omega_matter) * a**3)) ** 1.5, 0, 1)
    growth = 2.5 * omega_matter * integral
    # Poisson's equation turns the curvature power 2 pi^2 A_s k^-3 into that of matter.
    primordial = amplitude * (wavenumber * hubble / 0.05) ** (spectral_index - 1.0)
    ratio = 0.4 * (wavenumber * 2997.92458) ** 2 / omega_matter * growth * shape
    radius = 8.0 * wavenumber
    window = 3.0 * (np.sin(radius) - radius * np.cos(radius)) / radius**3
    variance = simpson(primordial * ratio**2 * window**2, x=np.log(wavenumber))
    neutrino_fraction = neutrino_mass_ev / 93.14 / hubble**2 / omega_matter
    return float(np.sqrt(variance) * (1.0 - 4.0 * neutrino_fraction))
