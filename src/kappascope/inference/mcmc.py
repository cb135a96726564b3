"""A second way to the same areas: emcee samples of the posterior.

The share of the posterior above a density is the share of samples above it, so the border of a
credible region is a quantile of the samples' own log-posterior. That needs no density estimate,
whose bandwidth would decide the answer for thin contours. Only the area inside that border is then
counted on cells. The check is on what the grid could get wrong: how the posterior's mass is spread.
"""

from collections.abc import Sequence

import emcee
import numpy as np

from kappascope import randomness
from kappascope.inference.credible import CREDIBILITIES, Cells, LogPosterior
from kappascope.inference.emulator import Emulator

_BURN_IN = 0.1  # share of the steps thrown away; walkers start from the grid's posterior


def sample(
    emulator: Emulator,
    cells: Cells,
    log_posterior: LogPosterior,
    *,
    steps: int,
    walkers: int,
    seed: int,
    purpose: str,
    index: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Sample a posterior with an ensemble of walkers.

    Parameters
    ----------
    emulator, log_posterior : the posterior.
    cells : where walkers start: drawn from the posterior itself, so that modes far apart, between
        which no walker jumps, begin with their shares.
    steps, walkers : length of the chain and number of walkers (even).
    seed, purpose, index : name the random numbers.

    Returns
    -------
    Samples (sample, 2) and their log-posterior (sample,).

    """
    draws = randomness.generator(seed, f"emcee {purpose}", index)
    values = log_posterior(cells.weights)
    share = np.exp(values - values.max())
    centres = cells.centres[draws.choice(len(share), walkers, p=share / share.sum())]

    def evaluate(points: np.ndarray) -> np.ndarray:
        return log_posterior(emulator.weights(points))

    start = centres + cells.width * draws.uniform(-0.5, 0.5, centres.shape)
    # The hull may cut a cell: its centre is inside, a point beside it may not be.
    start = np.where(np.isfinite(evaluate(start))[:, None], start, centres)

    # Differential evolution mixes fast where the posterior is compact, stretches where the hull
    # cuts it. emcee's DESnookerMove is left out: it was seen to shrink long contours by 5 percent.
    moves = [(emcee.moves.DEMove(), 0.5), (emcee.moves.StretchMove(), 0.5)]
    sampler = emcee.EnsembleSampler(walkers, 2, evaluate, vectorize=True, moves=moves)
    legacy = np.random.RandomState(int(draws.integers(2**32)))
    initial = emcee.State(start, random_state=legacy.get_state())
    sampler.run_mcmc(initial, steps, skip_initial_state_check=True)
    burn_in = int(_BURN_IN * steps)
    return (
        sampler.get_chain(discard=burn_in, flat=True),
        sampler.get_log_prob(discard=burn_in, flat=True),
    )


def areas(
    cells: Cells,
    log_posterior: LogPosterior,
    sampled: np.ndarray,
    credibilities: Sequence[int] = CREDIBILITIES,
) -> np.ndarray:
    """Return the area of each credible region, from samples.

    Parameters
    ----------
    cells : where areas are counted.
    log_posterior : the posterior.
    sampled : (sample,) log-posterior of the samples.
    credibilities : percent.

    Returns
    -------
    (credibility,)

    """
    borders = np.quantile(sampled, 1.0 - np.asarray(credibilities) / 100.0)
    ordered = np.sort(log_posterior(cells.weights))
    return (len(ordered) - np.searchsorted(ordered, borders)) * cells.area
