"""The words: holds, cuts, the lock's discipline, blocked faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfmodel.report.blocks import Block, Bullets, Heading, Text
from perfmodel.report.numbers import time_text
from perfmodel.writeup.numbering import about

if TYPE_CHECKING:
    from perfmodel.writeup.material import Material

__all__ = ["blocks"]


def blocks(material: Material) -> list[Block]:
    """Return the vocabulary."""
    kernel = material.scenario("mail").kernel
    low, high = kernel.spin_on_reader_ns
    shown = material.figure("hold_phases")
    where = about(shown, "shows which piece runs under which mode.")
    return [
        Heading("Vocabulary and model", 2),
        Text(
            "A hold is what one call has the lock for: an exclusive part D, in which every fault of the"
            f" process is kept out, and, after a cut, a shared part R, in which faults go on.{where} The"
            " cuts, by the place at which the lock is downgraded:"
        ),
        Bullets(
            [
                "none: the write lock to the end, as mprotect does.",
                "last-vma: before the page-table walk of the last VMA; walk and flush are shared.",
                "before-flush: after that walk; the flush alone is shared.",
                "every-vma: shared for the walk of each VMA; the lock is dropped, taken for writing again and"
                " the next VMA found again.",
                "read-only: the read lock throughout, as userfaultfd write-protect: another design, no cut.",
                "per-vma: no cut; faults take the lock of their VMA (6.4 on), and only those in a VMA of the"
                " call, and those that fall back to mmap_lock, are blocked.",
            ]
        ),
        *shown,
        Text(
            "The lock is rwsem's: a queue in order of arrival, readers at its head let in together (at most"
            f" {kernel.max_readers_woken}), newcomers behind whoever waits, a reader that finds a writer"
            " sleeps from 5.11 on (up to 5.10 it spins), and a writer spins on a reader-owned lock for"
            f" {time_text(low)} to {time_text(high)}. A fault is blocked if it arrives while a caller waits"
            " for the readers before it (A) or holds the lock exclusively (D): the window Y = A + D. Without"
            " a downgrade the window is longer by R. Who was blocked pays a sleep and a wake-up besides."
        ),
        Text(
            "Net gain is thread time: what all threads together do not run because of one call, without the"
            " cut less with it. Where threads outnumber CPUs a blocked thread frees its CPU, and only a part"
            " of the gain arrives as throughput; the predictions say which."
        ),
    ]
