"""Two small front-end widgets: a picture that says when it is shown, and names for the sliders."""

from __future__ import annotations

from pathlib import Path

import anywidget
import traitlets

__all__ = ["FigureView", "SliderNames"]

_STATIC = Path(__file__).resolve().parent / "static"


class FigureView(anywidget.AnyWidget):
    """Shows PNG bytes with an alternative text.

    The ``data-rev`` attribute of the image follows `rev`, but only once the picture is decoded.
    """

    # Text and not a path: a path makes anywidget watch the file and keep every instance alive.
    _esm = (_STATIC / "figureview.js").read_text(encoding="utf-8")

    png = traitlets.Bytes().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    summary = traitlets.Unicode().tag(sync=True)
    rev = traitlets.Int(0).tag(sync=True)
    width = traitlets.Int(700).tag(sync=True)
    #: Device pixels per CSS pixel, told by the browser.
    dpr = traitlets.Float(1.0).tag(sync=True)

    def show(self, png: bytes, alt: str, summary: str) -> None:
        """Put up a picture.

        Parameters
        ----------
        png : bytes
            The picture.
        alt : str
            What it says, numbers and all.
        summary : str
            One sentence that a screen reader announces.
        """
        with self.hold_sync():
            self.png, self.alt, self.summary = png, alt, summary
            self.rev += 1


class SliderNames(anywidget.AnyWidget):
    """Gives the sliders below the element of class `root_class` their accessible names."""

    _esm = (_STATIC / "labels.js").read_text(encoding="utf-8")

    root_class = traitlets.Unicode("perfmodel-explorer").tag(sync=True)
