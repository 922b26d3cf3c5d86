from __future__ import annotations

import pytest

from perfmodel.errors import InputError
from perfmodel.stale_tlb.boundary import (
    CHANGES,
    Break,
    Question,
    answer,
    companies,
    explain,
    from_json,
    generate,
    held_up_by,
    load,
    questions,
    to_json,
)
from perfmodel.stale_tlb.eras import ERAS

BEFORE_EXCLUSIVE, SINCE_EXCLUSIVE = ("5.10", "5.12"), ("5.19", "6.0", "6.4", "6.18")
CUTS = ("last-vma", "before-flush", "every-vma")


def _by(call: str, size: str, policy: str, change: str, era: str, guard: str = "none") -> set[str]:
    found = load()[Question(call, size, policy, guard, change, era)]
    return {"+".join(b.by) for b in found.breaks}


def test_the_table_that_is_carried_is_what_the_exploration_gives() -> None:
    assert generate() == load()


def test_the_table_survives_being_written_down() -> None:
    some = dict(list(load().items())[::97])
    assert from_json(to_json(some)) == some
    with pytest.raises(InputError, match="schema"):
        from_json('{"schema": "something/1", "cells": {}}')


def test_every_cell_was_asked_and_none_stopped_short() -> None:
    table = load()
    assert list(table) == list(questions())
    assert {q.era for q in table} == set(ERAS)
    for question, found in table.items():
        assert found.companies == len(companies(question)) > 10
        assert found.transitions > found.states > 300


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("size", ["base", "huge"])
def test_the_write_lock_to_the_flush_is_safe(era: str, size: str) -> None:
    for change in CHANGES:
        for policy in ("none", "after-flush"):
            assert not _by("mprotect", size, policy, change, era)
    for call, change in (("uffd", "RW->R"), ("numa", "RW->NONE"), ("soft-dirty", "RW->R")):
        assert not _by(call, size, "none", change, era)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("size", ["base", "huge"])
def test_the_four_marks_are_safe_but_for_the_race_of_2020(era: str, size: str) -> None:
    assert not _by("numa", size, "read-only", "RW->NONE", era)
    race = {"write-fault+un-protect", "forced-write+un-protect"}
    wanted = race if (era, size) == ("5.10", "base") else set()
    assert _by("uffd", size, "read-only", "RW->R", era) == wanted


@pytest.mark.parametrize("era", ERAS)
def test_what_the_kernel_downgrades_and_reads_today_is_safe(era: str) -> None:
    assert not _by("munmap", "base", "last-vma", "RW->NONE", era)
    assert not _by("madvise", "base", "read-only", "RW->RW", era)


@pytest.mark.parametrize("era", BEFORE_EXCLUSIVE)
def test_who_breaks_a_cut_of_mprotect_before_exclusive_pages(era: str) -> None:
    lost = {"forced-write"}
    assert _by("mprotect", "base", "before-flush", "RW->R", era) == lost
    assert _by("mprotect", "base", "before-flush", "RW->NONE", era) == lost
    assert _by("mprotect", "base", "before-flush", "R->NONE", era) == set()
    for policy in ("last-vma", "every-vma"):
        assert _by("mprotect", "base", policy, "RW->R", era) == lost | {"dontneed"}
        assert _by("mprotect", "base", policy, "RW->NONE", era) == lost | {"dontneed"}
        assert _by("mprotect", "base", policy, "R->NONE", era) == {"dontneed"}


@pytest.mark.parametrize("era", BEFORE_EXCLUSIVE)
def test_giving_a_right_is_safe_before_the_flush_but_not_before_the_walk(era: str) -> None:
    # The walk takes away the write bit that a fault under the read lock has just set.
    for change in ("R->RW", "NONE->RW"):
        for size in ("base", "huge", "empty"):
            assert "write-fault+reference" in _by("mprotect", size, "last-vma", change, era)
            assert not _by("mprotect", size, "before-flush", change, era)
    for policy in CUTS:
        assert not _by("mprotect", "base", policy, "NONE->R", era)


