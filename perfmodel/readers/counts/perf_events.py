"""What one counter of ``perf stat`` says."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from perfmodel.observations import Moments
from perfmodel.readers import names
from perfmodel.readers.reading import number, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perfmodel.readers.reading import Reading

__all__ = ["add_counter"]


def add_counter(
    line: int, value: str, unit: str, event: str, share: float | None,
    conditions: Mapping[str, Any], reading: Reading,
) -> str | None:  # fmt: skip
    """Add the count of an event; return why there is none.

    Parameters
    ----------
    line : int
    value, unit, event : str
        As perf printed them.
    share : float or None
        Share of the time that the event was counted, in per cent; perf has scaled the value by it.
    conditions : mapping
        CPU, interval and so on.
    reading : Reading
    """
    if value.startswith("<not"):
        return f"{plain(event)} is {value.strip('<>')}"
    if unit:
        return f"{plain(event)} is in {plain(unit)}: no count of events"
    counted = number(value)
    if counted is None or not 0 <= counted < 1e18:
        return f"{plain(value)!r} is no count of {plain(event)}"
    whole = {**conditions, "event": plain(event)}
    if share is not None and share < 99.995:
        whole["counted_percent"] = share
        reading.warn(f"{plain(event)} was counted {share:g} % of the time and scaled")
    reading.add(line, names.of_event(event), "count", whole, Moments(round(counted), math.nan))
    return None
