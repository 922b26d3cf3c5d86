"""Pin the present scenario, and see what is pinned beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import ipywidgets as ipw

from perfmodel.scenario import Policy
from perfmodel.widgets.attempt import attempt
from perfmodel.widgets.comparison import answers, differences
from perfmodel.widgets.state import ExplorerState
from perfmodel.widgets.tables import comparison_table

if TYPE_CHECKING:
    from perfmodel.prediction import Prediction

__all__ = ["Pinboard"]


class Pinboard:
    """A name, two buttons, and the table of differences.

    Parameters
    ----------
    state : ExplorerState
    failed : callable
        Told what went wrong, or the empty string.
    """

    def __init__(self, state: ExplorerState, failed: Callable[[str], None]) -> None:
        self.state = state
        self.name = ipw.Text(placeholder="name of the pin", layout={"width": "150px"})
        self.pin = ipw.Button(
            description="Pin this", tooltip="put the present scenario aside, for comparison",
            layout={"width": "100px"},
        )  # fmt: skip
        self.pinned = ipw.Dropdown(
            options=[], description="pinned", style={"description_width": "50px"},
            layout={"width": "180px"}, tooltip="what is pinned",
        )  # fmt: skip
        self.drop = ipw.Button(description="Drop", layout={"width": "70px"},
                               tooltip="forget the pinned scenario")  # fmt: skip
        self.back = ipw.Button(description="Return to it", layout={"width": "110px"},
                               tooltip="make the pinned scenario the present one")  # fmt: skip
        self.table = ipw.HTML()
        self._of_pins = ipw.HBox([self.pinned, self.drop, self.back])
        self.box = ipw.VBox([ipw.HBox([self.name, self.pin, self._of_pins]), self.table])
        for button, act in ((self.pin, self._pin), (self.drop, self._drop),
                            (self.back, self._return)):  # fmt: skip
            button.on_click(lambda _, act=act: attempt(act, failed))

    def show(self, now: Prediction, pinned: tuple[Prediction, ...], policy: Policy) -> None:
        """Fill the table.

        Parameters
        ----------
        now : Prediction
            Of the present scenario.
        pinned : tuple of Prediction
            In the order of the state's pins; empty while they are not there.
        policy : Policy
            The cut whose gain is compared.
        """
        names = tuple(p.name for p in self.state.pins)
        if tuple(self.pinned.options) != names:
            chosen = self.pinned.value
            self.pinned.options = names
            # A menu that was empty chooses nothing by itself.
            self.pinned.value = chosen if chosen in names else names[-1] if names else None
        self._of_pins.layout.display = None if names else "none"
        if not names:
            self.table.value = ""
        elif len(pinned) == len(names):
            scenarios = tuple(p.scenario for p in self.state.pins)
            rows = (*differences(now.scenario, scenarios), *answers((now, *pinned), policy))
            self.table.value = comparison_table(names, rows)

    def _pin(self) -> None:
        self.state.pin(self.name.value)
        self.name.value = ""

    def _drop(self) -> None:
        self.state.unpin(self.pinned.value)

    def _return(self) -> None:
        chosen = next(p for p in self.state.pins if p.name == self.pinned.value)
        self.state.replace(chosen.scenario)
