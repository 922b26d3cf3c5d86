from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from perfmodel.counterfactual import GROUPS, Configuration, grid


@pytest.fixture(scope="module")
def points() -> tuple[Configuration, ...]:
    return grid()


def test_the_grid_is_large_and_always_the_same(points: tuple[Configuration, ...]) -> None:
    assert len(points) >= 100
    assert points == grid()
    assert [p.number for p in points] == list(range(len(points)))
    assert {p.group for p in points} == set(GROUPS)


def test_it_covers_what_it_is_for(points: tuple[Configuration, ...]) -> None:
    for name in ("exclusive_ns", "shared_ns"):
        values = np.array([getattr(p, name) for p in points])
        assert values.min() < 1_000
        assert values.max() > 2_000_000
        assert values.max() <= 5_000_000
    assert {p.call_law for p in points} == {"constant", "exponential", "heavy"}
    assert {p.read_law for p in points} == {"constant", "exponential", "rare"}
    assert {p.spin for p in points} == {True, False}
    threads = {p.readers + p.writers for p in points}
    assert threads >= {2, 3, 4, 5, 6, 7, 8}
    assert max(threads) == 8


def test_who_sleeps_leaves_a_cpu_free(points: tuple[Configuration, ...]) -> None:
    for p in points:
        if p.group != "asleep":
            continue
        call = p.exclusive_ns + p.shared_ns
        used = p.readers * p.read_ns / p.read_think_ns
        used += p.writers * call / (call + p.write_think_ns)
        assert used < 1.0, p.name


def test_short_slices_repeat_what_was_measured_with_long_ones(
    points: tuple[Configuration, ...],
) -> None:
    def key(p: Configuration) -> dict:
        return {k: v for k, v in vars(p).items() if k not in ("number", "group", "quantum_us")}

    usual = [key(p) for p in points if p.group == "few-cpus"]
    for p in points:
        if p.group == "short-slices":
            assert key(p) in usual
            assert p.quantum_us == 100
        else:
            assert p.quantum_us == 0


def test_slices_hold_several_calls(points: tuple[Configuration, ...]) -> None:
    for p in points:
        given = p.arguments(milliseconds=2600)
        option = {k: v for k, v in pairwise(given) if k.startswith("--")}
        cycle = p.write_think_ns + p.exclusive_ns + p.shared_ns
        assert float(option["--slice-us"]) * 1e3 >= min(2 * cycle, 8e7)
        assert int(option["--pairs"]) >= 6
        assert ("--spin" in given) is p.spin
