"""A debugger: get_user_pages with FOLL_FORCE writes where the VMA does not allow it."""

from __future__ import annotations

from perfmodel.stale_tlb import invariants
from perfmodel.stale_tlb.actors.faults import Exits, add_handler
from perfmodel.stale_tlb.actors.locks import FRAME_HELD, MODE, read_lock, unlock
from perfmodel.stale_tlb.program import END, Actor, Outcome
from perfmodel.stale_tlb.setting import Setting
from perfmodel.stale_tlb.state import (
    ABSENT,
    EXCL,
    FRAME,
    KIND,
    MIGRATING,
    REF,
    RW,
    UFFD,
    WRITE,
    Slot,
    State,
    gone,
    rights,
)  # fmt: skip

__all__ = ["forced_writer"]


def forced_writer(slot: Slot, setting: Setting) -> Actor:
    """Return a debugger that writes one word, as ptrace or /proc/pid/mem do.

    What it writes is not held against the invariants: they are about stores of user code. What
    counts is the copy it makes the kernel take.
    """
    debugger = Actor("D (debugger, forced write)", slot, "enter")
    base, rules = slot.base, setting.rules
    had_its_fault = 4  # in MODE, beside the lock that is held

    def enter(s: State) -> Outcome:
        if not read_lock(s, base):
            return None
        if gone(s):
            unlock(s, base)
            return END, "finds no VMA and gives up"
        return "follow", "takes mmap_lock for reading"

    def follow(s: State) -> Outcome:
        if s[KIND] in (ABSENT, MIGRATING):
            return "entry", "finds no page: faults for writing"
        f = s[FRAME]
        forced = s[base + MODE] >= had_its_fault if rights(s) != RW else False
        if rules.exclusive and rights(s) != RW and s[EXCL] >> f & 1 and not s[UFFD]:
            forced = True
        if not (s[WRITE] or forced):
            return "entry", "finds the entry not writable: faults for writing"
        s[base + MODE] %= had_its_fault
        s[base + FRAME_HELD] = f
        s[REF + f] += 1
        return "write", "takes page {page}"

    def faulted(s: State) -> Outcome:
        # FOLL_COW: from now on an entry that is not writable will do.
        s[base + MODE] = had_its_fault + s[base + MODE] % had_its_fault
        return "follow", "looks the page up again"

    def write(s: State) -> Outcome:
        invariants.release(s, s[base + FRAME_HELD])
        s[base + FRAME_HELD] = 0
        unlock(s, base)
        return END, "writes into page {held} and drops mmap_lock"

    def give_up(s: State) -> Outcome:
        s[base + MODE] %= had_its_fault
        unlock(s, base)
        return END, "gives up: the page is the monitor's"

    debugger.add("enter", enter)
    debugger.add("follow", follow, section=True)
    debugger.add("faulted", faulted)
    debugger.add("write", write)
    debugger.add("give-up", give_up)
    add_handler(debugger, setting, Exits("faulted", "follow", "give-up", unlocks=False), write=True)
    return debugger
