"""Which cut may be used, and on what that rests: the answer of the exploration for one call.

A store may go through a translation that the page table no longer allows until the TLB is flushed.
While the write lock is held nobody else looks at the entry before the flush, but who holds no lock.
Under the read lock others do, and `boundary` says which of them lose a store by it, or let one
through after the call has returned.
"""

from __future__ import annotations

from dataclasses import dataclass

from perfmodel.errors import InputError
from perfmodel.kernel import Kernel
from perfmodel.scenario import Call, Policy
from perfmodel.stale_tlb.boundary import Answer, Question, load
from perfmodel.stale_tlb.eras import SOURCES, era_of
from perfmodel.stale_tlb.setting import GUARD_TEXTS

__all__ = ["GUARDS", "REVOKING", "SCOPE", "Safety", "guarded_safety", "question_of", "safety"]

#: Transitions that take a right away: a stale entry then allows more than the page table.
REVOKING = ("RW->R", "RW->NONE", "R->NONE")

#: What the exploration is about, and what it leaves out.
SCOPE = (
    "private anonymous memory on x86, one entry, the caller, a CPU that still runs, and at most two"
    " others; not modelled: reclaim and its batched flush, MADV_FREE and the dirty bit, the shared"
    " zero page, hugetlbfs, other architectures"
)

#: Guards that a cut may be asked about with: what a kernel would have to add.
GUARDS = (*(g for g in GUARD_TEXTS if g != "none"), "one-pmd", "one-pmd+nested")

_COPIED = "copies a page to which a CPU still stores through a stale translation"

#: Why a company breaks a cell, by who is in it and what breaks.
_REASONS = {
    (("forced-write",), "lost-store"): f"under the read lock a debugger's forced write {_COPIED}:"
    " mprotect leaves no mark in the entry by which it could tell",
    (("write-fault",), "lost-store"): f"under the read lock a write fault {_COPIED}: no mark in the"
    " entry tells that the TLB may be stale",
    (("dontneed",), "store-after-return"): "MADV_DONTNEED takes the entry away before the walk sees"
    " it, and the call returns without a flush while a CPU can still store",
    (("dontneed",), "read-after-return"): "MADV_DONTNEED takes the entry away before the walk sees"
    " it, and the call returns without a flush while a CPU can still read",
    (("write-fault", "reference"), "lost-store"): "the walk takes away the write bit that a fault"
    f" under the read lock has just set, and the next fault {_COPIED}",
    (("write-fault", "un-protect"), "lost-store"): "un-protecting before the flush takes the mark"
    f" away, and a write fault {_COPIED} (fixed in 5.12)",
}
#: In this order they are given: what is lost comes before what is late.
_ORDER = tuple(_REASONS)

#: Why a call that changes VMAs cannot do with the read lock, whatever its entries do.
_NEEDS_WRITE_LOCK = {
    "mprotect": "mprotect changes the VMA itself, which needs the write lock, and leaves no mark in"
    " the page-table entries by which a fault could tell that the TLB may be stale",
    "munmap": "munmap detaches VMAs, which needs the write lock",
    "mremap_shrink": "mremap detaches a part of the VMA, which needs the write lock",
}


@dataclass(frozen=True)
class Safety:
    """Whether a policy may be used.

    Parameters
    ----------
    safe : bool
        False where somebody breaks it.
    reason : str
        Why, in one sentence.
    basis : str
        The code it rests on, and how many states were explored.
    """

    safe: bool
    reason: str
    basis: str


def safety(kernel: Kernel, call: Call, policy: Policy) -> Safety:
    """Look up whether a cut is safe.

    Parameters
    ----------
    kernel : Kernel
        The rules of the release.
    call : Call
        The call.
    policy : Policy
        Where the lock would be downgraded.
    """
    if call.operation == "mprotect" and call.transition == "same-flags":
        return Safety(
            True,
            "no entry changes, so none is stale",
            "mm/mprotect.c: mprotect_fixup returns before it looks at an entry",
        )
    question = question_of(kernel, call, policy)
    found = load()[question]
    if policy is Policy.READ_ONLY and call.operation in _NEEDS_WRITE_LOCK:
        return Safety(
            False,
            _NEEDS_WRITE_LOCK[call.operation],
            f"founding mail of 22 Dec 2020; mm/mprotect.c, mm/mmap.c; {_explored(found)}",
        )
    return _safety(question, found)


