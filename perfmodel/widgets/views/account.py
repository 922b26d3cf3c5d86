"""Where the thread time of one call goes, by policy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from matplotlib.patches import Patch

from perfmodel.scenario import Policy
from perfmodel.verdict import time_text
from perfmodel.widgets.views.boxes import Box, Boxes
from perfmodel.widgets.views.looks import TERMS
from perfmodel.widgets.views.rows import PolicyRows
from perfmodel.widgets.views.scales import nice
from perfmodel.widgets.views.view import Scene, View

if TYPE_CHECKING:
    from perfmodel.figures.kind import Rows
    from perfmodel.widgets.views.canvas import Canvas

__all__ = ["Account"]


class Account(View):
    """One bar a policy, of the terms of the thread time that a call costs."""

    name = "account"

    def __init__(self, canvas: Canvas) -> None:
        super().__init__(canvas)
        self._rows = PolicyRows(canvas, (0.135, 0.09, 0.83, 0.70))
        axes = self._rows.axes
        self._bars = {}
        for name, (colour, hatch, _) in TERMS.items():
            bars = Boxes(facecolor=colour, edgecolor="white", linewidth=0.6, hatch=hatch)
            axes.add_patch(bars)
            self._bars[name] = canvas.keep(bars)
        self._totals = [canvas.text(axes, 0, 0, va="center", fontsize=8.5) for _ in Policy]
        axes.legend(
            handles=[Patch(facecolor=c, hatch=h, edgecolor="white", label=text)
                     for c, h, text in TERMS.values()],
            loc="lower left", bbox_to_anchor=(-0.14, 1.09), ncols=3, frameon=False,
            fontsize=canvas.pt(8.5), handlelength=1.6, borderaxespad=0,
        )  # fmt: skip
        canvas.title(axes, "Thread time of one call: its own, and what it costs the faults")

    def update(self, scene: Scene) -> str:
        """Move the bars."""
        results = scene.prediction.results
        known = [float(r.lost_time[0]) for r in results if math.isfinite(r.lost_time[0])]
        limit = nice(1.28 * max(known, default=1.0))
        boxes: dict[str, list[Box]] = {name: [] for name in TERMS}
        said = []
        for row, (text, result) in enumerate(zip(self._totals, results, strict=False)):
            y, x = float(len(results) - 1 - row), 0.0
            text.set_visible(True)
            if not math.isfinite(result.lost_time[0]):
                text.set_text("does not apply" if result.reason else "unknown")
                text.set_position((0.01 * limit, y))
                continue
            for name in TERMS:
                ns = float(result.account[name][0])
                if ns > 0:
                    boxes[name].append((x, ns, y - 0.36, y + 0.36))
                    x += ns
            text.set_position((x + 0.01 * limit, y))
            text.set_text(time_text(float(result.lost_time[0])))
            parts = ", ".join(f"{words} {time_text(float(result.account[name][0]))}"
                              for name, (*_, words) in TERMS.items()
                              if result.account[name][0] > 0)  # fmt: skip
            said.append(f"{result.policy.value} {text.get_text()} ({parts})")
        for text in self._totals[len(results) :]:
            text.set_visible(False)
        for name, bars in self._bars.items():
            bars.put(boxes[name])
        self._rows.scale(limit, tuple(r.policy.value for r in reversed(results)))
        return "Thread time of one call: " + "; ".join(said) + "."

    def rows(self, scene: Scene) -> Rows:
        """Return every term."""
        return ("policy", *(f"{name}_ns" for name in TERMS)), [
            (r.policy.value, *(float(r.account[name][0]) for name in TERMS))
            for r in scene.prediction.results
        ]
