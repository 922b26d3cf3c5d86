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
from perfmodel.fit.points import FEWEST
from perfmodel.fit.priors import PRIORS
from perfmodel.kernel import Kernel
from perfmodel.machine import CONSTANTS
from perfmodel.observations import Group, ObservationTable, Source
from perfmodel.quantities import STATE

TRUTH = {
    "syscall": 90.0, "find_vma": 40.0, "vma_step": 12.0, "vma_fixup": 80.0, "split": 200.0,
    "merge": 130.0, "anon_link": 150.0, "anon_unlink": 250.0, "walk_start": 400.0, "pte": 18.0,
    "pte_grant": 3.0, "pte_cold": 6.0, "huge_pte": 30.0, "flush_page": 110.0, "flush_full": 150.0,
    "shootdown": 6000.0, "unmap_vma": 120.0, "unmap_finish": 140.0, "zap": 70.0, "zap_cold": 30.0,
    "uffd_call": 70.0, "uffd_vma": 200.0, "rmw_local": 5.0, "line_transfer": 60.0,
    "fault_minor": 500.0, "wake_latency": 4000.0, "wake_kick": 1500.0, "wake_switch": 1200.0,
    "wake_serial": 600.0, "warm_pages": 4096.0, "warm_zap_pages": 4096.0,
}  # fmt: skip

FILE = "made.json"
SOURCE = Source(FILE, "made", "A", "0" * 64)
MACHINES = {FILE: {"machine": {"kernel": {"release": "6.18.44", "config": {}}}}}


def _group(operation: str, phase: str, conditions: dict[str, object], values: object) -> Group:
    values = np.atleast_1d(np.asarray(values, dtype=float))
    return Group(
        operation, phase, conditions, values, values, np.ones(len(values), dtype=int), SOURCE
    )


def _grid() -> list[tuple[str, str, dict[str, object]]]:
    out: list[tuple[str, str, dict[str, object]]] = []
    call = {"benchmark": "call_latency", "populated": 1.0, "huge": False, "splits": 0, "merges": 0}
    for spinners in (0, 1):
        for pages in (1, 4, 16, 33, 34, 128, 512, 2048, 8192, 65536):
            for vmas in (1, 4, 16):
                if vmas > pages:
                    continue
                shape = {**call, "pages": pages, "vmas": vmas, "spinners": spinners}
                for transition in ("RW->R", "R->RW", "NONE->RW", "same-flags"):
                    out.append(("mprotect", "call", {**shape, "transition": transition}))
                out += [
                    (op, "call", shape) for op in ("munmap", "uffd_writeprotect", "uffd_unprotect")
                ]
            for populated in (0.0, 1.0):
                shape = {**call, "pages": pages, "vmas": 1, "spinners": spinners,
                         "populated": populated}  # fmt: skip
                out.append(("mprotect", "call", {**shape, "transition": "RW->R", "splits": 2}))
                out.append(("mprotect", "call", {**shape, "transition": "R->RW", "merges": 2}))
        huge = {**call, "pages": 4096, "vmas": 1, "huge": True, "spinners": spinners}
        out.append(("mprotect", "call", {**huge, "transition": "RW->R"}))
    for pages in (1, 16, 512):
        out += [("munmap", phase, {"pages": pages, "vmas": 1}) for phase in ("exclusive", "shared")]
    out.append(("mprotect", "exclusive", {"pages": 1, "vmas": 1, "transition": "same-flags"}))
    out.append(("null_syscall", "call", {"benchmark": "call_latency"}))
    out.append(("xadd", "op", {"benchmark": "locked_op", "sharing": "none"}))
    out.append(("line_transfer", "one_way", {"benchmark": "locked_op"}))
    out.append(("fault_read", "idle", {"benchmark": "fault_latency", "writer": "none",
                                       "target": "same_vma"}))  # fmt: skip
    for n in (1, 4, 16, 64):
        wake = {"benchmark": "wake", "placement": "pinned", "sleepers": n}
        out.append(("futex_wake", "call", wake))
        out += [("futex_wake", "wake", {**wake, "rank": r}) for r in {1, n}]
    return out


