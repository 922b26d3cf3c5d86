"""Output of ``perf bench``, default and ``--format=simple``.

The simple format is a bare number of seconds for the whole run: which benchmark it was and how
many operations it did is not told. It is read as the duration of one unknown program.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from perfmodel.readers import files, names
from perfmodel.readers.reading import by_lines, moments, number, plain
from perfmodel.readers.registry import Reader
from perfmodel.readers.throughput.rates import cost

if TYPE_CHECKING:
    from perfmodel.readers.reading import Lines, Reading

__all__ = ["READER", "parse"]

_RUNNING = re.compile(rb"# Running '?([\w./-]+)'? benchmark:\s*$").match
_TASKS = re.compile(rb"Run summary \[PID \d+\]: (?:blocking on )?(\d{1,9}) threads\b").match
_PER_OP = re.compile(rb"\s+(\d\S*) (nsecs|usecs|msecs)/op\s*$").match
_PER_SECOND = re.compile(rb"\s+(\d\S*) ops/sec\s*$").match
_AVERAGED = re.compile(rb"Averaged (\d\S*) operations/sec \(\+- +(\d\S*)%\)").match
_WOKEN = re.compile(rb"Wokeup (\d{1,9}) of (\d{1,9}) threads in (\d\S*) ms").match
_TOTAL = re.compile(rb"\s+Total time: +(\d\S*) \[sec\]\s*$").match
_SIMPLE = re.compile(rb"(\d{1,9}\.\d{3})\s*$").match
_BANDWIDTH = re.compile(rb"\s+\d\S* [KMGT]?B/sec|\d+\.\d{6}\s*$").match
_NOTE = re.compile(rb"#|\[(?:thread|Run) +\d+\]|\[Run ").match
_UNITS = {b"nsecs": 1.0, b"usecs": 1e3, b"msecs": 1e6}


@dataclass(slots=True)
class _Run:
    name: str = ""
    conditions: dict[str, Any] = field(default_factory=dict)
    #: Line and seconds of the total time, until a cost per operation makes it superfluous.
    total: tuple[int, bytes] | None = None


def _add(phase: str, found: Any, line: int, run: _Run, reading: Reading, lines: int = 1) -> None:
    if isinstance(found, str):
        reading.skip(line, found, lines)
        return
    conditions = {"testcase": run.name, **run.conditions} if run.name else dict(run.conditions)
    if phase == "latency":
        conditions["command"] = "perf bench"
    reading.add(line, names.UNKNOWN, phase, conditions, found)
    reading.used(lines)


def _close(run: _Run, reading: Reading) -> None:
    if run.total is not None:
        line, text = run.total
        seconds = number(text)
        _add(
            "latency",
            "no number" if seconds is None else moments(1, 1e9 * seconds),
            line,
            run,
            reading,
        )
        run.total = None


def parse(lines: Lines, reading: Reading) -> None:
    """Read every benchmark of the output."""
    run = _Run()
    for number_, line in lines:
        running, tasks, woken = _RUNNING(line), _TASKS(line), _WOKEN(line)
        per_op, averaged, total, simple = (
            _PER_OP(line),
            _AVERAGED(line),
            _TOTAL(line),
            _SIMPLE(line),
        )
        if running:
            _close(run, reading)
            run = _Run(plain(running[1]))
            reading.passed()
        elif tasks:
            run.conditions["tasks"] = int(tasks[1])
            reading.passed()
        elif total:
            _close(run, reading)
            run.total = (number_, total[1])
        elif per_op:
            if run.total is not None:
                run.total = None  # it is the same, times the operations
                reading.passed()
            value = number(per_op[1].replace(b",", b""))
            found = "no number" if value is None else moments(1, value * _UNITS[per_op[2]])
            _add("cost", found, number_, run, reading)
        elif averaged:
            _averaged(averaged, number_, run, reading)
        elif woken:
            _woken(woken, number_, run, reading)
        elif simple:
            _simple(simple, number_, run, reading)
        elif not line.strip() or _NOTE(line) or _PER_SECOND(line):
            reading.passed()  # operations a second repeat the line above
        elif _BANDWIDTH(line):
            reading.skip(number_, f"a bandwidth is no cost of an operation: {files.quote(line)}")
        else:
            reading.skip(number_, f"no result of perf bench: {files.quote(line)}")
    _close(run, reading)


def _averaged(match: re.Match[bytes], line: int, run: _Run, reading: Reading) -> None:
    """Take the mean rate of a thread and the error of that mean."""
    rate, error = number(match[1]), number(match[2])
    found = "no number" if rate is None or error is None else cost(rate)
    if not isinstance(found, str):
        run.conditions["standard_error_percent"] = error
    _add("cost", found, line, run, reading)


def _woken(match: re.Match[bytes], line: int, run: _Run, reading: Reading) -> None:
    """Take the mean time in which one thread woke all others, as that of one wake-up."""
    woken, time = int(match[1]), number(match[3])
    found = "no wake-up in it" if time is None or not woken else moments(1, 1e6 * time / woken)
    _add("cost", found, line, run, reading)


def _simple(match: re.Match[bytes], line: int, run: _Run, reading: Reading) -> None:
    seconds = number(match[1])
    if not run.name:
        reading.warn(
            "a bare number is taken for the seconds of one `perf bench --format=simple`: which"
            " benchmark and how many operations is not told"
        )
    found = moments(1, 1e9 * seconds) if seconds else "a run of 0 s was not measured"
    _add("latency", found, line, run, reading)


def _sniff(start: bytes) -> bool:
    lines = [x for x in start.splitlines() if x.strip()]
    if any(_RUNNING(x) for x in lines):
        return True
    return 0 < len(lines) <= 100 and all(_SIMPLE(x) for x in lines)


READER = Reader(
    name="perf_bench",
    what="output of `perf bench`",
    sniff=_sniff,
    read=by_lines("perf_bench", "E", parse),
    hints=(b"# Running '", b"usecs/op", b"ops/sec", b"Total time:"),
)
