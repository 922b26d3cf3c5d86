"""Text that bpftrace prints of its maps: histograms, ``stats()`` and counts.

The output of the traced program, the tool's own messages and people's notes behind the bars stand
between the maps; what is no map is counted and quoted.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from perfmodel.readers import files
from perfmodel.readers.histograms.bpftrace_maps import Bins, Entry, Number, Stats, settle
from perfmodel.readers.reading import by_lines, plain
from perfmodel.readers.registry import Reader

if TYPE_CHECKING:
    from perfmodel.readers.reading import Lines, Reading

__all__ = ["READER", "parse"]

_EDGE = rb"(\.\.\.|-?\d{1,18}[KMGTPE]?)"
_BIN = re.compile(
    rb"[\[(]" + _EDGE + rb"(?:, ?" + _EDGE + rb")?[\])]\s+(\d{1,15}) +\|[@ ]{0,200}\|.*$", re.S
).match
_LOOKS_LIKE_A_BIN = re.compile(rb"[\[(](?:\.\.\.|-?\d{1,18}[KMGTPE]?)[,\])]").match
_ENTRY = re.compile(rb"@(\w*)(?:\[(.*)\])?: ?(.*)$", re.S).match
_OPEN_KEY = re.compile(rb"@(\w*)\[\s*$").match
_CLOSED_KEY = re.compile(rb"(.*)\]: ?(.*)$", re.S).match
_STATS = re.compile(rb"count (\d{1,15}), average (-?\d{1,18}), total (-?\d{1,18})\s*$").match
_INTEGER = re.compile(rb"-?\d{1,18}\s*$").match
_NOTE = re.compile(
    rb"(?:Attaching|Attached) \d+ probes?|Tracing .*|Hit Ctrl-C to end|\^C\s*$|WARNING: ", re.I
).match
_LOST = re.compile(rb"Lost (\d{1,18}) events").match
_POWER = {ord(c): 1024 ** (i + 1) for i, c in enumerate("KMGTPE")}
#: A kernel stack as a key takes a line a frame.
_KEY_LINES = 256


def _edge(text: bytes) -> int | None:
    if text == b"...":
        return None
    power = _POWER.get(text[-1])
    return int(text) if power is None else int(text[:-1]) * power


class _Text:
    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.entries: list[Entry] = []
        self.block: Entry | None = None
        self.key: tuple[int, str, list[bytes]] | None = None
        self.printing = 0
        self.latest = ""

    def feed(self, line: bytes, number: int) -> None:
        if self.key is not None:
            self._key_line(line, number)
        elif line.startswith(b"@"):
            self._entry(line, number)
        elif _LOOKS_LIKE_A_BIN(line):
            reason = self._bin(line)
            if reason:
                self.reading.skip(number, f"{reason}: {files.quote(line)}")
        elif not line.strip():
            self.block = None
            self.reading.passed()
        else:
            lost = _LOST(line)
            if lost:
                self.reading.lost += int(lost[1])
            if lost or _NOTE(line):
                self.reading.passed()
            else:
                self.reading.skip(number, f"no line of a map: {files.quote(line)}")

    def _entry(self, line: bytes, number: int) -> None:
        self.block = None
        match = _ENTRY(line)
        if match:
            key = None if match[2] is None else plain(match[2])
            self._value("@" + match[1].decode(), key, match[3], number, 1, line)
            return
        begun = _OPEN_KEY(line)
        if begun:
            self.key = (number, "@" + begun[1].decode(), [])
        else:
            self.reading.skip(number, f"a map cut or malformed: {files.quote(line)}")

    def _key_line(self, line: bytes, number: int) -> None:
        assert self.key is not None
        first, name, frames = self.key
        match = _CLOSED_KEY(line)
        if match:
            self.key = None
            key = plain(b" ".join(f.strip() for f in [*frames, match[1]] if f.strip()))
            self._value(name, key, match[2], first, number - first + 1, line)
        elif line.startswith(b"@") or len(frames) >= _KEY_LINES:
            self.end()
            self.feed(line, number)
        else:
            frames.append(line)

    def _value(
        self, name: str, key: str | None, rest: bytes, number: int, lines: int, line: bytes
    ) -> None:
        if name != self.latest:
            self.printing += 1
            self.latest = name
        # A key of numbers has no padding that could make one key two.
        words = key is not None and not re.fullmatch(r"[-\d, ]+", key)
        stats = _STATS(rest)
        value: Bins | Stats | Number
        if not rest.strip():
            value = Bins()
        elif stats:
            count, average, total = (int(x) for x in stats.groups())
            # Cut towards zero, as C divides.
            if count and abs(total) // count != abs(average):
                self.reading.skip(number, f"the average is not total / count in {name}", lines)
                return
            value = Stats(count, total)
        elif _INTEGER(rest):
            value = Number(int(rest))
        else:
            self.reading.skip(
                number, f"neither histogram, count nor stats(): {files.quote(line)}", lines
            )
            return
        entry = Entry(name, key, value, number, lines, self.printing, words)
        self.entries.append(entry)
        if isinstance(value, Bins):
            self.block = entry

    def _bin(self, line: bytes) -> str:
        if self.block is None:
            return "a bin of no histogram"
        match = _BIN(line)
        if match is None:
            return "a bin cut or malformed"
        low, count = _edge(match[1]), int(match[3])
        # "[1]" is the bin of one value.
        high = _edge(match[2]) if match[2] else (None if low is None else low + 1)
        assert isinstance(self.block.value, Bins)
        counts = self.block.value.counts
        if low is None and (high is None or counts):
            return "a bin without a bound"
        if low is not None and high is not None and high <= low:
            return "a bin that ends before it begins"
        if counts:
            end = list(counts)[-1][1]
            if end is None or low is None or low < end:
                return "a bin that overlaps the one before"
        counts[low, high] = count
        self.block.lines += 1
        return ""

    def end(self) -> None:
        if self.key is not None:
            first, name, frames = self.key
            self.key = None
            self.reading.skip(first, f"{name}[: its key does not end", 1 + len(frames))


def parse(lines: Lines, reading: Reading) -> None:
    """Read every map of the text."""
    text = _Text(reading)
    for number, line in lines:
        text.feed(line, number)
    text.end()
    settle(text.entries, reading)


_MAP = re.compile(
    rb"^@\w*(?:\[.*\])?: ?(?:\s*\n[\[(](?:\.\.\.|-?\d+[KMGTPE]?)[,\])]|count \d+, average |-?\d+\s*$)",
    re.M,
).search

READER = Reader(
    name="bpftrace",
    what="text that bpftrace prints of its maps",
    sniff=lambda start: bool(_MAP(start)),
    read=by_lines("bpftrace", "C", parse),
    hints=(b"Attaching ", b"\n@", b"|@@", b"[1K, 2K)"),
)
