"""The prices of the other guards, against a count of what happens to faults that come at random."""

from __future__ import annotations

import numpy as np
import pytest

from perfmodel.equations.guarded import GENERATION_TIME, MARK_TIME, TABLE_WAIT

RUNS = 4000


def _faults(rng: np.random.Generator, rate: float, shared: float, woken: float) -> np.ndarray:
    """Return the times in the shared part at which faults run; those let in at the cut at 0."""
    came = rng.uniform(0, shared, rng.poisson(rate * shared))
    return np.concatenate([np.zeros(rng.poisson(woken)), came])


def test_a_mark_keeps_out_whoever_meets_it_until_the_flush() -> None:
    rng = np.random.default_rng(1)
    rate, shared, woken, wp, on_call = 2e-3, 4000.0, 3.0, 0.4, 0.6
    lost = []
    for _ in range(RUNS):
        at = _faults(rng, rate, shared, woken)
        meets = rng.random(at.size) < wp * on_call
        lost.append((shared - at[meets]).sum())
    got = MARK_TIME(
        wp_share=wp, on_call=on_call, woken=woken, shared=shared, lambda_r=rate, entries=0.0,
        load=5.0, lambda_w=1e-5,
    )  # fmt: skip
    assert abs(got - np.mean(lost)) < 5 * np.std(lost) / np.sqrt(RUNS)
    # What is left in the entries costs one look each, and no more looks than there are faults.
    more = {"wp_share": wp, "on_call": on_call, "woken": 0.0, "shared": 0.0, "lambda_r": rate,
            "load": 5.0, "lambda_w": 1e-5}  # fmt: skip
    assert MARK_TIME(entries=7.0, **more) == pytest.approx(35.0)
    assert MARK_TIME(entries=1e9, **more) == pytest.approx(wp * on_call * rate / 1e-5 * 5.0)


def test_a_fault_spins_while_its_table_is_flushed() -> None:
    rng = np.random.default_rng(2)
    rate, on_call, tables, flush, walk = 3e-3, 0.5, 4, 700.0, 300.0
    shared = tables * (flush + walk)
    lost = []
    for _ in range(RUNS):
        at = rng.uniform(0, shared, rng.poisson(rate * shared))
        table = rng.integers(0, tables, at.size)
        hits = rng.random(at.size) < on_call
        begin = table * (flush + walk) + walk
        spins = hits & (at > begin) & (at < begin + flush)
        lost.append((begin + flush - at)[spins].sum())
    got = TABLE_WAIT(on_call=on_call, table_flush=flush, lambda_r=rate, woken=0.0, shared=shared)
    assert abs(got - np.mean(lost)) < 5 * np.std(lost) / np.sqrt(RUNS)
    # Those let in at the cut come as if spread over the shared part.
    both = TABLE_WAIT(on_call=on_call, table_flush=flush, lambda_r=0.0, woken=2.0, shared=shared)
    assert both == pytest.approx(on_call * 2.0 / shared * flush**2 / 2)
    assert TABLE_WAIT(on_call=1.0, table_flush=9.0, lambda_r=0.1, woken=1.0, shared=0.0) == 0


def test_a_generation_throws_back_who_was_there_when_the_walk_came() -> None:
    rng = np.random.default_rng(3)
    rate, on_call, wp, tables, walk, hold = 2e-3, 0.7, 0.5, 5, 4000.0, 250.0
    lost = []
    for _ in range(RUNS):
        # Faults that began before the shared part would have been drained: none hold on.
        at = rng.uniform(0, walk, rng.poisson(rate * walk * on_call * wp))
        table = rng.integers(0, tables, at.size)
        # Its table's generation changes with each entry of it: all through its part of the walk.
        begin, end = table * walk / tables, (table + 1) * walk / tables
        lost.append(hold * np.sum((at + hold > begin) & (at < end)))
    got = GENERATION_TIME(
        wp_share=wp, on_call=on_call, tables=tables, load_hit=0.0, fault_hold=hold, lambda_r=rate,
        woken=0.0, shared=walk, shared_walk=walk, lambda_w=1e-5,
    )  # fmt: skip
    # The first table has no fault before it: at most a hold of one table in `tables` too many.
    assert got == pytest.approx(np.mean(lost), rel=hold / walk + 0.02)
    still = GENERATION_TIME(
        wp_share=wp, on_call=on_call, tables=tables, load_hit=2.0, fault_hold=hold, lambda_r=rate,
        woken=3.0, shared=walk, shared_walk=0.0, lambda_w=1e-4,
    )  # fmt: skip
    assert still == pytest.approx(tables * 2.0 + 2 * 2.0 * wp * rate / 1e-4)
