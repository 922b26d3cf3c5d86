"""The error map: how far the closed forms are from the simulation over the certified grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.figures.axes import key_below, percent, tick_labels
from perfmodel.figures.kind import Inputs, Kind, Rows
from perfmodel.figures.style import BLUE, PAGE, VERMILLION, drawing, provenance

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["FIGURE", "QUANTITIES", "Spec", "alt", "caption", "data_for", "draw", "rows", "title"]

EVIDENCE = "closed forms against simulation of the same lock; nothing here is measured"

#: What is shown, and the panel's title.
QUANTITIES: Mapping[str, str] = {
    "wait_mean": "mean wait of a fault", "acquire": "caller's wait for the lock",
    "fault_rate": "faults a second",
}  # fmt: skip

#: Smallest error shown.
_LEAST = 3e-4


@dataclass(frozen=True, eq=False)
class Spec:
    """The figure as data.

    Parameters
    ----------
    table : DataFrame
        What :func:`perfmodel.rwlock.agreement.error_map` gives, for `QUANTITIES`.
    questions : int
        Questions of the grid that a closed form answers.
    within : float
        Share of them inside the region of the stated error.
    source : mapping
    """

    table: pd.DataFrame
    questions: int
    within: float
    source: Mapping[str, Any]

    def typical(self, quantity: str, *, valid: bool) -> tuple[float, float]:
        """Return the median over the groups of the median error, and the largest 95 % error."""
        some = self.table[(self.table.quantity == quantity) & (self.table.valid == valid)]
        return float(some.p50.median()), float(some.p95.max())


def data_for() -> Spec:
    """Read the map that ``calibration/agreement/certify.py`` keeps; the tests hold it to the closed forms."""
    import pandas as pd

    from perfmodel.resources import calibration_path

    table = pd.read_csv(calibration_path("agreement", "error_map.csv"))
    # Where next to nobody waits there is no error of a wait: the fullest quantity counts the questions.
    counts = table.groupby("quantity").points.sum()
    every = table[table.quantity == counts.idxmax()]
    count = int(every.points.sum())
    return Spec(
        table[table.quantity.isin(list(QUANTITIES))], count, float(every.points[every.valid].sum() / count),
        provenance(None, evidence=EVIDENCE, scenario={"grid": "calibration/agreement"}),
    )  # fmt: skip


def title(spec: Spec) -> str:
    """Return the finding in one line."""
    typical, _ = spec.typical("wait_mean", valid=True)
    _, worst = spec.typical("wait_mean", valid=False)
    return (
        f"Mean waits: {100 * typical:.1g} % off inside the stated region, up to"
        f" {100 * min(worst, 1):.0f} % outside, where others answer"
    )


@drawing(title)
def draw(spec: Spec, figure: Figure) -> None:
    """Draw median, 95 % and largest error of every group, inside and outside the region."""
    groups = list(dict.fromkeys(spec.table.group))
    grid = figure.subplots(1, len(QUANTITIES), sharey=True)
    looks = {True: (BLUE, "o", -0.17, "within the stated region"),
             False: (VERMILLION, "s", 0.17, "outside: flagged, others answer")}  # fmt: skip
    for axes, (quantity, name) in zip(grid, QUANTITIES.items(), strict=True):
        for valid, (colour, marker, shift, label) in looks.items():
            some = spec.table[(spec.table.quantity == quantity) & (spec.table.valid == valid)]
            places = np.array([groups.index(g) for g in some.group]) + shift
            low, high, most = (
                np.maximum(some[c].to_numpy(), _LEAST) for c in ("p50", "p95", "max")
            )
            axes.hlines(places, low, high, color=colour, lw=2)
            axes.plot(low, places, ls="none", marker=marker, ms=4, color=colour, label=label)
            axes.plot(most, places, ls="none", marker="|", ms=7, mew=1.4, color=colour)
        axes.set_xscale("log")
        axes.set_xlim(_LEAST, 3)
        axes.set_title(name)
        axes.set_xlabel("relative error")
        tick_labels(axes.xaxis, percent, minor=True)
        axes.set_xticks([1e-3, 1e-2, 1e-1, 1])
        axes.grid(axis="x")
    grid[0].set_yticks(range(len(groups)), [g.replace("-", " ") for g in groups])
    grid[0].set_ylim(len(groups) - 0.4, -0.6)
    key_below(figure, grid[0], 2)


def _percent(error: float) -> str:
    """Write two digits, and none in an exponent."""
    return f"{float(f'{100 * error:.2g}'):g} %"


def caption(spec: Spec) -> str:
    """Return the caption, with the numbers of the spec."""
    said = []
    for quantity, name in QUANTITIES.items():
        inside, outside = (spec.typical(quantity, valid=v) for v in (True, False))
        said.append(
            f"{name} {_percent(inside[0])} (95 % of the worst group below {_percent(inside[1])}),"
            f" outside {_percent(outside[0])}"
        )
    noise = float(spec.table[spec.table.quantity == "wait_mean"].noise.median())
    return (
        f"Closed forms against simulation on {spec.questions} lock questions,"
        f" {100 * spec.within:.0f} % of them inside the stated region. Dot: median; line: to 95 %; bar:"
        f" largest. Median errors inside: {'; '.join(said)}. The simulations' own standard error of the"
        f" mean wait is {100 * noise:.1g} % in the median. Evidence: {EVIDENCE}."
    )


def alt(spec: Spec) -> str:
    """Return the text for who cannot see the figure."""
    return (
        "Three dot charts on a logarithmic axis, one row a group of lock questions: median, 95 % and"
        f" largest relative error, inside and outside the stated region. {title(spec)}."
    )


def rows(spec: Spec) -> Rows:
    """Return everything drawn, one row a group and quantity."""
    table = spec.table
    return list(table.columns), [tuple(row) for row in table.itertuples(index=False)]


def _build(_: Inputs) -> Spec:
    return data_for()


FIGURE = Kind(
    name="closed_form_errors", size=(PAGE, 3.4),
    question="How far off are the closed forms, over everything that was checked?",
    build=_build, draw=draw, title=title, caption=caption, alt=alt, rows=rows,
)  # fmt: skip
