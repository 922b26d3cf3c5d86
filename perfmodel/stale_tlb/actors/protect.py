"""The call that changes the entry: mprotect under each policy, and its relatives."""

from __future__ import annotations

from collections.abc import Callable

from perfmodel.stale_tlb.actors.locks import (
    NOTE,
    downgrade,
    read_lock,
    unlock,
    write_lock,
)  # fmt: skip
from perfmodel.stale_tlb.program import END, Act, Actor, Outcome
from perfmodel.stale_tlb.setting import Setting
from perfmodel.stale_tlb.state import (
    ABSENT,
    EXCL,
    FRAME,
    GEN,
    GRANT,
    KIND,
    MARK,
    MIGRATING,
    NONE,
    PENDING,
    PRESENT,
    PROTNONE,
    PTL,
    RIGHTS,
    RW,
    TLB,
    UFFD,
    VMA,
    VREADERS,
    VWRITER,
    WANT,
    WIDENING,
    WRITE,
    R,
    Slot,
    State,
    gone,
    rights,
)  # fmt: skip

__all__ = ["CALL_NAMES", "protecting_thread", "unprotecting_thread"]

#: How the caller is called in a schedule.
CALL_NAMES = {
    "mprotect": "mprotect",
    "soft-dirty": "clear_refs",
    "uffd": "userfaultfd write-protect",
    "numa": "NUMA hinting",
}
_CUT_WALK = ("last-vma", "every-vma")
_RIGHTS_WORDS = {NONE: "no access", R: "read only", RW: "read and write"}


def protecting_thread(slot: Slot, setting: Setting, name: str, transition: str = "") -> Actor:
    """Return the thread that makes the call.

    Parameters
    ----------
    slot : Slot
    setting : Setting
        Says the call, the policy and the guard.
    name : str
        The thread, as it is called in a schedule.
    transition : str, optional
        Another transition than that of the setting: a second call.
    """
    caller = Actor(f"{name} ({CALL_NAMES[setting.call]})", slot, "enter")
    old, new = (RIGHTS[part] for part in (transition or setting.transition).split("->"))
    _Call(caller, setting, old, new).build()
    return caller


