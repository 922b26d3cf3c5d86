"""The natural experiment: munmap downgrades mmap_lock in every kernel since 4.20, mprotect never does.

One thread calls, another faults, on the same machine and kernel. Beside each other stand the
exclusive and shared parts of both calls (tracepoints), and what a fault met that began while a call
ran (fault latencies), each measured and predicted. Nothing here was fitted to fault latencies under a
working writer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.fit.points import OPERATIONS, kernel_of, model_call
from perfmodel.hold import ACTUAL_POLICY, Hold, hold
from perfmodel.machine import Machine
from perfmodel.observations import Group, ObservationTable
from perfmodel.scenario import Faults, Scenario, Writers

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["natural_experiment", "predicted_during", "threshold"]

#: Fewer faults than this during a call say nothing.
FEWEST = 20

#: What the target of the faults means under per-VMA locks.
_TARGETS: Mapping[str, dict[str, float]] = {
    "same_vma": {"same_vma": 1.0, "first_touch": 0.0},
    "fresh_vma": {"same_vma": 0.0, "first_touch": 1.0},
    "other_vma": {"same_vma": 0.0, "first_touch": 0.0},
}


def threshold(machine: Machine, idle_ns: float) -> float:
    """Return the latency, ns, from which on a fault is counted as blocked.

    A sleep cannot end sooner than a wake-up takes: half of it, and more than any undisturbed fault,
    separates those that slept from those that did not.
    """
    return idle_ns + 0.5 * machine.value("wake_latency")


def predicted_during(
    machine: Machine, held: Hold, think_ns: float, idle_ns: float, affected: bool
) -> dict[str, float]:
    """Predict what one faulting thread meets that starts faults while a call runs.

    The thread thinks, exponentially, as the call begins (the exact single hold of one thread): it
    is blocked at most once in the exclusive part; while the lock is shared it faults on undisturbed.

    Parameters
    ----------
    machine : Machine
        Wake-up costs.
    held : Hold
        The call.
    think_ns : float
        Mean pause between two faults.
    idle_ns : float
        Latency of an undisturbed fault of this kind.
    affected : bool
        Whether the fault needs the lock at all.

    Returns
    -------
    dict
        ``blocked_share`` of the faults that start during a call, their ``mean_ns`` latency, and
        ``waker_ns``, what the caller pays to wake those that sleep.
    """
    from perfmodel.equations.account import WAKER_TIME
    from perfmodel.equations.blocking import finite_blocking
    from perfmodel.rwlock import any_woken

    exclusive, shared = float(held.exclusive[0]), float(held.shared[0])
    if not affected:
        exclusive, shared = 0.0, exclusive + shared
    if not (math.isfinite(exclusive) and math.isfinite(shared)):
        return {"blocked_share": math.nan, "mean_ns": math.nan, "waker_ns": math.nan}
    cycle = think_ns + idle_ns
    one = finite_blocking(1, 1.0 / think_ns, exclusive)
    blocked = float(one.blocked)
    free = shared / cycle
    started = blocked + free
    if started <= 0:
        return {"blocked_share": math.nan, "mean_ns": math.nan, "waker_ns": math.nan}
    waited = float(one.time) + blocked * machine.value("wake_latency")
    waker = WAKER_TIME(
        woken=blocked,
        any_woken=any_woken(np.asarray(blocked), 1),
        wake_kick=machine.value("wake_kick"),
        wake_serial=machine.value("wake_serial"),
    )
    return {
        "blocked_share": blocked / started,
        "mean_ns": idle_ns + waited / started,
        "waker_ns": float(waker),
    }


def _share_above(group: Group, limit: float) -> float:
    return float(group.count[group.middle > limit].sum()) / group.total


def _key(group: Group) -> tuple[Any, ...]:
    c = group.conditions
    names = ("writer", "target", "pages", "duty_asked", "splits", "merges", "transition", "pass")
    return (group.source.file, *(c.get(n) for n in names))


def natural_experiment(machine: Machine, table: ObservationTable) -> pd.DataFrame:
    """Compare what faults met during calls, and what the calls held, with the prediction.

    Parameters
    ----------
    machine : Machine
        A profile, fitted to call latencies, wake-ups and idle faults.
    table : ObservationTable
        A run with fault latencies and, if it has them, traced holds.

    Returns
    -------
    DataFrame
        One row for each caller, target of the faults, number of pages and duty: times in ns,
        measured and predicted; NaN where there is no measurement. ``exclusive`` and ``shared`` are
        of the same call made alone, as it is traced: no split, no other CPU to interrupt.
    """
    import pandas as pd

    during = [
        g for g in table.groups
        if g.conditions.get("benchmark") == "fault_latency" and g.phase == "during"
        and g.conditions.get("writer") in OPERATIONS and g.total >= FEWEST
        # A call on the whole VMA also walks the faulting window: it is not `pages` long.
        and not (g.conditions.get("writer") == "mprotect" and g.conditions.get("shape") == "own")
    ]  # fmt: skip
    by_point: dict[tuple[Any, ...], list[Group]] = {}
    for group in during:
        # Passes are repetitions of one point: everything but the pass tells points apart.
        by_point.setdefault(_key(group)[:-1], []).append(group)
    rows = [_row(machine, table, groups) for groups in by_point.values()]
    frame = pd.DataFrame([r for r in rows if r is not None])
    if frame.empty:
        return frame
    order = ["operation", "transition", "target", "pages", "duty"]
    return frame.sort_values(order, kind="stable").reset_index(drop=True)


def _idle(table: ObservationTable, target: str, file: str) -> float:
    """Median latency of an undisturbed fault on the target, ns: no caller at work at all."""
    groups = [
        g for g in table.groups
        if g.conditions.get("benchmark") == "fault_latency" and g.phase == "idle"
        and g.source.file == file and g.conditions.get("target") == target and g.total
    ]  # fmt: skip
    alone = [g for g in groups if g.conditions.get("writer") == "none"] or groups
    return float(np.median([g.median for g in alone])) if alone else math.nan


def _calls(table: ObservationTable, groups: list[Group]) -> list[float]:
    keys = {_key(g) for g in groups}
    return [
        g.median for g in table.groups
        if g.phase == "call" and g.conditions.get("benchmark") == "fault_latency" and g.total
        and _key(g) in keys
    ]  # fmt: skip


def _traced(table: ObservationTable, machine: Machine, group: Group, phase: str) -> float:
    """Median traced hold of the same call on one VMA, ns, the tracer's own cost taken off."""
    c = group.conditions
    found = [
        g for g in table.groups
        if g.phase == phase and g.operation == c["writer"] and g.total
        and "benchmark" not in g.conditions
        and g.conditions.get("pages") == c.get("pages")
        and g.conditions.get("transition") == c.get("transition")
    ]  # fmt: skip
    tracer = (machine.fit.get("tracer_ns") or {}).get(f"tracer_{phase}", 0.0)
    if not found:
        return math.nan
    return max(float(np.median([g.median for g in found])) - float(tracer), 0.0)


