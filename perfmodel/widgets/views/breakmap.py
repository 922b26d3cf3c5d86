"""Net gain over two parameters, with the break-even line and the scenario's own point."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from perfmodel.scenario import Policy, Scenario
from perfmodel.verdict import time_text
from perfmodel.widgets.parameters import PATHS, given
from perfmodel.widgets.shown import MOST_PINS
from perfmodel.widgets.views.looks import GHOST, GHOST_MARKERS, POINT
from perfmodel.widgets.views.scales import declared, name_of, over_parameter, signed_text
from perfmodel.widgets.views.view import Progress, Question, Scene, View, without

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from perfmodel.figures.kind import Rows
    from perfmodel.widgets.views.canvas import Canvas

__all__ = ["BreakEvenMap"]

#: Values tried of each parameter, over its typical range.
POINTS = 25

#: Levels of the gain, ns: colours change there, on both sides of zero.
_LEVELS = (0.0, 10.0, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8)


@dataclass(frozen=True)
class Grid:
    """Net gain in ns over two parameters; the rows are `across`."""

    over: str
    across: str
    policy: Policy
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    gain: NDArray[np.float64]


def values(name: str, own: float | None) -> list[float]:
    """Return what is tried of a parameter: its typical range, stretched to the scenario's own value."""
    q = declared(name)
    low, high = q.typical
    if own is not None and (own > 0 or not q.spans_decades):
        low, high = min(low, own), max(high, own)
    space = np.geomspace if q.spans_decades else np.linspace
    tried = space(low, high, POINTS)
    if q.integer:
        return [int(v) for v in np.unique(np.round(tried))]
    return [float(v) for v in tried]


