"""Who breaks which cut, in which release: the table of the exploration as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from perfmodel.figures.kind import Inputs, Kind, Rows
from perfmodel.figures.style import (
    BLACK,
    GREY,
    ORANGE,
    PAGE,
    VERMILLION,
    drawing,
    provenance,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from perfmodel.stale_tlb.boundary import Answer

__all__ = [
    "FIGURE", "LETTERS", "PANELS", "Cell", "Spec", "alt", "caption", "data_for", "draw", "rows",
    "title",
]  # fmt: skip

EVIDENCE = "exhaustive exploration of one page-table entry: every interleaving of these actors"

#: Who breaks a cell, and the letter that stands for it.
LETTERS: Mapping[str, str] = {
    "forced-write": "F", "dontneed": "D", "write-fault": "W", "un-protect": "U",
    "second-call": "S", "read-fault": "R",
}  # fmt: skip

#: Panels: title, and the rows (label, call, policy, transition).
_CHANGES = ("RW->R", "RW->NONE", "R->NONE", "R->RW", "NONE->R", "NONE->RW")
PANELS: tuple[tuple[str, tuple[tuple[str, str, str, str], ...]], ...] = (
    ("mprotect, cut before the\nwalk (last-vma)",
     tuple((c.replace("->", "→"), "mprotect", "last-vma", c) for c in _CHANGES)),
    ("mprotect, cut before the\nflush (before-flush)",
     tuple((c.replace("->", "→"), "mprotect", "before-flush", c) for c in _CHANGES)),
    ("mprotect, read lock\nthroughout",
     tuple((c.replace("->", "→"), "mprotect", "read-only", c) for c in _CHANGES)),
    ("what does without the\nwrite lock",
     (("uffd write-protect", "uffd", "read-only", "RW->R"),
      ("NUMA hinting", "numa", "read-only", "RW->NONE"),
      ("clear_refs, last-vma", "soft-dirty", "last-vma", "RW->R"),
      ("munmap, downgrade", "munmap", "last-vma", "RW->NONE"),
      ("MADV_DONTNEED", "madvise", "read-only", "RW->RW"))),
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One cell of the table.

    Parameters
    ----------
    by : str
        Letters of who breaks it, alone or with company; empty where nobody does.
    lost : bool
        Whether a store is lost, and not only late.
    states : int
        Explored.
    """

    by: str
    lost: bool
    states: int


@dataclass(frozen=True, eq=False)
class Spec:
    """The figure as data.

    Parameters
    ----------
    eras : tuple of str
        First releases.
    cells : mapping of (int, int, str) to Cell
        By panel, row and era.
    states, cells_explored : int
        Of the whole table, guards and huge entries too.
    source : mapping
    """

    eras: tuple[str, ...]
    cells: Mapping[tuple[int, int, str], Cell]
    states: int
    cells_explored: int
    source: Mapping[str, Any]

    def broken(self, panel: int, era: str) -> int:
        """Return how many rows of a panel are broken in an era."""
        return sum(bool(c.by) for (p, _, e), c in self.cells.items() if (p, e) == (panel, era))


def _cell(found: Answer) -> Cell:
    names = {name for b in found.breaks for name in b.by}
    by = "".join(letter for name, letter in LETTERS.items() if name in names)
    return Cell(by, any(b.invariant == "lost-store" for b in found.breaks), found.states)


def data_for() -> Spec:
    """Take the rows of the panels from the explored table."""
    from perfmodel.stale_tlb.boundary import Question, load
    from perfmodel.stale_tlb.eras import ERAS

    table = load()
    cells = {
        (p, r, era): _cell(table[Question(call, "base", policy, "none", change, era)])
        for p, (_, listed) in enumerate(PANELS)
        for r, (_, call, policy, change) in enumerate(listed)
        for era in ERAS
    }
    return Spec(
        tuple(ERAS), cells, sum(a.states for a in table.values()), len(table),
        provenance(None, evidence=EVIDENCE),
    )  # fmt: skip


