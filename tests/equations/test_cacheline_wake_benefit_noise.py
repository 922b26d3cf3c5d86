"""The shared line, wake-ups, break-even points and the size of experiments."""

import heapq
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from perfmodel.equations import benefit as be
from perfmodel.equations import blocking as bl
from perfmodel.equations import cacheline as cl
from perfmodel.equations import noise as no
from perfmodel.equations import wake as wk
from perfmodel.errors import InputError

# -------------------------------------------------------------------------------------- cacheline


def simulated_line(n, think, hold, passes, seed):
    """Return the throughput of n CPUs and one line, exponential holds, uniform think times."""
    rng = random.Random(seed)
    heap = [(rng.uniform(0, 2 * think), k) for k in range(n)]
    heapq.heapify(heap)
    free = 0.0
    for _ in range(passes):
        now, k = heapq.heappop(heap)
        free = max(now, free) + rng.expovariate(1 / hold)
        heapq.heappush(heap, (free + rng.uniform(0, 2 * think), k))
    return passes / free


@pytest.mark.parametrize(
    ("n", "think", "ops"), [(1, 500, 2), (8, 1000, 2), (64, 12_800, 2), (48, 3000, 3)]
)
def test_line_against_simulation_whatever_the_think_law(n, think, ops):
    # v exponential operations are not one: with ops = 1 of length vL the product form is exact.
    found = simulated_line(n, think, ops * 100.0, 100_000, 2)
    assert cl.line_throughput(n, think, ops, 100.0) == pytest.approx(found, rel=0.012)


def test_line_limits():
    assert cl.line_throughput(1, 900, 1, 100.0) == pytest.approx(1 / 1000)
    assert cl.line_throughput(1000, 900, 2, 100.0) == pytest.approx(1 / 200)
    assert cl.line_throughput(5, 0, 2, 100.0) == pytest.approx(1 / 200)
    assert cl.line_utilisation(1000, 900, 2, 100.0) == pytest.approx(1)
    assert cl.saturation_threads(1800, 2, 100.0) == 10
    n, x = 7, cl.line_throughput(7, 900, 2, 100.0)
    assert n / x == pytest.approx(900 + cl.line_delay(7, 900, 2, 100.0))


def test_a_third_operation():
    # Saturated: -m/(2+m). Idle: -m L/(Z+2L). Between: the machine repairman, by hand for n = 64.
    for m in (0.01, 0.1, 0.5, 1.0):
        assert cl.throughput_ratio(500, 100.0, 100.0, m) == pytest.approx(2 / (2 + m))
        assert cl.throughput_ratio(1, 1e4, 100.0, m) == pytest.approx(
            (1e4 + 200) / (1e4 + 200 + 100 * m)
        )
    table = [-0.000138, -0.001436, -0.008561, -0.022039]
    got = cl.throughput_ratio(64, 25_600.0, 100.0, [0.01, 0.1, 0.5, 1.0]) - 1
    assert got == pytest.approx(table, abs=1e-6)
    # Two more, where each release of a read lock costs one of its own.
    full = cl.throughput_ratio(500, 100.0, 100.0, 0.5, fault_ops=3, call_ops=2, extra_ops=2)
    assert full == pytest.approx(2.5 / 3.5)


def test_marginal_cost_runs_from_one_to_all():
    n, transfer = 48, 100.0
    think = np.array([0.0, 1e3, 1e4, 1e5, 1e9])
    got = cl.marginal_cost(n, think, 2, transfer)
    assert got[0] == n * transfer
    assert got[-1] == pytest.approx(transfer, rel=5e-5)
    assert (np.diff(got) <= 0).all()
    up, down = 1e-5 * 2, -1e-5 * 2
    cycle = [n / cl.line_throughput(n, 1e4, 2 + d, transfer) for d in (up, down)]
    assert got[2] == pytest.approx((cycle[0] - cycle[1]) / (up - down), rel=1e-6)


