"""The hard rule of the founding mail, as a table: which cut is refused, and on what it rests.

A store may go through a translation that the page table no longer allows until the TLB is flushed.
While the write lock is held no fault looks at the page table, so nobody can act on the new entry
before the flush. Under the read lock a write fault can: it copies the page while another CPU still
writes to the old one through its stale entry, and that store is lost. It is kept out only where the
entry bears a mark that sends the fault into a dead end: userfaultfd write-protect
(handle_userfault) and NUMA hinting (do_numa_page), each for base and huge entries. mprotect leaves
no mark. The rules below are the argument of the mail and the code it names (mm/memory.c 5.11 to
6.18); they are not a proof.
"""

from __future__ import annotations

from dataclasses import dataclass

from perfmodel.kernel import Kernel
from perfmodel.scenario import Call, Policy

__all__ = ["REVOKING", "Safety", "safety"]

#: Transitions that take a right away: a stale entry then allows more than the page table.
REVOKING = ("RW->R", "RW->NONE", "R->NONE")

_CUTS = (Policy.LAST_VMA, Policy.BEFORE_FLUSH, Policy.EVERY_VMA)


@dataclass(frozen=True)
class Safety:
    """Whether a policy may be used.

    Parameters
    ----------
    safe : bool
        False where the rule forbids it.
    reason : str
        Why, in one sentence.
    basis : str
        The code or argument it rests on.
    """

    safe: bool
    reason: str
    basis: str


def safety(kernel: Kernel, call: Call, policy: Policy) -> Safety:
    """Look the cut up in the rule table.

    Parameters
    ----------
    kernel : Kernel
        The rules of the release.
    call : Call
        The call.
    policy : Policy
        Where the lock would be downgraded.
    """
    if policy in (Policy.NONE, Policy.AFTER_FLUSH, Policy.PER_VMA):
        return Safety(
            True, "no entry changes under the read lock", "write lock until after the flush"
        )
    if call.operation in ("munmap", "mremap_shrink"):
        return Safety(
            True,
            "the VMAs are detached first: no fault finds them",
            "dd2283f2605e and 85a06835f6f1, in every release since 4.20",
        )
    if call.operation == "madvise":
        return Safety(
            True,
            "the entries are gone, and a fault on none of them maps a new page",
            "mm/madvise.c",
        )
    if call.operation == "uffd_writeprotect":
        return _uffd(kernel)
    if call.transition == "same-flags" or call.present_pages == 0:
        return Safety(True, "no entry changes, so none is stale", "no page-table entry is written")
    if policy is Policy.READ_ONLY:
        return Safety(
            False,
            "mprotect changes the VMA itself, which needs the write lock, and leaves no mark in the"
            " page-table entries by which a fault could tell that the TLB may be stale",
            "founding mail of 22 Dec 2020; mm/mprotect.c",
        )
    if policy in _CUTS and call.transition in REVOKING:
        return Safety(
            False,
            "between the change of an entry and the flush a fault under the read lock cannot tell"
            " that the TLB may be stale: mprotect leaves no mark in the entry",
            f"founding mail of 22 Dec 2020; {kernel.fact('pending_flush_guard').source}",
        )
    return Safety(
        True,
        "the call takes no right away: a stale entry allows less than the page table and costs at"
        " most a spurious fault",
        "rule only, no interleaving was checked",
    )


def _uffd(kernel: Kernel) -> Safety:
    if kernel.version < (5, 12):
        return Safety(
            True,
            "the mark sends write faults to handle_userfault; but un-protecting before the flush"
            " still loses a store on this release (fixed in 5.12)",
            "mm/memory.c; 6ce64428d620 is absent here",
        )
    return Safety(
        True,
        "the mark in the entry sends write faults to handle_userfault, and do_wp_page flushes while"
        " a flush is pending",
        "mm/memory.c; 6ce64428d620",
    )
