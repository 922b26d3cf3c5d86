"""The stores that a cut loses: limits, quadrature, and the explored actors run in time."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import dblquad, quad

from perfmodel.equations.window import LOST_BEFORE_FLUSH, LOST_BEFORE_WALK
from perfmodel.stale_tlb.cells import starts_of
from perfmodel.stale_tlb.eras import ERAS
from perfmodel.stale_tlb.setting import Setting
from perfmodel.stale_tlb.timed import Durations, lost_in_runs

#: The page belongs to the process, and somebody else holds a reference: it must be copied until 5.18.
REFERENCED = 1


def _expected(policy: str, d: Durations) -> float:
    """Return the closed form for one forced write at a moment spread evenly over the call."""
    span = d.before_cut + d.walk + d.flush
    given = {
        "forced_writes": 1 / span, "stores": 1 / d.gap, "copy_time": d.copy, "flush_time": d.flush,
        "before_cut": d.before_cut, "late": d.late,
    }  # fmt: skip
    if policy == "before-flush":
        return float(LOST_BEFORE_FLUSH(**given))
    return float(LOST_BEFORE_WALK(shared_walk=d.walk, **given))


def _simulated(
    policy: str, d: Durations, era: str = "5.10", runs: int = 4000
) -> tuple[float, float]:
    setting = Setting(ERAS[era], policy=policy)
    return lost_in_runs(setting, d, starts_of(setting, 3)[REFERENCED], runs=runs, seed=5)


CASES = {
    "copies shorter than the window": ("last-vma", Durations(500, 3000, 1500, 800, 900, 700)),
    "copies longer than the flush": ("last-vma", Durations(500, 300, 1500, 5000, 2900, 1e4)),
    "one page": ("last-vma", Durations(2000, 0, 1500, 300, 900, 3e3)),
    "most were blocked": ("before-flush", Durations(4000, 0, 1500, 300, 900, 700)),
    "woken after the flush": ("before-flush", Durations(1000, 0, 1500, 3000, 2500, 5000)),
}


@pytest.mark.parametrize("case", CASES)
def test_the_explored_actors_lose_as_many(case: str) -> None:
    policy, d = CASES[case]
    share, error = _simulated(policy, d)
    assert abs(share - _expected(policy, d)) < 4.5 * error


@pytest.mark.parametrize("policy", ["last-vma", "before-flush"])
def test_nobody_loses_a_store_where_the_exploration_says_so(policy: str) -> None:
    d = Durations(500, 3000 * (policy == "last-vma"), 1500, 800, 900, 300)
    assert _simulated(policy, d, "5.10", 400)[0] > 0.2
    assert _simulated(policy, d, "5.19", 400)[0] == 0
    # Nor without the cut.
    setting = Setting(ERAS["5.10"], policy="none")
    start = starts_of(setting, 3)[REFERENCED]
    assert lost_in_runs(setting, d, start, runs=400)[0] == 0
    # Nor of a page that nobody else refers to: a forced write does not copy it.
    alone = Setting(ERAS["5.10"], policy=policy)
    assert lost_in_runs(alone, d, starts_of(alone, 3)[0], runs=400)[0] == 0


@pytest.mark.parametrize("store", [1e-6, 1e-3, 1.0])
@pytest.mark.parametrize(
    ("walk", "flush", "copy"), [(900.0, 300.0, 500.0), (1e5, 10.0, 2e3), (40.0, 2e3, 9e3)]
)
def test_against_quadrature(store: float, walk: float, flush: float, copy: float) -> None:
    def loses(u: float) -> float:
        return float(-np.expm1(-store * min(copy, u)))

    rest = {
        "stores": store,
        "copy_time": copy,
        "flush_time": flush,
        "late": 100.0,
        "before_cut": 0.0,
    }
    one, _ = quad(loses, 0, flush, points=[min(copy, flush)], epsabs=0, epsrel=1e-9)
    assert LOST_BEFORE_FLUSH(forced_writes=1.0, **rest) == pytest.approx(one, rel=1e-7)
    # Pages are reached evenly over the walk.
    both, _ = dblquad(
        lambda u, _: loses(u), flush, flush + walk, 0, lambda w: w, epsabs=0, epsrel=1e-6
    )
    got = LOST_BEFORE_WALK(forced_writes=1.0, shared_walk=walk, **rest)
    assert got == pytest.approx(both / walk, rel=1e-4)


def test_few_stores_and_many() -> None:
    rest = {"forced_writes": 1e-9, "copy_time": 500.0, "flush_time": 2000.0, "late": 0.0,
            "before_cut": 0.0}  # fmt: skip
    # Few: the stores in copies, c w - c^2 / 2 of overlap. Many: every copy in the window loses one.
    few = LOST_BEFORE_FLUSH(stores=1e-12, **rest)
    assert few == pytest.approx(1e-9 * 1e-12 * (500 * 2000 - 500**2 / 2), rel=1e-6)
    assert LOST_BEFORE_FLUSH(stores=1e3, **rest) == pytest.approx(1e-9 * 2000, rel=1e-3)
    # A walk of no length leaves the window of the flush.
    none = LOST_BEFORE_WALK(stores=1e-3, shared_walk=0.0, **rest)
    assert none == LOST_BEFORE_FLUSH(stores=1e-3, **rest)
    assert LOST_BEFORE_WALK(stores=1e-3, shared_walk=1e-3, **rest) == pytest.approx(none, rel=1e-5)
