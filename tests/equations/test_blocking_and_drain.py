"""Blocking by one call, against sampled calls and against limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from perfmodel.equations import blocked_time as bt
from perfmodel.equations import blocking as bl
from perfmodel.equations import drain as dr
from perfmodel.equations.special import harmonic
from perfmodel.errors import InputError

CALLS = 60_000
rates = st.floats(1e-7, 1e-1)
times = st.one_of(st.just(0.0), st.floats(1e-6, 1e5))


def z(sample, value):
    """Return how many standard errors the sample's mean is off."""
    return (np.mean(sample) - value) / (np.std(sample) / np.sqrt(len(sample)))


def z_variance(sample, value):
    centred = (sample - sample.mean()) ** 2
    return (centred.mean() - value) / (centred.std() / np.sqrt(len(sample)))


def sampled_open(rng, lam, window):
    """Sample number and total time of Poisson faults blocked until the end of each window."""
    number = rng.poisson(lam * window)
    owner = np.repeat(np.arange(len(window)), number)
    waits = rng.random(number.sum()) * window[owner]
    return number, np.bincount(owner, waits, minlength=len(window)), waits


OPEN = [(1e-3, 500, 0, 1), (3e-3, 500, 900, 0.7), (1e-2, 0, 2000, 1), (2e-4, 3000, 400, 4),
        (5e-2, 100, 50, 2)]  # fmt: skip


@pytest.mark.parametrize(("lam", "hold", "wait", "shape"), OPEN)
def test_open_moments(lam, hold, wait, shape):
    rng = np.random.default_rng(11)
    a = rng.gamma(shape, wait / shape, CALLS)
    number, total, waits = sampled_open(rng, lam, a + hold)
    got = bl.open_blocking(lam, hold, wait, wait**2 * (1 + 1 / shape))
    assert abs(z(number, got.blocked)) < 4.5
    assert abs(z_variance(number, got.blocked_variance)) < 4.5
    assert abs(z(total, got.time)) < 4.5
    assert abs(z_variance(total, got.time_variance)) < 4.5
    assert waits.mean() == pytest.approx(got.mean_wait, rel=0.03)
    for level in (0.5, 0.9, 0.99):
        b = bt.blocked_quantile(level, hold, wait, wait**2 * (1 + 1 / shape))
        below = np.mean(waits <= b)
        # Faults of one call share its window: their effective number is that of the calls hit.
        count = min(len(waits), CALLS)
        assert abs(below - level) < 5 * np.sqrt(level * (1 - level) / count) + 2e-3


def test_downgrade_saves_what_the_formula_says():
    rng = np.random.default_rng(12)
    lam, d, r = 4e-3, 600.0, 400.0
    a = rng.gamma(1.5, 800 / 1.5, CALLS)
    saved = lam / 2 * ((a + d + r) ** 2 - (a + d) ** 2)
    assert abs(z(saved, bl.benefit_open(lam, 800, d, r))) < 4.5
    before, after = bl.open_blocking(lam, d + r, 800), bl.open_blocking(lam, d, 800)
    assert before.time - after.time == pytest.approx(bl.benefit_open(lam, 800, d, r))


FINITE = [(1, 1e-3, 500, 0, 1), (20, 3e-4, 500, 900, 0.7), (8, 5e-3, 1000, 300, 2),
          (64, 1e-5, 2000, 2000, 1)]  # fmt: skip


@pytest.mark.parametrize(("n", "nu", "hold", "wait", "shape"), FINITE)
def test_finite_moments(n, nu, hold, wait, shape):
    rng = np.random.default_rng(13)
    calls = 40_000
    a = rng.gamma(shape, wait / shape, calls) if wait else np.zeros(calls)
    waits = np.maximum((a + hold)[:, None] - rng.exponential(1 / nu, (calls, n)), 0)
    got = bl.finite_blocking(n, nu, hold, wait, wait**2 * (1 + 1 / shape))
    assert abs(z((waits > 0).sum(1), got.blocked)) < 4.5
    assert abs(z(waits.sum(1), got.time)) < 4.5
    assert abs(z_variance((waits > 0).sum(1), got.blocked_variance)) < 4.5
    assert abs(z_variance(waits.sum(1), got.time_variance)) < 4.5
    blocked = waits[waits > 0]
    for level in (0.1, 0.5, 0.9, 0.99):
        b = bt.blocked_quantile(level, hold, wait, wait**2 * (1 + 1 / shape), nu=nu)
        count = min(len(blocked), calls)
        assert abs(np.mean(blocked <= b) - level) < 5 * np.sqrt(level * (1 - level) / count) + 2e-3


