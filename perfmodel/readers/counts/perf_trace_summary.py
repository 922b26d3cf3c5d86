"""Summary of ``perf trace -s``: calls and errors of every system call, by thread. Times are not used."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from perfmodel.observations import Moments
from perfmodel.readers import files, names
from perfmodel.readers.reading import by_lines, number, plain
from perfmodel.readers.registry import Reader

if TYPE_CHECKING:
    from perfmodel.readers.reading import Lines, Reading

__all__ = ["BIASED", "READER", "parse"]

BIASED = "its times hold a wake-up of the tracer for every call: only the counts are used"

_THREAD = re.compile(rb" *(.{1,32}?) \((\d{1,10})\), (\d{1,18}) events(?:, \d+\.\d+%)?\s*$").match
_TOTAL = re.compile(rb" *total, (\d{1,18}) events\s*$").match
_COLUMNS = re.compile(rb" +syscall +calls( +errors)? +total +min +avg +max( +stddev)?\s*$").match
_ROW = re.compile(rb" +([A-Za-z_]\w{0,63}) +(\d\S*(?: +\d\S*)*)\s*$").match
_NOTE = re.compile(rb" *Summary of events|[ -]*-{5}[ -]*$|[ ()a-z%]*\(msec\)").match


def parse(lines: Lines, reading: Reading) -> None:
    """Read the rows of every thread."""
    thread: dict[str, Any] = {}
    columns: list[str] = []
    for number_, line in lines:
        begun, heading, row = _THREAD(line), _COLUMNS(line), _ROW(line)
        if begun or _TOTAL(line):
            thread = {"comm": plain(begun[1]), "tid": int(begun[2])} if begun else {}
            reading.passed()
        elif heading:
            columns = ["calls", *["errors"] * bool(heading[1]), "total", "min", "avg", "max"]
            columns += ["stddev"] * bool(heading[2])
            reading.passed()
        elif not line.strip() or _NOTE(line):
            reading.passed()
        elif row is None or not columns:
            reading.skip(number_, f"no row of a system call: {files.quote(line)}")
        else:
            reason = _add(row, columns, thread, number_, reading)
            if reason is None:
                reading.used()
            else:
                reading.skip(number_, f"{reason}: {files.quote(line)}")
    if reading.groups:
        reading.warn(BIASED)


def _add(
    row: re.Match[bytes], columns: list[str], thread: dict[str, Any], line: int, reading: Reading
) -> str | None:
    cells = [number(c.removesuffix(b"%")) for c in row[2].split()]
    if len(cells) != len(columns) or any(c is None for c in cells):
        return f"not {len(columns)} numbers"
    values = {name: c for name, c in zip(columns, cells, strict=True) if c is not None}
    calls, errors = values["calls"], values.get("errors", 0.0)
    if calls != int(calls) or not calls or not 0 <= errors <= calls:
        return "no count of calls"
    syscall = plain(row[1])
    conditions = {**thread, "syscall": syscall}
    if "errors" in values:
        conditions["errors"] = int(errors)
    found = Moments(int(calls), math.nan)
    reading.add(line, names.of_syscall(syscall), "count", conditions, found)
    return None


READER = Reader(
    name="perf_trace_summary",
    what="summary of `perf trace -s`",
    sniff=lambda start: any(_COLUMNS(x) for x in start.splitlines()),
    read=by_lines("perf_trace_summary", "F", parse),
    hints=(b"Summary of events", b"(msec)"),
)
