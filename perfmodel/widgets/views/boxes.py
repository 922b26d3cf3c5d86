"""Many boxes of one look as one artist."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.patches import PathPatch
from matplotlib.path import Path

__all__ = ["Box", "Boxes"]

#: Left edge, width, bottom and top.
Box = tuple[float, float, float, float]

_NOTHING = Path(np.empty((0, 2)))
_ROUND = (Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY)


class Boxes(PathPatch):
    """Boxes that do not overlap, drawn as one path: their hatch is drawn once, and not for each."""

    def __init__(self, **style: Any) -> None:
        super().__init__(_NOTHING, **style)

    def put(self, boxes: Sequence[Box]) -> None:
        """Show these boxes in place of those before."""
        if not boxes:
            self.set_path(_NOTHING)
            return
        left, width, bottom, top = np.asarray(boxes, dtype=float).T
        right = left + width
        x = np.column_stack([left, right, right, left, left])
        y = np.column_stack([bottom, bottom, top, top, bottom])
        corners = np.column_stack([x.ravel(), y.ravel()])
        self.set_path(Path(corners, np.tile(_ROUND, left.size)))