def _row(machine: Machine, table: ObservationTable, groups: list[Group]) -> dict[str, Any] | None:
    first = groups[0]
    c = first.conditions
    target = str(c.get("target"))
    if target not in _TARGETS:
        return None
    call = model_call(str(c["writer"]), c)
    think_us = float(c.get("fault_think_us", 1.5))
    scenario = Scenario(
        machine=machine,
        kernel=kernel_of(first, table, None),
        call=call,
        faults=Faults(threads=1, think_us=think_us, **_TARGETS[target]),
        writers=Writers(threads=1),
        cpus=2,
    )
    policy = ACTUAL_POLICY[call.operation]
    held = hold(scenario, policy)
    # The traced load is one thread that calls on whole VMAs: nothing to split, nobody to interrupt.
    alone = hold(scenario.replace(splits=0, merges=0, remote_cpus=0), policy)
    idle = _idle(table, target, first.source.file)
    affected = target != "other_vma" or not scenario.kernel.per_vma_lock
    predicted = predicted_during(machine, held, think_us * 1e3, idle, affected)
    total = sum(g.total for g in groups)
    weights = [g.total for g in groups]
    limit = threshold(machine, idle)
    calls = _calls(table, groups)
    return {
        "operation": c["writer"],
        "transition": c.get("transition", ""),
        "target": target,
        "pages": c["pages"],
        "splits": c.get("splits", 0),
        "merges": c.get("merges", 0),
        "duty": c.get("duty_asked"),
        "policy": policy.value,
        "faults": total,
        "call_measured_ns": float(np.median(calls)) if calls else math.nan,
        "call_predicted_ns": float(held.call[0]) + predicted["waker_ns"],
        "exclusive_measured_ns": _traced(table, machine, first, "exclusive"),
        "exclusive_predicted_ns": float(alone.exclusive[0]),
        "shared_measured_ns": _traced(table, machine, first, "shared"),
        "shared_predicted_ns": float(alone.shared[0]),
        "idle_ns": idle,
        "blocked_measured": float(
            np.average([_share_above(g, limit) for g in groups], weights=weights)
        ),
        "blocked_predicted": predicted["blocked_share"],
        "latency_measured_ns": float(np.average([g.mean for g in groups], weights=weights)),
        "latency_predicted_ns": predicted["mean_ns"],
        "median_measured_ns": float(np.median([g.median for g in groups])),
    }
