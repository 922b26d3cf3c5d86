"""Tables of ``perf lock contention`` and ``perf lock report``, each cell with its own unit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from perfmodel.readers import files
from perfmodel.readers.aggregates.perf_lock_rows import (
    COUNTS,
    NAMES,
    TIMES,
    add_row,
    heading,
    nanoseconds,
)  # fmt: skip
from perfmodel.readers.reading import by_lines, number
from perfmodel.readers.registry import Reader

if TYPE_CHECKING:
    from perfmodel.readers.reading import Lines, Reading

__all__ = ["READER", "parse"]

_HEADINGS = re.compile("|".join(rf"{h}(?: \(ns\))?" for h in (*COUNTS, *TIMES, *NAMES)))
_CELL = r"\s+(\d{1,18}(?:\.\d{1,9})?)(?: ?(ns|us|ms|s|m|h)\b)?"
# Notes below the table and, with -v, the stack under a row.
_NOTE = re.compile(rb"\s*===|\s*bad(?: rate)?:|\s*histogram of|\s{2,}(?:acquire|acquired|contended|release|stack"
                   rb"|time|data): +\d+\s*$|\s{10,}(?:0x)?[0-9a-f]{8,16}\s+\S|#").match  # fmt: skip


def _columns(line: str) -> list[str] | None:
    """Return the headings of a heading line, or None."""
    found = [heading(h) for h in _HEADINGS.findall(line)]
    rest = _HEADINGS.sub("", line).strip()
    times = [h for h in found if h in TIMES]
    return found if not rest and "contended" in found and len(times) >= 2 else None


class _Table:
    """The rows below one heading line: names stand before the numbers or behind them."""

    def __init__(self, columns: list[str]) -> None:
        numeric = [c for c in columns if c in COUNTS or c in TIMES]
        first = columns.index(numeric[0])
        self.before = columns[:first]
        self.numeric = columns[first : first + len(numeric)]
        self.behind = columns[first + len(numeric) :]
        # The name goes up to the last place from which the numbers fit; it may hold blanks.
        self._row = re.compile(
            (r"\s*(.*\S)" if self.before else "()") + _CELL * len(numeric) + r"(?:\s+(\S.*?))?\s*$"
        )

    def read(self, text: str, line: int, reading: Reading) -> str | None:
        """Take a row; return why it cannot be used."""
        match = self._row.match(" " + text)
        if match is None:
            return "a row cut or malformed"
        cells = match.groups()
        values: dict[str, float] = {}
        for index, name in enumerate(self.numeric):
            value, unit = number(cells[1 + 2 * index]), cells[2 + 2 * index] or ""
            if value is None or (name in COUNTS and (unit or value != int(value))):
                return f"no count under '{name}'"
            values[name] = nanoseconds(value, unit)
        texts = dict.fromkeys(self.before, cells[0])
        tail = (cells[-1] or "").split(None, max(len(self.behind) - 1, 0))
        if len(tail) == 1 and self.behind == ["address", "symbol"]:
            tail.append("")  # an address that perf could not name
        if len(tail) != len(self.behind):
            return "a row cut or malformed"
        texts.update(zip(self.behind, tail, strict=True))
        return add_row(line, values, texts, reading)


def parse(lines: Lines, reading: Reading) -> None:
    """Read every row below a heading line."""
    table: _Table | None = None
    for number_, line in lines:
        text = line.decode("utf-8", "replace").rstrip()
        columns = _columns(text)
        if columns is not None:
            in_order = [c for c in columns if c in COUNTS or c in TIMES]
            first = columns.index(in_order[0])
            if columns[first : first + len(in_order)] != in_order or first > 1:
                reading.skip(number_, f"a heading of unknown shape: {files.quote(line)}")
                table = None
                continue
            table = _Table(columns)
            reading.passed()
        elif not text.strip() or _NOTE(line):
            reading.passed()
        else:
            reason = (
                "no table begins above it" if table is None else table.read(text, number_, reading)
            )
            if reason is None:
                reading.used()
            else:
                reading.skip(number_, f"{reason}: {files.quote(line)}")


def _sniff(start: bytes) -> bool:
    text = start.decode("utf-8", "replace")
    return any(_columns(line) is not None for line in text.splitlines())


READER = Reader(
    name="perf_lock",
    what="the table of `perf lock contention` or `perf lock report`",
    sniff=_sniff,
    read=by_lines("perf_lock", "D", parse),
    hints=(b"total wait", b"max wait", b"avg wait", b"rwsem:"),
)
