"""mmap_lock, and the locks of the VMA that faults take before it from 6.4 on."""

from __future__ import annotations

from perfmodel.stale_tlb.program import Actor
from perfmodel.stale_tlb.setting import Setting
from perfmodel.stale_tlb.state import READERS, VREADERS, VWRITER, WRITER, State

__all__ = [
    "FRAME_HELD", "FRAME_NEW", "MODE", "NOTE", "SEEN", "downgrade", "lock_as_fault", "read_lock",
    "unlock", "write_lock",
]  # fmt: skip

#: Places of an actor's numbers, counted from its step.
MODE, FRAME_HELD, FRAME_NEW, SEEN, NOTE = range(1, 6)

#: What MODE says an actor holds.
FREE, READ, WRITE, OF_VMA = range(4)


def read_lock(s: State, base: int) -> bool:
    """Take mmap_lock for reading if no writer has it."""
    if s[WRITER]:
        return False
    s[READERS] += 1
    s[base + MODE] = READ
    return True


def write_lock(s: State, base: int) -> bool:
    """Take mmap_lock for writing if nobody has it."""
    if s[WRITER] or s[READERS]:
        return False
    s[WRITER] = 1
    s[base + MODE] = WRITE
    return True


def downgrade(s: State, base: int) -> None:
    """Turn the write lock into a read lock; the VMA write locks go with it."""
    s[WRITER] = s[VWRITER] = 0
    s[READERS] += 1
    s[base + MODE] = READ


def unlock(s: State, base: int) -> None:
    """Drop whatever the actor holds."""
    mode = s[base + MODE]
    if mode == READ:
        s[READERS] -= 1
    elif mode == WRITE:
        s[WRITER] = s[VWRITER] = 0
    elif mode == OF_VMA:
        s[VREADERS] -= 1
    s[base + MODE] = FREE


def lock_as_fault(actor: Actor, setting: Setting, label: str, then: str, why: str) -> None:
    """Add the steps by which a fault gets its lock: that of the VMA, or mmap_lock."""
    base = actor.slot.base

    def of_mm(s: State) -> tuple[str, str] | None:
        return (then, f"{why} and takes mmap_lock for reading") if read_lock(s, base) else None

    def of_vma(s: State) -> tuple[str, str] | None:
        if s[VWRITER]:
            return None
        s[VREADERS] += 1
        s[base + MODE] = OF_VMA
        return then, f"{why} and takes the lock of the VMA for reading"

    if setting.rules.per_vma:
        actor.add(label, of_vma)
    actor.add(label, of_mm)
