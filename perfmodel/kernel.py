"""What a kernel release does: rules without costs, one history per fact, each with its source.

The sources are the kernel trees named (read at 5.10.7, 5.11, 6.1-rc7, 6.4.6, 6.8, 6.12 and 6.18.2)
and the commits given by their short hash.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from perfmodel.errors import InputError, ModelWarning

__all__ = ["FACTS", "Fact", "Kernel"]

Release = tuple[int, int]

#: Oldest release whose source was read, and the newest; beyond the newest its rules are assumed.
OLDEST: Release = (5, 10)
NEWEST: Release = (6, 18)


@dataclass(frozen=True, slots=True)
class Fact:
    """One rule as it holds from a release on."""

    since: Release
    value: Any
    source: str


#: Each rule's history, oldest first.
FACTS: Mapping[str, tuple[Fact, ...]] = {
    "per_vma_lock": (
        Fact((5, 10), False, "arch/x86/mm/fault.c: every user fault takes mmap_lock for reading"),
        Fact((6, 4), True, "arch/x86/mm/fault.c 6.4: lock_vma_under_rcu first, mmap_lock as fallback"),
    ),
    "flush_in_loop": (
        Fact((5, 10), True, "mm/mprotect.c 5.11: change_protection_range flushes once per VMA"),
        Fact((5, 19), False, "4a18419f71cd: one mmu_gather, one flush after the last VMA"),
    ),
    "refinds_vma": (
        Fact((5, 10), False, "mm/mprotect.c 5.11: next VMA is prev->vm_next"),
        Fact((6, 1), True, "mm/mprotect.c 6.1: find_vma(prev->vm_end) on every iteration"),
        Fact((6, 3), False, "vma iterator: for_each_vma_range; exact release not verified, 6.4.6 read"),
    ),
    "flush_elided": (
        Fact((5, 10), (), "mm/mprotect.c 5.11: flush whenever an entry was changed"),
        Fact((5, 19), ("NONE->R", "NONE->RW"), "c9fe66560bf2, x86 pte_flags_need_flush: an entry that"
             " was not present needs no flush; RW<->R both flush"),
    ),
    "reader_spin": (
        Fact((5, 10), True, "kernel/locking/rwsem.c 5.10: readers spin on a running writer"),
        Fact((5, 11), False, "617f3ef95177: readers sleep on a write-held lock"),
    ),
    "failed_trylock_ops": (
        Fact((5, 10), 1, "rwsem.c 5.11: down_read_trylock issues one failing cmpxchg behind a writer"),
        Fact((6, 1), 0, "rwsem.c 6.1: down_read_trylock loads first, no locked op behind a writer"),
    ),
    "up_read_ops": (
        Fact((5, 10), 1, "rwsem.c: one add_return"),
        Fact((6, 18), 2, "rwsem.c 6.18 with CONFIG_DETECT_HUNG_TASK_BLOCKER (default y): a cmpxchg on"
             " owner besides"),
    ),
    "max_readers_woken": (Fact((5, 10), 256, "rwsem.c: MAX_READERS_WAKEUP"),),
    "spin_on_reader_ns": (
        Fact((5, 10), (10_000, 25_000), "rwsem.c: a writer spins 10 + readers/2 us, at most 25 us, on a"
             " reader-owned lock"),
    ),
    "handoff_ns": (Fact((5, 10), 4_000_000, "rwsem.c: RWSEM_WAIT_TIMEOUT, HZ 250 or 1000"),),
    "flush_ceiling_pages": (
        Fact((5, 10), 33, "arch/x86/mm/tlb.c: tlb_single_page_flush_ceiling; more pages, full flush"),
    ),
    "pending_flush_guard": (
        Fact((5, 10), "none", "mm/memory.c 5.10.7, 5.11.0: do_wp_page does not look at pending flushes"),
        Fact((5, 12), "userfaultfd-wp VMAs only", "6ce64428d620: do_wp_page flushes the page when a flush"
             " is pending and the VMA is userfaultfd write-protected"),
    ),
}  # fmt: skip


@cache
def _parse(release: str) -> Release:
    match = re.match(r"^v?(\d+)\.(\d+)(?:\D.*|\.\d.*)?$", release.strip())
    if match is None:
        raise InputError(
            f"{release!r} is not a kernel release",
            field="kernel",
            expected="for instance 5.11 or 6.18",
        )
    return int(match[1]), int(match[2])


@cache
def _fact(release: str, name: str) -> Fact:
    # Collecting the points of a run asks for a dozen of them a point.
    return [f for f in FACTS[name] if f.since <= _parse(release)][-1]


@dataclass(frozen=True)
class Kernel:
    """The rules of one release.

    Parameters
    ----------
    release : str
        For instance ``"5.11"`` or ``"6.18.44-cloud"``; only the first two numbers count.
    hung_task_blocker : bool, optional
        Whether CONFIG_DETECT_HUNG_TASK_BLOCKER is set where the release has it. Default: yes.

    Raises
    ------
    InputError
        If the release cannot be parsed or is older than the oldest source read (5.10).

    Warns
    -----
    ModelWarning
        If it is newer than the newest source read (6.18): the rules of 6.18 are assumed.
    """

    release: str
    hung_task_blocker: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.release, str):
            raise InputError(
                f"{self.release!r} is not a string", field="kernel", expected='for instance "5.11"'
            )
        version = _parse(self.release)
        if version < OLDEST:
            raise InputError(
                f"no facts are known for kernel {self.release}",
                field="kernel",
                expected=f"{OLDEST[0]}.{OLDEST[1]} or newer",
            )
        if version > NEWEST:
            warnings.warn(
                f"kernel {self.release} is newer than the newest source read;"
                f" the rules of {NEWEST[0]}.{NEWEST[1]} are assumed",
                ModelWarning,
                stacklevel=3,
            )

    @property
    def version(self) -> Release:
        """Major and minor number."""
        return _parse(self.release)

    def fact(self, name: str) -> Fact:
        """Return the rule `name` as it holds for this release, with its source."""
        return _fact(self.release, name)

    @property
    def per_vma_lock(self) -> bool:
        """Whether a fault tries the lock of its VMA before mmap_lock (6.4 on)."""
        return bool(self.fact("per_vma_lock").value)

    @property
    def flush_in_loop(self) -> bool:
        """Whether mprotect flushes the TLB once per VMA (to 5.18) and not once per call."""
        return bool(self.fact("flush_in_loop").value)

    @property
    def refinds_vma(self) -> bool:
        """Whether mprotect looks the next VMA up again on every iteration even without a downgrade."""
        return bool(self.fact("refinds_vma").value)

    @property
    def reader_spin(self) -> bool:
        """Whether a blocked reader spins (5.10) and does not sleep (5.11 on)."""
        return bool(self.fact("reader_spin").value)

    @property
    def max_readers_woken(self) -> int:
        """Readers woken at once at most."""
        return int(self.fact("max_readers_woken").value)

    @property
    def spin_on_reader_ns(self) -> tuple[int, int]:
        """Shortest and longest time, ns, that a writer spins on a reader-owned lock."""
        low, high = self.fact("spin_on_reader_ns").value
        return int(low), int(high)

    @property
    def flush_ceiling_pages(self) -> int:
        """Pages up to which the TLB is invalidated page by page (x86)."""
        return int(self.fact("flush_ceiling_pages").value)

    def flushes(self, transition: str) -> bool:
        """Whether changing present entries by `transition` flushes the TLB (x86)."""
        return transition not in ("same-flags", *self.fact("flush_elided").value)

    def up_read_ops(self) -> int:
        """Locked operations of one up_read, hung-task accounting included."""
        if self.fact("up_read_ops").value == 2 and not self.hung_task_blocker:
            return 1
        return int(self.fact("up_read_ops").value)

    def locked_ops(self, path: str, vmas: int = 1) -> int:
        """Locked operations on the mmap_lock line that one uncontended pass of `path` costs.

        Parameters
        ----------
        path : {"write", "downgrade", "read", "every-vma"}
            Write section; write section that ends as a reader; read section; a section that
            downgrades, drops and retakes the lock for each of `vmas` VMAs.
        vmas : int
            Number of VMAs, for ``every-vma``.
        """
        counts = {
            "write": 2,  # down_write, up_write
            "downgrade": 2 + self.up_read_ops(),  # down_write, downgrade_write, up_read
            "read": 1 + self.up_read_ops(),
            "every-vma": vmas * (2 + self.up_read_ops()),
        }
        return counts[path]

    @property
    def blocked_reader_ops(self) -> int:
        """Locked operations on the line that a blocked reader makes beyond an unblocked one.

        It adds its bias and takes it back (one more than the successful add), and up to 6.0 its
        trylock has failed with a locked operation before.
        """
        return 1 + int(self.fact("failed_trylock_ops").value)

    @property
    def cut_points(self) -> tuple[str, ...]:
        """The places where mprotect could downgrade.

        K0 before the walk of the last VMA, K1 before the flush, K2 after it. K1 covers only the
        last VMA's flush where the flush is in the loop.
        """
        return ("K0", "K1", "K2")

    def sources(self) -> dict[str, str]:
        """Source of every fact, by name."""
        return {name: self.fact(name).source for name in FACTS}
