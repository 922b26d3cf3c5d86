"""Scenario to prediction: hold, blocked faults, throughput and net gain of every policy."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.hold import Hold, holds, not_applicable
from perfmodel.results import LEVEL, PolicyResult
from perfmodel.rwlock.lock import LEVELS, Answer, Lock
from perfmodel.scenario import Policy, Scenario, affected_share
from perfmodel.stale_tlb import safety

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from perfmodel.verdict import Verdict

__all__ = ["Prediction", "account_of", "lock_question", "predict"]

#: Draws of the machine's constants behind an interval.
DRAWS = 400

SCHEMA = "perfmodel.prediction/1"


def lock_question(
    scenario: Scenario, held: Hold, constants: Mapping[str, NDArray[np.float64]]
) -> Lock:
    """Return the queueing question that a scenario and a hold pose.

    Parameters
    ----------
    scenario : Scenario
    held : Hold
        Arrays of shape (draws,).
    constants : mapping of str to ndarray of shape (draws,)
        The machine, ns.
    """
    faults, writers = scenario.faults, scenario.writers
    outside = held.call - held.exclusive - held.shared
    # A stream says nothing of the threads behind it, so nothing of the CPUs they need.
    closed = faults.threads is not None and writers.threads is not None
    return Lock(
        exclusive=held.exclusive / held.sections,
        shared=held.shared / held.sections,
        sections=held.sections,
        read_hold=constants["fault_hold"],
        fault_threads=faults.threads,
        fault_think=faults.think_ns,
        fault_rate=None if faults.rate is None else faults.rate_per_ns,
        affected=affected_share(scenario, held.policy),
        io_share=faults.io_share,
        io_time=faults.io_ns,
        writer_threads=writers.threads or 1,
        writer_think=writers.think_ns + outside,
        writer_rate=None if writers.rate is None else writers.rate_per_ns,
        wake_latency=constants["wake_latency"],
        wake_serial=constants["wake_serial"],
        readers_sleep=not scenario.kernel.reader_spin,
        cpus=scenario.cpus if closed else None,
    )


def _line(
    scenario: Scenario, answers: Sequence[Answer], held: Sequence[Hold],
    constants: Mapping[str, NDArray[np.float64]],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:  # fmt: skip
    """Marginal cost of one more locked operation, probability of a transfer, utilisation.

    One row a policy.
    """
    from perfmodel.equations.cacheline import extra_transfers, line_utilisation, marginal_cost

    touching = np.stack([
        answer.fault_rate * affected_share(scenario, one.policy)
        for answer, one in zip(answers, held, strict=True)
    ])  # fmt: skip
    users = float(scenario.cpus)
    if scenario.faults.threads is not None:
        users = float(min(scenario.faults.threads + (scenario.writers.threads or 1), scenario.cpus))
    passes = touching + np.stack([answer.call_rate for answer in answers])
    with np.errstate(all="ignore"):
        think = np.where(passes > 0, users / np.where(passes > 0, passes, 1.0), 1e12)
    ops = float(scenario.kernel.locked_ops("read"))
    transfer = constants["line_transfer"]
    omega = marginal_cost(users, think, ops, transfer)
    away = extra_transfers(
        touching, np.stack([h.exclusive for h in held]), np.stack([h.shared for h in held])
    )
    busy = line_utilisation(users, think[:, :1], ops, transfer[:1])
    return omega, away, busy


def account_of(
    scenario: Scenario, answer: Answer, held: Hold, reference: Hold,
    constants: Mapping[str, NDArray[np.float64]],
) -> tuple[dict[str, NDArray[np.float64]], float]:  # fmt: skip
    """Return where the thread time of one call goes, ns by term, and how busy the lock's line is.

    Parameters
    ----------
    scenario : Scenario
    answer : Answer
        Of the lock, for the policy.
    held, reference : Hold
        Of the policy, and without a downgrade.
    constants : mapping of str to ndarray of shape (draws,)
        The machine, ns.
    """
    return accounts_of(scenario, [answer], [held], reference, constants)[0]


def accounts_of(
    scenario: Scenario, answers: Sequence[Answer], held: Sequence[Hold], reference: Hold,
    constants: Mapping[str, NDArray[np.float64]],
) -> list[tuple[dict[str, NDArray[np.float64]], float]]:  # fmt: skip
    """Return the accounts of several policies, each as `account_of` does; no equation is asked twice."""
    from perfmodel.equations.account import LINE_TIME, WAKER_TIME
    from perfmodel.rwlock import any_woken

    omega, away, busy = _line(scenario, answers, held, constants)
    blocked = np.stack([answer.blocked for answer in answers])
    sleepers = (0.0 if scenario.kernel.reader_spin else 1.0) * blocked
    sections = np.array([float(h.sections) for h in held])[..., None]
    extra = np.array([float(max(h.lock_ops - reference.lock_ops, 0)) for h in held])[..., None]
    waker = WAKER_TIME(
        woken=sleepers,
        any_woken=any_woken(sleepers / sections, scenario.faults.threads),
        wake_kick=constants["wake_kick"],
        wake_serial=constants["wake_serial"],
    )
    line = LINE_TIME(
        extra_line_ops=extra,
        extra_transfer=away,
        omega=np.maximum(omega, constants["rmw_local"]),
        rmw_local=constants["rmw_local"],
        slowpath_ops_each=scenario.kernel.blocked_reader_ops,
        woken=blocked,
    )
    return [
        (
            {
                "blocked_time": answer.blocked_time,
                "wake_time": answer.wake_time,
                "waker_time": waker[k],
                "line_time": line[k],
                "caller_time": answer.acquire + one.call,
                "guard_time": np.zeros_like(one.call),
            },
            float(busy[k, 0]),
        )
        for k, (answer, one) in enumerate(zip(answers, held, strict=True))
    ]


@dataclass(frozen=True, eq=False)
class Prediction:
    """Everything predicted of a scenario.

    Parameters
    ----------
    scenario : Scenario
    results : tuple of PolicyResult
        In the order of the scenario's policies.
    verdict : Verdict
    warnings : tuple of str
        Where the answer leaves the region in which its error is known, and other reservations.
    guarded : tuple of PolicyResult
        The cuts of mprotect with what a kernel would have to add to make them safe.
    """

    scenario: Scenario
    results: tuple[PolicyResult, ...]
    verdict: Verdict
    warnings: tuple[str, ...]
    guarded: tuple[PolicyResult, ...] = ()

    def __getitem__(self, policy: Policy | str) -> PolicyResult:
        wanted = Policy(policy) if isinstance(policy, str) else policy
        for result in self.results:
            if result.policy is wanted:
                return result
        raise KeyError(wanted.value)

    def to_dataset(self) -> xr.Dataset:
        """Return the prediction as labelled arrays over policy, draw and quantile level.

        Times are ns, throughputs per second; every variable names its unit.
        """
        import xarray as xr

        results = self.results
        stack: dict[str, tuple[tuple[str, ...], Any, str]] = {}
        picks: tuple[tuple[str, str, Callable[[PolicyResult], Any]], ...] = (
            ("exclusive", "ns", lambda r: r.hold.exclusive),
            ("shared", "ns", lambda r: r.hold.shared),
            ("call", "ns", lambda r: r.hold.call),
            ("acquire", "ns", lambda r: r.answer.acquire),
            ("wait_mean", "ns", lambda r: r.answer.wait_mean),
            ("blocked_share", "1", lambda r: r.answer.blocked_share),
            ("fault_throughput", "1/s", lambda r: r.answer.fault_rate * 1e9),
            ("call_throughput", "1/s", lambda r: r.answer.call_rate * 1e9),
            ("lost_time", "ns", lambda r: r.lost_time),
            ("net_gain", "ns", lambda r: r.net_gain),
        )
        for name, unit, pick in picks:
            arrays = np.broadcast_arrays(*(pick(r) for r in results), results[0].net_gain)[:-1]
            stack[name] = (("policy", "draw"), np.stack(arrays), unit)
        levels = list(results[0].answer.wait_quantiles)
        stack["wait_quantile"] = (
            ("policy", "level"),
            np.array([[r.answer.wait_quantiles[q][0] for q in levels] for r in results]),
            "ns",
        )
        return xr.Dataset(
            {name: xr.DataArray(data, dims=dims, attrs={"units": unit})
             for name, (dims, data, unit) in stack.items()},
            coords={
                "policy": [r.policy.value for r in results],
                "level": levels,
                "draw": np.arange(results[0].net_gain.size),
                "safe": ("policy", [r.safety.safe for r in results]),
            },
            attrs={"scenario": self.scenario.to_json(), "draw_0": "central estimate"},
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Return the prediction as JSON-ready values; what is unknown is None."""
        none = self[Policy.NONE].answer
        return {
            "schema": SCHEMA,
            "scenario": self.scenario.to_dict(),
            "machine": {
                "name": self.scenario.machine.name,
                "evidence": self.scenario.machine.evidence,
                "sha256": self.scenario.machine.sha256,
            },
            "policies": [_result_dict(r) for r in self.results],
            "guarded": [_guarded_dict(r) for r in self.guarded],
            "verdict": self.verdict.to_dict(),
            "solver": none.solver,
            "discipline": "rwsem",
            "stated_error": none.stated_error,
            "warnings": list(self.warnings),
        }

    # Terminals and notebooks ask the object itself how to show it: the one place where a result
    # knows of a view, and only when it is shown.
    def __rich__(self) -> Any:
        from perfmodel.report import prediction_table

        return prediction_table(self)

    def _repr_html_(self) -> str:
        from perfmodel.report import prediction_html

        return prediction_html(self)


