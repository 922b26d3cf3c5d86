"""The account of one call, in the declared equations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfmodel.equations import EQUATIONS, account, hold
from perfmodel.report.blocks import Block, Cell, Column, Formula, Heading, Table, Text
from perfmodel.writeup.numbering import about, ref

if TYPE_CHECKING:
    from perfmodel.equations import Equation
    from perfmodel.writeup.material import Material

__all__ = ["SHOWN", "blocks", "formula"]

#: Equations of the account, in the order in which they are shown.
_ACCOUNT = (
    account.NET_GAIN, account.LOST_TIME, account.WAKE_TIME, account.WAKER_TIME, account.LINE_TIME,
)  # fmt: skip
_BLOCKED = tuple(EQUATIONS[n] for n in ("blocked_open", "blocked_time_open", "blocked_time_finite"))

#: Pieces of mprotect's hold that grow with the question, and those under the lock at all.
_PIECES = (hold.locked, hold.find, hold.prepare_mprotect, hold.step, hold.walk_protect)

#: Every equation that the write-up shows, those of the break-even apart.
SHOWN: tuple[Equation, ...] = (*_ACCOUNT, *_BLOCKED, *_PIECES)


def formula(equation: Equation, *, label: bool = False) -> Formula:
    """Return an equation as a block, with a number if it is spoken of."""
    words = f"{equation.name} = {equation.expression}"
    return Formula(equation.latex(), words, ref("equation", equation.name) if label else "")


def blocks(material: Material) -> list[Block]:
    """Return the account, what is blocked, and the pieces of the hold."""
    blocking, waits = (
        material.figure("cost_of_blocking", "column"),
        material.figure("waits_over_load"),
    )
    found: list[Block] = [
        Heading("The account of one call", 3),
        Text(
            "A policy is judged by the thread time that is lost to one call: blocked faults, woken faults on"
            " their way, the caller's wake-ups, the lock's cache line, the call itself, and a guard if there"
            f" is one.{about(blocking, 'shows what it costs to be blocked, beside the hold that is waited for.')}"
        ),
    ]
    found += [*blocking, *(formula(e, label=True) for e in _ACCOUNT)]
    found.append(Text(
        "What a call blocks follows from the window Y. The first two are for an open stream of faults"
        " (Poisson), the third for threads that fault, pause and fault again; a wait A that varies"
        " enters the third through its variance over its mean."
        f"{about(waits, 'shows how the waits grow as the lock fills.')}"
    ))  # fmt: skip
    found += [*waits, *(formula(e, label=True) for e in _BLOCKED)]
    pieces: list[list[Cell]] = [[e.result.meaning, formula(e)] for e in _PIECES]
    found += [
        Table([Column("piece of mprotect's hold"), Column("time")], pieces,
              "The pieces that are in every hold; a flush and its interrupts, which depend on whether an entry"
              " changed, come on top", ref("table", "pieces")),
        _symbols(),
    ]  # fmt: skip
    return found


def _symbols() -> Table:
    """Return every symbol of the account and of the blocked faults, with its declaration."""
    seen = {
        name: declared
        for equation in (*_ACCOUNT, *_BLOCKED)
        for name, declared in equation.arguments.items()
    }
    shown = {e.name for e in _ACCOUNT}
    rows: list[list[Cell]] = [
        [Formula(q.symbol, name), q.meaning, "" if q.unit == "1" else q.unit]
        for name, q in seen.items() if name not in shown
    ]  # fmt: skip
    columns = [Column("symbol"), Column("meaning", wrap=True), Column("unit")]
    return Table(columns, rows, "Symbols of the equations above, as they are declared; times are"
                 " nanoseconds, rates per nanosecond", ref("table", "symbols"))  # fmt: skip
