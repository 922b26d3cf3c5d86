"""A cut with a guard that would make it safe: which guards there are, and what each one costs.

A guard is a change to the kernel that nobody has made. Its cost is a term of the account of one call
(``guard_time``) and, where it changes when a call flushes, another hold. What it does to the safety of
the cut is asked of :mod:`perfmodel.stale_tlb`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.hold import Hold, hold
from perfmodel.scenario import Policy, Scenario, affected_share
from perfmodel.stale_tlb import GUARDS, Safety, guarded_safety

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from perfmodel.equations.guard import Guard
    from perfmodel.rwlock.lock import Answer

__all__ = [
    "GUARDED",
    "SINGLE",
    "Variant",
    "guard_time",
    "guarded_hold",
    "variants",
    "wp_share_limit",
]

#: The cuts that guards are tried with.
GUARDED = (Policy.LAST_VMA, Policy.BEFORE_FLUSH)

#: The guards, without the nested flush that some cuts need besides.
SINGLE = ("pending-check", "mark", "flush-in-ptl", "one-pmd", "generation")

#: Guards whose price follows from the share of write-protect faults.
_BY_WP_SHARE = ("pending-check", "mark", "generation")


@dataclass(frozen=True)
class Variant:
    """A cut with a guard.

    Parameters
    ----------
    policy : Policy
        The cut.
    guard : str
        A guard's name; ``+nested`` besides, where the guard alone does not do: then mprotect also
        flushes where it found nothing to change but another flush is pending, as it does from 5.19.
    safety : Safety
        Whether somebody breaks the cut with the guard.
    """

    policy: Policy
    guard: str
    safety: Safety

    @property
    def single(self) -> str:
        """The guard without the nested flush."""
        return self.guard.removesuffix("+nested")


def variants(scenario: Scenario) -> tuple[Variant, ...]:
    """Return the guarded cuts that a scenario's policies suggest: those of an mprotect that changes."""
    call = scenario.call
    if call.operation != "mprotect" or call.transition == "same-flags":
        return ()
    found = []
    for policy in GUARDED:
        for guard in SINGLE if policy in scenario.policies else ():
            safety = guarded_safety(scenario.kernel, call, policy, guard)
            found.append(Variant(policy, guard, safety))
            if not safety.safe and f"{guard}+nested" in GUARDS:
                more = guarded_safety(scenario.kernel, call, policy, f"{guard}+nested")
                if more.safe:
                    found[-1] = Variant(policy, f"{guard}+nested", more)
    return tuple(found)


def guarded_hold(
    scenario: Scenario, variant: Variant, constants: Mapping[str, NDArray[np.float64]]
) -> Hold:
    """Return the hold of a cut with its guard.

    Parameters
    ----------
    scenario : Scenario
    variant : Variant
    constants : mapping of str to ndarray of shape (draws,)
        The machine, ns.
    """
    if variant.single == "one-pmd" and scenario.call.page_tables > 1:
        return hold(scenario, Policy.NONE, constants)  # it leaves such a call alone
    each = variant.single in ("flush-in-ptl", "one-pmd")
    return hold(scenario, variant.policy, constants, each_table=each)