def test_known_quantiles():
    assert bt.blocked_quantile(0.3, 1000.0) == pytest.approx(300)
    m = 700.0
    assert bt.blocked_quantile(0.9, 0.0, m, 2 * m**2) == pytest.approx(-m * np.log(0.1), rel=1e-8)
    nu, y, q = 2e-3, 1000.0, 0.7
    closed = y + np.log(1 - (1 - q) * (1 - np.exp(-nu * y))) / nu
    assert bt.blocked_quantile(q, y, nu=nu) == pytest.approx(closed, rel=1e-9)
    assert np.isnan(bt.blocked_quantile(0.5, 0.0))
    assert bt.blocked_quantile(1.0, 500.0) == 500.0


@pytest.mark.parametrize("lam", [0.1e-3, 2e-3, 0.1])
@pytest.mark.parametrize("hold", [0.0, 100.0, 3000.0])
def test_law_of_a_drain_is_good_to_three_percent(lam, hold):
    mu = 1e-3
    a = dr.drain_open(lam, mu)
    x = np.linspace(0, 60e3, 60_001)
    left = -np.expm1(-lam / mu * np.exp(-mu * x))
    tail = np.cumsum(left[::-1])[::-1] * (x[1] - x[0])
    b = np.linspace(0, hold + 15e3, 200)
    over = np.interp(np.maximum(b - hold, 0), x, tail) + np.maximum(hold - b, 0)
    exact = over / (tail[0] + hold)
    got = bt.blocked_survival(b, hold, a.mean, a.second, law="drain")
    assert np.max(np.abs(got - exact)) < 0.03
    plain = bt.blocked_survival(b, hold, a.mean, a.second)
    assert np.max(np.abs(plain - exact)) < 0.1


def test_the_laws_of_the_wait_agree_on_an_exponential():
    for nu in (0.0, 1e-3):
        args = (np.array([0.0, 300.0, 900.0]), 500.0, 400.0, 2 * 400.0**2 * (1 + 1e-6))
        gamma = bt.blocked_survival(*args, nu=nu)
        assert bt.blocked_survival(*args, nu=nu, law="drain") == pytest.approx(gamma, rel=1e-5)
    with pytest.raises(InputError, match="law"):
        bt.blocked_quantile(0.5, 1.0, law="normal")


def test_second_moment_below_the_square_is_an_error():
    with pytest.raises(InputError, match="second moment") as caught:
        bl.window_moments(10, 100, 50)
    assert caught.value.field == "acquire_2"


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 4096), nu=rates, d=times, r=times, a=times, more=st.floats(1.01, 3))
def test_finite_benefit_grows_with_the_shared_part(n, nu, d, r, a, more):
    small = bl.benefit_finite(n, nu, d, r, a, 2 * a**2)
    large = bl.benefit_finite(n, nu, d, r * more, a, 2 * a**2)
    assert 0 <= small <= large
    # Nobody is blocked for longer than R less, and no more than n are.
    assert large <= n * r * more * (1 + 1e-12)
    # n threads that stop faulting once blocked lose no more than a Poisson stream of their rate.
    assert small <= bl.benefit_open(n * nu, a, d, r) * (1 + 1e-9)


