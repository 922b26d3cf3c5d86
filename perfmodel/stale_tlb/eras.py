"""The kernel's rules that decide what a stale translation can do, by release, with their source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from perfmodel.kernel import Kernel

__all__ = ["ERAS", "GUARDS", "SOURCES", "Rules", "era_of"]


@dataclass(frozen=True)
class Rules:
    """What the kernel does; the second group holds in every release and is switched off by tests.

    Parameters
    ----------
    exclusive : bool
        A write fault reuses a page that is exclusive to the process, whatever its references; else
        one with a single reference.
    checks_pending : {"never", "uffd", "always"}
        In which VMAs do_wp_page flushes first while a flush is pending.
    gathers : bool
        mprotect flushes through mmu_gather: also where another flush is pending, and not where the
        old entry was not present.
    restores_write : bool
        Giving the right to write sets the write bit of a page that is exclusive.
    per_vma : bool
        Faults take the lock of their VMA before mmap_lock.
    zap_per_vma : bool
        MADV_DONTNEED takes the lock of the VMA.
    uffd_mark, numa_mark : bool
        A write fault on a marked entry goes to handle_userfault, or to do_numa_page.
    accessible_pending : bool
        Clearing a PROT_NONE entry flushes while a flush is pending (pte_accessible).
    ksm_pending : bool
        KSM flushes a read-only entry too while a flush is pending.
    nested_flush : bool
        A zap flushes even if it found nothing where another flush is pending.
    split_flush : bool
        A huge entry is split, with a flush, before its pages are copied.
    install_flush : bool
        wp_page_copy flushes before it maps the copy.
    compares : bool
        wp_page_copy compares the entry with the one it saw.
    locks_vma : bool
        mprotect and munmap lock the VMA for writing (per-VMA locks).
    fork_locks_vma : bool
        fork does so too.
    """

    exclusive: bool = False
    checks_pending: str = "never"
    gathers: bool = False
    restores_write: bool = False
    per_vma: bool = False
    zap_per_vma: bool = False
    uffd_mark: bool = True
    numa_mark: bool = True
    accessible_pending: bool = True
    ksm_pending: bool = True
    nested_flush: bool = True
    split_flush: bool = True
    install_flush: bool = True
    compares: bool = True
    locks_vma: bool = True
    fork_locks_vma: bool = True

    def without(self, guard: str) -> Rules:
        """Return the rules with one of them taken out."""
        value = getattr(self, guard)
        less: dict[str, Any] = {guard: "never" if isinstance(value, str) else False}
        return replace(self, **less)


#: Where each rule was read. Those without a release hold in all that are covered.
SOURCES: Mapping[str, str] = {
    "exclusive": "6c287605fd56 (5.19): do_wp_page reuses a page with PG_anon_exclusive; before, one"
    " with page_count 1 (09854ba94c6a, 5.9)",
    "checks_pending": "6ce64428d620 (5.12): do_wp_page flushes while a flush is pending, in"
    " userfaultfd write-protect VMAs",
    "gathers": "4a18419f71cd (5.19): mprotect uses mmu_gather, tlb_finish_mmu flushes all when"
    " mm_tlb_flush_nested; before, change_protection_range flushes if it changed an entry",
    "restores_write": "64fe24a3e05e (6.0): change_pte_range sets the write bit of an exclusive page",
    "per_vma": "6.4: lock_vma_under_rcu; mmap_write_downgrade drops the VMA write locks",
    "zap_per_vma": "mm/madvise.c 6.18.2: MADV_DONTNEED under the VMA lock",
    "uffd_mark": "mm/memory.c: do_wp_page, wp_huge_pmd: handle_userfault",
    "numa_mark": "mm/memory.c: handle_pte_fault, __handle_mm_fault: do_numa_page,"
    " do_huge_pmd_numa_page",
    "accessible_pending": "20841405940e: pte_accessible reads tlb_flush_pending",
    "ksm_pending": "b3a81d0841a9: write_protect_page reads tlb_flush_pending",
    "nested_flush": "99baac21e458: tlb_finish_mmu flushes when mm_tlb_flush_nested",
    "split_flush": "3917c80280c9 (5.8): do_huge_pmd_wp_page splits and does not copy; pmdp_invalidate"
    " flushes",
    "install_flush": "mm/memory.c: wp_page_copy, ptep_clear_flush",
    "compares": "mm/memory.c: wp_page_copy, pte_same",
    "locks_vma": "mm/mprotect.c, mm/vma.c 6.8: vma_start_write",
    "fork_locks_vma": "fb49c455323f (6.4.3): dup_mmap locks each VMA",
}

_2020 = Rules()
_2021 = replace(_2020, checks_pending="uffd")
_2022 = replace(_2021, exclusive=True, gathers=True)
_6_0 = replace(_2022, restores_write=True)
_2023 = replace(_6_0, per_vma=True)

#: First release of each set of rules.
ERAS: Mapping[str, Rules] = {
    "5.10": _2020,
    "5.12": _2021,
    "5.19": _2022,
    "6.0": _6_0,
    "6.4": _2023,
    "6.18": replace(_2023, zap_per_vma=True),
}


def era_of(kernel: Kernel) -> str:
    """Return the first release of the rules that `kernel` follows."""
    return [e for e in ERAS if Kernel(e).version <= kernel.version][-1]


#: Rules that every release covered has.
GUARDS = tuple(f.name for f in fields(Rules) if f.default is True)
