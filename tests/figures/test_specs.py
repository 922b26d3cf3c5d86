"""Each figure as data, against the prediction it is drawn from and the run it was given."""

from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.text import Text

import perfmodel as pm
from perfmodel.figures import (
    FIGURES,
    Inputs,
    break_even_map,
    hold_phases,
    measured_against_predicted,
    natural_experiment,
    new_figure,
    validation,
)
from perfmodel.figures.gain_grid import at_point, gain_at_rate
from perfmodel.figures.style import us_text
from perfmodel.hold import hold
from perfmodel.scenario import Call, Faults, Policy, Scenario, Writers
from perfmodel.verdict import RUN_CV, RUNS

NAMES = [k.name for k in FIGURES]


@pytest.fixture(scope="module")
def map_spec(machine: pm.Machine) -> break_even_map.Spec:
    return break_even_map.data_for(machine, points=9, draws=20)


@pytest.mark.parametrize(
    ("policy", "sizes", "changes"),
    [
        (Policy.LAST_VMA, (1, 33, 4096), {}),
        (Policy.BEFORE_FLUSH, (1, 33, 4096),
         {"faults": Faults(rate=1e4, same_vma=0.05), "kernel": "6.18"}),
        (Policy.LAST_VMA, (16,), {"writers": Writers(threads=2, think_us=5000)}),
        (Policy.BEFORE_FLUSH, (1, 33, 4096), {"writers": Writers(rate=100.0)}),
    ],
    ids=["5.11", "per-vma locks", "two callers", "open callers"],
)  # fmt: skip
def test_grid_is_the_prediction(
    machine: pm.Machine, policy: Policy, sizes: tuple[int, ...], changes: dict
) -> None:
    scenario = Scenario(machine, **{"kernel": "5.11", "call": Call(), **changes})
    pages = np.array(sizes, dtype=float)
    gain, share, outside = gain_at_rate(scenario, policy, pages, 20_000.0, machine.draws(3))
    for i, n in enumerate(pages):
        point = at_point(scenario, n, 20_000.0)
        asked = pm.predict(point.replace(policies=(Policy.NONE, policy)), draws=3, solver="closed")
        np.testing.assert_allclose(gain[i], asked[policy].net_gain, rtol=1e-6, atol=1e-6)
        assert share[i] == pytest.approx(asked.verdict.share_of_thread_time, rel=1e-6)
        if any(r.answer.broken for r in asked.results):
            assert outside[i]


def test_map_marks_are_the_prediction(machine: pm.Machine, map_spec: break_even_map.Spec) -> None:
    for panel in map_spec.panels:
        for mark in panel.marks:
            point = at_point(panel.scenario, mark.pages, mark.rate)
            result = pm.predict(point.replace(policies=(Policy.NONE, Policy.LAST_VMA)), draws=1)
            assert mark.gain == pytest.approx(float(result[Policy.LAST_VMA].net_gain[0]), rel=1e-6)
            assert mark.low <= mark.gain <= mark.high


def test_map_axes_and_intervals(map_spec: break_even_map.Spec) -> None:
    for panel in map_spec.panels:
        assert (panel.pages[0], panel.pages[-1]) == (1, 65536)
        assert panel.gain.shape == (panel.rates.size, panel.pages.size)
        assert np.all(panel.low <= panel.high)
    old, new = map_spec.panels
    # Fewer faults meet the call under per-VMA locks: nowhere is there more to gain.
    assert np.all(new.gain <= old.gain)


def test_break_even_line_separates_the_signs(map_spec: break_even_map.Spec) -> None:
    figure = new_figure(*break_even_map.FIGURE.size)
    break_even_map.draw(map_spec, figure)
    panel = map_spec.panels[1]
    assert panel.gain.min() < 0 < panel.gain.max()
    axes = figure.axes[1]
    lines = [c for c in axes.collections if getattr(c, "levels", None) is not None
             and list(c.levels) == [0.0]]  # fmt: skip
    vertices = np.concatenate([s for s in lines[0].allsegs[0] if len(s)])
    for x, y in vertices:
        j = np.searchsorted(panel.pages, x * (1 - 1e-9))
        i = np.searchsorted(panel.rates, y * (1 - 1e-9))
        near = panel.gain[max(i - 1, 0) : i + 1, max(j - 1, 0) : j + 1]
        assert near.min() <= 0 <= near.max()


