"""Each guard of the kernel, taken out of the model: the exploration must notice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from perfmodel.stale_tlb.cells import actors_of, starts_of
from perfmodel.stale_tlb.eras import ERAS, GUARDS, SOURCES, Rules
from perfmodel.stale_tlb.invariants import LOST
from perfmodel.stale_tlb.search import explore
from perfmodel.stale_tlb.setting import Setting

Broken = Callable[..., set[str]]

#: Of each guard: an exploration that is safe with it, and what breaks without.
MUTATIONS = {
    "uffd_mark": [
        ("5.10", "uffd", "read-only", "RW->R", ["write-fault"], "base", "lost-store"),
        ("6.18", "uffd", "read-only", "RW->R", ["write-fault"], "huge", "store-after-return"),
    ],
    "numa_mark": [("5.10", "numa", "read-only", "RW->NONE", ["write-fault"], "base", "lost-store")],
    "accessible_pending": [
        ("5.10", "numa", "read-only", "RW->NONE", ["migration"], "base", "lost-store"),
        # No lock of the caller keeps compaction out: the guard is needed even as it is today.
        ("5.10", "mprotect", "none", "RW->NONE", ["migration"], "base", "lost-store"),
    ],
    "ksm_pending": [("5.10", "mprotect", "before-flush", "RW->R", ["ksm"], "base", "lost-store")],
    "nested_flush": [
        ("5.19", "mprotect", "last-vma", "RW->R", ["dontneed"], "base", "store-after-return"),
        ("5.19", "mprotect", "last-vma", "RW->NONE", ["numa"], "base", "store-after-return"),
    ],
    "install_flush": [
        ("5.10", "mprotect", "none", "R->RW", ["write-fault", "reference"], "base",
         "freed-while-cached"),
    ],
    "compares": [
        ("6.18", "mprotect", "none", "R->RW", ["write-fault", "write-fault-2"], "base", "lost-store"),
    ],
    "locks_vma": [
        ("6.4", "mprotect", "none", "RW->R", ["write-fault"], "base", "store-after-return"),
    ],
    "fork_locks_vma": [
        ("6.4", "mprotect", "none", "RW->R", ["write-fault", "fork"], "base", "lost-store"),
    ],
    # Rules of later releases, that take a break of earlier ones away.
    "exclusive": [
        ("5.19", "mprotect", "before-flush", "RW->R", ["forced-write"], "base", "lost-store"),
    ],
    "gathers": [
        ("5.19", "mprotect", "last-vma", "RW->R", ["dontneed"], "base", "store-after-return"),
    ],
    "checks_pending": [
        ("5.12", "uffd", "read-only", "RW->R", ["write-fault", "un-protect"], "base", "lost-store"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("guard", "case"), [(name, case) for name, cases in MUTATIONS.items() for case in cases]
)
def test_without_a_guard_something_breaks(broken: Broken, guard: str, case: tuple) -> None:
    era, call, policy, change, others, size, invariant = case
    assert not broken(era, call, policy, change, *others, size=size)
    without = ERAS[era].without(guard)
    assert invariant in broken(without, call, policy, change, *others, size=size)


def test_a_huge_page_is_not_copied_before_its_split_is_flushed() -> None:
    # No cell rests on that flush alone: a huge page that is writable is mapped once, and reused. It
    # shows where fork does not lock the VMA, and the page is writable and mapped huge at the start.
    def lost(rules: Rules) -> bool:
        setting = Setting(rules, size="huge")
        actors = actors_of(setting, ["write-fault", "fork"])
        exclusive = starts_of(setting, len(actors))[0]
        return LOST in explore(actors, [exclusive]).failures

    unlocked = ERAS["6.4"].without("fork_locks_vma")
    assert not lost(unlocked)
    assert lost(unlocked.without("split_flush"))
    assert not lost(ERAS["6.4"].without("split_flush"))


def test_every_guard_has_a_mutation_and_every_rule_a_source() -> None:
    assert set(GUARDS) - {"split_flush"} <= set(MUTATIONS)
    assert set(SOURCES) == set(Rules.__dataclass_fields__)


def test_the_fix_of_2021_would_do_for_all_vmas(broken: Broken) -> None:
    always = replace(ERAS["5.10"], checks_pending="always")
    assert not broken(always, "mprotect", "before-flush", "RW->R", "forced-write")
    assert not broken(always, "uffd", "read-only", "RW->R", "write-fault", "un-protect")
