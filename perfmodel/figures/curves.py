"""A figure made of curves: the model's lines, and what was measured, simulated or solved beside them.

Who reads such a figure must see what each mark rests on, so a series says it of itself, and looks it:
a model is a line, everything else are marks, hollow unless they were measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.figures.axes import key_below, number, tick_labels
from perfmodel.figures.kind import Rows
from perfmodel.figures.style import is_column

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["Axis", "Panel", "Series", "Spec", "draw_panels", "rows"]

#: What a series may rest on. Only a model is drawn as a line; what was measured is filled.
BASES = ("model", "simulated", "exact chain", "measured", "published")

#: Characters of a key's entry of which two stand side by side in a column.
_KEY = 22


@dataclass(frozen=True)
class Axis:
    """One axis: what it shows, how it is spaced, how its ticks are written.

    Parameters
    ----------
    label : str
        With its unit, unless the ticks carry it.
    scale : {"log", "linear", "symlog"}
    write : callable
        Value to tick label.
    limits : tuple of float, optional
    linear_below : float
        Of a symlog axis.
    """

    label: str
    scale: str = "log"
    write: Callable[[float], str] = number
    limits: tuple[float, float] | None = None
    linear_below: float = 1.0


@dataclass(frozen=True, eq=False)
class Series:
    """One curve or one set of marks; arrays of one shape.

    Parameters
    ----------
    label : str
        Of the key; of several series with the same label one is in the key.
    basis : str
        One of `BASES`.
    x, y : ndarray
    low, high : ndarray, optional
        Ends of an interval; the caption says of which.
    colour, style, marker
        As matplotlib takes them. The last two are the channels that grey leaves.
    """

    label: str
    basis: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    low: NDArray[np.float64] | None = None
    high: NDArray[np.float64] | None = None
    colour: str = "#000000"
    style: str | tuple[int, tuple[int, ...]] = "-"
    marker: str = "o"


@dataclass(frozen=True, eq=False)
class Panel:
    """One panel of curves.

    Parameters
    ----------
    title : str
    x, y : Axis
    series : tuple of Series
    marks : tuple of (float, str)
        Places of the horizontal axis with a word, a dotted line each.
    """

    title: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    marks: tuple[tuple[float, str], ...] = ()

    def of(self, label: str, basis: str = "model") -> Series:
        """Return the series of a label and basis.

        Raises
        ------
        KeyError
            If there is none.
        """
        for one in self.series:
            if (one.label, one.basis) == (label, basis):
                return one
        raise KeyError((label, basis))


@dataclass(frozen=True, eq=False)
class Spec:
    """A figure of curves as data.

    Parameters
    ----------
    panels : tuple of Panel
    said : mapping of str to float
        Numbers that title and caption quote.
    evidence : str
    source : mapping
    """

    panels: tuple[Panel, ...]
    said: Mapping[str, float]
    evidence: str
    source: Mapping[str, Any]

    @property
    def known(self) -> bool:
        """Whether any curve has a value."""
        return any(np.isfinite(s.y).any() for p in self.panels for s in p.series)

    @property
    def bases(self) -> set[str]:
        """What its series rest on."""
        return {s.basis for p in self.panels for s in p.series}


def _draw_series(axes: Axes, one: Series, *, clip: bool) -> None:
    if one.basis == "model":
        axes.plot(one.x, one.y, color=one.colour, ls=one.style, label=one.label, zorder=3)
        if one.low is not None and one.high is not None:
            axes.fill_between(
                one.x, one.low, one.high, color=one.colour, alpha=0.18, lw=0, zorder=1
            )
        return
    bars = None
    if one.low is not None and one.high is not None:
        bars = np.array([one.y - one.low, one.high - one.y])
    filled = one.basis == "measured"
    axes.errorbar(
        one.x, one.y, yerr=bars, color=one.colour, ls="none", marker=one.marker, ms=4.5,
        mfc=one.colour if filled else "white", mec=one.colour, mew=1.0, elinewidth=0.8, zorder=5,
        label=one.label if one.basis in one.label else f"{one.label}, {one.basis}", clip_on=clip,
    )  # fmt: skip


def _draw_panel(axes: Axes, panel: Panel) -> None:
    axes.set_title(panel.title)
    for axis, given in ((axes.xaxis, panel.x), (axes.yaxis, panel.y)):
        which = axis.axis_name
        more = {"linthresh": given.linear_below} if given.scale == "symlog" else {}
        getattr(axes, f"set_{which}scale")(given.scale, **more)
        tick_labels(axis, given.write)
        axis.set_label_text(given.label)
        if given.limits:
            getattr(axes, f"set_{which}lim")(*given.limits)
    for one in panel.series:
        # A mark on the edge is drawn whole, unless others lie beyond.
        _draw_series(axes, one, clip=panel.y.limits is not None)
    for place, word in panel.marks:
        axes.axvline(place, color="#8C8C8C", lw=0.8, ls=":", zorder=1)
        axes.text(
            place, 0.98, f" {word}", transform=axes.get_xaxis_transform(), va="top", fontsize=7
        )
    if panel.y.scale == "symlog":
        axes.axhline(0, color="#000000", lw=0.7, ls="-", zorder=1)
    axes.grid(axis="y")


def draw_panels(
    spec: Spec, figure: Figure, *, columns: int = 3, share_y: bool = False, one_key: bool = False
) -> None:
    """Draw the panels side by side over one key; one over the other in a column.

    Parameters
    ----------
    spec : Spec
    figure : Figure
    columns : int
        Of the key, on a page.
    share_y : bool
        Whether all panels have one vertical axis.
    one_key : bool
        Whether marks of one basis have one entry of the key, where each lies on its own line.
    """
    narrow, count = is_column(figure), len(spec.panels)
    shape = (count, 1) if narrow else (1, count)
    grid = figure.subplots(*shape, sharey=share_y, squeeze=False).ravel()
    keys: dict[str, Any] = {}
    for place, (axes, panel) in enumerate(zip(grid, spec.panels, strict=True)):
        _draw_panel(axes, panel)
        if share_y and place and not narrow:
            axes.set_ylabel("")
        if narrow and count > 1:
            # A low panel has no room for it at its side.
            axes.set_title(f"{panel.title}\n{panel.y.label}")
            axes.set_ylabel("")
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            basis = next((b for b in BASES[1:] if label.endswith(f", {b}")), "") if one_key else ""
            keys.setdefault(basis or label, _mark(basis) if basis else handle)
    if narrow:
        columns = 1 if max(map(len, keys), default=0) > _KEY else 2
    key_below(figure, list(keys.values()), columns, handlelength=2.6)


def _mark(basis: str) -> Any:
    """Return a mark of the key that stands for those of every line."""
    from matplotlib.lines import Line2D

    filled = "#000000" if basis == "measured" else "white"
    return Line2D([], [], ls="none", marker="o", ms=4.5, color="#000000", mfc=filled, label=basis)


def rows(spec: Spec) -> Rows:
    """Return everything drawn, one row a point."""
    head = ("panel", "series", "basis", "x", "y", "low", "high")
    nothing = float("nan")
    return head, [
        (panel.title, one.label, one.basis, x, y,
         nothing if one.low is None else one.low[i], nothing if one.high is None else one.high[i])
        for panel in spec.panels for one in panel.series
        for i, (x, y) in enumerate(zip(one.x, one.y, strict=True))
    ]  # fmt: skip