def test_visible_share_needs_the_runs_it_says() -> None:
    from perfmodel.equations.noise import runs_to_detect

    needed = runs_to_detect(break_even_map.visible_share(), RUN_CV)
    assert float(np.asarray(needed)) == pytest.approx(RUNS)


def test_an_open_stream_with_more_faults_asleep_than_cpus_is_outside(
    map_spec: break_even_map.Spec,
) -> None:
    panel = map_spec.panels[0]
    assert panel.outside[-1, -1]
    assert not panel.outside[0].any()
    assert np.all(panel.outside[np.nan_to_num(panel.share) > 10])


def test_hold_phases_add_up(machine: pm.Machine, table: pm.ObservationTable) -> None:
    spec = hold_phases.data_for(machine, table)
    for bar in spec.bars:
        assert sum(p.ns for p in bar.pieces) == pytest.approx(bar.call)
        for mode, total in (("exclusive", bar.exclusive), ("shared", bar.shared)):
            assert sum(p.ns for p in bar.pieces if p.mode == mode) == pytest.approx(total)
        call = Call(bar.operation, pages=bar.pages, transition="RW->R", remote_cpus=1)
        held = hold(Scenario(machine, "6.18", call), bar.policy)
        assert bar.exclusive == pytest.approx(float(held.exclusive[0]))
        starts = [p.start for p in bar.pieces]
        assert starts == sorted(starts)


def test_hold_phases_measured_only_where_a_kernel_does_it(
    machine: pm.Machine, table: pm.ObservationTable
) -> None:
    spec = hold_phases.data_for(machine, table)
    for bar in spec.bars:
        real = (bar.operation, bar.policy) != ("mprotect", Policy.LAST_VMA) and (
            bar.policy is not Policy.BEFORE_FLUSH
        )
        assert math.isfinite(bar.measured[1]) == real
        if real:
            assert bar.measured[1] == pytest.approx(1.05 * bar.call, rel=1e-6)
            assert bar.measured[0] < bar.measured[1] < bar.measured[2]
            assert bar.events == 21


def test_measured_against_predicted(machine: pm.Machine, table: pm.ObservationTable) -> None:
    spec = measured_against_predicted.data_for(machine, table)
    assert {s.operation for s in spec.series} == {
        "mprotect", "munmap", "uffd_writeprotect", "madvise"
    }  # fmt: skip
    for s in spec.series:
        np.testing.assert_allclose(s.ratio, 1 / 1.05, rtol=1e-6)
        assert s.error == pytest.approx(1 - 1 / 1.05)
    assert spec.held_out
    assert "held out" in measured_against_predicted.caption(spec)
    assert "4.8 %" in measured_against_predicted.caption(spec)


def test_a_fitted_run_is_called_so(machine: pm.Machine, table: pm.ObservationTable) -> None:
    from dataclasses import replace

    from perfmodel.machine import InputFile

    source = table.groups[0].source
    fitted = replace(machine, inputs=[InputFile(file="r", sha256=source.sha256, format="x")])
    spec = measured_against_predicted.data_for(fitted, table)
    assert not spec.held_out
    assert "was fitted to" in measured_against_predicted.caption(spec)


def test_natural_experiment(machine: pm.Machine, table: pm.ObservationTable) -> None:
    spec = natural_experiment.data_for(machine, table, draws=20)
    by = {(p.writer, p.pages): p for p in spec.panels}
    kept, given = by["mprotect", 4096], by["munmap", 4096]
    assert kept.clouds[0].median == pytest.approx(90_000)
    assert given.clouds[0].median == pytest.approx(500)
    assert kept.clouds[0].blocked == 1.0
    assert given.clouds[0].blocked == 0.0
    assert not by["mprotect", 512].clouds
    # mprotect blocks to its end; munmap a small part of its call.
    assert kept.release > 0.99 * kept.call - machine.value("syscall")
    assert given.release < 0.1 * given.call
    for panel in spec.panels:
        after = panel.offset > panel.release
        if after.any():
            np.testing.assert_allclose(panel.latency[after], machine.value("fault_minor"))
        i = int(np.argmin(panel.offset))
        expected = panel.release - panel.offset[i] + machine.value("wake_latency")
        assert panel.latency[i] == pytest.approx(expected + machine.value("fault_minor"))
    assert "90 µs" in natural_experiment.title(spec)
    assert "500 ns" in natural_experiment.title(spec)


