"""Axes with one row a policy over a time from zero, whose scale may change at every move.

A drag changes the longest bar at every step, and with it the scale. The ticks and numbers of the time
are therefore moving artists: to draw Matplotlib's own axis anew takes longer than all the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation

from perfmodel.verdict import time_text

if TYPE_CHECKING:
    from perfmodel.widgets.views.canvas import Canvas

__all__ = ["PolicyRows"]

#: Most numbers on the scale, in letters of the usual size and larger.
_TICKS, _FEWER = 6, 4

#: Length of a tick, and from the axis to the numbers, points.
_TICK, _AWAY = 3.5, 7.0


class PolicyRows:
    """The axes.

    Parameters
    ----------
    canvas : Canvas
    place : tuple of float
        Left, bottom, width and height in parts of the figure.
    reach : tuple of float
        As `Canvas.axes` has it.

    Attributes
    ----------
    axes : matplotlib.axes.Axes
    """

    def __init__(
        self,
        canvas: Canvas,
        place: tuple[float, float, float, float],
        reach: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        self.canvas = canvas
        axes = self.axes = canvas.axes(*place, reach)
        axes.xaxis.set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        self._names: tuple[str, ...] = ()
        self._locator = MaxNLocator(_TICKS if canvas.scale == 1 else _FEWER)
        below = axes.get_xaxis_transform()
        self._ticks = canvas.keep(
            axes.plot([], [], transform=below, marker=3, markersize=_TICK, color="black",
                      markeredgewidth=0.8, linestyle="", clip_on=False)[0]
        )  # fmt: skip
        away = below + ScaledTranslation(0, -canvas.pt(_AWAY) / 72, canvas.figure.dpi_scale_trans)
        # A locator of so many intervals has two numbers more, with those at both ends.
        self._numbers = [
            canvas.text(axes, 0, 0, transform=away, ha="center", va="top", fontsize=9)
            for _ in range(_TICKS + 2)
        ]

    def scale(self, limit: float, names: tuple[str, ...]) -> None:
        """Let the time end at a limit, ns, and the rows have names, the lowest first."""
        self.axes.set_xlim(0, limit)
        at = [float(x) for x in self._locator.tick_values(0, limit) if 0 <= x <= limit]
        self._ticks.set_data(at, [0.0] * len(at))
        for k, text in enumerate(self._numbers):
            text.set_visible(k < len(at))
            if k < len(at):
                text.set_position((at[k], 0))
                text.set_text(time_text(at[k]) if at[k] else "0")
        if names != self._names:
            self._names = names
            self.axes.set_ylim(-0.6, len(names) - 0.4)
            self.axes.set_yticks(range(len(names)), names)
            self.canvas.invalidate(self.axes)
