"""What a fault waits, against the load of faults: mean and 99 % quantile, with and without the cut."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from perfmodel.scenario import Policy, Scenario
from perfmodel.verdict import time_text
from perfmodel.widgets.parameters import PATHS, given
from perfmodel.widgets.shown import MOST_PINS
from perfmodel.widgets.views.breakmap import values
from perfmodel.widgets.views.looks import CURVE, GHOST, GHOST_LINES, POINT
from perfmodel.widgets.views.scales import decades, declared, over_parameter, signed_times
from perfmodel.widgets.views.view import Progress, Question, Scene, View, without

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from perfmodel.figures.kind import Rows
    from perfmodel.widgets.views.canvas import Canvas

__all__ = ["Waits"]

#: The quantile beside the mean.
QUANTILE = 0.99


def load_of(scenario: Scenario) -> str:
    """Return the parameter that is the load of faults: their rate, or the threads that fault."""
    return "fault_rate" if scenario.faults.open else "fault_threads"


@dataclass(frozen=True)
class Waiting:
    """Waits in ns over a load; rows: without a downgrade, with the cut."""

    load: str
    policy: Policy
    x: NDArray[np.float64]
    mean: NDArray[np.float64]
    quantile: NDArray[np.float64]


class Waits(View):
    """Lines of two policies; the present load is marked."""

    name = "waits"
    menus = frozenset({"policy"})

    def __init__(self, canvas: Canvas) -> None:
        super().__init__(canvas)
        self._key: tuple[object, ...] = ()
        axes = self._axes = canvas.axes(0.125, 0.115, 0.84, 0.74)
        keep, pt = canvas.keep, canvas.pt
        # Without the cut vermillion, with it blue; solid the mean, dashed the quantile.
        self._lines = [
            (keep(axes.plot([], [], color=colour, linewidth=pt(1.9), marker=marker, markevery=4,
                            markersize=pt(4.5))[0]),
             keep(axes.plot([], [], color=colour, linewidth=pt(1.3), linestyle=(0, (5, 2)),
                            marker=marker, markevery=4, markersize=pt(4.5),
                            markerfacecolor="white")[0]))
            for colour, marker in ((POINT, "o"), (CURVE, "s"))
        ]  # fmt: skip
        self._ghosts = [keep(axes.plot([], [], color=GHOST, linewidth=pt(1.2), linestyle=style)[0])
                        for style in GHOST_LINES[:MOST_PINS]]  # fmt: skip
        self._ghost_names = [canvas.text(axes, 0, 0, fontsize=8.5, color=GHOST)
                             for _ in self._ghosts]  # fmt: skip
        self._here = keep(axes.axvline(1, color="#333333", linewidth=pt(1.1), linestyle=":"))
        self._note = canvas.text(axes, 0.995, 0.03, transform=axes.transAxes, ha="right",
                                    fontsize=9, style="italic")  # fmt: skip
        signed_times(axes.yaxis)
        axes.grid(axis="y", color="#E5E5E5", linewidth=0.7)
        axes.set_axisbelow(True)

    def key(self, question: Question) -> Hashable:
        """Everything but the load itself."""
        out: list[Hashable] = [question.policy]
        for s in (question.scenario, *(p.scenario for p in question.pins)):
            tried = values(load_of(s), given(s, load_of(s)))
            out += [load_of(s), s.machine, without(s, PATHS[load_of(s)]), tried[0], tried[-1]]
        return tuple(out)

    def compute(self, question: Question, progress: Progress) -> tuple[Waiting, ...]:
        """Ask the sweep: the scenario first, then the pinned ones."""
        scenarios = (question.scenario, *(p.scenario for p in question.pins))
        return tuple(_waiting(s, question.policy, progress) for s in scenarios)

    def update(self, scene: Scene) -> str:
        """Move the lines."""
        question = scene.question
        load = load_of(question.scenario)
        own: Waiting | None = scene.result[0] if scene.result else None
        if own is not None and (own.load, own.policy) != (load, question.policy):
            own = None
        ends: list[float] = []
        for k, (mean, tail) in enumerate(self._lines):
            for line, of in ((mean, "mean"), (tail, "quantile")):
                waits = [] if own is None else getattr(own, of)[k]
                line.set_data([] if own is None else own.x, waits)
                line.set_alpha(0.35 if scene.stale else 1.0)
                ends += [*waits]
        self._put_ghosts(scene, own, ends)
        at = float(given(question.scenario, load) or math.nan)
        self._here.set_xdata([at, at])
        self._note.set_text("computing…" if scene.stale else "")
        self._note.set_visible(scene.stale)
        low, high = declared(load).typical if own is None else (own.x[0], own.x[-1])
        self._scale((load, question.policy.value, float(low), float(high)), decades(ends))
        none, cut = (scene.prediction[p].answer for p in (Policy.NONE, question.policy))
        return (
            f"Wait of a fault over {load.replace('_', ' ')}. Here: mean without a downgrade"
            f" {time_text(float(none.wait_mean[0]))}, with {question.policy.value}"
            f" {time_text(float(cut.wait_mean[0]))}."
        )

    def _put_ghosts(self, scene: Scene, own: Waiting | None, ends: list[float]) -> None:
        others = [] if own is None else list(
            zip(scene.question.pins, scene.result[1:], strict=False)
        )  # fmt: skip
        for k, (line, text) in enumerate(zip(self._ghosts, self._ghost_names, strict=True)):
            # Another load has another axis: it is in the table, and not here.
            there = k < len(others) and own is not None and others[k][1].load == own.load
            line.set_visible(there)
            text.set_visible(there)
            if there:
                pin, waiting = others[k]
                line.set_data(waiting.x, waiting.mean[0])
                ends += [*waiting.mean[0]]
                place = int((0.3 + 0.2 * k) * (waiting.x.size - 1))
                text.set_position((waiting.x[place], waiting.mean[0][place]))
                text.set_text(f"{pin.name} ")

    def _scale(self, key: tuple[str, str, float, float], ends: tuple[float, float]) -> None:
        if self._key == (key, ends):
            return
        self._key = (key, ends)
        load, policy, low, high = key
        axes = self._axes
        over_parameter(axes.xaxis, load)
        axes.xaxis.label.set_fontsize(self.canvas.pt(10))
        axes.set_xlim(low, high)
        axes.set_ylim(0, ends[1])
        signed_times(axes.yaxis, (0.0, ends[1]))
        for (mean, tail), name in zip(self._lines, ("no downgrade", policy), strict=True):
            mean.set_label(f"{name}, mean")
            tail.set_label(f"{name}, {100 * QUANTILE:g} %")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, frameon=False,
                    fontsize=self.canvas.pt(8.5), borderaxespad=0.1)  # fmt: skip
        if self.canvas.scale == 1:  # large letters in the legend take the whole line
            axes.set_title("Wait of a fault", loc="right", fontsize=self.canvas.pt(10.5),
                           fontweight="bold")  # fmt: skip
        self.canvas.invalidate()

    def rows(self, scene: Scene) -> Rows:
        """Return every line."""
        names = ("", *(p.name for p in scene.question.pins))
        out = []
        for name, w in zip(names, scene.result, strict=True):
            for k, policy in enumerate((Policy.NONE, w.policy)):
                out += [(name, policy.value, w.load, x, m, q) for x, m, q in
                        zip(w.x, w.mean[k], w.quantile[k], strict=True)]  # fmt: skip
        return ("pin", "policy", "load", "at", "mean_wait_ns", "p99_wait_ns"), out


def _waiting(scenario: Scenario, policy: Policy, progress: Progress) -> Waiting:
    from perfmodel.sweeping import sweep

    load = load_of(scenario)
    asked = scenario.replace(policies=(Policy.NONE, policy))
    x = values(load, given(scenario, load))
    found = sweep(asked, {load: x}, draws=1, levels=(QUANTILE,),
                  variables=("wait_mean", "wait_quantile"), progress=progress)  # fmt: skip

    def lines(name: str) -> NDArray[np.float64]:
        array = found[name].sel(policy=["none", policy.value]).transpose("policy", load, ...)
        flat = array.values.reshape(2, len(x), -1)
        return np.asarray(flat[..., flat.shape[-1] // 2], dtype=float)

    return Waiting(load, policy, np.asarray(x, dtype=float), lines("wait_mean"),
                   lines("wait_quantile"))  # fmt: skip
