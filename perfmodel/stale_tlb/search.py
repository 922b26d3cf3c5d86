"""Breadth-first search of every interleaving: complete, and the first failure is a shortest one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perfmodel.stale_tlb.invariants import visible
from perfmodel.stale_tlb.program import END, Act, Actor
from perfmodel.stale_tlb.state import FOUND, PTL, SLOTS, ModelError, State

__all__ = ["Exploration", "Move", "explore"]

#: Place, among an actor's numbers, of where it is in a section explored in single steps.
_SECTION = SLOTS - 1
_OUTSIDE, _TAKEN, _LEAVING = range(3)

#: States beyond which an exploration is given up: nothing asked here comes near it.
LIMIT = 5_000_000


@dataclass(frozen=True, slots=True)
class Move:
    """One step of a schedule.

    Parameters
    ----------
    actor : int
        Place of the actor in the list.
    text : str
        What it does, with names of pages still to be filled in.
    before, after : bytes
        The states on both sides.
    """

    actor: int
    text: str
    before: bytes
    after: bytes


@dataclass(frozen=True)
class Exploration:
    """What a complete search found.

    Parameters
    ----------
    states, transitions : int
        Distinct states that can be reached, and the moves between them.
    depth : int
        Moves to the state farthest from the start.
    failures : dict of int to tuple of Move
        By invariant, a shortest schedule that breaks it.
    stuck : int
        States in which an actor has not ended and nobody can move.
    """

    states: int
    transitions: int
    depth: int
    failures: dict[int, tuple[Move, ...]]
    stuck: int = 0

    @property
    def safe(self) -> bool:
        """Whether no invariant can be broken."""
        return not self.failures


def explore(
    actors: Sequence[Actor], starts: Sequence[State], *, single_steps: bool = False
) -> Exploration:
    """Explore every interleaving of the actors from every start.

    Parameters
    ----------
    actors : sequence of Actor
        In the order of their slots.
    starts : sequence of State
        States before the first move; each actor's step is set here.
    single_steps : bool
        Take and drop the page-table lock in steps of their own. It gives the same answers and is
        there to show that.

    Raises
    ------
    ModelError
        If the model met a case it was not made for, or the search became too long.
    """
    compiled = [_compile(actor) for actor in actors]
    parents: dict[bytes, tuple[bytes, int, str] | None] = {}
    frontier: list[bytes] = []
    for start in starts:
        first = list(start)
        for steps in compiled:
            first[steps.base] = steps.start
        parents.setdefault(bytes(first), None)
    frontier = list(parents)
    broken: dict[int, bytes] = {}
    moves_of = _section_moves if single_steps else _moves
    transitions = depth = stuck = 0
    while frontier:
        found: list[bytes] = []
        for state in frontier:
            moved = False
            for number, steps in enumerate(compiled):
                for new, text in moves_of(state, steps):
                    moved = True
                    transitions += 1
                    visible(new)
                    after = bytes(new)
                    if after in parents:
                        continue
                    parents[after] = (state, number, text)
                    if new[FOUND]:
                        broken.setdefault(new[FOUND], after)
                    else:
                        found.append(after)
            if not moved and any(state[x.base] != x.end for x in compiled[1:]):
                stuck += 1
        frontier = found
        depth += bool(found)
        if len(parents) > LIMIT:
            raise ModelError(f"more than {LIMIT} states")
    failures = {name: _schedule(state, parents) for name, state in sorted(broken.items())}
    return Exploration(len(parents), transitions, depth, failures, stuck)


@dataclass(frozen=True, slots=True)
class _Compiled:
    """An actor with its labels turned into places in a list."""

    base: int
    owner: int
    start: int
    end: int
    place: dict[str, int]
    steps: list[tuple[tuple[Act, bool], ...]]


def _compile(actor: Actor) -> _Compiled:
    labels = actor.labels
    place = {label: i for i, label in enumerate(labels)}
    steps = [tuple((x.act, x.section) for x in actor.steps.get(label, ())) for label in labels]
    slot = actor.slot
    return _Compiled(slot.base, slot.owner, place[actor.start], place[END], place, steps)


def _moves(state: Sequence[int], actor: _Compiled) -> list[tuple[State, str]]:
    """Return what an actor can do next, a page-table section in one move."""
    moves = []
    for act, section in actor.steps[state[actor.base]]:
        if section and state[PTL]:
            continue
        new: State = bytearray(state)
        outcome = act(new)
        if outcome is not None:
            new[actor.base] = actor.place[outcome[0]]
            moves.append((new, outcome[1]))
    return moves


def _section_moves(state: Sequence[int], actor: _Compiled) -> list[tuple[State, str]]:
    """Return the same with taking and dropping the page-table lock in moves of their own."""
    where = actor.base + _SECTION
    new = list(state)
    if state[where] == _LEAVING:
        new[where], new[PTL] = _OUTSIDE, 0
        return [(new, "drops the page-table lock")]
    if not any(section for _, section in actor.steps[state[actor.base]]):
        return _moves(state, actor)
    if state[where] == _OUTSIDE:
        if state[PTL]:
            return []
        new[where], new[PTL] = _TAKEN, actor.owner
        return [(new, "takes the page-table lock")]
    new[PTL] = 0
    moves = _moves(new, actor)
    for after, _ in moves:
        # What the step keeps, a later step drops; what it dropped is dropped in a move of its own.
        after[where] = _OUTSIDE if after[PTL] else _LEAVING
        after[PTL] = actor.owner
    return moves


def _schedule(
    state: bytes, parents: dict[bytes, tuple[bytes, int, str] | None]
) -> tuple[Move, ...]:
    """Return the moves from a start to `state`."""
    moves = []
    link = parents[state]
    while link is not None:
        before, actor, text = link
        moves.append(Move(actor, text, before, state))
        state, link = before, parents[before]
    return tuple(reversed(moves))
