"""Report mails of LKP, the 0-day robot: metrics of two or more commits side by side.

A table begins with a line of parameter names, below it their values, then the commits, and a line
of ``%stddev`` and ``%change`` that tells how many commits stand side by side. Replies quote it with
``>``; mailers write it as quoted-printable or spoil the plus-minus sign. The prose around the
tables is passed over; a line that looks like a row of metrics and is none is reported.
"""

from __future__ import annotations

import binascii
import math
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from perfmodel.errors import InputError
from perfmodel.readers import files
from perfmodel.readers.reading import by_lines, plain, unquoted
from perfmodel.readers.registry import Reader
from perfmodel.readers.throughput.lkp_metrics import Column, Value, wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perfmodel.readers.reading import Lines, Reading

__all__ = ["READER", "parse"]

_NUMBER = r"\d{1,40}(?:\.\d{0,12})?(?:e[+-]?\d{1,3})?"
# The sign of the spread may be spoilt: whatever stands alone between number and percentage.
_VALUE = rf"({_NUMBER})(?:\s+[^\s\d+-]{{1,3}} *(\d{{1,12}}(?:\.\d{{0,6}})?)%)?"
_CHANGE = rf"[+-]{_NUMBER}%?"
_METRIC = re.compile(r"[\w-]+\.\S+").fullmatch
_LOOKS_LIKE_ROW = re.compile(
    rf"\s*\d[\d.e+]*\s.*[+-]{_NUMBER}%?\s.*\s[a-z][\w-]+\.\S+\s*$", re.ASCII
).match
#: Inside a table also what lost its first number, or its end.
_BROKEN_ROW = re.compile(
    r".*\s[+-]\d\S*\s.*\s[a-z][\w-]+\.\S+\s*$"
    rf"|\s*{_NUMBER}(?:\s+[^\s\d+-]{{1,3}}\s*\d*%?)?(?:\s+[+-].*)?\s*$",
    re.ASCII,
).match
#: No row is as long; the time to see that a line is none grows with the square of its length.
_LONGEST = 2048
_HEADING = re.compile(r"\s*%stddev(?:\s+%change\s+%stddev)+\s*$").match
_OTHER_TABLE = re.compile(r"\s*fail:runs(?:\s+%reproduction\s+fail:runs)+\s*$").match
_PARAMETERS = re.compile(r"[\w.-]+(?:/[\w.-]+){3,}:\s*$").match
_COMMIT = re.compile(r"  ([0-9a-f]{10,40})(?: \(.*)?\s*$").match
_BASE = re.compile(r"  (v?\d\S*)(?: \(.*)?\s*$").match
_MACHINE = re.compile(r"test machine: (\d{1,6}) threads\b", re.I).search
_ENCODING = re.compile(rb"content-transfer-encoding: *(\S+)", re.I).match
#: Parameters that are kept, by the names that the other readers give. LKP calls the suite the
#: testcase, and the test of the suite the test.
_KEPT = {
    "test": "testcase", "testcase": "suite", "mode": "mode", "nr_task": "nr_task",
    "nr_threads": "nr_task", "tbox_group": "tbox_group",
}  # fmt: skip
_MODES = {"thread": "threads", "process": "processes"}


def _decoded(lines: Lines) -> Iterator[tuple[int, int, str]]:
    """Give number, count and text of each line, with the mail's encoding undone."""
    quoted_printable = False
    pending, first, count = b"", 0, 0
    for number, raw in lines:
        encoding = _ENCODING(raw)
        if encoding:
            kind = encoding[1].lower()
            quoted_printable = kind == b"quoted-printable"
        line = raw.rstrip(b"\r\n")
        first, count = first or number, count + 1
        if quoted_printable and line.endswith(b"=") and count < 50:
            pending += line[:-1]
            continue
        line = pending + line
        if quoted_printable:
            line = binascii.a2b_qp(line)
        # The file's own line breaks are gone: a decoded one must not make two lines of one.
        text = unquoted(line).decode("utf-8", "replace").replace("\n", " ")
        yield first, count, text
        pending, first, count = b"", 0, 0
    if count:
        yield first, count, unquoted(pending).decode("utf-8", "replace")


