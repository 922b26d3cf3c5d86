"""The panel of predicted over measured effects: where both have one sign, and who is within noise."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from perfmodel.figures.axes import key_below
from perfmodel.figures.style import BLACK, GREY, Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["draw_ground", "draw_key", "draw_marks"]


def draw_ground(axes: Axes, low: float, high: float, none: float) -> None:
    """Draw where measured and predicted effect have one sign, and where they are equal.

    Parameters
    ----------
    axes : Axes
    low, high : float
        Ends of the diagonal.
    none : float
        No effect: 0 of a difference, 1 of a ratio.
    """
    for start, end in ((low, none), (none, high)):
        axes.fill_between([start, end], start, end, color="#EEEEEE", lw=0, zorder=0)
    axes.plot([low, high], [low, high], color=BLACK, lw=0.7, ls="-", zorder=1)
    for line in (axes.axhline, axes.axvline):
        line(none, color=BLACK, lw=0.5, zorder=1)


def draw_marks(
    axes: Axes, look: Look, hit: bool | None, x: NDArray[Any], y: NDArray[Any], **bars: Any
) -> None:
    """Draw effects of one look: grey and hollow within noise, crossed where the sign is wrong.

    Parameters
    ----------
    axes : Axes
    look : Look
    hit : bool or None
        Whether the sign is right; None within noise.
    x, y : ndarray
        Measured and predicted.
    **bars
        ``xerr`` and ``yerr`` as of `Axes.errorbar`.
    """
    clear = hit is not None
    axes.errorbar(
        x, y, ls="none", marker=look.marker, ms=4.3 if clear else 2.8,
        color=look.colour if clear else GREY, mfc=look.colour if clear else "white",
        mew=0.0 if clear else 0.55, elinewidth=0.55, alpha=0.9 if clear else 0.45,
        zorder=3 if clear else 2, **bars,
    )  # fmt: skip
    if hit is False:
        axes.plot(x, y, ls="none", marker="x", ms=8, mew=1.5, color=BLACK, zorder=5)


def draw_key(figure: Figure, looks: Iterable[Look]) -> None:
    """Put the key below: the looks, what is within noise, and what has the wrong sign."""
    from matplotlib.lines import Line2D

    keys = [
        Line2D([], [], ls="none", marker=look.marker, color=look.colour, ms=4.5, label=look.label)
        for look in looks
    ]
    keys += [
        Line2D([], [], ls="none", marker="o", mfc="white", color=GREY, ms=3, label="within noise"),
        Line2D([], [], ls="none", marker="x", color=BLACK, ms=7, mew=1.5, label="wrong sign"),
    ]
    key_below(figure, keys, 3, handletextpad=0.2)
