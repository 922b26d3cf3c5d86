"""The two views of a hold: with the gain over a parameter below, and by itself as a timeline."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from perfmodel.widgets.parameters import PATHS
from perfmodel.widgets.views.bars import HoldPanel
from perfmodel.widgets.views.curve import GainPanel, find_curves
from perfmodel.widgets.views.view import Progress, Question, Scene, View, without

if TYPE_CHECKING:
    from perfmodel.figures.kind import Rows
    from perfmodel.widgets.views.canvas import Canvas

__all__ = ["Overview", "Timeline"]


#: Where the two panels of the overview meet, in parts of the figure.
_BETWEEN = 0.53


class Overview(View):
    """Hold by policy, and net gain over one parameter."""

    name = "overview"
    menus = frozenset({"over", "policy"})

    def __init__(self, canvas: Canvas) -> None:
        super().__init__(canvas)
        self._hold = HoldPanel(canvas, (0.135, 0.60, 0.83, 0.335), reach=(_BETWEEN, 1.0))
        self._gain = GainPanel(canvas, (0.135, 0.105, 0.83, 0.365), reach=(0.0, _BETWEEN))

    def key(self, question: Question) -> Hashable:
        """Everything but the swept parameter itself."""
        path = PATHS[question.shown.over]
        scenarios = (question.scenario, *(p.scenario for p in question.pins))
        return (
            question.shown.over, question.policy, tuple(p.name for p in question.pins),
            tuple((s.machine, without(s, path)) for s in scenarios),
        )  # fmt: skip

    def compute(self, question: Question, progress: Progress) -> Any:
        """Find the curves."""
        return find_curves(question, progress)

    def update(self, scene: Scene) -> str:
        """Move both panels."""
        return f"{self._hold.update(scene.prediction)} {self._gain.update(scene)}"

    def rows(self, scene: Scene) -> Rows:
        """Return the curve; the holds are those of the timeline."""
        return self._gain.rows(scene)


class Timeline(View):
    """Who holds the lock how, piece by piece, and which faults go on meanwhile."""

    name = "timeline"

    def __init__(self, canvas: Canvas) -> None:
        super().__init__(canvas)
        self._hold = HoldPanel(canvas, (0.135, 0.08, 0.83, 0.84), faults=True)

    def update(self, scene: Scene) -> str:
        """Move the bars."""
        return self._hold.update(scene.prediction)

    def rows(self, scene: Scene) -> Rows:
        """Return every piece."""
        return self._hold.rows(scene.prediction)