@pytest.mark.parametrize("era", SINCE_EXCLUSIVE)
@pytest.mark.parametrize("policy", CUTS)
def test_nobody_breaks_a_cut_once_pages_are_exclusive(era: str, policy: str) -> None:
    for size in ("base", "huge", "empty"):
        for change in CHANGES:
            assert not _by("mprotect", size, policy, change, era)


@pytest.mark.parametrize("era", ERAS)
def test_the_read_lock_from_the_start_lets_a_fault_keep_the_old_rights(era: str) -> None:
    assert "write-fault" in _by("mprotect", "empty", "read-only", "RW->R", era)
    assert "read-fault" in _by("mprotect", "empty", "read-only", "R->NONE", era)


@pytest.mark.parametrize("change", ["RW->R", "RW->NONE"])
def test_which_guard_helps_where_somebody_breaks_the_cut(change: str) -> None:
    def left(policy: str, guard: str) -> set[str]:
        return _by("mprotect", "base", policy, change, "5.12", guard)

    for guard in ("pending-check", "mark", "flush-in-ptl"):
        assert left("before-flush", guard) == set()
        assert left("last-vma", guard) == {"dontneed"}  # which no fault guards against
    for policy in ("last-vma", "before-flush"):
        assert "forced-write" in left(policy, "generation")  # nothing changes while it copies
        assert left(policy, "nested") == {"forced-write"}
        assert left(policy, "pending-check+nested") == set()


def test_downgrading_clear_refs_lost_stores_of_ordinary_faults() -> None:
    # As it was to 5.10 (29a951dfb3c3): the VMA stays writable, so nothing refuses the fault.
    assert "write-fault" in _by("soft-dirty", "base", "last-vma", "RW->R", "5.10")


def test_all_pairs_find_no_one_that_the_table_misses() -> None:
    for change, era in (("RW->R", "5.10"), ("R->NONE", "6.18")):
        question = Question("mprotect", "base", "before-flush", "none", change, era)
        every = answer(question, all_pairs=True)
        assert every.companies > 60
        assert {b.by for b in every.breaks} == {b.by for b in load()[question].breaks}


def test_the_race_of_2020_reads_like_the_mail() -> None:
    question = Question("uffd", "base", "read-only", "none", "RW->R", "5.10")
    start, told = explain(question, Break(("write-fault", "un-protect"), "lost-store", 15))
    assert "somebody else holds a reference" in start
    text = [f"{line.actor} {line.text}" for line in told]
    order = [
        "T0 (userfaultfd write-protect) clears the write bit and sets the userfaultfd mark",
        "T2 (userfaultfd un-protect) clears the userfaultfd mark and leaves the write bit clear",
        "T1 (write fault) copies page A to page B without holding the page-table lock",
        "CPU 3 (still running) stores to page A through its cached translation",
        "T1 (write fault) maps page B in place of page A",
    ]
    places = [next(i for i, line in enumerate(text) if line.startswith(part)) for part in order]
    assert places == sorted(places)
    assert "lost" in text[-1]
    assert not any("flushes the TLBs" in line for line in text)
    with pytest.raises(InputError, match="do not break"):
        explain(question, Break(("read-fault",), "lost-store", 1))


def test_every_break_in_the_table_can_be_told() -> None:
    seen = set()
    for question, found in load().items():
        for cell in found.breaks:
            kind = (question.call, question.policy, cell.by, cell.invariant)
            if question.era != "5.10" or kind in seen:
                continue
            seen.add(kind)
            start, told = explain(question, cell)
            assert start.endswith(".")
            assert len(told) == cell.steps + 1
            assert not any("{" in line.text for line in told)
    assert len(seen) > 20


def test_what_a_safe_cut_rests_on() -> None:
    question = Question("mprotect", "base", "before-flush", "none", "RW->R", "5.19")
    assert {"exclusive", "compares"} <= {name for name, _ in held_up_by(question)}