def test_transfers_against_samples():
    rng = np.random.default_rng(3)
    rate, d, r = 2e-3, 500.0, 300.0
    away = (rng.poisson(rate * d, 10**5) > 0) & (rng.poisson(rate * r, 10**5) > 0)
    # The downgrade fetches the line only if it left; the release pays again only if it left again.
    assert cl.extra_transfers(rate, d, r) == pytest.approx(away.mean(), abs=4.5 * 0.5 / 316)
    assert cl.mixed_cost(0.0, d, r, 100.0, 10.0) == 10
    assert cl.mixed_cost(1e9, d, r, 100.0, 10.0, extra_ops=2) == 200
    assert cl.net_operations(1e-3, 500.0, 2.0) == 0


# ------------------------------------------------------------------------------------------- wake


@pytest.mark.parametrize("spinners", [0, 1, 2, 4])
@pytest.mark.parametrize("load", [0.05, 1.0, 6.0])
def test_wake_against_samples(spinners, load):
    rng = np.random.default_rng(31)
    number = rng.poisson(load, 200_000)
    asleep = np.maximum(number - spinners, 0)
    delay = 3000 * asleep + 300 * asleep * (asleep + 1) / 2
    got = wk.wake_open(load / 1000, 1000, 3000, 300, spinners=spinners)
    error = max(delay.std() / np.sqrt(len(delay)), 1e-9)
    assert abs(delay.mean() - got.delay) < 4.5 * error + 1e-3
    assert got.releaser == pytest.approx(300 * got.sleepers)


def test_wake_of_a_random_window_and_of_threads():
    rng = np.random.default_rng(32)
    window = rng.exponential(1000, 200_000)
    number = rng.poisson(2e-3 * window)
    delay = 3000 * number + 300 * number * (number + 1) / 2
    got = wk.wake_open(2e-3, 1000, 3000, 300, window_2=2e6)
    assert abs(delay.mean() - got.delay) < 4.5 * delay.std() / np.sqrt(len(delay))
    with pytest.raises(InputError, match="spinning"):
        wk.wake_open(2e-3, 1000, 3000, 300, window_2=2e6, spinners=1)
    number = rng.binomial(9, 1 - np.exp(-0.7), 200_000)
    delay = 3000 * number + 300 * number * (number + 1) / 2
    got = wk.wake_finite(9, 0.7e-3, 1000, 3000, 300)
    assert abs(delay.mean() - got.delay) < 4.5 * delay.std() / np.sqrt(len(delay))
    assert wk.avoided_sleep(3000, 300) == 3600


# ---------------------------------------------------------------------------------------- benefit

COSTS = {"wake_latency": 3000.0, "wake_serial": 300.0, "slowpath_ops": 2.0, "marginal_cost": 100.0}


def test_net_is_the_sum_of_its_parts():
    lam, y, r, c = 2e-3, 700.0, 400.0, 50.0
    before, after = (wk.wake_open(lam, w, 3000, 300) for w in (y + r, y))
    parts = (
        bl.benefit_open(lam, 0.0, y, r)
        + before.delay - after.delay + before.releaser - after.releaser
        + 2 * 100 * lam * r - c
    )  # fmt: skip
    assert be.net_benefit(lam, y, r, c, **COSTS) == pytest.approx(float(parts))


def test_finite_net_is_the_sum_of_its_parts():
    n, nu, y, r, c = 9, 5e-4, 700.0, 400.0, 50.0
    before, after = (wk.wake_finite(n, nu, w, 3000, 300) for w in (y + r, y))
    parts = (
        bl.benefit_finite(n, nu, y, r)
        + before.delay - after.delay + before.releaser - after.releaser
        + 2 * 100 * (before.sleepers - after.sleepers) - c - 3 * n
    )  # fmt: skip
    got = be.net_benefit_finite(n, nu, y, r, c, cost_per_thread=3, **COSTS)
    assert got == pytest.approx(float(parts))


positive = st.floats(1e-2, 1e5)


@settings(max_examples=80, deadline=None)
@given(y=st.floats(0, 1e6), r=positive, c=positive, lam=st.floats(1e-9, 1e-1),
       s=st.floats(0, 1e4), w=st.floats(0, 1e4), omega=st.floats(0, 1e3))  # fmt: skip
