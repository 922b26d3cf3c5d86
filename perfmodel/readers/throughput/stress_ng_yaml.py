"""YAML that ``stress-ng --yaml`` writes.

It is of one fixed shape: sections, in them ``key: value``, and one list whose items begin with
``- stressor:``. A parser of that shape alone is what is used here: it is a screenful, needs no
YAML library in the core, knows the line of every value, and reports what it does not know.
PyYAML would read ``1.2e4`` as text and take a duplicate key in silence.

The number of instances is not in the file. It follows from the CPU time of all of them, the time
that passed and the CPU use of one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from perfmodel.readers import files
from perfmodel.readers.reading import by_lines, number, plain
from perfmodel.readers.registry import Reader
from perfmodel.readers.throughput.stress_ng import add_bogo, add_metric, instances

if TYPE_CHECKING:
    from perfmodel.readers.reading import Lines, Reading

__all__ = ["READER", "parse"]

_SECTION = re.compile(rb"([a-z][\w-]*):\s*$").match
_ITEM = re.compile(rb"\s+- ([\w-]+): *(\S.*?)?\s*$").match
_PAIR = re.compile(rb"\s+([\w-]+): *(\S.*?)?\s*$").match
_FRAME = re.compile(rb"(?:---|\.\.\.)\s*$|#").match
#: Keys of an item that are no metric of its own; the rest is what the stressor measured.
_COMMON = frozenset({
    "bogo-ops", "bogo-ops-per-second-usr-sys-time", "bogo-ops-per-second-real-time",
    "wall-clock-time", "user-time", "system-time", "cpu-usage-per-instance", "max-rss", "stressor",
    "instances",
})  # fmt: skip


@dataclass(slots=True)
class _Stressor:
    name: str
    line: int
    values: dict[str, tuple[int, float]] = field(default_factory=dict)

    def value(self, key: str) -> float | None:
        found = self.values.get(key)
        return None if found is None else found[1]

    @property
    def instances(self) -> int | None:
        told = self.value("instances")
        wall, use = self.value("wall-clock-time"), self.value("cpu-usage-per-instance")
        user, system = self.value("user-time"), self.value("system-time")
        if told is not None:
            return int(told) if told >= 1 and told == int(told) else None
        if wall is None or use is None or user is None or system is None:
            return None
        return instances(user, system, wall, use)


def parse(lines: Lines, reading: Reading) -> None:
    """Read every stressor of the metrics."""
    section = ""
    system: dict[str, str] = {}
    item: _Stressor | None = None
    for number_, line in lines:
        head, begun, pair = _SECTION(line), _ITEM(line), _PAIR(line)
        if head:
            section = head[1].decode()
            reading.passed()
        elif not line.strip() or _FRAME(line) or (section and section != "metrics"):
            if section == "system-info" and pair and pair[2]:
                system[pair[1].decode()] = plain(pair[2]).strip("'\"")
            reading.passed()
        elif begun and section == "metrics":
            _close(item, reading)
            item = None
            if begun[1] == b"stressor" and begun[2]:
                item = _Stressor(plain(begun[2]), number_)
            else:
                reading.skip(number_, f"an item that names no stressor: {files.quote(line)}")
        elif pair and item is not None:
            key, value = pair[1].decode(), number(pair[2] or b"")
            if value is None or key in item.values:
                what = "no number" if value is None else "a key that stands twice"
                reading.skip(number_, f"{item.name}: {what}: {files.quote(line)}")
            else:
                item.values[key] = (number_, value)
        else:
            reading.skip(number_, f"no line of stress-ng's YAML: {files.quote(line)}")
    _close(item, reading)
    if "release" in system:
        reading.facts = {"machine": {"kernel": {"release": system["release"]}}}
        cpus = system.get("cpus-online", "")
        if cpus.isdigit() and len(cpus) < 7:
            reading.facts["machine"]["cpu"] = {"count": int(cpus)}


def _close(item: _Stressor | None, reading: Reading) -> None:
    if item is None:
        return
    common = {k: v for k, v in item.values.items() if k in _COMMON}
    rate, operations = item.value("bogo-ops-per-second-real-time"), item.value("bogo-ops")
    reason: str | None = "without bogo-ops and bogo-ops-per-second-real-time"
    if rate is not None and operations is not None:
        reason = add_bogo(item.line, item.name, int(operations), rate, item.instances, reading)
    lines = 1 + len(common)
    if reason is None:
        reading.used(lines)
    else:
        reading.skip(item.line, f"{item.name}: {reason}", lines)
    for key, (line, value) in item.values.items():
        if key in _COMMON:
            continue
        reason = add_metric(line, item.name, key, value, item.instances, reading)
        if reason is None:
            reading.used()
        else:
            reading.skip(line, f"{item.name}: {reason}")


_SNIFF = re.compile(rb"^metrics:\s*$|^\s+- stressor: |^\s+stress-ng-version: ", re.M).search

READER = Reader(
    name="stress_ng_yaml",
    what="YAML of `stress-ng --yaml`",
    sniff=lambda start: bool(_SNIFF(start)),
    read=by_lines("stress_ng_yaml", "E", parse),
    hints=(b"- stressor:", b"bogo-ops:", b"metrics:", b"stress-ng-version"),
)
