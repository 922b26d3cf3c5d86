"""The whole document: its title, its blocks, and the figures that they show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from perfmodel import __version__
from perfmodel.writeup.material import Drawn, Material
from perfmodel.writeup.numbering import numbered

if TYPE_CHECKING:
    from perfmodel.machine import Machine
    from perfmodel.observations import ObservationTable
    from perfmodel.report.blocks import Block

__all__ = ["TITLE", "Document", "compose"]

TITLE = "When does downgrading mmap_lock in mprotect pay?"


@dataclass(frozen=True, eq=False)
class Document:
    """The write-up, without a format.

    Parameters
    ----------
    subtitle : str
        What it was made with.
    blocks : sequence of Block
        The title apart; figures are named ``figures/NAME.svg``.
    figures : mapping of str to Drawn
        By name.
    missing : mapping of str to str
        Figures that could not be drawn, and why.
    """

    subtitle: str
    blocks: Sequence[Block]
    figures: Mapping[str, Drawn]
    missing: Mapping[str, str]


def compose(
    machine: Machine,
    run: ObservationTable | None = None,
    *,
    draws: int = 400,
    appendix: bool = False,
    sections: Sequence[Callable[[Material], list[Block]]] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Document:
    """Ask every question and put the answers into one document.

    Parameters
    ----------
    machine : Machine
        The costs.
    run : ObservationTable, optional
        A run that the profile was not fitted to.
    draws : int
        Draws behind the intervals.
    appendix : bool
        Whether to draw the figures that no section shows, too.
    sections : sequence of callable, optional
        Default: `perfmodel.writeup.sections.SECTIONS`.
    progress : callable
        Told in a few words what is being done.

    Raises
    ------
    InputError
        If the run is one that the profile was fitted to, or a constant that an answer needs is out of
        its domain.
    """
    if sections is None:
        from perfmodel.writeup.sections import SECTIONS

        sections = SECTIONS
    material = Material(machine, run, draws, appendix, progress)
    blocks = [block for section in sections for block in section(material)]
    subtitle = f"perfmodel {__version__}, profile {machine.name} ({machine.evidence}), sha256 {machine.sha256[:12]}"
    return Document(subtitle, numbered(blocks), dict(material.drawn), dict(material.missing))
