"""What one policy does to a scenario: hold, waits, account and net gain."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from perfmodel.hold import Hold
from perfmodel.rwlock.lock import Answer
from perfmodel.scenario import Policy
from perfmodel.stale_tlb import Safety

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LEVEL", "PolicyResult"]

#: Probability that an interval covers.
LEVEL = 0.9


@dataclass(frozen=True, eq=False)
class PolicyResult:
    """What one policy does; arrays over the draws, element 0 the central estimate.

    Parameters
    ----------
    policy : Policy
    safety : Safety
    hold : Hold
    answer : Answer
    lost_time : ndarray, ns
        Thread time lost to one call.
    net_gain : ndarray, ns
        Thread time saved per call against no downgrade.
    account : mapping of str to ndarray, ns
        The terms of `lost_time`.
    line_utilisation : float
        How busy the lock's line is, central estimate.
    throughput_gain : ndarray
        Relative change of the faults a second against no downgrade; NaN for an open stream.
    realised : float
        Which share of the throughput that the policy would gain with a CPU for every thread it gains
        with the CPUs there are, central estimate: 1 where every thread has one, NaN where there is
        nothing to gain.
    reason : str
        Why the policy does not apply, if so.
    guard : str
        What is added to the kernel to make the cut safe; empty as it stands.
    wp_share_limit : float
        Of a guard whose price follows from it: the share of write-protect faults up to which the
        guarded cut gains; else NaN.
    """

    policy: Policy
    safety: Safety
    hold: Hold
    answer: Answer
    lost_time: NDArray[np.float64]
    net_gain: NDArray[np.float64]
    account: Mapping[str, NDArray[np.float64]]
    line_utilisation: float
    throughput_gain: NDArray[np.float64]
    realised: float = 1.0
    reason: str = ""
    guard: str = ""
    wp_share_limit: float = math.nan

    @property
    def single(self) -> str:
        """The guard without the nested flush that some cuts need besides."""
        return self.guard.removesuffix("+nested")

    @property
    def name(self) -> str:
        """The policy, and its guard if it has one."""
        return f"{self.policy.value} with {self.guard}" if self.guard else self.policy.value

    def interval(self, level: float = LEVEL) -> tuple[float, float, float]:
        """Return estimate, low and high of the net gain in ns."""
        known = self.net_gain[np.isfinite(self.net_gain)]
        if known.size == 0 or not math.isfinite(self.net_gain[0]):
            return math.nan, math.nan, math.nan
        low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
        return float(self.net_gain[0]), float(low), float(high)

    @property
    def p_pays(self) -> float:
        """Share of the draws in which the policy gains; NaN for the reference itself."""
        if self.policy is Policy.NONE or not np.isfinite(self.net_gain[0]):
            return math.nan
        return float(np.mean(self.net_gain > 0))
