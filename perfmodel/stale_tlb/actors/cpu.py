"""CPU 3: it uses the translation it has cached, at any moment, and asks nobody."""

from __future__ import annotations

from perfmodel.stale_tlb import invariants
from perfmodel.stale_tlb.program import Act, Actor, Outcome
from perfmodel.stale_tlb.state import (
    CPU_STORE,
    FRAME,
    GRANT,
    KIND,
    NONE,
    PRESENT,
    TLB,
    WRITE,
    Slot,
    State,
    frame_of,
)  # fmt: skip

__all__ = ["writing_cpu"]


def writing_cpu(slot: Slot) -> Actor:
    """Return a CPU that may store once, read once the right is gone, and fill its TLB.

    One store is enough: a schedule in which some store goes wrong is one even without the others.
    """
    cpu = Actor("CPU 3 (still running)", slot, "running")

    def put_data(s: State) -> Outcome:
        if not s[TLB] or s[TLB] & 1:
            return None
        invariants.store(s, frame_of(s[TLB]), CPU_STORE)
        return "stored", "stores to page {cached} through its cached translation"

    def fill(then: str) -> Act:
        def step(s: State) -> Outcome:
            found = 1 + 2 * s[FRAME] + s[WRITE]
            if s[KIND] != PRESENT or s[TLB] == found:
                return None
            s[TLB] = found
            return then, "walks the page table and caches what it finds: page {page}, {rights}"

        return step

    def read(then: str) -> Act:
        def step(s: State) -> Outcome:
            if s[GRANT] != NONE or not s[TLB]:
                return None
            invariants.load(s)
            return then, "reads page {cached} through its cached translation"

        return step

    cpu.add("running", put_data)
    for label in ("running", "stored"):
        cpu.add(label, fill(label))
        cpu.add(label, read(label))
    return cpu
