"""Questions put to the model: needed, not needed, not identifiable."""

from __future__ import annotations

import numpy as np
import pytest

from perfmodel.fit import collect
from perfmodel.fit.joint import fit
from perfmodel.fit.model import PointModel
from perfmodel.fit.nested import compare, victims

from .made import SMALL, TRUTH, calibrated, grid, made

pytestmark = pytest.mark.xdist_group("fit")


def _asked(table):
    result = fit(PointModel(collect(table).points), profiles=False)
    return {c.name: c for c in compare(result)}


def test_the_cold_regime_is_needed_where_it_is_there() -> None:
    # Large ranges of several sizes: a fifth of them may be held out.
    cells = grid(all_pages=(1, 33, 512, 6000, 10000, 20000, 40000, 65536), all_vmas=(1, 4),
                 all_spinners=(0,))  # fmt: skip
    found = _asked(made(0.02, cells=cells, repetitions=2))
    for name in ("pte_cold", "zap_cold"):
        assert found[name].answer == "needed"
        assert found[name].freedom == 2
        assert found[name].chance < 1e-4
        assert found[name].held_out > found[name].held_out_error
        assert "confirm" in found[name].sentence


def test_and_not_where_it_is_not() -> None:
    truth = TRUTH | {"pte_cold": 0.0, "zap_cold": 0.0}
    answers = [
        c.answer
        for seed in range(2)
        for name, c in _asked(made(0.03, seed=seed, truth=truth, cells=SMALL)).items()
        if name != "shootdown"
    ]
    assert "needed" not in answers
    assert "not needed" in answers


@pytest.mark.parametrize(
    ("spinners", "said"),
    [((0,), "no other CPU"), ((0, 1), "one victim count"), ((0, 1, 2), "any two")],
)
def test_a_line_takes_three_victim_counts(spinners: tuple[int, ...], said: str) -> None:
    cells = grid(all_pages=(1, 16, 512, 65536), all_vmas=(1, 4), all_spinners=spinners)
    truth = TRUTH | {"shootdown_more": 900.0}
    found = _asked(made(0.02, cells=cells, truth=truth, repetitions=2))["shootdown"]
    assert found.answer == "not identifiable"
    assert said in found.sentence


@pytest.mark.parametrize(("bend", "answer"), [(0.0, "not needed"), (4000.0, "needed")])
def test_a_shootdown_that_is_not_linear_is_seen(bend: float, answer: str) -> None:
    cells = grid(all_pages=(1, 16, 512), all_vmas=(1, 4), all_spinners=(0, 1, 2, 3))
    truth = TRUTH | {"shootdown_more": 900.0}
    table = made(0.02, cells=cells, truth=truth, repetitions=2)
    groups = []
    for g in table.groups:
        flushed = g.conditions.get("spinners") == 3 and g.conditions.get("populated") == 1.0
        grants = "->RW" in str(g.conditions.get("transition")) or g.operation == "uffd_unprotect"
        if flushed and not grants and g.conditions.get("transition") != "same-flags":
            flushes = g.conditions["vmas"] if g.operation.startswith("uffd") else 1
            g = type(g)(g.operation, g.phase, dict(g.conditions), g.low + bend * flushes,
                        g.high + bend * flushes, g.count, g.source)  # fmt: skip
        groups.append(g)
    found = _asked(type(table)(tuple(groups), (), table.machines))["shootdown"]
    assert found.answer == answer
    assert found.freedom == 1
    assert np.isfinite(found.ratio)


def test_the_answers_are_kept_with_the_profile() -> None:
    calibration = calibrated()
    kept = calibration.machine.fit["nested"]
    assert [c["answer"] for c in kept] == [c.answer for c in calibration.nested]
    assert victims(calibration.points.points).keys() == {1}