class BreakEvenMap(View):
    """Purple where the cut gains, brown and dotted where it costs, a line where it turns."""

    name = "map"
    menus = frozenset({"over", "across", "policy"})

    def __init__(self, canvas: Canvas) -> None:
        super().__init__(canvas)
        self._drawn: Grid | None = None
        self._ends: tuple[object, ...] = ()
        axes = self._axes = canvas.axes(0.115, 0.115, 0.70, 0.805)
        keep, pt = canvas.keep, canvas.pt
        self._filled: list[object] = []
        self._scale_axes = canvas.figure.add_axes((0.845, 0.115, 0.022, 0.805))
        self._scale_axes.set_visible(False)
        self._point = keep(axes.plot([], [], "o", color=POINT, markersize=pt(11),
                                     markeredgecolor="white", markeredgewidth=1.5, zorder=6,
                                     clip_on=False)[0])  # fmt: skip
        plate = {"boxstyle": "round,pad=0.2", "fc": "white", "ec": "none", "alpha": 0.85}
        self._text = canvas.text(axes, 0, 0, fontsize=9, zorder=7, bbox=plate)
        self._pins = [
            keep(axes.plot([], [], marker, color="white", markeredgecolor=GHOST,
                           markeredgewidth=1.5, markersize=pt(8), zorder=5, clip_on=False)[0])
            for marker in GHOST_MARKERS[:MOST_PINS]
        ]  # fmt: skip
        self._pin_names = [canvas.text(axes, 0, 0, fontsize=8.5, zorder=7, bbox=plate)
                           for _ in self._pins]  # fmt: skip
        self._note = canvas.text(axes, 0.99, 0.02, transform=axes.transAxes, ha="right",
                                    fontsize=9, style="italic", bbox=plate)  # fmt: skip

    def key(self, question: Question) -> Hashable:
        """Everything but the two parameters, and how far the scenario is outside their ranges."""
        shown, scenario = question.shown, question.scenario
        outside = []
        for name in (shown.over, shown.across):
            tried = values(name, given(scenario, name))
            outside.append((tried[0], tried[-1]))
        fixed = without(scenario, PATHS[shown.over], PATHS[shown.across])
        return (shown.over, shown.across, question.policy, scenario.machine, fixed, *outside)

    def compute(self, question: Question, progress: Progress) -> Grid:
        """Ask the sweep for the whole grid: the estimate alone, in closed form."""
        from perfmodel.sweeping import sweep

        shown = question.shown
        scenario = question.scenario.replace(policies=(Policy.NONE, question.policy))
        axes = {n: values(n, given(scenario, n)) for n in (shown.across, shown.over)}
        found = sweep(scenario, axes, draws=1, levels=(), variables=("net_gain",),
                      progress=progress)["net_gain"]  # fmt: skip
        found = found.sel(policy=question.policy.value)
        gain = found.transpose(shown.across, shown.over, ...).values.reshape(
            len(axes[shown.across]), len(axes[shown.over]), -1
        )
        x, y = (np.asarray(axes[n], dtype=float) for n in (shown.over, shown.across))
        return Grid(shown.over, shown.across, question.policy, x, y, gain[..., gain.shape[-1] // 2])

    def update(self, scene: Scene) -> str:
        """Draw the map if it is another one, and move the points."""
        shown = scene.question.shown
        grid: Grid | None = scene.result
        wanted = (shown.over, shown.across, scene.question.policy)
        if grid is not None and (grid.over, grid.across, grid.policy) != wanted:
            grid = None
        if grid is not self._drawn:
            self._draw(grid)
        self._set_axes(shown.over, shown.across, scene)
        gain = float(scene.prediction[scene.question.policy].net_gain[0])
        here = self._place(scene.question.scenario, scene)
        self._point.set_data([here[0]] if here else [], [here[1]] if here else [])
        self._label(here, gain, shown.over)
        note = (
            "computing…"
            if scene.stale
            else ""
            if here
            else "the scenario itself is not on this map"
        )
        self._note.set_text(note)
        self._note.set_visible(bool(note))
        self._put_pins(scene)
        return self._said(grid, scene, gain)

    def _label(self, here: tuple[float, float] | None, gain: float, over: str) -> None:
        self._text.set_visible(here is not None)
        if here is None:
            return
        low, high = self._axes.get_xlim()
        log = declared(over).spans_decades
        middle = np.sqrt(low * high) if log else 0.5 * (low + high)
        right = here[0] > middle
        self._text.set_text(f"   {signed_text(gain)}   ")
        self._text.set_horizontalalignment("right" if right else "left")
        self._text.set_position(here)

    def _put_pins(self, scene: Scene) -> None:
        for k, (mark, text) in enumerate(zip(self._pins, self._pin_names, strict=True)):
            pins = scene.question.pins
            at = self._place(pins[k].scenario, scene) if k < len(pins) else None
            mark.set_data([at[0]] if at else [], [at[1]] if at else [])
            text.set_visible(at is not None)
            if at is not None:
                text.set_position(at)
                text.set_text(f"  {pins[k].name}")

    @staticmethod
    def _place(scenario: Scenario, scene: Scene) -> tuple[float, float] | None:
        """Return where a scenario lies; None where it has not both parameters."""
        found = []
        for name in (scene.question.shown.over, scene.question.shown.across):
            value = scenario.remote_cpus if name == "remote_cpus" else given(scenario, name)
            if value is None or (value <= 0 and declared(name).spans_decades):
                return None
            found.append(float(value))
        return found[0], found[1]

    def _set_axes(self, over: str, across: str, scene: Scene) -> None:
        grid = self._drawn
        ends: tuple[object, ...] = (over, across, scene.question.policy)
        limits = []
        for name, own in ((over, None if grid is None else grid.x),
                          (across, None if grid is None else grid.y)):  # fmt: skip
            limits.append(declared(name).typical if own is None else (own[0], own[-1]))
        ends = (*ends, *map(tuple, limits))
        if ends == self._ends:
            return
        self._ends = ends
        axes = self._axes
        over_parameter(axes.xaxis, over)
        over_parameter(axes.yaxis, across)
        for axis in (axes.xaxis, axes.yaxis):
            axis.label.set_fontsize(self.canvas.pt(10))
        axes.set_xlim(*limits[0])
        axes.set_ylim(*limits[1])
        self.canvas.title(axes, f"Net gain of {scene.question.policy.value}, thread time a call")
        self.canvas.invalidate()

    def _draw(self, grid: Grid | None) -> None:
        from matplotlib import colormaps
        from matplotlib.colors import BoundaryNorm
        from matplotlib.ticker import FuncFormatter

        for old in self._filled:
            old.remove()  # type: ignore[attr-defined]
        self._filled = []
        self._drawn = grid
        self.canvas.invalidate()
        self._scale_axes.set_visible(False)
        if grid is None or not np.isfinite(grid.gain).any():
            return
        largest = np.nanmax(np.abs(grid.gain))
        steps = [v for v in _LEVELS if v < largest][:9]
        steps = [*steps, 10.0 * max(steps[-1], 1.0)]
        levels = [*(-v for v in reversed(steps[1:])), *steps]
        colours = colormaps["PuOr"]
        axes = self._axes
        # The axes get their scale first: contours are found between the points as they are drawn.
        over_parameter(axes.xaxis, grid.over)
        over_parameter(axes.yaxis, grid.across)
        gain = np.ma.masked_invalid(grid.gain)
        norm = BoundaryNorm(levels, colours.N)
        filled = axes.contourf(grid.x, grid.y, gain, levels=levels, cmap=colours, norm=norm,
                               zorder=0)  # fmt: skip
        self._filled.append(filled)
        if gain.min() < 0:
            costs = axes.contourf(grid.x, grid.y, gain, levels=[-np.inf, 0.0], colors="none",
                                  hatches=["..."], zorder=1)  # fmt: skip
            costs.set_edgecolor("#7F3B08")
            costs.set_linewidth(0.0)
            self._filled.append(costs)
        if gain.min() < 0 < gain.max():
            # Compressed, so that the line falls right between the points of the grid.
            self._filled.append(
                axes.contour(grid.x, grid.y, np.arcsinh(gain), levels=[0.0], colors=["black"],
                             linewidths=self.canvas.pt(2.0), zorder=3)
            )  # fmt: skip
        axes.set_facecolor("#D0D0D0")
        self._scale_axes.clear()
        self._scale_axes.set_visible(True)
        bar = self.canvas.figure.colorbar(filled, cax=self._scale_axes)
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: signed_text(v)))
        bar.ax.tick_params(labelsize=self.canvas.pt(8.5))

    def _said(self, grid: Grid | None, scene: Scene, gain: float) -> str:
        shown, policy = scene.question.shown, scene.question.policy.value
        head = f"Net gain of {policy} over {name_of(shown.over)} and {name_of(shown.across)}."
        here = f" Here: {time_text(gain)} a call."
        if grid is None or not np.isfinite(grid.gain).any():
            return head + here
        known = grid.gain[np.isfinite(grid.gain)]
        return (
            f"{head} It gains on {100 * float(np.mean(known > 0)):.3g} % of the map and costs on"
            f" {100 * float(np.mean(known < 0)):.3g} %.{here}"
        )

    def rows(self, scene: Scene) -> Rows:
        """Return every point of the grid."""
        grid: Grid = scene.result
        return (grid.over, grid.across, "net_gain_ns"), [
            (x, y, grid.gain[j, i]) for j, y in enumerate(grid.y) for i, x in enumerate(grid.x)
        ]
