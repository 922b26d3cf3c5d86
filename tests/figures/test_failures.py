"""The figures of the model's failures: what they say is what was computed, and it is readable."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.text import Text

from perfmodel.figures import (
    FAILURES,
    closed_form_errors,
    extrapolation,
    few_cpus,
    full_line,
    hold_law,
    near_saturation,
    new_figure,
    several_callers,
    textbook_rule,
)

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
    figure = new_figure(*kind.size)
    kind.draw(spec, figure)
    figure.draw_without_rendering()
    width, height = figure.bbox.width, figure.bbox.height
    # Ticks beyond the axes are kept, with a place, and not drawn.
    kept = {id(t) for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)
            for t in (*axis.get_ticklabels(), *axis.get_ticklabels(minor=True))}  # fmt: skip
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip() and id(text) not in kept:
            box = text.get_window_extent()
            assert -1 < box.x0 <= box.x1 < width + 1, text
            assert -1 < box.y0 <= box.y1 < height + 1, text
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


def test_exponential_holds_exaggerate(specs: dict[str, Any]) -> None:
    spec = specs["hold_law"]
    assert spec.saved(0) > 1.5 * spec.saved(None)
    for curve in spec.curves.values():
        assert list(curve.mean) == sorted(curve.mean, reverse=True)
        assert curve.constant_mean < curve.mean[-1]


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
