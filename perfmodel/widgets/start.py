"""The menu of presets, with what each is and where its numbers come from."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import ipywidgets as ipw

from perfmodel.presets import PRESETS
from perfmodel.widgets.attempt import attempt
from perfmodel.widgets.state import Change, ExplorerState

__all__ = ["PresetMenu"]

#: What the menu says of a scenario that is no preset.
_OWN = "your own case"


class PresetMenu:
    """A menu that loads presets and follows the scenario.

    Parameters
    ----------
    state : ExplorerState
    failed : callable
        Told what went wrong, or the empty string.
    """

    def __init__(self, state: ExplorerState, failed: Callable[[str], None]) -> None:
        self.state = state
        self._failed = failed
        self._busy = False
        self.menu = ipw.Dropdown(
            description="start from", options=[(_OWN, ""), *((n, n) for n in PRESETS)],
            tooltip="a case of the mail thread, or of people who meet the lock",
            style={"description_width": "138px"}, layout={"width": "340px"},
        )  # fmt: skip
        self.words = ipw.HTML(layout={"margin": "0 0 4px 0"})
        self.box = ipw.VBox([self.menu, self.words])
        self.menu.observe(self._chosen, names="value")
        state.listen(self.follow)
        self.follow(Change(frozenset()))

    def follow(self, change: Change) -> None:
        """Name the preset that the scenario is."""
        if change.plot:
            return
        name = self.state.preset
        self._busy = True
        try:
            self.menu.value = name
        finally:
            self._busy = False
        said = f"{PRESETS[name].sentence} Source: {PRESETS[name].source}." if name else ""
        self.words.value = (
            '<p class="perfmodel-preset" style="margin:0;font-size:0.88em;line-height:1.3">'
            f"{escape(said)}</p>"
        )

    def _chosen(self, event: dict[str, Any]) -> None:
        if not self._busy and event["new"]:
            attempt(lambda: self.state.load_preset(event["new"]), self._failed)
