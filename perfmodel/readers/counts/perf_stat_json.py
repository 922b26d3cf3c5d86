"""What ``perf stat -j`` writes: one JSON object a line, with the value as text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from perfmodel.readers import files
from perfmodel.readers.counts.perf_events import add_counter
from perfmodel.readers.jsonfile import decode, real
from perfmodel.readers.reading import by_lines, plain
from perfmodel.readers.registry import Reader

if TYPE_CHECKING:
    from perfmodel.readers.reading import Lines, Reading

__all__ = ["READER", "parse"]


def parse(lines: Lines, reading: Reading) -> None:
    """Read every counter."""
    for number, line in lines:
        if not line.strip() or line.startswith(b"#"):
            reading.passed()
            continue
        try:
            found = decode(line)
        except ValueError:
            found = None
        value = found.get("counter-value") if isinstance(found, dict) else None
        event = found.get("event") if isinstance(found, dict) else None
        if isinstance(found, dict) and value is None and "metric-value" in found:
            reading.passed()  # a metric that perf derives from the event above it
            continue
        if not isinstance(value, str) or not isinstance(event, str) or not event:
            reading.skip(number, f"no counter of perf stat: {files.quote(line)}")
            continue
        conditions: dict[str, Any] = {}
        interval, spread = real(found, "interval"), real(found, "variance")
        if interval is not None:
            conditions["interval_end_s"] = interval
        if spread is not None:
            conditions["spread_between_runs"] = spread / 100
        for key in ("cpu", "core", "die", "socket", "node", "thread"):
            if isinstance(found.get(key), str | int):
                conditions["where"] = plain(f"{key} {found[key]}")
        unit = str(found.get("unit", ""))
        share = real(found, "pcnt-running")
        reason = add_counter(number, value, unit, event, share, conditions, reading)
        if reason is None:
            reading.used()
        else:
            reading.skip(number, reason)


_SNIFF = re.compile(rb'^(?:\xef\xbb\xbf)?\{.*"counter-value" ?: ?"', re.M).search

READER = Reader(
    name="perf_stat_json",
    what="JSON lines of `perf stat -j`",
    sniff=lambda start: bool(_SNIFF(start)),
    read=by_lines("perf_stat_json", "F", parse),
    hints=(b'"counter-value"', b'"event-runtime"', b'"pcnt-running"'),
)
