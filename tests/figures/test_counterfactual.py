"""The figure of the counterfactual: as data, drawn, described; without a run it says so."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

import perfmodel as pm
from perfmodel.counterfactual import Effect, recorded, score
from perfmodel.figures import Inputs, counterfactual, new_figure
from perfmodel.figures.writing import make

KIND = counterfactual.FIGURE

needs_a_run = pytest.mark.skipif(not recorded(), reason="no run of the counterfactual is recorded")


@pytest.fixture(scope="module")
def spec() -> counterfactual.Spec:
    return counterfactual.data_for()


@needs_a_run
def test_the_title_and_the_caption_count_what_is_drawn(spec: counterfactual.Spec) -> None:
    names = ("throughput", "wait", "calls")
    scores = [score(spec.comparisons, name) for name in names]
    right, clear = sum(s.right for s in scores), sum(s.significant for s in scores)
    assert f"{right} of the {clear} effects" in KIND.title(spec)
    said = KIND.caption(spec)
    assert f"{len(spec.quiet)} in all" in said
    for one in scores:
        if one.significant:
            assert f"{one.significant} effects exceed their noise and {one.right} of them" in said
    # Every miss is named, and nothing else is.
    missed = {(c.configuration.name, n) for n in names for c in spec.quiet if c.hit(n) is False}
    listed = re.findall(r"([\w-]+-\d{3}) \((\w+), measured", said)
    assert set(listed) == missed
    assert "2-CPU" in said


@needs_a_run
def test_what_is_drawn_is_measured_and_predicted(spec: counterfactual.Spec) -> None:
    figure = new_figure(*KIND.size)
    KIND.draw(spec, figure)
    reads, waits, _ = figure.axes
    for axes, name, factor in ((reads, "throughput", 100.0), (waits, "wait", -1e-3)):
        wanted = {(round(factor * c.effect(name).value, 6), round(factor * c.forecast(name), 6))
                  for c in spec.quiet}  # fmt: skip
        drawn = {
            (round(float(x), 6), round(float(y), 6))
            for line in axes.lines if line.get_marker() in "o^sD" for x, y in line.get_xydata()
        }  # fmt: skip
        assert wanted == drawn
        crosses = sum(len(line.get_xdata()) for line in axes.lines if line.get_marker() == "x")
        assert crosses == sum(c.hit(name) is False for c in spec.quiet)
        low, high = axes.get_xlim()
        assert all(low < x < high for x, _ in drawn)


@needs_a_run
def test_a_wrong_sign_is_crossed_out_and_named(spec: counterfactual.Spec) -> None:
    clear = next(c for c in spec.quiet if c.hit("wait"))
    wrong = dataclasses.replace(
        clear, predicted=dataclasses.replace(clear.predicted, wait_1=2 * clear.predicted.wait_0 + 1)
    )
    changed = dataclasses.replace(spec, comparisons=(wrong,))
    assert wrong.hit("wait") is False
    assert f"{wrong.configuration.name} (wait, measured" in KIND.caption(changed)
    figure = new_figure(*KIND.size)
    KIND.draw(changed, figure)
    assert any(line.get_marker() == "x" for line in figure.axes[1].lines)


@needs_a_run
def test_disturbed_configurations_are_counted_and_not_drawn(spec: counterfactual.Spec) -> None:
    disturbed = dataclasses.replace(
        spec.quiet[0], measured=dataclasses.replace(spec.quiet[0].measured, disturbed=True)
    )
    changed = dataclasses.replace(spec, comparisons=(disturbed, *spec.quiet[1:]))
    assert "1 more were disturbed" in KIND.caption(changed)
    assert len(changed.quiet) == len(spec.quiet) - 1


@needs_a_run
def test_nothing_beyond_noise_is_said_so(spec: counterfactual.Spec) -> None:
    nothing = Effect(0.0, 1.0, 30)
    calm = tuple(
        dataclasses.replace(
            c, measured=dataclasses.replace(
                c.measured, throughput=nothing, wait=nothing, calls=nothing)
        ) for c in spec.quiet
    )  # fmt: skip
    changed = dataclasses.replace(spec, comparisons=calm)
    assert "0 of the 0 effects" in KIND.title(changed)
    assert KIND.caption(changed).count("no effect stands out from noise") == 3
    KIND.draw(changed, new_figure(*KIND.size))


@needs_a_run
def test_the_table_has_every_configuration_and_effect(spec: counterfactual.Spec) -> None:
    head, body = KIND.rows(spec)
    assert len(body) == 3 * len(spec.comparisons)
    assert all(len(row) == len(head) for row in body)
    signs = [row[head.index("sign_right")] for row in body]
    assert signs.count("no") == sum(
        c.hit(n) is False for n in ("throughput", "wait", "calls") for c in spec.comparisons
    )
    errors = np.array([row[head.index("standard_error")] for row in body], dtype=float)
    assert (errors[np.isfinite(errors)] >= 0).all()


@needs_a_run
def test_it_is_written_with_its_run_named(machine: pm.Machine) -> None:
    files = make(KIND, Inputs(machine), ("svg",))
    assert isinstance(files, dict)
    assert set(files) == {f"counterfactual.{form}" for form in ("svg", "md", "csv")}
    source = KIND.source(counterfactual.data_for())
    assert source["inputs"][0]["file"].startswith("downgrade-")
    assert source["machine"] is None
    assert source["inputs"][0]["sha256"] in files["counterfactual.svg"].decode()


def test_without_a_run_there_is_nothing_to_draw(
    machine: pm.Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(counterfactual, "recorded", lambda: ())
    empty = counterfactual.data_for()
    assert KIND.lacks(empty)
    assert "no run is recorded" in KIND.title(empty)
    assert "nothing to show" in KIND.caption(empty)
    assert KIND.alt(empty).startswith("Empty")
    assert make(KIND, Inputs(machine), ("svg",)) == KIND.lacks(empty)
