"""The fit on data made from known constants."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from perfmodel.errors import CalibrationError
from perfmodel.fit import calibrate, collect, predict_points, residual_table, summary
from perfmodel.fit.joint import fit
from perfmodel.fit.model import PointModel
from perfmodel.fit.priors import PRIORS
from perfmodel.kernel import Kernel
from perfmodel.observations import ObservationTable
from perfmodel.quantities import STATE

from .made import MACHINES, SMALL, TRUTH, calibrated, group, made, untraced

pytestmark = pytest.mark.xdist_group("fit")


def test_the_fit_recovers_the_constants_it_was_made_from() -> None:
    result = calibrate(made(0.02), name="made")
    machine = result.machine
    for name, truth in TRUTH.items():
        constant = machine.constants[name]
        assert constant.value is not None, name
        if name in STATE:
            assert abs(math.log(constant.value / truth)) < 0.5
            continue
        spread = constant.log_sd if constant.log_sd else 0.0
        # Four standard errors, and the bias of a robust fit to medians.
        assert abs(math.log(constant.value / truth)) < 4 * spread + 0.03, name
    assert machine.fit["tracer_ns"]["tracer_exclusive"] == pytest.approx(90, rel=0.2)
    assert machine.fit["median_absolute_error"] < 0.03


def test_intervals_cover_what_they_claim() -> None:
    # Some 57 in all: half the error that there is would cover three in five, and pass once in 200 times.
    inside = []
    for seed in range(2):
        result = fit(PointModel(collect(made(0.03, seed=seed, cells=SMALL)).points), profiles=False)
        for name, deviation in zip(result.free, np.sqrt(np.diag(result.covariance)), strict=True):
            if name in TRUTH and name not in STATE:
                error = abs(math.log(result.values[name] / TRUTH[name]))
                inside.append(error < 1.645 * deviation)
    assert len(inside) > 50
    assert 0.75 < np.mean(inside) <= 1.0


def test_outliers_do_not_move_it() -> None:
    table = made(0.02, cells=SMALL)
    groups = list(table.groups)
    for i in range(0, len(groups), 23):
        g = groups[i]
        groups[i] = group(g.operation, g.phase, dict(g.conditions), g.low * 4)
    points = collect(replace(table, groups=tuple(groups))).points
    moved = fit(PointModel(points), profiles=False)
    for name in ("pte", "zap", "shootdown", "walk_start", "flush_page"):
        assert moved.values[name] == pytest.approx(TRUTH[name], rel=0.1)


def test_a_cost_that_is_not_there_is_zero_with_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TRUTH, "pte_grant", 0.0)
    constant = calibrate(made(0.01, cells=SMALL)).machine.constants["pte_grant"]
    assert constant.value is not None
    assert constant.value < 0.3
    if constant.value == 0:
        assert "at most" in constant.reason


def test_what_is_not_in_the_data_is_a_prior_or_unknown() -> None:
    table = made(0.02, cells=SMALL)
    kept = tuple(g for g in table.groups if g.operation != "futex_wake"
                 and not g.conditions.get("huge"))  # fmt: skip
    machine = calibrate(replace(table, groups=kept)).machine
    assert machine.constants["wake_latency"] == PRIORS["wake_latency"]
    assert machine.constants["shootdown_more"].source.startswith("assumed")
    assert machine.constants["huge_pte"].value is None
    assert "no observation" in machine.reason("huge_pte")
    assert machine.constants["fault_hold"].source.startswith("derived")
    assert machine.value("fault_hold") == pytest.approx(410, rel=0.1)


def test_confounded_constants_are_said_to_be() -> None:
    fitted = untraced().machine.fit
    assert {"unmap_vma", "unmap_finish"} & set(fitted["weakly_identified"])
    assert any("unmap_vma" in pair for pair in fitted["correlated"])


def test_left_out_groups_are_counted_by_reason() -> None:
    table = made(0.02, cells=SMALL)
    extra = (
        group("mprotect", "call", {"benchmark": "call_latency", "pages": 1}, np.ones(2)),
        group("mlock", "call", {"benchmark": "call_latency", "pages": 1}, np.ones(9)),
        group("unknown", "exclusive", {}, np.ones(9)),
        group("munmap", "call", {"benchmark": "call_latency", "pages": 1, "vmas": 5}, np.ones(9)),
    )
    left = collect(replace(table, groups=table.groups + extra)).left_out
    assert sum(left.values()) == 4
    assert any("fewer than" in why for why in left)
    assert any("mlock" in why for why in left)
    assert any("no call of the model" in why for why in left)


def test_held_out_residuals() -> None:
    machine = calibrated().machine
    points = collect(made(0.02, seed=2, cells=SMALL))
    table = residual_table(points.points, predict_points(machine, points))
    assert table["error"].abs().median() < 0.05
    by = summary(table)
    assert by["points"].sum() == len(points)


def test_too_little_data_is_an_error_not_a_guess() -> None:
    few = ObservationTable(made(0.02).groups[:30], (), MACHINES)
    with pytest.raises(CalibrationError, match="points cannot determine"):
        calibrate(few)
    with pytest.raises(CalibrationError, match="nothing to fit"):
        calibrate(ObservationTable(()))


def test_an_unknown_kernel_must_be_named() -> None:
    table = replace(made(0.02), machines={})
    with pytest.raises(CalibrationError, match="--kernel"):
        collect(table)
    assert len(collect(table, kernel=Kernel("6.18")))
