"""What an explorer shows of a scenario, and what it shows beside it: plain values."""

from __future__ import annotations

from dataclasses import dataclass, field

from perfmodel.breakeven import PARAMETERS
from perfmodel.errors import InputError
from perfmodel.scenario import Policy, Scenario

__all__ = ["MOST_PINS", "VIEWS", "Exploration", "Pin", "Shown"]

#: The views by name, with the question that each answers.
VIEWS: dict[str, str] = {
    "overview": "hold, and gain over a parameter",
    "timeline": "who holds the lock when",
    "policies": "net gain by policy",
    "map": "break-even map",
    "waits": "waits against load",
    "account": "where the time goes",
    "sensitivity": "what the answer hangs on",
}

#: Scenarios that can be pinned at once: as many as can be told apart by line style.
MOST_PINS = 3


@dataclass(frozen=True)
class Shown:
    """Which view, and what it is over.

    Parameters
    ----------
    view : str
        One of `VIEWS`.
    over : str
        The swept parameter, one of `perfmodel.breakeven.PARAMETERS`.
    across : str
        The second parameter of the map.
    policy : Policy, optional
        The cut whose gain is shown; None for the one that the verdict judges.

    Raises
    ------
    InputError
        If a name is unknown, or both parameters of the map are one.
    """

    view: str = "overview"
    over: str = "pages"
    across: str = "fault_rate"
    policy: Policy | None = None

    def __post_init__(self) -> None:
        if self.view not in VIEWS:
            raise InputError(f"there is no view {self.view!r}", field="view",
                             expected="one of " + ", ".join(VIEWS))  # fmt: skip
        for name in ("over", "across"):
            if getattr(self, name) not in PARAMETERS:
                raise InputError(f"cannot sweep {getattr(self, name)!r}", field=name,
                                 expected="one of " + ", ".join(PARAMETERS))  # fmt: skip
        if self.over == self.across:
            raise InputError(f"the map would have {self.over} on both axes", field="across",
                             expected="another parameter")  # fmt: skip
        if self.policy is Policy.NONE:
            raise InputError("no downgrade gains nothing against itself", field="cut",
                             expected="another policy")  # fmt: skip


@dataclass(frozen=True)
class Pin:
    """A scenario put aside under a name, to be compared with the present one."""

    name: str
    scenario: Scenario


@dataclass(frozen=True)
class Exploration:
    """All that a link or a file carries: the scenario, what is shown, and what is pinned.

    Raises
    ------
    InputError
        If two pins have one name, or there are more than `MOST_PINS`.
    """

    scenario: Scenario
    shown: Shown = field(default_factory=Shown)
    pins: tuple[Pin, ...] = ()

    def __post_init__(self) -> None:
        names = [p.name for p in self.pins]
        if len(set(names)) < len(names):
            raise InputError("two pinned scenarios have one name", field="pins")
        if len(names) > MOST_PINS:
            raise InputError(f"{len(names)} scenarios are pinned", field="pins",
                             expected=f"at most {MOST_PINS}")  # fmt: skip
