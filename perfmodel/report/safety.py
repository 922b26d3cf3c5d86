"""The table of cuts and who breaks them, and a counterexample to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from perfmodel.report.blocks import Block, Bullets, Cell, Column, Heading, Mark, Table, Text
from perfmodel.stale_tlb.boundary import explain, held_up_by
from perfmodel.stale_tlb.cells import OTHERS
from perfmodel.stale_tlb.eras import ERAS, SOURCES
from perfmodel.stale_tlb.invariants import INVARIANTS
from perfmodel.stale_tlb.rules import SCOPE
from perfmodel.stale_tlb.setting import CALLS, GUARD_TEXTS

if TYPE_CHECKING:
    from perfmodel.stale_tlb.boundary import Answer, Break, Question

__all__ = ["SCHEMA", "boundary_blocks", "cell_dict", "explanation", "explanation_blocks",
           "safety_dict"]  # fmt: skip

SCHEMA = "perfmodel.safety/1"

_SENTENCES = dict(INVARIANTS.values())


def _by(broken: Break) -> str:
    return " + ".join(broken.by)


def _cell(found: Answer | None) -> Mark:
    """Return a cell: safe, or who breaks it."""
    if found is None:
        return Mark("", "dim")
    if found.safe:
        return Mark("safe", "good")
    return Mark("; ".join(dict.fromkeys(_by(b) for b in found.breaks)), "bad")


def _name(question: Question) -> str:
    """Return a cell's name without its era."""
    size = {"base": "", "huge": ", huge", "empty": ", not populated"}[question.size]
    guard = "" if question.guard == "none" else f", with {question.guard}"
    return f"{question.call} {question.transition}{size}, {question.policy}{guard}"


def boundary_blocks(cells: Mapping[Question, Answer]) -> list[Block]:
    """Return the table: a row for each call, transition and cut, a column for each era.

    Parameters
    ----------
    cells : mapping of Question to Answer
        The cells to show; neighbouring eras that answer alike throughout share a column.
    """
    rows: dict[tuple[str, ...], dict[str, Answer]] = {}
    for question, found in cells.items():
        row = (question.call, question.transition, question.size, question.policy, question.guard)
        rows.setdefault(row, {})[question.era] = found
    eras = [era for era in ERAS if any(era in row for row in rows.values())]
    groups: list[list[str]] = []
    for era in eras:
        alike = groups and all(
            _cell(r.get(era)) == _cell(r.get(groups[-1][0])) for r in rows.values()
        )
        if alike:
            groups[-1].append(era)
        else:
            groups.append([era])
    varied = [len({row[i] for row in rows}) > 1 for i in (0, 2, 4)]
    heads = [Column("call")] if varied[0] else []
    heads.append(Column("transition"))
    heads += [Column("entry")] if varied[1] else []
    heads.append(Column("cut"))
    heads += [Column("guard")] if varied[2] else []
    columns = [*heads, *(Column(f"from {group[0]}", wrap=True) for group in groups)]
    body: list[list[Cell]] = []
    for (call, change, size, policy, guard), answers in rows.items():
        shown = [call] if varied[0] else []
        shown.append(change)
        shown += [size] if varied[1] else []
        shown.append(policy)
        shown += [guard] if varied[2] else []
        body.append([*shown, *(_cell(answers.get(group[0])) for group in groups)])
    calls = ", ".join(dict.fromkeys(row[0] for row in rows))
    return [
        Heading(f"Who breaks which cut: {calls}", 3),
        Table(columns, body),
        Bullets(_notes(cells)),
    ]


