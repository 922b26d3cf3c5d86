"""What stands before and after the time of a trace line: parsed once, remembered, found again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from perfmodel.readers.linelayout import MOST_DIGITS, Indices, Layout, Lines, fitting
from perfmodel.readers.linememory import UNKNOWN, Strings, Words
from perfmodel.readers.tracegrammar import stamp
from perfmodel.readers.tracelabels import is_marker, label_call
from perfmodel.readers.tracetext import OTHER, TraceText, lock_code

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["NOT_EVENT", "Sides"]

#: Numbers of what only the reference may judge, and of a line that is part of the event before it.
_REFERENCE, NOT_EVENT = -2, 0
#: Number of what stands after the time of an event of another kind.
_OTHER = 0

#: Longer lines are left to the reference.
_LONGEST = 400
#: Layouts, names of events, and attempts to learn new ones in one block.
_LAYOUTS, _NAMES, _ATTEMPTS = 16, 1000, 12
#: How many parts of lines are remembered before all are forgotten.
_REMEMBERED = 100_000
#: Attempts to learn the sides of a block's lines of one length.
_LEARNED = 512

#: What of the text after a time is enough to tell the kind of its event, at most.
_LONGEST_NAME = 64

#: How our markers begin, after the name of their event.
_MARKER = b"perf"
_SLOT_BITS = 12

_DIGITS = re.compile(rb"\d+(?:\.\d+)?").match


@dataclass(frozen=True, slots=True)
class _Name:
    """How lines of one kind of event go on after the time, up to its fields.

    A line that goes on with more blanks, or with what may be a marker of ours, is not meant.
    """

    words: NDArray[np.uint64]
    mask: NDArray[np.uint64]
    width: int
    number: int

    @classmethod
    def of(cls, text: bytes, number: int) -> _Name:
        width = -(-len(text) // 8) * 8
        words = np.frombuffer(text.ljust(width, b"\0"), dtype="<u8").astype(np.uint64)
        mask = np.frombuffer((b"\xff" * len(text)).ljust(width, b"\0"), dtype="<u8")
        return cls(words, mask.astype(np.uint64), len(text), number)

    def begins(self, rows: Words) -> NDArray[np.bool_]:
        """Tell which strings begin so."""
        fine: NDArray[np.bool_] = (rows[:, 0] & self.mask[0]) == self.words[0]
        for column in range(1, len(self.words)):
            fine &= (rows[:, column] & self.mask[column]) == self.words[column]
        text = rows.view(np.uint8)
        if self.width < text.shape[1]:
            fine &= text[:, self.width] != ord(" ")
        if self.width + len(_MARKER) <= text.shape[1]:
            marker = text[:, self.width] == _MARKER[0]
            if marker.any():
                for column, letter in enumerate(_MARKER, self.width):
                    marker &= text[:, column] == letter
                fine &= ~marker
        return fine


class _Numbers:
    """Byte strings and the order in which they were met."""

    def __init__(self) -> None:
        self.names: list[bytes] = []
        self._numbers: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self.names)

    def __call__(self, name: bytes) -> int:
        """Return the number of a string, met or new."""
        number = self._numbers.setdefault(name, len(self.names))
        if number == len(self.names):
            self.names.append(name)
        return number

    def known(self, name: bytes) -> int | None:
        """Return the number of a string if it was met."""
        return self._numbers.get(name)


class _Pairs:
    """Pairs of small numbers, to be taken by place."""

    def __init__(self) -> None:
        self._pairs: list[tuple[int, int]] = []
        self._columns = np.empty((2, 0), dtype=np.int32)

    def append(self, first: int, second: int) -> int:
        """Return the place of a new pair."""
        self._pairs.append((first, second))
        return len(self._pairs) - 1

    def at(self, places: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return the first and the second of each pair."""
        if self._columns.shape[1] < len(self._pairs):
            self._columns = np.array(self._pairs, dtype=np.int32).T.copy()
        first, second = self._columns
        return first.take(places), second.take(places)


