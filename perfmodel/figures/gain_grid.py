"""Net gain over sizes and fault rates: what `predict` computes, fast enough for a map or a slider."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from perfmodel.hold import Hold, hold
from perfmodel.prediction import account_of, lock_question
from perfmodel.results import LEVEL
from perfmodel.rwlock import solve
from perfmodel.scenario import Policy, Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["MARKS", "PAGES", "RATES", "Mark", "Panel", "at_point", "gain_at_rate", "panel_for"]

#: Points of the map that a reader looks for: label, pages, faults a second.
MARKS = (("1 page", 1, 50_000.0), ("64 MiB", 16384, 50_000.0))

PAGES = (1, 65536)
RATES = (10.0, 5e6)


@dataclass(frozen=True)
class Mark:
    """One named point of the map with its answer.

    Parameters
    ----------
    label : str
    pages : int
    rate : float, 1/s
    gain, low, high : float, ns
        Net gain per call and its 90 % interval.
    share : float
        Of the process's thread time.
    simulated : float, ns
        The gain by simulation of the lock; NaN where nobody asked for it.
    """

    label: str
    pages: int
    rate: float
    gain: float
    low: float
    high: float
    share: float
    simulated: float = math.nan


@dataclass(frozen=True)
class Panel:
    """One map; arrays have the shape (rates, pages).

    Parameters
    ----------
    title : str
    scenario : Scenario
        Everything but pages and rate.
    pages, rates : ndarray
        Axes; faults per second.
    gain, low, high : ndarray, ns
        Net gain per call: estimate and 90 % interval. NaN where unknown.
    share : ndarray
        Net gain over the time of all threads between two calls.
    outside : ndarray of bool
        Where the stated error does not hold.
    marks : tuple of Mark
    """

    title: str
    scenario: Scenario
    pages: NDArray[np.float64]
    rates: NDArray[np.float64]
    gain: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    share: NDArray[np.float64]
    outside: NDArray[np.bool_]
    marks: tuple[Mark, ...]


def at_point(scenario: Scenario, pages: float, rate: float) -> Scenario:
    """Return the scenario with its size and an open stream of faults set."""
    faults = replace(scenario.faults, rate=rate, threads=None, think_us=None)
    return replace(scenario, call=replace(scenario.call, pages=int(pages)), faults=faults)


def _joined(holds: list[Hold]) -> Hold:
    """Put the holds of several sizes one after the other, as if they were draws."""
    return replace(
        holds[0],
        exclusive=np.concatenate([h.exclusive for h in holds]),
        shared=np.concatenate([h.shared for h in holds]),
        call=np.concatenate([h.call for h in holds]),
    )


def gain_at_rate(
    scenario: Scenario, policy: Policy, pages: NDArray[np.float64], rate: float,
    constants: Mapping[str, NDArray[np.float64]],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:  # fmt: skip
    """Compute the net gain of a policy over sizes, at one fault rate.

    All sizes at once, laid out as if they were draws, and without the quantiles of the wait, which
    cost `predict` most of its time: a map has a thousand points.

    Parameters
    ----------
    scenario : Scenario
        Everything but pages and fault rate.
    policy : Policy
        Compared with no downgrade.
    pages : ndarray of shape (sizes,)
    rate : float
        Faults of the whole process per second.
    constants : mapping of str to ndarray of shape (draws,)
        ``Machine.draws``; element 0 is the estimate.

    Returns
    -------
    gain : ndarray of shape (sizes, draws), ns
        Net gain per call.
    share : ndarray of shape (sizes,)
        The estimate over the time of all threads between two calls.
    outside : ndarray of bool, shape (sizes,)
        Where the stated error does not hold.
    """
    from perfmodel.equations.account import LOST_TIME, NET_GAIN

    draws = constants["syscall"].size
    here = at_point(scenario, pages[0], rate)
    repeated = {name: np.tile(value, pages.size) for name, value in constants.items()}
    held = {
        p: _joined([hold(at_point(scenario, n, rate), p, constants) for n in pages])
        for p in (Policy.NONE, policy)
    }
    lost, answers = {}, {}
    for p, h in held.items():
        answers[p] = solve(lock_question(here, h, repeated), levels=())
        account, _ = account_of(here, answers[p], h, held[Policy.NONE], repeated)
        lost[p] = LOST_TIME(**account)
    gain = NET_GAIN(lost_time_none=lost[Policy.NONE], lost_time=lost[policy])
    gain = np.broadcast_to(gain, (pages.size * draws,)).reshape(pages.size, draws)
    before = answers[Policy.NONE]
    first = slice(None, None, draws)
    per_call = np.broadcast_to(before.call_rate, (pages.size * draws,))[first]
    share = gain[:, 0] * per_call / here.cpus
    blocked = np.broadcast_to(before.blocked, (pages.size * draws,))[first]
    # An open stream that has more faults blocked at once than there are CPUs is no longer one: the
    # threads that would make the next faults are themselves asleep.
    outside = blocked > here.cpus
    for answer in answers.values():
        outside |= ~answer.valid[first]
    return gain, share, outside


def _ends(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return low and high of each row over the draws that have an answer; NaN without estimate."""
    out = np.full((2, len(drawn)), np.nan)
    for i, row in enumerate(drawn):
        if np.isfinite(row[0]):
            levels = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
            out[:, i] = np.quantile(row[np.isfinite(row)], levels)
    return out


def panel_for(
    scenario: Scenario, *, title: str = "", policy: Policy = Policy.LAST_VMA, points: int = 25,
    draws: int = 60, marks: tuple[tuple[str, int, float], ...] = MARKS,
    progress: Callable[[float], None] = lambda _: None,
) -> Panel:  # fmt: skip
    """Compute one map.

    Parameters
    ----------
    scenario : Scenario
        Everything but pages and fault rate.
    title : str
    policy : Policy
        The cut to be judged.
    points : int
        Rates tried; sizes are the powers of two.
    draws : int
        Draws behind the band; 1 for none.
    marks : tuple of (label, pages, rate)
    progress : callable
        Told the share done, 0 to 1.
    """
    low_exponent = math.ceil(math.log2(max(scenario.call.vmas, PAGES[0])))
    pages = np.asarray(2.0 ** np.arange(low_exponent, int(math.log2(PAGES[1])) + 1), np.float64)
    rates = np.geomspace(*RATES, points)
    constants = scenario.machine.draws(draws)
    shape = (rates.size, pages.size)
    gain, low, high, share = (np.full(shape, np.nan) for _ in range(4))
    outside = np.zeros(shape, dtype=bool)
    with np.errstate(all="ignore"):
        for i, rate in enumerate(rates):
            drawn, share[i], outside[i] = gain_at_rate(
                scenario, policy, pages, float(rate), constants
            )
            gain[i] = drawn[:, 0]
            low[i], high[i] = _ends(drawn)
            progress((i + 1) / rates.size)
        named = []
        for label, n, rate in marks:
            if n < scenario.call.vmas:
                continue
            drawn, part, _ = gain_at_rate(scenario, policy, np.array([float(n)]), rate, constants)
            ends = _ends(drawn)[:, 0]
            named.append(Mark(label, n, rate, float(drawn[0, 0]), float(ends[0]),
                              float(ends[1]), float(part[0])))  # fmt: skip
    return Panel(title, scenario, pages, rates, gain, low, high, share, outside, tuple(named))
