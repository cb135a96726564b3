"""What the config says of cosmology."""

from collections.abc import Iterator
from typing import Any

from kappascope.cosmology import table
from kappascope.errors import InputError
from kappascope.files import checkout
from kappascope.sections import Problem, Section, key


class Fiducial(Section):
    """Where the covariance is measured and constraints are drawn; a row of the table."""

    omega_matter: float = key("Matter density Omega_m of the fiducial.", gt=0, lt=1)
    sigma_8: float = key("Amplitude sigma_8 of the fiducial.", gt=0, le=2)


class Universes(Section):
    """Which universes are simulated."""

    table: str = key(
        "CSV of the cosmologies: columns cosmology, omega_matter, sigma_8, origin, order; a "
        "path from the repository's root.",
        min_length=1,
    )
    number: int = key(
        "How many rows of the table to use, by its column order: a nested design around the "
        "fiducial, so that fewer rows still make a good emulator grid.",
        "count",
        ge=5,
    )
    hubble: float = key("Hubble constant h.", "100 km/s/Mpc", ge=0.3, le=1.5)
    omega_baryon: float = key(
        "Baryon density Omega_b in units of the critical density.",
        gt=0,
        le=0.2,
    )
    spectral_index: float = key("Slope n_s of the primordial power spectrum.", ge=0.5, le=1.5)
    fiducial: Fiducial

    def problems(self, config: Any) -> Iterator[Problem]:
        """Yield values that do not go together."""
        if config.maps.source != "simulation":
            return
        try:
            rows = table.read(checkout() / self.table)
        except InputError as error:
            yield "cosmology.table", str(error)
            return
        if self.number > len(rows):
            yield "cosmology.number", f"got {self.number}, but {self.table} has {len(rows)} rows"
            return
        chosen = rows[: self.number]
        fiducial = self.fiducial
        if not any(table.is_fiducial(row, fiducial) for row in chosen):
            near = min(
                chosen,
                key=lambda row: (
                    abs(row["omega_matter"] - fiducial.omega_matter)
                    + abs(row["sigma_8"] - fiducial.sigma_8)
                ),
            )
            yield (
                "cosmology.fiducial",
                f"got ({fiducial.omega_matter:g}, {fiducial.sigma_8:g}), which is none of the "
                f"first {len(chosen)} rows of {self.table}; the nearest is "
                f"({near['omega_matter']:g}, {near['sigma_8']:g})",
            )
        least = min(row["omega_matter"] for row in chosen)
        if self.omega_baryon >= least:
            yield (
                "cosmology.omega_baryon",
                f"got {self.omega_baryon:g}, but the table has Omega_m = {least:g}: matter "
                "includes the baryons",
            )
