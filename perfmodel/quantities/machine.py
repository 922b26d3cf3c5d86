"""What a machine costs: the constants that calibration estimates."""

from __future__ import annotations

from collections.abc import Mapping

from perfmodel.quantities.declare import Quantity, group

__all__ = ["MACHINE", "STATE"]


def _cost(
    name: str, symbol: str, typical: tuple[float, float], meaning: str, source: str
) -> Quantity:
    return Quantity(name, symbol, "ns", (0.0, 1e9), typical, meaning, source)


#: What a machine costs: constants in nanoseconds that calibration estimates.
MACHINE: Mapping[str, Quantity] = group(
    _cost(
        "syscall",
        "t_{sys}",
        (50, 2000),
        "enter and leave the kernel, outside any lock",
        "a system call that does nothing",
    ),
    _cost(
        "find_vma",
        "t_{find}",
        (5, 500),
        "find the first VMA of the range and check it: paid again whenever the lock was dropped",
        "find_vma, vma_find; same-flags call less an empty call",
    ),
    _cost(
        "vma_step",
        "t_{step}",
        (1, 500),
        "go on to the next VMA of the range",
        "vma_next; same-flags call over several VMAs",
    ),
    _cost(
        "vma_fixup",
        "t_{vma}",
        (20, 3000),
        "per-VMA work of mprotect: checks, accounting, VMA lock, new flags",
        "mprotect_fixup",
    ),
    _cost("split", "t_{split}", (50, 5000), "split a VMA: allocation, tree store", "split_vma"),
    _cost(
        "merge",
        "t_{merge}",
        (20, 5000),
        "remove a VMA by merging it into its neighbour",
        "vma_merge",
    ),
    _cost(
        "anon_link",
        "t_{link}",
        (10, 5000),
        "further cost of a split where the VMA has touched pages: clone of the anon_vma chain",
        "anon_vma_clone",
    ),
    _cost(
        "anon_unlink",
        "t_{unlink}",
        (10, 5000),
        "further cost of a merge where the VMA has touched pages: removal from the anon_vma chain",
        "unlink_anon_vmas",
    ),
    _cost(
        "walk_start",
        "t_{walk}",
        (10, 3000),
        "descend the page table to the first present entry and set up the flush",
        "change_protection, unmap_vmas; tlb_gather_mmu",
    ),
    _cost(
        "pmd_step",
        "t_{step}^{pmd}",
        (0.1, 100),
        "step over one page table's worth (2 MiB) of the range, present or not",
        "walk_page_range over empty entries",
    ),
    _cost(
        "pte",
        "t_{pte}",
        (1, 250),
        "change the protection of one present page-table entry, caches warm",
        "change_pte_range",
    ),
    _cost(
        "pte_grant",
        "t_{pte}^{w}",
        (0.1, 100),
        "further cost of an entry that may become writable",
        "can_change_pte_writable looks at the page",
    ),
    _cost(
        "pte_cold",
        "t_{pte}^{cold}",
        (0.1, 250),
        "further cost of an entry beyond the pages whose metadata stays cached",
        "measured slope at 4096 pages and more",
    ),
    _cost(
        "huge_pte",
        "t_{pmd}",
        (1, 5000),
        "change the protection of one huge (2 MiB) entry",
        "change_huge_pmd",
    ),
    _cost(
        "flush_page",
        "t_{invlpg}",
        (1, 500),
        "invalidate one entry of the local TLB, up to the ceiling",
        "flush_tlb_one_user; ceiling of 33 entries on x86",
    ),
    _cost(
        "flush_full",
        "t_{flush}",
        (1, 3000),
        "invalidate the whole local TLB of the process",
        "flush_tlb_local",
    ),
    _cost(
        "shootdown",
        "t_{ipi}",
        (200, 50000),
        "interrupt one remote CPU to flush its TLB and wait for it",
        "flush_tlb_multi",
    ),
    _cost(
        "shootdown_more",
        "t_{ipi}^{+}",
        (10, 10000),
        "each further remote CPU of the same shootdown",
        "flush_tlb_multi; the CPUs answer in parallel, the interrupts are sent in turn",
    ),
    _cost(
        "unmap_vma",
        "t_{unmap}",
        (20, 5000),
        "per-VMA work of munmap under the write lock: detach, accounting, VMA lock",
        "vms_gather_munmap_vmas",
    ),
    _cost(
        "unmap_finish",
        "t_{free}",
        (20, 10000),
        "per-VMA work of munmap after the downgrade: page-table and VMA freeing",
        "vms_complete_munmap_vmas",
    ),
    _cost(
        "zap", "t_{zap}", (5, 500), "unmap and free one present page, caches warm", "zap_pte_range"
    ),
    _cost(
        "zap_cold",
        "t_{zap}^{cold}",
        (0.1, 500),
        "further cost of a page beyond the pages whose metadata stays cached",
        "measured slope at 4096 pages and more",
    ),
    _cost(
        "huge_zap",
        "t_{zap}^{pmd}",
        (100, 100000),
        "unmap and free one huge (2 MiB) page",
        "zap_huge_pmd",
    ),
    _cost(
        "uffd_call",
        "t_{uffd}",
        (5, 3000),
        "userfaultfd write-protect: checks of the first VMA",
        "mwriteprotect_range",
    ),
    _cost(
        "uffd_vma",
        "t_{uffd}^{+}",
        (5, 3000),
        "userfaultfd write-protect: each further VMA, flush apart",
        "uffd_wp_range",
    ),
    _cost(
        "madvise_call",
        "t_{madv}",
        (5, 3000),
        "MADV_DONTNEED: checks of the first VMA",
        "madvise_walk_vmas",
    ),
    _cost(
        "madvise_vma",
        "t_{madv}^{+}",
        (5, 3000),
        "MADV_DONTNEED: each further VMA",
        "madvise_walk_vmas",
    ),
    _cost(
        "rmw_local",
        "t_{rmw}",
        (1, 50),
        "one locked operation on a line this CPU owns",
        "lock xadd, uncontended",
    ),
    _cost(
        "line_transfer",
        "L",
        (10, 400),
        "one locked operation that must fetch the line from another CPU",
        "lock xadd, contended",
    ),
    _cost(
        "fault_minor",
        "t_{fault}",
        (100, 5000),
        "minor fault as the program sees it",
        "anonymous read fault, uncontended",
    ),
    _cost(
        "fault_hold",
        "S",
        (50, 5000),
        "part of a fault spent under the read lock",
        "minor fault less entering and leaving the kernel",
    ),
    _cost(
        "wake_latency",
        "s",
        (200, 50000),
        "from the wake-up of a sleeper to its first instruction",
        "futex sleep to run",
    ),
    _cost(
        "wake_kick",
        "w_0",
        (50, 50000),
        "what the waker pays once to bring an idle CPU out of its sleep",
        "reschedule interrupt; leaves the guest on a virtual machine",
    ),
    _cost(
        "wake_switch",
        "s_+",
        (100, 20000),
        "from one sleeper to the next on the same CPU: run and switch",
        "several futex sleepers pinned to one CPU",
    ),
    _cost(
        "wake_serial",
        "w",
        (50, 20000),
        "what the waker pays for each sleeper",
        "wake_q, try_to_wake_up",
    ),
)

#: What else calibration estimates: not times.
STATE: Mapping[str, Quantity] = group(
    Quantity(
        "warm_pages",
        r"p_{warm}",
        "pages",
        (1, 1e9),
        (64, 65536),
        "pages whose entries and metadata stay in the cache while protection is changed",
        "8 bytes of entry and 64 bytes of struct page a page, against the cache size",
    ),
    Quantity(
        "warm_zap_pages",
        r"p_{warm}^{zap}",
        "pages",
        (1, 1e9),
        (64, 65536),
        "pages whose entries and metadata stay in the cache while they are unmapped and freed",
        "the pages were populated just before; free lists take part",
    ),
)