def _made(
    noise: float, *, seed: int = 1, events: int = 60, tracer: float = 90.0
) -> ObservationTable:
    """Observations of the grid as the truth makes them, with lognormal scatter between repetitions."""
    rng = np.random.default_rng(seed)
    empty = ObservationTable(
        tuple(_group(op, phase, c, np.ones(FEWEST)) for op, phase, c in _grid()), (), MACHINES
    )
    points = collect(empty)
    constants = dict.fromkeys(CONSTANTS, 0.0) | TRUTH
    exact = PointModel(points.points).predict(
        {**constants, "tracer_exclusive": tracer, "tracer_shared": tracer}
    )
    groups = []
    for (operation, phase, conditions), value in zip(_grid(), exact, strict=True):
        for _ in range(3):
            middle = value * math.exp(noise * rng.standard_normal())
            groups.append(
                _group(operation, phase, conditions, middle * rng.lognormal(0, 0.05, events))
            )
    return ObservationTable(tuple(groups), (), MACHINES)


def test_the_fit_recovers_the_constants_it_was_made_from() -> None:
    result = calibrate(_made(0.02), name="made")
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
    inside = []
    for seed in range(6):
        result = fit(PointModel(collect(_made(0.03, seed=seed)).points))
        for name, deviation in zip(result.free, np.sqrt(np.diag(result.covariance)), strict=True):
            if name in TRUTH and name not in STATE:
                error = abs(math.log(result.values[name] / TRUTH[name]))
                inside.append(error < 1.645 * deviation)
    assert 0.75 < np.mean(inside) <= 1.0


def test_outliers_do_not_move_it() -> None:
    table = _made(0.02)
    groups = list(table.groups)
    for i in range(0, len(groups), 23):
        g = groups[i]
        groups[i] = _group(g.operation, g.phase, dict(g.conditions), g.low * 4)
    moved = calibrate(replace(table, groups=tuple(groups))).machine
    for name in ("pte", "zap", "shootdown", "walk_start", "flush_page"):
        assert moved.value(name) == pytest.approx(TRUTH[name], rel=0.1)


def test_a_cost_that_is_not_there_is_zero_with_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TRUTH, "pte_grant", 0.0)
    constant = calibrate(_made(0.01)).machine.constants["pte_grant"]
    assert constant.value is not None
    assert constant.value < 0.3
    if constant.value == 0:
        assert "at most" in constant.reason


def test_what_is_not_in_the_data_is_a_prior_or_unknown() -> None:
    table = _made(0.02)
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
    table = _made(0.02)
    # Without traced holds nothing tells the exclusive from the shared per-VMA part of munmap.
    kept = tuple(g for g in table.groups if "benchmark" in g.conditions)
    fitted = calibrate(replace(table, groups=kept)).machine.fit
    assert {"unmap_vma", "unmap_finish"} & set(fitted["weakly_identified"])
    assert any("unmap_vma" in pair for pair in fitted["correlated"])


def test_left_out_groups_are_counted_by_reason() -> None:
    table = _made(0.02)
    extra = (
        _group("mprotect", "call", {"benchmark": "call_latency", "pages": 1}, np.ones(2)),
        _group("mlock", "call", {"benchmark": "call_latency", "pages": 1}, np.ones(9)),
        _group("unknown", "exclusive", {}, np.ones(9)),
        _group("munmap", "call", {"benchmark": "call_latency", "pages": 1, "vmas": 5}, np.ones(9)),
    )
    left = collect(replace(table, groups=table.groups + extra)).left_out
    assert sum(left.values()) == 4
    assert any("fewer than" in why for why in left)
    assert any("mlock" in why for why in left)
    assert any("no call of the model" in why for why in left)


def test_held_out_residuals() -> None:
    machine = calibrate(_made(0.02, seed=1)).machine
    points = collect(_made(0.02, seed=2))
    table = residual_table(points.points, predict_points(machine, points))
    assert table["error"].abs().median() < 0.05
    by = summary(table)
    assert by["points"].sum() == len(points)


def test_too_little_data_is_an_error_not_a_guess() -> None:
    few = ObservationTable(_made(0.02).groups[:30], (), MACHINES)
    with pytest.raises(CalibrationError, match="points cannot determine"):
        calibrate(few)
    with pytest.raises(CalibrationError, match="nothing to fit"):
        calibrate(ObservationTable(()))


def test_an_unknown_kernel_must_be_named() -> None:
    table = replace(_made(0.02), machines={})
    with pytest.raises(CalibrationError, match="--kernel"):
        collect(table)
    assert len(collect(table, kernel=Kernel("6.18")))