def _number(value: Any) -> float | None:
    number = float(np.asarray(value).reshape(-1)[0])
    return number if math.isfinite(number) else None


def _result_dict(result: PolicyResult) -> dict[str, Any]:
    estimate, low, high = result.interval()
    answer = result.answer
    return {
        "policy": result.policy.value,
        "safe": result.safety.safe,
        "why_unsafe": None if result.safety.safe else result.safety.reason,
        "not_applicable": result.reason or None,
        "exclusive_ns": _number(result.hold.exclusive),
        "shared_ns": _number(result.hold.shared),
        "call_ns": _number(result.hold.call),
        "acquire_ns": _number(answer.acquire),
        "fault_wait_ns": {"mean": _number(answer.wait_mean)}
        | {f"p{100 * q:g}": _number(v) for q, v in answer.wait_quantiles.items()},
        "blocked_share": _number(answer.blocked_share),
        "faults_per_s": _number(answer.fault_rate * 1e9),
        "calls_per_s": _number(answer.call_rate * 1e9),
        "locked_ops": result.hold.lock_ops,
        "net_gain_ns_per_call": {
            "estimate": _number(estimate), "low": _number(low), "high": _number(high),
            "level": LEVEL,
        },
        "p_pays": _number(result.p_pays),
        "throughput_gain": _number(result.throughput_gain),
        "realised_share": _number(result.realised),
        "account_ns": {name: _number(value) for name, value in result.account.items()},
    }  # fmt: skip


