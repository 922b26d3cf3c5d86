"""From mmap_lock events to holds and waits: one small state machine for each (thread, mm).

The three tracepoints are ``start_locking`` (before the lock is asked for), ``acquire_returned``
(after it was got or refused) and ``released`` (before the unlock, since Linux 5.16). A downgrade
has no event of its own: ``mmap_write_downgrade`` emits a second successful ``acquire_returned``
for reading without a ``start_locking``, which nothing else does (include/linux/mmap_lock.h).

States are kept by thread *and* mm because fork and exec hold the locks of two mms at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from perfmodel.readers.durations import Durations

__all__ = [
    "ACQUIRED", "AFTER_LOSS", "REFUSED", "RELEASED", "START", "Hold", "Intervals", "Key", "Kind",
    "Label", "LockStates", "Scalar", "Start",
]  # fmt: skip

Scalar = int | float | str

#: Events as numbers; one more where the lock is (asked for, got, released) for writing.
START, ACQUIRED, REFUSED, RELEASED = 0, 2, 4, 6

#: A thread and a mm, as the trace names them.
Key = tuple[bytes, bytes]

#: What is told of sections that may have begun before a loss.
AFTER_LOSS = "the first sections of a thread after a loss of events were discarded"


class Label(NamedTuple):
    """What a thread said it was doing: the operation and its conditions, sorted by name."""

    operation: str
    conditions: tuple[tuple[str, Scalar], ...] = ()


class Start(NamedTuple):
    """A thread that waits for the lock."""

    time: int
    label: Label | None
    write: bool


class Hold(NamedTuple):
    """A thread that has the lock."""

    time: int
    label: Label | None
    write: bool
    downgraded: bool


class Kind(NamedTuple):
    """Intervals that belong together; `mode` tells the unlabelled ones apart."""

    label: Label | None
    phase: str
    mode: str


@dataclass(slots=True)
class Intervals:
    """Durations of one group in units of the trace clock; `line` is where the first ended."""

    label: Label | None
    phase: str
    mode: str
    line: int
    durations: Durations = field(default_factory=Durations)


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
        self.starts: dict[Key, Start] = {}
        self.holds: dict[Key, Hold] = {}
        self.writer: dict[bytes, bytes] = {}
        self._intervals: dict[Kind, Intervals] = {}
        # After a loss a key is trusted again once its first hold has ended: until then its events
        # may belong to a section whose beginning is gone. None: nothing was lost so far.
        self.trusted: set[Key] | None = None

    @property
    def open(self) -> int:
        """Waits and holds that have begun and not ended."""
        return len(self.starts) + len(self.holds)

    @property
    def intervals(self) -> list[Intervals]:
        """The collected groups, in the order in which they appeared."""
        return sorted(self._intervals.values(), key=lambda one: one.line)

    def note(self, what: str, line: int, times: int = 1) -> None:
        """Count something unusual, first seen at `line`."""
        count, first = self.anomalies.get(what, (0, line))
        self.anomalies[what] = (count + times, min(first, line))

    def event(self, code: int, key: Key, time: int, line: int, label: Label | None) -> None:
        """Take one event, by its number."""
        kind, write = code & ~1, bool(code & 1)
        if kind == START:
            self.start(key, time, line, write, label)
        elif kind == RELEASED:
            self.release(key, time, line, write)
        else:
            self.acquire(key, time, line, write, kind == ACQUIRED, label)

    def start(self, key: Key, time: int, line: int, write: bool, label: Label | None) -> None:
        """Take a ``start_locking`` event."""
        self.events += 1
        if key in self.starts:
            self.orphaned += 1
            self.note("a thread began to lock again before the lock had answered", line)
        self.starts[key] = Start(time, label, write)

    def acquire(
        self,
        key: Key,
        time: int,
        line: int,
        write: bool,
        success: bool,
        label: Label | None,
    ) -> None:
        """Take an ``acquire_returned`` event."""
        self.events += 1
        start = self.starts.pop(key, None)
        if not success:
            self.failed_trylocks += 1
            return
        held = self.holds.get(key)
        if held is not None and held.write and not write and start is None:
            # The label stays that of the call that took the lock.
            if self._close(key, held, time, line, "exclusive", "downgraded"):
                self.downgrades += 1
                self.holds_exclusive += 1
            self.writer.pop(key[1], None)
            self.holds[key] = Hold(time, held.label, False, True)
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
            other = self.writer.get(key[1])
            if other is not None and other != key[0]:
                self.note(
                    "two threads held one mm for writing at the same time (legal in a trace of a "
                    "kernel before 5.16; otherwise the clock is not common to the CPUs or events "
                    "are missing)",
                    line,
                )
            self.writer[key[1]] = key[0]
        # Where the start is missing the wait is unknown; the hold is whole all the same.
        self.holds[key] = Hold(time, start.label if start else label, write, False)

    def release(self, key: Key, time: int, line: int, write: bool) -> None:
        """Take a ``released`` event."""
        self.events += 1
        held = self.holds.pop(key, None)
        if held is None:
            # Capture began inside the section, or the lock was handed over to be released by
            # another thread (mmap_read_unlock_non_owner).
            self.orphaned += 1
        else:
            if held.write and self.writer.get(key[1]) == key[0]:
                del self.writer[key[1]]
            if held.write != write:
                self.note("a lock was released in another mode than it was held in", line)
            elif write:
                if self._close(key, held, time, line, "exclusive", "write"):
                    self.holds_exclusive += 1
            else:
                mode = "downgraded" if held.downgraded else "read"
                if self._close(key, held, time, line, "shared", mode):
                    self.holds_shared += 1
        if self.trusted is not None:
            self.trusted.add(key)

    def lose(self, count: int | None, line: int) -> None:
        """Forget all that is open: events are missing here. `count` None means unknown, >= 1."""
        self.lost += 1 if count is None else count
        if count is None:
            self.note("events were lost and the trace does not say how many (counted as 1)", line)
        self.starts.clear()
        self.holds.clear()
        self.writer.clear()
        self.trusted = set()

    def _close(
        self,
        key: Key,
        begun: Start | Hold,
        time: int,
        line: int,
        phase: str,
        mode: str,
    ) -> bool:
        """Keep the interval from `begun` to `time`; False where it cannot be trusted."""
        if self.trusted is not None and key not in self.trusted:
            self.note(AFTER_LOSS, line)
            return False
        duration = time - begun.time
        if duration < 0:
            self.note("a section ended before it began and was discarded", line)
            return False
        kind = Kind(begun.label, phase, mode if begun.label is None else "")
        self.kept(kind, line).durations.add(duration)
        return True

    def begun(self, kind: Kind) -> int | None:
        """Return the line at which the first interval of a kind ended; None without any."""
        intervals = self._intervals.get(kind)
        return None if intervals is None else intervals.line

    def kept(self, kind: Kind, line: int) -> Intervals:
        """Return the collected intervals of a kind, of which one ended at `line`."""
        intervals = self._intervals.get(kind)
        if intervals is None:
            intervals = self._intervals[kind] = Intervals(kind.label, kind.phase, kind.mode, line)
        intervals.line = min(intervals.line, line)
        return intervals
