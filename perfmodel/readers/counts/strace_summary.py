"""Table of ``strace -c``: calls and errors of every system call. Times are not used."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from perfmodel.observations import Moments
from perfmodel.readers import files, names
from perfmodel.readers.counts.perf_trace_summary import BIASED
from perfmodel.readers.reading import by_lines, plain
from perfmodel.readers.registry import Reader

if TYPE_CHECKING:
    from perfmodel.readers.reading import Lines, Reading

__all__ = ["READER", "parse"]

_HEADING = re.compile(rb"% time +seconds +usecs/call +calls +errors +syscall\s*$").match
_RULE = re.compile(rb"-{4,}(?: -{4,})+\s*$").match
_ROW = re.compile(
    rb" *\d+\.\d+ +\d+\.\d+ +\d+ +(\d{1,18})(?: +(\d{1,18}))? +([A-Za-z_]\w{0,63})\s*$"
).match
# Old releases leave the average out of this row.
_TOTAL = re.compile(rb" *100\.00 +\d+\.\d+((?: +\d{1,18}){1,3}) total\s*$").match
_NOTE = re.compile(rb"strace: |\[pid +\d+\]|\+\+\+ ").match


def parse(lines: Lines, reading: Reading) -> None:
    """Read the rows of every table."""
    inside = False
    calls = 0
    for number_, line in lines:
        row, total = _ROW(line), _TOTAL(line)
        if _HEADING(line):
            inside, calls = True, 0
            reading.passed()
        elif not line.strip() or _RULE(line) or _NOTE(line):
            reading.passed()
        elif total and inside:
            if calls not in map(int, total[1].split()):
                reading.warn(
                    f"line {number_} does not tell of the {calls} calls of the rows above it:"
                    " rows are missing or damaged"
                )
            inside = False
            reading.passed()
        elif row is None or not inside:
            reading.skip(number_, f"no row of a system call: {files.quote(line)}")
        else:
            count, errors = int(row[1]), int(row[2] or 0)
            if not count or errors > count:
                reading.skip(number_, f"no count of calls: {files.quote(line)}")
                continue
            calls += count
            syscall = plain(row[3])
            conditions = {"syscall": syscall, "errors": errors}
            found = Moments(count, math.nan)
            reading.add(number_, names.of_syscall(syscall), "count", conditions, found)
            reading.used()
    if reading.groups:
        reading.warn(BIASED)


READER = Reader(
    name="strace_summary",
    what="table of `strace -c`",
    sniff=lambda start: any(_HEADING(x) for x in start.splitlines()),
    read=by_lines("strace_summary", "F", parse),
    hints=(b"% time", b"usecs/call", b"errors syscall"),
)
