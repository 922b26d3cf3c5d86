"""A group of points with an open stream of faults and one caller, given to the compiled loop."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.equations.hold import PIECES
from perfmodel.hold import SKIPPED, facts, not_applicable, shares
from perfmodel.scenario import Policy, Scenario
from perfmodel.stale_tlb import safety
from perfmodel.sweeping.answers import Found, least_share, spread
from perfmodel.verdict import CUTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from perfmodel.sweeping.groups import Group
    from perfmodel.sweeping.plan import Plan

__all__ = ["answer_stream", "is_plain"]

#: Constants without which nothing is known of the lock; the others matter to some pieces of a call.
_NEEDED = ("fault_hold", "wake_latency", "wake_serial", "wake_kick", "line_transfer", "rmw_local")

#: Points times policies times draws of one call of the loop: 32 MB of gains.
_ELEMENTS = 1 << 22


def is_plain(plan: Plan, scenario: Scenario) -> bool:
    """Whether the compiled loop answers a group: its question, and what is asked of it."""
    machine = scenario.machine
    return (
        scenario.faults.open
        and not scenario.writers.open
        and scenario.writers.threads == 1
        and scenario.faults.io_share == 0
        and not plan.keep_draws
        and all(math.isfinite(machine.value(name)) for name in _NEEDED)
        and machine.value("fault_hold") > 0
    )


def answer_stream(plan: Plan, group: Group) -> Iterator[tuple[NDArray[np.int64], Found]]:
    """Answer a group, some points at a time.

    Parameters
    ----------
    plan : Plan
    group : Group

    Yields
    ------
    places, found
        As :func:`perfmodel.sweeping.arrays.answer_group`.
    """
    from perfmodel.sweeping.compiled import FIELDS, kernel

    scenario = group.scenario
    operation = scenario.call.operation
    # Operations of the same pieces share the loop.
    places, run = kernel(next(o for o in PIECES if PIECES[o] is PIECES[operation]))
    order = (Policy.NONE, *(p for p in scenario.policies if p is not Policy.NONE))
    base = _base(plan, scenario, places)
    constant = _by_policy(scenario, order)
    slots, columns = _columns(group, places)
    unknown = np.array(
        [k for name, k in places.items() if np.isnan(base[0, k]) and name in scenario.machine.values()
         and name not in group.arrays], dtype=np.int64,
    )  # fmt: skip
    levels = np.array(plan.levels if "wait_quantile" in plan.variables else (), dtype=float)
    interval = plan.draws > 1 and "net_gain" in plan.variables
    kept = [f for f in FIELDS if f in plan.variables and not (f == "net_gain" and interval)]
    wanted = np.array([kept.index(f) if f in kept else -1 for f in FIELDS], dtype=np.int64)
    step = max(1, _ELEMENTS // (plan.draws * len(order)))
    number = np.float32 if plan.single else np.float64
    for start in range(0, group.size, step):
        part = slice(start, start + step)
        size, n = group.places[part].size, len(order)
        out = _Room(
            np.empty((len(kept), size, n), number), np.empty((size, n, levels.size), number),
            np.empty((size if interval else 0, n, plan.draws)), np.empty((size, n)),
            np.empty((size, n), np.int8), np.empty((size, 5), np.int8), np.empty(size),
            np.zeros(3, dtype=np.int64), np.empty((5, len(places) + n)),
        )  # fmt: skip
        run(np.ascontiguousarray(columns[:, part]), slots, base, unknown, *constant, levels, wanted,
            *out.all)  # fmt: skip
        yield group.places[part], _found(plan, scenario, kept, out)


class _Room:
    """Arrays that the loop fills: points along the first axis but of `fields`."""

    def __init__(self, *arrays: NDArray[Any]) -> None:
        self.all = arrays
        (self.fields, self.quantiles, self.gains, self.pays, self.inside, self.flags, self.share,
         self.broken, _) = arrays  # fmt: skip


def _base(plan: Plan, scenario: Scenario, places: dict[str, int]) -> NDArray[np.float64]:
    """Return the vector of every draw, of what is not swept."""
    drawn = scenario.machine.draws(plan.draws, seed=plan.seed)
    call, faults = scenario.call, scenario.faults
    given: dict[str, Any] = dict(facts(scenario.kernel, call, Policy.NONE, 0.0))
    given |= {
        "fault_rate": faults.rate_per_ns, "same_vma": faults.same_vma,
        "first_touch": faults.first_touch, "think": scenario.writers.think_ns,
        "cpus": scenario.cpus, "fault_estimate": scenario.machine.value("fault_minor"),
        "remote_given": math.nan if call.remote_cpus is None else call.remote_cpus,
    }  # fmt: skip
    base = np.empty((plan.draws, len(places)))
    for name, k in places.items():
        base[:, k] = given[name] if name in given else drawn[name]
    return base


def _by_policy(scenario: Scenario, order: tuple[Policy, ...]) -> tuple[NDArray[Any], ...]:
    """Return what the loop knows of the pieces and of each policy."""
    call, kernel = scenario.call, scenario.kernel
    names = list(PIECES[call.operation])
    unchanged = call.operation == "mprotect" and call.transition == "same-flags"
    skipped = np.array([unchanged and name in SKIPPED for name in names])
    table, exclusive, shared = [], [], []
    for policy in order:
        known = facts(kernel, call, policy, 0.0)
        table.append([known["flush_count"], known["refinds"], known["lock_ops"],
                      call.vmas if policy is Policy.EVERY_VMA else 1])  # fmt: skip
        divided = shares(kernel, call.operation, policy, call.vmas)
        exclusive.append([divided[name][0] for name in names])
        shared.append([divided[name][1] for name in names])
    applies = np.array([not not_applicable(scenario, p) for p in order])
    by_vma = np.array([kernel.per_vma_lock or p is Policy.PER_VMA for p in order])
    rules = [
        kernel.locked_ops("read"),
        kernel.blocked_reader_ops,
        not kernel.reader_spin,
        least_share(),
    ]
    to = np.array([scenario.policies.index(p) for p in order])
    kind = np.array(
        [safety(kernel, call, p).safe + 2 * (p in CUTS) + 4 * (p is Policy.NONE)
         for p in scenario.policies]
    )  # fmt: skip
    return (
        skipped, to, kind, np.array(table, dtype=float), np.array(exclusive, dtype=float),
        np.array(shared, dtype=float), applies, by_vma, np.array(rules, dtype=float),
    )  # fmt: skip


def _columns(group: Group, places: dict[str, int]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return what is swept in the units of the loop, and where it stands in the vector."""
    slots, columns = [], []
    for name, values in group.arrays.items():
        to, factor = {
            "fault_rate": ("fault_rate", 1e-9), "writer_think_us": ("think", 1e3),
            "remote_cpus": ("remote_given", 1.0),
        }.get(name, (name, 1.0))  # fmt: skip
        if (
            to == "populated"
            and facts(group.scenario.kernel, group.scenario.call, Policy.NONE, 0.0)["populated"]
            == 0
        ):
            continue
        if to in places:  # a constant of another operation matters to nothing here
            slots.append(places[to])
            columns.append(factor * values)
    if not columns:
        return np.empty(0, dtype=np.int64), np.empty((0, group.size))
    return np.array(slots, dtype=np.int64), np.array(columns)


