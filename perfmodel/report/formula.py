"""A formula as an SVG picture, typeset by matplotlib: a page needs neither fonts nor a script for it."""

from __future__ import annotations

from html import escape
from typing import Any

__all__ = ["svg"]

#: Units of a glyph's outline, and the size in CSS pixels of one line of text.
_UNITS, _PIXELS = 100.0, 16.0


def svg(latex: str, words: str) -> str:
    """Return a formula as an inline ``<svg>`` in the colour of the text around it.

    Parameters
    ----------
    latex : str
        Without dollar signs.
    words : str
        What a screen reader says.

    Returns
    -------
    str
        Empty where matplotlib's typesetting does not know a command of it, such as ``cases``.
    """
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    from perfmodel.figures.style import paper

    try:
        with paper():
            path = TextPath(
                (0, 0), f"${latex}$", size=_UNITS, prop=FontProperties(math_fontfamily="cm")
            )
    except ValueError:
        return ""
    box = path.get_extents()
    pad, scale = 0.05 * _UNITS, _PIXELS / _UNITS
    width, height = box.width + 2 * pad, box.height + 2 * pad
    # Down is positive in SVG.
    drawn = path.transformed(_flip(pad - box.x0, pad + box.y1))
    return (
        f'<svg class="math" role="img" aria-label="{escape(words, quote=True)}"'
        f' width="{width * scale:.1f}" height="{height * scale:.1f}"'
        f' viewBox="0 0 {width:.1f} {height:.1f}"><path fill="currentColor" d="{_outline(drawn)}"/></svg>'
    )


def _flip(right: float, down: float) -> Any:
    from matplotlib.transforms import Affine2D

    return Affine2D().scale(1, -1).translate(right, down)


def _outline(path: Any) -> str:
    from matplotlib.path import Path

    letters = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C"}
    parts = []
    for points, code in path.iter_segments(simplify=False):
        if code == Path.CLOSEPOLY:
            parts.append("Z")
        else:
            parts.append(letters[code] + " ".join(f"{v:.1f}" for v in points))
    return "".join(parts)
