"""The natural experiment: munmap downgrades mmap_lock in every kernel since 4.20, mprotect never does.

One thread calls, another faults, on the same machine and kernel. Beside each other stand the
exclusive and shared parts of both calls (tracepoints), and what a fault met that began while a call
ran (fault latencies), each measured and predicted. Nothing here was fitted to fault latencies under a
working writer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.fit.points import OPERATIONS, kernel_of, model_call
from perfmodel.hold import ACTUAL_POLICY, Hold, hold
from perfmodel.machine import Machine
from perfmodel.observations import Group, ObservationTable
from perfmodel.scenario import Faults, Policy, Scenario, Writers

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from perfmodel.equations.during import FaultsDuring

__all__ = [
    "Experiment", "during_law", "experiments", "natural_experiment", "predicted_during",
    "share_above", "threshold", "traced", "waker_time",
]  # fmt: skip

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


@dataclass(frozen=True, eq=False)
class Experiment:
    """One caller beside one faulting thread: what was run, and its measurements.

    Parameters
    ----------
    during, idle, calls : tuple of Group
        Latencies of faults that began during a call and of undisturbed ones of this kind; the calls.
    scenario : Scenario
        The question that it is to the model.
    policy : Policy
        What the kernel does.
    target : str
        What the thread faults on: ``same_vma``, ``fresh_vma``, ``other_vma``.
    think_ns : float
        Mean pause between two faults.
    affected : bool
        Whether its faults need what the call locks.
    """

    during: tuple[Group, ...]
    idle: tuple[Group, ...]
    calls: tuple[Group, ...]
    scenario: Scenario
    policy: Policy
    target: str
    think_ns: float
    affected: bool

    @property
    def conditions(self) -> Mapping[str, Any]:
        """Conditions of the first repetition."""
        return self.during[0].conditions

    @property
    def faults(self) -> int:
        """Faults that began during a call."""
        return sum(g.total for g in self.during)

    @property
    def idle_ns(self) -> float:
        """Median of an undisturbed fault, ns; NaN where none was measured."""
        return float(np.median([g.median for g in self.idle])) if self.idle else math.nan


def experiments(machine: Machine, table: ObservationTable) -> list[Experiment]:
    """Return the experiments of a table: a caller at work while another thread faults.

    Passes are repetitions of one experiment. Fewer than 20 faults during calls say nothing.
    """
    during: dict[tuple[Any, ...], list[Group]] = {}
    for group in table.groups:
        c = group.conditions
        if (
            c.get("benchmark") == "fault_latency" and group.phase == "during"
            and c.get("writer") in OPERATIONS and group.total >= FEWEST
            and str(c.get("target")) in _TARGETS
            # A call on the whole VMA also walks the faulting window: it is not `pages` long.
            and not (c.get("writer") == "mprotect" and c.get("shape") == "own")
        ):  # fmt: skip
            during.setdefault(_key(group)[:-1], []).append(group)
    return [_experiment(machine, table, groups) for groups in during.values()]


def _experiment(machine: Machine, table: ObservationTable, groups: list[Group]) -> Experiment:
    first = groups[0]
    c = first.conditions
    target = str(c["target"])
    think_us = float(c.get("fault_think_us", 1.5))
    scenario = Scenario(
        machine=machine,
        kernel=kernel_of(first, table, None),
        call=model_call(str(c["writer"]), c),
        faults=Faults(threads=1, think_us=think_us, **_TARGETS[target]),
        writers=Writers(threads=1),
        cpus=2,
    )
    keys = {_key(g) for g in groups}
    calls = tuple(
        g for g in table.groups
        if g.phase == "call" and g.conditions.get("benchmark") == "fault_latency" and g.total
        and _key(g) in keys
    )  # fmt: skip
    return Experiment(
        during=tuple(groups),
        idle=_idle(table, first),
        calls=calls,
        scenario=scenario,
        policy=ACTUAL_POLICY[scenario.call.operation],
        target=target,
        think_ns=think_us * 1e3,
        affected=target != "other_vma" or not scenario.kernel.per_vma_lock,
    )


def predicted_during(
    machine: Machine, held: Hold, think_ns: float, idle_ns: float, affected: bool
) -> dict[str, float]:
    """Predict what one faulting thread meets that starts faults while a call runs.

    Parameters
    ----------
    machine : Machine
        Costs of waking up and of entering the kernel.
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
    constants = machine.draws(1)
    law = during_law(constants, held, think_ns, [idle_ns], affected=affected)
    blocked = float(law.blocked[0])
    if not math.isfinite(blocked) or not math.isfinite(float(law.free[0])):
        return {"blocked_share": math.nan, "mean_ns": math.nan, "waker_ns": math.nan}
    return {
        "blocked_share": float(law.blocked_share[0]),
        "mean_ns": float(law.mean[0]),
        "waker_ns": float(waker_time(constants, law.blocked)[0]),
    }


