from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.breakeven.search import Scale, interpolated, sign_changes

GRID = np.linspace(0.0, 40.0, 41)


class Counted:
    """A function that knows how often it was asked."""

    def __init__(self, function: Callable[[float], float]) -> None:
        self.function, self.asked = function, 0

    def __call__(self, at: float) -> float:
        self.asked += 1
        return self.function(at)


PLAIN = Scale()


def search(function: Callable[[float], float], grid=GRID, scale: Scale = PLAIN):
    counted = Counted(function)
    return sign_changes(counted, grid, [function(v) for v in grid], scale), counted


def values(found) -> list[float]:
    return [c.value for c in found.changes]


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("centre", [17.37, 0.4, 39.61, 23.0])
def test_two_roots_inside_one_cell_are_found(sign: float, centre: float) -> None:
    def dip(x: float) -> float:
        return sign * ((x - centre) ** 2 - 0.01**2)

    grid = GRID[np.abs(GRID - centre) > 0.01]
    assert interpolated(grid, np.array([dip(v) for v in grid]), Scale()) == []
    found, counted = search(dip, grid)
    assert values(found) == pytest.approx([centre - 0.01, centre + 0.01], abs=1e-4)
    first, second = ("below", "above") if sign > 0 else ("above", "below")
    assert [c.side for c in found.changes] == [first, second]
    assert counted.asked < 60


def test_a_dip_that_does_not_reach_zero_is_none() -> None:
    found, counted = search(lambda x: (x - 17.37) ** 2 + 1e-3)
    assert found.changes == ()
    assert counted.asked < 40


def test_nothing_is_asked_of_what_is_flat_or_straight() -> None:
    for function in (lambda _: 7.0, lambda _: 0.0, lambda x: 3.0 + x):
        found, counted = search(function)
        assert found.changes == ()
        # At most whether the function falls inwards from its end.
        assert counted.asked <= 1


def test_on_a_scale_of_ratios() -> None:
    grid = np.geomspace(1.0, 1e6, 41)
    found, _ = search(lambda x: (math.log(x) - 6.3) ** 2 - 1e-3, grid, Scale(log=True))
    low, high = values(found)
    assert math.log(low) == pytest.approx(6.3 - math.sqrt(1e-3), abs=1e-4)
    assert math.log(high) == pytest.approx(6.3 + math.sqrt(1e-3), abs=1e-4)


def test_whole_numbers_between_the_grid() -> None:
    # Positive from 31 to 33 alone, as a call is just before it flushes the whole TLB.
    def window(x: float) -> float:
        assert x == round(x)
        return x - 30.5 if x < 34 else -5.0 - 0.01 * x

    grid = np.array([1, 4, 12, 44, 157, 500], dtype=float)
    found, _ = search(window, grid, Scale(log=True, integer=True))
    assert [(c.value, c.side) for c in found.changes] == [(31.0, "above"), (34.0, "below")]


@given(st.integers(2, 999), st.booleans())
def test_the_first_whole_number_of_the_far_side(first: int, rising: bool) -> None:
    found, _ = search(
        lambda x: (1.0 if x >= first else -1.0) * (1 if rising else -1),
        np.array([1.0, 10.0, 100.0, 1000.0]), Scale(log=True, integer=True),
    )  # fmt: skip
    assert [(c.value, c.side) for c in found.changes] == [
        (float(first), "above" if rising else "below")
    ]


@given(st.lists(st.integers(1, 38), min_size=1, max_size=4, unique=True), st.floats(0.05, 0.95))
def test_all_roots_of_a_polynomial(cells: list[int], within: float) -> None:
    roots = sorted(c + within for c in cells)
    found, _ = search(lambda x: math.prod(x - r for r in roots))
    assert values(found) == pytest.approx(roots, abs=1e-3)


def test_a_jump_is_a_change_where_it_is() -> None:
    found, _ = search(lambda x: -3.0 if x < 7.77 else 2.0)
    assert values(found) == pytest.approx([7.77], abs=1e-3)


def test_no_root_is_made_up_where_there_is_no_value() -> None:
    def hole(x: float) -> float:
        return math.nan if 10 < x < 15 else x - 12.5

    found, _ = search(hole)
    assert found.changes == ()
    assert found.gaps == ((10.0, 15.0),)
    # A hole that no point of the grid shows, at the root itself.
    found, _ = search(lambda x: math.nan if abs(x - 12.5) < 0.3 else x - 12.5)
    assert found.changes == ()
    assert found.gaps == ((12.0, 13.0),)
    found, _ = search(lambda _: math.nan)
    assert found.changes == found.gaps == ()
    # The sign is the same on both sides: nothing happens in between that anybody could know.
    found, _ = search(lambda x: math.nan if 10 < x < 15 else x + 1)
    assert found.changes == found.gaps == ()


def test_interpolation_is_on_the_scale_of_the_grid() -> None:
    grid, gains = np.array([1.0, 100.0]), np.array([-1.0, 1.0])
    assert interpolated(grid, gains, Scale())[0].value == pytest.approx(50.5)
    assert interpolated(grid, gains, Scale(log=True))[0].value == pytest.approx(10.0)
    assert interpolated(grid, np.array([-1.0, math.nan]), Scale()) == []
