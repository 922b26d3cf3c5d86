"""Small front-end widgets: a picture that says when it is shown, names for controls, a courier."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anywidget
import traitlets

__all__ = ["Courier", "FigureView", "SliderNames"]

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
    """Gives the controls below the element of class `root_class` their accessible names."""

    _esm = (_STATIC / "labels.js").read_text(encoding="utf-8")

    root_class = traitlets.Unicode("perfmodel-explorer").tag(sync=True)


class Courier(anywidget.AnyWidget):
    """Takes text to the reader's clipboard, and files to the reader's disk.

    Parameters
    ----------
    told : callable
        Called with what went wrong, or with the empty string once a text is in the clipboard.
    """

    _esm = (_STATIC / "courier.js").read_text(encoding="utf-8")

    def __init__(self, told: Callable[[str], None]) -> None:
        super().__init__()
        self.on_msg(lambda _, message, __: told(str(message.get("what", ""))))

    def copy_text(self, text: str) -> None:
        """Put a text into the clipboard."""
        self.send({"kind": "copy", "text": text})

    def save_file(self, name: str, content: bytes, kind: str) -> None:
        """Offer a file of a media type for saving."""
        self.send({"kind": "save", "name": name, "type": kind}, [content])
