"""The compiled event loop behind :mod:`perfmodel.rwlock.simulate`: who enters, who waits.

The rules are those of ``kernel/locking/rwsem.c``, Linux 5.11 to 6.18, and three textbook orders of
service beside them. Times are ns. Importing this module needs numba.
"""

from __future__ import annotations

import math

from perfmodel.rwlock.world import (
    ACQUIRE,
    AFFECTED,
    ASKED,
    AT_SECTION,
    BEFORE,
    BINS,
    BINS_AN_OCTAVE,
    BLOCKED,
    BLOCKED_TIME,
    CALL,
    CALLER_RUNS,
    CALLS,
    CALLS_CAME,
    CLOCK,
    DISCIPLINE,
    EVENTS,
    EXCLUSIVE,
    EXCLUSIVE_END,
    FAULT,
    FAULT_THINK,
    FAULTS,
    FAULTS_CAME,
    FIFO,
    FULL,
    GENERATION,
    GIVE_UP,
    HANDOFF,
    HAS_IO,
    HEAP,
    HOLE,
    IO,
    LEAST_WAIT,
    NONSPIN,
    NOW,
    OPEN_CALLS,
    OPEN_FAULTS,
    POSITION,
    QUEUED,
    READ,
    READ_END,
    READER_PREFERENCE,
    READERS,
    RQ,
    RWSEM,
    SECTION,
    SECTIONS,
    SHARED,
    SINCE,
    SPIN,
    SQ,
    STEAL,
    TAIL_END,
    TICKET,
    TICKETS,
    WAITING,
    WAKE_TIME,
    WOKEN,
    WOKEN_SUM,
    WQ,
    WRITER_PREFERENCE,
    WRITER_THINK,
    WRITING,
    WRITTEN,
    World,
    cached,
    compiled,
    dequeue,
    draw,
    enqueue,
    free_slot,
    new_slot,
    pop,
    push,
    uniform,
)  # fmt: skip

__all__ = ["run", "start"]

#: Readers that one wake-up lets in at most; what a spinning caller bears of readers, ns: 10 us
#: and half a us for each, 30 at most; after how long a head waiter forbids stealing, ns.
MAX_WOKEN, SPIN_BASE, SPIN_EACH, SPIN_READERS, HANDOFF_TIME = 256, 10_000.0, 500.0, 30, 4e6


@compiled
def _caller_heads(w: World) -> bool:
    """Whether the first waiter is a caller."""
    if w.n[WQ + 2] == 0:
        return False
    return bool(w.n[RQ + 2] == 0 or w.slots[w.n[WQ], TICKET] < w.slots[w.n[RQ], TICKET])


@compiled
def _handed(w: World, now: float) -> bool:
    """Whether the first waiter has waited so long that nobody may pass it."""
    if w.n[HANDOFF] == 0 or w.n[RQ + 2] + w.n[WQ + 2] == 0:
        return False
    head = w.n[WQ] if _caller_heads(w) else w.n[RQ]
    return bool(now - w.times[head, QUEUED] >= HANDOFF_TIME)


@compiled
def _hold_of_fault(w: World, position: int) -> float:
    hold = draw(w, READ, position, 0)
    if w.cost[5] > 0 and uniform(w.keys[HAS_IO], position) < w.cost[5]:
        hold += draw(w, IO, position, 0)
    return float(hold)


@compiled
def _let_fault_in(w: World, now: float, slot: int, delay: float, queued: bool) -> None:
    # The waker grants the lock before the sleeper runs: it is held during the delay too.
    w.n[READERS] += 1
    w.sums[FAULTS] += 1
    if queued:
        waited = now - w.times[slot, SINCE]
        w.sums[BLOCKED] += 1
        w.sums[BLOCKED_TIME] += waited
        w.sums[WAKE_TIME] += delay
        place = int(BINS_AN_OCTAVE * math.log2(max(waited + delay, LEAST_WAIT) / LEAST_WAIT))
        w.waits[min(place, BINS - 1)] += 1
    hold = _hold_of_fault(w, w.slots[slot, POSITION])
    push(w, now + delay + hold, READ_END, slot)


@compiled
def _take(w: World, now: float, slot: int) -> None:
    """Give the lock to a caller."""
    n = w.n
    n[WRITING] = 1
    # A new owner: who spins, spins on it without limit.
    n[NONSPIN] = n[CLOCK] = 0
    n[GENERATION] += 1
    section = w.slots[slot, AT_SECTION]
    w.times[slot, BEFORE] += now - w.times[slot, SINCE]
    if section == n[SECTIONS] - 1:
        w.sums[ASKED] += 1
        w.sums[ACQUIRE] += w.times[slot, BEFORE]
    hold = draw(w, EXCLUSIVE, w.slots[slot, POSITION], section)
    push(w, now + hold, EXCLUSIVE_END, slot)


