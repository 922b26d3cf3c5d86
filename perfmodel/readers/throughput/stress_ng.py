"""What the metrics of stress-ng mean, whether they come from its log or its YAML.

A bogo operation is whatever a stressor does once round its loop; its operation is unknown. What a
stressor timed itself (``nanosecs per page fault``) is taken as told; only that of the stressor
``fault`` is a plain page fault (that of ``userfaultfd`` holds the handler of the fault).
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from perfmodel.readers import names
from perfmodel.readers.reading import moments
from perfmodel.readers.throughput.rates import cost

if TYPE_CHECKING:
    from perfmodel.readers.reading import Reading

__all__ = ["add_bogo", "add_metric", "instances", "per_operation"]

_PER = re.compile(r"(nanosecs?|microsecs?|millisecs?|nanoseconds?|microseconds?|milliseconds?)[- ]"
                  r"(?:per|to)[- ](.+)")  # fmt: skip
_SCALE = {"nano": 1.0, "micr": 1e3, "mill": 1e6}
#: How far the instances that follow from the CPU times may be from a whole number.
_WHOLE = 0.1
#: CPU seconds; less is told to too few digits.
_LEAST_TIME, _MOST_TIME = 0.02, 1e12
_FAULTS = ("page fault", "page-fault")


def instances(user: float, system: float, wall: float, use: float) -> int | None:
    """Return how many instances of a stressor ran, or None where that cannot be told.

    Parameters
    ----------
    user, system : float, s
        CPU time of all instances.
    wall : float, s
        Time that passed.
    use : float, %
        CPU use of one instance.
    """
    of_one = wall * use / 100
    if not (math.isfinite(of_one) and of_one > _LEAST_TIME and user + system < _MOST_TIME):
        return None
    found = (user + system) / of_one
    whole = round(found)
    return whole if whole >= 1 and abs(found - whole) <= _WHOLE else None


def per_operation(metric: str) -> float | None:
    """Return the ns of the unit of a metric that is a time per something, else None."""
    match = _PER.match(metric)
    return _SCALE[match[1][:4]] if match else None


def add_bogo(
    line: int, stressor: str, operations: int, per_second: float, instances: int | None,
    reading: Reading,
) -> str | None:  # fmt: skip
    """Add the cost of a bogo operation in one instance; return why there is none."""
    if instances is None:
        return "how many instances ran is not told and cannot be worked out"
    found = cost(per_second, instances)
    if isinstance(found, str):
        return found
    conditions: dict[str, Any] = {
        "stressor": stressor, "metric": "bogo operation", "tasks": instances, "operations": operations,
    }  # fmt: skip
    reading.add(line, names.UNKNOWN, "cost", conditions, found)
    return None


def add_metric(
    line: int, stressor: str, metric: str, value: float, instances: int | None, reading: Reading
) -> str | None:
    """Add a time per something that a stressor measured; return why there is none."""
    scale = per_operation(metric)
    if scale is None:
        return f"'{metric}' is no time per operation"
    found = moments(instances or 1, value * scale)
    if isinstance(found, str):
        return found
    if not value:
        return "a time of 0 was not measured"
    plain_fault = stressor == "fault" and metric.endswith(_FAULTS)
    conditions: dict[str, Any] = {"stressor": stressor, "metric": metric.replace("-", " ")}
    if instances is not None:
        conditions["tasks"] = instances
    if plain_fault:
        conditions["pages_per_op"] = 1
    reading.add(line, "page_fault" if plain_fault else names.UNKNOWN, "cost", conditions, found)
    return None
