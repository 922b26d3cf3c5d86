"""The closed system against discrete-event simulation and against exact limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lock_simulation import simulate

from perfmodel.equations.closed import closed_system
from perfmodel.errors import InputError
from perfmodel.rwlock.lock import Lock
from perfmodel.rwlock.markov import solve_chain

#: threads, nu, mu, think time of the writer, exclusive, shared; times in units of a fault's hold.
GRID = [(1, 0.5, 1, 5, 1, 0), (3, 2.0, 1, 0.5, 0.3, 0.3), (8, 0.05, 1, 50, 2, 0),
        (8, 0.05, 1, 50, 0.5, 1.5), (16, 0.2, 1, 20, 5, 0), (16, 0.2, 1, 20, 1, 4),
        (32, 0.5, 1, 10, 1, 3), (64, 0.02, 1, 100, 0.2, 2), (48, 3.0, 1, 30, 0.5, 0)]  # fmt: skip


@pytest.mark.parametrize(("n", "nu", "mu", "z", "d", "r"), GRID)
def test_against_simulation(n, nu, mu, z, d, r):
    run = simulate(
        mu=mu, exclusive=d, shared=r, threads=n, nu=nu, writers=1, think_writer=z,
        events=150_000, seed=5,
    )  # fmt: skip
    got = closed_system(n, nu, mu, z, d, r)
    assert got.valid
    for value, found, stated in (
        (got.fault_rate, run.fault_rate, 0.016),
        (got.call_rate, run.call_rate, 0.044),
        (got.wait_mean, run.reader_wait, 0.04),
        (got.p_blocked, run.blocked_share, 0.04),
    ):
        assert abs(value - found.mean) < stated * found.mean + 4.5 * found.error
    waits = np.array(run.waits)
    blocked = waits[waits > 0]
    # Faults of one call share its window: what counts is calls.
    count = len(blocked) / max(1.0, float(got.blocked_per_call))
    for level in (0.5, 0.9, 0.99):
        b = float(got.wait_quantiles_blocked[level])
        scatter = np.sqrt(level * (1 - level) / count)
        assert abs(np.mean(blocked <= b) - level) < 4.5 * scatter + 0.01
        everyone = float(got.wait_quantiles[level])
        # Within the odds of being blocked, the quantile of all waits may still be 0.
        if abs(1 - level - got.p_blocked) > 0.02:
            assert abs(np.mean(waits <= everyone) - level) < 0.03 or everyone == 0
            assert (everyone == 0) == (got.p_blocked <= 1 - level)


def test_several_writers_are_flagged():
    run = simulate(
        mu=1, exclusive=0.5, threads=16, nu=0.2, writers=3, think_writer=60, events=150_000, seed=6
    )
    got = closed_system(16, 0.2, 1, 60, [0.5, 8.0], writers=[3, 60])
    assert got.valid.tolist() == [True, False]
    assert got.fault_rate[0] == pytest.approx(run.fault_rate.mean, rel=0.03)
    assert got.call_rate[0] == pytest.approx(run.call_rate.mean, rel=0.05)
    assert "30 %" in got.region.broken(1)[0]


def test_identities():
    n, nu, mu, z, d, r = 12, 1e-4, 1e-3, 1e5, 4000.0, 2000.0
    got = closed_system(n, nu, mu, z, d, r)
    per_call = got.fault_rate / got.call_rate
    assert got.blocked_time_per_call == pytest.approx(got.wait_mean * per_call)
    # A thread's cycle: think, wait, hold.
    assert n / got.fault_rate == pytest.approx(1 / nu + got.wait_mean + 1 / mu, rel=1e-9)
    assert 1 / got.call_rate == pytest.approx(z + got.acquire + d + r)
    assert got.acquire_2 >= got.acquire**2


def test_rare_calls_are_the_open_formulas():
    from perfmodel.equations.blocking import benefit_open
    from perfmodel.equations.drain import drain_open

    n, nu, mu = 4000, 1e-7, 1e-3
    lam = n * nu
    before = closed_system(n, nu, mu, 1e9, 900.0)
    after = closed_system(n, nu, mu, 1e9, 500.0, 400.0)
    saved = before.blocked_time_per_call - after.blocked_time_per_call
    drain = drain_open(lam, mu)
    assert before.acquire == pytest.approx(float(drain.mean), rel=2e-3)
    assert saved == pytest.approx(float(benefit_open(lam, drain.mean, 500, 400)), rel=2e-3)


def test_no_think_time_at_all_ends():
    # The writer comes back at once: the tail or the released faults are all it waits for.
    got = closed_system(8, 1.0, 1.0, 0.0, 2.0)
    assert 0 < got.call_rate < 0.5
    assert got.blocked_share > 0.2


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 4096),
    nu=st.floats(1e-8, 1e-1),
    mu=st.floats(1e-6, 1e-2),
    z=st.floats(1, 1e8),
    d=st.floats(0, 1e6),
    r=st.floats(0, 1e6),
)
def test_no_nan_and_order(n, nu, mu, z, d, r):
    before = closed_system(n, nu, mu, z, d + r)
    after = closed_system(n, nu, mu, z, d, r)
    for got in (before, after):
        for value in (got.fault_rate, got.call_rate, got.acquire, got.wait_mean, got.p_blocked):
            assert np.isfinite(value)
            assert value >= 0
        assert got.p_blocked <= 1 + 1e-9
        ordered = [float(got.wait_quantiles[q]) for q in (0.5, 0.9, 0.99)]
        assert ordered == sorted(ordered)
        assert np.isfinite(ordered).all()
    assert after.fault_rate >= before.fault_rate * (1 - 1e-9)


def test_arrays_and_nan():
    got = closed_system([4, 4096, np.nan], 1e-4, 1e-3, 1e5, [[500], [900]])
    assert got.fault_rate.shape == (2, 3)
    assert np.isnan(got.fault_rate[:, 2]).all()
    assert not got.valid[0, 2]
    assert np.isfinite(got.fault_rate[:, :2]).all()
    assert got.wait_quantiles[0.9].shape == (2, 3)


def test_bad_input():
    with pytest.raises(InputError, match="quantiles"):
        closed_system(1, 1, 1, 1, 1, quantiles=(1.0,))
    with pytest.raises(InputError, match="think_law"):
        closed_system(1, 1, 1, 1, 1, think_law="weibull")
    with pytest.raises(InputError, match="threads"):
        closed_system(-1, 1, 1, 1, 1)


# --------------------------------------------------------------- holds with a law, and the chain


def chain(n, nu, mu, z, d, r, stages):
    """Answer the same question exactly."""
    lock = Lock(
        np.array([d]), np.array([r]), 1 / mu, fault_threads=n, fault_think=1 / nu,
        writer_threads=1, writer_think=z, readers_sleep=False,
    )  # fmt: skip
    return solve_chain(lock, stages=stages, levels=())


@settings(max_examples=40, deadline=None)
@given(
    nu=st.floats(0.01, 10), z=st.floats(0.1, 100), d=st.floats(0.01, 30),
    r=st.one_of(st.just(0.0), st.floats(0.01, 30)),
    stages=st.sampled_from([1, 2, 8]),
)  # fmt: skip
def test_one_thread_and_one_caller_are_exact(nu, z, d, r, stages):
    got = closed_system(1, nu, 1.0, z, d, r, stages=stages, quantiles=())
    right = chain(1, nu, 1.0, z, d, r, stages)
    for value, found in (
        (got.fault_rate, right.fault_rate),
        (got.call_rate, right.call_rate),
        (got.p_blocked, right.blocked_share),
        (got.wait_mean, right.wait_mean),
        (got.writer_wait, right.acquire),
        (got.blocked_per_call, right.blocked),
        (got.blocked_time_per_call, right.blocked_time),
    ):
        assert value == pytest.approx(found[0], rel=1e-9)


@pytest.mark.parametrize("stages", [1, 8])
def test_several_threads_are_within_the_error_of_the_closure(stages):
    rng = np.random.default_rng(stages)
    for _ in range(15):
        n = int(rng.choice([2, 4, 8, 16, 32]))
        nu, z, d, r = 10 ** rng.uniform(-2, 0, 4) * [3, 300, 10, 10]
        got = closed_system(n, nu, 1.0, z, d, r, stages=stages, quantiles=())
        right = chain(n, nu, 1.0, z, d, r, stages)
        assert got.fault_rate == pytest.approx(right.fault_rate[0], rel=0.01)
        assert got.call_rate == pytest.approx(right.call_rate[0], rel=0.08)
        assert got.wait_mean == pytest.approx(right.wait_mean[0], rel=0.06)


def test_many_stages_are_a_constant():
    asked = (12, 1e-4, 1e-3, 1e5, 4000.0, 2000.0)
    many, constant = closed_system(*asked, stages=10**7), closed_system(*asked)
    assert many.fault_rate == pytest.approx(float(constant.fault_rate), rel=1e-7)
    assert many.blocked_time_per_call == pytest.approx(
        float(constant.blocked_time_per_call), rel=1e-6
    )
    assert np.isnan(many.wait_quantiles[0.9])
    assert np.isnan(many.wait_quantiles_blocked[0.9])
    with pytest.raises(InputError, match="stages"):
        closed_system(*asked, stages=0)