@pytest.mark.parametrize("kind", FIGURES, ids=NAMES)
def test_captions_contain_the_numbers(
    kind, machine: pm.Machine, table: pm.ObservationTable, map_spec: break_even_map.Spec
) -> None:
    spec = map_spec if kind.name == "break_even_map" else kind.build(Inputs(machine, table))
    text = kind.caption(spec)
    wanted = {
        "break_even_map": lambda: [us_text(m.gain) for p in spec.panels for m in p.marks]
        + ["It is not: under the read lock", "0.4 %"],
        "hold_phases": lambda: [us_text(b.exclusive) for b in spec.bars
                                if (b.operation, b.policy) == ("mprotect", Policy.NONE)]
        + ["unsafe"],
        "natural_experiment": lambda: [us_text(p.release) for p in spec.panels],
        "measured_against_predicted": lambda: ["16 medians", "4 points"][1:],
        "validation": lambda: [f"{100 * share:.0f} % of {n}" for n, share in spec.coverage.values()],
    }[kind.name]()  # fmt: skip
    for number in wanted:
        assert number in text
    assert "Linux 6.18" in text
    if kind.name != "break_even_map":
        assert "measured: 2-CPU Intel Xeon KVM guest, Linux 6.18" in text
    assert "nan" not in text.lower().replace("tenant", "")
    head, rows = kind.rows(spec)
    assert rows
    assert {len(r) for r in rows} == {len(head)}


def test_a_validation_that_is_made_already_is_drawn(
    machine: pm.Machine, table: pm.ObservationTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = validation.validate(machine, table, draws=10)
    monkeypatch.delattr(validation, "validate")
    spec = validation.FIGURE.build(Inputs(machine, table, validation=found))
    assert spec.rows == found.rows
    assert spec.covered == pytest.approx(found.coverage)


@pytest.mark.parametrize("kind", FIGURES, ids=NAMES)
def test_without_measurements_the_model_alone(
    kind, machine: pm.Machine, map_spec: break_even_map.Spec
) -> None:
    spec = map_spec if kind.name == "break_even_map" else kind.build(Inputs(machine))
    figure = new_figure(*kind.size)
    kind.draw(spec, figure)
    texts = [t.get_text() for t in figure.findobj(Text)]
    if kind.name == "break_even_map":
        assert "Evidence: model" in kind.caption(spec)
    else:
        assert any("no measurements given" in t for t in texts)
        said = kind.caption(spec).lower()
        assert "the model alone" in said or "no measurements" in said


@pytest.mark.parametrize("kind", FIGURES, ids=NAMES)
def test_unknown_constants_are_drawn_as_unknown(
    kind, blind: pm.Machine, table: pm.ObservationTable
) -> None:
    if kind.name == "break_even_map":
        spec = break_even_map.data_for(blind, points=5, draws=5)
    else:
        spec = kind.build(Inputs(blind, table))
    figure = new_figure(*kind.size)
    kind.draw(spec, figure)
    figure.draw_without_rendering()
    texts = " ".join(t.get_text() for t in figure.findobj(Text))
    said = texts + kind.title(spec) + kind.caption(spec)
    assert "unknown" in said or "lacks" in said or "no measurements" in said
    assert kind.alt(spec)
    kind.rows(spec)


def test_draws_into_the_same_figure_again(map_spec: break_even_map.Spec) -> None:
    figure = new_figure(*break_even_map.FIGURE.size)
    break_even_map.draw(map_spec, figure)
    count = len(figure.axes)
    break_even_map.draw(map_spec, figure)
    assert len(figure.axes) == count == 3
