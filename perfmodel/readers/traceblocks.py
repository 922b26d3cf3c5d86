"""A trace in blocks of some MiB: each part of a line that was seen before is not parsed again.

The lines of a trace repeat but for their times. A line is what stands before its time (who, where),
the time, and what stands after it (which event of which mm). Either side is parsed by the reference,
`TraceText`, when it is first seen, and remembered byte by byte; then numpy finds it again in all
lines of a block at once and reads their times. Whatever is not remembered - a side seen for the
first time that does not parse, a marker, a system call that is a label, a comment, a damaged line -
is handed to the reference, so there is one grammar and every line is accounted for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from perfmodel.errors import InputError
from perfmodel.readers.linelayout import Indices, Lines
from perfmodel.readers.linememory import UNKNOWN
from perfmodel.readers.linesides import NOT_EVENT, Sides
from perfmodel.readers.lockblocks import LockEvents, apply
from perfmodel.readers.tracetext import BACKWARDS, LOST, OTHER, TraceText

if TYPE_CHECKING:
    from collections.abc import Callable

    from perfmodel.readers.lockstates import Key, Label

__all__ = ["BLOCK_BYTES", "Blocks", "feed_stream"]

#: What is worked on at once: its arrays fit a cache.
BLOCK_BYTES = 3 << 20
#: Room after the block, so that words may be read across its end.
_SLACK = 1024
#: A line of more than this is no line of a trace.
_LINE_LIMIT = 16 << 20

#: A line that holds no event, by code; see `perfmodel.readers.tracetext` for the others.
_NONE = -1
#: Size of the table of pairs of a thread and a mm at which it is begun anew.
_TABLE_CELLS = 1 << 22


def feed_stream(
    text: TraceText,
    stream: BinaryIO,
    seen: Callable[[memoryview], None] = lambda _: None,
    size: int = BLOCK_BYTES,
) -> None:
    """Feed all lines of a stream; call `seen` with the bytes of each block, in order.

    Raises
    ------
    InputError
        A line has no end, or is of a variant that cannot be used.
    """
    blocks = Blocks(text)
    data = bytearray(size + _SLACK)
    kept = 0
    while True:
        with memoryview(data)[kept:-_SLACK] as room:
            got = stream.readinto(room)  # type: ignore[attr-defined]
            seen(room[:got])
        if not got:
            break
        filled = kept + got
        end = data.rfind(b"\n", 0, filled) + 1
        blocks.feed(data, end)
        kept = filled - end
        if 2 * kept <= len(data) - _SLACK:
            data[:kept] = data[end:filled]
        elif kept < _LINE_LIMIT:
            data = data[end:filled] + bytes(len(data))
        else:
            raise InputError("a line of more than 16 MiB", line=blocks.number + 1)
    if kept:
        text.feed(bytes(data[:kept]), blocks.number + 1)


class Blocks:
    """Feeds a `TraceText` with blocks of whole lines."""

    def __init__(self, text: TraceText) -> None:
        self.text = text
        #: Lines fed so far.
        self.number = 0
        self._sides = Sides(text)
        self._keys = _Keys(self._sides)

    def feed(self, data: bytearray, size: int) -> None:
        """Take the lines that the first `size` bytes hold; up to 1 KiB more must be there to read."""
        lines = Lines(data, size)
        if not len(lines):
            return
        if self._sides.crowded or self._keys.crowded:
            self._sides = Sides(self.text)
            self._keys = _Keys(self._sides)
        block = _Block(self.text, self._sides, lines, self.number + 1)
        block.parse()
        block.clock()
        block.locks(self._keys)
        self.number += len(lines)


class _Keys:
    """Pairs of a thread and a mm, and their numbers."""

    def __init__(self, sides: Sides) -> None:
        self._sides = sides
        self.keys: list[Key] = []
        self._mms: list[int] = []
        self._numbers = np.full((64, 64), UNKNOWN, dtype=np.int32)

    @property
    def crowded(self) -> bool:
        """Whether the table of pairs has become large."""
        return self._numbers.size > _TABLE_CELLS

    @property
    def mms(self) -> NDArray[np.int32]:
        """Number of the mm of each key."""
        return np.array(self._mms, dtype=np.int32)

    def of(self, tid: NDArray[np.int32], mm: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return the number of each pair."""
        sides, old = self._sides, self._numbers
        rows, columns = old.shape
        while rows < len(sides.tids):
            rows *= 2
        while columns < len(sides.mms):
            columns *= 2
        if (rows, columns) != old.shape:
            self._numbers = np.full((rows, columns), UNKNOWN, dtype=np.int32)
            self._numbers[: old.shape[0], : old.shape[1]] = old
        keys: NDArray[np.int32] = self._numbers[tid, mm]
        new = np.flatnonzero(keys == UNKNOWN)
        if len(new):
            for cell in np.unique(tid[new].astype(np.int64) * columns + mm[new]).tolist():
                row, column = divmod(cell, columns)
                self._numbers[row, column] = len(self.keys)
                self.keys.append((sides.tids.names[row], sides.mms.names[column]))
                self._mms.append(column)
            keys[new] = self._numbers[tid[new], mm[new]]
        return keys


