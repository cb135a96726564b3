"""What the config says of statistics."""

from collections.abc import Iterator
from typing import Any, Literal

from kappascope import costs
from kappascope.cosmology.parameters import PARAMETERS
from kappascope.costs import Work
from kappascope.errors import nearest, shown
from kappascope.sections import Distinct, Problem, Range, Section, check_range, key
from kappascope.statistics import registry


class Statistics(Section):
    """Summary statistics measured on every map."""

    names: Distinct[str] = key(
        "Statistics of the data vector, in order: names from the registry.",
        min_length=1,
    )
    beyond: Distinct[str] = key("Further statistics to measure that do not enter the data vector.")
    bins: int = key("Bins of each statistic.", "bin", ge=2)
    ell_range: Range = key(
        "Multipoles of the power spectrum, lower and upper edge; bins are equal in log ell.",
        "multipole",
    )
    kappa_range_noiseless: Range = key(
        "Convergence range of peaks and Minkowski functionals without shape noise; linear bins.",
        "convergence",
    )
    kappa_range_noisy: Range = key("The same with shape noise.", "convergence")
    estimator: Literal["full", "lenstools"] = key(
        "Mean over Fourier modes: full counts every mode once; lenstools averages the half "
        "plane of a real transform as LensTools does.",
    )
    doubling: bool = key(
        "Whether smoothed maps whose pixels exceed a third of the smoothing are doubled by Fourier "
        "zero-padding before peaks, minima and Minkowski functionals; maps with a mask never are.",
    )
    periodic_peaks: bool = key(
        "Whether pixels at the border compare with the opposite border (true) or are never "
        "peaks (false).",
    )

    def problems(self, config: Any) -> Iterator[Problem]:
        """Yield values that do not go together."""
        yield from check_range("statistics.ell_range", self.ell_range)
        yield from check_range("statistics.kappa_range_noiseless", self.kappa_range_noiseless)
        yield from check_range("statistics.kappa_range_noisy", self.kappa_range_noisy)
        if (low := self.ell_range[0]) <= 0:
            text = f"got {low:g} as lower edge; log bins need one above 0"
            yield "statistics.ell_range", text
        known = registry.names()
        for key_, chosen in (("names", self.names), ("beyond", self.beyond)):
            for name in chosen:
                if name not in known:
                    text = f"got {shown(name)}, the registry holds {', '.join(known)}"
                    yield f"statistics.{key_}", text + nearest(name, known)
        twice = sorted(set(self.names) & set(self.beyond))
        if twice:
            text = f"got {twice[0]}, which statistics.names already holds; drop one"
            yield "statistics.beyond", text
        length = self.bins * len(self.names) + len(PARAMETERS)
        maps = config.maps.covariance
        if maps <= length + 2:
            yield (
                "maps.covariance",
                f"got {maps}, but a covariance of {length} numbers ({len(self.names)} statistics x "
                f"{self.bins} bins + {len(PARAMETERS)}) needs at least {length + 3} maps; ask for "
                "more maps or fewer statistics.bins",
            )


# ---- what the jobs do ----------------------------------------------------------------------------


@costs.of("measure_statistics", common=True)
def _measure_statistics(config: Any) -> Work:
    pixels = costs.pixels(config)
    return Work(len(config.data_sets), {"map": costs.maps(config) * pixels, "pixels_held": pixels})