def _guarded_dict(result: PolicyResult) -> dict[str, Any]:
    """Return a cut with its guard: what differs from the cut as it stands."""
    whole = _result_dict(result)
    names = (
        "policy", "safe", "why_unsafe", "exclusive_ns", "shared_ns", "call_ns",
        "net_gain_ns_per_call", "p_pays", "account_ns",
    )  # fmt: skip
    kept = {name: whole[name] for name in names}
    return {
        "policy": kept.pop("policy"),
        "guard": result.guard,
        "wp_share_limit": _number(result.wp_share_limit),
        **kept,
    }


def predict(
    scenario: Scenario,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    levels: tuple[float, ...] = LEVELS,
    solver: str = "auto",
    guards: bool = True,
) -> Prediction:
    """Predict every policy of a scenario and give the verdict.

    Parameters
    ----------
    scenario : Scenario
        The question.
    draws : int
        Draws of the machine's constants; 1 gives the central estimate alone, without intervals.
    seed : int
        Seed of the draws. All policies see the same draws: their differences are paired.
    levels : tuple of float
        Quantiles of the wait to give. They take most of the time: none makes it several times
        faster.
    solver : {"auto", "closed", "chain", "simulation"}
        Who answers the lock's questions: see :mod:`perfmodel.rwlock.fallback`. ``closed`` is the
        quickest and says where its error is not known.
    guards : bool
        Whether the cuts are also predicted with the guards that would make them safe.

    Returns
    -------
    Prediction
        NaN, with the reason among the warnings, where a constant that matters is unknown.
    """
    from perfmodel.equations.account import LOST_TIME, NET_GAIN
    from perfmodel.rwlock.fallback import answer_all
    from perfmodel.verdict import judge

    constants = scenario.machine.draws(draws, seed=seed)
    policies = (Policy.NONE, *(p for p in scenario.policies if p is not Policy.NONE))
    held_by = holds(scenario, policies, constants)
    locks = [lock_question(scenario, held, constants) for held in held_by]
    asked = answer_all(locks, solver, levels, seed=seed)
    realised = _realised(scenario, locks, asked.answers, solver)
    reference, none = held_by[0], asked.answers[0]
    accounts = accounts_of(scenario, asked.answers, held_by, reference, constants)
    results: list[PolicyResult] = []
    lost_none = None
    for i, (policy, held, answer) in enumerate(zip(policies, held_by, asked.answers, strict=True)):
        account, busy = accounts[i]
        lost = LOST_TIME(**account)
        lost_none = lost if lost_none is None else lost_none
        results.append(
            PolicyResult(
                policy=policy,
                safety=safety(scenario.kernel, scenario.call, policy),
                hold=held,
                answer=answer,
                lost_time=lost,
                net_gain=NET_GAIN(lost_time_none=lost_none, lost_time=lost),
                account=account,
                line_utilisation=busy,
                throughput_gain=_throughput_gain(scenario, none, answer),
                realised=realised[i],
                reason=not_applicable(scenario, policy),
            )
        )
    order = {p: i for i, p in enumerate(scenario.policies)}
    ordered = tuple(sorted(results, key=lambda r: order[r.policy]))
    guarded = _guarded(scenario, ordered, constants, solver, seed) if guards else ()
    return Prediction(
        scenario=scenario,
        results=ordered,
        verdict=judge(scenario, ordered, guarded),
        warnings=(*((asked.reason,) if asked.reason else ()), *_warnings(scenario, ordered)),
        guarded=guarded,
    )


