"""The lines of a block of trace text, and where in a line its time stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from perfmodel.readers.linememory import Strings

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MOST_DIGITS", "Indices", "Layout", "Lines", "fitting"]

#: Digits of a time that fits an int64 if the first is no 9.
MOST_DIGITS = 19
#: Decimal digits of which any number is exact in a float.
_EXACT = 7
#: Lines of which the digits are multiplied at once: more would start the threads of a BLAS library,
#: which cost more than they save.
_PRODUCT = 4096

Indices = NDArray[np.int64]


class Lines:
    """The lines of a block: where in its bytes each begins and ends (at its newline)."""

    def __init__(self, data: bytearray, size: int) -> None:
        self.data = data
        self.buffer = np.frombuffer(data, dtype=np.uint8)
        self.ends = _places(self.buffer[:size] == ord("\n"))
        self.starts = np.zeros_like(self.ends)
        self.starts[1:] = self.ends[:-1] + 1
        self.lengths = self.ends - self.starts

    def __len__(self) -> int:
        return len(self.ends)

    def line(self, index: int) -> bytes:
        """Return a line with its newline."""
        return bytes(self.data[self.starts[index] : self.ends[index] + 1])

    def by_length(self, some: Indices, offset: int) -> Iterator[tuple[int, NDArray[np.intp]]]:
        """Yield length and places in `some` of lines as long, their first `offset` bytes left out."""
        if not len(some):
            return
        lengths = self.lengths[some] - offset
        order = np.argsort(lengths.astype(np.uint16), kind="stable")
        ordered = lengths[order]
        begin = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
        yield from zip(ordered[begin].tolist(), np.split(order, begin[1:]), strict=True)


@dataclass(slots=True, eq=False)
class Layout:
    """Where the time of a line stands: columns `begin` to `end`, its point at `point` or -1."""

    begin: int
    point: int
    end: int
    #: The bytes on either side of the time.
    before: int
    after: int
    strings: Strings = field(init=False)
    weights: NDArray[np.float32] = field(init=False)
    #: Some line's time, and what links its digits to the event.
    time: bytes = b""
    link: bytes = b""

    def __post_init__(self) -> None:
        self.strings = Strings(self.begin)
        self.weights = self._weights()

    @property
    def form(self) -> int:
        """Number of digits after the point, 0 without a point."""
        return self.end - self.point - 1 if self.point >= 0 else 0

    def read(
        self, buffer: NDArray[np.uint8], starts: Indices
    ) -> tuple[NDArray[np.bool_] | None, Indices]:
        """Tell which lines have a time in these columns, delimited as in the first line (None: all).

        Their times are in units of the last digit.
        """
        width = self.end - self.begin
        view: NDArray[np.void] = np.ndarray(
            (len(buffer) - width - 1,), dtype=f"V{width + 2}", buffer=buffer, strides=(1,)
        )
        text = view[starts + (self.begin - 1)].view(np.uint8).reshape(-1, width + 2)
        fine = (text[:, 0] == self.before) & (text[:, -1] == self.after)
        if width - (self.point >= 0) == MOST_DIGITS:
            fine &= text[:, 1] < ord("9")
        digits = text - np.uint8(ord("0"))
        digits[:, 0] = digits[:, -1] = 0
        if self.point >= 0:
            column = self.point - self.begin + 1
            fine &= text[:, column] == ord(".")
            digits[:, column] = 0
        if not fine.all():
            digits = digits[fine]
        if digits.max(initial=0) > 9:
            right = (digits <= 9).all(axis=1)
            fine[fine] = right
            digits = digits[right]
        parts = np.empty((len(digits), self.weights.shape[1]), dtype=np.float32)
        for begin in range(0, len(digits), _PRODUCT):
            some = slice(begin, begin + _PRODUCT)
            np.matmul(digits[some].astype(np.float32), self.weights, out=parts[some])
        time = parts[:, 0].astype(np.int64)
        for part in range(1, parts.shape[1]):
            time *= 10**_EXACT
            time += parts[:, part].astype(np.int64)
        return None if len(time) == len(starts) else fine, time

    def _weights(self) -> NDArray[np.float32]:
        """Return what the digit of each column counts, in parts that are exact in a float."""
        columns = [c for c in range(self.begin, self.end) if c != self.point]
        parts = -(-len(columns) // _EXACT)
        weights = np.zeros((self.end - self.begin + 2, parts), dtype=np.float32)
        for place, column in enumerate(reversed(columns)):
            part, power = divmod(place, _EXACT)
            weights[column - self.begin + 1, parts - 1 - part] = 10.0**power
        return weights


def fitting(layout: Layout, lines: Lines, some: Indices) -> tuple[Indices, Indices, Indices]:
    """Return the lines that do not fit a layout; those that do, and their times."""
    long = lines.lengths[some] > layout.end
    short = some[:0]
    if not long.all():
        short, some = some[~long], some[long]
    fine, times = layout.read(lines.buffer, lines.starts[some])
    if fine is None:
        return short, some, times
    return np.sort(np.concatenate([short, some[~fine]])), some[fine], times


def _places(flags: NDArray[np.bool_]) -> Indices:
    """Return where the flags are set, quicker than `flatnonzero` where few are."""
    whole = len(flags) // 8 * 8
    words = flags[:whole].view("<u8")
    some = np.flatnonzero(words != 0)
    bits = words[some]
    if (bits & (bits - np.uint64(1))).any():  # two of them in eight
        return np.flatnonzero(flags)
    # A flag in byte k of a word moves the k-th of these bytes to the top.
    places = 8 * some + ((bits * np.uint64(0x0001020304050607)) >> np.uint64(56)).astype(np.int64)
    rest = np.flatnonzero(flags[whole:])
    return np.concatenate([places, rest + whole]) if len(rest) else places
