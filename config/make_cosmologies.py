"""Make config/cosmologies.csv: which cosmologies are simulated, and in which order they are added.

79 of the 101 cosmologies of Gupta et al. (2018) and Ribli et al. (2019) are known to three digits;
their rows (origin ``published``) are read from the table itself, or from a text file of
(Omega_m, sigma_8) pairs given as the argument. The other 22 (origin ``filled``) are made here: of a
Halton sequence in (Omega_m, S_8), S_8 = sigma_8 (Omega_m / 0.3)^0.6, each pick is the point
inside the published hull that lies farthest from everything chosen before.

"Far" is measured in a plane stretched around the fiducial (a unit of S_8 counts more than one of
Omega_m, and radii shrink like asinh), so that points lie dense near the fiducial and sparse at the
rim. The column ``order`` is a nested design in that same plane: the first `number` rows are the
fiducial, then the corners that hold the degeneracy band S_8 = constant, then whatever is farthest
from the rows before. Run it from anywhere: ``python config/make_cosmologies.py [pairs.txt]``.
"""

import csv
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay
from scipy.stats import qmc

from kappascope.files import write_csv

TABLE = Path(__file__).with_name("cosmologies.csv")
FIDUCIAL = (0.26, 0.8)
NUMBER = 101
SCALE_OMEGA_MATTER = 0.04  # half-width along the degeneracy that counts as "near the fiducial"
SCALE_S_8 = 0.06  # and across it
BAND_S_8 = 0.20  # half-width in S_8 of the band whose cover comes before all else

Array = NDArray[np.float64]


def s_8(omega_matter: Array, sigma_8: Array) -> Array:
    """S_8 = sigma_8 (Omega_m / 0.3)^0.6, any shape; the paper's best-measured combination."""
    return np.asarray(sigma_8 * (omega_matter / 0.3) ** 0.6)


def stretched(points: Array) -> Array:
    """Map (point, 2) of (Omega_m, sigma_8) to the plane (point, 2) where distances are taken."""
    fiducial = np.array(FIDUCIAL)
    across = s_8(points[:, 0], points[:, 1]) - s_8(fiducial[0], fiducial[1])
    offset = np.stack(
        [np.log(points[:, 0] / fiducial[0]) * fiducial[0] / SCALE_OMEGA_MATTER, across / SCALE_S_8],
        axis=1,
    )
    radius = np.maximum(np.linalg.norm(offset, axis=1, keepdims=True), 1e-12)
    return np.asarray(offset * np.arcsinh(radius) / radius)


def published(path: Path) -> Array:
    """Read the published pairs (row, 2), sorted, from the table's own rows or from a text file."""
    if path.suffix == ".csv":
        with open(path, newline="", encoding="utf-8") as handle:
            rows = [row for row in csv.DictReader(handle) if row["origin"] == "published"]
        pairs = [(float(row["omega_matter"]), float(row["sigma_8"])) for row in rows]
    else:
        pairs = [(float(pair[0]), float(pair[1])) for pair in np.loadtxt(path, ndmin=2)]
    return np.array(sorted(pairs))


def filled(known: Array) -> Array:
    """Fill the published (row, 2) up to 101 rows with points inside their hull."""
    plane = np.stack([known[:, 0], s_8(known[:, 0], known[:, 1])], axis=1)
    hull = Delaunay(plane)
    unit = qmc.Halton(d=2, scramble=False).random(20000)
    candidates = plane.min(0) + unit * (plane.max(0) - plane.min(0))
    candidates = candidates[hull.find_simplex(candidates) >= 0]
    omega_matter = candidates[:, 0]
    sigma_8 = candidates[:, 1] / (omega_matter / 0.3) ** 0.6
    pool = np.round(np.stack([omega_matter, sigma_8], axis=1), 3)
    pool = pool[hull.find_simplex(np.stack([pool[:, 0], s_8(pool[:, 0], pool[:, 1])], 1)) >= 0]
    place, taken = stretched(pool), []
    nearest = distances(place, stretched(known)).min(1)
    for _ in range(NUMBER - len(known)):
        best = int(np.argmax(nearest))
        taken.append(best)
        nearest = np.minimum(nearest, distances(place, place[best : best + 1])[:, 0])
    return pool[taken]


def distances(first: Array, second: Array) -> Array:
    """Distances (first, second) between two sets of points in the stretched plane."""
    return np.asarray(np.linalg.norm(first[:, None] - second[None], axis=2))


def corners(points: Array) -> list[int]:
    """Rows whose hull holds the degeneracy band: its low end, then points on either side of it."""
    omega_matter = points[:, 0]
    across = s_8(omega_matter, points[:, 1]) - s_8(np.array(FIDUCIAL[0]), np.array(FIDUCIAL[1]))
    chosen = [int(np.argmin(omega_matter))]
    for low, high in ((0.0, 0.2), (0.3, 0.4), (0.5, 0.6)):
        inside = (omega_matter >= low) & (omega_matter < high)
        for sign in (1.0, -1.0):
            miss = np.where(inside, np.abs(across - sign * BAND_S_8), np.inf)
            chosen.append(int(np.argmin(miss)))
    return chosen


def nested_order(points: Array) -> list[int]:
    """Rows of ``points`` (row, 2) in the order in which they join the design."""
    start = int(np.argmin(np.abs(points - np.array(FIDUCIAL)).sum(1)))
    chosen = [start, *corners(points)]
    place = stretched(points)
    nearest = distances(place, place[chosen]).min(1)
    while len(chosen) < len(points):
        nearest[chosen] = -1.0
        best = int(np.argmax(nearest))
        chosen.append(best)
        nearest = np.minimum(nearest, distances(place, place[best : best + 1])[:, 0])
    return chosen


def rows(known: Array) -> list[dict[str, object]]:
    """All rows of the table, published and filled, sorted by (Omega_m, sigma_8)."""
    origin = {tuple(pair): "published" for pair in known.tolist()}
    origin |= {tuple(pair): "filled" for pair in filled(known).tolist()}
    points = np.array(sorted(origin))
    order = {row: place for place, row in enumerate(nested_order(points))}
    return [
        {
            "cosmology": row,
            "omega_matter": f"{pair[0]:.3f}",
            "sigma_8": f"{pair[1]:.3f}",
            "origin": origin[tuple(pair)],
            "order": order[row],
        }
        for row, pair in enumerate(points.tolist())
    ]


def main() -> None:
    """Write the table."""
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else TABLE
    write_csv(TABLE, rows(published(source)))


if __name__ == "__main__":
    main()
