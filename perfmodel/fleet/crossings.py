"""Where the gain of many profiles turns over one parameter, from their curves on one grid."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from perfmodel.breakeven.search import Scale, SignChange, interpolated
from perfmodel.fleet.comparison import Crossing

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["closer", "crossings_of", "whole"]

#: Values put into a cell of the grid in which a sign turns.
INSIDE = 6


def crossings_of(
    grid: NDArray[np.float64], gain: NDArray[np.float64], scale: Scale
) -> tuple[str, tuple[Crossing, ...]]:
    """Return whether the sign of a gain turns over a grid, and where.

    A change lies where the straight line between two neighbours crosses zero, on the parameter's own
    scale. Its interval ends where the ends of the gain's interval cross zero: where every draw rises, or
    every draw falls, through zero once, those are the quantiles of the draws' own roots.

    Parameters
    ----------
    grid : ndarray of shape (values,)
        Ascending.
    gain : ndarray of shape (values, 3), ns
        Low, estimate and high.
    scale : Scale

    Returns
    -------
    turns : {"always", "never", "turns", "unknown"}
    crossings : tuple of Crossing
        Ascending.
    """
    low, estimate, high = gain.T
    known = estimate[np.isfinite(estimate)]
    if known.size == 0:
        return "unknown", ()
    changes = interpolated(grid, estimate, scale)
    if not changes:
        # Both signs and no change: they lie on either side of a gap.
        positive = known > 0
        turns = "always" if positive.all() else "never" if not positive.any() else "turns"
        return turns, ()
    ends = interpolated(grid, low, scale), interpolated(grid, high, scale)
    found = []
    for change in changes:
        near = [_nearest(change, side, scale) for side in ends]
        # The low end of a gain that rises turns later than the estimate, that of one that falls earlier.
        first, last = near[::-1] if change.side == "above" else near
        found.append(Crossing(change.value, first, last, change.side))
    return "turns", tuple(found)


def closer(
    grid: NDArray[np.float64], crossings: tuple[Crossing, ...], scale: Scale
) -> NDArray[np.float64]:
    """Return values between those of a grid, in the cells where a gain or an end of its interval turns."""
    ends = np.array([v for c in crossings for v in (c.low, c.value, c.high) if math.isfinite(v)])
    cells = np.unique(np.clip(np.searchsorted(grid, ends, side="right"), 1, grid.size - 1))
    inside = [scale.between(grid[i - 1], grid[i], INSIDE + 2)[1:-1] for i in cells]
    return np.setdiff1d(np.concatenate(inside), grid) if inside else np.empty(0)


def whole(crossing: Crossing) -> Crossing:
    """Return a crossing of a whole number: the first one on the far side, and so the interval's ends."""
    value, low, high = map(float, np.ceil([crossing.value, crossing.low, crossing.high]))
    return Crossing(value, low, high,
                    crossing.pays)  # fmt: skip


def _nearest(change: SignChange, others: list[SignChange], scale: Scale) -> float:
    """Return the value of the nearest change to the same side; NaN where there is none."""
    same = [o.value for o in others if o.side == change.side]
    place = scale.on(change.value)
    return min(same, key=lambda v: abs(scale.on(v) - place), default=math.nan)
