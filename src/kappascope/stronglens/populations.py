"""What stands in an image: galaxies, lenses and look-alikes, drawn from (seed, kind, index).

Every kind has the same massive early-type galaxy in it, drawn in the same way, wherever it has one
at all: what tells a lens from the rest is what is around that galaxy.

The cosmology is flat, H0 = 70 km/s/Mpc, Ω_m = 0.3. Sizes are in arcsec, fluxes at the wavelengths
:data:`SPECTRUM_UM` in units of :data:`FLUX_UNIT_AB`; what a survey's bands make of them is the
camera's.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from kappascope import randomness
from kappascope.errors import InputError
from kappascope.stronglens.optics import Deflector, Light

FLUX_UNIT_AB = 24.0
"""AB magnitude of a flux of 1: an electron per second of Wilde et al. (2022)."""

NON_LENSES = ("isolated", "spiral", "companions", "merger")
LENSES = ("lens",)
COMPOUND = ("compound_arcs", "double_rings")
KINDS = (*NON_LENSES, *LENSES, *COMPOUND)
"""All kinds of images."""

COLOURS = ("blue", "red")
"""Populations of sources."""

FOREGROUND = 5
"""Places for galaxies that are not lensed: the main one, a disc with arms, three others."""
MAIN, DISC = 0, 1

LEAST_EINSTEIN_RADIUS, LARGEST_EINSTEIN_RADIUS = 0.5, 2.0
SPEED_OF_LIGHT = 299792.458


class Scene(NamedTuple):
    """One image before it is observed, or many of them with an axis in front.

    Attributes
    ----------
    deflectors : (2,) fields; the second has no mass but in compound lenses.
    scaling : share of the first deflection that counts for the second deflector's plane.
    foreground : (5,) profiles, not lensed.
    foreground_flux : (5, wavelength).
    arm_strength, arm_winding : of the disc's arms.
    background : (2,) profiles at the second deflector's distance and at the source's.
    background_flux : (2, wavelength), unlensed.

    """

    deflectors: Deflector
    scaling: Any
    foreground: Light
    foreground_flux: Any
    arm_strength: Any
    arm_winding: Any
    background: Light
    background_flux: Any


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A scene and what tables say of it.

    Attributes
    ----------
    kind : one of :data:`KINDS`.
    colour : of the source, one of :data:`COLOURS`, or empty.
    einstein_radius : of the (first) lens for its (last) source [arcsec], 0 without one.
    source_magnitude : of the last source, unlensed, at the reference wavelength; NaN without one.

    """

    scene: Scene
    kind: str
    colour: str
    einstein_radius: float
    source_magnitude: float

    @property
    def place(self) -> tuple[float, float]:
        """Where the main galaxy stands [arcsec]."""
        main = self.scene.foreground
        return float(main.x[MAIN]), float(main.y[MAIN])


SPECTRUM_UM = (0.715, 1.085, 1.375, 1.773, 0.48)
"""Wavelengths [µm] of fluxes: those of Euclid's VIS, Y, J and H, and one for bluer bands."""
REFERENCE = SPECTRUM_UM.index(1.085)
"""Where sources' magnitudes are drawn: between optical and infrared."""

COLOUR_MEANS = {
    # 0.72 - 1.09, 1.09 - 1.38 and 1.38 - 1.77 µm and their scatter, AB magnitudes.
    "blue": ((0.15, 0.10, 0.10), (0.10, 0.07, 0.07)),
    "red": ((1.40, 0.45, 0.40), (0.20, 0.10, 0.10)),
}
BLUEST_MEANS = {"blue": 0.25, "red": 1.60}
"""0.48 - 0.72 µm; it scatters as the next colour does."""


# ---- distances -----------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1)
def _distances() -> tuple[np.ndarray, np.ndarray]:
    from astropy.cosmology import FlatLambdaCDM

    redshift = np.linspace(0.0, 6.0, 2001)
    return redshift, FlatLambdaCDM(H0=70, Om0=0.3).comoving_distance(redshift).value


def comoving(redshift: float) -> float:
    """Return the comoving distance [Mpc]."""
    return float(np.interp(redshift, *_distances()))


def isothermal_radius(dispersion: float, lens: float, source: float) -> float:
    """Return θ_E [arcsec] = 4π (σ_v/c)² D_ls/D_s of an isothermal sphere.

    Parameters
    ----------
    dispersion : σ_v [km/s].
    lens, source : redshifts.

    """
    share = 1 - comoving(lens) / comoving(source)
    return 4 * math.pi * (dispersion / SPEED_OF_LIGHT) ** 2 * share * 206264.806


