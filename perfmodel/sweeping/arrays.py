"""A group of points answered by the closed forms in array calls: points are laid out as if draws.

Everything is what :func:`perfmodel.prediction.predict` does with one scenario; the same functions
compute it, given arrays where the points differ.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.equations.account import LOST_TIME, NET_GAIN
from perfmodel.equations.drain import drain_open
from perfmodel.equations.hold import still_running
from perfmodel.hold import Hold, facts, frees_page_tables, hold, not_applicable, pieces, shares
from perfmodel.prediction import account_of, lock_question
from perfmodel.rwlock import solve
from perfmodel.rwlock.terms import SEVERAL_SECTIONS
from perfmodel.scenario import Policy, Scenario, affected_share
from perfmodel.stale_tlb import safety
from perfmodel.sweeping.answers import Found, judged, spread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from perfmodel.machine import Machine
    from perfmodel.rwlock import Answer, Lock
    from perfmodel.sweeping.groups import Group
    from perfmodel.sweeping.plan import Plan

__all__ = ["answer_group", "summed", "unknown_constants", "words_of"]

#: Points times draws of one array call: a closed population takes 192 nodes for each.
ELEMENTS = 4096

#: Beyond this part of the drain the wait has faults in it that a call before has woken, and another
#: law: as `perfmodel.rwlock.open_faults` says.
_ALONE = 1.2

#: Fields of a lock that are arrays over points and draws.
_ARRAYS = ("exclusive", "shared", "read_hold", "writer_think", "wake_latency", "wake_serial")


@dataclass(frozen=True)
class _Laid:
    """Points times draws in one dimension: all draws of the first point, then of the next."""

    scenario: Scenario
    constants: Mapping[str, NDArray[np.float64]]
    call: Mapping[str, NDArray[np.float64]]
    think_ns: NDArray[np.float64] | None
    draws: int


def answer_group(plan: Plan, group: Group) -> Iterator[tuple[NDArray[np.int64], Found]]:
    """Answer a group, some points at a time.

    Parameters
    ----------
    plan : Plan
    group : Group

    Yields
    ------
    places : ndarray of int
        Places in the block of the points answered.
    found : Found
        Their variables.
    """
    machine = group.scenario.machine
    constants = machine.draws(plan.draws, seed=plan.seed)
    step = max(1, ELEMENTS // plan.draws)
    for start in range(0, group.size, step):
        part = slice(start, start + step)
        places = group.places[part]
        count = places.size

        def spread_out(values: NDArray[np.float64], part: slice = part) -> NDArray[np.float64]:
            return np.repeat(values[part], plan.draws)

        drawn = {name: np.tile(value, count) for name, value in constants.items()}
        call, think = {}, None
        for name, values in group.arrays.items():
            if name == "writer_think_us":
                think = 1e3 * spread_out(values)
            elif name in ("pages", "populated", "remote_cpus"):
                call[name] = spread_out(values)
            else:
                drawn[name] = spread_out(values)
        laid = _Laid(group.scenario, drawn, call, think, plan.draws)
        yield places, _answer(plan, laid, count)


def _held(laid: _Laid, policy: Policy) -> Hold:
    """Return the hold, as `perfmodel.hold.hold` does, of calls that differ in size."""
    scenario, constants = laid.scenario, laid.constants
    call, kernel = scenario.call, scenario.kernel
    given: dict[str, Any] = dict(facts(kernel, call, policy, scenario.remote_cpus))
    if "pages" in laid.call:
        given["pages"] = laid.call["pages"]
    if "populated" in laid.call and given["populated"] > 0:
        given["populated"] = laid.call["populated"]
    if "remote_cpus" in laid.call:
        given["remote_cpus"] = np.minimum(laid.call["remote_cpus"], scenario.cpus - 1)
    unchanged = call.operation == "mprotect" and call.transition == "same-flags"
    divided = shares(kernel, call.operation, policy, call.vmas)
    lasting = pieces(call.operation, constants, given, unchanged=unchanged)
    fewer = scenario.faults.threads is not None and not frees_page_tables(call.operation)
    if fewer and "remote_cpus" not in laid.call:
        before = sum(
            divided[name][0] * lasting[name]
            for name in ("find", "prepare", "step", "walk_start", "walk")
            if name in divided
        )
        unblocked = still_running(
            nu=affected_share(scenario, policy) / max(scenario.faults.think_ns, 1.0),
            window=before / (call.vmas if policy is Policy.EVERY_VMA else 1),
        )
        given["remote_cpus"] = scenario.running_cpus(unblocked)
        lasting |= pieces(call.operation, constants, given, unchanged=unchanged,
                          depending_on="remote_cpus")  # fmt: skip
    count = constants["syscall"].size
    parts = {"outside": np.zeros(count), "exclusive": np.zeros(count), "shared": np.zeros(count)}
    for name, (exclusive, shared) in divided.items():
        for mode, share in (
            ("outside", 1.0 - exclusive - shared), ("exclusive", exclusive), ("shared", shared),
        ):  # fmt: skip
            if share > 0.0:
                parts[mode] = parts[mode] + share * lasting[name]
    if not_applicable(scenario, policy):
        parts = {mode: np.full(count, math.nan) for mode in parts}
    return Hold(
        policy=policy, phases=(), exclusive=parts["exclusive"], shared=parts["shared"],
        call=sum(parts.values(), np.zeros(count)),
        sections=call.vmas if policy is Policy.EVERY_VMA else 1, lock_ops=int(given["lock_ops"]),
    )  # fmt: skip


def _taken(lock: Lock, places: Any) -> Lock:
    """Return the lock of some of its points and draws."""
    size = lock.exclusive.size
    return replace(lock, **{n: np.broadcast_to(getattr(lock, n), (size,))[places] for n in _ARRAYS})


def _quantiles(
    lock: Lock, answer: Answer, levels: tuple[float, ...], draws: int
) -> NDArray[np.float64]:
    """Return the quantiles of the wait at the estimate, shape (points, levels).

    The form for one hold takes one law for all that it is given: points with woken faults in the wait
    are asked apart from those without, as `predict` asks each by itself.
    """
    central = _taken(lock, slice(None, None, draws))
    out = np.full((central.exclusive.size, len(levels)), math.nan)
    parts = [np.ones(len(out), dtype=bool)]
    stream = lock.fault_threads is None and lock.writer_rate is None and lock.writer_threads == 1
    if stream and lock.io_share == 0 and lock.affected > 0:
        rate = float(lock.fault_rate or 0.0) * lock.affected
        drain = drain_open(rate, 1.0 / central.read_hold).mean
        with np.errstate(invalid="ignore"):
            late = answer.acquire[::draws] / lock.sections > _ALONE * drain
        parts = [late, ~late]
    for part in parts:
        if part.any():
            told = solve(_taken(central, part), levels).wait_quantiles
            out[part] = np.stack([told[q] for q in levels], axis=-1)
    return out


def _answer(plan: Plan, laid: _Laid, count: int) -> Found:
    """Answer some points: `predict`, over arrays."""
    scenario, draws = laid.scenario, laid.draws
    shape = (count, draws)

    def grid(values: Any) -> NDArray[np.float64]:
        return np.broadcast_to(np.asarray(values, dtype=float), (count * draws,)).reshape(shape)

    found = Found({})
    policies = scenario.policies
    columns: dict[str, list[NDArray[Any]]] = {}
    answers, locks, lost = [], [], {}
    with np.errstate(all="ignore"):
        holds = [_held(laid, p) for p in policies]
        reference = holds[policies.index(Policy.NONE)]
        for policy, held in zip(policies, holds, strict=True):
            lock = lock_question(scenario, held, laid.constants)
            if laid.think_ns is not None:
                lock = replace(
                    lock, writer_think=laid.think_ns + (held.call - held.exclusive - held.shared)
                )
            answer = solve(lock, levels=())
            locks.append(lock)
            answers.append(answer)
            account, _ = account_of(scenario, answer, held, reference, laid.constants)
            lost[policy] = LOST_TIME(**account)
        none = answers[policies.index(Policy.NONE)]
        for policy, held, lock, answer in zip(policies, holds, locks, answers, strict=True):
            reason = not_applicable(scenario, policy)
            if reason:
                found.reasons[policy.value, reason] += count
            else:
                found.solvers.add(answer.solver)
                found.errors.add(answer.stated_error)
                for text, met in answer.region.conditions.items():
                    broken = int((~np.broadcast_to(met, (count * draws,))[::draws]).sum())
                    if broken:
                        found.broken[text] += broken
            gain = grid(NET_GAIN(lost_time_none=lost[Policy.NONE], lost_time=lost[policy]))
            given = {
                "exclusive": held.exclusive, "shared": held.shared, "call": held.call,
                "acquire": answer.acquire, "wait_mean": answer.wait_mean,
                "blocked_share": answer.blocked_share, "lost_time": lost[policy], "net_gain": gain,
                "fault_throughput": answer.fault_rate * 1e9, "call_throughput": answer.call_rate * 1e9,
                "throughput_gain": np.full(shape, math.nan) if scenario.faults.open
                else answer.fault_rate / none.fault_rate - 1.0,
            }  # fmt: skip
            for name, values in given.items():
                columns.setdefault(name, []).append(grid(values.reshape(-1)))
            lacking = ~np.isfinite(gain[:, 0])
            if not reason and lacking.any():
                found.reasons[policy.value, unknown_constants(scenario)] += int(lacking.sum())
            inside = np.broadcast_to(answer.valid, (count * draws,))[::draws]
            columns.setdefault("inside_stated_region", []).append(inside & ~lacking)
            if "wait_quantile" in plan.variables:
                columns.setdefault("wait_quantile", []).append(
                    _quantiles(lock, answer, plan.levels, draws)
                )
        realised = _realised(scenario, locks, answers, draws)
    stacked = {name: np.stack(values, axis=1) for name, values in columns.items()}
    return summed(plan, scenario, stacked, realised, none, found)


def unknown_constants(scenario: Scenario) -> str:
    """Say why a call that a policy applies to has no answer."""
    machine = scenario.machine
    names = [n for n in machine.values() if not math.isfinite(machine.value(n))]
    return "the profile does not know " + ", ".join(names) if names else "the model gives no number"


def words_of(scenario: Scenario, machine: Machine) -> tuple[set[str], set[str], list[str]]:
    """Return who answers a stream of faults, the stated errors, and their conditions in order.

    The two conditions about woken faults come first, that about sections last; empty words stand for
    conditions that the kernel's readers, who spin, do not need. They do not depend on the machine, nor
    on how large the call is: any machine will do, and few scenarios are asked.
    """
    call = replace(scenario.call, pages=scenario.call.vmas, splits=0, merges=0, remote_cpus=0)
    faults = replace(scenario.faults, rate=1e4, same_vma=1.0, first_touch=0.0)
    writers = replace(scenario.writers, think_us=200.0)
    return _words(
        replace(scenario, machine=machine, call=call, faults=faults, writers=writers, cpus=2)
    )


@lru_cache(maxsize=256)
def _words(scenario: Scenario) -> tuple[set[str], set[str], list[str]]:
    constants = scenario.machine.draws(1)
    solvers, errors, conditions = set(), set(), ["", ""]
    for policy in scenario.policies:
        if not_applicable(scenario, policy):
            continue
        answer = solve(lock_question(scenario, hold(scenario, policy, constants), constants), ())
        solvers.add(answer.solver)
        errors.add(answer.stated_error)
        told = [c for c in answer.region.conditions if c != SEVERAL_SECTIONS]
        conditions = told if len(told) == 2 else conditions
    return solvers, errors, [*conditions, SEVERAL_SECTIONS]


def _realised(
    scenario: Scenario, locks: list[Lock], answers: list[Answer], draws: int
) -> NDArray[np.float64]:
    """Return the share of the throughput gained that arrives, as `predict` does; (points, policies)."""
    count = locks[0].exclusive.size // draws
    out = np.ones((count, len(locks)))
    threads = (scenario.faults.threads or 0) + (scenario.writers.threads or 0)
    if locks[0].cpus is None or threads <= scenario.cpus:
        return out
    place = scenario.policies.index(Policy.NONE)
    free = [solve(replace(_taken(lock, slice(None, None, draws)), cpus=None), ()) for lock in locks]
    for i, (limited, unlimited) in enumerate(zip(answers, free, strict=True)):
        here = limited.fault_rate[::draws] / answers[place].fault_rate[::draws] - 1.0
        there = unlimited.fault_rate / free[place].fault_rate - 1.0
        out[:, i] = np.where(np.abs(there) > _NO_GAIN, here / there, math.nan)
    return out


#: Relative changes of throughput below this are rounding, as in `perfmodel.prediction`.
_NO_GAIN = 1e-6


def summed(
    plan: Plan, scenario: Scenario, columns: dict[str, NDArray[Any]],
    realised: NDArray[np.float64], none: Answer, found: Found,
) -> Found:  # fmt: skip
    """Make the variables out of points, policies and draws."""
    draws, policies = plan.draws, scenario.policies
    gain = columns["net_gain"]
    interval, pays = spread(gain)
    pays[:, policies.index(Policy.NONE)] = math.nan
    safe = [safety(scenario.kernel, scenario.call, p).safe for p in policies]
    threads = scenario.cpus
    if scenario.faults.threads is not None:
        threads = scenario.faults.threads + (scenario.writers.threads or 1)
    count = len(gain)
    calls, blocked = (
        np.broadcast_to(v, (count * draws,))[::draws] for v in (none.call_rate, none.blocked)
    )
    values: dict[str, Any] = judged(scenario, gain[..., 0], pays, calls, threads, realised, safe)
    values |= {
        "p_pays": pays, "realised_share": realised, "safe": np.broadcast_to(safe, (count, len(safe))),
        "stream_overrun": scenario.faults.open & (blocked > scenario.cpus),
        "answered_by": np.zeros(count),
        "wait_quantile": columns.get("wait_quantile"),
        "inside_stated_region": columns["inside_stated_region"],
    }  # fmt: skip
    for name, drawn in columns.items():
        if name not in values:
            values[name] = drawn if plan.keep_draws else drawn[..., 0]
    if draws > 1 and not plan.keep_draws:
        values["net_gain"] = interval
    found.values = {name: values[name] for name in plan.variables}
    return found
