"""The search itself: complete, shortest first, and the same with the lock taken in single steps."""

from __future__ import annotations

import pytest

from perfmodel.stale_tlb import search
from perfmodel.stale_tlb.cells import OTHERS, actors_of, ask, same_question, starts_of
from perfmodel.stale_tlb.eras import ERAS
from perfmodel.stale_tlb.invariants import LOST
from perfmodel.stale_tlb.program import END, Actor
from perfmodel.stale_tlb.search import explore
from perfmodel.stale_tlb.setting import Setting
from perfmodel.stale_tlb.state import (
    CONTENT,
    FOUND,
    FRAMES,
    KIND,
    PRESENT,
    STORED,
    ModelError,
    Slot,
    allocate,
    new_state,
    put,
)  # fmt: skip


def _counter(slot: Slot, steps: int) -> Actor:
    """Return an actor that does nothing, step by step."""
    actor = Actor(f"counter {slot.owner}", slot, "0")
    for i in range(steps):
        then = str(i + 1) if i + 1 < steps else END
        actor.add(str(i), lambda _, then=then: (then, "counts"))
    return actor


def test_counts_every_interleaving_of_independent_actors() -> None:
    found = explore([_counter(Slot(i), 3) for i in (1, 2, 3)], [new_state(3)])
    assert found.states == 4**3
    assert found.transitions == 3 * 3 * 4**2
    assert found.depth == 9
    assert found.safe and not found.stuck


def test_a_section_keeps_others_out_and_is_one_step() -> None:
    actors = [_counter(Slot(1), 1), _counter(Slot(2), 1)]
    for actor in actors:
        actor.steps["0"] = [search_step(actor)]
    coarse = explore(actors, [new_state(2)])
    fine = explore(actors, [new_state(2)], single_steps=True)
    assert coarse.states == 4
    # Each is before, in (having taken or done), or behind: 4 * 4 places but for both within.
    assert fine.states == 4 * 4 - 2 * 2
    assert fine.depth == 6


def search_step(actor: Actor):  # type: ignore[no-untyped-def]
    step = actor.steps["0"][0]
    return type(step)(step.act, section=True)


def test_finds_a_shortest_failure_and_its_moves() -> None:
    def lose(s: list[int]) -> tuple[str, str]:
        s[KIND], s[STORED], s[CONTENT] = PRESENT, 1, 0
        return END, "loses a store"

    slow = _counter(Slot(1), 5)
    slow.steps["4"][0] = type(slow.steps["4"][0])(lose)
    quick = _counter(Slot(2), 2)
    quick.steps["1"][0] = type(quick.steps["1"][0])(lose)
    found = explore([slow, quick], [new_state(2)])
    (moves,) = found.failures.values()
    assert list(found.failures) == [LOST]
    assert [m.text for m in moves] == ["counts", "loses a store"]
    assert [m.actor for m in moves] == [1, 1]
    assert moves[-1].after[FOUND] == LOST
    assert moves[0].after == moves[1].before


CASES = [
    ("5.10", "mprotect", "last-vma", "RW->R", ("forced-write",)),
    ("5.10", "mprotect", "last-vma", "RW->NONE", ("dontneed",)),
    ("5.10", "mprotect", "last-vma", "NONE->RW", ("write-fault",)),
    ("5.10", "soft-dirty", "last-vma", "RW->R", ("write-fault",)),
    ("5.10", "uffd", "read-only", "RW->R", ("un-protect", "write-fault")),
    ("5.12", "uffd", "read-only", "RW->R", ("un-protect", "write-fault")),
    ("5.19", "mprotect", "before-flush", "RW->R", ("forced-write",)),
    ("6.4", "numa", "read-only", "RW->NONE", ("migration",)),
    ("6.18", "mprotect", "last-vma", "RW->R", ("dontneed",)),
    ("6.18", "mprotect", "every-vma", "RW->NONE", ("ksm",)),
    ("6.18", "mprotect", "last-vma", "RW->NONE", ("numa",)),
    ("6.18", "mprotect", "none", "RW->R", ("fork", "write-fault")),
]


@pytest.mark.parametrize(("era", "call", "policy", "change", "others"), CASES)
def test_single_steps_of_the_page_table_lock_give_the_same_answer(
    era: str, call: str, policy: str, change: str, others: tuple[str, ...]
) -> None:
    setting = Setting(ERAS[era], call, policy, change)
    coarse, fine = ask(setting, others), ask(setting, others, single_steps=True)
    assert set(fine.failures) == set(coarse.failures)
    assert fine.states > coarse.states
    assert fine.stuck >= coarse.stuck


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("other", [o for o in OTHERS if o != "un-protect"])
def test_nobody_waits_for_ever(era: str, other: str) -> None:
    for policy in ("none", "last-vma"):
        assert ask(Setting(ERAS[era], "mprotect", policy, "RW->NONE"), [other]).stuck == 0


def test_only_the_monitor_ends_the_wait_for_it() -> None:
    setting = Setting(ERAS["5.12"], "uffd", "read-only", "RW->R")
    assert ask(setting, ["write-fault"]).stuck > 0
    started_late = ask(setting, ["write-fault", "un-protect"])
    assert started_late.safe


@pytest.mark.parametrize("other", OTHERS)
def test_releases_that_differ_in_nothing_that_matters_ask_one_question(other: str) -> None:
    # The rules that are set aside must not change the answer.
    for era in ERAS:
        setting = Setting(
            ERAS[era], "mprotect", "last-vma", "RW->R", uffd_vma=other == "un-protect"
        )
        actors = actors_of(setting, [other])
        whole = explore(actors, starts_of(setting, len(actors)))
        less = same_question(setting, [other])
        actors = actors_of(less, [other])
        assert set(whole.failures) == set(explore(actors, starts_of(less, len(actors))).failures)


def test_a_case_that_the_model_was_not_made_for_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    s = new_state(1)
    for _ in range(FRAMES):
        allocate(s)
    with pytest.raises(ModelError, match="FRAMES"):
        allocate(s)
    assert put(s, 0)
    with pytest.raises(ModelError, match="reference"):
        put(s, 0)
    monkeypatch.setattr(search, "LIMIT", 10)
    with pytest.raises(ModelError, match="more than 10"):
        explore([_counter(Slot(i), 3) for i in (1, 2, 3)], [new_state(3)])
