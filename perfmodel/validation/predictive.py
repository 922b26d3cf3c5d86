"""The law of what one measurement would give: draws of the constants, the model's scatter, sampling."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from perfmodel.machine import Constant, Machine
from perfmodel.results import LEVEL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["Draws", "Z", "draws_of", "interval"]

#: Half width of an interval of probability `LEVEL` in standard deviations.
Z = 1.6448536269514722


@dataclass(frozen=True, eq=False)
class Draws:
    """Draws of a machine's constants, and noise for what else varies; element 0 is the estimate.

    Parameters
    ----------
    machine : Machine
    constants : dict of str to ndarray of shape (draws,)
        From the covariance alone: the model's scatter is added to what is predicted, once, and not
        to each constant.
    noise : ndarray of shape (3, draws)
        Standard normal; 0 in the first draw. Scatter of the first and second predicted total, and
        sampling error.
    """

    machine: Machine
    constants: dict[str, NDArray[np.float64]]
    noise: NDArray[np.float64]

    @property
    def count(self) -> int:
        """Number of draws."""
        return int(self.noise.shape[1])

    def scatter(self, which: int) -> NDArray[np.float64]:
        """Return the factor by which a total misses its prediction, of shape (draws,)."""
        return np.asarray(np.exp(self.machine.residual_sd * self.noise[which]))

    def machines(self) -> Iterator[Machine]:
        """Give a machine of every draw, the estimate first."""
        for i in range(self.count):
            constants = {
                name: c if c.value is None else _moved(c, float(self.constants[name][i]))
                for name, c in self.machine.constants.items()
            }
            yield replace(self.machine, constants=constants)


def _moved(constant: Constant, value: float) -> Constant:
    # A size has a least value of one, which a draw may undercut.
    least = 1.0 if constant.unit == "pages" else 0.0
    return Constant(value=max(value, least), unit=constant.unit, source=constant.source)


def draws_of(machine: Machine, count: int, *, seed: int = 0) -> Draws:
    """Draw the constants of a machine from their covariance.

    Parameters
    ----------
    machine : Machine
    count, seed : int
    """
    bare = replace(machine, fit={**machine.fit, "residual_log_sd": 0.0})
    noise = np.random.default_rng([seed, 1]).standard_normal((3, count))
    noise[:, 0] = 0.0
    return Draws(machine, bare.draws(count, seed=seed), noise)


def interval(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return estimate, low and high of draws whose first element is the estimate; NaN if unknown."""
    known = values[np.isfinite(values)]
    if not math.isfinite(values[0]) or known.size < 2:
        return float(values[0]), math.nan, math.nan
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(values[0]), float(low), float(high)
