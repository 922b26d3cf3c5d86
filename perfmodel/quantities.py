"""The one declaration of every parameter: unit, domain, typical range, meaning and source.

The constructor's check, the fitter's bounds, the slider's range, the sympy symbol and the
documentation table all read the declarations of this module. Nothing else may state a range.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from perfmodel.errors import InputError

__all__ = ["ACCOUNT", "CALL_FACTS", "MACHINE", "SCENARIO", "STATE", "Quantity", "quantity"]

_INFINITY = math.inf


@dataclass(frozen=True, slots=True)
class Quantity:
    """One named parameter of the models.

    Parameters
    ----------
    name : str
        The name in code, in profiles and in JSON.
    symbol : str
        How it is written in LaTeX.
    unit : str
        ``ns``, ``1/ns``, ``us``, ``1/s``, ``pages``, or ``1`` for a pure number.
    domain : tuple of float
        Closed range outside which the value is an error.
    typical : tuple of float
        Range of a slider and of a fit's start: what machines and workloads show.
    meaning : str
        One sentence for a tooltip or a table.
    source : str
        Where the meaning or the range comes from.
    integer : bool
        Whether only whole numbers are right.
    """

    name: str
    symbol: str
    unit: str
    domain: tuple[float, float]
    typical: tuple[float, float]
    meaning: str
    source: str
    integer: bool = False

    @property
    def spans_decades(self) -> bool:
        """Whether a control should be logarithmic."""
        low, high = self.typical
        return low > 0 and high / low >= 50

    def check(self, value: object, *, field: str | None = None) -> float:
        """Return `value` as a number inside the domain.

        Raises
        ------
        InputError
            If it is not a number, is NaN, or lies outside the domain.
        """
        field = field or self.name
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InputError(f"{value!r} is not a number", field=field, expected=self.expectation())
        number = float(value)
        if math.isnan(number):
            raise InputError(
                "the value is NaN (not a number)", field=field, expected=self.expectation()
            )
        if not self.domain[0] <= number <= self.domain[1]:
            raise InputError(f"{value!r} is out of range", field=field, expected=self.expectation())
        if self.integer and not number.is_integer():
            raise InputError(
                f"{value!r} is not a whole number", field=field, expected=self.expectation()
            )
        return int(number) if self.integer else number

    def expectation(self) -> str:
        """Say in words what a right value is."""
        kind = "a whole number" if self.integer else "a number"
        low, high = self.domain
        span = f"of at least {low:g}" if math.isinf(high) else f"from {low:g} to {high:g}"
        unit = "" if self.unit == "1" else f" ({self.unit})"
        return f"{kind} {span}{unit}"


def _group(*declared: Quantity) -> Mapping[str, Quantity]:
    group = {q.name: q for q in declared}
    if len(group) != len(declared):
        raise ValueError("a quantity is declared twice")
    return MappingProxyType(group)


def _cost(
    name: str, symbol: str, typical: tuple[float, float], meaning: str, source: str
) -> Quantity:
    return Quantity(name, symbol, "ns", (0.0, 1e9), typical, meaning, source)


def _term(
    name: str, symbol: str, typical: tuple[float, float], meaning: str, source: str
) -> Quantity:
    """Declare a time that follows from others and has no bound of its own."""
    return Quantity(name, symbol, "ns", (0.0, _INFINITY), typical, meaning, source)


#: What a machine costs: constants in nanoseconds that calibration estimates.
MACHINE: Mapping[str, Quantity] = _group(
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
STATE: Mapping[str, Quantity] = _group(
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

#: What follows from the call, the kernel's rules and the measurement, for the equations of a cost.
CALL_FACTS: Mapping[str, Quantity] = _group(
    Quantity(
        "huge",
        "h",
        "1",
        (0, 1),
        (0, 1),
        "1 where the range is mapped by 2 MiB entries",
        "caller",
        True,
    ),
    Quantity(
        "anon",
        "a",
        "1",
        (0, 1),
        (0, 1),
        "1 where the VMA has an anon_vma: a page was touched",
        "anon_vma_prepare",
        True,
    ),
    Quantity(
        "grants_write",
        "g",
        "1",
        (0, 1),
        (0, 1),
        "1 where entries may become writable",
        "MM_CP_TRY_CHANGE_WRITABLE",
        True,
    ),
    Quantity(
        "flush_count", "n_f", "1", (0, 65530), (0, 2), "TLB flushes of the call", "kernel.py", True
    ),
    Quantity(
        "flush_ceiling",
        "n_c",
        "1",
        (0, 1e9),
        (33, 33),
        "entries up to which the TLB is invalidated one by one",
        "tlb_single_page_flush_ceiling",
        True,
    ),
    Quantity(
        "refinds",
        "n_r",
        "1",
        (0, 65530),
        (0, 8),
        "VMAs that are looked up afresh",
        "kernel.py",
        True,
    ),
    Quantity(
        "rank",
        "j",
        "1",
        (1, 1e6),
        (1, 64),
        "position of a sleeper in the order of waking",
        "measurement",
        True,
    ),
    Quantity(
        "sleepers",
        "n_w",
        "1",
        (0, 1e6),
        (0, 64),
        "sleepers that one call wakes",
        "measurement",
        True,
    ),
    Quantity(
        "lock_ops",
        "n_l",
        "1",
        (0, 1e6),
        (2, 4),
        "locked operations of the call on the lock's line",
        "kernel.py",
        True,
    ),
)

#: Where the thread time of one call goes: the terms of the comparison between policies.
ACCOUNT: Mapping[str, Quantity] = _group(
    _term(
        "blocked_time",
        r"\Sigma_b",
        (1, 1e8),
        "blocked time of all faults that one call blocks",
        "rwlock",
    ),
    _term(
        "wake_time",
        r"\Sigma_w",
        (1, 1e8),
        "delay of all woken faults between release and running",
        "rwlock",
    ),
    _term("waker_time", "T_w", (1, 1e7), "what the caller pays to wake them", "rwlock"),
    _term(
        "line_time",
        "T_L",
        (1, 1e7),
        "transfers of the lock's line beyond local operations",
        "cacheline",
    ),
    _term(
        "caller_time",
        "T_c",
        (100, 1e9),
        "the call itself: wait for the lock, hold, entry and exit",
        "hold",
    ),
    _term(
        "lost_time",
        r"\mathcal{C}",
        (100, 1e9),
        "thread time lost to one call, faults and caller",
        "account",
    ),
    _term(
        "lost_time_none", r"\mathcal{C}_0", (100, 1e9), "the same without a downgrade", "account"
    ),
    _term(
        "omega", r"\omega", (10, 1e5), "what one more locked operation costs all CPUs", "cacheline"
    ),
    Quantity("woken", "m_1", "1", (0, 1e9), (0, 256), "faults woken after one call", "rwlock"),
    Quantity(
        "any_woken",
        "P_w",
        "1",
        (0, 1),
        (0, 1),
        "probability that a call has somebody to wake",
        "rwlock",
    ),
    Quantity(
        "woken_pairs",
        r"\overline{m_1(m_1-1)}",
        "1",
        (0, 1e18),
        (0, 65536),
        "ordered pairs of faults woken after one call",
        "rwlock",
    ),
    Quantity(
        "extra_line_ops",
        "k",
        "1",
        (0, 1e9),
        (0, 4),
        "locked operations beyond those without a downgrade",
        "kernel.py",
    ),
    Quantity(
        "extra_transfer",
        "t_r",
        "1",
        (0, 1),
        (0, 1),
        "probability that one of them must fetch the line",
        "cacheline",
    ),
    Quantity(
        "slowpath_ops_each",
        "k_s",
        "1",
        (0, 10),
        (1, 2),
        "further locked operations of a blocked fault",
        "kernel.py",
    ),
)

#: What a question is about: the call, the faults, the writers.
SCENARIO: Mapping[str, Quantity] = _group(
    Quantity("pages", "p", "pages", (1, 2**36), (1, 2**20), "pages in the range of the call", "caller", True),
    Quantity("vmas", "v", "1", (1, 65530), (1, 64), "VMAs that the range covers", "vm.max_map_count", True),
    Quantity("splits", "n_s", "1", (0, 2), (0, 2), "VMAs the call must split", "split_vma", True),
    Quantity("merges", "n_m", "1", (0, 65530), (0, 2), "VMAs the call merges away", "vma_merge", True),
    Quantity("populated", "f_p", "1", (0, 1), (0, 1), "share of the pages that are present", "caller"),
    Quantity("remote_cpus", "c", "1", (0, 8191), (0, 255),
             "other CPUs on which the process runs and whose TLB must be flushed; may be a mean", "mm_cpumask"),
    Quantity("fault_threads", "n", "1", (1, 65536), (1, 256), "threads that fault", "caller", True),
    Quantity("fault_think_us", "Z_f", "us", (0, 1e9), (0.5, 1e5),
             "time a faulting thread runs between two faults", "caller"),
    Quantity("fault_rate", r"\lambda_r", "1/s", (0, 1e9), (10, 5e6), "faults of the whole process", "caller"),
    Quantity("same_vma", "q", "1", (0, 1), (0, 1), "share of the faults that hit a VMA of the call", "caller"),
    Quantity("first_touch", "f_1", "1", (0, 1), (0, 1),
             "share of the other faults that are the first write to a fresh anonymous VMA",
             "__vmf_anon_prepare falls back to mmap_lock"),
    Quantity("io_share", "p_{io}", "1", (0, 1), (1e-5, 0.1), "share of the faults that wait for I/O under the lock",
             "caller"),
    Quantity("io_us", r"\tau", "us", (0, 1e9), (10, 1e5), "mean time of that I/O", "caller"),
    Quantity("writer_threads", "m", "1", (1, 65536), (1, 64), "threads that make the call", "caller", True),
    Quantity("writer_think_us", "Z_m", "us", (0, 1e12), (1, 1e7), "time between two calls of one thread", "caller"),
    Quantity("writer_rate", r"\lambda_w", "1/s", (0, 1e9), (0.1, 1e6), "calls of the whole process", "caller"),
    Quantity("cpus", "C", "1", (1, 8192), (1, 256), "CPUs the process may run on", "caller", True),
)  # fmt: skip


def _all() -> Iterator[Quantity]:
    for group in (MACHINE, STATE, CALL_FACTS, ACCOUNT, SCENARIO):
        yield from group.values()


_BY_NAME = {q.name: q for q in _all()}


def quantity(name: str) -> Quantity:
    """Return the declaration of `name`.

    Raises
    ------
    InputError
        If no quantity has that name; the message lists the closest ones.
    """
    try:
        return _BY_NAME[name]
    except KeyError:
        from difflib import get_close_matches

        near = get_close_matches(name, _BY_NAME, n=3)
        raise InputError(
            f"there is no quantity {name!r}",
            expected=f"one of {', '.join(near)}" if near else "a name from perfmodel.quantities",
        ) from None
