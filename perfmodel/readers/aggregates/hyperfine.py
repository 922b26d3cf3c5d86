"""JSON that ``hyperfine --export-json`` writes: run times of whole commands, in seconds."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from perfmodel.readers import files, names
from perfmodel.readers.jsonfile import begins_object, document, listed, real
from perfmodel.readers.reading import Reading, moments, plain
from perfmodel.readers.registry import Options, Reader

if TYPE_CHECKING:
    from pathlib import Path

    from perfmodel.observations import Moments, ObservationTable

__all__ = ["READER", "parse"]


def parse(results: list[Any], reading: Reading) -> None:
    """Read every result; `line` of a group is its place in the list."""
    for index, result in enumerate(results):
        made = _moments(result)
        if isinstance(made, str):
            reading.skip(index, f"results[{index}]: {made}")
            continue
        conditions: dict[str, Any] = {"command": plain(str(result.get("command", "")))}
        for name, value in _parameters(result).items():
            conditions[f"parameter_{plain(name)}"] = plain(value)
        failed = [c for c in result.get("exit_codes") or () if c not in (0, None)]
        if failed:
            conditions["failed_runs"] = len(failed)
            reading.warn(f"results[{index}]: {len(failed)} runs ended with an error")
        reading.add(index, names.UNKNOWN, "latency", conditions, made)
        reading.used()


def _parameters(result: dict[str, Any]) -> dict[str, str]:
    found = result.get("parameters")
    return {k: str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def _moments(result: Any) -> Moments | str:
    mean = real(result, "mean")
    if mean is None:
        return "it has no mean"
    if not isinstance(result.get("exit_codes") or [], list):
        return "exit_codes is no list"
    times = result.get("times")
    if times is None:
        count = len(result.get("exit_codes") or ())
    elif isinstance(times, list) and all(_is_time(t) for t in times):
        count = len(times)
        if times and abs(math.fsum(times) / count - mean) > 1e-6 * abs(mean):
            return "its mean is not that of its times"
    else:
        return "not all of its times are numbers"
    values = {n: real(result, n) for n in ("min", "max", "stddev")}
    scaled = {n: math.nan if v is None else 1e9 * v for n, v in values.items()}
    return moments(count, 1e9 * mean, scaled["min"], scaled["max"], scaled["stddev"])


def _is_time(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and abs(value) < 1e9


def _read(path: Path, options: Options) -> ObservationTable:
    del options
    found = document(path)
    reading = Reading(path, READER.name, "D", files.sha256(path))
    parse(listed(path, found, "results"), reading)
    return reading.table()


_RESULTS = re.compile(rb'^(?:\xef\xbb\xbf)?\s*\{\s*"results"\s*:\s*\[').match

READER = Reader(
    name="hyperfine",
    what="JSON of `hyperfine --export-json`",
    sniff=lambda start: begins_object(start) and bool(_RESULTS(start)) and b'"command"' in start,
    read=_read,
    hints=(b'"results"', b'"command"', b'"exit_codes"', b'"times"'),
)