def plane_scaling(first: float, second: float, source: float) -> float:
    """Return β = D₁₂ D_s / (D₂ D_1s) for two deflectors' redshifts and a source's."""
    one, two, last = comoving(first), comoving(second), comoving(source)
    return (two - one) * last / (two * (last - one))


# ---- galaxies ------------------------------------------------------------------------------------


@dataclasses.dataclass
class _Galaxy:
    """One profile and its flux in each band."""

    light: tuple[float, ...]
    flux: np.ndarray


_NOTHING = _Galaxy((1.0, 1.0, 0.8, 0.0, 0.0, 0.0), np.zeros(len(SPECTRUM_UM)))
_NO_MASS = (0.0, 0.8, 0.0, 0.0, 0.0, 0.0, 0.0)


def fluxes(magnitude: float, colours: Sequence[float] | np.ndarray, reference: int) -> np.ndarray:
    """Return fluxes, (wavelength,), of a galaxy with a magnitude at one of the wavelengths.

    Parameters
    ----------
    colours : three between the first four wavelengths, and that of the last one and the first.

    """
    below = -np.concatenate([[0.0], np.cumsum(colours[:3])])
    magnitudes = magnitude + below - below[reference]
    return 10 ** (0.4 * (FLUX_UNIT_AB - np.append(magnitudes, magnitudes[0] + colours[3])))


def mean_colours(name: str) -> np.ndarray:
    """Return the mean colours of a population of sources, (4,) as :func:`fluxes` takes them."""
    return np.append(COLOUR_MEANS[name][0], BLUEST_MEANS[name])


def early_colours(redshift: float) -> np.ndarray:
    """Return the mean colours of early-type galaxies, (4,) as :func:`fluxes` takes them."""
    return np.array([0.55 + 0.6 * redshift, 0.30, 0.35, 1.1 + 1.7 * redshift])


def _drawn(draw: np.random.Generator, mean: np.ndarray, scatter: Sequence[float]) -> np.ndarray:
    drawn = draw.normal(mean[:3], scatter)
    return np.append(drawn, mean[3] + drawn[0] - mean[0])


def _colours(draw: np.random.Generator, name: str) -> np.ndarray:
    return _drawn(draw, mean_colours(name), COLOUR_MEANS[name][1])


def _early_colours(draw: np.random.Generator, redshift: float) -> np.ndarray:
    return _drawn(draw, early_colours(redshift), (0.08, 0.05, 0.05))


@dataclasses.dataclass
class _Early:
    """A massive early-type galaxy."""

    redshift: float
    dispersion: float
    galaxy: _Galaxy
    mass_axis_ratio: float
    mass_angle: float


def _early(
    draw: np.random.Generator, redshift: float, dispersion: float, place: tuple[float, float]
) -> _Early:
    """Draw its light from its velocity dispersion: L ∝ σ⁴ (Faber & Jackson 1976)."""
    luminosity = (dispersion / 220.0) ** 4
    distance = comoving(redshift)
    modulus = 5 * math.log10(distance * (1 + redshift)) + 25
    magnitude = -22.5 - 2.5 * math.log10(luminosity) + modulus + redshift + draw.normal(0, 0.25)
    kiloparsec = 6.0 * luminosity**0.6 * 10 ** draw.normal(0, 0.12)
    radius = kiloparsec / (distance / (1 + redshift) * 1e3) * 206264.806
    axis_ratio, angle = draw.uniform(0.55, 0.97), draw.uniform(0, math.pi)
    light = (float(np.clip(radius, 0.2, 3.0)), draw.uniform(2.5, 4.5), axis_ratio, angle, *place)
    flux = fluxes(magnitude, _early_colours(draw, redshift), 0)
    mass = float(np.clip(axis_ratio + draw.normal(0, 0.08), 0.5, 0.97))
    return _Early(redshift, dispersion, _Galaxy(light, flux), mass, angle + draw.normal(0, 0.1))


def _main(draw: np.random.Generator, reach: float) -> tuple[_Early, float]:
    """Draw the main galaxy and a source's redshift such that θ_E [arcsec] is within its range."""
    place = tuple(draw.uniform(-reach, reach, 2))
    while True:
        lens, source = draw.uniform(0.2, 0.8), draw.uniform(1.2, 3.0)
        dispersion = draw.uniform(180, 330)
        radius = isothermal_radius(dispersion, lens, source)
        if LEAST_EINSTEIN_RADIUS <= radius <= LARGEST_EINSTEIN_RADIUS:
            return _early(draw, lens, dispersion, place), radius


