"""JSON of google-benchmark: mean real time of an iteration, by benchmark, repetition and threads.

Rows of the aggregates (mean, median, stddev, cv) repeat what the rows of the repetitions say; they
are used only where a run reported nothing else. What a benchmark of that name does the file cannot
tell: the operation stays unknown.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from perfmodel.readers import files, names
from perfmodel.readers.jsonfile import begins_object, document, integer, listed, real
from perfmodel.readers.reading import Reading, moments, plain
from perfmodel.readers.registry import Options, Reader

if TYPE_CHECKING:
    from pathlib import Path

    from perfmodel.observations import ObservationTable

__all__ = ["READER", "parse"]

_UNITS = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}


def parse(rows: list[Any], reading: Reading) -> None:
    """Read every row; `line` of a group is its place in the list."""
    repeated = {_run(r) for r in rows if isinstance(r, dict) and _kind(r) == "iteration"}
    aggregates: dict[str, dict[str, tuple[int, dict[str, Any]]]] = {}
    for index, row in enumerate(rows):
        at = f"benchmarks[{index}]"
        if not isinstance(row, dict) or not _run(row):
            reading.skip(index, f"{at}: no benchmark with a name")
        elif row.get("error_occurred"):
            reading.skip(index, f"{at}: it failed: {plain(str(row.get('error_message', '')))}")
        elif _kind(row) == "iteration":
            _use(index, row, math.nan, integer(row, "iterations"), reading)
        elif _run(row) in repeated:
            reading.passed()
        elif _kind(row) == "aggregate":
            name = str(row.get("aggregate_name"))
            of_run = aggregates.setdefault(_run(row), {})
            if name in of_run:
                reading.skip(index, f"{at}: a second '{plain(name)}' of the same benchmark")
            else:
                of_run[name] = (index, row)
        else:
            reading.skip(index, f"{at}: a row of unknown run_type")
    for of_run in aggregates.values():
        mean = of_run.pop("mean", None)
        if mean is None:
            for other, _ in of_run.values():
                reading.skip(other, f"benchmarks[{other}]: an aggregate without its mean")
            continue
        index, row = mean
        sd = real(of_run["stddev"][1], "real_time") if "stddev" in of_run else None
        unit = _UNITS.get(str(row.get("time_unit", "ns")), math.nan)
        sd_ns = math.nan if sd is None else sd * unit
        _use(index, row, sd_ns, integer(row, "iterations"), reading)  # there: of repetitions
        reading.passed(len(of_run))


def _run(row: dict[str, Any]) -> str:
    name = row.get("run_name", row.get("name"))
    return name if isinstance(name, str) else ""


def _kind(row: dict[str, Any]) -> str:
    return str(row.get("run_type", "iteration"))  # absent before 1.5


def _use(index: int, row: dict[str, Any], sd: float, count: int | None, reading: Reading) -> None:
    at = f"benchmarks[{index}]"
    unit, time = _UNITS.get(str(row.get("time_unit", "ns"))), real(row, "real_time")
    if unit is None:
        reading.skip(index, f"{at}: an unknown time_unit {plain(str(row.get('time_unit')))!r}")
        return
    if time is None or count is None:
        reading.skip(index, f"{at}: without real_time or iterations")
        return
    made = moments(count, time * unit, sd=sd)
    if isinstance(made, str):
        reading.skip(index, f"{at}: {made}")
        return
    name = _run(row)
    conditions: dict[str, Any] = {"testcase": plain(name)}
    for condition, key in (("tasks", "threads"), ("repetition", "repetition_index")):
        value = integer(row, key)
        if value is not None:
            conditions[condition] = value
    reading.add(index, names.UNKNOWN, "latency", conditions, made)
    reading.used()


def _read(path: Path, options: Options) -> ObservationTable:
    del options
    found = document(path)
    reading = Reading(path, READER.name, "D", files.sha256(path))
    context = found.get("context") if isinstance(found, dict) else None
    if isinstance(context, dict) and context.get("library_build_type") == "debug":
        reading.warn("its library was built for debugging: times are too long")
    if isinstance(context, dict) and context.get("cpu_scaling_enabled") is True:
        reading.warn("the CPU's frequency was scaled during the run")
    parse(listed(path, found, "benchmarks"), reading)
    return reading.table()


_CONTEXT = re.compile(rb'"context"\s*:\s*\{').search

READER = Reader(
    name="google_benchmark",
    what="JSON of google-benchmark",
    sniff=lambda start: (
        begins_object(start)
        and bool(_CONTEXT(start))
        and any(x in start for x in (b'"mhz_per_cpu"', b'"library_build_type"', b'"run_type"'))
    ),
    read=_read,
    hints=(b'"context"', b'"mhz_per_cpu"', b'"real_time"', b'"time_unit"'),
)
