"""Byte strings of one length, each with a number, found again many at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["UNKNOWN", "Strings", "Words"]

#: The number of a string that was never added.
UNKNOWN = -1

#: Strings as rows of 64-bit words, the rest of the last word 0. Shape (strings, words).
Words = NDArray[np.uint64]

_FIRST_BITS, _LAST_BITS = 10, 20
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))


class Strings:
    """Strings of `width` bytes.

    A string has one of two slots, by a weak hash; what stands in a slot is compared byte by byte, so
    that a string is never taken for another.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        words = -(-width // 8)
        #: What to keep of the last word (little-endian).
        self.mask = np.uint64((1 << 8 * (width - 8 * (words - 1))) - 1)
        random = np.random.default_rng(width)  # any odd numbers will do
        self._factors = random.integers(0, 2**63, words, dtype=np.uint64) * 2 + 1
        # Row 0 stands for the empty slot.
        self._rows: Words = np.zeros((64, words), dtype=np.uint64)
        self._numbers = np.full(64, UNKNOWN, dtype=np.int32)
        self._count = 1
        self._bits = _FIRST_BITS
        self._slots = np.zeros((2, 1 << self._bits), dtype=np.int32)

    def __len__(self) -> int:
        return self._count - 1

    def rows(self, buffer: NDArray[np.uint8], starts: NDArray[np.int64]) -> Words:
        """Return the strings of `buffer` that begin at `starts`, of which 8 bytes more are read."""
        words = len(self._factors)
        view: NDArray[np.void] = np.ndarray(
            (len(buffer) - 8 * words + 1,), dtype=f"V{8 * words}", buffer=buffer, strides=(1,)
        )
        rows = view[starts].view("<u8").reshape(-1, words).astype(np.uint64, copy=False)
        rows[:, -1] &= self.mask
        return rows

    def find(self, rows: Words) -> NDArray[np.int32]:
        """Return the number of each string, `UNKNOWN` where it has none. Shape (strings,)."""
        sums = rows @ self._factors
        numbers, missing = self._look(0, rows, sums)
        if missing is not None:
            again, still = self._look(1, rows[missing], sums[missing])
            if still is not None:
                again[still] = UNKNOWN
            numbers[missing] = again
        return numbers

    def _look(
        self, which: int, rows: Words, sums: NDArray[np.uint64]
    ) -> tuple[NDArray[np.int32], NDArray[np.intp] | None]:
        """Return what one of the slots of each string holds, and which of it is another string's."""
        slots = self._slots[which][self._slot(which, sums)]
        found = self._rows.take(slots, axis=0)
        if np.array_equal(found, rows):
            return self._numbers[slots], None
        differs = found[:, 0] != rows[:, 0]
        for column in range(1, rows.shape[1]):  # quicker than any() over so few
            differs |= found[:, column] != rows[:, column]
        return self._numbers[slots], np.flatnonzero(differs)

    def distinct(self, rows: Words) -> NDArray[np.intp]:
        """Return an index of each different string (two of one hash count as one)."""
        first: NDArray[np.intp] = np.unique(rows @ self._factors, return_index=True)[1]
        return first

    def add(self, row: NDArray[np.uint64], number: int) -> None:
        """Give a string its number; one whose slot stays taken is found as unknown."""
        if self._count == len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
            self._numbers = np.concatenate([self._numbers, np.full_like(self._numbers, UNKNOWN)])
        self._rows[self._count] = row
        self._numbers[self._count] = number
        self._count += 1
        sums = row[np.newaxis] @ self._factors
        for which in (0, 1):
            slot = self._slot(which, sums)[0]
            if not self._slots[which, slot]:
                self._slots[which, slot] = self._count - 1
                return
        while self._bits < _LAST_BITS and not self._spread():
            pass

    def _spread(self) -> bool:
        """Double the slots; tell whether every string has one."""
        self._bits += 1
        self._slots = np.zeros((2, 1 << self._bits), dtype=np.int32)
        left = np.arange(1, self._count)
        sums = self._rows[left] @ self._factors
        for which in (0, 1):
            slot = self._slot(which, sums)
            # Of several the last stays: the one that was met first, as it is the most frequent.
            self._slots[which][slot[::-1]] = left[::-1]
            lost = self._slots[which][slot] != left
            left, sums = left[lost], sums[lost]
        return not len(left)

    def _slot(self, which: int, sums: NDArray[np.uint64]) -> NDArray[np.intp]:
        slots: NDArray[np.intp] = ((sums * _MIX[which]) >> np.uint64(64 - self._bits)).astype(
            np.intp
        )
        return slots
