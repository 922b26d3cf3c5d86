"""Which questions are asked: a call, its cut, a kernel, and who else is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from perfmodel.stale_tlb.actors.cpu import writing_cpu
from perfmodel.stale_tlb.actors.faults import reading_thread, second_writing_thread, writing_thread
from perfmodel.stale_tlb.actors.forced_write import forced_writer
from perfmodel.stale_tlb.actors.migrate import migrating_thread, referring_thread
from perfmodel.stale_tlb.actors.protect import protecting_thread, unprotecting_thread
from perfmodel.stale_tlb.actors.sharing import forking_thread, merging_daemon
from perfmodel.stale_tlb.actors.zap import discarding_thread, unmapping_thread
from perfmodel.stale_tlb.program import Actor
from perfmodel.stale_tlb.search import Exploration, explore
from perfmodel.stale_tlb.setting import Setting
from perfmodel.stale_tlb.state import (
    ABSENT,
    EXCL,
    GRANT,
    HUGE,
    KIND,
    NONE,
    PRESENT,
    PROTNONE,
    REF,
    RW,
    TLB,
    VMA,
    WANT,
    WRITE,
    Slot,
    State,
    new_state,
)  # fmt: skip

__all__ = ["OTHERS", "actors_of", "ask", "same_question", "start_text", "starts_of"]

#: Who may be there beside the caller and CPU 3.
OTHERS = {
    "write-fault": "a thread whose store faults",
    "write-fault-2": "another such thread",
    "read-fault": "a thread whose load faults",
    "second-call": "a thread in mprotect the other way round",
    "forced-write": "a debugger writing with FOLL_FORCE",
    "un-protect": "a userfaultfd monitor taking its mark away",
    "numa": "NUMA hinting",
    "ksm": "KSM",
    "fork": "a thread in fork",
    "dontneed": "a thread in MADV_DONTNEED",
    "munmap": "a thread in munmap",
    "migration": "compaction moving the page",
    "reference": "somebody who takes a reference to the page for a while",
}


def _opposite(transition: str) -> str:
    old, new = transition.split("->")
    return f"{new}->{old}"


def _lock(setting: Setting) -> str:
    """Return the policy of mprotect beside this call."""
    return setting.policy if setting.call == "mprotect" else "none"


def _other(name: str, slot: Slot, setting: Setting) -> Actor:
    """Make one of `OTHERS`."""
    if name == "second-call":
        # A cell is about one transition: the other way round the call keeps the write lock, as it
        # does today, unless there is none to keep.
        policy = "read-only" if _lock(setting) == "read-only" else "none"
        way = _opposite(setting.transition) if setting.call == "mprotect" else "RW->R"
        second = replace(setting, call="mprotect", policy=policy, transition=way)
        return protecting_thread(slot, second, "T2")
    if name == "numa":
        hint = Setting(setting.rules, "numa", "read-only", "RW->NONE", setting.size)
        return protecting_thread(slot, hint, "T2")
    if name == "reference":
        return referring_thread(slot)
    make = {
        "write-fault": writing_thread,
        "write-fault-2": second_writing_thread,
        "read-fault": reading_thread,
        "forced-write": forced_writer,
        "un-protect": unprotecting_thread,
        "ksm": merging_daemon,
        "fork": forking_thread,
        "dontneed": discarding_thread,
        "munmap": unmapping_thread,
        "migration": migrating_thread,
    }[name]
    return make(slot, setting)


def actors_of(setting: Setting, others: Sequence[str]) -> list[Actor]:
    """Return CPU 3, the caller T0 and the others."""
    calls = {"munmap": unmapping_thread, "madvise": discarding_thread}
    caller = calls.get(setting.call, protecting_thread)
    actors = [writing_cpu(Slot(1)), caller(Slot(2), setting, "T0")]
    for i, name in enumerate(others):
        actors.append(_other(name, Slot(3 + i), setting))
    return actors


def starts_of(setting: Setting, actors: int) -> list[State]:
    """Return the states a call may begin in: how the entry and the page can be.

    The page is exclusive to the process and referenced once; the same with a reference held by
    somebody else (a scan, a pin, a swap-cache entry); shared with a child since a fork; or not there.
    """
    starts = []
    old = setting.old if setting.call == "mprotect" else RW
    pages = () if setting.size == "empty" else ((True, 1), (True, 2), (False, 2))
    for exclusive, references in pages:
        s = new_state(actors)
        s[KIND] = PROTNONE if old == NONE else PRESENT
        s[WRITE] = int(old == RW and exclusive)
        s[EXCL], s[REF] = int(exclusive), references
        s[TLB] = 0 if old == NONE else 1 + s[WRITE]
        starts.append(s)
    absent = new_state(actors)
    absent[KIND] = ABSENT
    starts.append(absent)
    for s in starts:
        s[VMA] = s[WANT] = s[GRANT] = old
        s[HUGE] = int(setting.size == "huge" and s[KIND] != ABSENT)
    return starts


def start_text(start: Sequence[int]) -> str:
    """Return the state a schedule begins in, in words."""
    if start[KIND] == ABSENT:
        return "No page is mapped yet."
    page = "The huge page A" if start[HUGE] else "Page A"
    if not start[EXCL]:
        how = f"{page} is shared with a child"
    elif start[REF] > 1:
        how = f"{page} belongs to the process alone, and somebody else holds a reference to it"
    else:
        how = f"{page} belongs to the process alone"
    cached = ("nothing", "a right to read", "a right to write")[start[TLB]]
    return f"{how}. CPU 3 has {cached} cached."


def ask(setting: Setting, others: Sequence[str], *, single_steps: bool = False) -> Exploration:
    """Explore one question completely.

    Parameters
    ----------
    setting : Setting
    others : sequence of str
        Names of `OTHERS`.
    single_steps : bool
        As in `search.explore`.
    """
    return _explored(same_question(setting, others), tuple(others), single_steps)


@lru_cache(maxsize=16384)
def _explored(setting: Setting, others: tuple[str, ...], single_steps: bool) -> Exploration:
    actors = actors_of(setting, others)
    return explore(actors, starts_of(setting, len(actors)), single_steps=single_steps)


def same_question(setting: Setting, others: Sequence[str]) -> Setting:
    """Return the setting with the rules that nobody there looks at set to their first value.

    Releases that differ in nothing that matters to these actors then ask one question.
    """
    rules, there = setting.rules, set(others)
    uffd_vma = setting.call == "uffd" or "un-protect" in there
    copies = {"write-fault", "write-fault-2", "forced-write"} & there
    if not copies or (rules.checks_pending == "uffd" and not uffd_vma):
        rules = replace(rules, checks_pending="never")
    if "dontneed" not in there:
        rules = replace(rules, zap_per_vma=False)
    faults = {"write-fault", "write-fault-2", "read-fault"} & there
    if not faults and not rules.zap_per_vma:
        rules = replace(rules, per_vma=False)
    if not setting.transition.endswith("RW") and "second-call" not in there:
        rules = replace(rules, restores_write=False)
    return replace(setting, rules=rules, uffd_vma=uffd_vma)