def _panel(axes: Axes, spec: Spec, number: int) -> None:
    name, listed = PANELS[number]
    for r in range(len(listed)):
        for c, era in enumerate(spec.eras):
            cell = spec.cells[number, r, era]
            if cell.by:
                colour = VERMILLION if cell.lost else ORANGE
                axes.add_patch(_box(c, r, colour))
                axes.text(c, r, cell.by, ha="center", va="center", fontsize=7, weight="bold",
                          color="white" if cell.lost else BLACK)  # fmt: skip
            else:
                axes.plot(c, r, ls="none", marker=".", ms=3, color=GREY)
    axes.set_xlim(-0.5, len(spec.eras) - 0.5)
    axes.set_ylim(len(listed) - 0.5, -0.5)
    axes.set_xticks(range(len(spec.eras)), spec.eras)
    axes.set_yticks(range(len(listed)), [label for label, *_ in listed])
    axes.set_title(name)
    axes.tick_params(length=0)
    axes.grid(visible=False)


def _box(column: int, row: int, colour: str) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, color=colour, lw=0)


def title(spec: Spec) -> str:
    """Return the finding in one line."""
    last = [era for era in spec.eras if spec.broken(0, era) or spec.broken(1, era)]
    following = spec.eras[spec.eras.index(last[-1]) + 1] if last else spec.eras[0]
    return f"Both cuts are broken before {following}, by a debugger first of all; later by nobody modelled"


@drawing(title)
def draw(spec: Spec, figure: Figure) -> None:
    """Draw one panel a cut: a letter where somebody breaks it, a dot where nobody does."""
    grid = figure.subplots(2, 2)
    for number, axes in enumerate(grid.flat):
        _panel(axes, spec, number)
    for axes in grid[1]:
        axes.set_xlabel("rules from this release on")
    figure.supxlabel(
        "F forced write   D MADV_DONTNEED   W write fault   U un-protect   S second call   R read"
        " fault\nred, white letter: a store is lost;  orange, black letter: an access after the call has"
        " returned;  dot: nobody breaks it",
        fontsize=7.5,
    )


def caption(spec: Spec) -> str:
    """Return the caption, with the numbers of the spec."""
    first = spec.eras[0]
    return (
        f"Who breaks a cut, by transition and release. In {first} the cut before the walk is broken in"
        f" {spec.broken(0, first)} of {len(PANELS[0][1])} transitions, the cut before the flush in"
        f" {spec.broken(1, first)}, the read lock throughout in {spec.broken(2, first)}. Several letters:"
        " several can, alone or together with somebody. Each cell is a complete exploration:"
        f" {spec.cells_explored} cells with guards and huge entries, {spec.states:,} states in all."
        " `perfmodel safety --explain` prints the shortest schedule of any. Private anonymous memory on"
        f" x86, at most two others beside the caller and a CPU that still runs. Evidence: {EVIDENCE}."
    )


def alt(spec: Spec) -> str:
    """Return the text for who cannot see the figure."""
    return (
        "Four tables, one a cut and one of what the kernel does under the read lock; rows are"
        f" transitions, columns releases from {spec.eras[0]} to {spec.eras[-1]}; letters mark who breaks a"
        f" cell. {title(spec)}."
    )


def rows(spec: Spec) -> Rows:
    """Return everything drawn, one row a cell."""
    head = (
        "panel",
        "row",
        "call",
        "policy",
        "transition",
        "since",
        "broken_by",
        "store_lost",
        "states",
    )
    body = []
    for (p, r, era), cell in spec.cells.items():
        label, call, policy, change = PANELS[p][1][r]
        body.append((PANELS[p][0].replace("\n", " "), label, call, policy, change, era, cell.by,
                     cell.lost, cell.states))  # fmt: skip
    return head, body


def _build(_: Inputs) -> Spec:
    return data_for()


FIGURE = Kind(
    name="who_breaks", size=(PAGE, 4.1),
    question="Is it unsafe, who breaks it, and up to which release?",
    build=_build, draw=draw, title=title, caption=caption, alt=alt, rows=rows, claims=("C6",),
)  # fmt: skip