def _found(plan: Plan, scenario: Scenario, kept: list[str], out: _Room) -> Found:
    """Make the variables of what the loop has filled."""
    found = Found({})
    values: dict[str, Any] = {name: out.fields[i] for i, name in enumerate(kept)}
    if out.gains.size:
        values["net_gain"] = spread(out.gains)[0]
    shape = out.pays.shape
    safe = [safety(scenario.kernel, scenario.call, p).safe for p in scenario.policies]
    values |= {
        "p_pays": out.pays, "realised_share": np.broadcast_to(1.0, shape),
        "safe": np.broadcast_to(safe, shape), "inside_stated_region": out.inside,
        "throughput_gain": np.broadcast_to(math.nan, shape), "wait_quantile": out.quantiles,
        "verdict": out.flags[:, 0], "verdict_if_safe": out.flags[:, 1],
        "verdict_policy": out.flags[:, 2], "best_safe_policy": out.flags[:, 3],
        "stream_overrun": out.flags[:, 4], "share_of_thread_time": out.share,
        "answered_by": np.broadcast_to(0, shape[:1]),
    }  # fmt: skip
    found.values = {name: values[name] for name in plan.variables}
    _say(plan, found, scenario, out)
    return found


def _say(plan: Plan, found: Found, scenario: Scenario, out: _Room) -> None:
    """Count what has no answer and what leaves the stated region."""
    from perfmodel.sweeping.arrays import unknown_constants, words_of

    solvers, errors, conditions = words_of(scenario, plan.scenario.machine)
    found.solvers |= solvers
    found.errors |= errors
    for text, times in zip(conditions, out.broken, strict=True):
        if times:
            found.broken[text] += int(times)
    for k, policy in enumerate(scenario.policies):
        reason = not_applicable(scenario, policy)
        missing = len(out.pays) if reason else 0
        if not reason and policy is not Policy.NONE:
            missing = int(np.isnan(out.pays[:, k]).sum())
        if missing:
            found.reasons[policy.value, reason or unknown_constants(scenario)] += missing
