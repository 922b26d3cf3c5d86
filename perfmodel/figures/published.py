"""Published before/after pairs beside the model: predicted over published, hits and misses alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.figures.axes import key_below
from perfmodel.figures.kind import Inputs, Kind, Rows
from perfmodel.figures.style import BLACK, BLUE, PAGE, VERMILLION, drawing, provenance
from perfmodel.results import LEVEL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

    from perfmodel.machine import Machine
    from perfmodel.published.result import Comparison, PublishedTable

__all__ = ["FIGURE", "Spec", "alt", "caption", "data_for", "draw", "rows", "title"]


@dataclass(frozen=True)
class Spec:
    """The figure as data: the comparisons, and what it rests on."""

    table: PublishedTable
    source: Mapping[str, Any]

    @property
    def shown(self) -> tuple[Comparison, ...]:
        """The comparisons in the order drawn, from top to bottom."""
        return self.table.comparisons


def data_for(machine: Machine | None = None, *, draws: int = 200) -> Spec:
    """Compute the figure.

    Parameters
    ----------
    machine : Machine, optional
        Whose constants stand for a measured machine, if it was measured. Default: the shipped one.
    draws : int
        Draws of the constants behind the intervals.

    Raises
    ------
    MissingExtraError
        If PyYAML is not installed.
    """
    from perfmodel.published import load_published
    from perfmodel.published.pairs import compare_all

    measured = machine if machine is not None and machine.evidence == "measured" else None
    found = compare_all(load_published(), measured=measured, draws=draws)
    basis = "published figures beside the model"
    files = [{"file": "published.yaml", "sha256": found.sha256}]
    return Spec(found, provenance(machine, evidence=basis, inputs=files))


def title(spec: Spec) -> str:
    """Return the finding in one line."""
    return f"{spec.table.hits} of {len(spec.shown)} published numbers lie within what the model predicts"


@drawing(title)
def draw(spec: Spec, figure: Figure) -> None:
    """Draw predicted over published, one line a number, on a logarithmic axis."""
    from matplotlib.lines import Line2D

    # Two columns of lines, the pairs kept whole.
    half = _break(spec)
    columns = (spec.shown[:half], spec.shown[half:])
    for axes, some in zip(figure.subplots(1, 2), columns, strict=True):
        place = np.arange(len(some), dtype=float)
        axes.axvline(1.0, color=BLACK, lw=0.8)
        for y, c in zip(place, some, strict=True):
            if not c.known:
                axes.text(1.0, y, " unknown", fontsize=6, va="center")
                continue
            colour = BLUE if c.hit else VERMILLION
            axes.hlines(y, c.low / c.published, c.high / c.published, color=colour, lw=3, alpha=0.4)
            axes.plot(c.ratio, y, marker="o" if c.hit else "X", ms=4.5, ls="none", color=colour)
        axes.set_xscale("log")
        axes.set_xlim(0.01, 40)
        axes.set_xticks([0.01, 0.1, 1, 10], ["0.01", "0.1", "1", "10"])
        axes.set_yticks(place, [f"{c.pair} {c.what}" for c in some], fontsize=6)
        axes.set_ylim(max(len(c) for c in columns) - 0.4, -0.6)
        axes.set_xlabel("predicted / published")
    keys = [
        Line2D([], [], marker="o", ls="-", lw=3, alpha=0.6, color=BLUE,
               label=f"published within the {100 * LEVEL:.0f} % interval"),
        Line2D([], [], marker="X", ls="-", lw=3, alpha=0.6, color=VERMILLION, label="missed"),
    ]  # fmt: skip
    key_below(figure, keys, 2)


def _break(spec: Spec) -> int:
    """Return where the second column begins: the pair that starts nearest the middle."""
    starts = [i for i, c in enumerate(spec.shown) if not i or c.pair != spec.shown[i - 1].pair]
    return min(starts, key=lambda i: abs(i - len(spec.shown) / 2))


def caption(spec: Spec) -> str:
    """Return the caption, with the numbers of the spec."""
    silent = [r.pair.id for r in spec.table.results if r.silent]
    unknown = spec.table.unknown
    lacking = f" {unknown} are unknown: the profile lacks a constant." if unknown else ""
    notes = " ".join(f"{r.pair.id}: {r.note}" for r in spec.table.results if r.note)
    return (
        "Predicted over published, for each published number that the model can speak to; bars are the"
        f" {100 * LEVEL:.0f} % interval of the profile's constants, which numbers of one pair share."
        f"{lacking} {notes} Not spoken to: {', '.join(silent)}. 'perfmodel published' says why, and names"
        " every source."
    )


def alt(spec: Spec) -> str:
    """Return the text for who cannot see the figure."""
    return "; ".join(
        f"{c.pair} {c.what}: {c.ratio:.2g} times the published number,"
        f" {'within' if c.hit else 'outside'} the interval"
        for c in spec.shown
    )


def rows(spec: Spec) -> Rows:
    """Return everything drawn, one row a number."""
    head = ("pair", "what", "unit", "published", "predicted", "low", "high", "hit", "profile")
    return head, [
        (c.pair, c.what, c.unit, c.published, c.predicted, c.low, c.high, str(c.hit), c.profile)
        for c in spec.shown
    ]


def _build(inputs: Inputs) -> Spec:
    return data_for(inputs.machine)


FIGURE = Kind(
    name="published", size=(PAGE, 5.2),
    question="Does the model agree with what others measured before and after?",
    build=_build, draw=draw, title=title, caption=caption, alt=alt, rows=rows, claims=("C1",
    "C3"),
)  # fmt: skip
