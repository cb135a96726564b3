"""Surveys: bands, pixels, point-spread functions, exposures and sky, from files.

``config/surveys/{name}.yaml`` holds one survey each; a user's own file may lie anywhere.
"""

import functools
import math
from pathlib import Path

import pydantic

from kappascope.errors import InputError, nearest, shown
from kappascope.files import checkout, read_yaml
from kappascope.sections import Section, key

FOLDER = "config/surveys"
ENDING = ".yaml"


class Band(Section):
    """One band of a survey."""

    wavelength_um: float = key("Where its filter is.", "µm", ge=0.3, le=2.5)
    psf_fwhm_arcsec: float = key("Width of the point-spread function.", "arcsec", gt=0)
    pixel_arcsec: float = key("Side of a detector's pixel.", "arcsec", gt=0)
    exposure_s: float = key("All exposures together.", "s", gt=0)
    reads: int = key("How many exposures, each with its read noise.", "count", ge=1)
    read_noise_electrons: float = key("Of a pixel and an exposure.", "electron", ge=0)
    sky_ab_arcsec2: float = key("Brightness of the empty sky.", "AB mag/arcsec²")
    zero_point_ab: float = key("Magnitude of one electron a second.", "AB mag")
    depth_ab: float | None = key(
        "Published magnitude of a point source with five times its noise, for comparison only.",
        "AB mag",
        default=None,
    )

    @property
    def depth(self) -> float:
        """Return the magnitude [AB] of a point source with five times the noise of sky and reads.

        Of a Gaussian point-spread function's weighting: an area of 2.266 FWHM².
        """
        area = 2.266 * self.psf_fwhm_arcsec**2
        sky = 10 ** (0.4 * (self.zero_point_ab - self.sky_ab_arcsec2)) * self.exposure_s
        noise = sky + self.reads * (self.read_noise_electrons / self.pixel_arcsec) ** 2
        limit = 5 * math.sqrt(area * noise) / self.exposure_s
        return self.zero_point_ab - 2.5 * math.log10(limit)


class Survey(Section):
    """A survey's bands, from blue to red."""

    name: str = key("What to call it.", min_length=1)
    bands: dict[str, Band] = key("Band → how it is observed.", min_length=1)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the bands, from blue to red."""
        return tuple(self.bands)


def available() -> list[str]:
    """Return the names of the surveys that the repository holds."""
    return sorted(path.stem for path in (checkout() / FOLDER).glob(f"*{ENDING}"))


def path_of(survey: str) -> Path:
    """Return the file of a survey, by its name or by its path."""
    return Path(survey) if survey.endswith(ENDING) else checkout() / FOLDER / f"{survey}{ENDING}"


@functools.cache
def read(survey: str) -> Survey:
    """Read a survey.

    Parameters
    ----------
    survey : a name in ``config/surveys``, or the path of a file like those.

    Raises
    ------
    InputError
        When there is no such survey, or its file does not describe one.

    """
    path = path_of(survey)
    if not path.is_file():
        known = available()
        raise InputError(
            f"survey {shown(survey)}: there is {', '.join(known)}{nearest(survey, known)}; or give "
            f"the path of a file that ends in {ENDING}"
        )
    try:
        found = Survey.model_validate(read_yaml(path))
    except pydantic.ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            text = f"unknown key; a band has {', '.join(Band.model_fields)}"
        elif problem["type"] == "missing":
            text = "missing"
        else:
            text = f"got {shown(problem['input'])}: {problem['msg'].lower()}"
        raise InputError(f"{path}: {where}: {text}") from None
    wavelengths = [band.wavelength_um for band in found.bands.values()]
    if wavelengths != sorted(wavelengths):
        raise InputError(f"{path}: bands: list them from blue to red, by wavelength_um")
    return found