class Sides:
    """The remembered sides of one trace's lines."""

    def __init__(self, text: TraceText) -> None:
        self._text = text
        self._layouts: list[Layout] = []
        self._after: dict[tuple[int, int], Strings] = {}
        self._whole: dict[int, Strings] = {}
        self._names: dict[int, list[_Name]] = {}
        self._name_texts: tuple[bytes, ...] = ()
        # Where no name can begin so.
        self._first_words = np.zeros(1 << _SLOT_BITS, dtype=bool)
        self._count = 0
        self.cpus, self.tids, self.mms = _Numbers(), _Numbers(), _Numbers()
        #: CPU and thread by the number of what stands before the time.
        self.who = _Pairs()
        #: Event and mm by the number of what stands after; number 0 is any event of
        #: another kind.
        self.what = _Pairs()
        self.what.append(OTHER, 0)

    @property
    def crowded(self) -> bool:
        """Whether there is so much that it is better to begin anew."""
        return self._count > _REMEMBERED or len(self.cpus) + len(self.tids) > _REMEMBERED

    def by_layout(self, lines: Lines, some: Indices) -> Iterator[tuple[Layout, Indices, Indices]]:
        """Yield the lines whose time stands in the same columns, and their times."""
        some = some[lines.lengths[some] <= _LONGEST]
        for layout in tuple(self._layouts):
            if not len(some):
                return
            some, fit, times = fitting(layout, lines, some)
            if 2 * len(fit) > len(lines):  # as it may be in the next block
                self._layouts.remove(layout)
                self._layouts.insert(0, layout)
            if len(fit):
                yield layout, fit, times
        if len(some):
            some = some[self.whole(lines, some, learn=False) == UNKNOWN]
        for _ in range(_ATTEMPTS):
            if not len(some) or len(self._layouts) >= _LAYOUTS:
                return
            fresh = self._new_layout(lines.line(int(some[0])))
            if fresh is None:
                some = some[1:]
                continue
            self._layouts.insert(0, fresh)
            some, fit, times = fitting(fresh, lines, some)
            if len(fit):
                yield fresh, fit, times

    def whole(self, lines: Lines, some: Indices, *, learn: bool = True) -> NDArray[np.int32]:
        """Return `NOT_EVENT` for lines that are part of the event before them, else `UNKNOWN`."""
        found = np.full(len(some), UNKNOWN, dtype=np.int32)
        for length, places in lines.by_length(some, 0):
            if not 0 < length <= _LONGEST:
                continue
            strings = self._whole.get(length)
            if strings is None:
                if not learn:
                    continue
                strings = self._whole[length] = Strings(length)
            at = some[places]
            rows = strings.rows(lines.buffer, lines.starts[at])
            numbers = strings.find(rows)
            unknown = np.flatnonzero(numbers == UNKNOWN)
            if learn and len(unknown):
                for i in self._new(strings, rows, unknown):
                    if self._text.is_filler(lines.line(int(at[i]))):
                        self._add(strings, rows[i], NOT_EVENT)
                numbers[unknown] = strings.find(rows[unknown])
            found[places] = numbers
        return found

    def before(self, layout: Layout, lines: Lines, some: Indices) -> NDArray[np.int32]:
        """Return the numbers of what stands before the times, < 0 where the reference must judge."""
        strings = layout.strings
        rows = strings.rows(lines.buffer, lines.starts[some])
        numbers = strings.find(rows)
        unknown = np.flatnonzero(numbers == UNKNOWN)
        if len(unknown):
            for i in self._new(strings, rows, unknown):
                line = lines.line(int(some[i]))
                self._add(strings, rows[i], self._learn_before(layout, line[: layout.begin]))
            numbers[unknown] = strings.find(rows[unknown])
        return numbers

    def after(self, layout: Layout, lines: Lines, some: Indices) -> NDArray[np.int32]:
        """Return the numbers of what stands after the times, < 0 where the reference must judge.

        What stands before the time must be known in all of these lines.
        """
        found = np.full(len(some), UNKNOWN, dtype=np.int32)
        for length, places in lines.by_length(some, layout.end):
            strings = self._after.get((layout.form, length))
            if strings is None:
                strings = self._after[layout.form, length] = Strings(length)
            at = some[places]
            rows = strings.rows(lines.buffer, lines.starts[at] + layout.end)
            numbers = self._find_after(strings, rows)
            unknown = np.flatnonzero(numbers == UNKNOWN)
            if len(unknown):
                for i in self._new(strings, rows, unknown):
                    line = lines.line(int(at[i]))
                    if not line.startswith(self._name_texts, layout.end):
                        self._learn_after(layout, strings, rows[i], line)
                numbers[unknown] = self._find_after(strings, rows[unknown])
            found[places] = numbers
        return found

    def _find_after(self, strings: Strings, rows: Words) -> NDArray[np.int32]:
        """Return the numbers of strings by how they begin, or else by all of them."""
        if not self._names:
            return strings.find(rows)
        perhaps = np.flatnonzero(self._first_words[_slot(rows[:, 0])])
        if not len(perhaps):
            return strings.find(rows)
        numbers = np.full(len(rows), UNKNOWN, dtype=np.int32)
        order = perhaps[np.argsort(rows[perhaps, 0])]
        words = rows[order, 0]
        begin = np.flatnonzero(np.append(True, words[1:] != words[:-1]))
        for word, places in zip(words[begin].tolist(), np.split(order, begin[1:]), strict=True):
            for name in self._names.get(word, ()):
                if name.width <= strings.width:
                    numbers[places[name.begins(rows[places])]] = name.number
        rest = np.flatnonzero(numbers == UNKNOWN)
        if len(rest):
            numbers[rest] = strings.find(rows[rest])
        return numbers

    def _new(self, strings: Strings, rows: Words, unknown: NDArray[np.intp]) -> list[int]:
        """Return some of the unknown strings, each once."""
        places: list[int] = unknown[strings.distinct(rows[unknown])[:_LEARNED]].tolist()
        return places

    def _add(self, strings: Strings, row: NDArray[np.uint64], number: int) -> None:
        strings.add(row, number)
        self._count += 1

    def _new_layout(self, line: bytes) -> Layout | None:
        """Return the columns of a line's time, None where it has none or they are known."""
        grammar = self._text.grammar
        match = (grammar.lock(line) if b"mmap_lock_" in line else None) or grammar.event(line)
        digits = _DIGITS(line, match.start("time")) if match else None
        if match is None or digits is None or stamp(match["time"])[0] != self._text.unit:
            return None
        begin, end = digits.span()
        point = line.find(b".", begin, end)
        known = any((x.begin, x.point, x.end) == (begin, point, end) for x in self._layouts)
        if not begin or end - begin - (point >= 0) > MOST_DIGITS or known:
            return None
        layout = Layout(begin, point, end, line[begin - 1], line[end])
        layout.time = digits[0]
        layout.link = line[end : match.end("time")] + b": "
        return layout

    def _learn_before(self, layout: Layout, text: bytes) -> int:
        """Parse what stands before a time, with a time and an event of each kind after it."""
        grammar = self._text.grammar
        head = text + layout.time + layout.link
        probes = (
            grammar.lock(head + grammar.system + b"mmap_lock_released: mm=0 write=1"),
            grammar.event(head + b"x:y: z"),
        )
        told = set()
        for probe in probes:
            if probe is None or probe.start("time") != layout.begin:
                return _REFERENCE
            told.add((probe["cpu"] or probe["cpu_"] or b"", probe["tid"]))
        if len(told) > 1 or b"mmap_lock_" in text or text.startswith(b"#"):
            return _REFERENCE
        ((cpu, tid),) = told
        return self.who.append(self.cpus(cpu), self.tids(tid))

    def _learn_after(
        self, layout: Layout, strings: Strings, row: NDArray[np.uint64], line: bytes
    ) -> None:
        """Parse a line and remember what stands after its time."""
        grammar = self._text.grammar
        lock = grammar.lock(line) if b"mmap_lock_" in line else None
        match = lock or grammar.event(line)
        if match is None or match.start("time") != layout.begin:
            return
        if stamp(match["time"])[0] != self._text.unit:
            return
        if lock is not None:
            code = lock_code(lock)
            if code is not None:
                self._add(strings, row, self.what.append(code, self.mms(lock["mm"])))
            return
        body = match["body"]
        if body.startswith((b"mmap_lock_", b"mmap_lock:", b"PERF_RECORD_")):
            return
        call = label_call(body)
        if call is not None:
            number, width = (_REFERENCE if call[0] else _OTHER), call[1]
        else:
            number, named = _OTHER, grammar.name(body)
            width = 0 if named is None else named.end()
            if body.startswith((b"print:", b"ftrace:print:")):
                number = _REFERENCE
        while body[width : width + 1] == b" ":
            width += 1
        name = line[layout.end : match.start("body") + width]
        if width and 8 <= len(name) <= _LONGEST_NAME and len(self._name_texts) < _NAMES:
            one = _Name.of(name, number)
            self._names.setdefault(int(one.words[0]), []).append(one)
            self._first_words[_slot(one.words[:1])] = True
            self._name_texts += (name,)
        elif number == _OTHER and not is_marker(body):
            self._add(strings, row, _OTHER)


def _slot(words: Any) -> Any:
    return (words * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - _SLOT_BITS)
