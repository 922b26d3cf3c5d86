"""A schedule as it is read: numbered lines, each an actor and what it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perfmodel.stale_tlb.actors.locks import FRAME_HELD, FRAME_NEW
from perfmodel.stale_tlb.invariants import INVARIANTS
from perfmodel.stale_tlb.program import Actor
from perfmodel.stale_tlb.search import Move
from perfmodel.stale_tlb.state import FRAME, TLB, WRITE, frame_of

__all__ = ["Line", "lines"]

_PAGES = "ABCDEFGH"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a schedule: who, and what he does."""

    actor: str
    text: str


def lines(actors: Sequence[Actor], moves: Sequence[Move], invariant: int) -> list[Line]:
    """Return a schedule in words, with the sentence that says what went wrong at its end."""
    told = []
    for move in moves:
        base = actors[move.actor].slot.base
        names = {
            "page": _PAGES[move.before[FRAME]],
            "page_after": _PAGES[move.after[FRAME]],
            "cached": _PAGES[max(frame_of(move.before[TLB]), 0)],
            "held": _PAGES[move.before[base + FRAME_HELD]],
            # A page is held on the side of the move on which it is not yet, or no more, dropped.
            "new": _PAGES[move.after[base + FRAME_NEW] or move.before[base + FRAME_NEW]],
            "rights": "for reading and writing" if move.before[WRITE] else "for reading",
        }
        told.append(Line(actors[move.actor].name, move.text.format(**names)))
    told.append(Line("", INVARIANTS[invariant][1]))
    return told
