"""Figures of curves: each line is the model's own answer, and every mark says what it rests on."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import perfmodel as pm
from perfmodel.figures import (
    cost_of_blocking,
    eras,
    fault_latencies,
    gain_by_policy,
    guard_price,
    locked_op,
    new_figure,
    shootdown,
    waits_over_load,
    where_the_time_goes,
)
from perfmodel.figures.curves import Spec, draw_panels
from perfmodel.figures.style import WIDTHS, us_text
from perfmodel.presets import preset
from perfmodel.scenario import Policy, Scenario

from .conftest import document, outside

pytestmark = pytest.mark.xdist_group("figures")

#: Smaller than the write-up's: the same code in seconds.
MADE = {
    cost_of_blocking: lambda m, t: cost_of_blocking.data_for(m, t, points=21, draws=20),
    eras: lambda m, _: eras.data_for(m, points=3, draws=5, checks=2),
    fault_latencies: lambda m, t: fault_latencies.data_for(m, t, points=31),
    gain_by_policy: lambda m, _: gain_by_policy.data_for(m, draws=4),
    guard_price: lambda m, _: guard_price.data_for(m, points=3, draws=20),
    locked_op: lambda m, t: locked_op.data_for(m, t, passes=2000),
    shootdown: lambda m, t: shootdown.data_for(m, t, draws=20),
    waits_over_load: lambda m, _: waits_over_load.data_for(m, points=3, checks=3, calls=2000),
    where_the_time_goes: lambda m, _: where_the_time_goes.data_for(m, draws=4),
}


@pytest.fixture(scope="module")
def specs(machine: pm.Machine, table: pm.ObservationTable) -> dict[Any, Any]:
    return {module: make(machine, table) for module, make in MADE.items()}


@pytest.mark.parametrize("module", MADE, ids=lambda m: m.FIGURE.name)
def test_drawn_described_and_tabled(module: Any, specs: dict[Any, Any]) -> None:
    kind, spec = module.FIGURE, specs[module]
    assert kind.lacks(spec) == ""
    assert [outside(kind.at(width), spec) for width in WIDTHS] == [[]] * len(WIDTHS)
    head, rows = kind.rows(spec)
    assert rows
    assert {len(row) for row in rows} == {len(head)}
    said = kind.caption(spec)
    assert "nan" not in f"{kind.title(spec)} {said} {kind.alt(spec)}".lower().split()
    # Nobody takes a computed figure for a measured one.
    measured = "measured" in getattr(spec, "bases", ())
    assert ("Evidence: measured" in said) == measured
    assert measured or re.search("obody measured|no measurements given", said)


@pytest.mark.parametrize(
    "module", [m for m in MADE if m not in (eras, waits_over_load, gain_by_policy)],
    ids=lambda m: m.FIGURE.name,
)  # fmt: skip
def test_an_unknown_constant_leaves_it_out_or_is_not_needed(module: Any, blind: pm.Machine) -> None:
    spec = MADE[module](blind, None)
    if module in (cost_of_blocking, locked_op, shootdown):
        assert module.FIGURE.lacks(spec) == ""
        assert "measured" not in spec.bases
    else:
        assert "lacks" in module.FIGURE.lacks(spec)


def test_every_curve_that_is_no_model_says_so(specs: dict[Any, Any]) -> None:
    for spec in specs.values():
        for panel in getattr(spec, "panels", ()):
            figure = new_figure(3, 3)
            draw_panels(Spec((panel,), {}, "", {}), figure)
            shown = [t.get_text() for t in figure.legends[0].get_texts()]
            for one in panel.series:
                if one.basis != "model":
                    assert any(one.label in t and one.basis in t for t in shown), one.label


def test_a_blocked_fault_loses_half_the_hold_and_a_wake_up(
    machine: pm.Machine, specs: dict[Any, Any]
) -> None:
    lost = specs[cost_of_blocking].panels[0].series[0]
    np.testing.assert_allclose(lost.y, lost.x / 2 + machine.value("wake_latency"))
    assert us_text(2 * machine.value("wake_latency")) in cost_of_blocking.title(
        specs[cost_of_blocking]
    )


def test_the_gain_of_an_era_is_the_prediction(machine: pm.Machine, specs: dict[Any, Any]) -> None:
    asked = Scenario.from_dict(preset("large").parameters, machine=machine).replace(
        policies=(Policy.NONE, Policy.LAST_VMA), kernel="6.18", pages=512, same_vma=1.0,
        **{"faults.threads": eras.THREADS},
    )  # fmt: skip
    told = pm.predict(asked, draws=1, solver="closed", guards=False)[Policy.LAST_VMA]
    panel = specs[eras].panels[1]
    assert panel.of("6.18").y[-1] == pytest.approx(float(told.net_gain[0]), rel=1e-9)
    simulated = panel.of("6.18", "simulated")
    assert simulated.y[-1] == pytest.approx(panel.of("6.18").y[-1], rel=0.1)
    assert np.all(panel.of("6.18").y <= panel.of("5.11").y * 1.05)


def test_the_simulated_line_passes_what_the_closed_queue_says(specs: dict[Any, Any]) -> None:
    from perfmodel.equations.cacheline import line_throughput

    for away in (0.0, 5000.0):
        closed = float(line_throughput(48, away, 2.0, 60.0))
        # Constant operations pass up to 5 % more than exponential ones.
        assert closed * 0.97 < locked_op.line_passes(48, away, 2.0, 60.0) < closed * 1.07
    with_more = locked_op.line_passes(8, 0.0, 2.5, 60.0)
    assert locked_op.line_passes(8, 0.0, 2.0, 60.0) / with_more == pytest.approx(1.25, rel=0.03)


def test_what_a_guard_keeps_is_the_prediction(machine: pm.Machine, specs: dict[Any, Any]) -> None:
    asked = Scenario.from_dict(preset("mail").parameters, machine=machine).replace(wp_share=1.0)
    told = pm.predict(asked, draws=1, solver="closed")
    mark = next(r for r in told.guarded if (r.policy, r.single) == (Policy.LAST_VMA, "mark"))
    kept = float(mark.net_gain[0]) / float(told[Policy.LAST_VMA].net_gain[0])
    line = specs[guard_price].panels[0].of("mark")
    assert line.y[-1] == pytest.approx(kept, rel=1e-9)
    assert line.low[-1] < kept < line.high[-1]


def test_what_a_guard_keeps_is_simulated_too(specs: dict[Any, Any]) -> None:
    for panel in specs[guard_price].panels:
        for one in (s for s in panel.series if s.basis == "simulated"):
            line = panel.of(one.label)
            # Of the gain: the simulation's own error of the gain drops out of the share.
            np.testing.assert_allclose(one.y[-1], line.y[-1], atol=0.03, rtol=0.02)
    assert {"model", "simulated"} == specs[guard_price].bases


def test_the_interrupts_measured_are_a_share_of_the_call(
    machine: pm.Machine, tmp_path: Path
) -> None:
    made = document(machine)
    beside = [r for r in made["records"] if (r["operation"], r["phase"]) == ("mprotect", "call")]
    for record in beside:
        # A call that nobody else's TLB slows: a quarter of the time.
        alone = record | {n: record[n] / 4 for n in ("min", "max", "mean", "median")}
        alone["samples"] = [v / 4 for v in record["samples"]]
        made["records"].append(alone | {"conditions": record["conditions"] | {"spinners": 0}})
    path = tmp_path / "run.json"
    path.write_text(json.dumps(made))
    times, shares = shootdown.data_for(machine, pm.read(path), draws=5).panels
    measured = [s for s in shares.series if s.basis == "measured"]
    assert [s.label for s in measured] == [s.label for s in shares.series if s.basis == "model"]
    np.testing.assert_allclose([s.y[0] for s in measured], 0.75)
    longest = max(r["median"] for r in beside)
    assert times.of("a call beside one CPU less alone", "measured").y.max() == pytest.approx(
        0.75 * longest
    )


def test_the_account_adds_up_to_the_time_lost(specs: dict[Any, Any]) -> None:
    for bar in specs[where_the_time_goes].bars:
        assert sum(bar.terms.values()) == pytest.approx(bar.lost)


def test_the_cut_leaves_few_faults_to_wait_for_the_hold(
    machine: pm.Machine, specs: dict[Any, Any]
) -> None:
    panel = specs[fault_latencies].panels[1]
    wake = machine.value("wake_latency")
    slow = {
        name: float(np.interp(0.9 * wake, panel.of(name).x, np.nan_to_num(panel.of(name).y)))
        for name in ("mprotect today", "mprotect, last-vma (unsafe)")
    }
    assert slow["mprotect today"] > 0.9
    assert 0 < slow["mprotect, last-vma (unsafe)"] < 0.1
    for one in panel.series:
        assert np.all(np.diff(one.y[np.isfinite(one.y)]) <= 1e-9)
