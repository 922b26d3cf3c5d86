"""One pass over a file that is no trace: the groups found, and an account of every line."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.errors import InputError
from perfmodel.observations import Group, Moments, ObservationTable, ReadReport, Skipped, Source
from perfmodel.readers import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from perfmodel.observations import Conditions
    from perfmodel.readers.registry import Options

    #: Lines of a file with their numbers, from 1.
    Lines = Iterable[tuple[int, bytes]]

__all__ = [
    "Lines",
    "Reading",
    "by_lines",
    "moments",
    "number",
    "plain",
    "read_lines",
    "scalars",
    "unquoted",
]

_SKIPPED_KEPT = 1000
_NAME_WIDTH = 200
_NUMBER = re.compile(r"[+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,4})?", re.ASCII)
_QUOTED = re.compile(rb"(?:> ?)+")
# Printed averages are rounded, some to one decimal: a mean outside its extremes by more than this
# is damage.
_SLACK = 0.05
_SLACK_NS = 10.0


class Reading:
    """What one pass over a file finds.

    Every line (of JSON: every record) must be told to exactly one of `used`, `passed` and `skip`,
    so that ``lines_used + lines_passed + lines_skipped`` is the length of the file.

    Parameters
    ----------
    path : Path
    name : str
        Name of the format.
    evidence : str
        Evidence class of groups that do not say their own.
    sha256 : str
        Hash of the file.
    """

    def __init__(self, path: Path, name: str, evidence: str, sha256: str = "") -> None:
        self.path = path
        self.name = name
        self.evidence = evidence
        self.groups: list[Group] = []
        self.lines_used = 0
        self.lines_passed = 0
        self.lines_skipped = 0
        self.lost = 0
        #: Facts of the measuring run, for `ObservationTable.machines`.
        self.facts: dict[str, Any] = {}
        self.skipped: list[Skipped] = []
        self._more = 0
        self._warnings: dict[str, None] = {}
        self._sha256 = sha256

    def used(self, lines: int = 1) -> None:
        """Count lines that a group was made of."""
        self.lines_used += lines

    def passed(self, lines: int = 1) -> None:
        """Count lines that hold no observation: headings, rules, notes of the tool."""
        self.lines_passed += lines

    def skip(self, line: int, reason: str, lines: int = 1) -> None:
        """Report what was not used. `lines` is 0 where only a part of a line was not."""
        self.lines_skipped += lines
        if len(self.skipped) < _SKIPPED_KEPT:
            self.skipped.append(Skipped(line, reason))
            return
        self._more += 1
        if self._more == 1:
            self.skipped.append(Skipped(line, ""))
        text = f"{self._more} more line{'s' * (self._more > 1)} from here on"
        self.skipped[-1] = Skipped(self.skipped[-1].line, text)

    def warn(self, text: str) -> None:
        """Add a warning, once."""
        self._warnings.setdefault(text)

    def add(
        self, line: int, operation: str, phase: str, conditions: Conditions, found: Moments,
        evidence: str | None = None,
    ) -> None:  # fmt: skip
        """Add a group of which the moments are known."""
        source = self._source(evidence)
        self.groups.append(Group.of_moments(operation, phase, conditions, found, source, line))

    def add_bins(
        self, line: int, operation: str, phase: str, conditions: Conditions,
        bins: Sequence[tuple[float, float, int]],
    ) -> None:  # fmt: skip
        """Add a histogram of bins (low, high, count) in ns; empty bins are left out."""
        bins = [b for b in bins if b[2]]
        low, high = (np.array([b[i] for b in bins], dtype=np.float64) for i in (0, 1))
        count = np.array([b[2] for b in bins], dtype=np.int64)
        self.groups.append(
            Group(operation, phase, conditions, low, high, count, self._source(None), line)
        )

    def table(self) -> ObservationTable:
        """Return the groups and the report.

        Raises
        ------
        InputError
            Nothing at all could be used, though there was something.
        """
        if not self.groups and self.skipped:
            first = self.skipped[0]
            raise InputError(
                f"nothing in it could be used as {self.name}: {first.reason}",
                file=self.path,
                line=first.line,
            )
        if not self.groups:
            self.warn("it holds no observation")
        totals: dict[str, int] = {}
        for group in self.groups:
            totals[group.phase] = totals.get(group.phase, 0) + group.total
        report = ReadReport(
            file=str(self.path),
            format=self.name,
            evidence=min((g.source.evidence for g in self.groups), default=self.evidence),
            events=sum(totals.values()),
            holds_exclusive=totals.get("exclusive", 0),
            holds_shared=totals.get("shared", 0),
            waits=totals.get("wait", 0),
            lost=self.lost,
            skipped=tuple(self.skipped),
            warnings=tuple(self._warnings),
        )
        machines = {str(self.path): self.facts} if self.facts else {}
        return ObservationTable(tuple(self.groups), (report,), machines)

    def _source(self, evidence: str | None) -> Source:
        return Source(str(self.path), self.name, evidence or self.evidence, self._sha256)


def read_lines(
    path: Path, name: str, evidence: str, parse: Callable[[Lines, Reading], None]
) -> ObservationTable:  # fmt: skip
    """Read a text file with a parser of its lines.

    Parameters
    ----------
    path : Path
        Plain or gzip text.
    name, evidence : str
        Of the format.
    parse : callable
        Takes the numbered lines and the `Reading` to fill.

    Raises
    ------
    InputError
        Nothing could be used, or the file cannot be read.
    """
    reading = Reading(path, name, evidence, files.sha256(path))
    try:
        with files.opened(path) as stream:
            parse(enumerate(stream, 1), reading)
    except InputError as error:
        raise error.at(file=path) from None
    return reading.table()


def by_lines(
    name: str, evidence: str, parse: Callable[[Lines, Reading], None]
) -> Callable[[Path, Options], ObservationTable]:  # fmt: skip
    """Return what a `Reader` reads with, of a format without options: see `read_lines`."""

    def read(path: Path, options: Options) -> ObservationTable:  # noqa: ARG001
        return read_lines(path, name, evidence, parse)

    return read


def moments(
    count: int, mean: float, minimum: float = math.nan, maximum: float = math.nan,
    sd: float = math.nan, total: float = math.nan,
) -> Moments | str:  # fmt: skip
    """Return the moments, in ns, or the reason why they cannot be true.

    `total` is the sum of the values, where the format tells it.
    """
    if count < 1:
        return "it counts no event"
    if not (math.isfinite(mean) and mean >= 0):
        return f"{mean:g} ns is no time"
    if math.isinf(minimum) or math.isinf(maximum) or math.isinf(sd):
        return "one of its times is beyond measure"
    slack = _SLACK * mean + _SLACK_NS
    if minimum < 0 or minimum > mean + slack:
        return f"a least time of {minimum:g} ns does not go with a mean of {mean:g} ns"
    if maximum < mean - slack:
        return f"a greatest time of {maximum:g} ns does not go with a mean of {mean:g} ns"
    if maximum > total + _SLACK * total + _SLACK_NS:
        return f"a greatest time of {maximum:g} ns is longer than all together, {total:g} ns"
    if sd < 0:
        return f"a standard deviation of {sd:g} ns is below 0"
    return Moments(count, mean, minimum, maximum, sd)


def number(text: str | bytes) -> float | None:
    """Return a finite number written in digits, or None."""
    if isinstance(text, bytes):
        text = text.decode("ascii", "replace")
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def plain(text: str | bytes) -> str:
    """Return a name from a file as printable text of bounded length."""
    if isinstance(text, bytes):
        text = text[: 4 * _NAME_WIDTH].decode("utf-8", "replace")
    text = text[:_NAME_WIDTH].strip()
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def unquoted(line: bytes) -> bytes:
    """Return a line of a mail without the ``>`` that quote it."""
    match = _QUOTED.match(line)
    return line[match.end() :] if match else line


def scalars(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the conditions that are known."""
    return {name: value for name, value in values.items() if value is not None}
