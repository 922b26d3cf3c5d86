"""Text that is drawn once and then copied: letters are most of what a moving picture costs."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.text import Text
from matplotlib.transforms import IdentityTransform
from numpy.typing import NDArray

__all__ = ["Stamp"]

#: Pixels around a text, and texts remembered.
_MARGIN, _KEPT = 4, 400

#: A picture of a text, and where its lower left corner lies from the text's own point.
Picture = tuple[NDArray[np.uint8], int, int]


class Stamp(Text):
    """A text at whole pixels. Renderers other than Agg, which write files, draw it as any other."""

    _pictures: dict[tuple[Any, ...], Picture] = {}  # noqa: RUF012, one store for all texts

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
            self._pictures[key] = self._rendered(renderer)
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
