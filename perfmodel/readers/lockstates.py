"""From mmap_lock events to holds and waits: one small state machine for each (thread, mm).

The three tracepoints are ``start_locking`` (before the lock is asked for), ``acquire_returned``
(after it was got or refused) and ``released`` (before the unlock, since Linux 5.16). A downgrade
has no event of its own: ``mmap_write_downgrade`` emits a second successful ``acquire_returned``
for reading without a ``start_locking``, which nothing else does (include/linux/mmap_lock.h).

States are kept by thread *and* mm because fork and exec hold the locks of two mms at once.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["Intervals", "Label", "LockStates", "Scalar"]

Scalar = int | float | str


class Label(NamedTuple):
    """What a thread said it was doing: the operation and its conditions, sorted by name."""

    operation: str
    conditions: tuple[tuple[str, Scalar], ...] = ()


class _Start(NamedTuple):
    time: int
    label: Label | None
    write: bool


class _Hold(NamedTuple):
    time: int
    label: Label | None
    write: bool
    downgraded: bool


class _Key(NamedTuple):
    """Intervals that belong together; `mode` tells the unlabelled ones apart."""

    label: Label | None
    phase: str
    mode: str


@dataclass(slots=True)
class Intervals:
    """Durations of one group in units of the trace clock, in the order of the file."""

    label: Label | None
    phase: str
    mode: str
    line: int
    durations: array[int] = field(default_factory=lambda: array("q"))


class LockStates:
    """Pair the events of one trace.

    Times are integers in whatever unit the trace has. A key is any hashable (thread, mm).
    Intervals are kept only when both their ends were seen and nothing was lost in between.
    """

    def __init__(self) -> None:
        self.events = 0
        self.holds_exclusive = 0
        self.holds_shared = 0
        self.downgrades = 0
        self.waits = 0
        self.failed_trylocks = 0
        self.lost = 0
        self.orphaned = 0
        #: Warnings that count: what happened -> (how often, line of the first).
        self.anomalies: dict[str, tuple[int, int]] = {}
        self._starts: dict[tuple[bytes, bytes], _Start] = {}
        self._holds: dict[tuple[bytes, bytes], _Hold] = {}
        self._writer: dict[bytes, bytes] = {}
        self._intervals: dict[_Key, Intervals] = {}
        # After a loss a key is trusted again once its first hold has ended: until then its events
        # may belong to a section whose beginning is gone. None: nothing was lost so far.
        self._trusted: set[tuple[bytes, bytes]] | None = None

    @property
    def open(self) -> int:
        """Waits and holds that have begun and not ended."""
        return len(self._starts) + len(self._holds)

    @property
    def intervals(self) -> list[Intervals]:
        """The collected groups, in the order in which they appeared."""
        return list(self._intervals.values())

    def note(self, what: str, line: int) -> None:
        """Count something unusual."""
        count, first = self.anomalies.get(what, (0, line))
        self.anomalies[what] = (count + 1, first)

    def start(
        self, key: tuple[bytes, bytes], time: int, line: int, write: bool, label: Label | None
    ) -> None:
        """Take a ``start_locking`` event."""
        self.events += 1
        if key in self._starts:
            self.orphaned += 1
            self.note("a thread began to lock again before the lock had answered", line)
        self._starts[key] = _Start(time, label, write)

    def acquire(
        self,
        key: tuple[bytes, bytes],
        time: int,
        line: int,
        write: bool,
        success: bool,
        label: Label | None,
    ) -> None:
        """Take an ``acquire_returned`` event."""
        self.events += 1
        start = self._starts.pop(key, None)
        if not success:
            self.failed_trylocks += 1
            return
        held = self._holds.get(key)
        if held is not None and held.write and not write and start is None:
            # The label stays that of the call that took the lock.
            if self._close(key, held, time, line, "exclusive", "downgraded"):
                self.downgrades += 1
                self.holds_exclusive += 1
            self._writer.pop(key[1], None)
            self._holds[key] = _Hold(time, held.label, False, True)
            return
        if held is not None:
            self.orphaned += 1
            self.note("a lock was acquired while already held by the same thread", line)
        if start is None:
            self.orphaned += 1
        elif start.write != write:
            self.note("a lock was asked for in one mode and acquired in the other", line)
        elif self._close(key, start, time, line, "wait", "write" if write else "read"):
            self.waits += 1
        if write:
            other = self._writer.get(key[1])
            if other is not None and other != key[0]:
                self.note(
                    "two threads held one mm for writing at the same time (legal in a trace of a "
                    "kernel before 5.16; otherwise the clock is not common to the CPUs or events "
                    "are missing)",
                    line,
                )
            self._writer[key[1]] = key[0]
        # Where the start is missing the wait is unknown; the hold is whole all the same.
        self._holds[key] = _Hold(time, start.label if start else label, write, False)

    def release(self, key: tuple[bytes, bytes], time: int, line: int, write: bool) -> None:
        """Take a ``released`` event."""
        self.events += 1
        held = self._holds.pop(key, None)
        if held is None:
            # Capture began inside the section, or the lock was handed over to be released by
            # another thread (mmap_read_unlock_non_owner).
            self.orphaned += 1
        else:
            if held.write and self._writer.get(key[1]) == key[0]:
                del self._writer[key[1]]
            if held.write != write:
                self.note("a lock was released in another mode than it was held in", line)
            elif write:
                if self._close(key, held, time, line, "exclusive", "write"):
                    self.holds_exclusive += 1
            else:
                mode = "downgraded" if held.downgraded else "read"
                if self._close(key, held, time, line, "shared", mode):
                    self.holds_shared += 1
        if self._trusted is not None:
            self._trusted.add(key)

    def lose(self, count: int | None, line: int) -> None:
        """Forget all that is open: events are missing here. `count` None means unknown, >= 1."""
        self.lost += 1 if count is None else count
        if count is None:
            self.note("events were lost and the trace does not say how many (counted as 1)", line)
        self._starts.clear()
        self._holds.clear()
        self._writer.clear()
        self._trusted = set()

    def _close(
        self,
        key: tuple[bytes, bytes],
        begun: _Start | _Hold,
        time: int,
        line: int,
        phase: str,
        mode: str,
    ) -> bool:
        """Keep the interval from `begun` to `time`; False where it cannot be trusted."""
        if self._trusted is not None and key not in self._trusted:
            self.note("the first sections of a thread after a loss of events were discarded", line)
            return False
        duration = time - begun.time
        if duration < 0:
            self.note("a section ended before it began and was discarded", line)
            return False
        group = _Key(begun.label, phase, mode if begun.label is None else "")
        intervals = self._intervals.get(group)
        if intervals is None:
            intervals = self._intervals[group] = Intervals(group.label, phase, group.mode, line)
        intervals.durations.append(duration)
        return True
