"""What must never happen, and where it is noticed."""

from __future__ import annotations

from perfmodel.stale_tlb.state import (
    ABSENT,
    CONTENT,
    DISCARD,
    EXCUSED,
    FOUND,
    FRAME,
    GRANT,
    KIND,
    MIGRATING,
    NONE,
    RW,
    STORED,
    TLB,
    State,
    frame_of,
    put,
)  # fmt: skip

__all__ = ["FREED", "INVARIANTS", "LOST", "READ", "STORE", "load", "release", "store", "visible"]

LOST, STORE, READ, FREED = range(1, 5)

#: Short name of each, and the sentence that a broken one ends a schedule with.
INVARIANTS = {
    LOST: ("lost-store", "A completed store is not in the page that is mapped: it is lost."),
    STORE: ("store-after-return", "A store went through a right that was taken away before the call"
            " returned."),
    READ: ("read-after-return", "A read went through a right that was taken away before the call"
           " returned."),
    FREED: ("freed-while-cached", "A page is freed while a CPU still has it in its TLB."),
}  # fmt: skip


def store(s: State, f: int, bit: int) -> None:
    """Complete a store of user code to page `f`."""
    s[CONTENT + f] |= bit
    s[STORED] |= bit
    if s[DISCARD]:  # either order with the discarding call is right
        s[EXCUSED] |= bit
    if s[GRANT] < RW:
        s[FOUND] = STORE


def load(s: State) -> None:
    """Complete a load of user code."""
    if s[GRANT] == NONE:
        s[FOUND] = READ


def release(s: State, f: int) -> None:
    """Drop a reference to page `f`; nobody may have it cached when the last one goes."""
    if put(s, f) and frame_of(s[TLB]) == f:
        s[FOUND] = FREED


def visible(s: State) -> None:
    """Look whether every completed store is in the page that the entry maps.

    While a page is being migrated the entry maps none; the check waits until it maps one again.
    """
    kind = s[KIND]
    if kind not in (ABSENT, MIGRATING) and s[STORED] & ~s[EXCUSED] & ~s[CONTENT + s[FRAME]]:
        s[FOUND] = LOST
