"""``/proc/lock_stat``, versions 0.3 and 0.4, also where a mail wrapped its rows.

The only source that has holds and acquisitions of every lock by mode, but lockdep, which writes it,
makes every one of them longer: ratios can be believed, nanoseconds cannot. Groups say so in their
condition ``instrumented``. A class without ``-W`` or ``-R`` was taken in one mode only, which is the
exclusive one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from perfmodel.readers import files, names
from perfmodel.readers.reading import by_lines, moments, number, plain, unquoted
from perfmodel.readers.registry import Reader

if TYPE_CHECKING:
    from perfmodel.readers.reading import Lines, Reading

__all__ = ["READER", "parse"]

_VERSION = re.compile(rb"lock_stat version (\d{1,3}\.\d{1,3})\s*$").match
_COLUMNS = (
    "con-bounces", "contentions", "waittime-min", "waittime-max", "waittime-total", "waittime-avg",
    "acq-bounces", "acquisitions", "holdtime-min", "holdtime-max", "holdtime-total", "holdtime-avg",
)  # fmt: skip
_OF_VERSION = {
    "0.4": _COLUMNS,
    "0.3": tuple(c for c in _COLUMNS if not c.endswith("-avg")),
}
_WORDS = re.compile(rb"(?:class name|con-bounces|contentions|acq-bounces|acquisitions"
                    rb"|(?:wait|hold)time-(?:min|max|total|avg)|\s)+$").match  # fmt: skip
_ROW = re.compile(rb"\s*(\S.*?):((?:\s+-?\d[\d.]*)*)\s*$").match
_NUMBERS = re.compile(rb"(?:\s*-?\d[\d.]*)+\s*$").match
# Where a class was contended: its name, a count, an address and a function.
_POINT = re.compile(rb"\s*\S.*\s\d+\s+(?:\[<[0-9a-fx]+>\]|\[<\w+>\]) ?\S*").match
_MODE = re.compile(r"(.*)-([RW])(#\d+|/\d+)?")
_MMAP_LOCK = re.compile(r"&mm->mmap_(?:lock|sem)(?:[#/]\d+)*")


@dataclass(slots=True)
class _Row:
    name: str
    line: int
    lines: int = 1
    cells: list[bytes] = field(default_factory=list)


class _Text:
    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.columns: tuple[str, ...] = ()
        self.row: _Row | None = None

    def feed(self, raw: bytes, number_: int) -> None:
        line = unquoted(raw)
        if self.row is not None and _NUMBERS(line):
            self.row.cells += line.split()
            self.row.lines += 1
            self._close_if_full()
            return
        self.close()
        version, row = _VERSION(line), _ROW(line)
        if version:
            self._version(version[1].decode(), number_)
        elif b"lock debugging disabled" in line:
            self.reading.warn("lockdep had turned itself off: the numbers end at that moment")
            self.reading.passed()
        elif not line.strip() or not line.strip(b" \t\r\n-.") or _WORDS(line) or _POINT(line):
            self.reading.passed()
        elif row and self.columns:
            self.row = _Row(plain(row[1]), number_, cells=row[2].split())
            self._close_if_full()
        else:
            what = "no row of a class" if self.columns else "no version stands above it"
            self.reading.skip(number_, f"{what}: {files.quote(line)}")

    def _version(self, version: str, number_: int) -> None:
        self.columns = _OF_VERSION.get(version, ())
        if self.columns:
            self.reading.warn("lockdep made every time longer: use ratios, not nanoseconds")
            self.reading.passed()
        else:
            self.reading.skip(number_, f"version {version} is not known, only 0.3 and 0.4")

    def _close_if_full(self) -> None:
        if self.row is not None and len(self.row.cells) >= len(self.columns):
            self.close()

    def close(self) -> None:
        """End the row that is open, if one is."""
        row, self.row = self.row, None
        if row is None:
            return
        reason = self._add(row)
        if reason is None:
            self.reading.used(row.lines)
        else:
            self.reading.skip(row.line, f"{row.name}: {reason}", row.lines)

    def _add(self, row: _Row) -> str | None:
        cells = [number(c) for c in row.cells]
        if len(cells) != len(self.columns):
            return f"{len(cells)} numbers where there should be {len(self.columns)}"
        if any(c is None or c < 0 for c in cells):
            return "not all of its cells are numbers"
        values = {name: c for name, c in zip(self.columns, cells, strict=True) if c is not None}
        split = _MODE.fullmatch(row.name)
        name, mode = (split[1] + (split[3] or ""), split[2]) if split else (row.name, "W")
        conditions = {
            "lock": "mmap_lock" if _MMAP_LOCK.fullmatch(name) else name,
            "class": name,
            "mode": "write" if mode == "W" else "read",
            "instrumented": "lockdep",
        }
        made = []
        for count, kind, phase in (
            ("contentions", "waittime", "wait"),
            ("acquisitions", "holdtime", "exclusive" if mode == "W" else "shared"),
        ):
            events = values[count]
            if events != int(events):
                return f"{events:g} {count}"
            if not events:
                continue  # a lock that never had to wait
            total = values[f"{kind}-total"]
            mean = 1e3 * total / events
            said = 1e3 * values.get(f"{kind}-avg", mean / 1e3)
            if abs(said - mean) > 10 + 0.001 * mean:  # two decimals of a µs
                return f"{kind}-avg is not {kind}-total / {count}"
            found = moments(
                int(events),
                mean,
                1e3 * values[f"{kind}-min"],
                1e3 * values[f"{kind}-max"],
                total=1e3 * total,
            )
            if isinstance(found, str):
                return found
            extra = {"contended_only": True} if phase == "wait" else {}
            made.append((phase, {**conditions, **extra}, found))
        if not made:
            return "it counts no event"
        for phase, conditions_, found in made:
            self.reading.add(row.line, names.UNKNOWN, phase, conditions_, found)
        return None


def parse(lines: Lines, reading: Reading) -> None:
    """Read the row of every class."""
    text = _Text(reading)
    for number_, line in lines:
        text.feed(line, number_)
    text.close()


READER = Reader(
    name="lock_stat",
    what="/proc/lock_stat 0.3 or 0.4",
    sniff=lambda start: any(_VERSION(unquoted(x)) for x in start.splitlines()),
    read=by_lines("lock_stat", "D", parse),
    hints=(b"lock_stat version", b"con-bounces", b"waittime-max", b"holdtime-max"),
)
