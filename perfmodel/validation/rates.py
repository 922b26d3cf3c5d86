"""Throughput of a caller and a faulting thread beside each other: calls and faults a second."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.fit.natural import Experiment, waker_time
from perfmodel.hold import ACTUAL_POLICY, hold
from perfmodel.scenario import Call
from perfmodel.validation.faults import conditions_of, drawn_hold, label_of, law_of, where_of
from perfmodel.validation.predictive import Draws, interval
from perfmodel.validation.result import Row

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from perfmodel.observations import ObservationTable

__all__ = ["rate_rows"]

#: Why the throughput of some points is not predicted.
SETUP = "throughput beside munmap: between two calls the range is mapped and populated again"
FRESH = "throughput of faults on fresh VMAs: the thread makes its VMAs anew between them"
ONE_WAY = "throughput: the calls of one direction are missing, or the share of time in calls"


def _point(conditions: Any) -> tuple[Any, ...]:
    names = ("writer", "target", "pages", "duty_asked", "fault_think_us", "window_pages")
    return tuple(conditions.get(n) for n in names)


def rate_rows(
    draws: Draws, table: ObservationTable, experiments: list[Experiment]
) -> tuple[list[Row], Counter[str]]:
    """Return rows of calls and faults a second, and what was left out by reason.

    The caller pauses so that it spends a given share of its time (``duty_asked``) in calls: the
    prediction knows that share and no measured time.
    """
    left_out: Counter[str] = Counter()
    points: dict[tuple[Any, ...], list[Experiment]] = defaultdict(list)
    for one in experiments:
        points[_point(one.conditions)].append(one)
    rows: list[Row] = []
    for key, ways in points.items():
        first = ways[0]
        if first.scenario.call.operation == "munmap":
            left_out[SETUP] += 1
        elif first.target == "fresh_vma":
            left_out[FRESH] += 1
        else:
            measured = _measured(
                table, key, {g.conditions["shape"] for e in ways for g in e.during}
            )
            if measured is None or not first.conditions.get("duty_asked"):
                left_out[ONE_WAY] += 1
            else:
                rows += _rows(draws, ways, *measured)
    return rows, left_out


def _measured(
    table: ObservationTable, key: tuple[Any, ...], shapes: set[Any]
) -> tuple[float, float, int, int] | None:
    """Return calls and faults a second and their numbers; None where a part is missing."""
    calls = faults = 0
    elapsed = 0.0
    for g in table.groups:
        c = g.conditions
        if (
            c.get("benchmark") != "fault_latency"
            or _point(c) != key
            or c.get("shape") not in shapes
        ):
            continue
        if g.phase != "call":
            faults += g.total
        elif not c.get("duty"):
            return None
        else:
            calls += g.total
            # The time in calls of this direction, over the share of all time that calls took.
            elapsed += g.total * g.mean / c["duty"]
    return (calls / elapsed * 1e9, faults / elapsed * 1e9, calls, faults) if elapsed else None


def _overhead(draws: Draws, one: Experiment) -> NDArray[np.float64]:
    """Return what each fault's share of emptying the window again costs, ns: one MADV_DONTNEED."""
    pages = int(one.conditions.get("window_pages", 0))
    if not pages:
        return np.zeros(draws.count)
    emptying = one.scenario.replace(call=Call("madvise", pages=pages, remote_cpus=1))
    return hold(emptying, ACTUAL_POLICY["madvise"], draws.constants).call / pages


def _rows(
    draws: Draws, ways: list[Experiment], calls_per_s: float, faults_per_s: float, calls: int,
    faults: int,
) -> list[Row]:  # fmt: skip
    from perfmodel.equations.during import BESIDE_RATE

    lasting, blocked, woken, fault = [], [], [], []
    for one in ways:
        held = drawn_hold(one, draws)
        law = law_of(one, draws, held)
        lasting.append(held.call + waker_time(draws.constants, law.blocked))
        blocked.append(law.blocked_time)
        woken.append(law.blocked * law.wake)
        fault.append(float(law.idle @ law.weight))
    first = ways[0]
    cycle = np.mean(lasting, axis=0) / float(first.conditions["duty_asked"])
    rate = BESIDE_RATE(
        blocked_time=np.mean(blocked, axis=0), wake_time=np.mean(woken, axis=0), cycle=cycle,
        nu=1.0 / first.think_ns, fault_minor=np.mean(fault) + _overhead(draws, first),
    )  # fmt: skip
    conditions = {k: v for k, v in conditions_of(first).items()
                  if k not in ("transition", "splits", "merges")}  # fmt: skip
    rows = []
    for kind, measured, drawn, events in (
        ("calls/s", calls_per_s, 1e9 / cycle, calls), ("faults/s", faults_per_s, 1e9 * rate, faults),
    ):  # fmt: skip
        value, low, high = interval(drawn)
        rows.append(
            Row(kind, label_of(first), conditions, "1/s", measured, value, low, high,
                events, where_of(first),
                "" if math.isfinite(value) else "the profile lacks a constant of the call")
        )  # fmt: skip
    return rows
