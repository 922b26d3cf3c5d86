"""How well the data know each constant: the loss along it, all others refitted at every step.

A constant is identified where the loss rises on both sides by what 90 % allow. Where it rises on one
side only, the data say "at most" or "at least"; where it stays flat from one end of the typical range to
the other, they say nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from perfmodel.fit.objective import FLOOR, Objective, declared, descend

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["LEVEL", "Interval", "intervals", "upper_limit"]

#: Probability that an interval covers, and the rise of the deviance that this is.
LEVEL = 0.9
_RISE = 2.706

#: The search goes at least this far from the best value, in the logarithm: a factor of two.
_REACH = math.log(2.0)

#: An end is found when the root of the deviance is this close to the one wanted.
_CLOSE = 0.03

Verdict = Literal["identified", "at most", "at least", "not identifiable"]


@dataclass(frozen=True)
class Interval:
    """Profile-likelihood interval of one constant.

    Parameters
    ----------
    name, unit : str
    best : float
    low, high : float
        90 % interval; NaN on a side on which the data set no bound (each remaining side holds with
        95 %).
    verdict : {"identified", "at most", "at least", "not identifiable"}
    searched : tuple of float
        Range in which the profile was followed.
    """

    name: str
    unit: str
    best: float
    low: float
    high: float
    verdict: Verdict
    searched: tuple[float, float]

    def words(self) -> str:
        """Return the verdict as a remark."""
        match self.verdict:
            case "identified":
                return f"{self.low:.3g} to {self.high:.3g} {self.unit}"
            case "at most":
                return f"at most {self.high:.3g} {self.unit} (95 %): the data do not bound it below"
            case "at least":
                return f"at least {self.low:.3g} {self.unit} (95 %): the data do not bound it above"
        low, high = self.searched
        return (
            f"not identifiable from these data: any value from {low:.3g} to {high:.3g} {self.unit} fits"
            " as well"
        )


def intervals(
    objective: Objective,
    theta: NDArray[np.float64],
    covariance: NDArray[np.float64],
    scale: float,
) -> dict[str, Interval]:
    """Return the profile-likelihood interval of every free constant.

    Parameters
    ----------
    objective : Objective
    theta : ndarray of shape (free,)
        The minimum.
    covariance : ndarray of shape (free, free)
        Where to look first; NaN where there is none.
    scale : float
        What a deviance is divided by.
    """
    base = float(objective.cost(theta))
    out = {}
    for place, name in enumerate(objective.free):
        quantity = declared(name)
        low_end = min(math.log(quantity.typical[0]), theta[place] - _REACH)
        high_end = max(math.log(quantity.typical[1]), theta[place] + _REACH)
        ends = [
            _end(objective, theta, covariance, place, end, base, scale) for end in (low_end, high_end)
        ]  # fmt: skip
        low, high = (math.nan if e is None else math.exp(e) for e in ends)
        verdict: Verdict = "identified"
        if math.isnan(low):
            verdict = "not identifiable" if math.isnan(high) else "at most"
        elif math.isnan(high):
            verdict = "at least"
        out[name] = Interval(
            name, quantity.unit, math.exp(float(theta[place])), low, high, verdict,
            (math.exp(low_end), math.exp(high_end)),
        )  # fmt: skip
    return out


def _end(
    objective: Objective, theta: NDArray[np.float64], covariance: NDArray[np.float64], place: int,
    end: float, base: float, scale: float,
) -> float | None:  # fmt: skip
    """Return where the profile passes the threshold between the best value and `end`, if it does."""
    best = float(theta[place])
    variance = float(covariance[place, place])
    # How the others follow, to first order: the line along which the profile runs.
    along = np.zeros_like(theta)
    if math.isfinite(variance):
        along = np.nan_to_num(covariance[:, place] / variance)
    along[place] = 1.0
    near: list[tuple[float, NDArray[np.float64]]] = [(best, theta)]

    def root(at: float) -> float:
        # From the nearest place where the others were fitted already.
        there, solved = min(near, key=lambda pair: abs(pair[0] - at))
        trial = solved + along * (at - there)
        trial[place] = at
        moved, cost = descend(objective, trial, held=place, close=0.01 * scale)
        near.append((at, moved))
        return math.sqrt(max(cost - base, 0.0) / scale)

    return _crossing(root, best, end, math.sqrt(_RISE), math.sqrt(max(variance, 0.0)))


def _crossing(
    root: Callable[[float], float], best: float, end: float, wanted: float, deviation: float
) -> float | None:
    """Return where a root of a deviance, 0 at `best`, reaches `wanted` on the way to `end`.

    The root is nearly straight where the likelihood is nearly normal: false position in the root finds
    it in two or three steps. A root that is flat first and then rises takes bisection.
    """
    side = math.copysign(1.0, end - best)
    first = best + side * deviation * wanted if math.isfinite(deviation) else end
    inner, inner_root = best, 0.0
    outer, outer_root = end, math.nan
    if (first - end) * side < 0:
        got = root(first)
        if abs(got - wanted) < _CLOSE * wanted:
            return first
        if got < wanted:
            inner, inner_root = first, got
        else:
            outer, outer_root = first, got
    if math.isnan(outer_root):
        outer_root = root(end)
        if outer_root < wanted:
            return None
    for step in range(12):
        share = (wanted - inner_root) / (outer_root - inner_root)
        at = inner + (share if step % 3 < 2 else 0.5) * (outer - inner)
        got = root(at)
        if abs(got - wanted) < _CLOSE * wanted or abs(outer - inner) < 1e-3:
            return at
        if got < wanted:
            inner, inner_root = at, got
        else:
            outer, outer_root = at, got
    return 0.5 * (inner + outer)


def upper_limit(objective: Objective, theta: NDArray[np.float64], name: str, scale: float) -> float:
    """Return the largest value that 95 % allow to a constant that was set to zero, all others refitted."""
    rest = {n: v for n, v in objective.fixed.items() if n != name}
    wider = Objective(
        objective.design, objective.points, (*objective.free, name), rest, objective.model_sd
    )
    base = float(objective.cost(theta))
    low, high = math.log(FLOOR), math.log(declared(name).typical[1] * 100)
    place = len(theta)
    at = np.append(theta, low)
    for _ in range(14):
        middle = 0.5 * (low + high)
        at[place] = middle
        moved, cost = descend(wider, at, held=place, close=0.01 * scale)
        if (cost - base) / scale < _RISE:
            low, at = middle, moved
        else:
            high = middle
    return math.exp(high)
