"""The effect of a downgrade as the lock models foretell it, against the effect measured on cores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.counterfactual import (
    GROUPS,
    Comparison,
    Score,
    compare_run,
    kept,
    load,
    recorded,
    score,
    turns,
)
from perfmodel.figures.axes import tick_labels
from perfmodel.figures.kind import Inputs, Kind, Rows
from perfmodel.figures.signs import draw_ground, draw_key, draw_marks
from perfmodel.figures.style import (
    BLUE,
    GREEN,
    PAGE,
    PURPLE,
    SKY,
    Look,
    drawing,
    provenance,
    where_measured,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["FIGURE", "Spec", "alt", "caption", "data_for", "draw", "rows", "title"]

#: How each group of the grid looks, and what it is called.
LOOKS: Mapping[str, Look] = {
    "own-cpu": Look(BLUE, "o", "a CPU for each thread"),
    "asleep": Look(GREEN, "^", "threads that sleep as they think"),
    "few-cpus": Look(PURPLE, "s", "threads that run on fewer CPUs"),
    "short-slices": Look(SKY, "D", "the same, in turns of 100 µs"),
}

#: Effects drawn: name, factor to the axis' unit, where the scale turns linear, label.
_PANELS = (
    ("throughput", 100.0, 1.0, "reads a second (%)"),
    ("wait", -1e-3, 0.3, "wait of a read, shorter by (µs)"),
    ("calls", 100.0, 1.0, "calls a second (%)"),
)

#: What the effects are on, in a sentence.
_ON = {"throughput": "the reads a second", "wait": "the mean wait", "calls": "the calls a second"}


@dataclass(frozen=True)
class Spec:
    """The figure as data.

    Parameters
    ----------
    comparisons : tuple of Comparison
        In the order of the grid; empty without a recorded run.
    cpus : int
    evidence : str
    source : mapping
    reason : str
        Why there is nothing to draw, if so.
    """

    comparisons: tuple[Comparison, ...]
    cpus: int
    evidence: str
    source: Mapping[str, Any]
    reason: str = ""

    @property
    def quiet(self) -> tuple[Comparison, ...]:
        """Those that others did not disturb: the ones drawn."""
        return tuple(c for c in self.comparisons if not c.measured.disturbed)

    def score(self, name: str, group: str | None = None) -> Score:
        """Return how well an effect was predicted, over all or over one group."""
        some = [c for c in self.comparisons if group in (None, c.configuration.group)]
        return score(some, name)


def data_for(path: Path | None = None) -> Spec:
    """Read a recorded run and the predictions that are kept beside it.

    Parameters
    ----------
    path : Path, optional
        Default: the one of the shipped runs that was recorded last.

    Raises
    ------
    InputError
        If the run or its predictions cannot be read.
    """
    if path is None:
        runs = [(load(p).started, p) for p in recorded()]
        if not runs:
            why = "no run of the counterfactual is recorded"
            return Spec((), 0, why, provenance(None, evidence=why), why)
        path = max(runs)[1]
    run = load(path)
    evidence = f"measured: {where_measured(run.machine)}, a lock in user space"
    return Spec(
        compare_run(run, kept(path, run)), run.cpus, evidence,
        provenance(None, evidence=evidence, inputs=[{"file": run.file, "sha256": run.sha256}]),
    )  # fmt: skip


def _values(
    some: list[Comparison], name: str, factor: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return measured, noise and predicted in the axis' unit."""
    measured = np.array([factor * c.effect(name).value for c in some])
    noise = np.array([abs(factor) * c.effect(name).noise for c in some])
    return measured, noise, np.array([factor * c.forecast(name) for c in some])


def _panel(axes: Axes, spec: Spec, name: str, factor: float, linear: float) -> None:
    every = _values(list(spec.quiet), name, factor)
    size = 1.6 * max(10 * linear, *(float(np.max(np.abs(v), initial=0.0)) for v in every[::2]))
    low = -1.6 * max(linear, float(np.max(-every[2], initial=0.0)))
    for axis in ("x", "y"):
        getattr(axes, f"set_{axis}scale")("symlog", linthresh=linear, linscale=0.9)
    axes.set(xlim=(-size, size), ylim=(low, size))
    draw_ground(axes, -size, size, 0.0)
    for group, look in LOOKS.items():
        mine = [c for c in spec.quiet if c.configuration.group == group]
        for hit in (None, True, False):
            some = [c for c in mine if c.hit(name) is hit]
            if not some:
                continue
            x, noise, y = _values(some, name, factor)
            draw_marks(axes, look, hit, x, y, xerr=noise)


def _ticks(axes: Axes, linear: float) -> None:
    from matplotlib.ticker import FixedLocator

    decades = [linear * 10.0**k for k in range(9) if linear * 10.0**k < axes.get_xlim()[1]]
    shown = decades[:: 1 if len(decades) < 3 else 2]
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(FixedLocator([-v for v in shown[::-1]] + [0.0, *shown]))
        tick_labels(axis, lambda v: f"{v:+g}" if v else "0")


def title(spec: Spec) -> str:
    """Return the finding in one line."""
    if not spec.comparisons:
        return "The counterfactual: no run is recorded"
    right, clear = (
        sum(getattr(spec.score(name), what) for name, *_ in _PANELS)
        for what in ("right", "significant")
    )
    return (
        f"A real downgrade on real cores: the sign is foretold in {right} of the {clear} effects"
        " beyond noise"
    )


