"""Tables of klockstat: bcc's (mutexes, bare ns) and that of libbpf-tools (a unit in each cell).

The caller is a place in the kernel. Of which kind its lock is the text does not say, nor in which
mode it was held: bcc's version sees mutexes alone, that of libbpf-tools rw_semaphores too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from perfmodel.readers import files, names
from perfmodel.readers.reading import by_lines, moments, number, plain
from perfmodel.readers.registry import Reader

if TYPE_CHECKING:
    from perfmodel.readers.reading import Lines, Reading

__all__ = ["READER", "parse"]

_HEADING = re.compile(
    rb"\s*(Caller|Tid\s+Comm)\s+Avg (Spin|Wait|Hold)\s+Count\s+Max \2\s+Total \2\s*$", re.I
)
_TIME = rb"\s+(\d{1,18}(?:\.\d{1,6})?)(?: ?(ns|us|ms|s|m|h)\b)?"
_ROW = re.compile(rb"\s*(\S.*?)" + _TIME + rb"\s+(\d{1,18})" + _TIME * 2 + rb"\s*$").match
#: No row is as long; the time to see that a line is none grows with the square of its length.
_LONGEST = 2048
_UNITS = {b"": 1.0, b"ns": 1.0, b"us": 1e3, b"ms": 1e6, b"s": 1e9, b"m": 60e9, b"h": 3600e9}
_NOTE = re.compile(rb"Tracing |Hit Ctrl-C|\^C|\d\d:\d\d:\d\d\s*$|Exiting|-+\s*$").match
#: With -s more than one, the rest of the stack stands below the row.
_FRAME = re.compile(rb"\s+(?:b')?[\w.]+\+0x[0-9a-f]+'?\s*$").match


def _time(value: bytes, unit: bytes | None) -> float:
    found = number(value)
    assert found is not None  # the pattern takes nothing else
    return found * _UNITS[unit or b""]


def parse(lines: Lines, reading: Reading) -> None:
    """Read the rows below every heading."""
    phase, column = "", ""
    for number_, line in lines:
        if len(line) > _LONGEST:
            reading.skip(number_, f"a line of {len(line)} bytes: {files.quote(line)}")
            continue
        heading, row = _HEADING.match(line), _ROW(line)
        if heading:
            phase = "hold" if heading[2].lower() == b"hold" else "wait"
            column = "caller" if heading[1].lower() == b"caller" else "thread"
            reading.passed()
        elif not line.strip() or _NOTE(line) or (_FRAME(line) and phase):
            reading.passed()
        elif row is None or not phase:
            reading.skip(number_, f"no row of a caller: {files.quote(line)}")
        else:
            reason = _add(row, phase, column, number_, reading)
            if reason is None:
                reading.used()
            else:
                reading.skip(number_, f"{reason}: {files.quote(line)}")


def _add(row: re.Match[bytes], phase: str, column: str, line: int, reading: Reading) -> str | None:
    name, average, unit, count, largest, unit_largest, total, unit_total = row.groups()
    caller = re.sub(r"^b['\"](.*)['\"]$", r"\1", plain(name))
    events, mean = int(count), _time(average, unit)
    sum_ = _time(total, unit_total)
    if events and abs(mean * events - sum_) > 0.05 * sum_ + events:
        return f"{events} times {mean:g} ns do not make {sum_:g} ns"
    found = moments(events, mean, maximum=_time(largest, unit_largest), total=sum_)
    if isinstance(found, str):
        return found
    conditions = {column: caller, "lock": names.UNKNOWN}
    operation = names.of_symbol(caller) if column == "caller" else names.UNKNOWN
    reading.add(line, operation, phase, conditions, found)
    return None


READER = Reader(
    name="klockstat",
    what="tables of bcc's klockstat",
    sniff=lambda start: any(_HEADING.match(x) for x in start.splitlines()),
    read=by_lines("klockstat", "D", parse),
    hints=(b"Avg Hold", b"Avg Spin", b"Avg Wait", b"Max hold"),
)
