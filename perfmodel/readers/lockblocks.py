"""Many lock events at once, to the same end as `LockStates.event` on each of them.

Sorted by (thread, mm), what an event means follows from the event before it, as long as the events
of a key come in one of the orders that the kernel's code gives. Where those of a mm do not, all of
its events are handed to the reference, one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from perfmodel.readers.lockstates import (
    ACQUIRED,
    AFTER_LOSS,
    REFUSED,
    RELEASED,
    START,
    Hold,
    Kind,
    LockStates,
    Start,
)  # fmt: skip

if TYPE_CHECKING:
    from perfmodel.readers.lockstates import Key, Label

__all__ = ["LockEvents", "apply"]

Integers = NDArray[np.int64]

#: What came before, beside the events' own numbers: nothing, a downgrade, what only the reference
#: may judge.
_IDLE, _DOWNGRADED, _ODD = 8, 9, 10
#: Fewer events than this are quicker one by one.
_FEW = 100

_WRITE = 1
_GOT_READ, _GOT_WRITE = ACQUIRED, ACQUIRED + _WRITE
_DONE = (_IDLE, RELEASED, RELEASED + _WRITE, REFUSED, REFUSED + _WRITE)


def _table(pairs: dict[tuple[int, int], int], default: int) -> NDArray[np.int8]:
    """Return a lookup by 8 × what came before + what comes."""
    table = np.full(8 * (_ODD + 1), default, dtype=np.int8)
    for (before, now), value in pairs.items():
        table[8 * before + now] = value
    return table


#: Interval that ends with an event, -1 where none does, -2 where the order is odd.
_PHASES = (
    ("wait", "read"), ("wait", "write"), ("exclusive", "write"), ("exclusive", "downgraded"),
    ("shared", "read"), ("shared", "downgraded"),
)  # fmt: skip
_ENDS = _table(
    {(before, START + w): -1 for before in _DONE for w in (0, 1)}
    | {(before, REFUSED + w): -1 for before in (*_DONE, 0, 1) for w in (0, 1)}
    | {
        (START, _GOT_READ): 0,
        (START + _WRITE, _GOT_WRITE): 1,
        (_GOT_WRITE, RELEASED + _WRITE): 2,
        (_GOT_WRITE, _GOT_READ): 3,
        (_GOT_READ, RELEASED): 4,
        (_DOWNGRADED, RELEASED): 5,
    },
    -2,
)


@dataclass(slots=True)
class LockEvents:
    """Lock events in the order of the file.

    Parameters
    ----------
    code, time, line : ndarray of int, shape (events,)
        Number of the event, when, and in which line.
    key : ndarray of int, shape (events,)
        Index into `keys`.
    label : ndarray of int, shape (events,), or None
        Index into `labels` of the thread's label at the event; None where no thread has one.
    keys : list of (tid, mm)
    mms : ndarray of int, shape (keys,)
        Number of the mm of each key.
    labels : list of Label or None
        The first is None.
    """

    code: NDArray[np.int8]
    time: Integers
    line: Integers
    key: NDArray[np.int32]
    label: NDArray[np.int32] | None
    keys: list[Key]
    mms: NDArray[np.int32]
    labels: list[Label | None]

    def part(self, begin: int, end: int) -> LockEvents:
        """Return some of the events."""
        some = slice(begin, end)
        label = None if self.label is None else self.label[some]
        return LockEvents(
            self.code[some], self.time[some], self.line[some], self.key[some], label,
            self.keys, self.mms, self.labels,
        )  # fmt: skip


def apply(states: LockStates, events: LockEvents) -> None:
    """Take the events, between which none was lost."""
    if len(events.code) < _FEW:
        _one_by_one(states, events, np.arange(len(events.code)))
        return
    runs = _Runs(states, events)
    odd = runs.odd_mms()
    if len(odd):
        aside = np.isin(events.mms[events.key], odd)
        _one_by_one(states, events, np.flatnonzero(aside))
        runs.drop(aside)
    runs.commit()


def _one_by_one(states: LockStates, events: LockEvents, which: NDArray[np.intp]) -> None:
    labels = [None] * len(which) if events.label is None else [
        events.labels[i] for i in events.label[which].tolist()
    ]  # fmt: skip
    for code, key, time, line, label in zip(
        events.code[which].tolist(), events.key[which].tolist(), events.time[which].tolist(),
        events.line[which].tolist(), labels, strict=True,
    ):  # fmt: skip
        states.event(code, events.keys[key], time, line, label)


class _Runs:
    """The events of each key in turn."""

    def __init__(self, states: LockStates, events: LockEvents) -> None:
        self.states, self.events = states, events
        self.order = _order(events.key)
        key = events.key[self.order]
        first = np.empty(len(key), dtype=bool)
        first[0], first[1:] = True, key[1:] != key[:-1]
        self.begin = np.flatnonzero(first)
        self.key_of_run = key[self.begin]
        self.code = events.code[self.order]
        self.time = events.time[self.order]
        self._before()
        self.end = _ENDS[8 * self.before.astype(np.intp) + self.code]
        self.kept = np.ones(len(key), dtype=bool)
        #: Of each mm whose writers change: a key, and whether it is inside at the end.
        self.last_writers: list[tuple[int, int, bool]] = []

    def _before(self) -> None:
        """Find what came before each event and when, from what is known of the key if it is first."""
        states, begin = self.states, self.begin
        codes, times, labels = [], [], []
        for index in self.key_of_run.tolist():
            key = self.events.keys[index]
            start, hold = states.starts.get(key), states.holds.get(key)
            if start is not None and hold is not None:
                codes.append(_ODD)
            elif start is not None:
                codes.append(START + start.write)
            elif hold is not None:
                codes.append(_DOWNGRADED if hold.downgraded else ACQUIRED + hold.write)
            else:
                codes.append(_IDLE)
            known = start or hold
            times.append(known.time if known else 0)
            labels.append(known.label if known else None)
        self.known_labels = labels
        before = np.empty(len(self.code), dtype=np.int8)
        before[1:] = self.code[:-1]
        before[begin] = codes
        downgraded = (before == _GOT_WRITE) & (self.code == _GOT_READ)
        after = np.where(downgraded, np.int8(_DOWNGRADED), self.code)
        before[1:] = after[:-1]
        before[begin] = codes
        since = np.empty(len(self.code), dtype=np.int64)
        since[1:] = self.time[:-1]
        since[begin] = times
        self.before, self.after, self.duration = before, after, self.time - since
        self.downgraded = downgraded

    def odd_mms(self) -> NDArray[np.int32]:
        """Return the mms whose events only the reference may judge."""
        odd = (self.end == -2) | ((self.end >= 0) & (self.duration < 0))
        mm = self.events.mms[self.events.key]
        found = [mm[self.order[odd]]] if odd.any() else []
        # Writers of a mm take turns: in, out, in, out, and the one who goes out went in.
        step = np.zeros(len(self.code), dtype=np.int8)
        out = (self.code == RELEASED + _WRITE) | self.downgraded
        step[self.order] = np.where(out, np.int8(2), (self.code == _GOT_WRITE).astype(np.int8))
        turns = np.flatnonzero(step)
        if len(turns):
            turns = turns[_order(mm[turns])]
            found.append(self._out_of_turn(turns, step[turns], mm[turns]))
        return np.unique(np.concatenate(found)) if found else mm[:0]

    def _out_of_turn(
        self, turns: NDArray[np.intp], step: NDArray[np.int8], mm: NDArray[np.int32]
    ) -> NDArray[np.int32]:
        key = self.events.key[turns]
        first = np.empty(len(turns), dtype=bool)
        first[0], first[1:] = True, mm[1:] != mm[:-1]
        bad = np.zeros(len(turns), dtype=bool)
        bad[1:] = (step[1:] == step[:-1]) | ((step[1:] == 2) & (key[1:] != key[:-1]))
        begin = np.flatnonzero(first)
        for place, index in zip(begin.tolist(), key[begin].tolist(), strict=True):
            tid, name = self.events.keys[index]
            writer = self.states.writer.get(name)
            bad[place] = writer is not None if step[place] == 1 else writer != tid
        last = np.append(begin[1:], len(turns)) - 1
        self.last_writers = list(
            zip(mm[last].tolist(), key[last].tolist(), (step[last] == 1).tolist(), strict=True)
        )
        return mm[bad]

    def drop(self, aside: NDArray[np.bool_]) -> None:
        """Leave some events out."""
        self.kept = ~aside[self.order]
        self.end = np.where(self.kept, self.end, np.int8(-1))
        left = set(np.unique(self.events.mms[self.events.key[aside]]).tolist())
        self.last_writers = [one for one in self.last_writers if one[0] not in left]

    def commit(self) -> None:
        """Count the events, keep the intervals, and leave the states as they are at the end."""
        states = self.states
        states.events += int(np.count_nonzero(self.kept))
        refused = (self.code & ~1) == REFUSED
        states.failed_trylocks += int(np.count_nonzero(refused & self.kept))
        ends = self.end >= 0
        if states.trusted is not None:
            ends &= self._trusted(ends, states.trusted)
        counts = np.bincount(self.end[ends], minlength=len(_PHASES)).tolist()
        states.waits += counts[0] + counts[1]
        states.holds_exclusive += counts[2] + counts[3]
        states.downgrades += counts[3]
        states.holds_shared += counts[4] + counts[5]
        sections = self._labels()
        self._keep(np.flatnonzero(ends), sections)
        self._leave(sections)

    def _trusted(self, ends: NDArray[np.bool_], trusted: set[Key]) -> NDArray[np.bool_]:
        """Tell which events come after the first release of their key since the loss."""
        begin = self.begin
        released = (self.code & ~1) == RELEASED
        before = np.cumsum(released) - released
        keys = [self.events.keys[i] for i in self.key_of_run.tolist()]
        known = np.array([key in trusted for key in keys])
        length = np.diff(np.append(begin, len(self.code)))
        fine: NDArray[np.bool_] = np.repeat(known, length) | (
            before > np.repeat(before[begin], length)
        )
        discarded = self.order[ends & ~fine]
        if len(discarded):
            lines = self.events.line[discarded]
            self.states.note(AFTER_LOSS, int(lines.min()), len(discarded))
        with_release = np.logical_or.reduceat(released & self.kept, begin)
        trusted.update(keys[i] for i in np.flatnonzero(with_release).tolist())
        return fine

    def _labels(self) -> NDArray[np.int32] | None:
        """Return the label of the section that each event belongs to, as an index into the labels."""
        events, begin = self.events, self.begin
        if events.label is None:
            if not any(self.known_labels):
                return None
            own = np.zeros(len(self.code), dtype=np.int32)  # labels[0] is None
        else:
            own = events.label[self.order]
        place = {label: i for i, label in enumerate(events.labels)}
        for label in self.known_labels:
            if label not in place:
                place[label] = len(events.labels)
                events.labels.append(label)
        starts = self.code < ACQUIRED
        source = np.where(starts, np.arange(len(own)), 0)
        known = begin[~starts[begin]]
        source[known] = known
        of_run = np.array([place[label] for label in self.known_labels], dtype=np.int32)
        own[known] = of_run[~starts[begin]]
        found: NDArray[np.int32] = own[np.maximum.accumulate(source)]
        return found

    def _keep(self, which: NDArray[np.intp], sections: NDArray[np.int32] | None) -> None:
        if not len(which):
            return
        end = self.end[which].astype(np.int64)
        kind = end if sections is None else end + len(_PHASES) * sections[which].astype(np.int64)
        order = _order(kind)
        kind, which = kind[order], which[order]
        durations = self.duration[which]
        begin = np.flatnonzero(np.append(True, kind[1:] != kind[:-1]))
        for number, first, last in zip(
            kind[begin].tolist(), begin.tolist(), [*begin[1:].tolist(), len(kind)], strict=True
        ):
            label_index, phase_index = divmod(number, len(_PHASES))
            label = None if sections is None else self.events.labels[label_index]
            phase, mode = _PHASES[phase_index]
            one = Kind(label, phase, mode if label is None else "")
            begun = self.states.begun(one)
            if begun is None or begun > self.events.line[0]:
                begun = int(self.events.line[self.order[which[first:last]]].min())
            self.states.kept(one, begun).durations.extend(durations[first:last])

    def _leave(self, sections: NDArray[np.int32] | None) -> None:
        """Set the state of each key to that after its last event."""
        states, events = self.states, self.events
        last = np.append(self.begin[1:], len(self.code)) - 1
        for index, at in zip(self.key_of_run.tolist(), last.tolist(), strict=True):
            if not self.kept[at]:
                continue
            key, after, time = events.keys[index], int(self.after[at]), int(self.time[at])
            states.starts.pop(key, None)
            states.holds.pop(key, None)
            if after in _DONE:
                continue
            label = None if sections is None else events.labels[sections[at]]
            if after < ACQUIRED:
                states.starts[key] = Start(time, label, after == START + _WRITE)
            else:
                states.holds[key] = Hold(time, label, after == _GOT_WRITE, after == _DOWNGRADED)
        for _, index, inside in self.last_writers:
            tid, name = events.keys[index]
            if inside:
                states.writer[name] = tid
            else:
                states.writer.pop(name, None)


def _order(numbers: NDArray[Any]) -> NDArray[np.intp]:
    """Return the order of numbers >= 0, those that are equal as they come."""
    # Small ones are sorted by counting.
    small = numbers.max() < 1 << 16
    return np.argsort(numbers.astype(np.uint16) if small else numbers, kind="stable")
