"""A figure whose artists are updated in place, and its PNG.

What stays from one move to the next (axes, ticks, labels) is kept as a background; only the artists
that follow the data are drawn anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from perfmodel.widgets.views.png import png_bytes
from perfmodel.widgets.views.stamp import Stamp

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["DPI", "HEIGHT", "WIDTH", "Canvas"]

#: Size in CSS pixels.
WIDTH, HEIGHT, DPI = 690, 470, 100

A = TypeVar("A")


class Canvas:
    """One figure.

    Parameters
    ----------
    figure : Figure, optional
        Where to draw. Default: a figure of the explorer's size.
    scale : float
        By which letters, markers and lines are larger than usual.

    Attributes
    ----------
    figure : matplotlib.figure.Figure
    """

    def __init__(self, figure: Figure | None = None, *, scale: float = 1.0) -> None:
        self.figure = figure or Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI)
        self.scale = scale
        # Matplotlib's canvas has no annotations.
        self._agg: Any = FigureCanvasAgg(self.figure)
        self._moving: list[Any] = []
        self._background: Any = None
        #: Axes that changed although the rest of the background did not, and how high each reaches.
        self._changed: set[Axes] = set()
        self._reach: dict[Axes, tuple[float, float]] = {}
        self._note = self.keep(
            self.figure.text(
                0.5, 0.5, "", ha="center", va="center", fontsize=self.pt(10), zorder=20, wrap=True,
                bbox={"boxstyle": "round,pad=0.6", "facecolor": "white", "edgecolor": "#333333"},
            )
        )  # fmt: skip

    def pt(self, size: float) -> float:
        """Return a size in points, enlarged as all others are."""
        return size * self.scale

    def axes(
        self,
        left: float,
        bottom: float,
        width: float,
        height: float,
        reach: tuple[float, float] = (0.0, 1.0),
    ) -> Axes:
        """Return axes at fixed margins, in parts of the figure.

        A constrained layout would move a little at every draw, and with it the background. Larger
        letters take their room from the left and from below. Nothing of the axes, labels and all, lies
        below or above their reach, and nothing of others lies within it.
        """
        more = self.scale - 1
        dx, dy = 0.11 * more, 0.07 * more
        axes = self.figure.add_axes(
            (left + dx, bottom + dy, width - dx - 0.07 * more, height - 1.4 * dy)
        )
        self._reach[axes] = reach
        axes.tick_params(labelsize=self.pt(9))
        axes.spines[["top", "right"]].set_visible(False)
        return axes

    def title(self, axes: Axes, text: str) -> None:
        """Write a heading over axes, flush left, smaller where it would not fit."""
        size = self.pt(10.5)
        heading = axes.set_title(text, loc="left", fontsize=size, fontweight="bold")
        wide = heading.get_window_extent(self._agg.get_renderer()).width
        room = self.figure.bbox.width - axes.bbox.x0
        heading.set_fontsize(size * min(1.0, 0.98 * room / wide))

    def keep(self, artist: A) -> A:
        """Take an artist among those that follow the data."""
        moving: Any = artist
        moving.set_animated(True)
        self._moving.append(moving)
        return artist

    def text(self, axes: Axes, x: float, y: float, **style: Any) -> Stamp:
        """Return a moving text; its size is given in points as if nothing were enlarged."""
        style["fontsize"] = self.pt(style["fontsize"])
        stamp = Stamp(
            x, y, "", clip_on=False, transform=style.pop("transform", axes.transData), **style
        )
        axes.add_artist(stamp)
        return self.keep(stamp)

    def invalidate(self, axes: Axes | None = None) -> None:
        """Say that something other than a moving artist changed: in some axes, or anywhere."""
        if axes is None:
            self._background = None
        else:
            self._changed.add(axes)

    def note(self, text: str) -> None:
        """Write across the figure why there is nothing to see in it; empty: there is."""
        self._note.set_text(text)
        self._note.set_visible(bool(text))

    def set_ratio(self, ratio: float) -> None:
        """Draw with that many device pixels for each CSS pixel."""
        self.figure.set_dpi(DPI * min(3.0, max(1.0, ratio)))
        self.invalidate()

    def _redraw_changed(self) -> None:
        agg = self._agg
        pixels = np.asarray(agg.buffer_rgba())
        height = pixels.shape[0]
        for axes in self._changed:
            bottom, top = (round(height * (1 - part)) for part in self._reach[axes])
            pixels[top:bottom] = 255
            axes.draw(agg.get_renderer())
        self._background = agg.copy_from_bbox(self.figure.bbox)

    def png(self, *, whole: bool = False) -> bytes:
        """Return the picture as PNG bytes.

        Parameters
        ----------
        whole : bool
            Draw everything anew, background and all; the bytes are the same.
        """
        agg = self._agg
        if whole or self._background is None:
            agg.draw()
            self._background = agg.copy_from_bbox(self.figure.bbox)
        else:
            agg.restore_region(self._background)
            if self._changed:
                self._redraw_changed()
        self._changed.clear()
        for artist in self._moving:
            if artist.get_visible():
                (artist.axes or self.figure).draw_artist(artist)
        return png_bytes(np.asarray(agg.buffer_rgba()))
