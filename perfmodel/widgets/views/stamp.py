"""Text that is drawn once and then copied: letters are most of what a moving picture costs.

Matplotlib lays a text out three times and asks for its letters each time; on the way to the screen
Pillow, which Matplotlib needs anyway, writes a line in a twentieth of that. Files are written by
Matplotlib alone.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import to_rgba
from matplotlib.font_manager import findfont
from matplotlib.text import Text
from matplotlib.transforms import IdentityTransform
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

__all__ = ["Stamp"]

#: Pixels around a text, and texts remembered.
_MARGIN, _KEPT = 4, 400

#: A picture of a text, and where its lower left corner lies from the text's own point.
Picture = tuple[NDArray[np.uint8], int, int]


class Stamp(Text):
    """A text at whole pixels. Renderers other than Agg, which write files, draw it as any other."""

    _pictures: dict[tuple[Any, ...], Picture] = {}  # noqa: RUF012, one store for all texts
    _lines: dict[tuple[Any, ...], tuple[float, float]] = {}  # noqa: RUF012, the same for all

    def draw(self, renderer: Any) -> None:
        """Copy the picture of this text into place; make it first where it is new."""
        if not isinstance(renderer, RendererAgg):
            super().draw(renderer)
            return
        if not self.get_visible() or not self.get_text().strip():
            return
        key = self._key(renderer)
        if key not in self._pictures:
            while len(self._pictures) >= _KEPT:
                del self._pictures[next(iter(self._pictures))]
            written = self._written(renderer)
            self._pictures[key] = self._rendered(renderer) if written is None else written
        image, dx, dy = self._pictures[key]
        x, y = self.get_transform().transform(self.get_position())
        gc = renderer.new_gc()
        renderer.draw_image(gc, round(float(x)) + dx, round(float(y)) + dy, image)
        gc.restore()

    def _key(self, renderer: RendererAgg) -> tuple[Any, ...]:
        plate = self.get_bbox_patch()
        return (
            self.get_text(), self.get_fontsize(), str(self.get_color()), self.get_fontstyle(),
            self.get_fontweight(), self.get_horizontalalignment(), self.get_verticalalignment(),
            renderer.dpi,
            None if plate is None else (plate.get_facecolor(), plate.get_linewidth(),
                                        plate.get_boxstyle().__class__.__name__),
        )  # fmt: skip

    def _written(self, renderer: RendererAgg) -> Picture | None:
        """Write the text with Pillow; None for what is more than one upright line on a plain plate."""
        text, plate = self.get_text(), self.get_bbox_patch()
        across = {"left": 0.0, "center": 0.5, "right": 1.0}.get(self.get_horizontalalignment())
        plain = plate is None or (
            not plate.get_linewidth() and hasattr(plate.get_boxstyle(), "pad")
        )
        if "\n" in text or "$" in text or self.get_rotation() or across is None or not plain:
            return None
        pixels = float(self.get_fontsize()) * renderer.dpi / 72
        font = _font(findfont(self.get_fontproperties()), pixels)
        left, top, right, bottom = font.getbbox(text, anchor="ls")
        least = self._line(renderer, pixels)
        above, below = min(top, least[0]), max(bottom, least[1])
        upright = {"baseline": 0.0, "bottom": below, "top": above,
                   "center": 0.5 * (above + below)}.get(self.get_verticalalignment())  # fmt: skip
        if upright is None:
            return None
        style: Any = None if plate is None else plate.get_boxstyle()
        pad = 0 if style is None else round(style.pad * pixels)
        edge = pad + _MARGIN
        width, height = round(right - left) + 2 * edge, round(below - above) + 2 * edge
        ink = Image.new("L", (width, height))
        ImageDraw.Draw(ink).text(
            (edge - left, edge - above), text, fill=255, font=font, anchor="ls"
        )
        ground = np.zeros((height, width, 4))
        if plate is not None:
            ground[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN] = plate.get_facecolor()
        image = _over(to_rgba(self.get_color()), np.asarray(ink) / 255.0, ground)
        lowest = round(upright - below) - edge
        return np.ascontiguousarray(image[::-1]), -round(across * (right - left)) - edge, lowest

    def _line(self, renderer: RendererAgg, pixels: float) -> tuple[float, float]:
        """Return how far any line of this font reaches above and below its base, in pixels."""
        font = self.get_fontproperties()
        key = (font.get_name(), font.get_style(), str(font.get_weight()), pixels)
        if key not in self._lines:
            probe = Text(0, 0, "lp", fontproperties=font, verticalalignment="baseline")
            figure = self.get_figure(root=True)
            assert figure is not None, "it is drawn"
            probe.set_figure(figure)
            box = probe.get_window_extent(renderer)
            self._lines[key] = (-float(box.y1), -float(box.y0))
        return self._lines[key]

    def _rendered(self, renderer: RendererAgg) -> Picture:
        """Draw the text by itself, at a whole pixel of a picture as large as it needs."""
        transform, position = self.get_transform(), self.get_position()
        try:
            self.set_transform(IdentityTransform())
            self.set_position((0, 0))
            box = self.get_window_extent(renderer)
            plate = self.get_bbox_patch()
            if plate is not None:
                self.update_bbox_position_size(renderer)
                box = box.union([box, plate.get_window_extent(renderer)])
            left, bottom = (int(np.floor(v)) - _MARGIN for v in (box.x0, box.y0))
            width, height = (
                int(np.ceil(e)) + _MARGIN - s for e, s in ((box.x1, left), (box.y1, bottom))
            )
            # Matplotlib declares no types for its renderer.
            alone: Any = RendererAgg(width, height, renderer.dpi)  # type: ignore[no-untyped-call]
            self.set_position((-left, -bottom))
            super().draw(alone)
        finally:
            self.set_transform(transform)
            self.set_position(position)
        # Agg has the first row at the top, and takes it from the bottom.
        return np.ascontiguousarray(np.asarray(alone.buffer_rgba())[::-1]), left, bottom


@lru_cache(maxsize=64)
def _font(file: str, pixels: float) -> ImageFont.FreeTypeFont:
    """Return a font at a size in pixels."""
    return ImageFont.truetype(file, pixels, layout_engine=ImageFont.Layout.BASIC)


def _over(
    colour: tuple[float, ...], ink: NDArray[np.float64], ground: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Lay ink of one colour over a ground, both with their transparency."""
    ink = ink * colour[3]
    below = ground[..., 3] * (1.0 - ink)
    alpha = ink + below
    mixed = ink[..., None] * np.asarray(colour[:3]) + below[..., None] * ground[..., :3]
    out = np.dstack([mixed / np.maximum(alpha, 1e-9)[..., None], alpha])
    return np.asarray(np.round(255 * out), dtype=np.uint8)
