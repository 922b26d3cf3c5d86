"""Every measured median against the model's: how wrong the hold model is, and where."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.figures.axes import number, tick_labels
from perfmodel.figures.kind import Inputs, Kind, Rows
from perfmodel.figures.style import (
    BLACK,
    OPERATIONS,
    PAGE,
    drawing,
    evidence,
    files_of,
    provenance,
    us_text,
)
from perfmodel.fit import collect, predict_points

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from perfmodel.machine import Machine
    from perfmodel.observations import ObservationTable

__all__ = [
    "BAND", "FIGURE", "Series", "Spec", "alt", "caption", "data_for", "draw", "rows", "title",
]  # fmt: skip

#: Half width of the band drawn about equality.
BAND = 0.10

#: Points labelled because the model misses them most.
WORST = 3


@dataclass(frozen=True)
class Series:
    """The points of one operation; arrays of shape (points,), ns.

    Parameters
    ----------
    operation : str
        As the models name it.
    label : tuple of str
        What each point is.
    pages : ndarray
    measured, predicted : ndarray, ns
        Medians; a prediction is NaN where a constant is unknown.
    """

    operation: str
    label: tuple[str, ...]
    pages: NDArray[np.float64]
    measured: NDArray[np.float64]
    predicted: NDArray[np.float64]

    @property
    def ratio(self) -> NDArray[np.float64]:
        """Predicted over measured."""
        ratio: NDArray[np.float64] = self.predicted / self.measured
        return ratio

    @property
    def error(self) -> float:
        """Median absolute relative error; NaN where nothing is known."""
        known = np.isfinite(self.ratio)
        return float(np.median(np.abs(self.ratio[known] - 1))) if known.any() else math.nan


@dataclass(frozen=True)
class Spec:
    """The figure as data.

    Parameters
    ----------
    series : tuple of Series
        By operation; empty without measurements.
    held_out : bool
        Whether none of the files was read by the fit.
    unknown : int
        Points that the profile cannot predict.
    evidence : str
    source : mapping
    """

    series: tuple[Series, ...]
    held_out: bool
    unknown: int
    evidence: str
    source: Mapping[str, Any]

    @property
    def errors(self) -> NDArray[np.float64]:
        """Relative errors of all known points."""
        if not self.series:
            return np.empty(0)
        joined = np.concatenate([s.ratio for s in self.series]) - 1
        return np.asarray(joined[np.isfinite(joined)], dtype=np.float64)

    def worst(self, count: int = WORST) -> list[tuple[Series, int]]:
        """Return the points with the largest error, one a kind of call and size."""
        every = [
            (abs(math.log(float(s.ratio[i]))), s, i)
            for s in self.series for i in range(len(s.label)) if np.isfinite(s.ratio[i])
        ]  # fmt: skip
        every.sort(key=lambda item: -item[0])
        chosen: dict[str, tuple[Series, int]] = {}
        for _, s, i in every:
            chosen.setdefault(s.label[i], (s, i))
        return list(chosen.values())[:count]


def _label(operation: str, conditions: Mapping[str, Any]) -> str:
    words = [operation]
    if operation == "mprotect":
        words.append(str(conditions.get("transition", "")))
    if conditions.get("shape") not in (None, "own"):
        words.append(str(conditions["shape"]))
    words.append(f"{conditions.get('pages', '?')} p")
    if conditions.get("vmas", 1) > 1:
        words.append(f"{conditions['vmas']} VMAs")
    if conditions.get("huge"):
        words.append("huge")
    if conditions.get("populated", 1.0) == 0:
        words.append("empty")
    return " ".join(words)


def data_for(machine: Machine, table: ObservationTable | None = None) -> Spec:
    """Compute the figure.

    Parameters
    ----------
    machine : Machine
    table : ObservationTable, optional
        The run to compare with. Whether it is held out follows from the hashes of its files and
        of those that the profile says it was fitted to.
    """
    fitted = {i.sha256 for i in machine.inputs}
    files = files_of(table)
    series = []
    unknown = 0
    if table is not None and len(table):
        points = collect(table)
        predicted = predict_points(machine, points)
        by: dict[str, list[int]] = {name: [] for name in OPERATIONS}
        for row, point in enumerate(points.points):
            if point.call is not None and point.phase == "latency" and point.call.operation in by:
                by[point.call.operation].append(row)
        for operation, indices in by.items():
            if not indices:
                continue
            some = [points.points[i] for i in indices]
            values = predicted[indices]
            unknown += int(np.isnan(values).sum())
            series.append(
                Series(
                    operation,
                    tuple(_label(p.operation, p.conditions) for p in some),
                    np.array([float(p.conditions["pages"]) for p in some]),
                    np.array([p.ns for p in some]),
                    values,
                )
            )
    basis = evidence(machine, table)
    held_out = bool(files) and not fitted & {f["sha256"] for f in files}
    return Spec(
        tuple(series), held_out, unknown, basis,
        provenance(machine, evidence=basis, inputs=files, scenario=None) | {"held_out": held_out},
    )  # fmt: skip


def _scatter(axes: Axes, x: Any, y: Any, operation: str) -> None:
    look = OPERATIONS[operation]
    axes.plot(x, y, marker=look.marker, ms=3.4, ls="none", color=look.colour, alpha=0.65, mew=0,
              zorder=3)  # fmt: skip


def _name_worst(axes: Axes, places: list[tuple[float, float, str]]) -> None:
    """Label points, texts kept apart from each other."""
    taken: list[Any] = []
    box = axes.get_window_extent()
    dpi = axes.figure.get_dpi()
    middle = box.x0 + 0.55 * box.width
    across = [float(axes.transData.transform((x, y))[0]) for x, y, _ in places]
    edge_left = min((a for a in across if a > middle), default=0.0)
    edge_right = max((a for a in across if a <= middle), default=0.0)
    for x, y, text in places:
        at = axes.transData.transform((x, y))
        left = at[0] > middle
        # All texts of a side end at the same place, so that no line runs through another's text.
        gap = (edge_left - 14 - at[0]) if left else (edge_right + 14 - at[0])
        down = at[1] > box.y0 + 0.5 * box.height
        for step in range(1, 9):
            dy = (9 * step + 2) * (-1 if down else 1)
            place = at[1] + dy
            if all(abs(place - other) > 14 for other in taken):
                taken.append(place)
                break
        axes.annotate(
            text, (x, y), xytext=(gap * 72 / dpi, dy * 72 / dpi), textcoords="offset points",
            ha="right" if left else "left", va="center", fontsize=6.5, zorder=6,
            arrowprops={"arrowstyle": "-", "lw": 0.5, "color": BLACK, "shrinkA": 0, "shrinkB": 2,
                        "relpos": (1.0 if left else 0.0, 0.5)},
            bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.8},
        )  # fmt: skip


def _aside(place: int) -> float:
    """Return the factor that moves an operation aside from the others of its size."""
    return float(2 ** (0.22 * (place - 1.5)))


def title(spec: Spec) -> str:
    """Return the finding in one line."""
    if not spec.errors.size:
        return "Measured against predicted: no measurements given"
    which = "held-out run" if spec.held_out else "fitted run"
    within = np.mean(np.abs(spec.errors) <= BAND)
    return (
        f"{100 * within:.0f} % of the {spec.errors.size} medians of a {which} lie within"
        f" {100 * BAND:.0f} % of the model"
    )


@drawing(title)
def draw(spec: Spec, figure: Figure) -> None:
    """Draw predicted over measured, and their ratio over pages."""
    from matplotlib.lines import Line2D
    from matplotlib.ticker import LogLocator

    both, ratio = figure.subplots(1, 2, gridspec_kw={"width_ratios": [1.0, 1.15]})
    both.set(xscale="log", yscale="log", xlabel="measured median of a call",
             ylabel="predicted by the model")  # fmt: skip
    ratio.set_xscale("log", base=2)
    ratio.set(xlabel="pages in the call", ylabel="predicted / measured")
    if not spec.series:
        for axes in (both, ratio):
            axes.text(0.5, 0.5, "no measurements given", ha="center", va="center",
                      transform=axes.transAxes)  # fmt: skip
        return
    every = np.concatenate([v for s in spec.series for v in (s.measured, s.predicted)])
    every = every[np.isfinite(every) & (every > 0)]
    ends = np.array([every.min() / 1.5, every.max() * 1.5])
    both.fill_between(ends, ends * (1 - BAND), ends * (1 + BAND), color="#DDDDDD", lw=0, zorder=0)
    both.plot(ends, ends, color=BLACK, lw=0.7, ls="-", zorder=1)
    both.set(xlim=ends, ylim=ends, aspect="equal")
    for axis in (both.xaxis, both.yaxis):
        tick_labels(axis, us_text)
    ratio.axhspan(1 - BAND, 1 + BAND, color="#DDDDDD", lw=0, zorder=0)
    ratio.axhline(1.0, color=BLACK, lw=0.7, ls="-", zorder=1)
    # Points of the same size lie on one line: each operation is moved aside by its own step.
    for k, s in enumerate(spec.series):
        _scatter(both, s.measured, s.predicted, s.operation)
        _scatter(ratio, s.pages * _aside(k), s.ratio, s.operation)
    spread = float(np.nanmax(np.abs(spec.errors), initial=0.2)) * 1.12
    ratio.set_ylim(max(0.0, 1 - spread), 1 + spread)
    ratio.xaxis.set_major_locator(LogLocator(base=16))
    tick_labels(ratio.xaxis, number)
    keys = [
        Line2D([], [], marker=OPERATIONS[s.operation].marker, ls="none", ms=4.5,
               color=OPERATIONS[s.operation].colour,
               label=f"{OPERATIONS[s.operation].label}: {100 * s.error:.1f} % ({len(s.label)})")
        for s in spec.series
    ]  # fmt: skip
    both.legend(handles=keys, loc="upper left", title="median error (points)", handletextpad=0.2,
                borderpad=0, title_fontsize=7.5, fontsize=7)  # fmt: skip
    both.text(ends[1] / 1.3, ends[0] * 1.6, f"band: ±{100 * BAND:.0f} %", ha="right", fontsize=7)
    figure.draw_without_rendering()
    operations = [s.operation for s in spec.series]
    _name_worst(
        ratio,
        [(float(s.pages[i]) * _aside(operations.index(s.operation)), float(s.ratio[i]), s.label[i])
         for s, i in spec.worst()],
    )  # fmt: skip


def caption(spec: Spec) -> str:
    """Return the caption, with the numbers of the spec."""
    if not spec.errors.size:
        return "Measured against predicted: no measurements were given, nothing to show."
    which = (
        "This run was held out: the fit has not seen it."
        if spec.held_out
        else "This is a run that the model was fitted to: the errors show what the model's form"
        " leaves out, not how well it foretells."
    )
    absolute = np.abs(spec.errors)
    by = "; ".join(
        f"{OPERATIONS[s.operation].label} {100 * s.error:.1f} % ({len(s.label)} points)"
        for s in spec.series
    )
    worst = "; ".join(f"{s.label[i]} {100 * (s.ratio[i] - 1):+.0f} %" for s, i in spec.worst())
    unknown = (
        f" {spec.unknown} points need a constant that the profile lacks." if spec.unknown else ""
    )
    return (
        "Left: median latency of a call, predicted over measured, each point one shape and size of"
        f" call; the band is ±{100 * BAND:.0f} %. Right: their ratio over the size (operations are"
        f" set aside of each other). {which} Median absolute error {100 * np.median(absolute):.1f} %,"
        " 90 % of the"
        f" points within {100 * np.quantile(absolute, 0.9):.0f} %; by operation: {by}. Missed most:"
        f" {worst}.{unknown} Evidence: {spec.evidence}."
    )


def alt(spec: Spec) -> str:
    """Return the text for who cannot see the figure."""
    if not spec.errors.size:
        return "Empty scatter plot: no measurements given."
    span = [v for s in spec.series for v in (s.measured.min(), s.measured.max())]
    return (
        f"Scatter plot of predicted over measured call times from {us_text(min(span))} to"
        f" {us_text(max(span))}: the points follow the diagonal,"
        f" {100 * np.mean(np.abs(spec.errors) <= BAND):.0f} % of them within {100 * BAND:.0f} %."
    )


def rows(spec: Spec) -> Rows:
    """Return everything drawn, one row a point."""
    head = ("operation", "call", "pages", "measured_ns", "predicted_ns", "ratio")
    return head, [
        (s.operation, s.label[i], int(s.pages[i]), s.measured[i], s.predicted[i], s.ratio[i])
        for s in spec.series
        for i in range(len(s.label))
    ]


def _build(inputs: Inputs) -> Spec:
    table = inputs.held_out if inputs.held_out is not None else inputs.table
    return data_for(inputs.machine, table)


FIGURE = Kind(
    name="measured_against_predicted", size=(PAGE, 3.6),
    question="How wrong is the model of the hold, and where?",
    build=_build, draw=draw, title=title, caption=caption, alt=alt, rows=rows,
    lacks=lambda spec: "" if spec.series else "no measurements given", claims=("C5",),
)  # fmt: skip
