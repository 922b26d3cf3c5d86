"""Which view, over which parameters, of which cut: the menus above the picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as ipw

from perfmodel.breakeven import PARAMETERS
from perfmodel.scenario import Policy
from perfmodel.widgets.attempt import attempt
from perfmodel.widgets.shown import VIEWS
from perfmodel.widgets.state import Change, ExplorerState
from perfmodel.widgets.views import KINDS
from perfmodel.widgets.views.scales import name_of

__all__ = ["ViewMenus"]

#: The menu's first entry: show the cut that the verdict is about. Its value is no None, which a
#: menu takes for no choice at all.
_JUDGED = "the judged cut"


class ViewMenus:
    """Buttons of the views, and the menus that matter to the visible one.

    Parameters
    ----------
    state : ExplorerState
    failed : callable
        Told what went wrong, or the empty string.
    beside : sequence of ipywidgets.Widget
        What stands in the row of the menus, after them.
    """

    def __init__(
        self, state: ExplorerState, failed: Callable[[str], None], beside: Sequence[Any] = ()
    ) -> None:  # fmt: skip
        self.state = state
        self._failed = failed
        self._busy = False
        self.view = ipw.ToggleButtons(
            options=list(VIEWS), value=state.shown.view, tooltips=list(VIEWS.values()),
            style={"button_width": "auto"},
        )  # fmt: skip
        parameters = [(name_of(n), n) for n in PARAMETERS]
        self.over = _menu("over", parameters, state.over, "the parameter on the abscissa")
        self.across = _menu("and", parameters, state.shown.across, "the map's other parameter")
        self.policy = _menu("gain of", [(_JUDGED, "")], "", "the policy whose gain is shown")
        self._named = {"over": self.over, "across": self.across, "policy": self.policy}
        self.box = ipw.VBox([self.view, ipw.HBox([*self._named.values(), *beside],
                                            layout={"flex_flow": "row wrap"})])  # fmt: skip
        self.follow(Change(frozenset()))
        state.listen(self.follow)
        self.view.observe(lambda e: self._choose(view=e["new"]), names="value")
        for name, menu in self._named.items():
            menu.observe(
                lambda e, name=name: self._choose(**{name: e["new"] or None}), names="value"
            )

    def follow(self, _: Change) -> None:
        """Bring the menus to the state, without a change coming back."""
        before, self._busy = self._busy, True
        try:
            shown = self.state.shown
            cuts = [p for p in self.state.value("policies") if p is not Policy.NONE]
            options = ((_JUDGED, ""), *((p.value, p) for p in cuts))
            if self.policy.options != options:
                self.policy.options = options
            self.view.value = shown.view
            self.over.value, self.across.value = shown.over, shown.across
            self.policy.value = shown.policy if shown.policy in cuts else ""
            for name, menu in self._named.items():
                menu.layout.display = None if name in KINDS[shown.view].menus else "none"
        finally:
            self._busy = before

    def _choose(self, **chosen: Any) -> None:
        if not self._busy:
            attempt(lambda: self.state.show(**chosen), self._failed)


def _menu(text: str, options: list[tuple[str, Any]], value: Any, tooltip: str) -> ipw.Dropdown:
    return ipw.Dropdown(
        description=text, options=options, value=value, tooltip=tooltip,
        style={"description_width": "50px"}, layout={"width": "225px"},
    )  # fmt: skip
