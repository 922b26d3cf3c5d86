"""Those who hold no mmap_lock: who moves the page, and who takes a reference to it."""

from __future__ import annotations

from perfmodel.stale_tlb import invariants
from perfmodel.stale_tlb.actors.faults import accessible, clear_entry, map_page
from perfmodel.stale_tlb.actors.locks import FRAME_HELD, FRAME_NEW, NOTE
from perfmodel.stale_tlb.program import END, Actor, Outcome
from perfmodel.stale_tlb.setting import Setting
from perfmodel.stale_tlb.state import (
    CONTENT,
    EXCL,
    FRAME,
    HUGE,
    KIND,
    MARK,
    MIGRATING,
    PRESENT,
    PROTNONE,
    PTL,
    REF,
    TLB,
    UFFD,
    WRITE,
    Slot,
    State,
    allocate,
)  # fmt: skip

__all__ = ["migrating_thread", "referring_thread"]


def migrating_thread(slot: Slot, setting: Setting) -> Actor:
    """Return a thread that moves the page: unmap and flush, copy, map the new one."""
    mover = Actor("kcompactd (migration)", slot, "unmap")
    base = slot.base

    def unmap(s: State) -> Outcome:
        if s[KIND] not in (PRESENT, PROTNONE):
            return END, "finds no page to move"
        s[base + NOTE], s[base + FRAME_HELD] = s[KIND], s[FRAME]
        # A huge entry is invalidated by pmdp_invalidate, which flushes whatever it was.
        if s[HUGE]:
            s[base + NOTE] = PRESENT
        s[KIND] = MIGRATING
        s[PTL] = slot.owner
        return "flush", "puts a migration entry for page {page} under the page-table lock"

    def flush(s: State) -> Outcome:
        due = accessible(s, setting, s[base + NOTE])
        if due:
            s[TLB] = 0
        s[base + NOTE] = 0
        s[PTL] = 0
        return "copy", "flushes the page" if due else "has nothing to flush"

    def copy(s: State) -> Outcome:
        old = s[base + FRAME_HELD]
        if s[REF + old] > 1:
            s[base + FRAME_NEW] = old
            return "map", "finds page {held} in use by somebody else"
        new = allocate(s)
        s[CONTENT + new] = s[CONTENT + old]
        s[base + FRAME_NEW] = new
        return "map", "copies page {held} to page {new}"

    def remap(s: State) -> Outcome:
        old, new = s[base + FRAME_HELD], s[base + FRAME_NEW]
        if s[KIND] != MIGRATING or s[FRAME] != old:
            if new != old:
                invariants.release(s, new)
            return leave(s, "finds its migration entry gone, and frees the pages")
        if new != old and s[EXCL] >> old & 1:
            s[EXCL] |= 1 << new
        mark, write, huge, ours = s[UFFD], s[WRITE], s[HUGE], s[MARK]
        clear_entry(s)
        map_page(s, new, write)
        s[UFFD], s[HUGE], s[MARK] = mark, huge, ours
        if new == old:
            s[base + FRAME_HELD] = s[base + FRAME_NEW] = 0
            return END, "maps page {page_after} again"
        return leave(s, "maps page {new} in place of page {held}")

    def leave(s: State, said: str) -> Outcome:
        invariants.release(s, s[base + FRAME_HELD])
        s[base + FRAME_HELD] = s[base + FRAME_NEW] = 0
        return END, said

    mover.add("unmap", unmap, section=True)
    mover.add("flush", flush)
    mover.add("copy", copy)
    mover.add("map", remap, section=True)
    return mover


def referring_thread(slot: Slot) -> Actor:
    """Return somebody who takes a reference to the page and drops it later.

    A scan of the LRU lists, the batch in which a new page waits for them, the swap cache, a
    get_user_pages: none of them looks at the mmap_lock or at the entry again.
    """
    somebody = Actor("G (reference to the page)", slot, "take")
    base = slot.base

    def take(s: State) -> Outcome:
        if s[KIND] not in (PRESENT, PROTNONE):
            return END, "finds no page"
        s[base + FRAME_HELD] = s[FRAME]
        s[REF + s[FRAME]] += 1
        return "drop", "takes a reference to page {page}"

    def drop(s: State) -> Outcome:
        held = s[base + FRAME_HELD]
        invariants.release(s, held)
        s[base + FRAME_HELD] = 0
        return END, "drops its reference to page {held}"

    somebody.add("take", take, section=True)
    somebody.add("drop", drop)
    return somebody
