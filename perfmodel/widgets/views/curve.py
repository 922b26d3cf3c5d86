"""Net gain over one parameter, where it turns, and the same of what is pinned."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import PolyCollection

from perfmodel.breakeven import BreakEven, break_even
from perfmodel.results import LEVEL
from perfmodel.verdict import time_text
from perfmodel.widgets.parameters import given
from perfmodel.widgets.shown import MOST_PINS
from perfmodel.widgets.views.looks import CURVE, GHOST, GHOST_LINES, POINT
from perfmodel.widgets.views.scales import decades, declared, over_parameter, signed_times
from perfmodel.widgets.views.view import Progress, Question, Scene

if TYPE_CHECKING:
    from perfmodel.figures.kind import Rows
    from perfmodel.widgets.views.canvas import Canvas

__all__ = ["Curves", "GainPanel", "find_curves"]

#: Draws behind each point of the curve, and its points; a ghost has the estimate alone.
DRAWS, POINTS = 40, 25

#: Most turns that are marked.
_TURNS = 3


@dataclass(frozen=True)
class Curves:
    """The gain of the scenario over a parameter, and that of each pinned one."""

    own: BreakEven
    ghosts: tuple[tuple[str, BreakEven], ...] = ()


def find_curves(question: Question, progress: Progress) -> Curves:
    """Compute the curves of a question."""
    over = question.shown.over

    def found(scenario: Any, draws: int) -> BreakEven:
        return break_even(scenario, over, policy=question.policy, points=POINTS, draws=draws,
                          progress=progress, solver="closed")  # fmt: skip

    ghosts = tuple((p.name, found(p.scenario, 1)) for p in question.pins)
    return Curves(found(question.scenario, DRAWS), ghosts)


class GainPanel:
    """The curve with its interval, its turns, and the point of the scenario itself."""

    def __init__(
        self,
        canvas: Canvas,
        place: tuple[float, float, float, float],
        reach: tuple[float, float],
    ) -> None:
        self.canvas = canvas
        self._key: tuple[object, ...] = ()
        axes = self._axes = canvas.axes(*place, reach)
        keep, pt = canvas.keep, canvas.pt
        axes.axhline(0, color="#555555", linewidth=0.8)
        band = PolyCollection([], facecolor=CURVE, alpha=0.22, linewidth=0)
        axes.add_collection(band, autolim=False)
        self._band = keep(band)
        self._curve = keep(axes.plot([], [], color=CURVE, linewidth=pt(1.8))[0])
        self._ghosts = [
            keep(axes.plot([], [], color=GHOST, linewidth=pt(1.2), linestyle=style)[0])
            for style in GHOST_LINES[:MOST_PINS]
        ]
        plate = {"pad": 1.5, "linewidth": 0, "facecolor": "white", "alpha": 0.85}
        self._ghost_names = [
            canvas.text(axes, 0, 0, fontsize=8.5, color=GHOST, va="center", bbox=plate)
            for _ in self._ghosts
        ]
        self._turns = [keep(axes.axvline(1, color="#333333", linewidth=1.1, linestyle="--"))
                       for _ in range(_TURNS)]  # fmt: skip
        self._spans = [keep(axes.plot([], [], color="#333333", linewidth=2.5, marker="|",
                                      markersize=9)[0]) for _ in range(_TURNS)]  # fmt: skip
        self._turn_texts = [
            canvas.text(axes, 0, 0, fontsize=8.5, va="bottom", color="#222222", bbox=plate)
            for _ in range(_TURNS)
        ]
        self._point = keep(
            axes.plot([], [], marker="o", markersize=pt(9), color=POINT, markeredgecolor="white",
                      linestyle="", zorder=5, clip_on=False)[0]
        )  # fmt: skip
        self._point_error = keep(axes.plot([], [], color=POINT, linewidth=pt(2))[0])
        self._note = canvas.text(axes, 0.995, 0.04, transform=axes.transAxes, ha="right",
                                    fontsize=9, style="italic", color="#333333")  # fmt: skip
        signed_times(axes.yaxis)
        axes.grid(axis="y", color="#E5E5E5", linewidth=0.7)
        axes.set_axisbelow(True)

    def update(self, scene: Scene) -> str:
        """Move the artists to a scene, and say what they show."""
        question = scene.question
        over, policy = question.shown.over, question.policy
        curves: Curves | None = scene.result
        if curves is not None and (curves.own.over, curves.own.policy) != (over, policy):
            curves = None
        point = _own_value(question)
        estimate, low, high = scene.prediction[policy].interval()
        values = [estimate, low, high]
        self._put_curve(curves, scene.stale, values)
        self._put_ghosts(curves, values)
        at = point is not None and math.isfinite(estimate)
        place = [point] if at and point is not None else []
        self._point.set_data(place, [estimate] if place else [])
        self._point_error.set_data(place * 2, [low, high] if place else [])
        said = self._put_turns(None if curves is None or scene.stale else curves.own, over)
        note = "computing…" if scene.stale else ""
        if point is None:
            note += " (the scenario itself has no " + over.replace("_", " ") + ")"
        self._note.set_text(note)
        self._scale(values, question, point, None if curves is None else curves.own)
        here = f"Net gain of {policy.value} here: {time_text(estimate)} a call."
        ghosts = "" if curves is None else "".join(
            f" Pinned {name}: {curve.sentence()}" for name, curve in curves.ghosts
        )  # fmt: skip
        return f"{here} {said}{ghosts}"

    def _put_curve(self, curves: Curves | None, stale: bool, values: list[float]) -> None:
        if curves is None:
            self._curve.set_data([], [])
            self._band.set_verts([])
        else:
            own = curves.own
            ends = np.quantile(own.net_gain, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
            values += [*own.net_gain[:, 0], *ends.ravel()]
            self._curve.set_data(own.grid, own.net_gain[:, 0])
            around = np.r_[own.grid, own.grid[::-1]], np.r_[ends[0], ends[1][::-1]]
            self._band.set_verts([np.column_stack(around)])
        self._curve.set_alpha(0.35 if stale else 1.0)
        self._band.set_alpha(0.08 if stale else 0.22)

    def _put_ghosts(self, curves: Curves | None, values: list[float]) -> None:
        for k, (line, text) in enumerate(zip(self._ghosts, self._ghost_names, strict=True)):
            there = curves is not None and k < len(curves.ghosts)
            line.set_visible(there)
            text.set_visible(there)
            if curves is None or not there:
                continue
            name, curve = curves.ghosts[k]
            gain = curve.net_gain[:, 0]
            values += [*gain]
            line.set_data(curve.grid, gain)
            known = np.flatnonzero(np.isfinite(gain))
            if known.size:
                # Each name at another place of its line, so that lines that meet keep theirs.
                place = known[int((0.15 + 0.2 * k) * (known.size - 1))]
                text.set_position((curve.grid[place], gain[place]))
                text.set_text(name)

    def _put_turns(self, curve: BreakEven | None, over: str) -> str:
        roots = () if curve is None else curve.roots[:_TURNS]
        for artist in (*self._turns, *self._spans, *self._turn_texts):
            artist.set_visible(False)
        if curve is None:
            return ""
        left, right = curve.grid[0], curve.grid[-1]
        log = declared(over).spans_decades
        middle = math.sqrt(left * right) if log else 0.5 * (left + right)
        for i, root in enumerate(roots):
            self._turns[i].set_xdata([root.value, root.value])
            self._turns[i].set_visible(True)
            words = f" pays {root.pays} {root.value:.3g} "
            if math.isfinite(root.low):
                words += f"({root.low:.3g} to {root.high:.3g}) "
                self._spans[i].set_data([root.low, root.high], [0, 0])
                self._spans[i].set_visible(True)
            text = self._turn_texts[i]
            text.set_text(words)
            text.set_horizontalalignment("right" if root.value > middle else "left")
            text.set_transform(self._axes.get_xaxis_transform())
            text.set_position((root.value, 0.83 - 0.14 * self.canvas.scale * i))
            text.set_visible(True)
        return curve.sentence()

    def _scale(
        self, values: list[float], question: Question, point: float | None, curve: BreakEven | None
    ) -> None:
        over, policy = question.shown.over, question.policy
        ends = decades(values)
        q = declared(over)
        low, high = q.typical if curve is None else (curve.grid[0], curve.grid[-1])
        if point is not None and (point > 0 or not q.spans_decades):
            low, high = min(low, point), max(high, point)
        if not high > low:
            low, high = low - 0.5, high + 0.5
        key = (float(low), float(high), ends, over, policy)
        if self._key == key:
            return
        self._key = key
        axes = self._axes
        over_parameter(axes.xaxis, over)
        axes.xaxis.label.set_fontsize(self.canvas.pt(10))
        axes.set_xlim(low, high)
        axes.set_ylim(*ends)
        signed_times(axes.yaxis, ends)
        self.canvas.title(axes, f"Net gain of {policy.value}, thread time a call"
                                f" (band: {100 * LEVEL:g} %)")  # fmt: skip
        self.canvas.invalidate(self._axes)

    def rows(self, scene: Scene) -> Rows:
        """Return the curve with its interval, and those of the pins."""
        curves: Curves = scene.result
        out = []
        for name, curve in (("", curves.own), *curves.ghosts):
            ends = np.quantile(curve.net_gain, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
            out += [(name, v, g, lo, hi) for v, g, lo, hi in
                    zip(curve.grid, curve.net_gain[:, 0], *ends, strict=True)]  # fmt: skip
        return ("pin", scene.question.shown.over, "net_gain_ns", "low_ns", "high_ns"), out


def _own_value(question: Question) -> float | None:
    """Return the scenario's own value of the swept parameter; None where it has none."""
    if question.shown.over == "remote_cpus":
        return question.scenario.remote_cpus
    value = given(question.scenario, question.shown.over)
    return None if value is None else float(value)