@drawing(title)
def draw(spec: Spec, figure: Figure) -> None:
    """Draw predicted over measured effect, on reads, their waits and calls."""
    panels = figure.subplots(1, 3)
    for axes, (name, factor, linear, label) in zip(panels, _PANELS, strict=True):
        _panel(axes, spec, name, factor, linear)
        _ticks(axes, linear)
        found = spec.score(name)
        axes.set_title(f"{label}\nsign right: {found.right} of {found.significant}")
        axes.set_xlabel("measured")
    panels[0].set_ylabel("predicted")
    drawn = {c.configuration.group for c in spec.quiet}
    draw_key(figure, (look for group, look in LOOKS.items() if group in drawn))


def _sentence(spec: Spec, name: str, what: str) -> str:
    found = spec.score(name)
    if not found.significant:
        return f"On {what} no effect stands out from noise."
    guess = (
        f"{found.by_guess} would be right by saying that it always helps"
        if name != "calls" else f"the calls gain in {found.by_guess}"
    )  # fmt: skip
    groups = [
        f"{g} {one.right} of {one.significant}"
        for g in GROUPS if (one := spec.score(name, g)).significant
    ]  # fmt: skip
    size = "" if math.isnan(found.error_median) else (
        f" Where the sign is right, the size is off by a factor of {found.error_median:.2f} in the"
        f" median and of {found.error_p90:.2f} in nine of ten."
    )  # fmt: skip
    return (
        f"On {what} {found.significant} effects exceed their noise and {found.right} of them have the"
        f" predicted sign ({', '.join(groups)}); {guess}, and chance alone would make"
        f" {found.by_chance:.1f} wrong.{size}"
    )


def _turns(spec: Spec) -> str:
    count, usual, short = turns(spec.comparisons)
    if not count:
        return ""
    return (
        f" Where threads share CPUs, {count} configurations were measured twice: the mean wait is"
        f" {usual:.1f} times the predicted one in the scheduler's slices and {short:.1f} times in turns"
        " of 100 µs (medians), as the models let all threads run at once, only slower."
    )


def _missed(spec: Spec) -> str:
    words = [
        f"{c.configuration.name} ({name}, measured {factor * c.effect(name).value:+.3g}"
        f" ± {abs(factor) * c.effect(name).error:.2g}, predicted {factor * c.forecast(name):+.3g})"
        for name, factor, *_ in _PANELS for c in spec.quiet if c.hit(name) is False
    ]  # fmt: skip
    return f"Wrong sign: {'; '.join(words)}." if words else "No sign is wrong."


def caption(spec: Spec) -> str:
    """Return the caption, with the numbers of the spec."""
    if not spec.comparisons:
        return "The counterfactual: no run is recorded, nothing to show."
    disturbed = len(spec.comparisons) - len(spec.quiet)
    left = f" {disturbed} more were disturbed by other tasks and are left out." if disturbed else ""
    said = " ".join(_sentence(spec, name, what) for name, what in _ON.items())
    return (
        "Threads share a lock that follows the kernel's rules (calibration/bench/rwsem.c), in short"
        " slices with the downgrade and without it; each point is one configuration of threads,"
        f" holds and laws, {len(spec.quiet)} in all.{left} Right of zero: the downgrade helped; above"
        " it: help was predicted; grey ground: both agree. Error bars: what noise explains, two"
        " standard errors of the paired slices. Predictions: the solver that `perfmodel predict`"
        " takes, from constants that were timed in the same run without any of its arms; none was"
        f" fitted. {said} {_missed(spec)}{_turns(spec)} Evidence: {spec.evidence}."
    )


def alt(spec: Spec) -> str:
    """Return the text for who cannot see the figure."""
    if not spec.comparisons:
        return "Empty scatter plot: no run of the counterfactual is recorded."
    said = ", ".join(
        f"{spec.score(name).right} of {spec.score(name).significant} points beyond noise for {what}"
        for name, what in _ON.items()
    )
    return (
        "Three scatter plots of the predicted over the measured effect of a downgrade, on the reads a"
        f" second, their mean wait and the calls a second: signs agree in {said}."
    )


def rows(spec: Spec) -> Rows:
    """Return everything drawn, one row a configuration and effect, and what was left out."""
    head = (
        "configuration", "group", "effect", "measured", "standard_error", "noise", "predicted",
        "predicted_by", "kernel_simulation", "pairs", "disturbed", "sign_right",
    )  # fmt: skip
    words = {True: "yes", False: "no", None: "within noise"}
    return head, [
        (
            c.configuration.name, c.configuration.group, name, c.effect(name).value,
            c.effect(name).error, c.effect(name).noise, c.forecast(name), c.predicted.solver,
            c.forecast(name, "kernel"), c.measured.pairs, int(c.measured.disturbed),
            words[c.hit(name)],
        ) for name, *_ in _PANELS for c in spec.comparisons
    ]  # fmt: skip


def _build(inputs: Inputs) -> Spec:  # noqa: ARG001 - the recorded run is the kit's own
    return data_for()


FIGURE = Kind(
    name="counterfactual", size=(PAGE, 3.2),
    question="Has anybody downgraded a lock like this one and measured what it changed?",
    build=_build, draw=draw, title=title, caption=caption, alt=alt, rows=rows,
    lacks=lambda spec: spec.reason, claims=("C3", "C4"),
)  # fmt: skip
