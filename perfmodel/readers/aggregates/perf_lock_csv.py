"""What ``perf lock contention -x`` and ``perf lock report -x`` write, in whole nanoseconds.

The first line names the columns, and by what stands between its names the separator.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from perfmodel.readers import files
from perfmodel.readers.aggregates.perf_lock_rows import COUNTS, NAMES, TIMES, add_row
from perfmodel.readers.reading import by_lines, number
from perfmodel.readers.registry import Reader

if TYPE_CHECKING:
    from perfmodel.readers.reading import Lines, Reading

__all__ = ["READER", "parse"]

_HEADING = re.compile(
    r"# output: (?:name|contended|acquired)(\W{1,8}?) ?(?:contended|acquired|total)"
)


def _columns(text: str) -> tuple[str, list[str]] | None:
    match = _HEADING.match(text)
    if match is None:
        return None
    separator = match[1].strip() or match[1]
    columns = [c.strip() for c in text.removeprefix("# output: ").split(separator)]
    known = {*COUNTS, *TIMES, *NAMES, "stacktrace"}
    # The last name may itself hold the separator, in a comm for one: it takes the rest of the line.
    return (separator, columns) if known.issuperset(columns) else None


def _row(text: str, separator: str, columns: list[str], line: int, reading: Reading) -> str | None:
    cells = [c.strip() for c in text.split(separator, len(columns) - 1)]
    if len(cells) != len(columns) or not all(cells):
        return f"{len(columns)} columns are expected"
    values: dict[str, float] = {}
    texts: dict[str, str] = {}
    for name, cell in zip(columns, cells, strict=True):
        if name in COUNTS or name in TIMES:
            value = number(cell) if cell.isdigit() else None
            if value is None:
                return f"no whole number under '{name}'"
            values[name] = value
        elif name != "stacktrace":
            texts[name] = cell
    return add_row(line, values, texts, reading)


def parse(lines: Lines, reading: Reading) -> None:
    """Read every row below the line that names the columns."""
    found: tuple[str, list[str]] | None = None
    for number_, line in lines:
        text = line.decode("utf-8", "replace").strip()
        if text.startswith("# output:"):
            found = _columns(text)
            if found is None:
                reading.skip(number_, f"columns of unknown names: {files.quote(line)}")
            else:
                reading.passed()
        elif not text or text.startswith("#"):
            reading.passed()
        else:
            reason = (
                "no line names its columns"
                if found is None
                else _row(text, *found, number_, reading)
            )
            if reason is None:
                reading.used()
            else:
                reading.skip(number_, f"{reason}: {files.quote(line)}")


READER = Reader(
    name="perf_lock_csv",
    what="`perf lock contention -x` or `perf lock report -x`",
    sniff=lambda start: bool(re.search(rb"^# output: (?:name|contended|acquired)\W", start, re.M)),
    read=by_lines("perf_lock_csv", "D", parse),
    hints=(b"# output: ", b"rwsem:"),
)
