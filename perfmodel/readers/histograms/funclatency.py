"""Histograms of function latencies that funclatency of bcc or libbpf-tools prints.

Both ends of a printed bin belong to it, in whole units, so that ``2 -> 3`` of µs is 2000 to
3999 ns. The latency holds the tool's own probes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from perfmodel.readers import files, names
from perfmodel.readers.reading import by_lines, plain
from perfmodel.readers.registry import Reader

if TYPE_CHECKING:
    from perfmodel.readers.reading import Lines, Reading

__all__ = ["READER", "parse"]

_HEADING = re.compile(rb"\s+(nsecs|usecs|msecs|secs)\s+: count\s+distribution\s*$").match
_BIN = re.compile(rb"\s*(\d{1,18}) -> (\d{1,18})\s+: (\d{1,15})\s+\|[* +]*\|\s*$").match
_LOOKS_LIKE_A_BIN = re.compile(rb"\s*\d+ -> ").match
_FUNCTION = re.compile(rb"(?:function|func) = (?:b')?([^'\s]+?)'?(?: \[(\d+)\])?\s*$", re.I).match
_TRACING = re.compile(rb'Tracing (\d+) functions? for "(?:b\')?([^"\']+)\'?"').match
_AVERAGE = re.compile(
    rb"avg = (\d{1,18}) (\w+), total: (\d{1,18}) \w+, count: (\d{1,18})\s*$"
).match
_NOTE = re.compile(rb"Tracing |Detaching|Hit Ctrl-C|\^C|\d\d:\d\d:\d\d\s*$").match


class _Text:
    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.function = ""
        self.unit: float | None = None
        self.line = 0
        self.lines = 0
        self.bins: list[tuple[int, int, int]] = []
        self.latest = 0

    def feed(self, line: bytes, number: int) -> None:
        heading = _HEADING(line)
        if heading:
            self.close()
            self.unit = names.unit_of(heading[1].decode())
            self.line, self.lines = number, 1
        elif _LOOKS_LIKE_A_BIN(line):
            self._bin(line, number)
        elif not line.strip():
            self.reading.passed()
        else:
            self._other(line, number)

    def _bin(self, line: bytes, number: int) -> None:
        match = _BIN(line)
        if match is None:
            self.reading.skip(number, f"a bin cut or malformed: {files.quote(line)}")
            return
        low, high, count = (int(x) for x in match.groups())
        if self.unit is None:
            self.reading.skip(number, f"a bin of no histogram: {files.quote(line)}")
        elif high < low or (self.bins and low <= self.bins[-1][1]):
            self.reading.skip(number, f"a bin that overlaps another: {files.quote(line)}")
        else:
            self.bins.append((low, high, count))
            self.lines += 1

    def _other(self, line: bytes, number: int) -> None:
        function, tracing, average = _FUNCTION(line), _TRACING(line), _AVERAGE(line)
        if function:
            self.close()
            self.function = plain(function[1])
        elif tracing and tracing[1] == b"1":
            self.function = plain(tracing[2])
        elif average:
            self.close()
            if int(average[4]) != self.latest:
                self.reading.warn(
                    f"line {number} counts {int(average[4])} calls, the bins before it {self.latest}"
                )
        elif not _NOTE(line):
            self.reading.skip(number, f"no line of a histogram: {files.quote(line)}")
            return
        self.reading.passed()

    def close(self) -> None:
        """End the histogram that is open, if one is."""
        if self.unit is None:
            return
        bins = [
            (low * self.unit, (high + 1) * self.unit - 1, count) for low, high, count in self.bins
        ]
        self.latest = sum(b[2] for b in bins)
        conditions = {"function": self.function} if self.function else {}
        if self.latest:
            operation = names.of_symbol(self.function)
            self.reading.add_bins(self.line, operation, "latency", conditions, bins)
            self.reading.used(self.lines)
        else:
            self.reading.skip(self.line, "a histogram that holds no value", self.lines)
        self.unit, self.bins = None, []


def parse(lines: Lines, reading: Reading) -> None:
    """Read every histogram of the text."""
    text = _Text(reading)
    for number, line in lines:
        text.feed(line, number)
    text.close()


_SNIFF = re.compile(rb"^\s+(?:nsecs|usecs|msecs|secs)\s+: count\s+distribution\s*$", re.M).search

READER = Reader(
    name="funclatency",
    what="histograms of bcc's funclatency",
    sniff=lambda start: bool(_SNIFF(start)),
    read=by_lines("funclatency", "C", parse),
    hints=(b": count ", b" distribution\n"),
)