def waker_time(constants: Mapping[str, Any], blocked: Any) -> NDArray[np.float64]:
    """Return what a caller pays for waking the one thread that it blocks with so much probability."""
    from perfmodel.equations.account import WAKER_TIME
    from perfmodel.rwlock import any_woken

    return WAKER_TIME(
        woken=blocked,
        any_woken=any_woken(np.asarray(blocked), 1),
        wake_kick=constants["wake_kick"],
        wake_serial=constants["wake_serial"],
    )


def during_law(
    constants: Mapping[str, Any], held: Hold, think_ns: float, idle: Any, weight: Any = 1.0, *,
    affected: bool = True,
) -> FaultsDuring:  # fmt: skip
    """Return the law of the faults that begin while a call runs, over the draws of the machine.

    Parameters
    ----------
    constants : mapping of str to ndarray of shape (draws,)
        Of the machine, ns.
    held : Hold
        The call, of the same draws.
    think_ns : float
        Mean pause between two faults.
    idle, weight : array_like of shape (m,)
        Law of an undisturbed fault: latencies, ns, and their weights.
    affected : bool
        Whether the fault needs the lock at all; if not the whole hold is as good as shared.
    """
    from perfmodel.equations.during import faults_during

    exclusive, shared = held.exclusive, held.shared
    if not affected:
        exclusive, shared = np.zeros_like(exclusive), exclusive + shared
    return faults_during(
        exclusive=exclusive, shared=shared, think_ns=think_ns, idle=idle, weight=weight,
        **{n: constants[n] for n in ("syscall", "wake_latency", "wake_kick", "wake_serial")},
    )  # fmt: skip


def share_above(groups: Sequence[Group], limit: float) -> float:
    """Return the share of the events of some groups that took longer than `limit`, ns."""
    above = sum(int(g.count[g.middle > limit].sum()) for g in groups)
    return above / sum(g.total for g in groups)


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

    rows = [_row(machine, table, e) for e in experiments(machine, table)]
    frame = pd.DataFrame(rows)
    if frame.empty:
        return frame
    order = ["operation", "transition", "target", "pages", "duty"]
    return frame.sort_values(order, kind="stable").reset_index(drop=True)


def _idle(table: ObservationTable, like: Group) -> tuple[Group, ...]:
    """Undisturbed faults of the same kind in the same file: no caller at work, if there are such."""
    groups = tuple(
        g for g in table.groups
        if g.conditions.get("benchmark") == "fault_latency" and g.phase == "idle" and g.total
        and g.source.file == like.source.file and g.operation == like.operation
        and g.conditions.get("target") == like.conditions.get("target")
    )  # fmt: skip
    return tuple(g for g in groups if g.conditions.get("writer") == "none") or groups


def traced(table: ObservationTable, machine: Machine, one: Experiment, phase: str) -> float:
    """Return the median traced hold of the same call on one VMA, ns, less the tracer's own cost.

    NaN where the table has no such trace.
    """
    c = one.conditions
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


def _row(machine: Machine, table: ObservationTable, one: Experiment) -> dict[str, Any]:
    c = one.conditions
    held = hold(one.scenario, one.policy)
    # The traced load is one thread that calls on whole VMAs: nothing to split, nobody to interrupt.
    alone = hold(one.scenario.replace(splits=0, merges=0, remote_cpus=0), one.policy)
    idle = one.idle_ns
    predicted = predicted_during(machine, held, one.think_ns, idle, one.affected)
    weights = [g.total for g in one.during]
    limit = threshold(machine, idle)
    calls = [g.median for g in one.calls]
    return {
        "operation": c["writer"],
        "transition": c.get("transition", ""),
        "target": one.target,
        "pages": c["pages"],
        "splits": c.get("splits", 0),
        "merges": c.get("merges", 0),
        "duty": c.get("duty_asked"),
        "policy": one.policy.value,
        "faults": one.faults,
        "call_measured_ns": float(np.median(calls)) if calls else math.nan,
        "call_predicted_ns": float(held.call[0]) + predicted["waker_ns"],
        "exclusive_measured_ns": traced(table, machine, one, "exclusive"),
        "exclusive_predicted_ns": float(alone.exclusive[0]),
        "shared_measured_ns": traced(table, machine, one, "shared"),
        "shared_predicted_ns": float(alone.shared[0]),
        "idle_ns": idle,
        "blocked_measured": share_above(one.during, limit),
        "blocked_predicted": predicted["blocked_share"],
        "latency_measured_ns": float(np.average([g.mean for g in one.during], weights=weights)),
        "latency_predicted_ns": predicted["mean_ns"],
        "median_measured_ns": float(np.median([g.median for g in one.during])),
    }
