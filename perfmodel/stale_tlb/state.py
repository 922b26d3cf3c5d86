"""The state that is explored: one page-table entry and all that may look at it or change it.

A state is a row of small whole numbers, kept as bytes: the fields named here, then `SLOTS` numbers
for each actor. A step gets a copy and changes it.

One page, one entry, one cached translation. That is enough: each of the invariants is broken by one
translation of one page that is used after it should have gone, and CPU 3 may fill its TLB from the
entry, or store through it, at any moment.
"""

from __future__ import annotations

from collections.abc import MutableSequence, Sequence
from dataclasses import dataclass

__all__ = [
    "ABSENT",
    "CONTENT",
    "CPU_STORE",
    "DISCARD",
    "EXCL",
    "EXCUSED",
    "FIELDS",
    "FOUND",
    "FRAME",
    "FRAMES",
    "GEN",
    "GONE",
    "GRANT",
    "HUGE",
    "KIND",
    "MARK",
    "MIGRATING",
    "NONE",
    "PENDING",
    "PRESENT",
    "PROTNONE",
    "PTL",
    "READERS",
    "REF",
    "RIGHTS",
    "RW",
    "SLOTS",
    "STORED",
    "TLB",
    "UFFD",
    "VMA",
    "VREADERS",
    "VWRITER",
    "WANT",
    "WIDENING",
    "WRITE",
    "WRITER",
    "ModelError",
    "R",
    "Slot",
    "State",
    "allocate",
    "clear_frame",
    "frame_of",
    "gone",
    "new_state",
    "put",
    "rights",
    "same_entry",
    "snapshot",
]  # fmt: skip

#: A step works on a list or on bytes that can be changed, which are copied in a tenth of the time.
State = MutableSequence[int]

FRAMES = 5
(
    KIND,  # what the entry is: ABSENT, PRESENT, PROTNONE or MIGRATING
    WRITE,  # its write bit; kept in a NUMA hint and in a migration entry
    UFFD,  # its userfaultfd write-protect mark
    MARK,  # a mark that mprotect leaves, where that guard is tried
    FRAME,  # the page it maps
    GEN,  # its generation, where that guard is tried
    HUGE,  # whether it is a huge PMD
    VMA,  # rights of the VMA: NONE, R or RW, and GONE besides once it is detached
    PTL,  # owner of the page-table lock, 0 if free
    READERS, WRITER,  # holders of mmap_lock
    VREADERS, VWRITER,  # holders of the lock of the VMA
    PENDING,  # mm->tlb_flush_pending
    TLB,  # the translation CPU 3 has cached: 0, or 1 + 2 * page + whether it allows stores
    EXCL,  # bit per page: mapped here and nowhere else
    STORED,  # bit per store that user code has completed
    EXCUSED,  # stores that MADV_DONTNEED or munmap may discard
    DISCARD,  # calls under way that discard
    WANT,  # rights as the last call that changed them ordered
    GRANT,  # rights that user code may count on: changes when a call returns
    WIDENING,  # calls under way that give rights
    FOUND,  # number of the invariant that is broken, 0 if none
    CONTENT,  # first of FRAMES fields: the stores that a page holds
    *_,
    REF,  # first of FRAMES fields: references to a page
) = range(23 + 1 + FRAMES)  # fmt: skip
FIELDS = REF + FRAMES

ABSENT, PRESENT, PROTNONE, MIGRATING = range(4)
NONE, R, RW = range(3)
GONE = 4
RIGHTS = {"NONE": NONE, "R": R, "RW": RW}

#: Numbers that each actor has: step, lock it holds, two pages, the entry it has seen, a flag, and
#: where it is in a page-table section when those are explored in single steps.
SLOTS = 7

#: The bit of the store of CPU 3; a faulting thread has the bit of its slot.
CPU_STORE = 1


class ModelError(RuntimeError):
    """The model has met a case that it was not made for."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Where an actor keeps its numbers, and the number under which it owns the page-table lock."""

    owner: int

    @property
    def base(self) -> int:
        """First of its fields."""
        return FIELDS + (self.owner - 1) * SLOTS


def new_state(actors: int) -> State:
    """Return a state with every field zero."""
    return [0] * (FIELDS + actors * SLOTS)


def rights(s: Sequence[int]) -> int:
    """Return the rights of the VMA, detached or not: what its vm_page_prot says."""
    return s[VMA] % GONE


def gone(s: Sequence[int]) -> bool:
    """Return whether the VMA is detached: who looks for it finds none."""
    return s[VMA] >= GONE


def frame_of(tlb: int) -> int:
    """Return the page a cached translation leads to, -1 for none."""
    return (tlb - 1) >> 1 if tlb else -1


def allocate(s: State) -> int:
    """Take a free page, empty and with one reference.

    Raises
    ------
    ModelError
        If there is none: the bound on pages would cut the exploration short.
    """
    for f in range(FRAMES):
        if not s[REF + f]:
            s[REF + f] = 1
            return f
    raise ModelError("no free page is left: FRAMES is too small for these actors")


def clear_frame(s: State, f: int) -> None:
    """Forget what a page held."""
    s[CONTENT + f] = 0
    s[EXCL] &= ~(1 << f)


def put(s: State, f: int) -> bool:
    """Drop a reference and say whether that freed the page."""
    if not s[REF + f]:
        raise ModelError(f"page {f} lost a reference that it did not have")
    s[REF + f] -= 1
    if s[REF + f]:
        return False
    clear_frame(s, f)
    return True


def snapshot(s: State) -> int:
    """Return what pte_same compares, as one number."""
    return (((s[KIND] * 2 + s[WRITE]) * 2 + s[UFFD]) * FRAMES + s[FRAME]) * 4 + s[GEN]


def same_entry(s: State, seen: int) -> bool:
    """Return whether the entry is still as it was seen (pte_same)."""
    return snapshot(s) == seen
