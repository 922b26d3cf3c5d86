"""Log of ``stress-ng --metrics``: the table of bogo operations and the miscellaneous metrics.

Old releases print the table with ``info:``, newer ones with ``metrc:`` and two columns more. How
many instances of a stressor ran is in the line of the dispatched hogs, or behind a metric.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from perfmodel.readers import files
from perfmodel.readers.reading import by_lines, number, plain
from perfmodel.readers.registry import Reader
from perfmodel.readers.throughput.stress_ng import add_bogo, add_metric, instances

if TYPE_CHECKING:
    from perfmodel.readers.reading import Lines, Reading

__all__ = ["READER", "parse"]

_HEAD = re.compile(rb"(?:\S+ +)?stress-ng: +(\w+): +(?:[\d:.]+ +)?\[\d+\] (.*)$", re.S).match
_HOGS = re.compile(r"dispatching hogs: (.+)").match
_HOG = re.compile(r"\s*(\d{1,9}) ([\w-]+)\s*", re.ASCII).fullmatch
_METRIC = re.compile(
    r"([\w-]+) +(\S+) +([A-Za-z%].*?) \(\w+ mean of (\d{1,9}) instances?\)\s*$"
).match
_NAME = re.compile(r"[a-z][\w-]*").fullmatch
_COLUMNS = (6, 8)


def parse(lines: Lines, reading: Reading) -> None:
    """Read the rows of the table and the metrics."""
    hogs_of: dict[str, int] = {}
    for number_, line in lines:
        head = _HEAD(line)
        if head is None:
            if line.strip():
                reading.skip(number_, f"no line of stress-ng: {files.quote(line)}")
            else:
                reading.passed()
            continue
        # Decoded leniently: a damaged name is shown as such, a damaged number is none.
        text = head[2].decode("utf-8", "replace").strip()
        hogs, metric, words = _HOGS(text), _METRIC(text), text.split()
        if hogs:
            for one in hogs[1].split(","):
                hog = _HOG(one)
                if hog:
                    hogs_of[hog[2]] = int(hog[1])
            reading.passed()
        elif head[1] not in (b"metrc", b"info"):
            reading.passed()  # debug, warnings, failures
            if head[1] in (b"fail", b"error"):
                reading.warn(f"line {number_}: {plain(text)}")
        elif metric:
            _metric(metric, number_, reading)
        elif _is_row(words):
            _row(words, number_, hogs_of, reading)
        elif head[1] == b"metrc" and not _is_heading(words):
            reading.skip(number_, f"a metric cut or malformed: {files.quote(line)}")
        else:
            reading.passed()


def _is_heading(words: list[str]) -> bool:
    return not words or words[0] in ("stressor", "(secs)", "miscellaneous") or all(
        w.startswith("(") or w.endswith(")") for w in words
    )  # fmt: skip


def _is_row(words: list[str]) -> bool:
    return (
        len(words) - 1 in _COLUMNS
        and bool(_NAME(words[0]))
        and words[0] != "stressor"
        and all(w[:1].isdigit() for w in words[1:])
    )


def _row(words: list[str], line: int, hogs_of: dict[str, int], reading: Reading) -> None:
    values = [number(w) for w in words[1:]]
    operations, rate = values[0], values[4]
    reason: str | None
    if operations is None or rate is None or any(v is None for v in values):
        reason = "not all of its cells are numbers"
    else:
        ran = hogs_of.get(words[0])
        if ran is None and len(values) > 6:
            wall, user, system, use = (values[i] or 0.0 for i in (1, 2, 3, 6))
            ran = instances(user, system, wall, use)
        reason = add_bogo(line, words[0], int(operations), rate, ran, reading)
    if reason is None:
        reading.used()
    else:
        reading.skip(line, f"{plain(words[0])}: {reason}")


def _metric(match: re.Match[str], line: int, reading: Reading) -> None:
    stressor, value, metric, ran = match[1], number(match[2]), plain(match[3]), int(match[4])
    reason: str | None
    if value is None or ran < 1:
        reason = f"no number of '{metric}'"
    else:
        reason = add_metric(line, plain(stressor), metric, value, ran, reading)
    if reason is None:
        reading.used()
    else:
        reading.skip(line, f"{plain(stressor)}: {reason}")


_SNIFF = re.compile(rb"^(?:\S+ +)?stress-ng: +\w+: ", re.M).search

READER = Reader(
    name="stress_ng",
    what="log of `stress-ng --metrics`",
    sniff=lambda start: bool(_SNIFF(start)),
    read=by_lines("stress_ng", "E", parse),
    hints=(b"stress-ng:", b"bogo ops", b"metrc:", b"dispatching hogs"),
)
