"""Ordinary page faults, and the part of them that a forced write shares: handle_mm_fault."""

from __future__ import annotations

from dataclasses import dataclass

from perfmodel.stale_tlb import invariants
from perfmodel.stale_tlb.actors.locks import (
    FRAME_HELD,
    FRAME_NEW,
    NOTE,
    SEEN,
    lock_as_fault,
    unlock,
)  # fmt: skip
from perfmodel.stale_tlb.program import END, Actor, Outcome
from perfmodel.stale_tlb.setting import Setting
from perfmodel.stale_tlb.state import (
    ABSENT,
    CONTENT,
    EXCL,
    FRAME,
    HUGE,
    KIND,
    MARK,
    MIGRATING,
    NONE,
    PENDING,
    PRESENT,
    PROTNONE,
    PTL,
    REF,
    RW,
    TLB,
    UFFD,
    VMA,
    WRITE,
    R,
    Slot,
    State,
    allocate,
    gone,
    put,
    rights,
    same_entry,
    snapshot,
)  # fmt: skip

__all__ = [
    "Exits",
    "accessible",
    "add_handler",
    "clear_entry",
    "map_page",
    "reading_thread",
    "second_writing_thread",
    "writing_thread",
]  # fmt: skip


def allows(s: State, right: int) -> bool:
    """Return whether the VMA is there and gives at least `right`."""
    return not gone(s) and s[VMA] >= right


def accessible(s: State, setting: Setting, kind: int) -> bool:
    """Return whether clearing an entry of this kind must flush (pte_accessible)."""
    if kind == PRESENT:
        return True
    return kind == PROTNONE and setting.rules.accessible_pending and s[PENDING] > 0


def clear_entry(s: State) -> None:
    """Make the entry empty."""
    s[KIND], s[WRITE], s[UFFD], s[MARK], s[HUGE] = ABSENT, 0, 0, 0, 0


def map_page(s: State, f: int, write: int) -> None:
    """Map page `f` with the rights of the VMA, writable where `write` and the VMA say so."""
    s[KIND] = PROTNONE if rights(s) == NONE else PRESENT
    s[FRAME], s[WRITE] = f, int(write and rights(s) == RW)


@dataclass(frozen=True, slots=True)
class Exits:
    """Where a fault goes on: after it changed the entry, to try again, and to give up.

    Parameters
    ----------
    done, again : str
        Labels of steps.
    monitor : str
        Where a write fault on a userfaultfd mark goes.
    unlocks : bool
        Whether the lock is dropped on the way.
    """

    done: str
    again: str
    monitor: str
    unlocks: bool


def add_handler(actor: Actor, setting: Setting, exits: Exits, *, write: bool) -> None:
    """Add handle_mm_fault from label ``entry`` on; the actor holds a lock for reading."""
    _Handler(actor, setting, exits, write).build()


