"""A profile against a run that it was not fitted to: who is blocked, for how long, and how sure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.errors import CalibrationError, InputError
from perfmodel.figures.axes import key_below, tick_labels
from perfmodel.figures.kind import Inputs, Kind, Rows
from perfmodel.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    PAGE,
    VERMILLION,
    drawing,
    evidence,
    files_of,
    provenance,
    us_text,
)
from perfmodel.results import LEVEL
from perfmodel.validation import KINDS, Row, validate
from perfmodel.validation.run import DRAWS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from perfmodel.machine import Machine
    from perfmodel.observations import ObservationTable
    from perfmodel.validation import Validation

__all__ = ["FIGURE", "Spec", "alt", "caption", "data_for", "draw", "rows", "title"]

#: Whose faults are shown: caller and what the other thread faults on, with transition.
SHOWN = {
    ("mprotect, fresh_vma", "RW->R"): "keeps the lock",
    ("munmap, fresh_vma", "none"): "downgrades",
}

#: Quantiles: kind, colour, marker.
QUANTILES = {
    "fault p50": (BLUE, "o"), "fault p90": (VERMILLION, "s"), "fault p99": (GREEN, "^"),
}  # fmt: skip


@dataclass(frozen=True)
class Spec:
    """The figure as data.

    Parameters
    ----------
    rows : tuple of Row
        Everything compared; empty where there is nothing, and `why` says why.
    coverage : mapping of str to tuple
        By kind: rows, and share of them within their interval.
    why, evidence : str
    source : mapping
    """

    rows: tuple[Row, ...]
    coverage: Mapping[str, tuple[int, float]]
    why: str
    evidence: str
    source: Mapping[str, Any]

    def series(self, kind: str, caller: tuple[str, str]) -> list[Row]:
        """Return the rows of a kind and caller at half duty or the only one, by pages."""
        found = {
            int(r.conditions["pages"]): r
            for r in sorted(self.rows, key=lambda r: float(r.conditions.get("duty_asked", 0.0)))
            if (r.kind, r.operation, r.conditions.get("transition")) == (kind, *caller)
        }
        return [found[p] for p in sorted(found)]

    @property
    def covered(self) -> float:
        """Share of all rows within their interval."""
        total = sum(n for n, _ in self.coverage.values())
        return sum(n * c for n, c in self.coverage.values()) / total if total else math.nan


def data_for(
    machine: Machine, table: ObservationTable | None = None, *, draws: int = DRAWS,
    found: Validation | None = None,
) -> Spec:  # fmt: skip
    """Compute the figure.

    Parameters
    ----------
    machine : Machine
    table : ObservationTable, optional
        A run that the machine was not fitted to.
    draws : int
        Draws of the machine's constants behind the intervals.
    found : Validation, optional
        Of the machine and that run. Default: it is made here.
    """
    why = "no measurements given that the fit has not seen"
    if found is None and table is not None and len(table):
        try:
            found = validate(machine, table, draws=draws)
        except (InputError, CalibrationError) as error:
            why = str(error)
    basis = evidence(machine, table)
    source = provenance(machine, evidence=basis, inputs=files_of(table))
    if found is None:
        return Spec((), {}, why, basis, source)
    coverage = {
        s.kind: (s.rows - s.unpredicted, s.coverage) for s in found.kinds if s.rows > s.unpredicted
    }
    return Spec(
        found.rows,
        coverage,
        "" if coverage else "the profile lacks a constant of every number in the run",
        basis,
        source,
    )


def _quantiles(axes: Axes, spec: Spec, caller: tuple[str, str]) -> None:
    axes.set_title(f"{caller[0].split(',')[0]}: {SHOWN[caller]}")
    axes.set(xscale="log", yscale="log", xlabel="pages in the call")
    for axis, put in ((axes.yaxis, us_text), (axes.xaxis, lambda v: f"{v:g}")):
        tick_labels(axis, put)
    drawn = False
    for step, (kind, (colour, marker)) in enumerate(QUANTILES.items()):
        some = spec.series(kind, caller)
        if not any(math.isfinite(r.predicted) for r in some):
            continue
        drawn = True
        pages = np.array([float(r.conditions["pages"]) for r in some])
        low, high = (np.array([getattr(r, n) for r in some]) for n in ("low", "high"))
        middle = np.array([r.predicted for r in some])
        # Quantiles of one size lie on one line: each is moved aside by its own step.
        x = pages * 2 ** (0.35 * (step - 1))
        axes.vlines(x, low, high, color=colour, lw=5, alpha=0.35, zorder=2)
        axes.plot(x, middle, ls="none", marker="_", ms=8, mew=1.8, color=colour, zorder=3)
        axes.plot(x, [r.measured for r in some], ls="none", marker=marker, ms=4.5, mfc="white",
                  mec=BLACK, mew=1.0, zorder=4)  # fmt: skip
    if not drawn:
        said = "unknown" if spec.rows else "no measurements given"
        axes.text(0.5, 0.5, said, ha="center", va="center", transform=axes.transAxes)


def _coverage(axes: Axes, spec: Spec) -> None:
    kinds = list(spec.coverage)
    place = np.arange(len(kinds))
    shares = [100 * spec.coverage[k][1] for k in kinds]
    axes.barh(place, shares, color="#BBBBBB", height=0.62, zorder=2)
    for y, kind, share in zip(place, kinds, shares, strict=True):
        axes.text(
            3, float(y), f"{share:.0f} % of {spec.coverage[kind][0]}", va="center", fontsize=6.5
        )
    axes.axvline(100 * LEVEL, color=BLACK, lw=1.0, ls="--", zorder=3)
    axes.set_yticks(place, kinds)
    axes.invert_yaxis()
    axes.set(xlim=(0, 105), xlabel="% of the numbers", title="within interval")
    axes.set_xticks([0, 50, 90])


def title(spec: Spec) -> str:
    """Return the finding in one line."""
    if not spec.coverage:
        return "Validation: nothing to compare"
    total = sum(n for n, _ in spec.coverage.values())
    return (
        f"{100 * spec.covered:.0f} % of {total} numbers of a run not fitted lie within their"
        f" {100 * LEVEL:.0f} % interval"
    )


@drawing(title)
def draw(spec: Spec, figure: Figure) -> None:
    """Draw quantiles of the fault latency under two callers, and the coverage of all kinds."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    *two, last = figure.subplots(1, 3, gridspec_kw={"width_ratios": [1, 1, 0.62]})
    for axes, caller in zip(two, SHOWN, strict=True):
        _quantiles(axes, spec, caller)
    limits = [v for axes in two if axes.lines for v in axes.get_ylim()]
    if limits:
        for axes in two:
            axes.set_ylim(min(limits), max(limits))
    two[0].set_ylabel("time of a fault begun in the call")
    _coverage(last, spec)
    keys: list[Any] = []
    for kind, (colour, marker) in QUANTILES.items():
        keys.append(Line2D([], [], ls="none", marker=marker, mfc="white", mec=BLACK,
                           label=f"measured {kind[-3:]}"))  # fmt: skip
        keys.append(Patch(color=colour, alpha=0.45, label=f"predicted {kind[-3:]}, 90 %"))
    key_below(figure, keys, 3)


