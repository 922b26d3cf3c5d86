"""Durations of any number in bounded memory.

While a group has few distinct values they are counted exactly. Beyond `EXACT_VALUES` of them, each
value goes to a bin of `SIGNIFICANT_BITS` significant bits: exact below 512, at most 1/256 of the
value wide above. The bin of a value does not depend on the other values, nor on their order.
"""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray

__all__ = ["EXACT_VALUES", "RELATIVE_WIDTH", "Durations"]

#: Distinct values of a group that are counted one by one.
EXACT_VALUES = 1 << 15
SIGNIFICANT_BITS = 9
#: Width of a bin over its lower edge, at most.
RELATIVE_WIDTH = 2.0 ** (1 - SIGNIFICANT_BITS)

# Values and arrays of them that wait to be counted.
_PENDING, _ARRAYS = 1 << 14, 64

Integers = NDArray[np.int64]


class Durations:
    """Counts of durations, whole numbers >= 0 of units of the trace clock."""

    def __init__(self) -> None:
        self.binned = False
        self._values: Integers = np.empty(0, dtype=np.int64)
        self._counts: Integers = np.empty(0, dtype=np.int64)
        self._pending: list[Integers] = []
        self._waiting = 0
        self._single = array("q")

    def add(self, value: int) -> None:
        """Take one duration."""
        self._single.append(value)
        if len(self._single) >= _PENDING:
            self._settle()

    def extend(self, values: Integers) -> None:
        """Take many, shape (n,)."""
        self._pending.append(values.copy())  # a part of a larger array would keep all of it
        self._waiting += len(values)
        if self._waiting >= _PENDING or len(self._pending) >= _ARRAYS:
            self._settle()

    def counted(self) -> tuple[Integers, Integers, Integers]:
        """Return smallest and largest duration of each value or bin and its count, ascending."""
        self._settle()
        width = _widths(self._values) if self.binned else 1
        return self._values, self._values + (width - 1), self._counts

    def _settle(self) -> None:
        if self._single:
            self._pending.append(np.array(self._single, dtype=np.int64))
            self._single = array("q")
        if not self._pending:
            return
        fresh = np.concatenate(self._pending) if len(self._pending) > 1 else self._pending[0]
        self._pending, self._waiting = [], 0
        if self.binned:
            fresh = _bins(fresh)
        self._merge(*np.unique(fresh, return_counts=True))
        if not self.binned and len(self._values) > EXACT_VALUES:
            self.binned = True
            values, counts = _bins(self._values), self._counts
            self._values = self._counts = np.empty(0, dtype=np.int64)
            self._merge(values, counts)

    def _merge(self, values: Integers, counts: Integers) -> None:
        if len(self._values):
            values = np.concatenate([self._values, values])
            counts = np.concatenate([self._counts, counts])
        self._values, places = np.unique(values, return_inverse=True)
        total = np.zeros(len(self._values), dtype=np.int64)
        np.add.at(total, places, counts)
        self._counts = total


def _shifts(values: Integers) -> Integers:
    """Return by how many bits each value exceeds the significant ones."""
    large = values >= 1 << 52  # which a double would round, maybe up to the next power of two
    _, bits = np.frexp(np.where(large, values >> 11, values).astype(np.float64))
    shifts: Integers = np.maximum(bits + 11 * large - SIGNIFICANT_BITS, 0).astype(np.int64)
    return shifts


def _widths(values: Integers) -> Integers:
    return np.int64(1) << _shifts(values)


def _bins(values: Integers) -> Integers:
    shift = _shifts(values)
    return values >> shift << shift
