"""The table: which cut is safe, in which era, and who breaks it; every cell explored completely.

``python -m perfmodel.stale_tlb FILE`` explores all of it, in less than a minute, and writes the file
that the package carries as ``boundary.json``; a test does the same and compares.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from itertools import combinations
from typing import Any

from perfmodel.errors import InputError
from perfmodel.stale_tlb.cells import OTHERS, actors_of, ask, same_question, start_text
from perfmodel.stale_tlb.eras import ERAS, SOURCES
from perfmodel.stale_tlb.invariants import INVARIANTS
from perfmodel.stale_tlb.schedule import Line, lines
from perfmodel.stale_tlb.setting import GUARD_TEXTS, Setting

__all__ = [
    "CHANGES", "SCHEMA", "SIZES", "Answer", "Break", "Question", "answer", "companies", "explain",
    "from_json", "generate", "held_up_by", "load", "questions", "to_json",
]  # fmt: skip

SCHEMA = "perfmodel.stale-tlb/1"

#: Transitions of mprotect that change entries.
CHANGES = ("RW->R", "RW->NONE", "R->NONE", "R->RW", "NONE->R", "NONE->RW")

SIZES = ("base", "huge", "empty")

_POLICIES = ("none", "last-vma", "before-flush", "every-vma", "read-only", "after-flush")
_CUT = ("last-vma", "before-flush")
_GUARDS = tuple(g for g in GUARD_TEXTS if g != "none")

#: The relatives of mprotect, with the policies that are asked about: first, where there are two,
#: the write lock to the end; last what the kernel does (clear_refs: did, to 5.10).
_RELATIVES = (
    ("uffd", ("none", "read-only"), "RW->R"),
    ("numa", ("none", "read-only"), "RW->NONE"),
    ("soft-dirty", ("none", "last-vma"), "RW->R"),
    ("munmap", ("last-vma",), "RW->NONE"),
    ("madvise", ("read-only",), "RW->RW"),
)

#: Pairs that a cell is asked about, besides everybody alone. Every pair was explored once (`answer`
#: with `all_pairs`) for a base entry under `none`, `last-vma` and `before-flush` of mprotect and for
#: its relatives, in 5.10, 5.12 (userfaultfd), 5.19 and 6.18: each smallest company that breaks a cell
#: is somebody alone or one of the first five pairs here.
_PAIRS = (
    ("write-fault", "reference"),
    ("forced-write", "reference"),
    ("write-fault", "forced-write"),
    ("write-fault", "un-protect"),
    ("forced-write", "un-protect"),
    ("forced-write", "ksm"),
    ("numa", "migration"),
)
#: The same for cells that are near another one: with a guard, huge, empty, or with less concurrency
#: than a cut has.
_FEW_PAIRS = _PAIRS[:1]

#: Who is not asked alone: the second of a pair.
_SECOND = ("write-fault-2", "reference")


@dataclass(frozen=True, order=True)
class Question:
    """One cell of the table.

    Parameters
    ----------
    call : str
        ``mprotect``, or ``uffd``, ``numa`` or ``soft-dirty`` for its relatives.
    size : {"base", "huge", "empty"}
        Whether the entry is a PTE, a huge PMD, or not there when the call begins.
    policy : str
        Where the lock is downgraded.
    guard : str
        What is added to the kernel to make it safe; ``none`` for nothing.
    transition : str
        Old and new rights.
    era : str
        First release of the rules.
    """

    call: str
    size: str
    policy: str
    guard: str
    transition: str
    era: str

    @property
    def setting(self) -> Setting:
        """The question in the terms of the model."""
        return Setting(ERAS[self.era], self.call, self.policy, self.transition,
                       self.size, self.guard)  # fmt: skip

    @property
    def key(self) -> str:
        """Name of its row: everything but the era."""
        return "/".join((self.call, self.size, self.policy, self.guard, self.transition))


@dataclass(frozen=True)
class Break:
    """A smallest company that breaks a cell.

    Parameters
    ----------
    by : tuple of str
        Who must be there beside the caller and CPU 3.
    invariant : str
        What is broken.
    steps : int
        Moves of a shortest schedule.
    """

    by: tuple[str, ...]
    invariant: str
    steps: int


@dataclass(frozen=True)
class Answer:
    """What the exploration of a cell found.

    Parameters
    ----------
    breaks : tuple of Break
        Empty where the cell is safe.
    states, transitions : int
        Explored in all its questions together.
    companies : int
        Companies it was asked about.
    """

    breaks: tuple[Break, ...]
    states: int
    transitions: int
    companies: int

    @property
    def safe(self) -> bool:
        """Whether nobody breaks it."""
        return not self.breaks

    @property
    def shortest(self) -> Break:
        """The break with the fewest moves."""
        return min(self.breaks, key=lambda b: (b.steps, len(b.by)))


def questions() -> Iterator[Question]:
    """Give every cell of the table; eras of a row follow each other and share explorations."""
    for row in _rows():
        for era in ERAS:
            yield Question(*row, era)


def _rows() -> Iterator[tuple[str, str, str, str, str]]:
    for size in SIZES:
        for change in CHANGES:
            for policy in _POLICIES:
                yield "mprotect", size, policy, "none", change
            for policy in _CUT if size == "base" else ():
                for guard in _GUARDS:
                    yield "mprotect", size, policy, guard, change
        for call, policies, change in _RELATIVES if size != "empty" else ():
            for policy in policies:
                yield call, size, policy, "none", change


def companies(question: Question, *, all_pairs: bool = False) -> list[tuple[str, ...]]:
    """Return who a cell is asked about: everybody alone, and pairs.

    KSM is left out beside huge entries, which it splits first, and beside userfaultfd, whose mark
    its new entry does not carry: that is another question.
    """
    alone = [(name,) for name in OTHERS if name not in _SECOND]
    if all_pairs:
        pairs = list(combinations(OTHERS, 2))
    elif question.guard == "none" and (
        question.call in ("uffd", "numa") or (question.size == "base" and question.policy in _CUT)
    ):
        pairs = list(_PAIRS)
    else:
        pairs = list(_FEW_PAIRS)
    without_ksm = question.size == "huge" or question.call == "uffd"
    return [c for c in [*alone, *pairs] if not (without_ksm and "ksm" in c)]


def answer(question: Question, *, all_pairs: bool = False) -> Answer:
    """Explore one cell.

    Parameters
    ----------
    question : Question
    all_pairs : bool
        Ask about every pair and not only those that have turned out to matter.
    """
    return _answer(question.setting, companies(question, all_pairs=all_pairs))


def _answer(setting: Setting, asked: Sequence[tuple[str, ...]]) -> Answer:
    found: list[Break] = []
    states = transitions = 0
    for others in asked:
        result = ask(setting, others)
        states += result.states
        transitions += result.transitions
        for number, moves in result.failures.items():
            name = INVARIANTS[number][0]
            if not any(set(b.by) < set(others) and b.invariant == name for b in found):
                found.append(Break(others, name, len(moves)))
    return Answer(tuple(found), states, transitions, len(asked))


def held_up_by(question: Question) -> list[tuple[str, Break]]:
    """Return the rules of the kernel that a safe cell rests on, and who breaks it without them.

    Each rule is taken out alone and the cell explored again, until somebody breaks it; those that
    change nothing are not in the list.
    """
    setting = question.setting
    props = []
    for name in SOURCES:
        less = setting.rules.without(name)
        if less == setting.rules:
            continue
        for others in companies(question):  # the smallest come first
            found = _answer(replace(setting, rules=less), [others])
            if not found.safe:
                props.append((name, found.shortest))
                break
    return props


def generate(tell: Callable[[float], None] | None = None) -> dict[Question, Answer]:
    """Explore every cell.

    Parameters
    ----------
    tell : callable, optional
        Takes the share done.
    """
    wanted = list(questions())
    table = {}
    collecting = gc.isenabled()
    gc.disable()  # there are no cycles to find, and it would look at each state again and again
    try:
        for i, question in enumerate(wanted):
            table[question] = answer(question)
            if tell is not None:
                tell((i + 1) / len(wanted))
    finally:
        if collecting:
            gc.enable()
    return table


def to_json(table: Mapping[Question, Answer]) -> str:
    """Return the table as text, one row a line: eras with the same answer share it."""
    rows: dict[str, dict[str, Any]] = {}
    for question, found in table.items():
        cell = [[[list(b.by), b.invariant, b.steps] for b in found.breaks],
                found.states, found.transitions, found.companies]  # fmt: skip
        rows.setdefault(question.key, {})[question.era] = cell
    body = ",\n".join(f"  {json.dumps(key)}: {json.dumps(row)}" for key, row in rows.items())
    return f'{{"schema": {json.dumps(SCHEMA)}, "cells": {{\n{body}\n}}}}\n'


def from_json(text: str) -> dict[Question, Answer]:
    """Read what `to_json` wrote."""
    data = json.loads(text)
    if data.get("schema") != SCHEMA:
        raise InputError(f"the schema is {data.get('schema')!r}", field="schema", expected=SCHEMA)
    table = {}
    for key, row in data["cells"].items():
        call, size, policy, guard, change = key.split("/")
        for era, (breaks, states, transitions, companies) in row.items():
            told = tuple(Break(tuple(by), name, steps) for by, name, steps in breaks)
            table[Question(call, size, policy, guard, change, era)] = Answer(
                told, states, transitions, companies
            )
    return table


@lru_cache(maxsize=1)
def load() -> Mapping[Question, Answer]:
    """Return the table that the package carries."""
    return from_json(files("perfmodel.stale_tlb").joinpath("boundary.json").read_text("utf-8"))


def explain(question: Question, broken: Break) -> tuple[str, list[Line]]:
    """Return a shortest schedule of a break: what it starts from, and its lines.

    Raises
    ------
    InputError
        If that company does not break that invariant.
    """
    setting = same_question(question.setting, broken.by)
    result = ask(setting, broken.by)
    for number, moves in result.failures.items():
        if INVARIANTS[number][0] == broken.invariant:
            told = lines(actors_of(setting, broken.by), moves, number)
            return start_text(moves[0].before), told
    raise InputError(
        f"{' and '.join(broken.by)} do not break {question.key} in {question.era}",
        field="actor",
    )
