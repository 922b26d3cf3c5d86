"""The closed system whose woken faults own the lock: limits, conservation, and the simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from perfmodel.equations.closed import closed_system
from perfmodel.equations.overlap import OVERLAP_HIT
from perfmodel.equations.woken import closed_system_woken
from perfmodel.rwlock import Lock, solve
from perfmodel.rwlock.simulate import simulate

READ = 500.0

times = st.floats(2.0, 5.5).map(lambda x: 10.0**x)


@given(
    n=st.integers(1, 64), think=times, caller=times, exclusive=times,
    shared=st.one_of(st.just(0.0), times),
)  # fmt: skip
@example(n=51, think=26_000.0, caller=100.0, exclusive=100.0, shared=0.0)
@settings(max_examples=60, deadline=None)
def test_without_a_wake_up_it_is_the_closed_system(
    n: int, think: float, caller: float, exclusive: float, shared: float
) -> None:
    woken = closed_system_woken(n, 1 / think, 1 / READ, caller, exclusive, shared, 0.0)
    plain = closed_system(n, 1 / think, 1 / READ, caller, exclusive, shared, quantiles=())
    # The one tells apart the calls after which nobody was woken, the other does not: that shows where
    # the caller comes back before the readers have gone: of 36,000 random cases the worst were 16 % and,
    # with a caller slower than ten reads, 0.07 % apart.
    rel = 0.001 if caller > 10 * READ else 0.17
    assert woken.blocked == pytest.approx(plain.blocked_per_call, rel=rel)
    assert woken.blocked_time == pytest.approx(plain.blocked_time_per_call, rel=rel)
    assert 1 / woken.cycle == pytest.approx(plain.call_rate, rel=rel)


def test_a_wake_up_that_ends_before_the_caller_comes_back_costs_only_itself() -> None:
    far = closed_system_woken(16, 1e-5, 1 / READ, 1e9, 3000.0, 0.0, 30_000.0)
    none = closed_system_woken(16, 1e-5, 1 / READ, 1e9, 3000.0, 0.0, 0.0)
    assert far.blocked == pytest.approx(none.blocked, rel=1e-3)
    assert far.acquire == pytest.approx(none.acquire, rel=2e-2)


def test_a_shared_part_as_long_as_the_wake_up_hides_it() -> None:
    hidden = closed_system_woken(8, 1e-5, 1 / READ, 2e4, 3000.0, 30_000.0, 30_000.0)
    shown = closed_system_woken(8, 1e-5, 1 / READ, 2e4, 3000.0, 0.0, 30_000.0)
    assert hidden.acquire < 0.1 * shown.acquire


@given(nu=st.floats(-9, -3).map(lambda x: 10.0**x), left=times, caller=times)
@settings(deadline=None)
def test_the_overlap_hits_as_its_integral(nu: float, left: float, caller: float) -> None:
    from scipy.integrate import quad

    def late(x: float) -> float:
        """Chance of a fault in what is left when the caller comes back at x, times its density."""
        return float(-np.expm1(-nu * (left - x)) * np.exp(-x / caller) / caller)

    expected = quad(late, 0, left, epsrel=1e-10, epsabs=0, points=[min(left, caller) / 2])[0]
    got = float(OVERLAP_HIT(nu=nu, wake_latency=left, think_writer=caller))
    # The difference of two terms: digits go as the hit becomes rare beside nu times the wake-up.
    assert got == pytest.approx(expected, rel=1e-6, abs=1e-13 * max(1.0, nu * left))


@pytest.mark.parametrize(
    ("n", "think", "caller", "exclusive", "shared", "wake"),
    [
        (1, 11_000.0, 15_000.0, 7000.0, 1000.0, 39_000.0),
        (2, 8000.0, 32_000.0, 29_000.0, 0.0, 12_000.0),
        (8, 11_000.0, 13_000.0, 4300.0, 700.0, 11_500.0),
        (32, 30_000.0, 45_000.0, 85_000.0, 0.0, 26_000.0),
        (64, 69_000.0, 127_000.0, 950.0, 0.0, 29_000.0),
    ],
)
def test_it_is_what_is_simulated(
    n: int, think: float, caller: float, exclusive: float, shared: float, wake: float
) -> None:
    lock = Lock(
        exclusive=np.array([exclusive]), shared=np.array([shared]), read_hold=READ,
        fault_threads=n, fault_think=think, writer_think=caller, wake_latency=wake,
    )  # fmt: skip
    closed, told = solve(lock, levels=()), simulate(lock, calls=40_000, seed=n, levels=())
    without = solve(
        Lock(**{f: getattr(lock, f) for f in lock.__dataclass_fields__} | {"readers_sleep": False}),
        levels=(),
    )
    for name in ("wait_mean", "acquire", "blocked", "call_rate", "fault_rate"):
        estimate = told.estimates[name]
        got = float(getattr(closed, name)[0])
        assert got == pytest.approx(estimate.mean, rel=0.06, abs=4 * estimate.error), name
    # What the closed form without the woken misses is far more than that.
    assert float(without.acquire[0]) < 0.6 * told.estimates["acquire"].mean


def test_spread_out_wake_ups_are_flagged() -> None:
    close = closed_system_woken(64, 1 / 21e3, 1 / READ, 8500.0, 12_500.0, 0.0, 37_000.0, 300.0)
    assert not close.region.valid
    assert "spread out" in close.region.broken()[0]
