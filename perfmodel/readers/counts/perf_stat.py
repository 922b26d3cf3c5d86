"""What ``perf stat -x`` writes, with any of ``-r``, ``-I`` and ``-A`` and any usual separator.

Fields go by what they look like: value, unit and event stand side by side; an interval's time, a CPU
or a node may stand before them, the spread between runs behind them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from perfmodel.readers import files
from perfmodel.readers.counts.perf_events import add_counter
from perfmodel.readers.reading import by_lines, number
from perfmodel.readers.registry import Reader

if TYPE_CHECKING:
    from perfmodel.readers.reading import Lines, Reading

__all__ = ["READER", "parse"]

_SEPARATORS = ",;|\t"
_ROW = {
    s: re.compile(
        rf"\s*(?:(?P<time>\d+\.\d{{9}}){re.escape(s)})?"
        rf"(?:(?P<where>(?:CPU|[SDCN])[\w-]*|[\w.-]+-\d+){re.escape(s)}(?:\d+{re.escape(s)})?)?"
        rf"(?P<value>\d{{1,18}}(?:\.\d+)?|<not counted>|<not supported>){re.escape(s)}"
        rf"(?P<unit>[A-Za-z/%]*){re.escape(s)}(?P<event>[A-Za-z][\w:./=,@*+-]*?){re.escape(s)}"
        rf"(?:(?P<spread>\d+\.\d+)%{re.escape(s)})?"
        rf"(?P<ran>\d+){re.escape(s)}(?P<share>\d+\.\d+)(?:{re.escape(s)}.*)?",
        re.ASCII,
    )
    for s in _SEPARATORS
}
#: A metric that perf derives from the event above it stands in a line of its own.
_DERIVED = re.compile(rf"\s*(?:\d+\.\d{{9}}[{_SEPARATORS}])?[{_SEPARATORS}]{{3,}}").match


def _match(text: str) -> re.Match[str] | None:
    return next((m for row in _ROW.values() if (m := row.fullmatch(text))), None)


def parse(lines: Lines, reading: Reading) -> None:
    """Read every counter."""
    for number_, line in lines:
        text = line.decode("utf-8", "replace").rstrip()
        match = _match(text)
        if match is None:
            if not text.strip() or text.startswith("#") or _DERIVED(text):
                reading.passed()
            else:
                reading.skip(number_, f"no counter of perf stat: {files.quote(line)}")
            continue
        conditions: dict[str, Any] = {}
        if match["time"]:
            conditions["interval_end_s"] = number(match["time"])
        if match["where"]:
            conditions["where"] = match["where"]
        if match["spread"]:
            conditions["spread_between_runs"] = float(match["spread"]) / 100
        reason = add_counter(
            number_, match["value"], match["unit"], match["event"], number(match["share"]),
            conditions, reading,
        )  # fmt: skip
        if reason is None:
            reading.used()
        else:
            reading.skip(number_, reason)


def _sniff(start: bytes) -> bool:
    lines = [x for x in start.decode("utf-8", "replace").splitlines() if x.strip()]
    return any(_match(x.rstrip()) for x in lines)


READER = Reader(
    name="perf_stat",
    what="`perf stat -x`",
    sniff=_sniff,
    read=by_lines("perf_stat", "F", parse),
    hints=(b"<not supported>", b"<not counted>", b"100.00,"),
)
