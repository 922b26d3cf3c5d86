"""The open queue: limits that are known, and simulation of both orders of service."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lock_simulation import simulate

from perfmodel.equations import queue as q
from perfmodel.errors import InputError


def test_without_faults_it_is_m_d_1():
    d, lw = 500.0, 1e-3
    wait = lw * d**2 / (2 * (1 - lw * d))
    got = q.fifo_queue(1e-12, lw, 1e-3, d)
    assert got.writer_wait == pytest.approx(wait, rel=1e-5)
    assert got.reader_wait == pytest.approx(wait + (1 - got.waiting_share) * 0, rel=1e-5)
    assert got.waiting_share == pytest.approx(lw * d, rel=1e-5)


def test_without_calls_nobody_waits():
    for solve in (q.fifo_queue, q.rwsem_queue):
        got = solve(1e-3, 0.0, 1e-3, 500.0, 100.0)
        assert got.reader_wait == 0
        assert got.writer_wait == pytest.approx(float(q.drain_open(1e-3, 1e-3).mean))
    assert q.capacity(1e-3, 0.0, 1e-3, 500.0) == 0


@pytest.mark.parametrize(
    ("lr", "lw", "d", "r"), [(2, 0.1, 0.5, 0.4), (30, 0.05, 1, 0), (0.3, 0.4, 0.3, 0.6)]
)
def test_conservation_law(lr, lw, d, r):
    # A fault sees the work that a call sees, less the drain: W_r = W_w + D - rho/lambda_w.
    got = q.fifo_queue(lr, lw, 1.0, d, r)
    assert got.reader_wait == pytest.approx(got.writer_wait + d - got.waiting_share / lw, rel=1e-9)
    run = simulate(
        mu=1, exclusive=d, shared=r, lambda_r=lr, lambda_w=lw, rule="fifo", events=200_000
    )
    right = run.writer_wait.mean + d - run.blocked_share.mean / lw
    scale = d + run.blocked_share.mean / lw
    assert abs(run.reader_wait.mean - right) < 0.05 * scale


#: lambda_r, lambda_w, exclusive, shared in units of a fault's hold; chosen over load and shape.
FIFO = [(0.5, 0.02, 0.3, 0), (2, 0.05, 1, 0.3), (5, 0.02, 0.2, 1), (1, 0.06, 1.1, 0),
        (2.3, 0.086, 0.3, 0), (5.4, 0.083, 0.05, 0), (0.4, 0.2, 0.66, 0),
        (2.1, 0.14, 0.7, 0.1)]  # fmt: skip


@pytest.mark.parametrize(("lr", "lw", "d", "r"), FIFO)
def test_fifo_against_simulation(lr, lw, d, r):
    run = simulate(mu=1, exclusive=d, shared=r, lambda_r=lr, lambda_w=lw, rule="fifo",
                   events=250_000, seed=3)  # fmt: skip
    got = q.fifo_queue(lr, lw, 1.0, d, r)
    assert got.valid
    stated = 0.08 if got.load < 0.3 else 0.35
    assert abs(got.reader_wait / run.reader_wait.mean - 1) < stated + 4.5 * (
        run.reader_wait.error / run.reader_wait.mean
    )
    assert abs(got.writer_wait / run.writer_wait.mean - 1) < stated + 4.5 * (
        run.writer_wait.error / run.writer_wait.mean
    )


RWSEM = [(0.5, 0.02, 0.3, 0.1), (2, 0.03, 1, 0.3), (1.2, 0.02, 0.5, 2), (10, 0.01, 1, 0),
         (9.4, 0.61, 0.05, 0.06), (18, 1.3, 0.036, 0), (5.1, 1.0, 0.23, 0), (68, 1.2, 0.24, 0.12),
         (5.9, 0.36, 0.78, 0.93), (0.4, 5.9, 0.04, 0.1), (8.6, 0.59, 1.44, 0)]  # fmt: skip


@pytest.mark.parametrize(("lr", "lw", "d", "r"), RWSEM)
def test_rwsem_against_simulation_where_valid(lr, lw, d, r):
    run = simulate(mu=1, exclusive=d, shared=r, lambda_r=lr, lambda_w=lw, events=250_000, seed=4)
    got = q.rwsem_queue(lr, lw, 1.0, d, r)
    assert got.valid
    assert abs(got.reader_wait / run.reader_wait.mean - 1) < 0.16 + 4.5 * (
        run.reader_wait.error / run.reader_wait.mean
    )
    assert abs(got.writer_wait / run.writer_wait.mean - 1) < 0.24 + 4.5 * (
        run.writer_wait.error / run.writer_wait.mean
    )


INTERIOR = [
    (2.5, 0.24, 0.16, 0),
    (18, 0.13, 0.68, 0),
    (0.39, 0.84, 0.66, 0),
    (1.8, 0.25, 0.26, 1.2),
]


@pytest.mark.parametrize(("lr", "lw", "d", "r"), INTERIOR)
def test_rwsem_elsewhere_is_flagged_and_of_the_right_size(lr, lw, d, r):
    run = simulate(mu=1, exclusive=d, shared=r, lambda_r=lr, lambda_w=lw, events=250_000, seed=4)
    got = q.rwsem_queue(lr, lw, 1.0, d, r)
    assert not got.valid
    assert "little load" in got.region.broken()[0]
    assert abs(got.reader_wait / run.reader_wait.mean - 1) < 0.45
    assert abs(got.writer_wait / run.writer_wait.mean - 1) < 0.45


def test_the_kernel_rule_is_stable_where_fifo_is_not():
    lr, d, r, lw = 5.0, 0.2, 0.5, 0.9
    fifo, kernel = q.fifo_queue(lr, lw, 1.0, d, r), q.rwsem_queue(lr, lw, 1.0, d, r)
    assert np.isinf(fifo.reader_wait)
    run = simulate(mu=1, exclusive=d, shared=r, lambda_r=lr, lambda_w=lw, events=200_000)
    assert kernel.reader_wait == pytest.approx(run.reader_wait.mean, rel=0.15)
    with pytest.raises(InputError, match="the time there is"):
        q.require_stable(fifo)
    q.require_stable(kernel)


def test_light_traffic():
    lr, lw, d = 1.0, 0.003, 0.5
    run = simulate(mu=1, exclusive=d, lambda_r=lr, lambda_w=lw, events=1_200_000, seed=9)
    got = q.light_queue(lr, lw, 1.0, d)
    assert got.valid
    assert abs(got.reader_wait / run.reader_wait.mean - 1) < 0.03 + 4.5 * (
        run.reader_wait.error / run.reader_wait.mean
    )
    for solve in (q.fifo_queue, q.rwsem_queue):
        assert solve(lr, 1e-7, 1.0, d).reader_wait == pytest.approx(
            float(q.light_queue(lr, 1e-7, 1.0, d).reader_wait), rel=1e-3
        )


@settings(max_examples=60, deadline=None)
@given(lr=st.floats(1e-7, 1), load=st.floats(1e-4, 0.95), mu=st.floats(1e-5, 1e-2),
       d=st.floats(1, 1e5), r=st.floats(0, 1e5))  # fmt: skip
def test_no_nan_and_unstable_is_infinite(lr, load, mu, d, r):
    lw = load / (d + r)
    fifo, kernel = q.fifo_queue(lr, lw, mu, d, r), q.rwsem_queue(lr, lw, mu, d, r)
    for got in (fifo, kernel):
        assert not np.isnan(got.reader_wait)
        assert not np.isnan(got.writer_wait)
        assert got.reader_wait >= 0
    assert np.isfinite(kernel.reader_wait)
    assert kernel.reader_wait <= fifo.reader_wait * (1 + 1e-9)
    assert np.isinf(fifo.reader_wait) == (fifo.load >= 1)


def test_nan_stays_nan():
    got = q.rwsem_queue([1e-3, np.nan], 1e-5, 1e-3, 500.0)
    assert np.isnan(got.reader_wait).tolist() == [False, True]
    assert got.valid.tolist()[1] is False
