"""The sections of the write-up, in their order: one module each.

A section is a module with ``blocks(material)``, which returns its blocks, its heading first; nothing
where it has nothing to say. To add one, write the module and put it into `SECTIONS`. Numbers come from
the material, never from the text; figures, tables and sources are spoken of through
:func:`perfmodel.writeup.numbering.ref`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from perfmodel.writeup.sections import (
    account,
    answer,
    assumptions,
    cases,
    claims,
    eras,
    experiment,
    further,
    guards,
    limits,
    machine,
    question,
    reproduce,
    safety,
    sources,
    turning,
    validation,
    vocabulary,
)

if TYPE_CHECKING:
    from perfmodel.report.blocks import Block
    from perfmodel.writeup.material import Material

__all__ = ["SECTIONS"]

#: In the order of the document.
SECTIONS: tuple[Callable[[Material], list[Block]], ...] = (
    answer.blocks,
    question.blocks,
    vocabulary.blocks,
    account.blocks,
    assumptions.blocks,
    machine.blocks,
    claims.blocks,
    cases.blocks,
    turning.blocks,
    eras.blocks,
    guards.blocks,
    validation.blocks,
    experiment.blocks,
    safety.blocks,
    limits.blocks,
    further.blocks,
    reproduce.blocks,
    sources.blocks,
)
