"""What a report is made of: headings, sentences, lists, tables, formulas and pictures, without a format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = [
    "Block", "Bullets", "Cell", "Code", "Column", "Formula", "Heading", "Mark", "Picture", "Table",
    "Text", "legend", "plain", "printable", "rendered", "stands_out",
]  # fmt: skip

Tone = Literal["plain", "good", "bad", "dim", "strong"]


@dataclass(frozen=True, slots=True)
class Mark:
    """A cell that stands out.

    Parameters
    ----------
    text : str
    tone : {"plain", "good", "bad", "dim", "strong"}
    """

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula: a paragraph of its own, or a cell.

    Parameters
    ----------
    latex : str
        As it is set, without dollar signs. It is not escaped: it comes from declarations alone.
    words : str
        The same for who reads no LaTeX: a terminal, a screen reader.
    label : str
        Its number, without brackets; empty for none.
    """

    latex: str
    words: str
    label: str = ""


Cell = str | Mark | Formula


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; level 1 is the title."""

    text: str
    level: int = 2


@dataclass(frozen=True, slots=True)
class Text:
    """One paragraph."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list; an empty one shows nothing."""

    items: Sequence[str]


@dataclass(frozen=True, slots=True)
class Code:
    """Commands or output, line by line, as they are typed."""

    text: str


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table; `wrap` says whether its cells may be broken into lines."""

    name: str
    right: bool = False
    wrap: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under named columns, with a sentence that says what they are.

    Parameters
    ----------
    columns : sequence of Column
    rows : sequence of sequence of Cell
    caption : str
    label : str
        What the text calls it, such as ``Table 3``; empty where no text does.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    label: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{len(row)} cells under {len(self.columns)} columns")


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure beside the report.

    Parameters
    ----------
    path : str
        Relative to the report.
    caption : str
    alt : str
        For who cannot see it. Default: the caption.
    detail : str
        Everything that is drawn, in words: longer than a caption may be.
    label : str
        What the text calls it, such as ``Figure 3``; empty where no text does.
    narrow : bool
        Whether it is drawn for one column of a two-column page.
    """

    path: str
    caption: str
    alt: str = ""
    detail: str = ""
    label: str = ""
    narrow: bool = False


Block = Heading | Text | Bullets | Table | Picture | Formula | Code


def printable(text: str) -> str:
    """Replace what would steer a terminal: file names and profiles may hold anything."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def plain(cell: Cell) -> str:
    """Return the text of a cell."""
    if isinstance(cell, Formula):
        return cell.words
    return cell.text if isinstance(cell, Mark) else cell


def stands_out(what: Cell | Text) -> bool:
    """Whether a format without colours should print a cell or a paragraph in bold."""
    return isinstance(what, Mark | Text) and what.tone in ("bad", "strong")


def legend(block: Table | Picture) -> str:
    """Return the caption after what the text calls the table or picture."""
    parts = (f"{block.label}." if block.label else "", block.caption)
    return " ".join(filter(None, parts))


def rendered(blocks: Iterable[Block], render: Callable[[Block], str], between: str) -> str:
    """Return all blocks in one format; those that show nothing leave no gap."""
    return between.join(filter(None, map(render, blocks)))