def guarded_safety(kernel: Kernel, call: Call, policy: Policy, guard: str) -> Safety:
    """Look up whether a cut of mprotect would be safe with a guard.

    Parameters
    ----------
    kernel : Kernel
    call : Call
        An mprotect.
    policy : Policy
        `Policy.LAST_VMA` or `Policy.BEFORE_FLUSH`.
    guard : str
        One of `GUARDS`; ``one-pmd`` cuts only calls within one page table, which flush before they
        drop its lock, and leaves the others alone; ``+nested`` adds the nested flush.

    Raises
    ------
    InputError
        If there is no such guard, or the cut is none that a guard was explored with.
    """
    if guard not in GUARDS:
        raise InputError(
            f"there is no guard {guard!r}", field="guard", expected="one of " + ", ".join(GUARDS)
        )
    if call.operation != "mprotect" or policy not in (Policy.LAST_VMA, Policy.BEFORE_FLUSH):
        raise InputError(
            f"guards are tried for mprotect alone, not for {policy.value} of {call.operation}",
            field="policy",
            expected="last-vma or before-flush of mprotect",
        )
    if call.transition == "same-flags":
        return safety(kernel, call, policy)
    if guard.startswith("one-pmd"):
        if call.page_tables > 1:
            return safety(kernel, call, Policy.NONE)
        guard = guard.replace("one-pmd", "flush-in-ptl")
    plain = question_of(kernel, call, policy)
    # A guard is explored with a base entry, whose starts include the empty one.
    question = Question("mprotect", "base", plain.policy, guard, plain.transition, plain.era)
    return _safety(question, load()[question])


def question_of(kernel: Kernel, call: Call, policy: Policy) -> Question:
    """Return the cell of the table that a call under a policy belongs to."""
    era = era_of(kernel)
    size = "huge" if call.huge else "base"
    if call.operation in ("munmap", "mremap_shrink"):
        return Question("munmap", size, "last-vma", "none", "RW->NONE", era)
    if call.operation == "madvise":
        return Question("madvise", size, "read-only", "none", "RW->RW", era)
    writes = policy in (Policy.NONE, Policy.AFTER_FLUSH, Policy.PER_VMA)
    if call.operation == "uffd_writeprotect":
        return Question("uffd", size, "none" if writes else "read-only", "none", "RW->R", era)
    if call.present_pages == 0:
        size = "empty"
    name = "none" if policy is Policy.PER_VMA else policy.value
    return Question("mprotect", size, name, "none", call.transition, era)


def _explored(found: Answer) -> str:
    return f"{found.states} states explored"


def _safety(question: Question, found: Answer) -> Safety:
    """Put an answer in words."""
    basis = f"{_rule(question, found)}; {_explored(found)}"
    return Safety(found.safe, _why_safe(question) if found.safe else _why_broken(found), basis)


def _why_broken(found: Answer) -> str:
    """Return the sentence of the gravest break."""
    there = {(b.by, b.invariant) for b in found.breaks}
    for known in _ORDER:
        if known in there:
            return _REASONS[known]
    first = found.shortest
    return f"{' and '.join(first.by)} break it: {first.invariant.replace('-', ' ')}"


def _why_safe(question: Question) -> str:
    """Return why nobody breaks a cell."""
    if question.call == "munmap":
        return "the VMAs are detached first: no fault finds them"
    if question.call == "madvise":
        return "the entries are gone, and a fault on none of them maps a new page"
    if question.policy in ("none", "after-flush"):
        return "no entry changes under the read lock"
    if question.call == "uffd":
        if question.era == "5.10":
            return "the mark in the entry sends write faults to handle_userfault"
        return (
            "the mark in the entry sends write faults to handle_userfault, and do_wp_page flushes"
            " while a flush is pending"
        )
    if question.guard != "none":
        return f"with the guard nobody acts on a stale entry: {GUARD_TEXTS[question.guard]}"
    if question.transition not in REVOKING:
        return (
            "the call takes no right away: a stale entry allows less than the page table and costs"
            " at most a spurious fault"
        )
    if question.size == "empty":
        return "there is no entry to go stale, and a fault maps a page with the new rights"
    if question.policy == "before-flush" and question.transition == "R->NONE":
        return "no stale translation can store, and the flush is done before the call returns"
    if question.size == "huge" and question.era in ("5.10", "5.12"):
        return (
            "a huge page that was writable is reused, and one that is shared is split and flushed"
        )
    return (
        "a page that was writable is exclusive, so no fault copies it, and the flush is done before"
        " the call returns"
    )


def _rule(question: Question, found: Answer) -> str:
    """Return the rule of the kernel that decides a cell."""
    if question.call == "munmap":
        return "dd2283f2605e and 85a06835f6f1, in every release since 4.20"
    if question.call == "madvise":
        return "mm/madvise.c; " + SOURCES["nested_flush"]
    if question.policy in ("none", "after-flush"):
        return "write lock until after the flush; " + SOURCES["accessible_pending"]
    if question.call == "uffd":
        if not found.safe:
            return "mm/memory.c; 6ce64428d620 is absent here"
        return "mm/memory.c; " + SOURCES["checks_pending"]
    if question.guard != "none" and found.safe:
        return "no kernel has this guard"
    if question.era in ("5.10", "5.12"):
        if found.safe:
            return "mm/mprotect.c 5.11: change_protection_range flushes before it returns"
        if any("dontneed" in b.by for b in found.breaks) and len(found.breaks) == 1:
            return "4a18419f71cd is absent here: change_protection_range flushes what it changed"
        return (
            "6c287605fd56 is absent here: do_wp_page copies a page with a second reference, and"
            " looks at pending flushes in userfaultfd VMAs at most"
        )
    return "; ".join(SOURCES[name] for name in ("exclusive", "gathers"))
