"""What was asked and what the mail said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfmodel.report.blocks import Block, Bullets, Heading, Text
from perfmodel.writeup.numbering import ref

if TYPE_CHECKING:
    from perfmodel.writeup.material import Material

__all__ = ["blocks"]


def blocks(material: Material) -> list[Block]:
    """Return the question and the claims, in other words than the mail's."""
    return [
        Heading("The question", 2),
        Text(
            "mprotect() takes mmap_lock for writing, finds and changes the VMAs, walks the page tables,"
            " flushes the TLBs and lets go. Once the VMAs are changed only page-table entries are left to"
            " do, under locks of their own; munmap() has downgraded the lock at that point since 4.20."
            f" The answer to the question why mprotect() does not {ref('source', 'preset mail')} made six"
            " claims, and an earlier patch a rule of its own (2006). In other words:"
        ),
        Bullets([f"{c.name}: {c.claim}" for c in material.claims.claims]),
        Text("None of them came with a measurement."),
    ]
