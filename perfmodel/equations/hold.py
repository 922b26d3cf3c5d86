"""How long each piece of a call takes: the hold model.

A call is a sequence of pieces. Each is declared once below, over the constants of a machine, the
shape of the call and what the kernel's rules make of it. Which piece runs under which lock mode is
not said here: that is the policy's affair (:mod:`perfmodel.hold`).

The structure follows the order of mm/mprotect.c, mm/vma.c, mm/userfaultfd.c and mm/madvise.c as read
in 5.11, 6.1 and 6.18; the constants are whatever a machine's measurements make them.
"""

from __future__ import annotations

import sympy
from sympy import Max, Min, Piecewise, exp

from perfmodel.equations.equation import Equation, declare
from perfmodel.equations.symbols import symbol

__all__ = ["HUGE_PAGES", "PIECES", "still_running"]

#: Base pages that one huge entry maps (x86-64, 2 MiB of 4 KiB).
HUGE_PAGES = 512


def _symbols(names: str) -> list[sympy.Symbol]:
    return [symbol(name) for name in names.split()]


pages, vmas, splits, merges, populated, remote = _symbols(
    "pages vmas splits merges populated remote_cpus"
)
huge, anon, grants, flushes, ceiling, refinds, lock_ops = _symbols(
    "huge anon grants_write flush_count flush_ceiling refinds lock_ops"
)
warm, warm_zap = _symbols("warm_pages warm_zap_pages")

present = pages * populated
base_entries = present * (1 - huge)
huge_entries = present * huge / HUGE_PAGES
entries = base_entries + huge_entries
any_present = Piecewise((1, present > 0), (0, True))

_SOURCE = "mm/mprotect.c, mm/vma.c, mm/userfaultfd.c, mm/madvise.c, 5.11 to 6.18"
_COLD = (
    "the per-page cost turns from warm to cold at one size; a real cache does it over an octave",
)


def _piece(
    name: str,
    latex: str,
    meaning: str,
    expression: sympy.Expr,
    assumptions: tuple[str, ...] = (),
) -> Equation:
    return declare(
        name,
        latex,
        "ns",
        meaning,
        expression,
        source=_SOURCE,
        assumptions=assumptions,
        stated_error="approximate: see the residual table of the calibration",
    )


def _c(name: str) -> sympy.Symbol:
    return symbol(name)


_split_cost = splits * (_c("split") + anon * _c("anon_link"))
_merge_cost = merges * (_c("merge") + anon * _c("anon_unlink"))

enter = _piece("enter", "T_{enter}", "enter and leave the kernel", _c("syscall"))
locked = _piece(
    "locked",
    "T_{lock}",
    "take, downgrade and release the uncontended lock",
    lock_ops * _c("rmw_local"),
)
find = _piece(
    "find",
    "T_{find}",
    "find the VMAs of the range",
    (1 + refinds) * _c("find_vma") + Max(0, vmas - 1 - refinds) * _c("vma_step"),
)
prepare_mprotect = _piece(
    "prepare_mprotect",
    "T_{prep}",
    "change, split and merge the VMAs",
    vmas * _c("vma_fixup") + _split_cost + _merge_cost,
)
prepare_munmap = _piece(
    "prepare_munmap",
    "T_{detach}",
    "split and detach the VMAs",
    vmas * _c("unmap_vma") + _split_cost,
)
prepare_uffd = _piece(
    "prepare_uffd",
    "T_{uffd}",
    "check the registered VMAs",
    _c("uffd_call") + (vmas - 1) * _c("uffd_vma"),
)
prepare_madvise = _piece(
    "prepare_madvise",
    "T_{madv}",
    "check the VMAs",
    _c("madvise_call") + (vmas - 1) * _c("madvise_vma"),
)
walk_start = _piece(
    "walk_first",
    "T_{walk}",
    "reach the first present entry",
    any_present * _c("walk_start"),
)
step = _piece(
    "step",
    "T_{step}",
    "step over the page tables of the range, empty or not",
    pages / HUGE_PAGES * _c("pmd_step"),
)
walk_protect = _piece(
    "walk_protect",
    "T_{ptes}",
    "change the protection of the present entries",
    base_entries * (_c("pte") + grants * _c("pte_grant"))
    + _c("pte_cold") * Max(0, base_entries - warm)
    + huge_entries * _c("huge_pte"),
    _COLD,
)
walk_zap = _piece(
    "walk_zap",
    "T_{zap}",
    "unmap and free the present pages",
    base_entries * _c("zap")
    + _c("zap_cold") * Max(0, base_entries - warm_zap)
    + huge_entries * _c("huge_zap"),
    _COLD,
)
finish_munmap = _piece(
    "finish_munmap",
    "T_{free}",
    "free page tables and VMAs",
    vmas * _c("unmap_finish"),
)
#: Entries of one flush; a call without a flush has none.
_per_flush = entries / Max(flushes, 1)
flush_local = _piece(
    "flush_local",
    "T_{flush}",
    "invalidate this CPU's TLB",
    flushes
    * any_present
    * Piecewise((_c("flush_page") * _per_flush, _per_flush <= ceiling), (_c("flush_full"), True)),
    ("every flush covers an equal share of the entries",),
)
flush_remote = _piece(
    "flush_remote",
    "T_{ipi}",
    "interrupt the other CPUs and wait until they have flushed",
    flushes
    * any_present
    * (_c("shootdown") * Min(remote, 1) + _c("shootdown_more") * Max(remote - 1, 0)),
    ("remote CPUs run; one that is preempted by a hypervisor answers later",),
)

#: Threads that fault while the lock is held exclusively block, leave their CPUs idle, and an idle CPU
#: needs no interrupt: its TLB is flushed when it next runs the process.
still_running = declare(
    "still_running", r"e^{-\nu D'}", "1",
    "share of the faulting threads that are not blocked when the flush comes",
    exp(-symbol("nu") * symbol("window")),
    source="arch/x86/mm/tlb.c since 4.20: lazy CPUs are left out unless page tables are freed",
    assumptions=("every thread thinks as the lock is taken", "a blocked thread's CPU goes idle"),
)  # fmt: skip

#: Equation of every piece, by operation, in the order in which the kernel does them.
PIECES: dict[str, dict[str, Equation]] = {
    "mprotect": {
        "enter": enter, "locked": locked, "find": find, "prepare": prepare_mprotect,
        "step": step, "walk_start": walk_start, "walk": walk_protect,
        "flush": flush_local, "shootdown": flush_remote,
    },
    "munmap": {
        "enter": enter, "locked": locked, "find": find, "prepare": prepare_munmap,
        "step": step, "walk_start": walk_start, "walk": walk_zap,
        "flush": flush_local, "shootdown": flush_remote, "finish": finish_munmap,
    },
    "uffd_writeprotect": {
        "enter": enter, "locked": locked, "find": find, "prepare": prepare_uffd,
        "step": step, "walk_start": walk_start, "walk": walk_protect,
        "flush": flush_local, "shootdown": flush_remote,
    },
    "madvise": {
        "enter": enter, "locked": locked, "find": find, "prepare": prepare_madvise,
        "step": step, "walk_start": walk_start, "walk": walk_zap,
        "flush": flush_local, "shootdown": flush_remote,
    },
}  # fmt: skip
PIECES["mremap_shrink"] = PIECES["munmap"]
