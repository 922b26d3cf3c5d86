"""Holds of one call as bars, one policy a row: what is held how, and whether faults go on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from matplotlib.patches import Patch

from perfmodel.figures.style import GREEN
from perfmodel.scenario import Policy, affected_share
from perfmodel.verdict import time_text
from perfmodel.widgets.views.boxes import Box, Boxes
from perfmodel.widgets.views.looks import MODES
from perfmodel.widgets.views.rows import PolicyRows
from perfmodel.widgets.views.scales import nice

if TYPE_CHECKING:
    from perfmodel.figures.kind import Rows
    from perfmodel.hold import Phase
    from perfmodel.prediction import Prediction
    from perfmodel.results import PolicyResult
    from perfmodel.widgets.views.canvas import Canvas

__all__ = ["HoldPanel"]

#: Most piece names that are written into bars.
_NAMES = 30

_SHORT = {"locked": "lock", "walk_start": "walk start", "prepare": "VMA", "shootdown": "IPI"}


class HoldPanel:
    """Bars of the phases of a call.

    Parameters
    ----------
    canvas : Canvas
    place : tuple of float
        Left, bottom, width and height in parts of the figure.
    reach : tuple of float
        As `Canvas.axes` has it.
    faults : bool
        Whether a strip under each bar says what share of the faults go on.
    """

    def __init__(
        self,
        canvas: Canvas,
        place: tuple[float, float, float, float],
        *,
        faults: bool = False,
        reach: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        self.canvas = canvas
        self._faults = faults
        self._rows = PolicyRows(canvas, place, reach)
        axes = self._rows.axes
        # With a strip below it a bar has the upper part of its row.
        self._low, self._high = (-0.10, 0.42) if faults else (-0.38, 0.38)
        self._pieces = {}
        for mode, (colour, hatch, _) in MODES.items():
            bars = Boxes(facecolor=colour, edgecolor="white", linewidth=0.8, hatch=hatch)
            axes.add_patch(bars)
            self._pieces[mode] = canvas.keep(bars)
        self._strips = canvas.keep(Boxes(facecolor=GREEN, linewidth=0))
        axes.add_patch(self._strips)
        # The hatch would run through the letters: a plate of the bar's colour lies below them.
        self._names = [
            canvas.text(axes, 0, 0, ha="center", va="center", fontsize=8,
                                  color="white", bbox={"pad": 1.0, "linewidth": 0})
            for _ in range(_NAMES)
        ]  # fmt: skip
        self._totals = [
            canvas.text(axes, 0, 0, va="center", fontsize=8.5, color="#333333") for _ in Policy
        ]
        shown = [Patch(facecolor=c, hatch=h, edgecolor="white", label=text)
                 for c, h, text in MODES.values()]  # fmt: skip
        if faults:
            shown.append(Patch(facecolor=GREEN, label="faults that go on"))
        axes.legend(
            handles=shown, loc="lower right", bbox_to_anchor=(1.0, 0.985), ncols=len(shown),
            frameon=False, fontsize=canvas.pt(9 if not faults else 8.5), handlelength=1.4,
            columnspacing=1.2, borderaxespad=0.1,
        )  # fmt: skip
        # The legend has the rest of the line, or all of it.
        large = canvas.scale > 1
        if not (faults and large):
            canvas.title(axes, "Hold" if faults or large else "Hold of one call")

    def update(self, prediction: Prediction) -> str:
        """Move the bars to a prediction's holds, and say them."""
        boxes: dict[str, list[Box]] = {mode: [] for mode in MODES}
        strips: list[Box] = []
        names: list[tuple[float, float, str, str]] = []
        said = []
        results = prediction.results
        known = [float(r.hold.call[0]) for r in results if math.isfinite(r.hold.call[0])]
        limit = nice((1.36 + 0.3 * (self.canvas.scale - 1)) * max(known, default=1.0))
        for text in self._totals:
            text.set_visible(False)
        for row, result in enumerate(results):
            y, x = float(len(results) - 1 - row), 0.0
            total = self._totals[row]
            total.set_visible(True)
            if not math.isfinite(result.hold.call[0]):
                total.set_text("does not apply" if result.reason else "unknown on this machine")
                total.set_position((0.01 * limit, y))
                continue
            going = 1.0 - affected_share(prediction.scenario, result.policy)
            for phase in _in_time(result):
                ns = float(phase.ns[0])
                boxes[phase.mode].append((x, ns, y + self._low, y + self._high))
                share = going if phase.mode == "exclusive" else 1.0
                if self._faults and share > 0:
                    strips.append((x, ns, y - 0.38, y - 0.38 + 0.2 * share))
                short = _SHORT.get(phase.name, phase.name)
                room = 0.012 * self.canvas.scale * (len(short) + 1)
                if ns > room * limit and phase.mode != "outside":
                    middle = y + 0.5 * (self._low + self._high)
                    names.append((x + ns / 2, middle, short, MODES[phase.mode][0]))
                x += ns
            words = _words(result)
            total.set_text(words)
            total.set_position((x + 0.008 * limit, y))
            said.append(f"{result.policy.value} {words}")
        for mode, bars in self._pieces.items():
            bars.put(boxes[mode])
        self._strips.put(strips)
        self._write(names)
        self._rows.scale(limit, tuple(r.policy.value for r in reversed(results)))
        return "Hold of one call under lock: " + "; ".join(said) + "."

    def _write(self, names: list[tuple[float, float, str, str]]) -> None:
        for text, given in zip(self._names, [*names, *[None] * _NAMES][:_NAMES], strict=True):
            text.set_visible(given is not None)
            plate = text.get_bbox_patch()
            if given is not None and plate is not None:
                text.set_position(given[:2])
                text.set_text(given[2])
                plate.set_facecolor(given[3])

    def rows(self, prediction: Prediction) -> Rows:
        """Return every piece of every bar."""
        return ("policy", "piece", "lock", "ns"), [
            (r.policy.value, p.name, p.mode, float(p.ns[0]))
            for r in prediction.results
            for p in _in_time(r)
        ]


def _in_time(result: PolicyResult) -> list[Phase]:
    """Return the pieces in the order of time: before the lock, under the write lock, then shared."""
    if not math.isfinite(result.hold.call[0]):
        return []
    order = list(MODES)
    known = [p for p in result.hold.phases if float(p.ns[0]) > 0]
    return sorted(known, key=lambda p: order.index(p.mode))


def _words(result: PolicyResult) -> str:
    exclusive, shared = (float(a[0]) for a in (result.hold.exclusive, result.hold.shared))
    return f"{time_text(exclusive)} write" + (f", {time_text(shared)} read" if shared > 0.5 else "")