@compiled
def _start_clock(w: World, now: float) -> None:
    """Limit the patience of the first spinning caller, once readers own the lock."""
    n = w.n
    if n[SQ + 2] > 0 and n[READERS] > 0 and n[CLOCK] == 0:
        n[CLOCK] = 1
        limit = SPIN_BASE + SPIN_EACH * min(n[READERS], SPIN_READERS)
        push(w, now + limit, GIVE_UP, n[GENERATION])


@compiled
def _wake_readers(w: World, now: float, before: int) -> int:
    """Let in the queued faults whose ticket is below a limit; return how many were asleep."""
    j = 0
    most = MAX_WOKEN if w.n[DISCIPLINE] == RWSEM else w.n[RQ + 2]
    while w.n[RQ + 2] > 0 and j < most and w.slots[w.n[RQ], TICKET] < before:
        j += 1
        asleep = w.cost[0] + w.cost[1] > 0
        delay = w.cost[0] + j * w.cost[1] if asleep else 0.0
        _let_fault_in(w, now, dequeue(w, RQ), delay, True)
    return j


@compiled
def _release(w: World, now: float) -> float:
    """Pass on a lock that is no longer held for writing; return what the waker pays, ns."""
    n = w.n
    free = n[READERS] == 0
    if free and n[SQ + 2] > 0 and not _handed(w, now):
        # It polls the lock, while a waiter must first be brought back.
        _take(w, now, dequeue(w, SQ))
        return 0.0
    if n[WOKEN] >= 0 or n[RQ + 2] + n[WQ + 2] == 0:
        return 0.0
    discipline = n[DISCIPLINE]
    caller = _caller_heads(w)
    if discipline == READER_PREFERENCE:
        caller = n[RQ + 2] == 0
    elif discipline == WRITER_PREFERENCE:
        caller = n[WQ + 2] > 0
    if not caller:
        before = n[TICKETS]
        if discipline == FIFO and n[WQ + 2] > 0:
            before = w.slots[n[WQ], TICKET]
        woken = _wake_readers(w, now, before)
        w.sums[WOKEN_SUM] += woken
        _start_clock(w, now)
        return float(woken * w.cost[1])
    if not free:
        return 0.0  # a downgrade with a caller at the head helps nobody
    if w.cost[2] + w.cost[3] == 0:
        _take(w, now, dequeue(w, WQ))
        return 0.0
    n[WOKEN] = n[WQ]
    push(w, now + w.cost[2] + w.cost[3], CALLER_RUNS, n[WQ])
    return float(w.cost[3])


@compiled
def _fault(w: World, now: float, slot: int) -> None:
    n = w.n
    if slot < 0:
        n[FAULTS_CAME] += 1
        position = n[FAULTS_CAME]
        push(w, now + draw(w, FAULT_THINK, position, 0), FAULT, -1)
        if w.cost[4] < 1 and uniform(w.keys[AFFECTED], position) >= w.cost[4]:
            w.sums[FAULTS] += 1
            return
        slot = new_slot(w)
        if slot < 0:
            return
        w.slots[slot, POSITION] = position
    else:
        position = w.slots[slot, POSITION]
        if w.cost[4] < 1 and uniform(w.keys[AFFECTED], position) >= w.cost[4]:
            w.sums[FAULTS] += 1
            w.slots[slot, POSITION] += 1
            after = _hold_of_fault(w, position) + draw(w, FAULT_THINK, position + 1, 0)
            push(w, now + after, FAULT, slot)
            return
    w.times[slot, SINCE] = now
    enter = False
    if n[WRITING] == 0:
        if n[DISCIPLINE] == READER_PREFERENCE:
            enter = True
        elif n[DISCIPLINE] == WRITER_PREFERENCE:
            enter = n[WQ + 2] == 0
        else:
            enter = n[RQ + 2] + n[WQ + 2] == 0
            if not enter and n[STEAL] == 1 and n[READERS] == 0:
                enter = not _handed(w, now)
    if enter:
        _let_fault_in(w, now, slot, 0.0, False)
        _start_clock(w, now)
    else:
        enqueue(w, RQ, slot, now)


@compiled
def _ask(w: World, now: float, slot: int) -> None:
    """Let a caller ask for the lock for writing."""
    n = w.n
    if w.mean[EXCLUSIVE] == 0:  # it only reads, and so does everybody: nobody waits
        n[READERS] += 1
        w.sums[ASKED] += 1 if w.slots[slot, AT_SECTION] == 0 else 0
        hold = draw(w, SHARED, w.slots[slot, POSITION], w.slots[slot, AT_SECTION])
        push(w, now + hold, TAIL_END, slot)
        return
    w.times[slot, SINCE] = now
    if n[WRITING] + n[READERS] == 0 and (
        n[RQ + 2] + n[WQ + 2] + n[SQ + 2] == 0 or (n[STEAL] == 1 and not _handed(w, now))
    ):
        _take(w, now, slot)
    elif n[SPIN] == 1 and n[NONSPIN] == 0:
        enqueue(w, SQ, slot, now)
        _start_clock(w, now)
    else:
        enqueue(w, WQ, slot, now)