class _Handler:
    """handle_mm_fault: a new page, a NUMA hint, reuse, or a copy made without the page-table lock."""

    def __init__(self, actor: Actor, setting: Setting, exits: Exits, write: bool) -> None:
        self.actor, self.setting, self.exits, self.write = actor, setting, exits, write
        self.base = actor.slot.base

    def build(self) -> None:
        add = self.actor.add
        add("entry", self.entry, section=True)
        add("new", self.new_page)
        add("map", self.map_new, section=True)
        if not self.write:
            return
        add("flush-first", self.flush_first)
        add("decide", self.decide_held)
        add("split", self.split)
        add("copy", self.copy)
        add("install", self.install, section=True)
        add("flush-copy", self.flush_copy)
        add("set", self.set_copy)
        add("drop-old", self.drop_old)

    def out(self, s: State, where: str) -> str:
        """Leave the handler, dropping the lock where the caller wants it."""
        if self.exits.unlocks:
            unlock(s, self.base)
        return where

    def entry(self, s: State) -> Outcome:
        kind, rules = s[KIND], self.setting.rules
        if kind == ABSENT:
            return "new", "finds no entry"
        if kind == MIGRATING:
            return self.out(s, self.exits.again), "finds a migration entry, and waits for its end"
        if kind == PROTNONE and rules.numa_mark and allows(s, R):
            s[KIND] = PRESENT
            s[WRITE] = int(s[WRITE] and rights(s) == RW)
            return (
                self.out(s, self.exits.done),
                "finds a NUMA hint: do_numa_page puts the rights back under the page-table lock",
            )
        if not self.write or (s[WRITE] and kind == PRESENT):
            return self.out(s, self.exits.done), "finds the entry in order, and tries again"
        if s[UFFD] and rules.uffd_mark:
            return self.out(s, self.exits.monitor), "finds the userfaultfd mark: handle_userfault"
        if s[MARK] and s[PENDING]:
            return self.out(
                s, self.exits.again
            ), "finds the mark and a flush pending, and goes back"
        if self.setting.faults_flush and s[PENDING]:
            s[PTL] = self.actor.slot.owner
            return "flush-first", "finds the entry read-only and a flush pending"
        return self.decide(s)

    def flush_first(self, s: State) -> Outcome:
        s[TLB] = 0
        return "decide", "flushes the page under the page-table lock"

    def decide_held(self, s: State) -> Outcome:
        s[PTL] = 0
        return self.decide(s)

    def decide(self, s: State) -> Outcome:
        """Reuse the page or copy it: do_wp_page, do_huge_pmd_wp_page."""
        f, rules = s[FRAME], self.setting.rules
        mine = s[EXCL] >> f & 1
        if rules.exclusive:
            reuse, why = bool(mine) or s[REF + f] == 1, "exclusive" if mine else "referenced once"
        elif s[HUGE]:
            reuse, why = bool(mine), "mapped once"
        else:
            reuse, why = bool(mine) and s[REF + f] == 1, "referenced once"
        if reuse:
            s[EXCL] |= 1 << f
            s[KIND] = s[KIND] if rights(s) == NONE else PRESENT
            s[WRITE] = int(rights(s) == RW)
            rest = "sets the write bit" if s[WRITE] else "keeps the entry read-only"
            return self.out(s, self.exits.done), f"finds page {{page}} {why}: reuses it, {rest}"
        if s[HUGE] and rules.split_flush:
            s[PTL] = self.actor.slot.owner
            return "split", "finds the huge page shared, and splits the entry"
        s[REF + f] += 1
        s[self.base + FRAME_HELD] = f
        s[self.base + SEEN] = snapshot(s)
        s[self.base + FRAME_NEW] = allocate(s)
        why = "shared" if not mine else "referenced by somebody else too"
        return "copy", (
            f"finds the entry not writable and page {{page}} {why}: it must be copied; drops the"
            " page-table lock"
        )

    def split(self, s: State) -> Outcome:
        s[TLB] = s[HUGE] = s[PTL] = 0
        return "entry", "flushes the TLBs (pmdp_invalidate); the entries are small now"

    def copy(self, s: State) -> Outcome:
        b = self.base
        s[CONTENT + s[b + FRAME_NEW]] = s[CONTENT + s[b + FRAME_HELD]]
        return "install", "copies page {held} to page {new} without holding the page-table lock"

    def install(self, s: State) -> Outcome:
        b = self.base
        if not self.setting.rules.compares:
            self.take_over(s)
        elif not same_entry(s, s[b + SEEN]):
            invariants.release(s, s[b + FRAME_HELD])
            put(s, s[b + FRAME_NEW])
            s[b + FRAME_HELD] = s[b + FRAME_NEW] = s[b + SEEN] = 0
            return self.out(s, self.exits.again), "finds the entry changed, and drops its copy"
        s[b + NOTE] = s[KIND]
        clear_entry(s)
        s[PTL] = self.actor.slot.owner
        return "flush-copy", "finds the entry as it was, and clears it under the page-table lock"

    def take_over(self, s: State) -> None:
        """Let the page that is mapped now be the one that is replaced, whichever it is."""
        b = self.base
        mapped = s[FRAME] if s[KIND] in (PRESENT, PROTNONE) else s[b + FRAME_NEW]
        if mapped != s[b + FRAME_HELD]:
            # Two references are dropped at the end: one held, one of the entry, if it has a page.
            s[REF + mapped] += 2 if mapped == s[b + FRAME_NEW] else 1
            invariants.release(s, s[b + FRAME_HELD])
            s[b + FRAME_HELD] = mapped

    def flush_copy(self, s: State) -> Outcome:
        b = self.base
        due = self.setting.rules.install_flush and accessible(s, self.setting, s[b + NOTE])
        s[b + NOTE] = 0
        if due:
            s[TLB] = 0
            return "set", "flushes the page"
        return "set", "has nothing to flush"

    def set_copy(self, s: State) -> Outcome:
        new = s[self.base + FRAME_NEW]
        s[EXCL] |= 1 << new
        map_page(s, new, 1)
        s[PTL] = 0
        return "drop-old", "maps page {new} in place of page {held}"

    def drop_old(self, s: State) -> Outcome:
        b = self.base
        old = s[b + FRAME_HELD]
        s[REF + old] -= 1  # the reference taken for the copy
        invariants.release(s, old)
        s[b + FRAME_HELD] = s[b + FRAME_NEW] = s[b + SEEN] = 0
        return self.out(s, self.exits.done), "drops page {held}"

    def new_page(self, s: State) -> Outcome:
        s[self.base + NOTE] = rights(s)
        return "map", "takes a new page, with the rights that the VMA has now"

    def map_new(self, s: State) -> Outcome:
        b = self.base
        right, s[b + NOTE] = s[b + NOTE], 0
        if s[KIND] != ABSENT:
            return self.out(s, self.exits.again), "finds that somebody was faster"
        f = allocate(s)
        s[EXCL] |= 1 << f
        # The entry was made before the lock was taken, with the rights that the VMA gave then.
        s[KIND] = PROTNONE if right == NONE else PRESENT
        s[FRAME], s[WRITE] = f, int(self.write and right == RW)
        how = "writable" if s[WRITE] else "not writable"
        return self.out(s, self.exits.done), f"maps page {{page_after}}, {how}"


