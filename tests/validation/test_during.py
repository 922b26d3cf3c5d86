"""The law of faults begun during a call, against a thread that is walked through calls one by one."""

from __future__ import annotations

import numpy as np
import pytest

from perfmodel.equations.during import BESIDE_RATE, faults_during

from .conftest import THINK, simulate

COSTS = {"syscall": 200.0, "wake_latency": 20_000.0, "wake_kick": 9_000.0, "wake_serial": 500.0}


@pytest.mark.parametrize(
    ("exclusive", "shared"),
    [(300.0, 60_000.0), (9_000.0, 0.0), (1_500.0, 1_500_000.0), (100.0, 800.0), (0.0, 50_000.0)],
)
def test_law_is_that_of_a_walked_thread(exclusive: float, shared: float) -> None:
    idle = 450.0
    latency, blocked = simulate(
        np.random.default_rng(7), 6000 if shared < 1e6 else 300, lead=100.0, exclusive=exclusive,
        shared=shared, tail=100.0, waker=9_500.0, wake=20_000.0, idle=idle,
    )  # fmt: skip
    law = faults_during(exclusive=exclusive, shared=shared, think_ns=THINK, idle=[idle], **COSTS)
    n = len(latency)
    share = float(law.blocked_share[0])
    error = np.sqrt(max(share * (1 - share), 1 / n) / n)
    # The equation states half a fault at most where a stretch is not much longer than a think time.
    stated = 0.5 * share * (1 - share) if shared < 10 * THINK else 0.0
    assert abs(blocked.mean() - share) < 4 * error + stated
    assert float(law.mean[0]) == pytest.approx(
        latency.mean(), abs=4 * latency.std() / np.sqrt(n) + 20_000 * stated
    )
    if exclusive and stated == 0.0:
        limit = idle + 10_000.0
        assert float(law.above(limit)[0]) == pytest.approx((latency > limit).mean(), abs=4 * error)
        waits = np.sort(latency[blocked])
        middle = share * 0.5
        assert float(law.quantile(1 - middle)[0]) == pytest.approx(np.median(waits), rel=0.05)


def test_quantiles_and_survival_agree_and_are_monotone() -> None:
    idle = np.linspace(400, 700, 64)
    law = faults_during(
        exclusive=[500.0, 5000.0, 50_000.0], shared=30_000.0, think_ns=THINK, idle=idle, **COSTS
    )
    quantiles = np.array([law.quantile(p) for p in (0.1, 0.5, 0.9, 0.99, 0.999)])
    assert (np.diff(quantiles, axis=0) >= 0).all()
    for p, q in zip((0.1, 0.5, 0.9, 0.99, 0.999), quantiles, strict=True):
        assert (law.above(q - 8.0) >= 1 - p - 0.01).all()
        assert (law.above(q + 8.0) <= 1 - p + 0.01).all()
    # No wait is longer than the whole exclusive part, the wake-up and the slowest fault.
    assert (law.above(law.exclusive + law.wake + 701.0) == 0).all()


def test_without_an_exclusive_part_nobody_is_blocked() -> None:
    law = faults_during(exclusive=0.0, shared=9e4, think_ns=THINK, idle=[440.0], **COSTS)
    assert law.blocked_share[0] == 0
    assert law.mean[0] == 440.0


def test_unknown_costs_give_an_unknown_law() -> None:
    law = faults_during(exclusive=np.nan, shared=9e4, think_ns=THINK, idle=[440.0], **COSTS)
    assert np.isnan(law.quantile(0.5)).all()
    assert np.isnan(law.blocked_share).all()


def test_rate_beside_a_caller_never_goes_below_zero() -> None:
    given = {"nu": 1 / THINK, "fault_minor": 450.0, "wake_time": 0.0, "cycle": 10_000.0}
    free = float(BESIDE_RATE(blocked_time=0.0, **given))
    assert free == pytest.approx(1 / (THINK + 450.0))
    assert float(BESIDE_RATE(blocked_time=2_500.0, **given)) == pytest.approx(0.75 * free)
    # On its way for a cycle and a half: every second call spares it.
    assert float(BESIDE_RATE(blocked_time=15_000.0, **given)) == pytest.approx(0.25 * free)
    lost = np.linspace(1, 1e6, 999)
    assert (BESIDE_RATE(blocked_time=lost, **given) >= -1e-18).all()