def caption(spec: Spec) -> str:
    """Return the caption, with the numbers of the spec."""
    if not spec.coverage:
        return f"Nothing to compare: {spec.why}"
    s = (
        "Left and middle: time of the first write to a fresh VMA that begins while another thread"
        " calls; quantiles measured (markers) and predicted from the profile alone (bars: 90 % interval"
        " of one such measurement, line: estimate), of each size p50, p90, p99 from left to right."
        " The law is an undisturbed fault, and for those blocked the rest of the exclusive hold and a wake-up"
        " besides. Right: share of all measured numbers within their interval; nominal is 90 %. "
    )
    s += "; ".join(
        f"{kind} ({KINDS[kind]}): {100 * c:.0f} % of {n}" for kind, (n, c) in spec.coverage.items()
    )
    return s + f". Evidence: {spec.evidence}."


def alt(spec: Spec) -> str:
    """Return the text for who cannot see the figure."""
    if not spec.coverage:
        return "Empty figure: nothing to compare."
    parts = []
    for caller in SHOWN:
        some = spec.series("fault p50", caller)
        parts += [
            f"{caller[0]}, {r.conditions['pages']} pages: median {us_text(r.measured)}, predicted"
            f" {us_text(r.predicted)}"
            for r in some
        ]
    bars = ", ".join(f"{k} {100 * c:.0f} %" for k, (_, c) in spec.coverage.items())
    return "; ".join(parts) + f". Bars of the share within the interval: {bars}."


def rows(spec: Spec) -> Rows:
    """Return everything compared, one row a number."""
    head = ("kind", "operation", "transition", "pages", "unit", "measured", "predicted", "low",
            "high", "events")  # fmt: skip
    return head, [
        (r.kind, r.operation, str(r.conditions.get("transition", "")),
         str(r.conditions.get("pages", "")), r.unit, r.measured, r.predicted, r.low, r.high, r.events)
        for r in spec.rows
    ]  # fmt: skip


def _build(inputs: Inputs) -> Spec:
    table = inputs.held_out if inputs.held_out is not None else inputs.table
    return data_for(inputs.machine, table, found=inputs.validation)


FIGURE = Kind(
    name="validation", size=(PAGE, 3.2),
    question="Does a profile foretell a run that it was not fitted to?",
    build=_build, draw=draw, title=title, caption=caption, alt=alt, rows=rows,
    lacks=lambda spec: spec.why, claims=("C3", "C5"),
)  # fmt: skip
