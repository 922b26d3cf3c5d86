"""What a report is made of: headings, sentences, lists, tables and pictures, without a format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Block", "Bullets", "Column", "Heading", "Mark", "Picture", "Table", "Text", "printable"]

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


Cell = str | Mark


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
class Column:
    """One column of a table; `wrap` says whether its cells may be broken into lines."""

    name: str
    right: bool = False
    wrap: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under named columns, with a sentence that says what they are."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{len(row)} cells under {len(self.columns)} columns")


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure beside the report, by relative path."""

    path: str
    caption: str


Block = Heading | Text | Bullets | Table | Picture


def printable(text: str) -> str:
    """Replace what would steer a terminal: file names and profiles may hold anything."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def plain(cell: Cell) -> str:
    """Return the text of a cell."""
    return cell.text if isinstance(cell, Mark) else cell
