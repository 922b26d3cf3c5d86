"""Locks asked together get the answers that each gets by itself."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from perfmodel.rwlock.lock import LEVELS, Answer, Lock
from perfmodel.rwlock.stacked import TIMES, solve_all, solve_each

DRAWS = 3


def lock(**changes: object) -> Lock:
    one = Lock(
        exclusive=np.array([2e3, 2.2e3, 1.9e3]), shared=np.array([0.0, 0.0, 0.0]),
        read_hold=np.array([900.0, 950.0, 870.0]), fault_threads=8, fault_think=20e3,
        writer_think=np.array([2e5, 2.1e5, 2e5]), wake_latency=np.array([3e3, 4e3, 2e3]),
        wake_serial=np.array([200.0, 250.0, 180.0]),
    )  # fmt: skip
    return replace(one, **changes)  # type: ignore[arg-type]


CUT = {"exclusive": np.array([500.0, 520.0, 480.0]), "shared": np.array([1.5e3, 1.7e3, 1.4e3])}

GROUPS = {
    "one caller, woken faults own the lock": [lock(), lock(**CUT), lock(shared=np.full(3, 9e3))],
    "readers spin": [lock(readers_sleep=False), lock(readers_sleep=False, **CUT)],
    "several callers": [lock(writer_threads=4), lock(writer_threads=4, **CUT)],
    "an open stream": [
        lock(fault_threads=None, fault_rate=4e-5), lock(fault_threads=None, fault_rate=4e-5, **CUT),
    ],
    "few CPUs": [lock(cpus=4), lock(cpus=4, **CUT)],
    "one lock is never held, one is unknown": [
        lock(), lock(exclusive=np.zeros(3), shared=np.full(3, 2e3)),
        lock(exclusive=np.full(3, np.nan)), lock(**CUT),
    ],
    "one takes the lock anew for each VMA": [lock(), lock(sections=4, **CUT), lock(**CUT)],
    "nothing but the times of the machine differs": [
        lock(), lock(wake_latency=np.zeros(3)), lock(read_hold=1e3), lock(wake_serial=0.0),
    ],
}  # fmt: skip


def numbers(answer: Answer) -> dict[str, np.ndarray]:
    given = {
        f.name: np.broadcast_to(getattr(answer, f.name), (DRAWS,))
        for f in fields(answer) if f.name not in ("wait_quantiles", "solver", "stated_error", "region")
    }  # fmt: skip
    given |= {
        f"p{100 * q:g}": np.broadcast_to(w, (DRAWS,)) for q, w in answer.wait_quantiles.items()
    }
    return given


@pytest.mark.parametrize("levels", [(), LEVELS])
@pytest.mark.parametrize("group", GROUPS)
def test_together_is_one_by_one(group: str, levels: tuple[float, ...]) -> None:
    locks = GROUPS[group]
    for ours, alone in zip(solve_all(locks, levels), solve_each(locks, levels), strict=True):
        wanted = numbers(alone)
        for name, value in numbers(ours).items():
            np.testing.assert_allclose(value, wanted[name], rtol=1e-7, atol=1e-9, err_msg=name)
        assert ours.solver == alone.solver
        assert ours.stated_error == alone.stated_error
        assert list(ours.region.conditions) == list(alone.region.conditions)
        for text, met in ours.region.conditions.items():
            assert np.array_equal(
                np.broadcast_to(met, (DRAWS,)),
                np.broadcast_to(alone.region.conditions[text], (DRAWS,)),
            ), text


def test_every_time_of_a_lock_is_stacked() -> None:
    given = {f.name for f in fields(Lock) if isinstance(getattr(lock(**CUT), f.name), np.ndarray)}
    assert given == set(TIMES)
