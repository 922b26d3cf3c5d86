"""What an actor is: named steps, each of which one thread does without anybody seeing half of it.

A step is one access that others can see, with the locks taken just before it and dropped just after
it. Taking a lock may be moved later and dropping one earlier without changing what can happen, so
nothing is lost by that; `search.explore` can take the page-table lock in steps of its own, and a
test compares.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from perfmodel.stale_tlb.state import Slot, State

__all__ = ["END", "Act", "Actor", "Outcome", "Step"]

#: Where every program ends.
END = "end"

#: The next step and what was done in words, or None where the step must wait.
Outcome = tuple[str, str] | None
Act = Callable[[State], Outcome]


@dataclass(frozen=True, slots=True)
class Step:
    """One step; `section` says that it needs the page-table lock and no one may hold it."""

    act: Act
    section: bool = False


@dataclass
class Actor:
    """A thread (or CPU) and its program.

    Parameters
    ----------
    name : str
        As it is called in a schedule.
    slot : Slot
        Where it keeps its numbers.
    start : str
        Its first step.
    """

    name: str
    slot: Slot
    start: str
    steps: dict[str, list[Step]] = field(default_factory=dict)

    def add(self, label: str, act: Act, *, section: bool = False) -> None:
        """Add a step; a second one under the same label is an alternative to the first."""
        self.steps.setdefault(label, []).append(Step(act, section))

    @property
    def labels(self) -> list[str]:
        """The steps in order; their place is the actor's program counter."""
        return [*self.steps, END]
