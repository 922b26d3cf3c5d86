"""Effects, their noise and their scores, on slices whose effects are known."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from perfmodel.experiment import Configuration, Predicted, Slice, compare, score

Make = Callable[..., Slice]


def forecast(point: Configuration, quantity: str, effect: float, spread: float = 0.1) -> Predicted:
    return Predicted(
        point, "k0", quantity, value=50.0, low=40.0, high=60.0, effect=effect,
        effect_low=effect - spread, effect_high=effect + spread, solver="made up",
    )  # fmt: skip


def measured(make: Make, pairs: list[tuple[float, float]], name: str = "call") -> list[Slice]:
    found = []
    for number, (none, cut) in enumerate(pairs):
        boot = f"boot {number % 2}"
        found += [
            make("none", boot, number, **{name: none}),
            make("k0", boot, number, **{name: cut}),
        ]
    return found


def test_an_effect_is_the_median_of_the_pairs(point: Configuration, make_slice: Make) -> None:
    # The level differs from pair to pair, the effect hardly: pairs take the level out.
    some = measured(make_slice, [(100, 50), (200, 101), (400, 199), (800, 401)])
    (row,) = compare([forecast(point, "call", 0.5)], some)
    assert row.effect == pytest.approx(0.5, rel=0.01)
    assert row.error < 0.01
    assert row.significant
    assert row.hit is True
    assert row.covered is True
    assert (row.pairs, row.boots) == (4, 2)
    assert row.effect_ratio == pytest.approx(1.0, rel=0.01)


def test_a_wrong_sign_is_a_miss_and_noise_is_neither(
    point: Configuration, make_slice: Make
) -> None:
    some = measured(make_slice, [(100, 50), (100, 51), (100, 49)])
    (row,) = compare([forecast(point, "call", 1.3)], some)
    assert row.hit is False
    assert row.covered is False
    noisy = measured(make_slice, [(100, 50), (100, 250), (100, 90), (100, 110)])
    (row,) = compare([forecast(point, "call", 1.3)], noisy)
    assert row.hit is None


def test_thread_time_is_compared_by_its_difference(point: Configuration, make_slice: Make) -> None:
    some = measured(make_slice, [(100, 40), (110, 52), (90, 30)], "lost")
    (row,) = compare([forecast(point, "lost", -60.0)], some)
    assert row.effect == pytest.approx(-60.0)
    assert row.neutral == 0.0
    assert row.hit is True


def test_one_pair_has_no_noise_of_its_own_and_tells_no_sign(
    point: Configuration, make_slice: Make
) -> None:
    (row,) = compare([forecast(point, "call", 0.5)], measured(make_slice, [(100, 50)]))
    assert math.isinf(row.error)
    assert row.hit is None
    assert math.isnan(row.boot_spread)


def test_what_was_not_measured_is_not_compared(point: Configuration, make_slice: Make) -> None:
    only_none = [make_slice("none", "boot 1", 0, call=100.0)]
    assert compare([forecast(point, "call", 0.5)], only_none) == []


def test_scores_count_signs_and_sizes(point: Configuration, make_slice: Make) -> None:
    some = measured(make_slice, [(100, 50), (100, 51), (100, 49)])
    rows = [
        *compare([forecast(point, "call", 0.25)], some),
        *compare([forecast(point, "call", 2.0)], some),
    ]
    found = score(rows)
    assert (found.rows, found.significant, found.right) == (2, 2, 1)
    # Both calls became shorter, as whoever always says so would have it.
    assert found.by_guess == 2
    # One is off by 2, the other by 4.
    assert found.effect_error == pytest.approx(math.sqrt(8), rel=0.03)
    assert found.covered == 0.0