@compiled
def _call(w: World, now: float, slot: int) -> None:
    if slot < 0:
        w.n[CALLS_CAME] += 1
        position = w.n[CALLS_CAME]
        push(w, now + draw(w, WRITER_THINK, position, 0), CALL, -1)
        slot = new_slot(w)
        if slot < 0:
            return
        w.slots[slot, POSITION] = position
    w.slots[slot, AT_SECTION] = 0
    w.times[slot, BEFORE] = 0.0
    _ask(w, now, slot)


@compiled
def _section_done(w: World, now: float, slot: int) -> None:
    w.slots[slot, AT_SECTION] += 1
    if w.slots[slot, AT_SECTION] < w.n[SECTIONS]:
        push(w, now, SECTION, slot)
        return
    w.sums[CALLS] += 1
    if w.n[OPEN_CALLS] == 1:
        free_slot(w, slot)
    else:
        w.slots[slot, POSITION] += 1
        think = draw(w, WRITER_THINK, w.slots[slot, POSITION], 0)
        push(w, now + think, CALL, slot)


@compiled
def _read_end(w: World, now: float, slot: int) -> None:
    w.n[READERS] -= 1
    paid = _release(w, now) if w.n[READERS] == 0 else 0.0
    if w.n[OPEN_FAULTS] == 1:
        free_slot(w, slot)
    else:
        w.slots[slot, POSITION] += 1
        think = draw(w, FAULT_THINK, w.slots[slot, POSITION], 0)
        push(w, now + paid + think, FAULT, slot)


@compiled
def _exclusive_end(w: World, now: float, slot: int) -> None:
    w.n[WRITING] = 0
    if w.mean[SHARED] == 0:
        paid = _release(w, now)
        _section_done(w, now + paid, slot)
        return
    w.n[READERS] += 1
    paid = _release(w, now)  # the waker's time comes before the tail
    tail = draw(w, SHARED, w.slots[slot, POSITION], w.slots[slot, AT_SECTION])
    push(w, now + paid + tail, TAIL_END, slot)
    _start_clock(w, now)


@cached
def start(w: World, faulting: int, calling: int) -> None:
    """Let every thread begin to think, and the streams begin.

    Parameters
    ----------
    w : World
        Empty; changed in place.
    faulting, calling : int
        Threads; 0 for a stream or for nobody. Faulting threads have the first slots.
    """
    for i in range(faulting + calling):
        w.slots[i, POSITION] = i << 32
        part, kind = (FAULT_THINK, FAULT) if i < faulting else (WRITER_THINK, CALL)
        push(w, draw(w, part, w.slots[i, POSITION], 0), kind, i)
    if w.n[OPEN_FAULTS] == 1:
        push(w, draw(w, FAULT_THINK, 0, 0), FAULT, -1)
    if w.n[OPEN_CALLS] == 1:
        push(w, draw(w, WRITER_THINK, 0, 0), CALL, -1)


@cached
def run(w: World, calls: float, events: int) -> None:
    """Go on until so many calls have ended, or so many events, or a pool is full.

    Parameters
    ----------
    w : World
        Changed in place.
    calls : float
        Calls of this batch.
    events : int
        Events of this batch at most.
    """
    n, sums = w.n, w.sums
    left = events
    while left > 0 and n[HEAP] > n[HOLE] and n[FULL] == 0 and sums[CALLS] < calls:
        left -= 1
        now, code = pop(w)
        passed = now - sums[NOW]
        sums[WAITING] += passed * n[RQ + 2]
        sums[WRITTEN] += passed * n[WRITING]
        sums[NOW] = now
        kind, slot = code & 7, (code >> 3) - 1
        if kind == FAULT:
            _fault(w, now, slot)
        elif kind == READ_END:
            _read_end(w, now, slot)
        elif kind == CALL:
            _call(w, now, slot)
        elif kind == EXCLUSIVE_END:
            _exclusive_end(w, now, slot)
        elif kind == TAIL_END:
            n[READERS] -= 1
            paid = _release(w, now) if n[READERS] == 0 else 0.0
            _section_done(w, now + paid, slot)
        elif kind == CALLER_RUNS:
            n[WOKEN] = -1
            # Somebody may have stolen the lock; then the next release wakes this caller again.
            if n[WRITING] + n[READERS] == 0:
                _take(w, now, dequeue(w, WQ))
        elif kind == SECTION:
            _ask(w, now, slot)
        elif slot == n[GENERATION] and n[CLOCK] == 1:
            n[CLOCK], n[NONSPIN] = 0, 1
            while n[SQ + 2] > 0:
                enqueue(w, WQ, dequeue(w, SQ), now)
    sums[EVENTS] += events - left