def _small(
    draw: np.random.Generator, colour: str, magnitude: float, place: tuple[float, float]
) -> _Galaxy:
    """Draw a galaxy like the sources; its magnitude is that at the reference wavelength."""
    radius = float(np.clip(0.22 * 10 ** draw.normal(0, 0.18), 0.08, 0.6))
    light = (radius, draw.uniform(0.8, 2.5), draw.uniform(0.3, 1.0), draw.uniform(0, math.pi))
    return _Galaxy((*light, *place), fluxes(magnitude, _colours(draw, colour), REFERENCE))


def _released(
    draw: np.random.Generator, colour: str, magnitude: float, place: tuple[float, float]
) -> _Galaxy:
    """Draw a source as the released code of Wilde et al. (2022) does: most are wider than rings."""
    light = (draw.uniform(0.2, 7.0), draw.uniform(1.5, 4.0), draw.uniform(0.3, 1.0))
    spectrum = fluxes(magnitude, _colours(draw, colour), REFERENCE)
    return _Galaxy((*light, draw.uniform(0, math.pi), *place), spectrum)


def _around(
    draw: np.random.Generator, centre: Sequence[float], least: float, most: float
) -> tuple[float, float]:
    distance, angle = draw.uniform(least, most), draw.uniform(0, 2 * math.pi)
    return centre[0] + distance * math.cos(angle), centre[1] + distance * math.sin(angle)


def _companions(
    draw: np.random.Generator, centre: Sequence[float], red: float, number: int
) -> list[_Galaxy]:
    """Draw small galaxies as bright and as far out as arcs are."""
    return [
        _small(
            draw,
            _either(draw, red),
            draw.uniform(20.5, 23.5),
            _around(draw, centre, LEAST_EINSTEIN_RADIUS, 1.3 * LARGEST_EINSTEIN_RADIUS),
        )
        for _ in range(number)
    ]


def _either(draw: np.random.Generator, red: float) -> str:
    return "red" if draw.uniform() < red else "blue"


# ---- kinds ---------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Population:
    """What scenes are drawn from.

    Attributes
    ----------
    reach : largest distance of the main galaxy from the image's middle along each axis [arcsec].
    source_magnitudes : range of unlensed sources' magnitudes at the reference wavelength.
    red_sources : share of sources of the red population.
    compound_sources : sizes and profiles of what two deflectors lens, ``compact`` as other sources
        or ``released`` as in the code of Wilde et al. (2022).

    """

    reach: float
    source_magnitudes: tuple[float, float]
    red_sources: float
    compound_sources: str = "compact"

    def must_show_arcs(self, kind: str) -> bool:
        """Return whether scenes of a kind whose arcs nobody sees are drawn again."""
        return kind in LENSES or (kind in COMPOUND and self.compound_sources == "compact")

    def draw(self, seed: int, split: str, kind: str, index: int, attempt: int) -> Drawn:
        """Draw one scene, from (seed, split, kind, index, attempt) only.

        Parameters
        ----------
        split : what the images are for.
        kind : one of :data:`KINDS`.

        """
        if kind not in KINDS:
            raise InputError(f"kind {kind!r} of image: allowed are {', '.join(KINDS)}")
        draw = randomness.generator(seed, f"strong lens scene: {split} {kind}", index, attempt)
        if kind in NON_LENSES:
            return self._non_lens(draw, kind)
        return self._lens(draw, kind, _either(draw, self.red_sources))

    def _non_lens(self, draw: np.random.Generator, kind: str) -> Drawn:
        main, _ = _main(draw, self.reach)
        centre = main.galaxy.light[-2:]
        galaxies, arms = [main.galaxy, *[_NOTHING] * (FOREGROUND - 1)], (0.0, 0.0)
        if kind == "companions":
            others = _companions(draw, centre, self.red_sources, int(draw.integers(1, 4)))
            galaxies[2 : 2 + len(others)] = others
        elif kind == "spiral":
            bulge, disc = _spiral(draw, centre)
            galaxies[MAIN], galaxies[DISC] = bulge, disc
            sense = 1.0 if draw.uniform() < 0.5 else -1.0
            arms = (draw.uniform(0.4, 0.9), sense * draw.uniform(1.5, 4.0))
        elif kind == "merger":
            for place in range(2, 2 + int(draw.integers(1, 3))):
                lighter = main.dispersion * draw.uniform(0.7, 1.0)
                other = _early(draw, main.redshift, lighter, _around(draw, centre, 0.6, 2.2))
                galaxies[place] = other.galaxy
        scene = _scene([_NO_MASS, _NO_MASS], 0.0, galaxies, arms, [_NOTHING, _NOTHING])
        return Drawn(scene, kind, "", 0.0, math.nan)

    def _lens(self, draw: np.random.Generator, kind: str, colour: str) -> Drawn:
        main, radius = _main(draw, self.reach)
        centre = main.galaxy.light[-2:]
        magnitude = draw.uniform(*self.source_magnitudes)
        others = _companions(
            draw, centre, self.red_sources, int(draw.choice(3, p=[0.6, 0.25, 0.15]))
        )
        galaxies = [main.galaxy, *[_NOTHING] * (FOREGROUND - 1)]
        galaxies[2 : 2 + len(others)] = others
        if kind == "lens":
            place = _around(draw, centre, 0.05 * radius, 0.7 * radius)
            source = _small(draw, colour, magnitude, place)
            deflectors = [_mass(draw, main, radius), _NO_MASS]
            scene = _scene(deflectors, 0.0, galaxies, (0.0, 0.0), [_NOTHING, source])
            return Drawn(scene, kind, colour, radius, magnitude)
        return self._compound(draw, kind, colour, main, galaxies, magnitude)

    def _compound(
        self,
        draw: np.random.Generator,
        kind: str,
        colour: str,
        main: _Early,
        galaxies: list[_Galaxy],
        magnitude: float,
    ) -> Drawn:
        """Put a second deflector behind the first and a source behind both."""
        centre = main.galaxy.light[-2:]
        second, last = draw.uniform(main.redshift + 0.3, 1.6), draw.uniform(3.0, 4.5)
        dispersion = draw.uniform(150, 260)
        radius = isothermal_radius(main.dispersion, main.redshift, last)
        near = isothermal_radius(main.dispersion, main.redshift, second)
        if kind == "double_rings":
            middle, far = (tuple(centre + draw.uniform(-0.25, 0.25, 2)) for _ in range(2))
        else:
            middle = _around(draw, centre, 0.3 * near, 0.8 * near)
            far = _around(draw, centre, 0.3 * radius, 0.8 * radius)
        deflector = _early(draw, second, dispersion, middle)
        # Its light is a source's: of the drawn brightness, not of an early type that far away.
        lensed = _small(draw, colour, draw.uniform(*self.source_magnitudes), middle)
        shape = _released if self.compound_sources == "released" else _small
        source = shape(draw, colour, magnitude, far)
        deflectors = [
            _mass(draw, main, radius),
            _mass(draw, deflector, isothermal_radius(dispersion, second, last)),
        ]
        scaling = plane_scaling(main.redshift, second, last)
        scene = _scene(deflectors, scaling, galaxies, (0.0, 0.0), [lensed, source])
        return Drawn(scene, kind, colour, radius, magnitude)


