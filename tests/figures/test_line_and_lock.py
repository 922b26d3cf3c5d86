"""The simulation of lock and line together, where either alone has an answer of its own."""

from __future__ import annotations

import numpy as np
import pytest

from perfmodel.equations.cacheline import line_throughput
from perfmodel.figures.example_lock import example
from perfmodel.figures.line_and_lock import RESULTS, run
from perfmodel.rwlock.simulate import simulate

#: Threads, think, read, pause, exclusive, shared, transfer, local, slow, calls, seed.
LOCK = {"threads": 8, "think": 5_000.0, "read": 1_000.0, "pause": 20_000.0}


def _run(
    exclusive: float, shared: float, transfer: float, local: float, slow: int, **changes: float
):
    known = {**LOCK, "calls": 20_000, "seed": 1, **changes}
    found = run(
        int(known["threads"]), known["think"], known["read"], known["pause"], exclusive, shared,
        transfer, local, slow, int(known["calls"]), int(known["seed"]),
    )  # fmt: skip
    return dict(zip(RESULTS, found, strict=True))


@pytest.mark.parametrize("shared", [0.0, 3_000.0])
def test_without_a_line_it_is_the_lock(shared: float) -> None:
    got = _run(4_000.0 - shared, shared, 1e-6, 1e-6, 2)
    lock = example(4_000.0 - shared, shared, threads=8, think=5_000.0, read=1_000.0, pause=20_000.0)
    asked = simulate(lock, calls=20_000, seed=2, levels=()).estimates
    for name in ("fault_rate", "call_rate"):
        assert got[name] == pytest.approx(asked[name].mean, rel=0.02)
    wait = got["call_time"] - 4_000.0
    assert wait == pytest.approx(asked["acquire"].mean, rel=0.03)


def test_without_calls_it_is_the_closed_queue_of_the_line() -> None:
    # Constant transfers: up to 5 % more throughput than the formula, which has them exponential,
    # near the knee and nothing far from it.
    for threads in (2, 20, 60, 200):
        got = _run(1.0, 0.0, 100.0, 100.0, 0, threads=threads, pause=3e5, calls=30)
        expected = 2 * float(line_throughput(threads, 6_000.0, 2.0, 100.0))
        assert 0.99 * expected < 2 * got["fault_rate"] < 1.06 * expected
        operations = 2 * (got["fault_rate"] + got["call_rate"])
        assert got["busy"] == pytest.approx(100.0 * operations, rel=0.003)


def test_operations_that_find_the_line_are_cheap() -> None:
    found, fetched = (
        _run(500.0, 0.0, 100.0, local, 2, threads=1, pause=1e6, calls=300)
        for local in (10.0, 100.0)
    )
    # A single thread nearly always has the line; a call takes it away and it must be fetched again.
    assert 0.1 < found["busy"] / fetched["busy"] < 0.12


def test_one_seed_one_answer() -> None:
    first, again = (_run(500.0, 500.0, 100.0, 10.0, 2, calls=500) for _ in range(2))
    other = _run(500.0, 500.0, 100.0, 10.0, 2, calls=500, seed=2)
    assert first == again
    assert not np.isclose(other["call_time"], first["call_time"], rtol=1e-9)
