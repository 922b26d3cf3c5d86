"""The lines of a trace, one after the other, turned into events; and what is told of the whole.

This is the reference: `perfmodel.readers.traceblocks` reads large traces faster and hands every line
that it has not seen the like of to `TraceText.parse`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from perfmodel.errors import InputError
from perfmodel.observations import ReadReport, Skipped
from perfmodel.readers import files
from perfmodel.readers.durations import EXACT_VALUES, RELATIVE_WIDTH
from perfmodel.readers.lockstates import ACQUIRED, REFUSED, RELEASED, START, LockStates
from perfmodel.readers.tracegrammar import FTRACE, Grammar, refuse_variant, stamp
from perfmodel.readers.tracelabels import ThreadLabels

if TYPE_CHECKING:
    from pathlib import Path

    from perfmodel.readers.registry import Options

__all__ = ["BACKWARDS", "LOST", "OTHER", "Event", "TraceText", "lock_code"]

BACKWARDS = "time runs backwards on a CPU"
#: Numbers of events beside those of the lock: of another kind; lost ones, `time` of them.
OTHER, LOST = 8, 9

_WRITTEN = re.compile(rb"entries-in-buffer/entries-written: (\d{1,15})/(\d{1,15})").search
_LATENCY = re.compile(rb"# latency: \d+ us, #(\d{1,15})/(\d{1,15}),").match
_BUFFER_STARTED = re.compile(rb"##### CPU \d+ buffer started").match
_CPUS = re.compile(rb"(?:\S+: +|\s*)cpus=\d+\s*$").match
_KINDS = {b"start_locking": START, b"acquire_returned": ACQUIRED, b"released": RELEASED}
_SKIPPED_KEPT = 1000
_ZERO_SHARE = 0.05
_CLOCK_SAMPLE = 1000
# x86-tsc and the arm64 counter advance by tens to thousands of ticks from one event to the next;
# the clock "counter" advances by one and "uptime" mostly not at all.
_COUNTER_STEP = 8
_TIME_LIMIT = 1 << 63


class Event(NamedTuple):
    """What a line says: the number of the event, where, when, and for the lock of which mm."""

    code: int
    cpu: bytes = b""
    time: int = 0
    tid: bytes = b""
    mm: bytes = b""


def lock_code(match: re.Match[bytes]) -> int | None:
    """Return the number of the event of a line of the lock, None where its fields do not fit it."""
    *_, name, _, write, success = match.groups()
    if (success is not None) != (name == b"acquire_returned"):
        return None
    code = _KINDS[name] + (write in (b"true", b"1"))
    return code + REFUSED - ACQUIRED if success in (b"false", b"0") else code


@dataclass(slots=True)
class TraceText:
    """One pass over the lines of a trace.

    Every line is counted in exactly one of `comments` (with blank lines), `states.events`,
    `others` (well-formed lines of other kinds) and `skipped_total`.
    """

    grammar: Grammar = FTRACE
    states: LockStates = field(default_factory=LockStates)
    comments: int = 0
    others: int = 0
    skipped_total: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    #: "us", "ns", "ticks" or "" while no event has been seen.
    unit: str = ""
    warnings: list[str] = field(default_factory=list)
    labels: ThreadLabels = field(default_factory=ThreadLabels)
    #: Time of the last event of each CPU.
    latest: dict[bytes, int] = field(default_factory=dict)
    _clock: list[int] = field(default_factory=list)

    def feed(self, line: bytes, number: int) -> None:
        """Take one line, numbered from 1."""
        event = self.parse(line, number)
        if event is None:
            return
        if event.code == LOST:
            self.states.lose(event.time if event.time >= 0 else None, number)
            return
        if event.time < self.latest.get(event.cpu, 0):
            self.states.note(BACKWARDS, number)
        self.latest[event.cpu] = event.time
        self.sample([event.time])
        if event.code != OTHER:
            label = self.labels.of(event.tid)
            self.states.event(event.code, (event.tid, event.mm), event.time, number, label)

    def parse(self, line: bytes, number: int) -> Event | None:
        """Return the event of a line; None, and the line counted, where it holds none.

        A loss of an unknown number of events has the time -1.
        """
        match = self.grammar.lock(line) if b"mmap_lock_" in line else None
        if match is not None:
            return self._lock_event(match, number)
        if line.startswith(b"#") or not line.strip():
            self.comments += 1
            return self._comment(line)
        return self._other(line, number)

    def begun(self) -> bool:
        """Tell whether an event was seen, and with it the unit of the times."""
        return bool(self.unit)

    def is_filler(self, line: bytes) -> bool:
        """Tell whether a line holds no event and is part of the one before it, such as a frame."""
        return not (
            line.startswith(b"#")
            or not line.strip()
            or (b"mmap_lock_" in line and self.grammar.lock(line))
            or self.grammar.event(line)
            or self.grammar.lost(line)
        ) and bool(self.grammar.filler(line))

    def sample(self, times: list[int]) -> None:
        """Keep the first times of a clock that counts ticks, to tell what it counts."""
        if self.unit == "ticks" and len(self._clock) < _CLOCK_SAMPLE:
            self._clock += times[: _CLOCK_SAMPLE - len(self._clock)]

    def _lock_event(self, match: re.Match[bytes], number: int) -> Event | None:
        code = lock_code(match)
        if code is None:
            name = match["name"].decode()
            self._skip(number, f"mmap_lock_{name} with fields that do not belong to it")
            return None
        tid, cpu, cpu_, stamped, _, mm, *_ = match.groups()
        time = self._time(stamped, number)
        if time is None:
            return None
        return Event(code, cpu or cpu_ or b"", time, tid, mm)

    def _time(self, stamped: bytes, number: int) -> int | None:
        """Return the time in units of the trace; None (and a skip) where it is of another unit."""
        unit, time = stamp(stamped)
        if time >= _TIME_LIMIT:
            self._skip(number, f"no time of a trace: {files.quote(stamped)}")
            return None
        if unit != self.unit:
            if self.unit:
                self._skip(number, f"a time in {unit} in a trace whose times are in {self.unit}")
                return None
            self.unit = unit
        return time

    def _comment(self, line: bytes) -> Event | None:
        if _BUFFER_STARTED(line):
            # Printed where the oldest event of an overwritten CPU buffer appears: what other CPUs
            # show from before it lacks this CPU's part.
            return Event(LOST, time=0)
        found = _WRITTEN(line) or _LATENCY(line)
        if found:
            kept, written = int(found[1]), int(found[2])
            if kept != written:
                self.warnings.append(
                    f"the buffer was overwritten: {kept} of {written} events are left; the first "
                    "sections of every thread are not used"
                )
                return Event(LOST, time=max(written - kept, 0))
        return None

    def _other(self, line: bytes, number: int) -> Event | None:
        match = self.grammar.event(line)
        if match is None:
            lost = self.grammar.lost(line)
            if lost:
                self.others += 1
                return Event(LOST, time=-1 if lost[1] is None else int(lost[1]))
            if self.grammar.filler(line) or (_CPUS(line) and not self.unit):
                self.others += 1
            else:
                if not self.unit and self.grammar is FTRACE:
                    refuse_variant(line, number)
                self._skip(number, f"not an event line: {files.quote(line)}")
            return None
        body = match["body"]
        if body.startswith((b"mmap_lock_", b"mmap_lock:")):
            self._skip(number, f"a mmap_lock event cut or malformed: {files.quote(body)}")
            return None
        lost = self.grammar.lost(body) if body.startswith(b"PERF_RECORD_") else None
        if lost:
            self.others += 1
            return Event(LOST, time=int(lost[1]))
        time = self._time(match["time"], number)
        if time is None:
            return None
        reason = None
        if b"perfmodel " in body:
            reason = self.labels.marker(match["tid"], body)
        else:
            self.labels.syscall(match["tid"], body)
        if reason is not None:
            self._skip(number, reason)
        else:
            self.others += 1
        # A marker that cannot be used still has a time and may have ended a label.
        return Event(OTHER, match["cpu"] or match["cpu_"] or b"", time, match["tid"])

    def _skip(self, number: int, reason: str) -> None:
        self.skipped_total += 1
        if len(self.skipped) < _SKIPPED_KEPT:
            self.skipped.append(Skipped(number, reason))
        elif len(self.skipped) == _SKIPPED_KEPT:
            self.skipped.append(Skipped(number, "1 more line from here on"))
        else:
            more = self.skipped_total - _SKIPPED_KEPT
            last = self.skipped[-1].line
            self.skipped[-1] = Skipped(last, f"{more} more lines from here on")

    def check(self, options: Options) -> float:
        """Return the ns of one unit of time; raise InputError where the trace cannot be used."""
        if not self.states.events and not self.others and self.skipped:
            first = self.skipped[0]
            raise InputError(
                f"no line of it is a trace event; {first.reason}",
                line=first.line,
                expected=f"lines like '{self.grammar.like}'",
            )
        if self.unit != "ticks":
            return 1000.0 if self.unit == "us" else 1.0
        steps = sorted(abs(b - a) for a, b in pairwise(self._clock))
        if steps and steps[len(steps) // 2] < _COUNTER_STEP:
            counts = "the events" if steps[len(steps) // 2] else "timer interrupts"
            raise InputError(
                f"the stamps of this trace number {counts} (trace clock 'counter' or 'uptime') and "
                "are too coarse for a hold of the lock",
                expected="a capture with trace_clock set to mono, local or x86-tsc",
            )
        said = self.labels.tick_ns
        if options.tick_ns is not None:
            if said is not None and abs(said / options.tick_ns - 1) > 1e-3:
                self.warnings.append(
                    f"the tick length given ({options.tick_ns} ns) is used, not that of the trace "
                    f"({said} ns)"
                )
            return options.tick_ns
        if said is None:
            raise InputError(
                "times are in ticks of the trace clock (x86-tsc) and the trace does not say how "
                "long a tick is",
                field="tick_ns",
                expected="`--tick-ns NS` (tick_ns= in Python; 1e6 / the TSC frequency in kHz that "
                "`dmesg | grep tsc` names), or a line 'perfmodel clock tick_ns=NS' written to "
                "trace_marker during the capture",
            )
        return said

    def report(self, path: Path, name: str) -> ReadReport:
        """Return what was found."""
        states = self.states
        warnings = [*self.warnings, *self.labels.warnings]
        if not states.events:
            warnings.append("no mmap_lock event in it: were the events enabled?")
        if self.unit == "us":
            warnings += _quantised(states)
        warnings += _binned(states)
        warnings += [
            f"{what}: {count} time{'s' * (count > 1)}, first at line {line}"
            for what, (count, line) in sorted(
                states.anomalies.items(), key=lambda one: (one[1][1], one[0])
            )
        ]
        return ReadReport(
            file=str(path),
            format=name,
            evidence=_EVIDENCE[self.unit],
            events=states.events,
            holds_exclusive=states.holds_exclusive,
            holds_shared=states.holds_shared,
            downgrades=states.downgrades,
            waits=states.waits,
            failed_trylocks=states.failed_trylocks,
            lost=states.lost,
            orphaned=states.orphaned,
            open=states.open,
            skipped=tuple(self.skipped),
            warnings=tuple(warnings),
        )


_EVIDENCE = {"us": "B", "ns": "A", "ticks": "A", "": ""}


def _quantised(states: LockStates) -> list[str]:
    """Warn where intervals are so short that the µs of the text rounds them to nothing."""
    totals: dict[str, list[int]] = {}
    for intervals in states.intervals:
        low, _, count = intervals.durations.counted()
        total = totals.setdefault(intervals.phase, [0, 0])
        total[0] += int(count[low == 0].sum())
        total[1] += int(count.sum())
    return [
        f"{zero / total:.0%} of the {phase} intervals are 0 µs long: the text is too coarse for "
        "their quantiles, and as nothing is shorter than 0 the mean of their interval centres is "
        f"too high by {500 * zero / total:.0f} ns (`trace-cmd report -t` and `perf script --ns` "
        "print ns)"
        for phase, (zero, total) in totals.items()
        if zero > _ZERO_SHARE * total
    ]


def _binned(states: LockStates) -> list[str]:
    """Say of which intervals there were too many different ones to keep each."""
    totals: dict[str, int] = {}
    for intervals in states.intervals:
        if intervals.durations.binned:
            count = int(intervals.durations.counted()[2].sum())
            totals[intervals.phase] = totals.get(intervals.phase, 0) + count
    return [
        f"{count} {phase} intervals are kept in bins at most {RELATIVE_WIDTH:.2%} wide: they have "
        f"more than {EXACT_VALUES} different lengths"
        for phase, count in totals.items()
    ]
