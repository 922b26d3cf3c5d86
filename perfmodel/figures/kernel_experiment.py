"""A kernel whose mprotect downgrades: each cut's effect as it was foretold, against what it did."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.errors import InputError
from perfmodel.experiment import QUANTITIES, Row, score
from perfmodel.experiment.recorded import Recorded, recorded
from perfmodel.figures.axes import tick_labels
from perfmodel.figures.kind import Inputs, Kind, Rows
from perfmodel.figures.signs import draw_ground, draw_key, draw_marks
from perfmodel.figures.style import (
    BLUE,
    GREEN,
    PAGE,
    VERMILLION,
    Look,
    drawing,
    provenance,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["FIGURE", "Spec", "alt", "caption", "data_for", "draw", "rows", "title"]

#: How each cut looks, and what it is.
LOOKS: Mapping[str, Look] = {
    "k0": Look(BLUE, "o", "K0: before the walk of the last VMA"),
    "k1": Look(GREEN, "s", "K1: before the flush"),
    "every-vma": Look(VERMILLION, "^", "every VMA, dropped and retaken"),
}

#: Quantities drawn, and the title of their panel.
_PANELS = (
    ("call", "time of a call"),
    ("wait", "mean wait of a fault"),
    ("faults", "faults a second"),
)


@dataclass(frozen=True)
class Spec:
    """The figure as data.

    Parameters
    ----------
    rows : tuple of Row
        Of all quantities, without those of no cut; empty without a recorded experiment.
    host_cpus : int
    boots : int
        Of guests.
    evidence : str
    source : mapping
    reason : str
        Why there is nothing to draw, if so.
    """

    rows: tuple[Row, ...]
    host_cpus: int
    boots: int
    evidence: str
    source: Mapping[str, Any]
    reason: str = ""

    def drawn(self, quantity: str) -> list[Row]:
        """Return the rows of a panel: those with a vCPU's worth of host CPU for each thread."""
        return [
            r for r in self.rows
            if r.predicted.quantity == quantity and not self.crowded(r) and r.effect > 0
            and r.predicted.effect > 0
        ]  # fmt: skip

    def crowded(self, row: Row) -> bool:
        """Whether more threads run than the host has CPUs."""
        return row.configuration.crowds(self.host_cpus)


def data_for(found: Recorded | None = None) -> Spec:
    """Return the comparison.

    Parameters
    ----------
    found : Recorded, optional
        Default: the recorded experiment.
    """
    if found is None:
        try:
            found = recorded()
        except InputError:
            why = "no experiment with a cut kernel is recorded"
            return Spec((), 0, 0, why, provenance(None, evidence=why), why)
    inputs = [{"file": found.prediction.file, "sha256": found.prediction.sha256}]
    return Spec(
        tuple(r for r in found.rows if r.cut != "none"),
        found.host_cpus, len({s.boot for s in found.slices}), found.evidence,
        provenance(None, evidence=found.evidence, inputs=inputs),
    )  # fmt: skip


def _limits(some: list[Row]) -> tuple[float, float]:
    values = [v for r in some for v in (r.effect, r.predicted.effect)]
    return min([0.8, *values]) / 1.3, max([1.25, *values]) * 1.3


def _panel(axes: Axes, spec: Spec, quantity: str) -> None:
    some = spec.drawn(quantity)
    low, high = _limits(some)
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
    draw_ground(axes, low, high, 1.0)
    for cut, look in LOOKS.items():
        for hit in (None, True, False):
            mine = [r for r in some if r.cut == cut and r.hit is hit]
            if not mine:
                continue
            x = np.array([r.effect for r in mine])
            y = np.array([r.predicted.effect for r in mine])
            noise = np.array([r.error for r in mine])
            noise = np.where(np.isfinite(noise), np.minimum(noise, 0.9 * x), 0.0)
            reach = [
                np.clip(y - [r.predicted.effect_low for r in mine], 0.0, None),
                np.clip([r.predicted.effect_high for r in mine] - y, 0.0, None),
            ]
            draw_marks(axes, look, hit, x, y, xerr=noise, yerr=reach)