def _faulting(name: str, slot: Slot, setting: Setting, *, write: bool) -> Actor:
    """Return a thread that touches the page once, and faults until it can."""
    thread = Actor(name, slot, "touch")
    base, bit = slot.base, 1 << slot.owner
    verb = "writes" if write else "reads"

    def touch(s: State) -> Outcome:
        if s[KIND] != PRESENT or (write and not s[WRITE]):
            return "lock", f"{verb}, and the page table does not allow it"
        if write:
            invariants.store(s, s[FRAME], bit)
        else:
            invariants.load(s)
        return END, f"{verb} page {{page}} as the page table allows"

    def check(s: State) -> Outcome:
        if not allows(s, RW if write else R):
            unlock(s, base)
            return END, "finds that the VMA forbids it: SIGSEGV"
        return "entry", "finds that the VMA allows it"

    def wait(s: State) -> Outcome:
        return ("touch", "is woken: the mark is gone") if not s[UFFD] else None

    thread.add("touch", touch)
    lock_as_fault(
        thread, setting, "lock", "check", f"faults for {'writing' if write else 'reading'}"
    )
    thread.add("check", check)
    add_handler(thread, setting, Exits("touch", "touch", "wait", unlocks=True), write=write)
    thread.add("wait", wait)
    return thread


def writing_thread(slot: Slot, setting: Setting) -> Actor:
    """Return a thread that stores to the page, and faults where it must."""
    return _faulting("T1 (write fault)", slot, setting, write=True)


def second_writing_thread(slot: Slot, setting: Setting) -> Actor:
    """Return another such thread."""
    return _faulting("T3 (write fault)", slot, setting, write=True)


def reading_thread(slot: Slot, setting: Setting) -> Actor:
    """Return a thread that reads the page, and faults where it must."""
    return _faulting("T1 (read fault)", slot, setting, write=False)