class _Block:
    """The event of each line of a block."""

    def __init__(self, text: TraceText, sides: Sides, lines: Lines, number: int) -> None:
        self.text, self.sides, self.lines, self.number = text, sides, lines, number
        count = len(lines)
        self.code = np.full(count, _NONE, dtype=np.int8)
        self.time = np.zeros(count, dtype=np.int64)
        self.cpu = np.zeros(count, dtype=np.int32)
        self.tid = np.zeros(count, dtype=np.int32)
        self.mm = np.zeros(count, dtype=np.int32)
        # Labels in force at the beginning, and which thread gets which at which line.
        self.labels = text.labels.labelled()
        self.changes: dict[bytes, list[tuple[int, Label | None]]] = {}

    def parse(self) -> None:
        """Find the event of each line, by memory or by the reference."""
        left = self.lines.lengths > 0
        self.text.comments += len(left) - int(np.count_nonzero(left))
        self._first_event(left)
        self._remembered(left)
        for index in np.flatnonzero(left).tolist():
            self._by_reference(index)

    def _first_event(self, left: NDArray[np.bool_]) -> None:
        """Hand lines to the reference until it knows the unit of the times."""
        for index in np.flatnonzero(left).tolist():
            if self.text.begun():
                return
            self._by_reference(index)
            left[index] = False

    def _remembered(self, left: NDArray[np.bool_]) -> None:
        """Take the lines both of whose sides are known, out of those that are left."""
        sides, lines = self.sides, self.lines
        for layout, fit, time in sides.by_layout(lines, np.flatnonzero(left)):
            who = sides.before(layout, lines, fit)
            some, time, who = _where(who >= 0, fit, time, who)
            what = sides.after(layout, lines, some)
            some, time, who, what = _where(what >= 0, some, time, who, what)
            cpu, tid = sides.who.at(who)
            code, mm = sides.what.at(what)
            self._set(some, time, cpu, tid, code.astype(np.int8), mm)
            self.text.others += int(np.count_nonzero(code == OTHER))
            left[some] = False
        some = np.flatnonzero(left)
        if len(some):
            (some,) = _where(sides.whole(lines, some) == NOT_EVENT, some)
            self.text.others += len(some)
            left[some] = False

    def _set(
        self,
        some: Indices,
        time: Indices,
        cpu: NDArray[np.int32],
        tid: NDArray[np.int32],
        code: NDArray[np.int8],
        mm: NDArray[np.int32],
    ) -> None:
        if len(some) == len(self.lines):
            self.time, self.cpu, self.tid, self.code, self.mm = time, cpu, tid, code, mm
            return
        self.time[some], self.code[some] = time, code
        self.cpu[some], self.tid[some], self.mm[some] = cpu, tid, mm

    def _by_reference(self, index: int) -> None:
        event = self.text.parse(self.lines.line(index), self.number + index)
        if event is None:
            return
        self.code[index], self.time[index] = event.code, event.time
        if event.code == LOST:
            return
        self.cpu[index] = self.sides.cpus(event.cpu)
        self.tid[index] = self.sides.tids(event.tid)
        if event.code != OTHER:
            self.mm[index] = self.sides.mms(event.mm)
            return
        changes = self.changes.get(event.tid)
        before = changes[-1][1] if changes else self.labels.get(event.tid)
        after = self.text.labels.of(event.tid)
        if after != before:
            self.changes.setdefault(event.tid, []).append((index, after))

    def clock(self) -> None:
        """See that time runs forward on each CPU."""
        text = self.text
        timed = np.flatnonzero((self.code >= 0) & (self.code != LOST))
        if not len(timed):
            return
        time, cpu = self.time, self.cpu
        if len(timed) < len(time):
            time, cpu = time[timed], cpu[timed]
        text.sample(time[:1000].tolist())
        names = self.sides.cpus.names
        last = np.full(len(names), -1, dtype=np.int64)
        last[cpu] = time  # of several the last stays
        if (time[1:] < time[:-1]).any() or time[0] < max(text.latest.values(), default=0):
            self._backwards(timed, time, cpu)
        text.latest.update((names[i], int(last[i])) for i in np.flatnonzero(last >= 0).tolist())

    def _backwards(self, timed: Indices, time: NDArray[np.int64], cpu: NDArray[np.int32]) -> None:
        """Note where time runs backwards on a CPU; it may between CPUs."""
        order = np.argsort(cpu.astype(np.uint16), kind="stable")
        time, cpu = time[order], cpu[order]
        begin = np.flatnonzero(np.append(True, cpu[1:] != cpu[:-1]))
        before = np.empty_like(time)
        before[1:] = time[:-1]
        before[begin] = [
            self.text.latest.get(self.sides.cpus.names[i], 0) for i in cpu[begin].tolist()
        ]
        wrong = timed[order[time < before]]
        if len(wrong):
            self.text.states.note(BACKWARDS, self.number + int(wrong.min()), len(wrong))

    def locks(self, keys: _Keys) -> None:
        """Apply the events of the lock, and the losses between them."""
        states, number = self.text.states, self.number
        which = np.flatnonzero((self.code >= 0) & (self.code < OTHER))
        key = keys.of(self.tid[which], self.mm[which])
        events = LockEvents(
            self.code[which],
            self.time[which],
            which + number,
            key,
            None,
            keys.keys,
            keys.mms,
            [None],
        )
        if self.labels or self.changes:
            events.label = self._labels(which, events.labels)
        lost = np.flatnonzero(self.code == LOST)
        begin = 0
        for index, end in zip(lost.tolist(), np.searchsorted(which, lost).tolist(), strict=True):
            if end > begin:
                apply(states, events.part(begin, end))
            count = int(self.time[index])
            states.lose(count if count >= 0 else None, number + index)
            begin = end
        if len(which) > begin:
            apply(states, events.part(begin, len(which)))

    def _labels(self, which: Indices, labels: list[Label | None]) -> NDArray[np.int32]:
        """Return the label of the thread of each event, as a place in `labels`, which grow."""
        places: dict[Label | None, int] = {None: 0}

        def place(label: Label | None) -> int:
            if label not in places:
                places[label] = len(labels)
                labels.append(label)
            return places[label]

        tids = self.tid[which]
        at_first = np.zeros(len(self.sides.tids), dtype=np.int32)
        for name, label in self.labels.items():
            known = self.sides.tids.known(name)
            if known is not None:
                at_first[known] = place(label)
        found: NDArray[np.int32] = at_first[tids]
        order = np.argsort(tids, kind="stable")
        grouped = tids[order]
        for name, changes in self.changes.items():
            tid = self.sides.tids(name)
            begin, end = np.searchsorted(grouped, [tid, tid + 1]).tolist()
            mine = order[begin:end]
            ahead = np.searchsorted([at for at, _ in changes], which[mine], side="right")
            values = [at_first[tid], *(place(label) for _, label in changes)]
            found[mine] = np.array(values, dtype=np.int32)[ahead]
        return found


def _where(fine: NDArray[np.bool_], *arrays: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Return what is fine of arrays."""
    return arrays if fine.all() else tuple(one[fine] for one in arrays)
