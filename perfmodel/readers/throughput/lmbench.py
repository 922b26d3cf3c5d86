"""Results of lmbench (its programs print them to stderr).

Used are the lines ``name: number microseconds`` and the rows below ``"mappings``. Rows of two
numbers are of the same shape in every section, bandwidths too: without their heading they say
nothing, and in other sections they are counted and left alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from perfmodel.readers import files, names
from perfmodel.readers.reading import by_lines, moments, number, plain
from perfmodel.readers.registry import Reader

if TYPE_CHECKING:
    from perfmodel.readers.reading import Lines, Reading

__all__ = ["READER", "parse"]

_TIME = re.compile(rb"([A-Z][\w /+.,()-]{2,80}?): (\d\S*) (micro|nano|milli)seconds?\s*$").match
_SECTION = re.compile(rb'"(\S.*?)\s*$').match
_ROW = re.compile(rb"\s*(\d\S*)\s+(\d\S*)\s*$").match
_HEADER = re.compile(rb"\[.*\]\s*$|mhz: |[A-Z][A-Z0-9_]+: ").match
_SCALE = {b"nano": 1.0, b"micro": 1e3, b"milli": 1e6}
_FAULT = re.compile(r"Pagefaults on \S.*").fullmatch


def parse(lines: Lines, reading: Reading) -> None:
    """Read every time and every row of the mappings."""
    section: str | None = None
    others: dict[str, int] = {}
    for number_, line in lines:
        time, heading, row = _TIME(line), _SECTION(line), _ROW(line)
        reason: str | None = None
        if time:
            section = None
            reason = _time(time, number_, reading)
        elif row and section == "mappings":
            reason = _mapping(row, number_, reading)
        elif row and section is not None:
            others[section] = others.get(section, 0) + 1
            reading.passed()
            continue
        elif row:
            reason = 'a row of two numbers below no heading (as "mappings): what it is is not told'
        elif heading or not line.strip() or _HEADER(line):
            if heading:
                section = plain(heading[1])
            elif not line.strip():
                section = None
            reading.passed()
            continue
        else:
            reason = "no result of lmbench"
        if reason is None:
            reading.used()
        else:
            reading.skip(number_, f"{reason}: {files.quote(line)}")
    for name, count in others.items():
        reading.warn(f"{count} rows below '{name}' are not of mappings and not used")


def _time(match: re.Match[bytes], line: int, reading: Reading) -> str | None:
    name, value = plain(match[1]), number(match[2])
    if value is None:
        return "no number"
    found = moments(1, value * _SCALE[match[3]])
    if isinstance(found, str):
        return found
    conditions: dict[str, Any] = {"testcase": name}
    operation = names.UNKNOWN
    if _FAULT(name):
        operation = "page_fault"
        conditions["pages_per_op"] = 1
    reading.add(line, operation, "cost", conditions, found)
    return None


def _mapping(match: re.Match[bytes], line: int, reading: Reading) -> str | None:
    """Take a row of lat_mmap: size in MB, µs of mapping, touching and unmapping it."""
    size, time = number(match[1]), number(match[2])
    if size is None or time is None or not 0 < size < 1e9:
        return "no size and time"
    found = moments(1, time * 1e3)
    if isinstance(found, str):
        return found
    conditions = {"testcase": "mappings", "bytes": round(size * 1e6)}
    reading.add(line, names.UNKNOWN, "cost", conditions, found)
    return None


_SNIFF = re.compile(
    rb"^(?:\"mappings\s*$|\[lmbench|(?:Pagefaults on \S+|Protection fault|Simple \w+"
    rb"|Signal handler \w+|Process [\w+/. -]+): \d\S* microseconds)",
    re.M,
).search

READER = Reader(
    name="lmbench",
    what="results of lmbench",
    sniff=lambda start: bool(_SNIFF(start)),
    read=by_lines("lmbench", "E", parse),
    hints=(b" microseconds\n", b"Pagefaults", b'"mappings', b"Signal handler"),
)