def _mass(draw: np.random.Generator, early: _Early, radius: float) -> tuple[float, ...]:
    shear = draw.uniform(-0.05, 0.05, 2)
    centre = early.galaxy.light[-2:]
    return (radius, early.mass_axis_ratio, early.mass_angle, *centre, *shear)


def _spiral(draw: np.random.Generator, centre: Sequence[float]) -> tuple[_Galaxy, _Galaxy]:
    """Draw a red bulge and a blue disc."""
    magnitude, bulge = draw.uniform(18.5, 21.5), draw.uniform(0.1, 0.4)
    radius = draw.uniform(0.6, 1.5)
    axis_ratio, angle = draw.uniform(0.4, 1.0), draw.uniform(0, math.pi)
    inner = _Galaxy(
        (0.3 * radius, draw.uniform(1.5, 3.5), max(axis_ratio, 0.7), angle, *centre),
        fluxes(magnitude - 2.5 * math.log10(bulge), _early_colours(draw, 0.2), REFERENCE),
    )
    outer = _Galaxy(
        (radius, 1.0, axis_ratio, angle, *centre),
        fluxes(magnitude - 2.5 * math.log10(1 - bulge), _colours(draw, "blue") + 0.1, REFERENCE),
    )
    return inner, outer


def _scene(
    deflectors: Sequence[tuple[float, ...]],
    scaling: float,
    foreground: Sequence[_Galaxy],
    arms: tuple[float, float],
    background: Sequence[_Galaxy],
) -> Scene:
    def fields(listed: Sequence[tuple[float, ...]]) -> list[np.ndarray]:
        return [np.asarray(column, np.float32) for column in zip(*listed, strict=True)]

    return Scene(
        Deflector(*fields(deflectors)),
        np.float32(scaling),
        Light(*fields([galaxy.light for galaxy in foreground])),
        np.asarray([galaxy.flux for galaxy in foreground], np.float32),
        np.float32(arms[0]),
        np.float32(arms[1]),
        Light(*fields([galaxy.light for galaxy in background])),
        np.asarray([galaxy.flux for galaxy in background], np.float32),
    )
