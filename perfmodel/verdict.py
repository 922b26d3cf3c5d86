"""The answer in words and numbers: does a downgrade pay, may it be used, could anyone notice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from perfmodel.results import PolicyResult
from perfmodel.scenario import Policy, Scenario, affected_share

__all__ = ["CUTS", "Verdict", "judge", "time_text"]

#: The policies that are a downgrade of mprotect; the read lock throughout is another design.
CUTS = (Policy.LAST_VMA, Policy.BEFORE_FLUSH, Policy.EVERY_VMA)

#: Probability from which on a sign is taken as known.
SURE = 0.95

#: Coefficient of variation of whole-program runs on a quiet machine, and the runs in each arm that
#: somebody would spend to see an effect. Together they make a gain of less than 0.4 % of the
#: process's thread time "lost in the noise".
RUN_CV = 0.01
RUNS = 100


@dataclass(frozen=True)
class Verdict:
    """The answer.

    Parameters
    ----------
    answer : {"pays", "costs", "lost in the noise", "unsafe", "unknown"}
        ``unsafe`` where the best cut is forbidden by the stale-TLB rule, whatever it would gain.
    if_safe : str
        What the answer would be if nothing forbade the cut.
    policy : str
        The cut that was judged: the one with the largest net gain.
    sentence : str
        The answer to quote.
    best_safe_policy : str
        Of all policies asked, the one with the largest net gain that is safe.
    calls_to_detect : float
        Calls in each arm to see the saving in the blocked time of the single calls (95 %, power
        80 %), the wait for the lock recorded and used as a control; infinite where there is none.
    runs_to_detect : float
        Runs in each arm of a whole-program A/B test to see it, runs varying by 1 %.
    share_of_thread_time : float
        Net gain over the time of all threads between two calls; where there are fewer CPUs than
        threads, the part of it that arrives as throughput.
    realised : float
        That part: 1 with a CPU for every thread.
    ranking : tuple of (str, float)
        All policies that apply and their net gain, ns a call, the best first.
    guarded : str
        The cut and guard with the largest net gain of those that are safe together; empty where
        there is none.
    if_guarded : str
        What the answer would be for it.
    """

    answer: str
    if_safe: str
    policy: str
    sentence: str
    best_safe_policy: str
    calls_to_detect: float = math.inf
    runs_to_detect: float = math.inf
    share_of_thread_time: float = math.nan
    realised: float = 1.0
    ranking: tuple[tuple[str, float], ...] = ()
    guarded: str = ""
    if_guarded: str = "unknown"

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""

        def known(value: float) -> float | None:
            return value if math.isfinite(value) else None

        return {
            "answer": self.answer,
            "if_safe": self.if_safe,
            "policy": self.policy,
            "sentence": self.sentence,
            "best_safe_policy": self.best_safe_policy,
            "calls_to_detect": known(self.calls_to_detect),
            "runs_to_detect": known(self.runs_to_detect),
            "share_of_thread_time": known(self.share_of_thread_time),
            "realised_share": known(self.realised),
            "guarded": self.guarded or None,
            "if_guarded": self.if_guarded if self.guarded else None,
            "ranking": [
                {"policy": policy, "net_gain_ns_per_call": gain} for policy, gain in self.ranking
            ],
        }


def time_text(ns: float) -> str:
    """Write a time with the unit that a person would use, three digits."""
    if not math.isfinite(ns):
        return "unknown"
    size = abs(ns)
    for unit, scale in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if size >= scale:
            return f"{ns / scale:.3g} {unit}"
    return f"{ns:.3g} ns"


def _round(number: float) -> str:
    """Write a large number with two digits that count, and none in exponents a person must undo."""
    return f"{float(f'{number:.2g}'):,.0f}"


def _calls_to_detect(scenario: Scenario, before: PolicyResult, after: PolicyResult) -> float:
    """Return the calls per arm to see the change of the blocked time, the wait as a control."""
    from perfmodel.equations.noise import calls_to_detect

    rate = scenario.faults.rate_per_ns
    if scenario.faults.threads is not None:
        rate = scenario.faults.threads / max(scenario.faults.think_ns, 1.0)
    shared, acquire = float(after.hold.shared[0]), float(after.answer.acquire[0])
    gain = before.answer.blocked_time[0] - after.answer.blocked_time[0]
    if not (gain > 0 and shared > 0 and rate > 0 and math.isfinite(acquire)):
        return math.inf
    found = calls_to_detect(
        rate * affected_share(scenario),
        after.hold.exclusive[0],
        shared,
        acquire,
        # The drain of readers in progress is about exponential.
        2 * acquire**2,
    )
    return float(np.asarray(found.calls_controlled))


def _share_of_thread_time(scenario: Scenario, before: PolicyResult, after: PolicyResult) -> float:
    """Net gain of a call over the time of all threads between two calls.

    An open stream of faults is taken to come from as many threads as there are CPUs.
    """
    threads = scenario.cpus
    if scenario.faults.threads is not None:
        threads = scenario.faults.threads + (scenario.writers.threads or 1)
    calls = float(before.answer.call_rate[0])
    if calls == 0:
        return 0.0  # nobody calls: there is nothing to save
    between = threads / calls
    return float(after.net_gain[0]) / between


def _runs_to_detect(share: float) -> float:
    from perfmodel.equations.noise import runs_to_detect

    if not math.isfinite(share) or share == 0:
        return math.inf
    return float(np.asarray(runs_to_detect(abs(share), RUN_CV)))


def _classify(result: PolicyResult, runs: float) -> str:
    if not math.isfinite(result.net_gain[0]):
        return "unknown"
    if result.p_pays >= SURE and runs <= RUNS:
        return "pays"
    if result.p_pays <= 1 - SURE:
        return "costs"
    return "lost in the noise"


def judge(
    scenario: Scenario,
    results: tuple[PolicyResult, ...],
    guarded: tuple[PolicyResult, ...] = (),
) -> Verdict:
    """Give the verdict over the predicted policies.

    Parameters
    ----------
    scenario : Scenario
    results : tuple of PolicyResult
        Among them the one without a downgrade.
    guarded : tuple of PolicyResult
        Cuts with what a kernel would have to add to make them safe.
    """
    by_policy = {r.policy: r for r in results}
    reference = by_policy[Policy.NONE]
    known = [r for r in results if math.isfinite(r.net_gain[0])]
    safe = [r for r in known if r.safety.safe]
    best_safe = max(safe, key=lambda r: r.net_gain[0]).policy.value if safe else "none"
    cuts = [r for r in known if r.policy in CUTS]
    if not cuts:
        cuts = [r for r in known if r.policy is not Policy.NONE]
    if not cuts:
        nothing = "Nothing to compare: no policy but 'none' applies or can be predicted."
        return Verdict("unknown", "unknown", "none", nothing, best_safe)
    best = max(cuts, key=lambda r: r.net_gain[0])
    ranking = sorted(known, key=lambda r: -r.net_gain[0])
    share, runs, if_safe = _worth(scenario, reference, best)
    answer = if_safe if best.safety.safe or if_safe == "unknown" else "unsafe"
    kept = [r for r in guarded if r.safety.safe and math.isfinite(r.net_gain[0])]
    remedy = max(kept, key=lambda r: r.net_gain[0]) if kept else None
    if_guarded = "unknown" if remedy is None else _worth(scenario, reference, remedy)[2]
    return Verdict(
        answer=answer,
        if_safe=if_safe,
        policy=best.policy.value,
        sentence=_sentence(scenario, best, answer, if_safe, best_safe, share, runs)
        + (_remedy(remedy, if_guarded) if guarded and answer == "unsafe" else "")
        + _ranked(ranking),
        best_safe_policy=best_safe,
        calls_to_detect=_calls_to_detect(scenario, reference, best),
        runs_to_detect=runs,
        share_of_thread_time=share,
        realised=best.realised,
        ranking=tuple((r.policy.value, float(r.net_gain[0])) for r in ranking),
        guarded="" if remedy is None else remedy.name,
        if_guarded=if_guarded,
    )


def _worth(
    scenario: Scenario, reference: PolicyResult, result: PolicyResult
) -> tuple[float, float, str]:
    """Return the share of thread time gained, the runs that it takes to see it, and its class."""
    share = _share_of_thread_time(scenario, reference, result)
    if math.isfinite(result.realised):
        share *= result.realised
    runs = _runs_to_detect(share)
    return share, runs, _classify(result, runs)


def _remedy(result: PolicyResult | None, if_guarded: str) -> str:
    """Say what a downgrade and the guard it needs would do together, against doing nothing."""
    if result is None:
        return " No guard that was tried makes it safe."
    estimate, low, high = result.interval()
    would = {"pays": "pay", "costs": "cost", "lost in the noise": "be lost in the noise"}
    text = (
        f" The best that is safe with a guard, {result.name}, which no kernel has, would"
        f" {would[if_guarded]}: {time_text(estimate)} a call (90 % interval {time_text(low)} to"
        f" {time_text(high)})"
    )
    return text + "."


def _ranked(ranking: list[PolicyResult]) -> str:
    """Return all policies in the order of their net gain; those that gain the same stand together."""
    groups: dict[str, list[str]] = {}
    for result in ranking:
        name = result.policy.value + ("" if result.safety.safe else " (unsafe)")
        groups.setdefault(time_text(float(result.net_gain[0])), []).append(name)
    return " Ranked by gain: " + "; ".join(
        f"{', '.join(names)} {gain}" for gain, names in groups.items()
    ) + "."  # fmt: skip


def _percent(share: float) -> str:
    """Write a share in per cent, two digits; one that nobody could see as that."""
    size = 100 * abs(share)
    if 0 < size < 0.01:
        return "less than 0.01 %"
    return f"{100 * share:.0f} %" if size >= 10 else f"{100 * share:.2g} %"


def _sentence(
    scenario: Scenario, best: PolicyResult, answer: str, if_safe: str, best_safe: str,
    share: float, runs: float,
) -> str:  # fmt: skip
    estimate, low, high = best.interval()
    call = scenario.call
    pages = f"{call.pages} page{'s' if call.pages != 1 else ''}"
    what = f"{call.operation} of {pages}"
    if call.operation == "mprotect":
        what += f", {call.transition}"
    gain = (
        f"{time_text(estimate)} of thread time a call (90 % interval {time_text(low)} to"
        f" {time_text(high)}), {_percent(share)} of the process's"
    )
    verb = {
        "pays": "pays",
        "costs": "costs",
        "lost in the noise": "is lost in the noise",
        "unknown": "cannot be predicted",
    }[if_safe]
    would = {"pays": "pay", "costs": "cost", "lost in the noise": "be lost in the noise"}
    # A simulation's noise may put the share outside: it says nothing then.
    if 0 <= best.realised < 1:
        threads = (scenario.faults.threads or 0) + (scenario.writers.threads or 0)
        gain += (
            f" (of the throughput that this would be with a CPU for each of the {threads} threads,"
            f" {100 * best.realised:.2g} % arrives on {scenario.cpus})"
        )
    text = f"{what} on {scenario.kernel.release}: "
    if answer == "unsafe":
        text += (
            f"the {best.policy.value} downgrade is unsafe as it stands; were it safe it would"
            f" {would[if_safe]}: {gain}. Unsafe because {best.safety.reason}"
        )
    else:
        text += f"the {best.policy.value} downgrade {verb}: {gain}"
        if scenario.call.operation == "mprotect":
            text += ". It is not what mprotect does; nobody in the model of the stale TLB breaks it"
    if if_safe == "lost in the noise" and math.isfinite(runs):
        text += f"; an A/B test would need {_round(runs)} runs an arm to see it"
    if best_safe != best.policy.value:
        name = "no downgrade" if best_safe == Policy.NONE.value else best_safe
        text += f". Best safe policy: {name}"
    return text + "."