def test_break_even_points_are_roots(y, r, c, lam, s, w, omega):
    k = {"wake_latency": s, "wake_serial": w, "slowpath_ops": 2.0, "marginal_cost": omega}
    rate = be.break_even_rate(y, r, c, **k)
    assert abs(be.net_benefit(rate, y, r, c, **k)) < 1e-9 * c
    shared = be.break_even_shared(lam, y, c, **k)
    assert abs(be.net_benefit(lam, y, shared, c, **k)) < 1e-9 * c
    pages = be.break_even_pages(lam, y, c, 20.0, 0.0, **k)
    assert pages * 20 == pytest.approx(float(shared))
    threads = be.break_even_threads(1e-5, y, r, c, **k)
    if np.isfinite(threads):
        gain = be.net_benefit_finite(threads, 1e-5, y, r, 0.0, **k)
        assert gain == pytest.approx(c, rel=1e-6)
        assert be.net_benefit_finite(2 * threads, 1e-5, y, r, c, **k) > 0
    assert be.net_benefit(2 * rate, y, r, c, **k) > 0


def test_never_and_always():
    assert np.isinf(be.break_even_rate(500, 0.0, 10))
    assert np.isinf(be.break_even_shared(0.0, 500, 10))
    assert np.isinf(be.break_even_threads(1e-9, 500, 300, 10, cost_per_thread=5))
    assert be.break_even_rate(500, 100, 0.0) == 0
    assert be.break_even_pages(1e-3, 500, 10, 20, 1e6) == 0
    assert np.isnan(be.break_even_rate(np.nan, 100, 10))
    # Without waits before the tail the shared part must reach sqrt(2c/lambda).
    assert be.break_even_shared(1e-4, 0.0, 10) == pytest.approx(np.sqrt(2 * 10 / 1e-4))


# ------------------------------------------------------------------------------------------ noise


def test_known_sizes():
    assert no.power_factor() == pytest.approx(7.849, abs=1e-3)
    assert no.runs_to_detect(0.001, 0.01) == pytest.approx(1570, rel=1e-3)
    us = 1e3
    # Exponential waits of 0, 0.5, 2, 5, 20 us; holds 0.5 + 0.5 us; one fault a us.
    a = np.array([0, 0.5, 2, 5, 20]) * us
    got = no.calls_to_detect(1 / us, 0.5 * us, 0.5 * us, a, 2 * a**2)
    assert got.calls == pytest.approx([20.93, 79.12, 1078.9, 7229.0, 122627], rel=1e-3)
    assert got.calls_controlled == pytest.approx([20.93, 45.2, 194.6, 552.3, 2422.7], rel=1e-3)
    assert (np.diff(got.effect) < 0).all()


def test_a_test_of_that_size_has_the_power():
    rng = np.random.default_rng(41)
    lam, d, r, a = 2e-3, 500.0, 400.0, 600.0
    size = int(np.ceil(no.calls_to_detect(lam, d, r, a, 2 * a**2).calls))
    trials = 1500

    def arm(hold):
        window = rng.exponential(a, (size, trials)) + hold
        number = rng.poisson(lam * window)
        # A sum of k uniforms: mean k/2, variance k/12, exact first two moments are what matters.
        owner = np.repeat(np.arange(number.size), number.ravel())
        waits = rng.random(number.sum()) * window.ravel()[owner]
        return np.bincount(owner, waits, minlength=number.size).reshape(number.shape)

    power = np.mean(ttest_ind(arm(d + r), arm(d), axis=0).pvalue < 0.05)
    assert 0.77 < power < 0.95


def test_nothing_to_see():
    got = no.calls_to_detect([0.0, 1e-3], 500.0, [300.0, 0.0])
    assert np.isinf(got.calls).all()
    assert got.cohen_d.tolist() == [0, 0]
    given_moments = bl.window_moments(500.0, 100.0)
    same = no.calls_to_detect(1e-3, 500, 300, before=given_moments, after=given_moments)
    assert np.isinf(same.calls)
    with pytest.raises(InputError, match="power"):
        no.power_factor(power=1.0)
