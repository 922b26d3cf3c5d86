"""What the models say of a group of points, as plain arrays over points and policies."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.equations.noise import RUNS as RUNS_PER_ARM
from perfmodel.equations.noise import power_factor
from perfmodel.results import LEVEL
from perfmodel.scenario import Policy
from perfmodel.sweeping.variables import ANSWERS, VARIABLES
from perfmodel.verdict import CUTS, RUN_CV, RUNS, SURE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from perfmodel.scenario import Scenario
    from perfmodel.sweeping.plan import Plan

__all__ = ["Found", "empty", "judged", "least_share", "spread"]


@dataclass
class Found:
    """Variables of some points, the points along the first axis, and what was said of them.

    Parameters
    ----------
    values : dict of str to ndarray
        By variable, with its further dimensions.
    reasons : Counter
        Why points have no answer: how many points, by (policy or "", reason).
    solvers, errors : set of str
        Who answered, and the stated errors.
    broken : Counter
        Conditions of the stated error that do not hold: how many points and policies.
    """

    values: dict[str, NDArray[Any]]
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    solvers: set[str] = field(default_factory=set)
    errors: set[str] = field(default_factory=set)
    broken: Counter[str] = field(default_factory=Counter)

    def put(self, places: NDArray[np.int64], other: Found) -> None:
        """Write the answers of some points in their places."""
        for name, values in other.values.items():
            if name in self.values:
                self.values[name][places] = values
        self.reasons += other.reasons
        self.broken += other.broken
        self.solvers |= other.solvers
        self.errors |= other.errors


def empty(plan: Plan, points: int) -> Found:
    """Return answers of which none is known yet: NaN, and 0 for a flag."""
    values = {}
    for name in plan.variables:
        variable = VARIABLES[name]
        shape = (points, *(n for _, n in plan.extra(variable)))
        dtype = plan.dtype(variable)
        values[name] = np.full(shape, 0 if dtype.kind in "bi" else math.nan, dtype=dtype)
    return Found(values)


def spread(gain: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the interval and the share of the draws that gain.

    Parameters
    ----------
    gain : ndarray of shape (points, policies, draws), ns
        Element 0 of the draws is the estimate.

    Returns
    -------
    interval : ndarray of shape (points, policies, 3), ns
        Low, estimate, high; NaN where the estimate is unknown.
    p_pays : ndarray of shape (points, policies)
    """
    known = np.isfinite(gain)
    there = known[..., 0]
    out = np.full((*there.shape, 3), np.nan)
    levels = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    whole = known.all(axis=-1)
    if whole.any():
        out[whole, 0], out[whole, 2] = np.quantile(gain[whole], levels, axis=-1)
    for place in np.argwhere(there & ~whole):
        row = gain[tuple(place)]
        out[tuple(place)][[0, 2]] = np.quantile(row[np.isfinite(row)], levels)
    out[..., 1] = np.where(there, gain[..., 0], np.nan)
    with np.errstate(invalid="ignore"):
        pays = np.mean(gain > 0, axis=-1)
    return out, np.where(there, pays, np.nan)


def least_share() -> float:
    """Return the share of the thread time from which on the runs of an A/B test show a gain."""
    one = float(RUNS_PER_ARM(effect=1.0, run_cv=RUN_CV, power_factor=power_factor()))
    return math.sqrt(one / RUNS)


def judged(
    scenario: Scenario, gain: NDArray[np.float64], p_pays: NDArray[np.float64],
    calls: NDArray[np.float64], threads: Any, realised: NDArray[np.float64], safe: Sequence[bool],
) -> dict[str, NDArray[Any]]:  # fmt: skip
    """Give the verdict of :func:`perfmodel.verdict.judge` at many points.

    Parameters
    ----------
    scenario : Scenario
        One of the points.
    gain, p_pays, realised : ndarray of shape (points, policies)
        Net gain, ns; share of the draws that gain; share of the gain that arrives.
    calls : ndarray of shape (points,)
        Calls per ns without a downgrade.
    threads : float or ndarray of shape (points,)
        Threads whose time is lost.
    safe : sequence of bool
        By policy.

    Returns
    -------
    dict of str to ndarray of shape (points,)
        The flags of the verdict and the share of the thread time.
    """
    policies, safe_ones = scenario.policies, np.asarray(safe, dtype=bool)
    known = np.isfinite(gain)
    cut = known & np.array([p in CUTS for p in policies])
    other = known & np.array([p is not Policy.NONE for p in policies])
    asked = np.where(cut.any(axis=1, keepdims=True), cut, other)
    low = np.where(asked, gain, -np.inf)
    best = np.argmax(low, axis=1)
    rows = np.arange(len(gain))
    none = ~asked.any(axis=1)
    share = _share(gain[rows, best], calls, threads, realised[rows, best])
    pays = p_pays[rows, best]
    with np.errstate(invalid="ignore"):
        # As many runs are enough as are worth making.
        seen = np.abs(share) >= least_share()
        if_safe = np.where(
            (pays >= SURE) & seen, ANSWERS.index("pays"),
            np.where(pays <= 1 - SURE, ANSWERS.index("costs"), ANSWERS.index("lost in the noise")),
        )  # fmt: skip
    if_safe = np.where(none, 0, if_safe)
    answer = np.where(safe_ones[best] | none, if_safe, ANSWERS.index("unsafe"))
    reference = policies.index(Policy.NONE)
    kept = known & safe_ones
    best_safe = np.argmax(np.where(kept, gain, -np.inf), axis=1)
    return {
        "verdict": answer, "verdict_if_safe": if_safe,
        "verdict_policy": np.where(none, reference, best),
        "best_safe_policy": np.where(kept.any(axis=1), best_safe, reference),
        "share_of_thread_time": np.where(none, np.nan, share),
    }  # fmt: skip


def _share(
    gain: NDArray[np.float64], calls: NDArray[np.float64], threads: Any,
    realised: NDArray[np.float64],
) -> NDArray[np.float64]:  # fmt: skip
    with np.errstate(all="ignore"):
        share = np.where(calls == 0, 0.0, gain * calls / threads)
    return share * np.where(np.isfinite(realised), realised, 1.0)