class _Call:
    """The steps of one call, in the order of its release and policy."""

    def __init__(self, caller: Actor, setting: Setting, old: int, new: int) -> None:
        self.caller, self.setting, self.old, self.new = caller, setting, old, new
        self.base = caller.slot.base
        self.nested = setting.flushes_nested
        self.sets_vma = setting.call == "mprotect"
        self.marks, self.counts = setting.guarded("mark"), setting.guarded("generation")
        self.flushes_held = setting.guarded("flush-in-ptl")
        self.widens = new > old and self.sets_vma

    def build(self) -> None:
        """Chain the steps; each names the next one."""
        rules, policy = self.setting.rules, self.setting.policy
        chain: list[tuple[str, Callable[[State], str | None]]] = [("enter", self.enter)]
        if rules.per_vma and rules.locks_vma and self.sets_vma and policy != "read-only":
            chain.append(("lock-vma", self.lock_vma))
        if rules.gathers:
            chain.append(("pending", self.announce))
        if self.sets_vma:
            chain.append(("flags", self.flags))
        if policy in _CUT_WALK:
            chain.append(("cut", self.cut))
        if not rules.gathers:
            chain.append(("pending", self.announce))
        chain.append(("walk", self.walk))
        if policy == "before-flush":
            chain.append(("cut", self.cut))
        chain += [("flush", self.flush), ("done", self.finish)]
        if policy == "after-flush":
            chain.append(("cut", self.cut))
        if policy == "every-vma":
            chain += [("next", self.drop), ("retake", self.retake)]
        chain.append(("leave", self.leave))
        names = [label for label, _ in chain] + [END]
        for (label, act), then in zip(chain, names[1:], strict=True):
            self.caller.add(label, _then(act, then), section=label == "walk")
        if policy == "every-vma":  # or this was the last one
            self.caller.add("next", _then(self.leave, END))
        if self.flushes_held:
            then = names[names.index("walk") + 1]
            self.caller.add("flush-held", self.flush_held)
            self.caller.add("release", lambda s: self.unlock_table(s, then))

    def enter(self, s: State) -> str | None:
        if self.setting.policy == "read-only":
            taken, how = read_lock(s, self.base), "reading"
        else:
            taken, how = write_lock(s, self.base), "writing"
        if not taken:
            return None
        if gone(s):
            unlock(s, self.base)
            return "!finds no VMA and returns"
        if self.sets_vma and s[VMA] == self.new:
            unlock(s, self.base)
            return "!finds the rights as it wants them, and returns"
        if self.widens:
            s[WIDENING] += 1
            s[GRANT] = max(s[GRANT], self.new)
        return f"takes mmap_lock for {how}"

    def lock_vma(self, s: State) -> str | None:
        if s[VREADERS]:
            return None
        s[VWRITER] = 1
        return "locks the VMA for writing; no fault is in it"

    def announce(self, s: State) -> str:
        s[PENDING] += 1
        return "says that a flush is pending"

    def flags(self, s: State) -> str:
        s[VMA] = s[WANT] = self.new
        return f"sets the rights of the VMA to {_RIGHTS_WORDS[self.new]}"

    def cut(self, s: State) -> str:
        downgrade(s, self.base)
        return "downgrades mmap_lock to reading"

    def walk(self, s: State) -> str:
        s[self.base + NOTE], said = self.change(s)
        if s[self.base + NOTE] and self.flushes_held:
            s[PTL] = self.caller.slot.owner
            return f">flush-held>{said}, and keeps the page-table lock"
        return said

    def change(self, s: State) -> tuple[int, str]:
        """Change the entry; return whether a flush is due, and what was done."""
        kind, rules = s[KIND], self.setting.rules
        if kind == ABSENT:
            return 0, "finds no entry"
        if self.counts:
            s[GEN] = (s[GEN] + 1) % 4
        if self.setting.call == "uffd":
            s[WRITE], s[UFFD], s[WANT] = 0, 1, R
            return 1, "clears the write bit and sets the userfaultfd mark under the page-table lock"
        if self.setting.call == "numa":
            if kind != PRESENT:
                return 0, "finds an entry that needs no hint"
            s[KIND] = PROTNONE
            return 1, "makes the entry a NUMA hint under the page-table lock"
        if self.setting.call == "soft-dirty":
            due = int(kind == PRESENT)
            s[WRITE] = 0
            return due, "clears the write bit under the page-table lock"
        if kind == MIGRATING:
            due = s[WRITE] if self.new < RW else 0
            s[WRITE] = s[WRITE] if self.new == RW else 0
            return due, "finds a migration entry and takes the right to write out of it"
        due = int(kind == PRESENT or not rules.gathers)
        if self.new == NONE:
            s[KIND], s[WRITE] = PROTNONE, 0
            said = "makes the entry PROT_NONE"
        elif self.new == R:
            said = "clears the write bit" if s[WRITE] else "makes the entry read-only"
            s[KIND], s[WRITE] = PRESENT, 0
        else:
            s[KIND] = PRESENT
            had = s[WRITE]
            gives = rules.restores_write and s[EXCL] >> s[FRAME] & 1 and not s[UFFD]
            s[WRITE] = int(bool(gives))
            said = "sets the write bit"
            if not gives:  # vm_page_prot of a private VMA has no write bit: the next fault sets it
                said = (
                    "takes the write bit away again"
                    if had
                    else "leaves the write bit to the next fault"
                )
        if self.marks:
            s[MARK] = 1
            said += ", leaves a mark"
        return due, said + " under the page-table lock"

    def flush_held(self, s: State) -> Outcome:
        s[TLB] = 0
        s[self.base + NOTE] = 0
        return "release", "flushes the TLBs"

    def unlock_table(self, s: State, then: str) -> Outcome:
        s[PTL] = 0
        return then, "drops the page-table lock"

    def flush(self, s: State) -> str:
        nested = self.nested and s[PENDING] > 1
        if s[self.base + NOTE] or nested:
            s[TLB] = 0
            return (
                "flushes the TLBs" if s[self.base + NOTE] else "flushes: another flush is pending"
            )
        return "has nothing to flush"

    def finish(self, s: State) -> str:
        s[PENDING] -= 1
        return "says that its flush is done"

    def drop(self, s: State) -> str:
        unlock(s, self.base)
        return "drops mmap_lock"

    def retake(self, s: State) -> str | None:
        return (
            "takes mmap_lock for writing to find the next VMA" if write_lock(s, self.base) else None
        )

    def leave(self, s: State) -> str:
        unlock(s, self.base)
        if self.widens:
            s[WIDENING] -= 1
        elif not s[WIDENING] and self.setting.call in ("mprotect", "uffd"):
            s[GRANT] = min(s[GRANT], s[WANT])
        return "drops mmap_lock and returns"