def _guarded(
    scenario: Scenario, results: tuple[PolicyResult, ...],
    constants: Mapping[str, NDArray[np.float64]], solver: str, seed: int,
) -> tuple[PolicyResult, ...]:  # fmt: skip
    """Predict the cuts with the guards that would make them safe.

    A guard that leaves the hold as it is leaves the lock's answer as it is. Where it does not, the
    lock and the one without a downgrade are asked again together: one solver answers both.
    """
    from perfmodel.equations.account import LOST_TIME, NET_GAIN
    from perfmodel.guards import guard_time, guarded_hold, variants, wp_share_limit
    from perfmodel.rwlock.fallback import answer_all

    by_policy = {r.policy: r for r in results}
    reference = by_policy[Policy.NONE]
    if not np.isfinite(reference.net_gain[0]):
        return ()
    asked = [(v, guarded_hold(scenario, v, constants)) for v in variants(scenario)]
    others = [h for v, h in asked if not (h.same_lock(by_policy[v.policy].hold)
                                          or h.same_lock(reference.hold))]  # fmt: skip
    locks = [lock_question(scenario, h, constants) for h in (reference.hold, *others)]
    told = iter(answer_all(locks, solver, (), seed=seed).answers if others else ())
    none = next(told, reference.answer)
    before, _ = account_of(scenario, none, reference.hold, reference.hold, constants)
    found = []
    for variant, held in asked:
        cut = by_policy[variant.policy]
        lost_none = reference.lost_time
        if held.same_lock(cut.hold):
            answer = cut.answer
        elif held.same_lock(reference.hold):
            answer = reference.answer
        else:
            answer, lost_none = next(told), LOST_TIME(**before)
        account, busy = account_of(scenario, answer, held, reference.hold, constants)
        account["guard_time"] = guard_time(scenario, variant, held, answer, constants)
        lost = LOST_TIME(**account)
        gain = NET_GAIN(lost_time_none=lost_none, lost_time=lost)
        found.append(
            replace(
                cut,
                safety=variant.safety,
                hold=held,
                answer=answer,
                lost_time=lost,
                net_gain=gain,
                account=account,
                line_utilisation=busy,
                throughput_gain=np.full_like(lost, math.nan),
                guard=variant.guard,
                wp_share_limit=wp_share_limit(scenario, variant, answer, float(gain[0])),
            )
        )
    return tuple(found)


