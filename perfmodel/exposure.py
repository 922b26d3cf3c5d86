"""What an unsafe cut would lose: stores an hour, for who makes the cut although nobody may."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.errors import InputError
from perfmodel.prediction import DRAWS, predict
from perfmodel.quantities import STALE
from perfmodel.results import LEVEL
from perfmodel.scenario import Policy, Scenario
from perfmodel.stale_tlb.boundary import load
from perfmodel.stale_tlb.rules import question_of, safety

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from perfmodel.hold import Hold
    from perfmodel.rwlock.lock import Answer

__all__ = ["NS_PER_HOUR", "Exposure", "broken_by_forced_write", "expected_losses", "lost_stores"]

NS_PER_HOUR = 3.6e12

SCHEMA = "perfmodel.lost-stores/1"

_CUTS = (Policy.LAST_VMA, Policy.BEFORE_FLUSH, Policy.EVERY_VMA)


@dataclass(frozen=True, eq=False)
class Exposure:
    """What one policy would lose; arrays over the draws of the machine, the first its estimate.

    Parameters
    ----------
    policy : Policy
    reason : str
        Why nothing is lost, where nothing is; else why stores are.
    lost : bool
        Whether a forced write can lose a store at all in this release.
    window : ndarray, ns
        Time for which a page of the call is stale and the lock is shared, averaged over the pages.
    per_call : ndarray
        Calls that lose a store, a call.
    per_hour : ndarray
        The same, an hour.
    """

    policy: Policy
    reason: str
    lost: bool
    window: NDArray[np.float64]
    per_call: NDArray[np.float64]
    per_hour: NDArray[np.float64]

    def interval(self) -> tuple[float, float, float]:
        """Return estimate, low and high of the losses an hour."""
        known = self.per_hour[np.isfinite(self.per_hour)]
        if not known.size or not math.isfinite(self.per_hour[0]):
            return math.nan, math.nan, math.nan
        low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return float(self.per_hour[0]), float(low), float(high)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""

        def known(value: float) -> float | None:
            return float(value) if math.isfinite(value) else None

        estimate, low, high = self.interval()
        return {
            "policy": self.policy.value,
            "can_lose_a_store": self.lost,
            "reason": self.reason,
            "window_ns": known(self.window[0]),
            "lost_per_call": known(self.per_call[0]),
            "lost_per_hour": {
                "estimate": known(estimate), "low": known(low), "high": known(high), "level": LEVEL,
            },
            "hours_to_the_first": known(1 / estimate) if estimate > 0 else None,
        }  # fmt: skip


def broken_by_forced_write(scenario: Scenario, policy: Policy) -> bool:
    """Whether the exploration found that a forced write loses a store under a cut."""
    call = scenario.call
    if call.operation != "mprotect" or call.transition == "same-flags":
        return False
    found = load()[question_of(scenario.kernel, call, policy)]
    return any(b.by == ("forced-write",) and b.invariant == "lost-store" for b in found.breaks)


def lost_stores(
    scenario: Scenario,
    *,
    forced_writes_per_s: float,
    stores_per_s: float,
    copy_us: float | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[Exposure, ...]:
    """Predict how many calls an hour would lose a store, for every cut of the scenario.

    Parameters
    ----------
    scenario : Scenario
        An mprotect.
    forced_writes_per_s : float
        Forced writes a second to pages of the call that somebody else refers to, spread evenly.
    stores_per_s : float
        Stores a second to such a page by a CPU that has it cached.
    copy_us : float, optional
        From the copy of a word until the copied page is mapped. Default: the hold of a minor
        fault on this machine, which one that copies exceeds.
    draws, seed : int
        As in `predict`.

    Returns
    -------
    tuple of Exposure
        One for each cut among the scenario's policies.

    Raises
    ------
    InputError
        If a number is out of its domain, or the call is no mprotect.
    """
    if scenario.call.operation != "mprotect":
        raise InputError(
            f"{scenario.call.operation} is not asked about",
            field="call.operation",
            expected="mprotect: the others leave a mark, or detach the VMA first",
        )
    forced = STALE["forced_writes_per_s"].check(forced_writes_per_s) * 1e-9
    stores = STALE["stores_per_s"].check(stores_per_s) * 1e-9
    constants = scenario.machine.draws(draws, seed=seed)
    copy = (
        constants["fault_hold"] if copy_us is None else STALE["copy_us"].check(copy_us) * 1e3
    )  # fmt: skip
    prediction = predict(scenario, draws=draws, seed=seed, levels=(), guards=False)
    found = []
    for result in prediction.results:
        if result.policy not in _CUTS:
            continue
        held, answer = result.hold, result.answer
        late = constants["wake_latency"] * (not scenario.kernel.reader_spin)
        window, each = expected_losses(
            scenario, held, answer, forced=forced, stores=stores, copy=copy, late=late,
            shootdown=constants["shootdown"],
        )  # fmt: skip
        lost = broken_by_forced_write(scenario, result.policy)
        if not lost:
            each = np.zeros_like(held.call)
        why = safety(scenario.kernel, scenario.call, result.policy).reason
        found.append(
            Exposure(
                policy=result.policy,
                reason=why if lost else f"no forced write loses a store here: {why}",
                lost=lost,
                window=window,
                per_call=each,
                per_hour=each * answer.call_rate * NS_PER_HOUR,
            )
        )
    return tuple(found)


def expected_losses(
    scenario: Scenario, held: Hold, answer: Answer, *, forced: Any, stores: Any, copy: Any,
    late: Any, shootdown: Any,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:  # fmt: skip
    """Return the mean stale window of a page, ns, and the calls that lose a store, a call.

    Whether anybody loses one at all in a release is not asked here. The CPU that stores runs, so the
    flush interrupts at least one, whatever the scenario says of the others.

    Parameters
    ----------
    scenario : Scenario
    held : Hold
        Of a cut.
    answer : Answer
        Of its lock.
    forced, stores : array_like, per ns
        Forced writes to the pages of the call, and stores to one page.
    copy, late : array_like, ns
        Length of a copy, and from the cut until a fault that was blocked runs.
    shootdown : array_like, ns
        To interrupt one CPU and wait for it.
    """
    from perfmodel.equations.window import LOST_BEFORE_FLUSH, LOST_BEFORE_WALK

    every = held.policy is Policy.EVERY_VMA
    sections = held.sections if every else 1
    given = {
        # All but every-vma leave only the pages of the last VMA to who is let in.
        "forced_writes": np.asarray(forced) * (1 if every else 1 / scenario.call.vmas),
        "stores": stores,
        "copy_time": copy,
        "flush_time": held.spent("flush", mode="shared") / sections
        + np.maximum(held.spent("shootdown", mode="shared") / sections, shootdown),
        "before_cut": (held.exclusive + answer.acquire) / sections,
        "late": late,
    }
    walk = held.spent("step", "walk_start", "walk", mode="shared") / sections
    window = given["flush_time"] + walk / 2
    if held.policy is Policy.BEFORE_FLUSH:
        return window, np.asarray(LOST_BEFORE_FLUSH(**given))
    return window, np.asarray(LOST_BEFORE_WALK(shared_walk=walk, **given))
