"""Result JSON of lkp-tests: metrics by name, one number or a list with one number a run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from perfmodel.errors import InputError
from perfmodel.readers import files
from perfmodel.readers.jsonfile import begins_object, document
from perfmodel.readers.reading import Reading, plain
from perfmodel.readers.registry import Options, Reader
from perfmodel.readers.throughput.lkp_metrics import Column, Value, wanted

if TYPE_CHECKING:
    from pathlib import Path

    from perfmodel.observations import ObservationTable

__all__ = ["READER", "parse"]


def _runs(value: Any) -> list[float] | None:
    values = value if isinstance(value, list) else [value]
    if not values or any(isinstance(v, bool) or not isinstance(v, int | float) for v in values):
        return None
    return [float(v) for v in values] if all(abs(v) < 1e30 for v in values) else None


def parse(found: dict[str, Any], reading: Reading) -> None:
    """Read every metric; `line` of a group is its place in the document."""
    column = Column({})
    others = 0
    for index, (metric, value) in enumerate(found.items()):
        name, runs = plain(metric), _runs(value)
        if not wanted(name):
            others += 1
            reading.passed()
        elif runs is None:
            reading.skip(index, f"{name}: no number, and no list of numbers")
        else:
            column.values[name] = Value(index, runs)
            reading.used()
    column.settle(reading)
    if others:
        reading.warn(f"{others} metrics are of kinds that the kit has no use for")


def _read(path: Path, options: Options) -> ObservationTable:
    del options
    found = document(path)
    if not isinstance(found, dict):
        raise InputError("no JSON object", file=path, expected="metrics by name")
    reading = Reading(path, READER.name, "E", files.sha256(path))
    parse(found, reading)
    return reading.table()


_SUITES = rb"will-it-scale|stress-ng|perf-sched|perf-profile|perf-stat|vm-scalability|proc-vmstat"
_SNIFF = re.compile(rb'"(?:' + _SUITES + rb')\.[\w.%\[\]-]+"\s*:\s*(?:\[\s*)?-?\d').search

READER = Reader(
    name="lkp_json",
    what="result JSON of lkp-tests",
    sniff=lambda start: begins_object(start) and bool(_SNIFF(start)),
    read=_read,
    hints=(b'"will-it-scale.', b'"perf-sched.', b'"stress-ng.'),
)