def _throughput_gain(scenario: Scenario, none: Answer, answer: Answer) -> NDArray[np.float64]:
    """Relative change of the faults a second; NaN for an open stream, which passes whatever waits."""
    if scenario.faults.open:
        return np.full_like(answer.fault_rate, math.nan)
    with np.errstate(all="ignore"):
        return np.asarray(answer.fault_rate / none.fault_rate - 1.0)


def _realised(
    scenario: Scenario, locks: list[Lock], answers: tuple[Answer, ...], solver: str
) -> list[float]:
    """Share of the throughput that would be gained with a CPU for every thread; 1 where there is.

    A blocked thread releases its CPU to another one, so with fewer CPUs than threads most of the
    time that it is blocked is not lost.
    """
    from perfmodel.rwlock.fallback import answer_all, central

    threads = (scenario.faults.threads or 0) + (scenario.writers.threads or 0)
    if locks[0].cpus is None or threads <= scenario.cpus:
        return [1.0] * len(locks)
    free = answer_all([replace(central(lock), cpus=None) for lock in locks], solver, ()).answers
    shares = []
    for limited, unlimited in zip(answers, free, strict=True):
        here = float(_throughput_gain(scenario, answers[0], limited)[0])
        there = float(_throughput_gain(scenario, free[0], unlimited)[0])
        shares.append(here / there if abs(there) > _NO_GAIN else math.nan)
    return shares


#: Relative changes of throughput below this are rounding: their ratio says nothing.
_NO_GAIN = 1e-6


def _warnings(scenario: Scenario, results: tuple[PolicyResult, ...]) -> tuple[str, ...]:
    outside: dict[str, list[str]] = {}
    for result in results:
        for why in () if result.reason else result.answer.broken:
            outside.setdefault(why, []).append(result.policy.value)
    warnings = [
        f"{', '.join(names)}: outside the region of the stated error: not so that {why}"
        for why, names in outside.items()
    ]
    warnings += [f"{r.policy.value}: does not apply: {r.reason}" for r in results if r.reason]
    machine = scenario.machine
    remote = scenario.remote_cpus
    constants = {"shootdown_more"} if remote > 1 else set()
    if any(np.isnan(r.hold.call[0]) and not r.reason for r in results):
        unknown = [n for n, c in machine.constants.items() if c.value is None]
        warnings.append(
            "the call needs a constant that the profile does not know; unknown are: "
            + "; ".join(f"{n} ({machine.reason(n)})" for n in unknown)
        )
    for name in sorted(constants):
        constant = machine.constants.get(name)
        if constant is not None and constant.source.startswith("assumed"):
            warnings.append(
                f"{remote:g} remote CPUs: {name} is {constant.source}; the interval carries its spread"
            )
    if scenario.faults.open and float(results[0].answer.blocked[0]) > scenario.cpus:
        warnings.append(
            f"{float(results[0].answer.blocked[0]):.3g} faults blocked by one call, on"
            f" {scenario.cpus} CPUs: no open stream goes on like that; give the number of threads"
        )
    threads = (scenario.faults.threads or 0) + (scenario.writers.threads or 0)
    if threads > scenario.cpus:
        freed = f"{threads} threads share {scenario.cpus} CPUs: a blocked thread frees its CPU"
        if scenario.faults.open or scenario.writers.open:
            warnings.append(f"{freed}, which a stream says nothing of; give the number of threads")
        else:
            warnings.append(
                f"{freed}, so throughput gains less than the thread time saved: the net gain counts"
                " thread time, the faults a second what arrives"
            )
    if results and results[0].line_utilisation > 0.95:
        warnings.append(
            "the lock's line is more than 95 % busy: the cost of the extra operation is not"
            " predicted well there"
        )
    return tuple(dict.fromkeys(warnings))
