"""What the answer hangs on: the machine's uncertain costs, and what was asked."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from perfmodel.errors import InputError
from perfmodel.report.labels import label
from perfmodel.results import LEVEL
from perfmodel.verdict import time_text
from perfmodel.widgets.parameters import PATHS
from perfmodel.widgets.views.looks import CURVE, POINT
from perfmodel.widgets.views.view import Progress, Question, Scene, View, without

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from perfmodel.figures.kind import Rows
    from perfmodel.sensitivity import Elasticities, Elasticity
    from perfmodel.widgets.views.canvas import Canvas

__all__ = ["Sensitivity"]

#: Most bars of a panel.
_BARS = 9


class Sensitivity(View):
    """Two panels of bars, the longest on top."""

    name = "sensitivity"
    menus = frozenset({"policy"})

    def __init__(self, canvas: Canvas) -> None:
        super().__init__(canvas)
        self._drawn: object = None
        self._left = canvas.axes(0.17, 0.115, 0.30, 0.76)
        self._right = canvas.axes(0.68, 0.115, 0.30, 0.76)
        self._note = canvas.keep(
            canvas.figure.text(0.99, 0.015, "", ha="right", fontsize=canvas.pt(9), style="italic")
        )

    def key(self, question: Question) -> Hashable:
        """Everything: the elasticities are those at the point itself."""
        s = question.scenario
        return question.policy, s.machine, without(s, PATHS["wp_share"])

    def compute(self, question: Question, progress: Progress) -> Elasticities:
        """Take the derivatives."""
        from perfmodel.sensitivity import elasticities

        progress(0.0)
        found = elasticities(question.scenario, policy=question.policy)
        progress(1.0)
        return found

    def update(self, scene: Scene) -> str:
        """Draw the bars if they are others; say the longest."""
        self._note.set_text("computing…" if scene.stale else "")
        found: Elasticities | None = scene.result
        if found is not self._drawn:
            self._drawn = found
            self._draw(found)
        if found is None:
            return "What the answer hangs on is being computed."
        constants = "; ".join(f"{e.name} ±{_half(e):.2g} %" for e in _uncertain(found)[:4])
        asked = "; ".join(f"{e.name} {e.elasticity:+.2g}" for e in _asked(found)[:4])
        return (
            f"Net gain of {found.policy.value}, {time_text(found.value)} a call. It moves by, over"
            f" the {100 * LEVEL:g} % interval of each cost: {constants or 'nothing known'}. For 1 %"
            f" more of each parameter, by so many per cent: {asked or 'none'}."
        )

    def _draw(self, found: Elasticities | None) -> None:
        for axes in (self._left, self._right):
            axes.clear()
            axes.spines[["top", "right", "left"]].set_visible(False)
        self.canvas.invalidate()
        if found is None:
            return
        costs = [(e.name.replace("_", " "), _half(e)) for e in _uncertain(found)]
        self._bars(self._left, costs, CURVE, "", both=True)
        self._left.set_xlabel("% of the gain", fontsize=self.canvas.pt(9.5))
        self.canvas.title(self._left, f"Costs, over their {100 * LEVEL:g} %")
        asked = [(_name(e), e.elasticity) for e in _asked(found)]
        self._bars(self._right, asked, POINT, "///", both=False)
        self._right.set_xlabel("% of the gain for 1 % more", fontsize=self.canvas.pt(9.5))
        self.canvas.title(self._right, "What was asked")

    def _bars(
        self, axes: Axes, bars: list[tuple[str, float]], colour: str, hatch: str, *, both: bool
    ) -> None:
        if not bars:
            axes.text(0.5, 0.5, "nothing moves it", ha="center", transform=axes.transAxes,
                      fontsize=self.canvas.pt(9))  # fmt: skip
            axes.set_yticks([])
            return
        names, sizes = [b[0] for b in bars], np.array([b[1] for b in bars])
        y = np.arange(len(bars))[::-1]
        left = -sizes if both else np.zeros(len(bars))
        axes.barh(y, sizes - left, left=left, height=0.7, color=colour, hatch=hatch,
                  edgecolor="white")  # fmt: skip
        axes.axvline(0, color="#333333", linewidth=0.8)
        axes.set_yticks(y, names)
        axes.tick_params(axis="both", labelsize=self.canvas.pt(9))
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(-0.6, max(len(bars), 5) - 0.4)
        axes.grid(axis="x", color="#E5E5E5", linewidth=0.7)
        axes.set_axisbelow(True)

    def rows(self, scene: Scene) -> Rows:
        """Return every elasticity."""
        found: Elasticities = scene.result
        return ("name", "kind", "value", "elasticity", "log_sd", "share_of_variance"), [
            (e.name, e.kind, e.value, e.elasticity, e.log_sd, e.share)
            for e in (*found.constants, *found.parameters)
        ]


def _half(entry: Elasticity) -> float:
    """Half of the move of the gain over the interval of a cost, in per cent, to first order."""
    return abs(100.0 * entry.elasticity * entry.log_sd * float(ndtri(0.5 + LEVEL / 2)))


def _uncertain(found: Elasticities) -> list[Elasticity]:
    known = [e for e in found.constants if math.isfinite(_half(e)) and _half(e) > 0.05]
    return sorted(known, key=_half, reverse=True)[:_BARS]


def _asked(found: Elasticities) -> list[Elasticity]:
    known = [e for e in found.parameters if abs(e.elasticity) > 0.01]
    return sorted(known, key=lambda e: abs(e.elasticity), reverse=True)[:_BARS]


def _name(entry: Elasticity) -> str:
    from perfmodel.breakeven import swept_quantity

    try:
        return label(swept_quantity(entry.name)).partition(" (")[0]
    except InputError:
        return entry.name.replace("_", " ")