def guard_time(
    scenario: Scenario,
    variant: Variant,
    held: Hold,
    answer: Answer,
    constants: Mapping[str, NDArray[np.float64]],
    wp_share: Any = None,
) -> NDArray[np.float64]:
    """Return the thread time that a guard costs a call, beyond what its hold says, ns.

    Reading the count of pending flushes or a generation is taken to cost no more than a locked
    operation of a line that the CPU has, and fetching the count's line what fetching the lock's does.
    A call that finds nothing to change and another flush pending (``+nested``) flushes for it: nobody
    but the calls themselves is in a scenario, and they exclude each other, so it never does here.

    Parameters
    ----------
    scenario : Scenario
    variant : Variant
    held : Hold
        As `guarded_hold` gives it.
    answer : Answer
        Of the lock under that hold.
    constants : mapping of str to ndarray of shape (draws,)
        The machine, ns.
    wp_share : array_like, optional
        Instead of the scenario's; against the central draw alone if it has several values.

    Returns
    -------
    ndarray
        NaN where a constant that matters is unknown.
    """
    from perfmodel.equations.guarded import GENERATION_TIME, MARK_TIME, TABLE_WAIT

    share = scenario.faults.wp_share if wp_share is None else wp_share
    affected = affected_share(scenario, variant.policy)
    shared, woken = held.shared, answer.blocked
    rates = {"lambda_r": affected * answer.fault_rate, "lambda_w": answer.call_rate}
    hits = min(scenario.faults.same_vma / affected, 1.0) if affected > 0 else 0.0
    let_in = {"woken": woken, "shared": shared, "on_call": hits, "lambda_r": rates["lambda_r"]}
    tables = scenario.call.page_tables
    if variant.single == "one-pmd" and tables > 1:
        return np.zeros_like(held.call)
    if variant.single in ("flush-in-ptl", "one-pmd"):
        if not np.any(held.spent("flush", "shootdown", mode="shared")):
            return np.zeros_like(held.call)  # every fault is let in after the flushes
        each = held.spent("flush", "shootdown") / tables
        return np.asarray(TABLE_WAIT(table_flush=each, **let_in))
    if variant.single == "pending-check":
        looking = share * answer.fault_rate
        price = _pending_check(scenario, held, answer, constants, looking, share, affected)
        return np.asarray(price.per_call)
    if variant.single == "mark":
        # Only who meets a mark reads the count.
        entries = _entries(scenario)
        looking = np.minimum(entries * rates["lambda_w"], share * hits * rates["lambda_r"])
        price = _pending_check(scenario, held, answer, constants, looking, share, affected)
        return np.asarray(
            MARK_TIME(
                wp_share=share,
                entries=entries,
                load=price.load,
                lambda_w=rates["lambda_w"],
                **let_in,
            )
        )
    return np.asarray(
        GENERATION_TIME(
            wp_share=share,
            tables=tables,
            load_hit=constants["rmw_local"],
            fault_hold=constants["fault_hold"],
            shared_walk=held.spent("step", "walk_start", "walk", mode="shared"),
            lambda_w=rates["lambda_w"],
            **let_in,
        )
    )


def _entries(scenario: Scenario) -> float:
    from perfmodel.equations.hold import HUGE_PAGES

    call = scenario.call
    return call.present_pages / (HUGE_PAGES if call.huge else 1)


def _pending_check(
    scenario: Scenario, held: Hold, answer: Answer,
    constants: Mapping[str, NDArray[np.float64]], looking: Any, wp_share: Any, affected: float,
) -> Guard:  # fmt: skip
    """Return the price of looking at the count of pending flushes `looking` times per ns.

    The count goes up before the first VMA is changed from 5.19 on, before each walk until then.
    """
    from perfmodel.equations.guard import guard

    window = held.spent("step", "walk_start", "walk", "flush", "shootdown")
    if not scenario.kernel.flush_in_loop:
        window = window + held.spent("prepare")
    threads = scenario.faults.threads or scenario.cpus
    entering = answer.blocked + affected * answer.fault_rate * held.shared
    return guard(
        looking,
        answer.call_rate,
        window,
        threads=min(threads, scenario.cpus),
        remote_cpus=scenario.remote_cpus,
        line_transfer=constants["line_transfer"],
        load_hit=constants["rmw_local"],
        flush_page=constants["flush_page"],
        shootdown=constants["shootdown"],
        shootdown_more=constants["shootdown_more"],
        released=np.asarray(wp_share) * entering,
        excluded=affected,
    )


def wp_share_limit(scenario: Scenario, variant: Variant, answer: Answer, gain: float) -> float:
    """Return the share of write-protect faults up to which a guarded cut gains, central estimate.

    Parameters
    ----------
    scenario : Scenario
    variant : Variant
    answer : Answer
        As in `guard_time`.
    gain : float, ns
        Net gain at the scenario's own share.

    Returns
    -------
    float
        1 where it gains whatever the share, 0 where it never does, NaN where the price does not
        follow from that share or is unknown.
    """
    if variant.single not in _BY_WP_SHARE or not math.isfinite(gain):
        return math.nan
    constants = scenario.machine.draws(1)
    held = guarded_hold(scenario, variant, constants)
    names = ("blocked", "fault_rate", "call_rate")
    one = replace(answer, **{name: getattr(answer, name)[:1] for name in names})
    grid = np.concatenate([[0.0], np.geomspace(1e-6, 1.0, 241)])
    own = guard_time(scenario, variant, held, one, constants)
    left = gain + float(own[0]) - guard_time(scenario, variant, held, one, constants, grid)
    if not np.isfinite(left).all():
        return math.nan
    if left[-1] > 0:
        return 1.0
    if left[0] <= 0:
        return 0.0
    last = int(np.argmax(left <= 0)) - 1
    return float(np.interp(0.0, -left[last : last + 2], grid[last : last + 2]))
