"""Make config/cosmologies_singh2020.csv: the ten cosmologies of Table S1 of Singh et al. (2020).

The table gives the mass of the neutrinos, Omega_m and A_s; simulations here take sigma_8 of all
matter, which is derived from these, and treat the neutrinos as cold. Run it from anywhere:
``python config/make_cosmologies_singh2020.py``.
"""

import csv
from pathlib import Path

from kappascope.cosmology.model import sigma_8_from_amplitude
from kappascope.files import write_csv

HERE = Path(__file__).parent
TABLE_S1 = HERE.parent / "paper/published/singh2020_table_s1.csv"


def main() -> None:
    """Write the table."""
    rows = []
    with open(TABLE_S1, newline="", encoding="utf-8") as handle:
        for number, row in enumerate(csv.DictReader(handle)):
            omega_matter = float(row["omega_matter"])
            sigma_8 = sigma_8_from_amplitude(
                1e-9 * float(row["as_1e9"]), omega_matter, float(row["neutrino_mass_ev"])
            )
            rows.append(
                {
                    "cosmology": number,
                    "omega_matter": f"{omega_matter:.3f}",
                    "sigma_8": f"{sigma_8:.3f}",
                    "origin": "published",
                    "order": number,
                }
            )
    write_csv(HERE / "cosmologies_singh2020.csv", rows)


if __name__ == "__main__":
    main()
