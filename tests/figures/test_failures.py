"""The figures of the model's failures: what they say is what was computed, and it is readable."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from perfmodel.figures import (
    FAILURES,
    closed_form_errors,
    extrapolation,
    few_cpus,
    full_line,
    hold_law,
    near_saturation,
    several_callers,
    textbook_rule,
)

from .conftest import outside

pytestmark = pytest.mark.xdist_group("figures")

#: Smaller than the page's: the same code in seconds.
MADE = {
    "textbook_rule": lambda: textbook_rule.data_for(
        shares=(0.25, textbook_rule.SHARE),
        callers=(1, 4),
        cases=textbook_rule.CASES[:1],
        calls=3000,
    ),
    "near_saturation": lambda: near_saturation.data_for(loads=(0.03, 0.3, 0.6), events=200_000),
    "hold_law": lambda: hold_law.data_for(calls=3000),
    "several_callers": lambda: several_callers.data_for(shares=(0.0, 0.3, 0.92), threads=8),
    "full_line": lambda: full_line.data_for(threads=(4, 16, 64), calls=400),
    "few_cpus": few_cpus.data_for,
    "extrapolation": lambda: extrapolation.data_for(trials=20),
    "closed_form_errors": closed_form_errors.data_for,
}


@pytest.fixture(scope="module")
def specs() -> dict[str, Any]:
    return {name: make() for name, make in MADE.items()}


@pytest.mark.parametrize("kind", FAILURES, ids=[k.name for k in FAILURES])
def test_drawn_described_and_tabled(kind: Any, specs: dict[str, Any]) -> None:
    spec = specs[kind.name]
    assert outside(kind, spec) == []
    head, rows = kind.rows(spec)
    assert rows
    assert {len(row) for row in rows} == {len(head)}
    for said in (kind.title(spec), kind.caption(spec), kind.alt(spec)):
        assert said
        assert "nan" not in said.lower().split()
    assert "nothing here is measured" in kind.caption(spec)
    assert kind.source(spec)["evidence"]


def test_the_textbook_promises_more_than_the_kernel_gives(specs: dict[str, Any]) -> None:
    spec = specs["textbook_rule"]
    assert spec.at_share("reader_preference", 4) > 2 * spec.at_share("rwsem", 4)
    assert spec.at_share("rwsem", 4) > 1
    for callers, lines in spec.checks:
        for line in lines:
            exact = spec.at_share(line.rule, callers)
            assert line.solvers == ("simulation",)
            assert line.ratio[0] == pytest.approx(exact, abs=2 * line.half_width[0])


def test_exponential_holds_exaggerate(specs: dict[str, Any]) -> None:
    spec = specs["hold_law"]
    assert spec.saved(0) > 1.5 * spec.saved(None)
    for curve in spec.curves.values():
        assert list(curve.mean) == sorted(curve.mean, reverse=True)
        assert curve.constant_mean < curve.mean[-1]


def test_lognormal_holds_agree_with_the_closed_form_where_they_are_constant(
    specs: dict[str, Any],
) -> None:
    spec = specs["hold_law"]
    for policy, curve in spec.curves.items():
        even, wide = (spec.lognormal(policy, cv) for cv in (0.0, 2.0))
        assert even.mean == pytest.approx(curve.constant_mean, abs=2 * even.mean_width)
        assert wide.mean > curve.mean[0]


def test_the_form_of_the_wrong_rule_is_wrong(specs: dict[str, Any]) -> None:
    spec = specs["near_saturation"]
    wrong, own = (
        next(p for p in spec.panels if (p.rule, p.form) == ("rwsem", form))
        for form in ("fifo", "rwsem")
    )
    assert wrong.curves["none"].error[-1] > 0.5
    assert abs(own.curves["none"].error[-1]) < 3 * own.curves["none"].error_width[-1] + 0.05
    for panel in spec.panels:
        gain, none, cut = (panel.curves[q] for q in ("gain", "none", "downgrade"))
        np.testing.assert_allclose(gain.closed, none.closed - cut.closed)
        np.testing.assert_allclose(gain.simulated, none.simulated - cut.simulated)


def test_what_is_infinite_is_not_written_as_unknown() -> None:
    panel = near_saturation.Panel(
        "rwsem", "fifo", "x", np.array([0.9]),
        {q: near_saturation.Curve(np.array([1.0]), np.array([0.1]), np.array([np.inf]))
         for q in near_saturation.QUANTITIES},
        np.array([False]), "",
    )  # fmt: skip
    _, rows = near_saturation.rows(near_saturation.Spec((panel,), {}))
    assert all(row[6] == row[7] == "inf" for row in rows)


def test_a_single_caller_is_answered_and_several_are_flagged(specs: dict[str, Any]) -> None:
    curves = specs["several_callers"].curves
    np.testing.assert_allclose(curves[1].closed, curves[1].chain, rtol=0.02)
    assert curves[1].valid.all()
    assert curves[4].error[-1] < -0.5
    assert not curves[4].valid[-1]


def test_a_full_line_costs_the_caller(specs: dict[str, Any]) -> None:
    spec = specs["full_line"]
    assert list(spec.full) == [False, False, True]
    np.testing.assert_allclose(spec.closed["busy"], spec.simulated["busy"], atol=0.04)
    # Idle, the kit is right; full, the sign of what happens to the calls is not its own.
    assert abs(spec.simulated["calls"][0] - spec.closed["calls"][0]) < 0.01
    assert spec.simulated["calls"][-1] < -0.05 < 0 < spec.closed["calls"][-1]


def test_few_cpus_leave_little_of_the_gain(specs: dict[str, Any]) -> None:
    spec = specs["few_cpus"]
    for curve in spec.curves.values():
        assert curve.realised[-1] == 1
        assert max(curve.realised[:4]) < 0.4
        np.testing.assert_allclose(curve.closed, curve.chain, atol=0.015)


def test_no_fit_below_the_knee_knows_the_line(specs: dict[str, Any]) -> None:
    far = specs["extrapolation"].panels[-1]
    for law, fit in far.fits.items():
        assert fit.residual < 0.06
        assert fit.low <= fit.high
        if law == "power":
            assert far.miss(law) > 2


def test_the_map_is_of_the_whole_grid(specs: dict[str, Any]) -> None:
    spec = specs["closed_form_errors"]
    assert spec.questions > 600
    assert 0.3 < spec.within < 0.95
    inside, outside = (spec.typical("wait_mean", valid=v)[0] for v in (True, False))
    assert inside < 0.05 < outside