def _notes(cells: Mapping[Question, Answer]) -> list[str]:
    breaks = [b for found in cells.values() for b in found.breaks]
    names = [n for n in OTHERS if any(n in b.by for b in breaks)]
    notes = [f"{name}: {OTHERS[name]}." for name in names]
    guards = list(dict.fromkeys(q.guard for q in cells if q.guard != "none"))
    notes += [f"Guard {guard}: {GUARD_TEXTS[guard]}." for guard in guards]
    if any(q.policy == "read-only" and q.call == "mprotect" for q in cells):
        notes.append("read-only of mprotect is about the entries alone: mprotect changes the VMA too,"
                     " which needs the write lock in any case.")  # fmt: skip
    states = sum(found.states for found in cells.values())
    moves = sum(found.transitions for found in cells.values())
    notes.append(f"Every interleaving explored to the end: {states:,} states, {moves:,} moves in"
                 f" {sum(f.companies for f in cells.values()):,} explorations.")  # fmt: skip
    return [*notes, f"Scope: {SCOPE}."]


def explanation(question: Question, broken: Break) -> dict[str, Any]:
    """Return a counterexample as JSON-ready values."""
    start, told = explain(question, broken)
    return {
        "cell": cell_name(question),
        "by": list(broken.by),
        "invariant": broken.invariant,
        "start": start,
        "schedule": [{"actor": line.actor, "does": line.text} for line in told[:-1]],
        "end": told[-1].text,
    }


def cell_name(question: Question) -> str:
    """Return what a cell is called: call, transition, cut and era."""
    return f"{_name(question)}, from {question.era}"


def explanation_blocks(question: Question, broken: Break | None) -> list[Block]:
    """Return a shortest counterexample; of a safe cell, the rules it would not be safe without.

    Parameters
    ----------
    question : Question
    broken : Break or None
        Which break; None for a safe cell.
    """
    if broken is None:
        return _props_blocks(question)
    start, told = explain(question, broken)
    rows: list[list[Cell]] = [
        [str(i), line.actor, line.text] for i, line in enumerate(told[:-1], start=1)
    ]
    columns = [Column("", right=True), Column("who"), Column("does", wrap=True)]
    return [
        Heading(f"{cell_name(question)}: broken by {_by(broken)}", 3),
        Text(start),
        Table(columns, rows),
        Text(told[-1].text, "bad"),
        Text("No schedule with these actors is shorter."),
    ]


def _props_blocks(question: Question) -> list[Block]:
    props = held_up_by(question)
    rows: list[list[Cell]] = [
        [name, _by(broken), broken.invariant, SOURCES[name]] for name, broken in props
    ]
    columns = [
        Column("without"),
        Column("broken by"),
        Column("what"),
        Column("the rule", wrap=True),
    ]
    head = Heading(f"{cell_name(question)}: nobody breaks it", 3)
    if not rows:
        return [head, Text("It rests on the locks alone: no other rule matters to it.")]
    return [head, Text("It rests on these rules: without any one of them it is broken."),
            Table(columns, rows)]  # fmt: skip


def cell_dict(question: Question, found: Answer) -> dict[str, Any]:
    """Return one cell as JSON-ready values."""
    return {
        "call": question.call,
        "mark": CALLS[question.call],
        "entry": question.size,
        "policy": question.policy,
        "guard": question.guard,
        "transition": question.transition,
        "since": question.era,
        "safe": found.safe,
        "broken_by": [
            {"actors": list(b.by), "invariant": b.invariant, "sentence": _SENTENCES[b.invariant],
             "steps": b.steps}
            for b in found.breaks
        ],
        "states": found.states,
        "moves": found.transitions,
        "explorations": found.companies,
    }  # fmt: skip


def safety_dict(
    cells: Mapping[Question, Answer], explained: Sequence[tuple[Question, Break | None]] = ()
) -> dict[str, Any]:
    """Return the cells, and what is explained of them, as JSON-ready values."""
    told: list[dict[str, Any]] = []
    for question, broken in explained:
        if broken is not None:
            told.append(explanation(question, broken))
            continue
        told.append({
            "cell": cell_name(question),
            "rests_on": [
                {"rule": name, "source": SOURCES[name], "without_it": list(b.by),
                 "invariant": b.invariant}
                for name, b in held_up_by(question)
            ],
        })  # fmt: skip
    return {
        "schema": SCHEMA,
        "scope": SCOPE,
        "cells": [cell_dict(q, found) for q, found in cells.items()],
        "explained": told,
    }
