"""What times that are known only as intervals say of their median: one likelihood curve a group.

The model predicts a central value and no distribution, so the law of the scatter is declared here
and integrated out. The logarithm of a time is the logarithm of the median plus a logistic deviate (a
log-logistic law, which has the median as its own parameter and tails heavier than the lognormal's); some
of the events are late: they exceed the median by an exponential deviate of the logarithm, which is a power
law, as preemption and interrupts on a shared machine make it. The spread of the first and the share of the
second are each group's own: the likelihood of a median is the average over all of them, evenly over the
logarithm of the spread. (The best of them in place of the average would make curves that jump from one to
the next; their slope says how much is known.) The law is symmetric and the scatter need not be: a share of
the spread is added to the error of the median.

Two kinds of intervals are told apart. A histogram's bin says that the time lies in it. The difference
of two time stamps cut to whole microseconds says more than that it lies within one microsecond of the
truth: where the clock's ticks fall is chance, so a time x reads d with a probability that falls
linearly with their distance. A hold of 300 ns reads 1 us in three cases of ten.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from perfmodel.observations import Group

__all__ = ["MICROSECOND", "Curve", "Curves", "curve_of", "log_likelihood"]

#: Resolution of time stamps in microsecond text, ns.
MICROSECOND = 1000.0

#: Mean excess of a late event's logarithm over the median's: a power law of exponent 2.
LATE = 0.5

#: Spreads of the logistic deviate and shares of late events that are tried.
SPREADS = np.geomspace(0.003, 1.0, 18)
LATE_SHARES = np.array([0.0, 0.01, 0.03, 0.08, 0.2])

#: Error of the median, in units of the spread, because the scatter may be skewed: a symmetric law fitted
#: to one whose upper spread is three times the lower has its median off by so much.
SKEWED = 0.35

#: Where the clock's ticks fall, as shares of a microsecond.
_PHASES = (np.arange(8) + 0.5) / 8

#: Deviance beyond which the curve is not followed: ten standard deviations.
_FAR = 100.0

#: Deviance below which two medians are equally likely.
_FLAT = 1e-3


@dataclass(frozen=True, eq=False)
class Curve:
    """How likely each median is, given a group's events.

    Parameters
    ----------
    log_median : ndarray of shape (m,)
        Increasing in even steps.
    deviance : ndarray of shape (m,)
        Twice the loss of log-likelihood against the best median; 0 at its best.
    """

    log_median: NDArray[np.float64]
    deviance: NDArray[np.float64]

    @cached_property
    def best(self) -> float:
        """Logarithm of the best median: the middle of what is equally likely."""
        flat = self.log_median[self.deviance <= self.deviance.min() + _FLAT]
        return float(0.5 * (flat[0] + flat[-1]))

    @cached_property
    def log_sd(self) -> float:
        """Half the width of the interval in which the deviance is below 1: a standard error."""
        inside = np.flatnonzero(self.deviance <= 1.0)
        low, high = inside[0], inside[-1]
        return max(0.5 * (self._cross(high, high + 1) - self._cross(low, low - 1)), 1e-4)

    def _cross(self, inside: int, outside: int) -> float:
        """Return where the deviance passes 1 between two neighbours of the grid."""
        if not 0 <= outside < len(self.deviance):
            return float(self.log_median[inside])
        a, b = self.deviance[inside], self.deviance[outside]
        share = (1.0 - a) / (b - a)
        return float(
            self.log_median[inside] + share * (self.log_median[outside] - self.log_median[inside])
        )

    def scattered(self, model_sd: float) -> Curve:
        """Return the curve of what the model predicts, which misses the median by `model_sd`.

        The miss is a normal deviate, integrated out: for a normal curve the variances add, as they do
        for exact medians.
        """
        cached: dict[float, Curve] = self.__dict__.setdefault("_scattered", {})
        if model_sd not in cached:
            cached[model_sd] = self._widened(model_sd)
        return cached[model_sd]

    def _widened(self, model_sd: float) -> Curve:
        m = self.log_median
        reach = 8.0 * model_sd
        fine = max(min(float(np.diff(m).min()), model_sd / 4.0), (m[-1] - m[0] + 2 * reach) / 400)
        wide = np.arange(m[0] - reach, m[-1] + reach + fine, fine)
        # The curve on the same steps, going on as it ends: it is far from its best there.
        source = np.interp(wide, m, self.deviance, left=math.inf, right=math.inf)
        kernel = -0.5 * ((wide[:, None] - wide[None, :]) / model_sd) ** 2
        found = -2.0 * _log_sum(kernel - 0.5 * source[None, :], axis=1)
        return Curve(wide, found - float(found.min()))

    @cached_property
    def root(self) -> NDArray[np.float64]:
        """Signed square root of the deviance: negative below the best median."""
        return np.asarray(np.sign(self.log_median - self.best) * np.sqrt(self.deviance))

    def residual(self, at: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the signed root of the deviance at logarithms, and its slope there.

        Beyond the grid it goes on in a straight line.
        """
        residual, slope = Curves([self]).residuals(np.asarray(at)[..., None])
        return residual[..., 0], slope[..., 0]


