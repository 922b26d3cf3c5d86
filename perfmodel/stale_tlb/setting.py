"""What one exploration is about: the call, its cut and guard, and the rules of the kernel."""

from __future__ import annotations

from dataclasses import dataclass

from perfmodel.stale_tlb.eras import Rules
from perfmodel.stale_tlb.state import RIGHTS

__all__ = ["CALLS", "GUARD_TEXTS", "Setting"]

#: Calls that change entries, and the mark they leave in them.
CALLS = {
    "mprotect": "none",
    "soft-dirty": "none",  # clear_refs: the VMA stays writable
    "uffd": "userfaultfd write-protect bit",
    "numa": "PROT_NONE hint",
    "munmap": "none",  # the VMA is detached and the entry taken out
    "madvise": "none",  # MADV_DONTNEED: the entry is taken out
}

#: What might make a cut safe. Each is a change to the kernel that nobody has made.
GUARD_TEXTS = {
    "none": "as it stands",
    "pending-check": "every write fault on a read-only entry flushes the page first while a flush"
    " is pending, whatever the VMA",
    "mark": "the walk leaves a mark in the entry; a fault that meets it goes back and tries again"
    " until no flush is pending",
    "flush-in-ptl": "the walk flushes before it drops the page-table lock of each page table",
    "generation": "each change of an entry counts a generation up, and pte_same compares it",
    "nested": "mprotect flushes too where it finds another flush pending, as from 5.19 on",
    "pending-check+nested": "the check and the nested flush",
    "mark+nested": "the mark and the nested flush",
    "flush-in-ptl+nested": "the flush in the walk and the nested flush",
}


@dataclass(frozen=True)
class Setting:
    """One exploration.

    Parameters
    ----------
    rules : Rules
    call : str
        A key of `CALLS`.
    policy : str
        Where the lock is downgraded: a value of `perfmodel.scenario.Policy`.
    transition : str
        Old and new rights.
    size : {"base", "huge", "empty"}
        Whether the entry is a PTE, a huge PMD, or not there when the call begins.
    guard : str
        A key of `GUARD_TEXTS`.
    uffd_vma : bool
        Whether the VMA is registered for userfaultfd write-protection.
    """

    rules: Rules
    call: str = "mprotect"
    policy: str = "none"
    transition: str = "RW->R"
    size: str = "base"
    guard: str = "none"
    uffd_vma: bool = False

    @property
    def old(self) -> int:
        """Rights before the call."""
        return RIGHTS[self.transition.split("->")[0]]

    @property
    def new(self) -> int:
        """Rights after it."""
        return RIGHTS[self.transition.split("->")[1]]

    @property
    def faults_flush(self) -> bool:
        """Whether a write fault flushes first while a flush is pending."""
        checks = self.rules.checks_pending
        return (
            checks == "always"
            or self.guarded("pending-check")
            or (checks == "uffd" and self.uffd_vma)
        )

    @property
    def flushes_nested(self) -> bool:
        """Whether the call flushes without a change of its own while another flush is pending."""
        return (self.rules.gathers and self.rules.nested_flush) or self.guarded("nested")

    def guarded(self, guard: str) -> bool:
        """Return whether `guard` is among the guards that are tried."""
        return guard in self.guard.split("+")