def _ticks(axes: Axes) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    low, high = axes.get_xlim()
    wide = high / low > 30
    steps = (
        (1.0,) if wide else (1.0, 2.0, 5.0) if high / low > 4 else (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
    )
    shown = [s * 10.0**k for k in range(-4, 4) for s in steps if low < s * 10.0**k < high]
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(FixedLocator(shown))
        axis.set_minor_locator(NullLocator())
        tick_labels(axis, lambda v: f"×{v:g}")


def _right(spec: Spec, quantity: str | None = None) -> tuple[int, int]:
    """Return how many of the effects beyond noise had the sign foretold, and how many there were."""
    some = [
        r for r in spec.rows
        if not spec.crowded(r) and quantity in (None, r.predicted.quantity)
    ]  # fmt: skip
    found = score(some)
    return found.right, found.significant


def title(spec: Spec) -> str:
    """Return the finding in one line."""
    if not spec.rows:
        return "The kernel experiment: none is recorded"
    right, clear = _right(spec)
    return (
        f"A kernel that downgrades (emulated): the sign foretold in {right} of {clear} effects beyond"
        " noise"
    )


@drawing(title)
def draw(spec: Spec, figure: Figure) -> None:
    """Draw predicted over measured effect of each cut: on calls, waits and faults."""
    panels = figure.subplots(1, 3)
    for axes, (name, label) in zip(panels, _PANELS, strict=True):
        _panel(axes, spec, name)
        _ticks(axes)
        right, clear = _right(spec, name)
        axes.set_title(f"{label}\nsign right: {right} of {clear}")
        axes.set_xlabel("measured, against no cut")
    panels[0].set_ylabel("predicted before")
    draw_key(figure, LOOKS.values())


def caption(spec: Spec) -> str:
    """Return the caption, with the numbers of the spec."""
    if not spec.rows:
        return "The kernel experiment: none is recorded, nothing to show."
    crowded = score(r for r in spec.rows if spec.crowded(r))
    said = []
    for name, label in _PANELS:
        found = score(spec.drawn(name))
        if math.isfinite(found.effect_error):
            said.append(f"{label}: off by a factor of {found.effect_error:.2f} in the median")
    points = len({r.configuration for r in spec.rows if not spec.crowded(r)})
    left = (
        f" Left out here: points with more busy vCPUs than the host's {spec.host_cpus} CPUs, of whose"
        f" {crowded.significant} effects beyond noise {crowded.right} have the predicted sign."
        if crowded.rows else ""
    )  # fmt: skip
    return (
        "Linux 6.1 with the cut of mprotect chosen while it runs, beside faulting threads: each point"
        f" is one number of pages, VMAs and threads under one cut, {points} such points in"
        f" {spec.boots} boots. Measured: ratio to no cut, paired within a boot, with its standard"
        " error. Predicted: from a profile fitted to calls without any cut, written down before a cut"
        f" was run, with its 90 % interval. Grey ground: both agree in sign. {'; '.join(said)}.{left}"
        f" Evidence: {spec.evidence}."
    )


def alt(spec: Spec) -> str:
    """Return the text for who cannot see the figure."""
    if not spec.rows:
        return "Empty scatter plot: no kernel experiment is recorded."
    said = ", ".join(
        "{} of {} for the {}".format(*_right(spec, name), label) for name, label in _PANELS
    )
    return (
        "Three scatter plots of the predicted over the measured effect of each cut of mprotect in an"
        f" emulated kernel; signs agree in {said}."
    )


def rows(spec: Spec) -> Rows:
    """Return every effect, drawn or not."""
    head = (
        "point", "cut", "quantity", "unit", "measured", "measured_none", "effect", "standard_error",
        "predicted", "predicted_effect", "effect_low", "effect_high", "boot_spread", "pairs",
        "sign_right", "drawn",
    )  # fmt: skip
    words = {True: "yes", False: "no", None: "within noise"}
    drawn = {id(r) for name, _ in _PANELS for r in spec.drawn(name)}
    return head, [
        (
            r.configuration.name, r.cut, r.predicted.quantity, QUANTITIES[r.predicted.quantity].unit,
            r.measured, r.measured_none, r.effect, r.error, r.predicted.value, r.predicted.effect,
            r.predicted.effect_low, r.predicted.effect_high, r.boot_spread, r.pairs, words[r.hit],
            int(id(r) in drawn),
        ) for r in spec.rows
    ]  # fmt: skip


def _build(inputs: Inputs) -> Spec:
    return data_for(inputs.experiment)


FIGURE = Kind(
    name="kernel_experiment", size=(PAGE, 3.2),
    question="Has anybody run a kernel whose mprotect downgrades?",
    build=_build, draw=draw, title=title, caption=caption, alt=alt, rows=rows,
    lacks=lambda spec: spec.reason, claims=("C1", "C2", "C3"),
)  # fmt: skip
