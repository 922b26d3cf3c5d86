"""The reduction of slices: known ratios, an error that is the paired one, disturbance by rule."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from perfmodel.counterfactual import Effect, grid, measured
from perfmodel.counterfactual.slices import Record

from .made import SLICE, pairs, record_of, row


def record(slices: list[list[int]], **conditions: object) -> Record:
    made = record_of(grid()[0], slices)
    made["conditions"] |= conditions
    return msgspec.convert(made, Record)


def test_rates_waits_and_shares_of_each_arm() -> None:
    found = measured(record(pairs((1000, 1200), (900_000, 300_000))))
    assert found.reads_per_s == pytest.approx((1050 / SLICE * 1e9, 1250 / SLICE * 1e9))
    assert found.throughput.value == pytest.approx(1250 / 1050 - 1)
    assert found.wait_ns == pytest.approx((900_000 / 1050, 300_000 / 1250))
    assert found.wait.value == pytest.approx(300_000 / 1250 - 900_000 / 1050)
    assert found.blocked_share == pytest.approx((50 / 1050, 50 / 1250))
    assert found.calls.value == 0
    assert (found.pairs, found.left_out, found.disturbed) == (12, 0, False)


def test_noise_that_both_arms_of_a_pair_meet_cancels() -> None:
    # Every pair has another level, and within each the downgrade is worth exactly 20 %.
    rng = np.random.default_rng(0)
    slices = [row(arm, level * (5 + arm), 0) for level in rng.integers(50, 500, 20)
              for arm in (0, 1)]  # fmt: skip
    found = measured(record(slices))
    assert found.throughput.value == pytest.approx(0.2)
    assert found.throughput.error < 1e-12


def test_the_error_is_that_of_the_mean_difference() -> None:
    # Differences about a base that does not vary: the jackknife is the usual standard error.
    rng = np.random.default_rng(1)
    gains = rng.integers(-300, 500, 30)
    slices = [r for gain in gains for r in (row(0, 10_000, 0), row(1, 10_000 + int(gain), 0))]
    found = measured(record(slices))
    assert found.throughput.value == pytest.approx(gains.mean() / 10_000)
    expected = gains.std(ddof=1) / np.sqrt(30) / 10_000
    assert found.throughput.error == pytest.approx(expected, rel=1e-6)


def test_the_error_covers_what_it_says() -> None:
    rng = np.random.default_rng(2)
    outside = 0
    for _ in range(400):
        base = rng.normal(10_000, 2_000, 15).clip(1000)
        with_it = base * 1.1 + rng.normal(0, 400, 15)
        slices = [r for a, b in zip(base, with_it, strict=True)
                  for r in (row(0, round(a), 0), row(1, round(b), 0))]  # fmt: skip
        effect = measured(record(slices)).throughput
        outside += abs(effect.value - 0.1) > effect.noise
    # Two standard errors leave 4.6 % outside.
    assert 4 <= outside <= 40


def test_few_pairs_need_more_than_two_errors() -> None:
    assert Effect(1.0, 0.5, 10**6).noise == pytest.approx(1.0, rel=1e-4)
    assert Effect(1.0, 0.5, 6).noise > 1.3
    assert not Effect(1.2, 0.5, 6).significant
    assert Effect(1.2, 0.5, 1000).significant


def test_disturbed_pairs_are_left_out_whatever_they_counted() -> None:
    calm = pairs((1000, 1200), (0, 0))
    wild = [row(0, 5, 10**9, taken=0.5), row(1, 90_000, 0)] * 4
    found = measured(record(calm + wild))
    assert (found.pairs, found.left_out, found.disturbed) == (12, 4, False)
    assert found.throughput.value == pytest.approx(1250 / 1050 - 1)


def test_too_few_quiet_pairs_are_said() -> None:
    slices = [row(arm, 1000, 0, taken=0.4) for _ in range(12) for arm in (0, 1)]
    assert measured(record(slices)).disturbed
    # A machine that does not tell cannot be told from a quiet one.
    assert not measured(record(slices, idle_known=False, delay_known=False)).disturbed
    assert measured(record(slices, idle_known=False)).disturbed


def test_idle_time_that_others_took_disturbs_nobody() -> None:
    # Others ran, but our threads never waited for a CPU.
    slices = [row(arm, 1000, 0, taken=0.4) for _ in range(12) for arm in (0, 1)]
    for one in slices:
        one[-3] = 0  # delay
    assert not measured(record(slices)).disturbed


def test_an_arm_without_reads_is_unknown_and_not_zero() -> None:
    slices = [row(arm, 0, 0, blocked=0) for _ in range(8) for arm in (0, 1)]
    found = measured(record(slices))
    assert np.isnan(found.throughput.value)
    assert not found.throughput.significant
    assert np.isnan(found.wait.value)
