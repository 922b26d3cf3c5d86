"""The text of an ftrace buffer, as the kernel and as trace-cmd print it, turned into observations.

Line grammar: ``[buffer:] comm-tid [(tgid)] [cpu] [flags] time: event: fields``. Everything that is
optional in the kernel's ``trace_options`` is optional here: interrupt flags, tgid, the ``fields``
form of the arguments, the latency format (kernel/trace/trace_output.c).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from perfmodel.errors import InputError
from perfmodel.observations import Group, ObservationTable, ReadReport, Skipped, Source
from perfmodel.readers import files
from perfmodel.readers.lockstates import Intervals, Label, LockStates
from perfmodel.readers.tracelabels import ThreadLabels

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from perfmodel.readers.registry import Options

__all__ = ["EVENT_LINE", "TraceText", "looks_like_events", "read_trace", "refuse_variant"]

_HEAD = (
    rb"(?:[\w.-]{1,64}: +)?\s*.{0,16}?-(?P<tid>\d{1,10})\s+(?:\(\s*[\d-]+\)\s+)?"
    rb"(?:\[(?P<cpu>\d{1,5})\]\s+(?:[.\w#]{4,8}\s+)?"
    rb"|(?P<cpu_>\d{1,5})[.a-zA-Z#][.\w#]{3,7}\s+)"  # latency format: "1d..3."
    rb"(?P<time>\d{1,15}(?:\.\d{9}|\.\d{6}|us.)?): *"
)
# true, false, 0, 1, (0), (1), 0x0 (0)
_BOOL = rb"\(?(?:0x)?(true|false|0|1)\b(?: \([01]\)|\))?"
_ARGUMENTS = (
    rb" *mm=(?P<mm>(?:0x)?[0-9a-f]{1,16})(?: \(-?\d{1,20}\))?"
    rb"(?: memcg_(?:id|path)=.*?)? write=" + _BOOL + rb"(?: success=" + _BOOL + rb")?\s*$"
)
_LOCK = re.compile(
    _HEAD + rb"mmap_lock_(start_locking|acquire_returned|released):" + _ARGUMENTS
).match
#: Any event line: "name: ...", "sys_name(...", "sys_name -> ...", "<stack trace>", "f <-caller".
EVENT_LINE = re.compile(
    _HEAD + rb"(?P<body>(?:[\w.+/-]+(?::\w+)?:|sys_\w+(?:\(| ->)|<\w[\w ]*>|\S+ <-|#).*)", re.S
).match

_STACK = re.compile(rb"\s*=> ?\S").match
_LOST = re.compile(rb"CPU:\d+ \[(?:LOST )?(?:(\d{1,15}) )?EVENTS(?: DROPPED)?\]\s*$").match
_WRITTEN = re.compile(rb"entries-in-buffer/entries-written: (\d{1,15})/(\d{1,15})").search
_LATENCY = re.compile(rb"# latency: \d+ us, #(\d{1,15})/(\d{1,15}),").match
_BUFFER_STARTED = re.compile(rb"##### CPU \d+ buffer started").match
_CPUS = re.compile(rb"cpus=\d+\s*$").match
_SKIPPED_KEPT = 1000
_ZERO_SHARE = 0.05
_CLOCK_SAMPLE = 1000
# x86-tsc and the arm64 counter advance by tens to thousands of ticks from one event to the next;
# the clock "counter" advances by one.
_COUNTER_STEP = 8

_VARIANTS = (
    (re.compile(rb"[ \t]*\d+ \d{1,5} \d{4,} "), "raw", "noraw"),
    (re.compile(rb"[0-9a-f]{8} [0-9a-f]{8} [0-9a-f]{16}\b"), "hex", "nohex"),
    (re.compile(rb"[ \t]*mmap_lock_\w+: "), "nocontext-info", "context-info"),
)


def refuse_variant(line: bytes, number: int) -> None:
    """Raise InputError where the line is from a trace option that drops names or times."""
    for pattern, option, instead in _VARIANTS:
        if pattern.match(line):
            lacks = "threads and times" if option == "nocontext-info" else "event names"
            raise InputError(
                f"trace text written with the option '{option}' lacks the {lacks}: "
                f"{files.quote(line)}",
                line=number,
                expected=f"a capture with trace_options set to {instead}",
            )


def looks_like_events(start: bytes) -> bool:
    """Tell whether at least half of the whole lines that are no comments are event lines."""
    lines = start.splitlines()
    if len(start) >= files.HEAD_BYTES and len(lines) > 1:
        lines = lines[:-1]  # cut in its middle
    lines = [x for x in lines if x.strip() and not x.startswith(b"#")]
    if not lines:
        return False
    if b" type: " in lines[0] or b"mmap_lock_" in lines[0]:  # else rows of numbers of any kind
        refuse_variant(lines[0], start.splitlines().index(lines[0]) + 1)
    fit = sum(1 for x in lines if EVENT_LINE(x) or _STACK(x) or _LOST(x))
    return any(EVENT_LINE(x) for x in lines) and 2 * fit >= len(lines)


@dataclass(slots=True)
class TraceText:
    """One pass over the lines of a trace.

    Every line is counted in exactly one of `comments` (with blank lines), `states.events`,
    `others` (well-formed lines of other kinds) and `skipped_total`.
    """

    states: LockStates = field(default_factory=LockStates)
    comments: int = 0
    others: int = 0
    skipped_total: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    #: "us", "ns", "ticks" or "" while no event has been seen.
    unit: str = ""
    warnings: list[str] = field(default_factory=list)
    labels: ThreadLabels = field(default_factory=ThreadLabels)
    _latest: dict[bytes, int] = field(default_factory=dict)
    _clock: list[int] = field(default_factory=list)

    def feed(self, line: bytes, number: int) -> None:
        """Take one line, numbered from 1."""
        match = _LOCK(line) if b"mmap_lock_" in line else None
        if match is not None:
            self._lock_event(match, number)
        elif line.startswith(b"#") or not line.strip():
            self.comments += 1
            self._comment(line, number)
        else:
            self._other(line, number)

    def _lock_event(self, match: re.Match[bytes], number: int) -> None:
        tid, cpu, cpu_, stamp, name, mm, write_, success = match.groups()
        if (success is not None) != (name == b"acquire_returned"):
            self._skip(number, f"mmap_lock_{name.decode()} with fields that do not belong to it")
            return
        time = self._time(stamp, cpu or cpu_, number)
        if time is None:
            return
        write = write_ in (b"true", b"1")
        key = (tid, mm)
        if name == b"released":
            self.states.release(key, time, number, write)
            return
        label = self.labels.of(tid)
        if name == b"start_locking":
            self.states.start(key, time, number, write, label)
        else:
            self.states.acquire(key, time, number, write, success in (b"true", b"1"), label)

    def _time(self, stamp: bytes, cpu: bytes, number: int) -> int | None:
        """Return the time in units of the trace; None (and a skip) where the unit changed."""
        point = stamp.find(b".")
        if point > 0:
            unit = "us" if len(stamp) - point == 7 else "ns"
            time = int(stamp.replace(b".", b""))
        elif b"u" in stamp:
            unit, time = "us", int(stamp.partition(b"u")[0])
        else:
            unit, time = "ticks", int(stamp)
        if unit != self.unit:
            if self.unit:
                self._skip(number, f"a time in {unit} in a trace whose times are in {self.unit}")
                return None
            self.unit = unit
        if unit == "ticks" and len(self._clock) < _CLOCK_SAMPLE:
            self._clock.append(time)
        if time < self._latest.get(cpu, 0):
            self.states.note("time runs backwards on a CPU", number)
        self._latest[cpu] = time
        return time

    def _comment(self, line: bytes, number: int) -> None:
        if _BUFFER_STARTED(line):
            # Printed where the oldest event of an overwritten CPU buffer appears: what other CPUs
            # show from before it lacks this CPU's part.
            self.states.lose(0, number)
            return
        found = _WRITTEN(line) or _LATENCY(line)
        if found:
            kept, written = int(found[1]), int(found[2])
            if kept != written:
                self.states.lose(max(written - kept, 0), number)
                self.warnings.append(
                    f"the buffer was overwritten: {kept} of {written} events are left; the first "
                    "sections of every thread are not used"
                )

    def _other(self, line: bytes, number: int) -> None:
        match = EVENT_LINE(line)
        if match is None:
            lost = _LOST(line)
            if lost:
                self.others += 1
                self.states.lose(None if lost[1] is None else int(lost[1]), number)
            elif _STACK(line) or (_CPUS(line) and not self.unit):
                self.others += 1
            else:
                if not self.unit:
                    refuse_variant(line, number)
                self._skip(number, f"not an event line: {files.quote(line)}")
            return
        body = match["body"]
        if body.startswith(b"mmap_lock_"):
            self._skip(number, f"a mmap_lock event cut or malformed: {files.quote(body)}")
            return
        if self._time(match["time"], match["cpu"] or match["cpu_"], number) is None:
            return
        reason = None
        if b"perfmodel " in body:
            reason = self.labels.marker(match["tid"], body)
        elif body.startswith(b"sys_"):
            self.labels.syscall(match["tid"], body)
        if reason is None:
            self.others += 1
        else:
            self._skip(number, reason)

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
                expected="lines like 'comm-123 [000] ..... 12.345678: mmap_lock_released: ...'",
            )
        if self.unit != "ticks":
            return 1000.0 if self.unit == "us" else 1.0
        steps = [abs(b - a) for a, b in zip(self._clock, self._clock[1:], strict=False)]
        if steps and sorted(steps)[len(steps) // 2] < _COUNTER_STEP:
            raise InputError(
                "the trace clock is 'counter': its stamps number the events and hold no time",
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
        warnings += [
            f"{what}: {count} time{'s' * (count > 1)}, first at line {line}"
            for what, (count, line) in states.anomalies.items()
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


def read_trace(path: Path, options: Options, name: str) -> ObservationTable:
    """Read trace text line by line.

    Parameters
    ----------
    path : Path
        Plain or gzip text.
    options : Options
        ``tick_ns`` for traces stamped in ticks.
    name : str
        Name of the format for the report.

    Returns
    -------
    ObservationTable
        Groups by operation, conditions and phase. Intervals of µs text are the printed difference
        ± 1 µs, not below 0; those of ns text and of ticks are exact.

    Raises
    ------
    InputError
        A variant of the text without names or times, ticks of unknown length, a damaged file.
    """
    text = TraceText()
    try:
        with files.opened(path) as stream:
            feed = text.feed
            for number, line in enumerate(stream, 1):
                feed(line, number)
        scale = text.check(options)
    except InputError as error:
        raise error.at(file=path) from None
    report = text.report(path, name)
    source = Source(str(path), name, report.evidence, files.sha256(path))
    groups = tuple(
        _group(intervals, scale, 1000.0 if text.unit == "us" else 0.0, source)
        for intervals in text.states.intervals
    )
    return ObservationTable(groups, (report,))


def _group(intervals: Intervals, scale: float, spread: float, source: Source) -> Group:
    ticks = np.frombuffer(intervals.durations, dtype=np.int64)
    duration: NDArray[np.float64] = ticks.astype(np.float64) * scale
    label = intervals.label or Label("unknown", (("mode", intervals.mode),))
    return Group(
        operation=label.operation,
        phase=intervals.phase,
        conditions=dict(label.conditions),
        low=np.maximum(duration - spread, 0.0),
        high=duration + spread,
        count=np.ones(len(duration), dtype=np.int64),
        source=source,
        line=intervals.line,
    )


def _quantised(states: LockStates) -> list[str]:
    """Warn where intervals are so short that the µs of the text rounds them to nothing."""
    totals: dict[str, list[int]] = {}
    for intervals in states.intervals:
        total = totals.setdefault(intervals.phase, [0, 0])
        total[0] += intervals.durations.count(0)
        total[1] += len(intervals.durations)
    return [
        f"{zero / total:.0%} of the {phase} intervals are 0 µs long: the text is too coarse for "
        "their quantiles, and as nothing is shorter than 0 the mean of their interval centres is "
        f"too high by {500 * zero / total:.0f} ns (`trace-cmd report -t` prints ns)"
        for phase, (zero, total) in totals.items()
        if zero > _ZERO_SHARE * total
    ]
