"""One forward and one backward pass through a network: gradients and their relatives by rules."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kappascope.attribution import rules
from kappascope.attribution.walk import backward, evaluate, fold
from kappascope.networks.description import Network
from kappascope.networks.module import activations

Array = Any

_EVERYWHERE_DERIVATIVE = rules.Composite()


@dataclasses.dataclass(frozen=True)
class Propagation:
    """One forward and one backward pass through the network's nodes.

    Attributes
    ----------
    composite : a rule for each kind of node.
    seed : relevance of the explained output: ``one``, ``output`` (y_k) or ``positive_output``
        (max(y_k, 0)).
    fold : whether batch normalization is folded into convolutions first.
    times_input : whether the map is multiplied by the input.
    target : the node whose relevance is returned.
    from_baseline : whether rules compare with the network's values for an input of zero.

    """

    composite: rules.Composite = _EVERYWHERE_DERIVATIVE
    seed: str = "one"
    fold: bool = False
    times_input: bool = False
    target: str = "x"
    from_baseline: bool = False

    def __call__(
        self, network: Network, parameters: Any, x: Array, outputs: Sequence[int], keys: Array
    ) -> Array:
        """Return (explained, batch, ...) relevance of the target."""
        if self.fold:
            network, parameters = fold(network, parameters)
        values, hot = evaluate(network, parameters, x, outputs)
        last = values[network.nodes[-1]["name"]]
        start = {
            "one": jnp.ones_like(last),
            "output": last,
            "positive_output": jax.nn.relu(last),
        }[self.seed]
        baseline = None
        if self.from_baseline:
            baseline = activations(network, parameters, jnp.zeros_like(x[:1]))

        def one(seed: Array) -> Array:
            return backward(
                network, parameters, values, seed, self.composite, self.target, baseline
            )

        found = jax.vmap(one)(hot * start)
        # Masks can hide an overflow on the way: a map of an output that is no number is none.
        sound = jnp.isfinite(last).all(-1).reshape(-1, *[1] * (found.ndim - 2))
        found = jnp.where(sound, found, jnp.nan)
        return found * values[self.target] if self.times_input else found

    def conventions(self) -> dict[str, Any]:
        """Return what another library may do otherwise."""
        told = {
            "seed": {"one": "1", "output": "y_k", "positive_output": "max(y_k, 0)"}[self.seed],
            "batch_norm": "folded" if self.fold else _told(self.composite.batch_norm),
        }
        for kind in ("conv", "dense", "relu", "avg_pool", "global_avg_pool", "max_pool", "add"):
            told[kind] = _told(getattr(self.composite, kind))
        if self.composite.first is not None:
            told["first"] = _told(self.composite.first)
        return {**told, "times_input": self.times_input}


def _told(rule: rules.Rule) -> str:
    return str(rule).replace("()", "")


GRADIENT = Propagation()

GUIDED = Propagation(rules.Composite(relu=rules.GuidedRectifier()))
"""Guided backpropagation."""


@functools.partial(jax.jit, static_argnames=("procedure", "network", "outputs"))
def _compiled(
    procedure: Callable[..., Array],
    network: Network,
    parameters: Any,
    x: Array,
    outputs: tuple[int, ...],
    keys: Array,
) -> Array:
    # On a GPU the default would round factors to ten bits, and relevance divides by sums.
    with jax.default_matmul_precision("highest"):
        return procedure(network, parameters, x, outputs, keys)


def compiled(
    procedure: Callable[..., Array],
    network: Network,
    parameters: Any,
    x: Array,
    outputs: Sequence[int],
) -> Array:
    """Run a procedure of one pass: (explained, batch, ...)."""
    return _compiled(procedure, network, parameters, x, tuple(outputs), None)