@settings(max_examples=60, deadline=None)
@given(lam=rates, d=times, r=times, a=times)
def test_finite_becomes_open(lam, d, r, a):
    n = 1e9 * max(1.0, a + d + r)
    finite = bl.benefit_finite(n, lam / n, d, r, a, 2 * a**2)
    assert finite == pytest.approx(float(bl.benefit_open(lam, a, d, r)), rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(nu=st.floats(0, 1.0), d=times, a=times, shape=st.floats(0.05, 1e9), n=st.integers(0, 4096))
def test_no_nan_in_the_domain(nu, d, a, shape, n):
    got = bl.finite_blocking(n, nu, d, a, a**2 * (1 + 1 / shape))
    for value in (got.blocked, got.blocked_variance, got.time, got.time_variance):
        assert np.isfinite(value)
        assert value >= 0


# ------------------------------------------------------------------------------------------ drain


def test_drain_of_a_known_number():
    for n in (1, 2, 5, 40):
        assert dr.DRAIN_GIVEN(threads=n, mu=1e-3) == pytest.approx(
            1e3 * sum(1 / k for k in range(1, n + 1))
        )


@pytest.mark.parametrize("load", [0.05, 1.0, 8.0])
def test_open_drain_against_samples(load):
    rng = np.random.default_rng(21)
    number = rng.poisson(load, CALLS)
    times_left = np.where(
        np.arange(number.max()) < number[:, None], rng.exponential(1000, (CALLS, number.max())), 0
    ).max(1)
    got = dr.drain_open(load * 1e-3, 1e-3)
    assert abs(z(times_left, got.mean)) < 4.5
    assert abs(z(times_left**2, got.second)) < 4.5


def test_two_classes():
    plain = dr.drain_open(5e-3, 1e-3)
    for share, long in ((0.0, 1e5), (1e-3, 0.0)):
        both = dr.drain_open_two_class(5e-3, 1e-3, share, long)
        assert both.mean == pytest.approx(float(plain.mean), rel=1e-8)
        assert both.second == pytest.approx(float(plain.second), rel=1e-8)
    rng = np.random.default_rng(22)
    lam, share, tau = 2e-3, 2e-3, 5e4
    # Faults of the last 1.2 ms, each with its own hold: what is left of the longest.
    span = 24 * tau
    drains = np.zeros(CALLS // 10)
    for i in range(drains.size):
        count = rng.poisson(lam * share * span)
        hold = rng.exponential(1e3, count) + rng.exponential(tau, count)
        drains[i] = max(0.0, (hold - rng.uniform(0, span, count)).max(initial=0.0))
        minor = rng.poisson(lam * (1 - share) * 1e3)
        drains[i] = max(drains[i], rng.exponential(1e3, minor).max(initial=0.0))
    got = dr.drain_open_two_class(lam, 1e-3, share, tau)
    assert abs(z(drains, got.mean)) < 4.5
    assert abs(z(drains**2, got.second)) < 4.5
    rough = dr.DRAIN_IO(lambda_r=lam, mu=1e-3, io_share=share, io_time=tau)
    assert rough == pytest.approx(float(got.mean), rel=0.12)


@pytest.mark.parametrize(
    ("n", "q", "nu", "mu", "hold"),
    [(1, 0.3, 2e-3, 1e-3, 500), (5, 0.2, 1e-5, 1e-3, 300), (64, 0.7, 1e-3, 1e-3, 200),
     (400, 0.05, 1.0, 1e-3, 0), (300, 0.5, 1e-7, 1e-2, 100)],
)  # fmt: skip
def test_closed_sums_equal_the_sums_over_readers(n, q, nu, mu, hold):
    readers = np.arange(n + 1)
    weight = binom.pmf(readers, n, q)
    each = dr.blocked_given_readers(n, readers, nu, mu, hold)
    got = dr.blocked_while_draining(n, nu, mu, q, hold)
    assert got.time == pytest.approx(weight @ each.time, rel=1e-9)
    assert got.blocked == pytest.approx(weight @ each.blocked, rel=1e-9)
    assert dr.drain_threads(n, mu, q).mean == pytest.approx(
        weight @ harmonic(readers) / mu, rel=1e-9
    )


@pytest.mark.parametrize(
    ("n", "readers", "nu"), [(6, 0, 1e-3), (6, 3, 1e-3), (6, 6, 1e-2), (9, 8, 1e-4)]
)
def test_given_readers_against_samples(n, readers, nu):
    rng = np.random.default_rng(23)
    mu, hold = 1e-3, 700.0
    left = rng.exponential(1 / mu, (CALLS, readers))
    end = (left.max(1) if readers else np.zeros(CALLS)) + hold
    start = np.concatenate([left, np.zeros((CALLS, n - readers))], axis=1)
    waits = np.maximum(end[:, None] - start - rng.exponential(1 / nu, (CALLS, n)), 0)
    got = dr.blocked_given_readers(n, readers, nu, mu, hold)
    assert abs(z(waits.sum(1), got.time)) < 4.5
    assert abs(z((waits > 0).sum(1), got.blocked)) < 4.5


def test_readers_must_fit():
    with pytest.raises(InputError, match="more readers"):
        dr.blocked_given_readers(2, 3, 1e-3, 1e-3, 1.0)
    with pytest.raises(InputError, match="not whole"):
        dr.blocked_given_readers(2, 1.5, 1e-3, 1e-3, 1.0)
