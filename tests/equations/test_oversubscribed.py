"""Fewer CPUs than threads: the exact limits, and the chain that shares its CPUs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from perfmodel.equations.closed import closed_system
from perfmodel.equations.numeric import binomial_tail
from perfmodel.equations.oversubscribed import SLOWNESS, slowdown
from perfmodel.rwlock.lock import Lock
from perfmodel.rwlock.markov import solve_chain


def chain(n, nu, z, d, r, cpus):
    """Answer exactly, exponential holds; a fault's hold is the unit of time."""
    lock = Lock(
        np.array([d]), np.array([r]), 1.0, fault_threads=n, fault_think=1 / nu,
        writer_threads=1, writer_think=z, readers_sleep=False, cpus=cpus,
    )  # fmt: skip
    return solve_chain(lock, levels=())


def limited(n, nu, z, d, r, cpus):
    """Answer in closed form: fault rate, call rate and blocked time of one call."""
    free = closed_system(n, nu, 1.0, z, d, r, stages=1, quantiles=())
    slow = slowdown(
        n, cpus, nu, 1 / free.call_rate, free.acquire, d, free.blocked_per_call,
        free.blocked_time_per_call,
    )  # fmt: skip
    return free.fault_rate / slow.cycle, free.call_rate / slow.cycle, slow.blocked_time


def test_slowness_is_the_mean_over_a_binomial_number():
    for n, s, caller, cpus in ((5, 0.7, 1, 3), (12, 0.2, 0, 4), (3, 0.9, 1, 1), (40, 0.5, 1, 64)):
        k = np.arange(n + 1)
        right = binom.pmf(k, n, s) @ np.maximum(1, (k + caller) / cpus)
        got = SLOWNESS(threads=n, running_share=s, calling=caller, cpus=cpus)
        assert got == pytest.approx(right, rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(0, 200), j=st.integers(-3, 205), s=st.floats(0, 1))
def test_tail_of_a_binomial(n, j, s):
    assert binomial_tail(j, n, s) == pytest.approx(binom.sf(j - 1, n, s), rel=1e-9, abs=1e-300)
    assert np.isnan(binomial_tail(j, n, np.nan))


@settings(max_examples=25, deadline=None)
@given(nu=st.floats(0.01, 3), z=st.floats(1, 100), d=st.floats(0.1, 10), r=st.floats(0.1, 10))
def test_one_cpu_takes_only_the_mean(nu, z, d, r):
    # Somebody always runs: the caller, or the reader for whom it waits. So the slowdown is linear.
    asked = (1, nu, z, d, r, 1)
    right, got = chain(*asked), limited(*asked)
    assert got[0] == pytest.approx(right.fault_rate[0], rel=1e-8)
    assert got[1] == pytest.approx(right.call_rate[0], rel=1e-8)


def test_a_cpu_for_everyone_changes_nothing():
    free = closed_system(8, 0.2, 1.0, 20.0, 2.0, 1.0, quantiles=())
    got = slowdown(
        8, [9, 20], 0.2, 1 / free.call_rate, free.acquire, 2.0, free.blocked_per_call,
        free.blocked_time_per_call,
    )  # fmt: skip
    assert got.cycle == pytest.approx(1.0, rel=1e-12)
    assert got.blocked_time == pytest.approx(float(free.blocked_time_per_call), rel=1e-9)
    assert got.acquire == pytest.approx(float(free.acquire), rel=1e-9)


def test_against_the_chain():
    rng = np.random.default_rng(7)
    for _ in range(25):
        n = int(rng.choice([2, 4, 8, 16, 24]))
        nu, z, d, r = 10 ** rng.uniform(-2, 0, 4) * [3, 300, 10, 10]
        cpus = int(np.clip(round((n + 1) * rng.uniform(0.1, 0.95)), 1, n))
        right, got = chain(n, nu, z, d, r, cpus), limited(n, nu, z, d, r, cpus)
        assert got[0] == pytest.approx(right.fault_rate[0], rel=0.02)
        assert got[1] == pytest.approx(right.call_rate[0], rel=0.02)
        assert got[2] == pytest.approx(right.blocked_time[0], rel=0.42)
