"""The pictures of an explorer. To add one: a subclass of `View`, its line here and in `shown.VIEWS`."""

from __future__ import annotations

from perfmodel.widgets.views.account import Account
from perfmodel.widgets.views.breakmap import BreakEvenMap
from perfmodel.widgets.views.canvas import WIDTH, Canvas
from perfmodel.widgets.views.overview import Overview, Timeline
from perfmodel.widgets.views.policies import Policies
from perfmodel.widgets.views.tornado import Sensitivity
from perfmodel.widgets.views.view import Question, Scene, View
from perfmodel.widgets.views.waits import Waits

__all__ = ["KINDS", "WIDTH", "Canvas", "Question", "Scene", "View"]

#: Every view by name.
KINDS: dict[str, type[View]] = {
    kind.name: kind
    for kind in (Overview, Timeline, Policies, BreakEvenMap, Waits, Account, Sensitivity)
}
