"""The closed forms against an event-driven simulation of the same lock, in the answer's own terms."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from perfmodel.errors import InputError
from perfmodel.rwlock import Lock, any_woken, solve

sys.path.insert(0, str(Path(__file__).parents[1] / "equations"))
from lock_simulation import simulate


def _lock(**more: object) -> Lock:
    given = {
        "exclusive": np.array([3000.0]), "shared": np.array([0.0]), "read_hold": 400.0,
        "readers_sleep": False,
    }  # fmt: skip
    return Lock(**{**given, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize("shared", [0.0, 8000.0])
@pytest.mark.parametrize("threads", [1, 6, 24])
def test_closed_population_against_simulation(threads: int, shared: float) -> None:
    answer = solve(
        _lock(
            fault_threads=threads, fault_think=10_000.0, writer_think=50_000.0,
            shared=np.array([shared]),
        )
    )  # fmt: skip
    run = simulate(
        mu=1 / 400, exclusive=3000, shared=shared, threads=threads, nu=1e-4, writers=1,
        think_writer=50_000, events=150_000, seed=7,
    )  # fmt: skip
    for mine, theirs, error in (
        (answer.fault_rate[0], run.fault_rate, 0.02),
        (answer.call_rate[0], run.call_rate, 0.04),
        (answer.wait_mean[0], run.reader_wait, 0.06),
        (answer.blocked_share[0], run.blocked_share, 0.06),
        (answer.acquire[0], run.writer_wait, 0.06),
    ):
        assert abs(mine - theirs.mean) < error * theirs.mean + 4.5 * theirs.error


@pytest.mark.parametrize("shared", [0.0, 8000.0])
def test_open_faults_and_one_caller_against_simulation(shared: float) -> None:
    # A caller that thinks long and an open stream: a simulated stream of rare calls.
    answer = solve(
        _lock(fault_rate=2e-4, writer_think=1e6, shared=np.array([shared]), writer_rate=None)
    )
    run = simulate(
        mu=1 / 400, exclusive=3000, shared=shared, lambda_r=2e-4, lambda_w=1e-6,
        events=400_000, seed=11,
    )  # fmt: skip
    per_call = run.reader_wait.mean * 2e-4 / 1e-6
    spread = run.reader_wait.error * 2e-4 / 1e-6
    assert abs(answer.blocked_time[0] - per_call) < 0.05 * per_call + 4.5 * spread


def test_quantiles_of_all_faults_are_zero_until_enough_are_blocked() -> None:
    answer = solve(_lock(fault_rate=1e-4, writer_think=1e6), levels=(0.5, 0.9999))
    assert answer.wait_quantiles[0.5][0] == 0
    assert answer.wait_quantiles[0.9999][0] > 2000


def test_sleepers_wait_longer_than_spinners_by_the_wake_up() -> None:
    common = {"fault_rate": 1e-5, "writer_think": 1e6, "wake_latency": 5000.0, "wake_serial": 700.0}
    spin = solve(_lock(**common, readers_sleep=False))
    sleep = solve(_lock(**common, readers_sleep=True))
    assert spin.wake_time[0] == 0
    assert sleep.wake_time[0] == pytest.approx(5700 * sleep.blocked[0], rel=0.02)
    # The caller waits for woken faults now and then, and more faults queue behind it.
    assert sleep.blocked_time[0] == pytest.approx(spin.blocked_time[0], rel=1e-3)
    assert sleep.blocked_time[0] > spin.blocked_time[0]


def test_sections_are_independent_holds() -> None:
    one = solve(_lock(fault_rate=1e-5, writer_think=1e7))
    four = solve(_lock(fault_rate=1e-5, writer_think=1e7, sections=4))
    assert four.blocked_time[0] == pytest.approx(4 * one.blocked_time[0])
    assert any("independent" in why for why in four.broken)


def test_unaffected_faults_wait_less_and_none_wait_at_zero() -> None:
    half = solve(_lock(fault_threads=8, fault_think=10_000.0, writer_think=5e4, affected=0.5))
    full = solve(_lock(fault_threads=8, fault_think=10_000.0, writer_think=5e4))
    none = solve(_lock(fault_threads=8, fault_think=10_000.0, writer_think=5e4, affected=0.0))
    assert 0 < half.wait_mean[0] < 0.6 * full.wait_mean[0]
    assert none.wait_mean[0] == 0
    assert none.call_rate[0] == pytest.approx(1 / 53_000)


def test_callers_that_fill_the_lock_slow_down_instead_of_diverging() -> None:
    answer = solve(_lock(fault_rate=1e-6, writer_think=1000.0, writer_threads=50))
    assert 0.9 < answer.call_rate[0] * 3000 < 1
    assert any("load" in why or "stable" in why for why in answer.broken)


def test_calls_faster_than_the_lock_have_no_steady_state() -> None:
    answer = solve(_lock(fault_rate=1e-6, writer_rate=1e-3))
    assert not np.isfinite(answer.wait_mean[0])
    assert answer.broken


def test_an_unknown_hold_is_unknown_everywhere() -> None:
    for faults in ({"fault_rate": 1e-5}, {"fault_threads": 4, "fault_think": 1e4}):
        answer = solve(_lock(**faults, exclusive=np.array([np.nan]), writer_think=1e5))
        assert np.isnan(answer.wait_mean[0])
        assert np.isnan(answer.blocked_time[0])


def test_probability_of_having_somebody_to_wake() -> None:
    assert any_woken(np.array([1.0]), 1)[0] == 1
    assert any_woken(np.array([0.5]), 2)[0] == pytest.approx(1 - 0.75**2)
    assert any_woken(np.array([0.5]), None)[0] == pytest.approx(1 - np.exp(-0.5))


@pytest.mark.parametrize(
    "bad", [{}, {"fault_rate": 1.0, "fault_threads": 2}, {"fault_rate": 1.0, "discipline": "lifo"}]
)
def test_a_malformed_question_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(InputError):
        _lock(**bad)
