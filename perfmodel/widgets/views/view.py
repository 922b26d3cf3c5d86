"""What every view of an explorer is: what it asks, what it computes, how it follows."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from perfmodel.scenario import Policy, Scenario
from perfmodel.widgets.shown import Pin, Shown
from perfmodel.widgets.views.canvas import Canvas

if TYPE_CHECKING:
    from perfmodel.figures.kind import Rows
    from perfmodel.prediction import Prediction

__all__ = ["Question", "Scene", "View"]

#: Told the share that is done; raises where a newer question has made the work void.
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Question:
    """What a view is asked.

    Parameters
    ----------
    scenario : Scenario
    shown : Shown
    policy : Policy
        The cut whose gain is shown.
    pins : tuple of Pin
    """

    scenario: Scenario
    shown: Shown
    policy: Policy
    pins: tuple[Pin, ...] = ()


@dataclass(frozen=True)
class Scene:
    """What a view shows.

    Parameters
    ----------
    question : Question
    prediction : Prediction
        Of the scenario; of one draw while `pending`.
    result : object
        What the view computed for the question, or for an earlier one while `stale`; None before.
    pending : bool
        Whether the prediction is the central estimate alone.
    stale : bool
        Whether the result is still being computed.
    """

    question: Question
    prediction: Prediction
    result: Any = None
    pending: bool = False
    stale: bool = False


class View:
    """One picture of a scenario. Its artists are made once and moved by `update`.

    Parameters
    ----------
    canvas : Canvas
    """

    #: Key of `perfmodel.widgets.shown.VIEWS`.
    name: ClassVar[str]
    #: Which menus matter to it, of ``over``, ``across`` and ``policy``.
    menus: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas

    def key(self, question: Question) -> Hashable:  # noqa: ARG002
        """Return what the result depends on; None for a view that computes nothing."""
        return None

    def compute(self, question: Question, progress: Progress) -> Any:
        """Return what takes too long for a drag. Runs in a thread of its own."""
        raise NotImplementedError

    def update(self, scene: Scene) -> str:
        """Put the artists where a scene wants them, and say what is seen."""
        raise NotImplementedError

    def rows(self, scene: Scene) -> Rows:
        """Return the table of everything drawn."""
        raise NotImplementedError


def without(scenario: Scenario, *paths: str) -> str:
    """Return all of a scenario but some of its parameters, as a text to tell scenarios apart."""
    data = scenario.to_dict()
    for path in paths:
        part, _, name = path.rpartition(".")
        (data[part] if part else data)[name] = None
    return repr(data)
