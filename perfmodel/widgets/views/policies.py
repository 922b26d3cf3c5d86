"""Net gain of every policy, and of every cut with a guard, with its interval."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from perfmodel.results import LEVEL
from perfmodel.scenario import Policy
from perfmodel.widgets.views.looks import CURVE, POINT
from perfmodel.widgets.views.scales import decades, signed_text, signed_times
from perfmodel.widgets.views.view import Scene, View

if TYPE_CHECKING:
    from perfmodel.figures.kind import Rows
    from perfmodel.results import PolicyResult
    from perfmodel.widgets.views.canvas import Canvas

__all__ = ["Policies"]

#: Most rows: six policies, and ten cuts with a guard.
_ROWS = 18


class Policies(View):
    """One row a policy: filled where it is safe, hollow where nobody may have it."""

    name = "policies"

    def __init__(self, canvas: Canvas) -> None:
        super().__init__(canvas)
        self._key: tuple[object, ...] = ()
        axes = self._axes = canvas.axes(0.345, 0.10, 0.475, 0.815)
        keep, pt = canvas.keep, canvas.pt
        axes.axvline(0, color="#555555", linewidth=0.8)
        axes.axhspan(-1, -0.5, color="none")
        self._whiskers = [keep(axes.plot([], [], color=CURVE, linewidth=pt(2), marker="|",
                                         markersize=pt(7))[0]) for _ in range(_ROWS)]  # fmt: skip
        self._safe = keep(axes.plot([], [], "o", color=CURVE, markersize=pt(7))[0])
        self._unsafe = keep(axes.plot([], [], "o", markerfacecolor="white", markeredgecolor=POINT,
                                      markeredgewidth=pt(1.6), markersize=pt(7))[0])  # fmt: skip
        self._texts = [
            canvas.text(axes, 1.02, 0, transform=axes.get_yaxis_transform(), va="center",
                           fontsize=8.5)
            for _ in range(_ROWS)
        ]  # fmt: skip
        signed_times(axes.xaxis)
        axes.grid(axis="x", color="#E5E5E5", linewidth=0.7)
        axes.set_axisbelow(True)
        # The names of guards are long.
        axes.tick_params(axis="y", length=0, labelsize=min(pt(9), 10))
        axes.spines["left"].set_visible(False)
        axes.set_title(
            f"Net gain a call, {100 * LEVEL:g} % interval   (● safe, ○ unsafe: hypothetical)",
            loc="right", fontsize=pt(10), fontweight="bold", x=1.35,
        )  # fmt: skip

    def update(self, scene: Scene) -> str:
        """Put a point in every row."""
        rows = _shown(scene)
        said, ends = [], []
        points: dict[bool, tuple[list[float], list[float]]] = {True: ([], []), False: ([], [])}
        for artist in (*self._whiskers, *self._texts):
            artist.set_visible(False)
        for k, result in enumerate(rows):
            y = float(len(rows) - 1 - k)
            estimate, low, high = result.interval()
            text = self._texts[k]
            text.set_visible(True)
            text.set_y(y)
            if not math.isfinite(estimate):
                text.set_text("does not apply" if result.reason else "unknown")
                continue
            known = points[result.safety.safe]
            known[0].append(estimate)
            known[1].append(y)
            ends += [estimate, low, high]
            self._whiskers[k].set_data([low, high], [y, y])
            self._whiskers[k].set_color(CURVE if result.safety.safe else POINT)
            self._whiskers[k].set_visible(not scene.pending)
            chance = "" if scene.pending else f", P {result.p_pays:.2f}"
            text.set_text(f"{signed_text(estimate)}{chance}")
            safe = "safe" if result.safety.safe else "unsafe"
            said.append(f"{result.name} ({safe}) {signed_text(estimate)}{chance}")
        self._safe.set_data(*points[True])
        self._unsafe.set_data(*points[False])
        self._scale(tuple(r.name for r in rows), decades(ends))
        return "Net gain a call against no downgrade: " + "; ".join(said) + "."

    def _scale(self, names: tuple[str, ...], ends: tuple[float, float]) -> None:
        if self._key == (names, ends):
            return
        self._key = (names, ends)
        axes = self._axes
        axes.set_xlim(*ends)
        signed_times(axes.xaxis, ends)
        axes.set_ylim(-0.6, len(names) - 0.4)
        axes.set_yticks(range(len(names)), [n.replace(" with ", " + ") for n in reversed(names)])
        self.canvas.invalidate()

    def rows(self, scene: Scene) -> Rows:
        """Return the gain of every row."""
        return ("policy", "safe", "net_gain_ns", "low_ns", "high_ns", "p_pays"), [
            (r.name, int(r.safety.safe), *r.interval(), r.p_pays) for r in _shown(scene)
        ]


def _shown(scene: Scene) -> list[PolicyResult]:
    plain = [r for r in scene.prediction.results if r.policy is not Policy.NONE]
    return [*plain, *scene.prediction.guarded][:_ROWS]