@dataclass
class _Mail:
    reading: Reading
    parameters: list[str] = field(default_factory=list)
    conditions: dict[str, Any] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)
    in_commits: bool = False
    columns: list[Column] = field(default_factory=list)
    cpus: int | None = None
    row: re.Pattern[str] | None = None
    others: Counter[str] = field(default_factory=Counter)

    def feed(self, line: int, lines: int, text: str) -> None:
        """Take one line."""
        if len(text) > _LONGEST:
            self.reading.passed(lines)
            return
        match = self.row.fullmatch(text) if self.row is not None else None
        if match and _METRIC(match[match.re.groups]):
            self._metric(match, line, lines)
            return
        if _LOOKS_LIKE_ROW(text) or (self.row and _BROKEN_ROW(text)):
            what = "cut or malformed" if self.row else "below no line of %stddev and %change"
            self.reading.skip(line, f"a row of metrics {what}: {files.quote(text.encode())}", lines)
            return
        self._other(text)
        self.reading.passed(lines)

    def _metric(self, match: re.Match[str], line: int, lines: int) -> None:
        metric = plain(match[match.re.groups])
        if not wanted(metric):
            self.others[metric.partition(".")[0]] += 1
            self.reading.passed(lines)
            return
        for index, column in enumerate(self.columns):
            value, spread = match[1 + 2 * index], match[2 + 2 * index]
            mean = float(value)
            if not math.isfinite(mean):
                self.reading.skip(line, f"{metric}: {value} is no number", 0)
                continue
            if metric in column.values:
                self.reading.skip(line, f"{metric}: a second row of the same metric", 0)
                continue
            share = math.nan if spread is None else float(spread) / 100
            column.values[metric] = Value(line, [mean], share)
        self.reading.used(lines)

    def _other(self, text: str) -> None:
        machine = _MACHINE(text)
        if machine:
            self.cpus = int(machine[1]) or None
        if _PARAMETERS(text):
            self.settle()
            self.parameters = text.strip().rstrip(":").split("/")
            self.conditions, self.commits, self.in_commits = {}, [], False
        elif self.parameters and not self.conditions and text.strip():
            self._values(text)
        elif text.rstrip() == "commit:":
            self.commits, self.in_commits = [], True
        elif self.in_commits and (found := _COMMIT(text) or _BASE(text)):
            self.commits.append(plain(found[1])[:12])
        elif _HEADING(text):
            self.in_commits = False
            self._begin(text.count("%stddev"))
        elif _OTHER_TABLE(text):
            self.settle()
        elif self.in_commits and text.strip():
            self.in_commits = False

    def _values(self, text: str) -> None:
        values = text.strip().split("/")
        if len(values) != len(self.parameters):
            self.reading.warn(
                "parameters and their values differ in number: "
                f"{files.quote(text.encode())} is not used"
            )
            self.conditions = {"parameters": "not told"}
            return
        found = dict(zip(self.parameters, map(plain, values), strict=True))
        self.conditions = {ours: found[name] for name, ours in _KEPT.items() if name in found}
        if "mode" in self.conditions:
            self.conditions["mode"] = _MODES.get(found["mode"], found["mode"])

    def _begin(self, width: int) -> None:
        self.settle()
        commits = self.commits if len(self.commits) == width else []
        if not commits:
            self.reading.warn("the commits of a table are not told: they are numbered from 0")
        self.columns = [
            Column({**self.conditions, "commit": c}, self.cpus)
            for c in (commits or map(str, range(width)))
        ]
        self.row = re.compile(
            rf"\s*{_VALUE}" + rf"\s+{_CHANGE}\s+{_VALUE}" * (width - 1) + r"\s+(\S+)\s*",
            re.ASCII,
        )

    def settle(self) -> None:
        """End the table that is open, if one is."""
        for column in self.columns:
            column.settle(self.reading)
        self.columns, self.row = [], None


def parse(lines: Lines, reading: Reading) -> None:
    """Read every table of the mail."""
    mail = _Mail(reading)
    packed = 0
    for first, count, text in _decoded(lines):
        packed = packed or first * (text.strip().lower() == "content-transfer-encoding: base64")
        mail.feed(first, count, text)
    mail.settle()
    if packed and not reading.groups:  # else it is an attachment
        raise InputError(
            "no table, and a part in base64", line=packed, expected="the decoded text of the mail"
        )
    if mail.others:
        kinds = ", ".join(f"{n} {kind}" for kind, n in mail.others.most_common(8))
        reading.warn(
            f"{mail.others.total()} rows are of metrics that the kit has no use for: {kinds}"
        )


_SUBJECT = re.compile(rb"kernel test robot noticed|FYI, we noticed", re.I).search
_TABLE = re.compile(rb"%stddev\s+%change\s+%stddev").search

READER = Reader(
    name="lkp_mail",
    what="a report mail of LKP, the 0-day robot",
    sniff=lambda start: (
        bool(_TABLE(start))
        or (bool(_SUBJECT(start)) and any(x in start for x in (b"regression", b"improvement")))
    ),
    read=by_lines("lkp_mail", "E", parse),
    hints=(b"%stddev", b"%change", b"tbox_group"),
)