class Curves:
    """Several curves, looked up at once.

    Parameters
    ----------
    curves : sequence of Curve
        On evenly spaced grids.
    """

    def __init__(self, curves: Sequence[Curve]) -> None:
        size = max((len(c.log_median) for c in curves), default=2)
        self._first = np.array([c.log_median[0] for c in curves])
        self._step = np.array([c.log_median[1] - c.log_median[0] for c in curves])
        self._last = np.array([len(c.log_median) - 2 for c in curves], dtype=np.intp)
        self._root = np.array(
            [np.pad(c.root, (0, size - len(c.root)), mode="edge") for c in curves]
        )
        self._place = np.arange(len(curves))

    def residuals(self, at: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return signed roots and slopes; `at` and both have shape (..., curves)."""
        where = (at - self._first) / self._step
        i = np.clip(np.floor(where), 0, self._last).astype(np.intp)
        low, high = self._root[self._place, i], self._root[self._place, i + 1]
        return low + (where - i) * (high - low), (high - low) / self._step


def log_likelihood(
    low: NDArray[np.float64], high: NDArray[np.float64], count: NDArray[np.float64],
    log_median: NDArray[np.float64], *, stamped: bool, spreads: NDArray[np.float64] = SPREADS,
) -> NDArray[np.float64]:  # fmt: skip
    """Return the log-likelihood of intervals at each median for each spread.

    The share of late events is integrated out.

    Parameters
    ----------
    low, high : ndarray of shape (n,), ns
        The intervals; for time stamps `high` is one microsecond above what was read.
    count : ndarray of shape (n,)
    log_median : ndarray of shape (m,)
    stamped : bool
        Whether they are differences of time stamps in microseconds and not bins.
    spreads : ndarray

    Returns
    -------
    ndarray of shape (spreads, m)
    """
    if stamped:
        read = high - MICROSECOND
        starts = read[:, None] - MICROSECOND * (1.0 - _PHASES)
        edges, place = np.unique(
            np.concatenate([starts.ravel(), (starts + MICROSECOND).ravel()]), return_inverse=True
        )
        first, second = place.reshape(2, *starts.shape)
    else:
        edges, place = np.unique(np.concatenate([low, high]), return_inverse=True)
        first, second = place.reshape(2, -1, 1)
    with np.errstate(divide="ignore"):
        t = np.log(np.maximum(edges, 0.0))[None, :] - log_median[:, None]
    late = -np.expm1(-np.maximum(t, 0.0) / LATE)
    p_late = (late[:, second] - late[:, first]).mean(axis=-1)
    out = np.empty((len(spreads), len(log_median)))
    for i, spread in enumerate(spreads):
        core = 0.5 * (1.0 + np.tanh(np.clip(0.5 * t / spread, -300, 300)))
        p_core = (core[:, second] - core[:, first]).mean(axis=-1)
        shares = [(1.0 - share) * p_core + share * p_late for share in LATE_SHARES]
        found = np.log(np.maximum(shares, 1e-300)) @ count
        out[i] = _log_sum(found, axis=0) - math.log(len(LATE_SHARES))
    return out


def curve_of(groups: Sequence[Group], *, stamped: bool) -> Curve:
    """Return the curve of the common median of groups taken under the same conditions.

    All events together give the curve; what the medians of the groups differ by widens it, as it does
    the standard error of exact medians.

    Parameters
    ----------
    groups : sequence of Group
        With events.
    stamped : bool
        Whether the intervals are differences of time stamps in microseconds.
    """
    whole = _single(_joined(groups, stamped), stamped)
    if len(groups) == 1:
        return whole
    medians = [_single(_joined([g], stamped), stamped).best for g in groups]
    between = float(np.std(medians, ddof=1)) / math.sqrt(len(groups))
    return whole.scattered(between) if between > 1e-4 else whole


def _log_sum(logs: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Return the logarithm of a sum of exponentials; scipy's costs several times as much on these sizes."""
    top = logs.max(axis=axis, keepdims=True)
    return np.asarray(np.log(np.exp(logs - top).sum(axis=axis)) + top.squeeze(axis))


_Bins = tuple["NDArray[np.float64]", "NDArray[np.float64]", "NDArray[np.float64]"]


def _joined(groups: Sequence[Group], stamped: bool) -> _Bins:
    """Return the distinct intervals of groups with their counts."""
    low = np.concatenate([g.low for g in groups])
    high = np.concatenate([g.high for g in groups])
    count = np.concatenate([g.count for g in groups])
    if not stamped:
        # A value known exactly is known to half a nanosecond.
        exact = high <= low
        low, high = np.where(exact, low - 0.5, low), np.where(exact, high + 0.5, high)
    pairs, place = np.unique(np.stack([low, high]), axis=1, return_inverse=True)
    total = np.bincount(place.ravel(), weights=count).astype(np.float64)
    return pairs[0], pairs[1], total


def _deviance(
    bins: _Bins, grid: NDArray[np.float64], stamped: bool, spreads: NDArray[np.float64] = SPREADS
) -> NDArray[np.float64]:
    found = _log_sum(log_likelihood(*bins, grid, stamped=stamped, spreads=spreads), axis=0)
    return np.asarray(2.0 * (found.max() - found))


def _single(bins: _Bins, stamped: bool) -> Curve:
    """Return the curve of one sample, its error from skewness included."""
    grid = _grid(bins, stamped)
    curve = Curve(grid, _deviance(bins, grid, stamped))
    weights = log_likelihood(*bins, np.array([curve.best]), stamped=stamped)[:, 0]
    spread = math.exp(float(np.average(np.log(SPREADS), weights=np.exp(weights - weights.max()))))
    return curve.scattered(max(SKEWED * spread, 1e-3))


def _grid(bins: _Bins, stamped: bool) -> NDArray[np.float64]:
    """Return medians close enough together where the likelihood is, and few elsewhere."""
    low, high, _ = bins
    bottom = math.log(max(float(low.min()), 1.0))
    top = math.log(max(float(high.max()), 2.0))
    for count in (40, 40):
        grid = np.linspace(bottom, top, count)
        inside = np.flatnonzero(_deviance(bins, grid, stamped, SPREADS[::3]) < _FAR)
        bottom = float(grid[max(inside[0] - 1, 0)])
        top = float(grid[min(inside[-1] + 1, len(grid) - 1)])
    return np.linspace(bottom, top, 100)