def _then(act: Callable[[State], str | None], then: str) -> Act:
    """Give a step that does `act` and goes on to `then`, unless it says where to."""

    def step(s: State) -> Outcome:
        said = act(s)
        if said is None:
            return None
        if said[0] == "!":
            return END, said[1:]
        if said[0] == ">":
            _, where, said = said.split(">", 2)
            return where, said
        return then, said

    return step


def unprotecting_thread(slot: Slot, setting: Setting) -> Actor:
    """Return the monitor that takes the userfaultfd mark away, under the read lock."""
    monitor = Actor("T2 (userfaultfd un-protect)", slot, "enter")
    base, rules = slot.base, setting.rules

    def enter(s: State) -> Outcome:
        if not read_lock(s, base):
            return None
        if gone(s):
            unlock(s, base)
            return END, "finds no VMA and returns"
        s[WIDENING] += 1
        s[GRANT] = max(s[GRANT], rights(s))
        return "pending", "takes mmap_lock for reading"

    def announce(s: State) -> Outcome:
        s[PENDING] += 1
        return "walk", "says that a flush is pending"

    def walk(s: State) -> Outcome:
        if s[KIND] == ABSENT:
            return "flush", "finds no entry"
        s[base + NOTE] = int(not rules.gathers)
        if s[UFFD]:
            s[WANT] = rights(s)
        s[UFFD] = 0
        return "flush", "clears the userfaultfd mark and leaves the write bit clear"

    def walk_and_give(s: State) -> Outcome:
        # MM_CP_TRY_CHANGE_WRITABLE: some later release sets the write bit at once.
        if s[KIND] != PRESENT or not s[UFFD] or rights(s) != RW or not s[EXCL] >> s[FRAME] & 1:
            return None
        s[UFFD], s[WRITE], s[WANT], s[base + NOTE] = 0, 1, RW, 1
        return "flush", "clears the userfaultfd mark and sets the write bit"

    def flush(s: State) -> Outcome:
        if s[base + NOTE] or (rules.gathers and rules.nested_flush and s[PENDING] > 1):
            s[TLB] = 0
            return "done", "flushes the TLBs"
        return "done", "has nothing to flush"

    def finish(s: State) -> Outcome:
        s[PENDING] -= 1
        return "leave", "says that its flush is done"

    def leave(s: State) -> Outcome:
        unlock(s, base)
        s[WIDENING] -= 1
        return END, "drops mmap_lock, wakes who waits for it and returns"

    monitor.add("enter", enter)
    monitor.add("pending", announce)
    monitor.add("walk", walk, section=True)
    if rules.gathers:
        monitor.add("walk", walk_and_give, section=True)
    monitor.add("flush", flush)
    monitor.add("done", finish)
    monitor.add("leave", leave)
    return monitor
