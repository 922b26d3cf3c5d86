"""The price of the check for pending flushes: limits, units, and a direct simulation."""

import numpy as np
import pytest

from perfmodel.equations import EQUATIONS
from perfmodel.equations.guard import guard, pending_flush
from perfmodel.errors import InputError

COSTS = {
    "line_transfer": 80.0, "load_hit": 2.0, "flush_page": 60.0, "shootdown": 900.0,
    "shootdown_more": 120.0, "threads": 8, "remote_cpus": 7,
}  # fmt: skip


def looks(rng, rate, calls, window, other, until):
    """Return the share of looks that found a flush pending, and of those that met a new line."""
    starts = np.sort(rng.uniform(0, until, rng.poisson(calls * until)))
    writes = np.sort(
        np.concatenate([starts, starts + window, rng.uniform(0, until, rng.poisson(other * until))])
    )
    at = np.sort(rng.uniform(window, until, rng.poisson(rate * until)))
    open_now = np.searchsorted(starts, at) - np.searchsorted(starts + window, at)
    version = np.searchsorted(writes, at)
    return np.mean(open_now > 0), np.mean(np.diff(version) > 0), at.size


@pytest.mark.parametrize(
    ("rate", "calls", "window", "other"),
    [(1e-3, 1e-4, 2e3, 0), (1e-4, 1e-4, 2e4, 0), (1e-2, 1e-5, 1e3, 1e-3), (1e-4, 1e-3, 300, 1e-5)],
)
def test_against_direct_simulation(rate, calls, window, other):
    rng = np.random.default_rng(3)
    pending, fetched, size = looks(rng, rate, calls, window, other, 3e5 / rate)
    got = guard(8 * rate, calls, window, mm_writes=other, overlap=True, **COSTS)
    # Looks within one window share it: the scatter is that of the windows.
    windows = min(size, calls * size / rate)
    for value, found in ((got.pending, pending), (got.fetched, fetched)):
        assert abs(value - found) < 5 * np.sqrt(value * (1 - value) / windows)


def test_callers_that_come_round():
    # Each caller is pending independently, for its share of the time.
    rng = np.random.default_rng(4)
    m, calls, window = 3, 1.5e-4, 4e3
    busy = rng.random((400_000, m)) < calls * window / m
    got = pending_flush(calls, window, callers=m, overlap=True)
    assert got == pytest.approx(busy.any(axis=1).mean(), rel=0.01)
    assert pending_flush(calls, window, callers=1, overlap=True) == pytest.approx(calls * window)
    assert pending_flush(calls, window, callers=60_000, overlap=True) == pytest.approx(
        float(pending_flush(calls, window, overlap=True)), rel=1e-4
    )


def test_calls_that_exclude_each_other_fill_at_most_the_time():
    got = pending_flush([0.0, 1e-5, 1e-3], 1e4)
    assert got.tolist() == [0.0, pytest.approx(0.1), 1.0]
    with pytest.raises(InputError, match="callers"):
        pending_flush(1e-5, 1e4, callers=2)


def test_the_line_is_written_twice_a_call():
    # Windows much shorter than the time between looks: both writes are seen as one.
    short = guard(8e-5, 1e-5, 1e-3, **COSTS)
    assert short.fetched == pytest.approx(0.5, rel=1e-4)
    # Much longer: two writes far apart.
    long = guard(8e-5, 1e-5, 1e9, **COSTS)
    assert long.fetched == pytest.approx(2 / 3, rel=1e-4)
    # Nobody writes, or nobody looks.
    assert guard(8e-5, 0.0, 1e3, **COSTS).fetched == pytest.approx(0, abs=1e-12)
    assert guard(0.0, 1e-5, 1e3, **COSTS).fetched == 1


def test_what_it_adds_up_to():
    got = guard(1e-3, 1e-5, 5e3, released=4, **COSTS)
    assert got.page_flush == 60 + 900 + 6 * 120
    assert got.pending == pytest.approx(0.05)
    assert got.load == pytest.approx(2 + 78 * got.fetched)
    assert got.per_fault == pytest.approx(got.load + 0.05 * got.page_flush)
    assert got.flush_rate == pytest.approx(1e-3 * 0.05 + 1e-5 * 4)
    # Each flush also costs the seven other CPUs the invalidation.
    flushes = 100 * 0.05 + 4
    assert got.per_call == pytest.approx(
        100 * got.per_fault + 4 * got.page_flush + flushes * 7 * 60
    )
    # Who is kept out finds none pending.
    none = guard(1e-3, 1e-5, 5e3, excluded=1.0, **COSTS)
    assert none.per_fault == none.load
    assert none.flush_rate == 0
    assert got.remote_share == pytest.approx(got.flush_rate * 60)
    # On one CPU nobody is interrupted; nothing pending leaves the load.
    alone = guard(1e-3, 1e-5, 0.0, **{**COSTS, "remote_cpus": 0})
    assert alone.page_flush == 60
    assert alone.per_fault == alone.load
    assert np.isnan(guard(1e-3, 0.0, 5e3, **COSTS).per_call)


def test_units_agree():
    """A time scaled by s and a rate by 1/s scale each result by its own unit."""
    scale = {"ns": 7.0, "1/ns": 1 / 7.0, "1": 1.0}
    names = [n for n in EQUATIONS if n.startswith(("guard_", "pending_", "page_flush"))]
    assert len(names) >= 8
    for name in names:
        equation = EQUATIONS[name]
        given = {"ns": 300.0, "1/ns": 1e-4, "1": 0.4}
        value = {k: 8.0 if k in ("threads", "writer_threads", "remote_cpus") else given[q.unit]
                 for k, q in equation.arguments.items()}  # fmt: skip
        grown = {k: value[k] * (scale[q.unit]) for k, q in equation.arguments.items()}
        assert equation(**grown) == pytest.approx(
            float(equation(**value)) * scale[equation.result.unit], rel=1e-9
        ), name


def test_arrays_and_bad_input():
    got = guard([1e-3, np.nan], 1e-5, [[5e3], [1e4]], **COSTS)
    assert got.per_call.shape == (2, 2)
    assert np.isnan(got.per_call[:, 1]).all()
    with pytest.raises(InputError, match="stale_window"):
        guard(1e-3, 1e-5, -1.0, **COSTS)
