"""All sign changes of a function over a range: from its values on a grid, and where those suggest more."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["WIDTH", "Found", "Scale", "SignChange", "interpolated", "sign_changes"]

#: Width to which a sign change is narrowed, as a part of the grid's range on its own scale.
WIDTH = 1e-6

#: A value counts as a local minimum if a neighbour is larger by so much: below is rounding.
_RISE = 1e-6


@dataclass(frozen=True)
class SignChange:
    """One place at which a function changes sign.

    Parameters
    ----------
    value : float
        For whole numbers the first one that has the sign of the far side.
    side : {"above", "below"}
        On which side of it the function is positive.
    """

    value: float
    side: str


@dataclass(frozen=True)
class Found:
    """What a search found.

    Parameters
    ----------
    changes : tuple of SignChange
        Ascending.
    gaps : tuple of (float, float)
        Stretches with no value at which the sign is another one on either side.
    """

    changes: tuple[SignChange, ...]
    gaps: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Scale:
    """The scale on which a parameter is swept.

    Parameters
    ----------
    log : bool
        Whether equal steps are equal ratios.
    integer : bool
        Whether only whole numbers are values.
    """

    log: bool = False
    integer: bool = False

    def on(self, value: float) -> float:
        """Return the position of a value."""
        return math.log(value) if self.log else value

    def value(self, position: float) -> float:
        """Return the value at a position."""
        return math.exp(position) if self.log else position

    def between(self, low: float, high: float, count: int) -> NDArray[np.float64]:
        """Return evenly placed values from `low` to `high`; of whole numbers each one once."""
        spread = np.geomspace if self.log else np.linspace
        values = np.asarray(spread(low, high, count), dtype=float)
        values[[0, -1]] = low, high
        return np.unique(np.round(values)) if self.integer else np.unique(values)


class _UndefinedError(Exception):
    """The function has no value somewhere."""


class _OtherSideError(Exception):
    """A point with the other sign was found."""

    def __init__(self, at: float) -> None:
        super().__init__(at)
        self.at = at


class _Search:
    """The function with what is known of it, so that no point is evaluated twice."""

    def __init__(self, function: Callable[[float], float], scale: Scale, width: float) -> None:
        self._function, self.scale, self.width = function, scale, width
        self._known: dict[float, float] = {}

    def learn(self, at: float, value: float) -> None:
        self._known[at] = value

    def __call__(self, at: float) -> float:
        if at not in self._known:
            self._known[at] = float(self._function(at))
        value = self._known[at]
        if not math.isfinite(value):
            raise _UndefinedError
        return value

    def positive(self, at: float) -> bool:
        return self(at) > 0

    def root(self, low: float, high: float) -> float:
        """Return the sign change between two points of different signs."""
        if self.scale.integer:
            return self._whole_root(low, high)
        from scipy.optimize import brentq

        ends = {self.scale.on(low): low, self.scale.on(high): high}
        at = brentq(lambda p: self(ends.get(p, self.scale.value(p))), *ends, xtol=self.width)
        return self.scale.value(float(at))

    def _whole_root(self, low: float, high: float) -> float:
        positive = self.positive(low)
        while high - low > 1:
            middle = float(math.floor((low + high) / 2))
            if self.positive(middle) == positive:
                low = middle
            else:
                high = middle
        return high

    def other_side(self, low: float, high: float) -> float | None:
        """Return a point between two of the same sign at which the sign is another, if one is found.

        The distance from zero is minimised; it is taken to fall and then to rise.
        """
        positive = self.positive(low)

        def distance(at: float) -> float:
            value = self(at)
            if (value > 0) != positive:
                raise _OtherSideError(at)
            return abs(value)

        try:
            if self.scale.integer:
                _whole_minimum(distance, low, high)
            else:
                self._minimum(distance, low, high)
        except _OtherSideError as found:
            return found.at
        return None

    def _minimum(self, distance: Callable[[float], float], low: float, high: float) -> None:
        from scipy.optimize import minimize_scalar

        ends = self.scale.on(low), self.scale.on(high)
        minimize_scalar(
            lambda p: distance(self.scale.value(float(p))), bounds=ends, method="bounded",
            options={"xatol": max(self.width, 1e-4 * (ends[1] - ends[0]))},
        )  # fmt: skip

    def leans_in(self, end: float, inner: float) -> bool:
        """Tell whether the distance from zero falls from an end of the range inwards."""
        near = self.scale.value(
            self.scale.on(end) + 0.01 * (self.scale.on(inner) - self.scale.on(end))
        )
        if self.scale.integer:
            near = end + math.copysign(max(1.0, abs(round(near - end))), inner - end)
        if near == inner:
            return False
        return self.positive(near) != self.positive(end) or abs(self(near)) < abs(self(end))


def _whole_minimum(distance: Callable[[float], float], low: float, high: float) -> None:
    """Narrow the minimum between two whole numbers down by golden sections, one value a step."""
    golden = 0.382
    middle = low + max(1, round(golden * (high - low)))
    if not middle < high:
        return
    least = distance(middle)
    while high - low > 4:
        upwards = high - middle > middle - low
        part = high - middle if upwards else middle - low
        there = middle + (1 if upwards else -1) * max(1, round(golden * part))
        value = distance(there)
        if value < least:
            low, high = (middle, high) if upwards else (low, middle)
            middle, least = there, value
        else:
            low, high = (low, there) if upwards else (there, high)
    for at in range(int(low) + 1, int(high)):
        distance(float(at))


def sign_changes(
    function: Callable[[float], float],
    grid: Sequence[float] | NDArray[np.float64],
    values: Sequence[float] | NDArray[np.float64],
    scale: Scale = Scale(),
) -> Found:
    """Find the sign changes of a function between the first and the last value of a grid.

    A change between neighbours on the grid is narrowed down by Brent's method, for whole numbers by
    halving. Two changes inside one cell show no sign change on the grid. So wherever the distance
    from zero has a local minimum on the grid, or falls from an end of it inwards, it is minimised
    between the neighbours; if it passes zero there, both changes are narrowed down. What remains
    unseen is a dip narrower than a cell towards which the neighbours do not lean.

    Parameters
    ----------
    function : callable
        Of one value; NaN where it has none. Zero counts as not positive.
    grid : sequence of float
        Ascending; whole numbers if the scale says so.
    values : sequence of float
        The function there.
    scale : Scale

    Returns
    -------
    Found
    """
    grid = np.asarray(grid, dtype=float)
    values = np.asarray(values, dtype=float)
    span = scale.on(grid[-1]) - scale.on(grid[0]) if grid.size > 1 else 1.0
    search = _Search(function, scale, WIDTH * span)
    for at, value in zip(grid, values, strict=True):
        search.learn(float(at), float(value))
    changes, gaps = [], []
    pieces = list(_pieces(grid, values))
    for left, right in pairwise(pieces):
        if search.positive(left[-1]) != search.positive(right[0]):
            gaps.append((left[-1], right[0]))
    for piece in pieces:
        for low, high in pairwise(_with_dips(search, piece)):
            if search.positive(low) == search.positive(high):
                continue
            side = "above" if search.positive(high) else "below"
            try:
                changes.append(SignChange(search.root(low, high), side))
            except _UndefinedError:
                gaps.append((low, high))
    return Found(tuple(changes), tuple(sorted(gaps)))


def _pieces(grid: NDArray[np.float64], values: NDArray[np.float64]) -> Iterator[list[float]]:
    """Yield the stretches of the grid without an undefined value."""
    piece: list[float] = []
    for at, value in zip(grid, values, strict=True):
        if math.isfinite(value):
            piece.append(float(at))
        elif piece:
            yield piece
            piece = []
    if piece:
        yield piece


def _with_dips(search: _Search, piece: list[float]) -> list[float]:
    """Return the points of a piece, with a point of the other sign wherever a dip hides one."""
    points = set(piece)
    for low, high in _suspects(search, piece):
        try:
            found = search.other_side(low, high)
        except _UndefinedError:
            continue
        if found is not None:
            points.add(found)
    return sorted(points)


def _suspects(search: _Search, piece: list[float]) -> Iterator[tuple[float, float]]:
    """Yield pairs of points between which the distance from zero has a minimum."""
    if len(piece) < 2:
        return
    for left, middle, right in zip(piece, piece[1:], piece[2:], strict=False):
        a, b, c = (search(at) for at in (left, middle, right))
        if not (a > 0) == (b > 0) == (c > 0):
            continue
        floor = abs(b)
        if floor <= min(abs(a), abs(c)) and max(abs(a), abs(c)) > floor * (1 + _RISE):
            yield left, right
    for end, inner in ((piece[0], piece[1]), (piece[-1], piece[-2])):
        if search.positive(end) == search.positive(inner) and abs(search(inner)) > abs(
            search(end)
        ) * (1 + _RISE):
            try:
                leans = search.leans_in(end, inner)
            except _UndefinedError:
                continue
            if leans:
                yield min(end, inner), max(end, inner)


def interpolated(
    grid: NDArray[np.float64], values: NDArray[np.float64], scale: Scale
) -> list[SignChange]:
    """Return the sign changes that a grid shows, each by a straight line on the grid's own scale.

    Parameters
    ----------
    grid, values : ndarray of shape (points,)
        Neighbours of which one is NaN show nothing.
    scale : Scale
        Whole numbers are not rounded: half-way places keep an interval from being all steps.
    """
    known = np.isfinite(values)
    sign = values > 0
    turns = np.nonzero((sign[1:] != sign[:-1]) & known[1:] & known[:-1])[0]
    out = []
    for i in turns:
        part = values[i] / (values[i] - values[i + 1])
        low, high = scale.on(grid[i]), scale.on(grid[i + 1])
        out.append(
            SignChange(scale.value(low + part * (high - low)), "above" if sign[i + 1] else "below")
        )
    return out
