"""What the config says of maps and their noise."""

from collections.abc import Iterator
from typing import Any, Literal

from kappascope import costs
from kappascope.costs import Work
from kappascope.sections import Problem, Section, key

MINIMUM_PIXELS_PER_SMOOTHING = 1.2
COSMOGRID_PIXEL_ARCMIN = 6.87  # HEALPix nside 512


class Maps(Section):
    """The convergence maps: simulated here, or read from an archive."""

    source: Literal["simulation", "columbia", "massivenus", "cosmogrid", "folder"] = key(
        "Where maps come from: the simulation here, the Columbia or MassiveNuS archive, or "
        "any folder of maps with a CSV. cosmogrid is known and refused: its pixels of 6.9 "
        "arcmin cannot resolve the smoothing.",
    )
    path: str | None = key("Folder of the archive; needed unless source is simulation.")
    table: str | None = key(
        "CSV that lists a folder of maps (needed when source is folder): columns file, "
        "Omega_m, sigma_8 and, where the files do not say it, pixel_arcmin; optional mask, "
        "split, simulation.",
    )
    pixels: int = key("Pixels along a side of a map.", "pixel", ge=32)
    pixel_arcmin: float = key(
        "Side of a pixel. Shrink the field, never the sampling: the smoothing must stay at "
        "least 1.2 pixels wide.",
        "arcmin",
        gt=0,
    )
    source_redshift: float = key("Redshift of the one plane of lensed galaxies.", gt=0, le=5)
    smoothing_arcmin: float = key(
        "Standard deviation (not full width) of the Gaussian that smooths every map.",
        "arcmin",
        gt=0,
    )
    training: int = key("Maps of each cosmology from which the network learns.", "map", ge=1)
    testing: int = key(
        "Maps of each cosmology for the emulator's means and all tests; from other "
        "simulations than the training maps.",
        "map",
        ge=2,
    )
    covariance: int = key(
        "Maps of the fiducial cosmology for the covariance matrix, from simulations of their "
        "own; must exceed the length of the data vector by more than 2.",
        "map",
        ge=2,
    )

    def problems(self, config: Any) -> Iterator[Problem]:
        """Yield values that do not go together."""
        smoothing, pixel = self.smoothing_arcmin, self.pixel_arcmin
        if self.source == "cosmogrid":
            yield (
                "maps.source",
                f"got cosmogrid, whose pixels are {COSMOGRID_PIXEL_ARCMIN:g} arcmin (HEALPix nside "
                f"512): a smoothing of {smoothing:g} arcmin cannot be resolved; use simulation, "
                "columbia, massivenus or folder",
            )
        if smoothing / pixel < MINIMUM_PIXELS_PER_SMOOTHING:
            yield (
                "maps.pixel_arcmin",
                f"a smoothing of {smoothing:g} arcmin is {smoothing / pixel:.2f} pixels of "
                f"{pixel:g} arcmin; at least {MINIMUM_PIXELS_PER_SMOOTHING} are needed to resolve "
                "it: use smaller pixels and, for the same cost, a smaller field",
            )
        if self.source != "simulation" and self.path is None:
            yield (
                "maps.path",
                f"got null, but maps.source is {self.source}: give the folder that holds the maps",
            )
        if self.source == "folder" and self.table is None:
            yield (
                "maps.table",
                "got null, but maps.source is folder: give a CSV with the columns file, Omega_m, "
                "sigma_8 and, where the files do not say it, pixel_arcmin",
            )


class Noise(Section):
    """Galaxy shape noise, equation (1) of Matilla et al. (2020): white, before the smoothing."""

    galaxies_per_arcmin2: float = key("Number density n_g of lensed galaxies.", "1/arcmin2", gt=0)
    ellipticity_rms: float = key("Intrinsic ellipticity sigma_epsilon of the galaxies.", gt=0, le=1)


# ---- what the jobs do ----------------------------------------------------------------------------


@costs.of("import_maps", common=True)
def _import_maps(config: Any) -> Work:
    return Work(1, {"map": costs.maps(config) * costs.pixels(config)}, accelerated=False)


@costs.of("validate_maps", common=True)
def _validate_maps(config: Any) -> Work:
    return Work(1, {"map": min(config.maps.covariance, 2000) * costs.pixels(config)})
