"""JSON of pytest-benchmark: moments of the rounds, each the mean of ``iterations`` calls.

What a benchmark of that name does the file cannot tell: the operation stays unknown.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from perfmodel.readers import files, names
from perfmodel.readers.jsonfile import begins_object, document, integer, listed, real
from perfmodel.readers.reading import Reading, moments, plain
from perfmodel.readers.registry import Options, Reader

if TYPE_CHECKING:
    from pathlib import Path

    from perfmodel.observations import ObservationTable

__all__ = ["READER", "parse"]


def parse(benchmarks: list[Any], reading: Reading) -> None:
    """Read every benchmark; `line` of a group is its place in the list."""
    for index, one in enumerate(benchmarks):
        reason = _add(index, one, reading)
        if reason is None:
            reading.used()
        else:
            reading.skip(index, f"benchmarks[{index}]: {reason}")


def _add(index: int, one: Any, reading: Reading) -> str | None:
    stats = one.get("stats") if isinstance(one, dict) else None
    mean, rounds = real(stats, "mean"), integer(stats, "rounds")
    if mean is None or rounds is None:
        return "without stats.mean or stats.rounds"
    values = [real(stats, name) for name in ("min", "max", "stddev")]
    made = moments(rounds, 1e9 * mean, *(math.nan if v is None else 1e9 * v for v in values))
    if isinstance(made, str):
        return made
    conditions: dict[str, Any] = {"testcase": plain(str(one.get("name", "")))}
    iterations = integer(stats, "iterations")
    if iterations is not None:
        conditions["iterations"] = iterations
    parameters = one.get("params")
    if isinstance(parameters, dict):
        for name, value in parameters.items():
            known = isinstance(value, int | float | str)
            conditions[f"parameter_{plain(name)}"] = plain(value) if isinstance(value, str) else (
                value if known else plain(str(value))
            )  # fmt: skip
    reading.add(index, names.UNKNOWN, "latency", conditions, made)
    return None


def _facts(found: Any) -> dict[str, Any]:
    """Return what the file says of the machine, in the shape of our own documents."""
    info = found.get("machine_info") if isinstance(found, dict) else None
    if not isinstance(info, dict) or info.get("system") != "Linux":
        return {}
    machine: dict[str, Any] = {}
    if isinstance(info.get("release"), str):
        machine["kernel"] = {"release": plain(info["release"])}
    cpu = info.get("cpu")
    if isinstance(cpu, dict) and isinstance(cpu.get("brand_raw"), str):
        machine["cpu"] = {"model": plain(cpu["brand_raw"]), "count": integer(cpu, "count")}
    return {"machine": machine} if machine else {}


def _read(path: Path, options: Options) -> ObservationTable:
    del options
    found = document(path)
    reading = Reading(path, READER.name, "D", files.sha256(path))
    reading.facts = _facts(found)
    parse(listed(path, found, "benchmarks"), reading)
    return reading.table()


READER = Reader(
    name="pytest_benchmark",
    what="JSON of pytest-benchmark",
    sniff=lambda start: begins_object(start) and b'"machine_info"' in start,
    read=_read,
    hints=(b'"machine_info"', b'"commit_info"', b'"python_version"'),
)
