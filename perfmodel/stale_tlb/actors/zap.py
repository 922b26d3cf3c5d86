"""Those who take pages away: MADV_DONTNEED under the read lock, and munmap, which downgrades."""

from __future__ import annotations

from perfmodel.stale_tlb import invariants
from perfmodel.stale_tlb.actors.faults import clear_entry
from perfmodel.stale_tlb.actors.locks import (
    FRAME_HELD,
    MODE,
    NOTE,
    OF_VMA,
    downgrade,
    read_lock,
    unlock,
    write_lock,
)  # fmt: skip
from perfmodel.stale_tlb.program import END, Actor, Outcome
from perfmodel.stale_tlb.setting import Setting
from perfmodel.stale_tlb.state import (
    ABSENT,
    DISCARD,
    EXCUSED,
    FRAME,
    GONE,
    GRANT,
    KIND,
    MIGRATING,
    NONE,
    PENDING,
    STORED,
    TLB,
    UFFD,
    VMA,
    VREADERS,
    VWRITER,
    WANT,
    Slot,
    State,
    gone,
    rights,
)  # fmt: skip

__all__ = ["discarding_thread", "unmapping_thread"]


def _zap(thread: Actor, setting: Setting, then: str) -> None:
    """Add the mmu_gather part: take the entry out, flush, free the page."""
    base, rules = thread.slot.base, setting.rules

    def announce(s: State) -> Outcome:
        s[PENDING] += 1
        return "zap", "says that a flush is pending"

    def zap(s: State) -> Outcome:
        s[EXCUSED] = s[STORED]
        if s[KIND] == ABSENT:
            return "flush", "finds no entry"
        if s[UFFD] and setting.call == "uffd":  # the mark goes with the entry
            s[WANT] = rights(s)
            s[GRANT] = max(s[GRANT], rights(s))
        if s[KIND] == MIGRATING:
            # The page is in the hands of who migrates it, and is freed there.
            clear_entry(s)
            return "flush", "takes a migration entry out"
        s[base + NOTE], s[base + FRAME_HELD] = 1, s[FRAME]
        clear_entry(s)
        return "flush", "takes the entry of page {page} out under the page-table lock"

    def flush(s: State) -> Outcome:
        nested = rules.nested_flush and s[PENDING] > 1
        if not s[base + NOTE] and not nested:
            return "free", "has nothing to flush"
        s[TLB] = 0
        said = "flushes the TLBs" if s[base + NOTE] else "flushes: another flush is pending"
        return "free", said

    def free(s: State) -> Outcome:
        had, held = s[base + NOTE], s[base + FRAME_HELD]
        s[base + NOTE] = s[base + FRAME_HELD] = 0
        if not had:
            return "done", "has no page to free"
        invariants.release(s, held)
        return "done", "frees the page"

    def finish(s: State) -> Outcome:
        s[PENDING] -= 1
        return then, "says that its flush is done"

    thread.add("pending", announce)
    thread.add("zap", zap, section=True)
    thread.add("flush", flush)
    thread.add("free", free)
    thread.add("done", finish)


def discarding_thread(slot: Slot, setting: Setting, name: str = "T2") -> Actor:
    """Return a thread in MADV_DONTNEED."""
    thread = Actor(f"{name} (MADV_DONTNEED)", slot, "enter")
    base = slot.base

    def enter(s: State) -> Outcome:
        if setting.rules.zap_per_vma:
            if s[VWRITER]:
                return None
            s[VREADERS] += 1
            s[base + MODE] = OF_VMA
            what = "the lock of the VMA"
        elif read_lock(s, base):
            what = "mmap_lock"
        else:
            return None
        if gone(s):
            unlock(s, base)
            return END, "finds no VMA and returns"
        s[DISCARD] += 1
        return "pending", f"takes {what} for reading"

    def leave(s: State) -> Outcome:
        s[DISCARD] -= 1
        s[EXCUSED] = s[STORED]
        unlock(s, base)
        return END, "drops its lock and returns"

    thread.add("enter", enter)
    _zap(thread, setting, "leave")
    thread.add("leave", leave)
    return thread


def unmapping_thread(slot: Slot, setting: Setting, name: str = "T2") -> Actor:
    """Return a thread in munmap: the VMA goes first, under the write lock, then it downgrades."""
    thread = Actor(f"{name} (munmap)", slot, "enter")
    base, rules = slot.base, setting.rules
    locks_vma = rules.per_vma and rules.locks_vma

    def enter(s: State) -> Outcome:
        if not write_lock(s, base):
            return None
        return "lock-vma" if locks_vma else "detach", "takes mmap_lock for writing"

    def lock_vma(s: State) -> Outcome:
        if s[VREADERS]:
            return None
        s[VWRITER] = 1
        return "detach", "locks the VMA for writing; no fault is in it"

    def detach(s: State) -> Outcome:
        s[VMA] += GONE
        s[DISCARD] += 1
        return "cut", "detaches the VMA: nobody finds it any more"

    def cut(s: State) -> Outcome:
        downgrade(s, base)
        return "pending", "downgrades mmap_lock to reading"

    def leave(s: State) -> Outcome:
        s[GRANT] = s[WANT] = NONE
        s[DISCARD] -= 1
        s[EXCUSED] = s[STORED]
        unlock(s, base)
        return END, "drops mmap_lock and returns"

    thread.add("enter", enter)
    thread.add("lock-vma", lock_vma)
    thread.add("detach", detach)
    thread.add("cut", cut)
    _zap(thread, setting, "leave")
    thread.add("leave", leave)
    return thread
