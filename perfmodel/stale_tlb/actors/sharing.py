"""Those who share a page: KSM, which merges it with an equal one, and fork."""

from __future__ import annotations

from perfmodel.stale_tlb import invariants
from perfmodel.stale_tlb.actors.faults import accessible, clear_entry
from perfmodel.stale_tlb.actors.locks import (
    FRAME_HELD,
    FRAME_NEW,
    NOTE,
    SEEN,
    read_lock,
    unlock,
    write_lock,
)  # fmt: skip
from perfmodel.stale_tlb.program import END, Actor, Outcome
from perfmodel.stale_tlb.setting import Setting
from perfmodel.stale_tlb.state import (
    ABSENT,
    CONTENT,
    EXCL,
    FRAME,
    KIND,
    MARK,
    MIGRATING,
    NONE,
    PENDING,
    PRESENT,
    PROTNONE,
    PTL,
    REF,
    TLB,
    VREADERS,
    VWRITER,
    WRITE,
    Slot,
    State,
    allocate,
    gone,
    put,
    rights,
    same_entry,
    snapshot,
)  # fmt: skip

__all__ = ["forking_thread", "merging_daemon"]


def merging_daemon(slot: Slot, setting: Setting) -> Actor:
    """Return ksmd on this page: write-protect, compare, replace; it flushes within the lock.

    The dirty bit is not modelled: KSM flushes dirty entries too, so it would flush more often.
    """
    daemon = Actor("ksmd (KSM)", slot, "enter")
    base, rules = slot.base, setting.rules

    def enter(s: State) -> Outcome:
        if not read_lock(s, base):
            return None
        if gone(s):
            unlock(s, base)
            return END, "finds no VMA"
        return "protect", "takes mmap_lock for reading"

    def protect(s: State) -> Outcome:
        if s[KIND] not in (PRESENT, PROTNONE):
            unlock(s, base)
            return END, "finds no page"
        f = s[FRAME]
        s[REF + f] += 1
        s[base + FRAME_HELD] = f
        mine = rules.exclusive and s[EXCL] >> f & 1
        if not (s[WRITE] or mine or (rules.ksm_pending and s[PENDING])):
            s[base + SEEN] = snapshot(s)
            return "compare", "finds the entry of page {page} read-only"
        s[base + NOTE], s[base + SEEN] = s[KIND], snapshot(s)
        s[base + FRAME_NEW] = s[WRITE]
        s[KIND] = ABSENT
        s[PTL] = slot.owner
        return "flush", "clears the entry of page {page} under the page-table lock"

    def flush(s: State) -> Outcome:
        due = accessible(s, setting, s[base + NOTE])
        if due:
            s[TLB] = 0
        return "protected", "flushes the page" if due else "has nothing to flush"

    def protected(s: State) -> Outcome:
        f = s[base + FRAME_HELD]
        s[KIND], s[base + NOTE] = s[base + NOTE], 0
        was_writable, s[base + FRAME_NEW] = s[base + FRAME_NEW], 0
        s[PTL] = 0
        if s[REF + f] > 2:  # one for the entry, one for the daemon
            s[WRITE] = was_writable
            return leave(s, "finds page {held} in use by somebody else, and puts the entry back")
        s[WRITE] = 0
        if rules.exclusive:
            s[EXCL] &= ~(1 << f)
        s[base + SEEN] = snapshot(s)
        return "compare", "makes the entry read-only"

    def compare(s: State) -> Outcome:
        new = allocate(s)
        s[REF + new] += 1  # the tree of stable pages holds one
        s[CONTENT + new] = s[CONTENT + s[base + FRAME_HELD]]
        s[base + FRAME_NEW] = new
        return "replace", "finds page {held} equal to page {new}"

    def replace(s: State) -> Outcome:
        if not same_entry(s, s[base + SEEN]):
            put(s, s[base + FRAME_NEW])
            put(s, s[base + FRAME_NEW])
            return leave(s, "finds the entry changed, and leaves it")
        s[base + NOTE] = s[KIND]
        s[KIND] = ABSENT
        s[PTL] = slot.owner
        return "flush-old", "clears the entry under the page-table lock"

    def flush_old(s: State) -> Outcome:
        due = accessible(s, setting, s[base + NOTE])
        if due:
            s[TLB] = 0
        return "set", "flushes the page" if due else "has nothing to flush"

    def set_new(s: State) -> Outcome:
        clear_entry(s)
        s[FRAME], s[base + NOTE] = s[base + FRAME_NEW], 0
        s[KIND] = PROTNONE if rights(s) == NONE else PRESENT
        s[PTL] = 0
        return "put", "maps page {new} in place of page {held}, read-only"

    def put_old(s: State) -> Outcome:
        invariants.release(s, s[base + FRAME_HELD])
        return leave(s, "drops page {held}")

    def leave(s: State, said: str) -> Outcome:
        invariants.release(s, s[base + FRAME_HELD])
        s[base + FRAME_HELD] = s[base + FRAME_NEW] = s[base + SEEN] = s[base + NOTE] = 0
        unlock(s, base)
        return END, said

    daemon.add("enter", enter)
    daemon.add("protect", protect, section=True)
    daemon.add("flush", flush)
    daemon.add("protected", protected)
    daemon.add("compare", compare)
    daemon.add("replace", replace, section=True)
    daemon.add("flush-old", flush_old)
    daemon.add("set", set_new)
    daemon.add("put", put_old)
    return daemon


def forking_thread(slot: Slot, setting: Setting) -> Actor:
    """Return a thread that forks: the entry becomes read-only and the page shared."""
    parent = Actor("F (fork)", slot, "enter")
    base, rules = slot.base, setting.rules
    locks_vma = rules.per_vma and rules.fork_locks_vma

    def enter(s: State) -> Outcome:
        if not write_lock(s, base):
            return None
        if gone(s):
            unlock(s, base)
            return END, "finds no VMA to copy"
        return "lock-vma" if locks_vma else "share", "takes mmap_lock for writing"

    def lock_vma(s: State) -> Outcome:
        if s[VREADERS]:
            return None
        s[VWRITER] = 1
        return "share", "locks the VMA for writing; no fault is in it"

    def share(s: State) -> Outcome:
        if s[KIND] == ABSENT:
            return "flush", "finds no entry"
        s[WRITE] = s[MARK] = 0
        s[EXCL] &= ~(1 << s[FRAME])
        if s[KIND] != MIGRATING:
            s[REF + s[FRAME]] += 1
        return "flush", "clears the write bit and shares page {page} with the child"

    def flush(s: State) -> Outcome:
        s[TLB] = 0
        return "leave", "flushes the TLBs"

    def leave(s: State) -> Outcome:
        unlock(s, base)
        return END, "drops mmap_lock and returns"

    parent.add("enter", enter)
    parent.add("lock-vma", lock_vma)
    parent.add("share", share, section=True)
    parent.add("flush", flush)
    parent.add("leave", leave)
    return parent
