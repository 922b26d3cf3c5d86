"""The compiled event loop behind :mod:`perfmodel.rwlock.simulate`: who enters, who waits.

The rules are those of ``kernel/locking/rwsem.c``, Linux 5.11 to 6.18, and three textbook orders of
service beside them. Times are ns. Importing this module needs numba.

There are two clocks. Events stand in the heap by their *work time*, in which every thread goes on at
full speed. All threads that run share the CPUs alike, so where these are short all of them slow down
by one factor, the order of the events stays, and the real clock, `now`, runs on faster than the work
time by that factor. Waits and shares of time are measured on it, and so are the 4 ms of the handoff.
A wake-up and the patience of a spinning caller take real time too: they become work time by the
factor of the moment at which they begin.
"""

from __future__ import annotations

import math
from typing import Any

from perfmodel.rwlock.world import (
    AFFECTED,
    BINS,
    BINS_AN_OCTAVE,
    CALL,
    CALLER_RUNS,
    EXCLUSIVE,
    EXCLUSIVE_END,
    FAULT,
    FAULT_RUNS,
    FAULT_THINK,
    FIFO,
    GIVE_UP,
    HAS_IO,
    IO,
    KIND_BITS,
    LEAST_WAIT,
    READ,
    READ_END,
    READER_PREFERENCE,
    RQ,
    RWSEM,
    SECTION,
    SHARED,
    SQ,
    TAIL_END,
    WQ,
    WRITER_PREFERENCE,
    WRITER_THINK,
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
    unsigned,
)  # fmt: skip

__all__ = ["run", "start"]

#: Readers that one wake-up lets in at most; what a spinning caller bears of readers, ns: 10 us
#: and half a us for each, 30 at most; after how long a head waiter forbids stealing, ns.
MAX_WOKEN, SPIN_BASE, SPIN_EACH, SPIN_READERS, HANDOFF_TIME = 256, 10_000.0, 500.0, 30, 4e6

_KIND = (1 << KIND_BITS) - 1


@compiled
def _slowdown(n: Any) -> float:
    """By how much all threads are slower than with a CPU each."""
    if n.cpus == 0:
        return 1.0
    running = n.threads - n.length[RQ] - n.length[WQ] - n.coming
    return float(max(1.0, running / n.cpus))


@compiled
def _nobody_waits(n: Any) -> bool:
    return bool(n.length[RQ] + n.length[WQ] == 0)


@compiled
def _caller_heads(w: World) -> bool:
    """Whether the first waiter is a caller."""
    n = w.state[0]
    if n.length[WQ] == 0:
        return False
    if n.length[RQ] == 0:
        return True
    caller, fault = w.slots[unsigned(n.head[WQ])], w.slots[unsigned(n.head[RQ])]
    return bool(caller.ticket < fault.ticket)


@compiled
def _handed(w: World) -> bool:
    """Whether the first waiter has waited so long that nobody may pass it."""
    n = w.state[0]
    if n.handoff == 0 or _nobody_waits(n):
        return False
    head = n.head[WQ] if _caller_heads(w) else n.head[RQ]
    return bool(n.now - w.slots[unsigned(head)].queued >= HANDOFF_TIME)


@compiled
def _hold_of_fault(w: World, position: int) -> float:
    n = w.state[0]
    hold = draw(w, READ, position, 0)
    if n.io_share > 0 and uniform(n.keys[HAS_IO], position) < n.io_share:
        hold += draw(w, IO, position, 0)
    return float(hold)


@compiled
def _needs_the_lock(n: Any, position: int) -> bool:
    return bool(n.affected >= 1 or uniform(n.keys[AFFECTED], position) < n.affected)


@compiled
def _note_wait(w: World, wait: float) -> None:
    place = int(BINS_AN_OCTAVE * math.log2(max(wait, LEAST_WAIT) / LEAST_WAIT))
    w.waits[unsigned(min(place, BINS - 1))] += 1


@compiled
def _let_fault_in(w: World, now: float, slot: int, delay: float, queued: bool) -> None:
    # The waker grants the lock before the sleeper runs: it is held during the delay too.
    n, customer = w.state[0], w.slots[unsigned(slot)]
    n.readers += 1
    w.sums[0].faults += 1
    if queued:
        waited = n.now - customer.since
        w.sums[0].blocked += 1
        w.sums[0].blocked_time += waited
        if n.cpus > 0:  # how long it is on its way is seen when it comes
            n.coming += 1
            customer.queued = n.now
            push(w, now + delay, FAULT_RUNS, slot)
        else:
            w.sums[0].wake_time += delay
            _note_wait(w, waited + delay)
    push(w, now + delay + customer.ahead, READ_END, slot)
    if n.open_faults == 0:
        # Drawn before it is needed: the processor has the time now, and not when it must sort.
        customer.ahead = draw(w, FAULT_THINK, customer.position + 1, 0)


@compiled
def _fault_runs(w: World, slot: int) -> None:
    n, customer = w.state[0], w.slots[unsigned(slot)]
    n.coming -= 1
    w.sums[0].wake_time += n.now - customer.queued
    _note_wait(w, n.now - customer.since)


@compiled
def _take(w: World, now: float, slot: int) -> None:
    """Give the lock to a caller."""
    n, customer = w.state[0], w.slots[unsigned(slot)]
    n.writing = 1
    # A new owner: who spins, spins on it without limit.
    n.nonspin = 0
    n.limited = 0
    n.owner += 1
    section = customer.section
    customer.before += n.now - customer.since
    if section == n.sections - 1:
        w.sums[0].asked += 1
        w.sums[0].acquire += customer.before
    push(w, now + draw(w, EXCLUSIVE, customer.position, section), EXCLUSIVE_END, slot)


@compiled
def _start_clock(w: World, now: float) -> None:
    """Limit the patience of the first spinning caller, once readers own the lock."""
    n = w.state[0]
    if n.length[SQ] > 0 and n.readers > 0 and n.limited == 0:
        n.limited = 1
        limit = SPIN_BASE + SPIN_EACH * min(n.readers, SPIN_READERS)
        push(w, now + limit / _slowdown(n), GIVE_UP, n.owner)


@compiled
def _wake_readers(w: World, now: float, before: int) -> int:
    """Let in the queued faults whose ticket is below a limit; return how many were asleep."""
    n = w.state[0]
    j = 0
    most = MAX_WOKEN if n.discipline == RWSEM else n.length[RQ]
    while n.length[RQ] > 0 and j < most and w.slots[unsigned(n.head[RQ])].ticket < before:
        j += 1
        delay = n.fault_latency / _slowdown(n) + j * n.fault_serial
        _let_fault_in(w, now, dequeue(w, RQ), delay, True)
    return j


@compiled
def _release(w: World, now: float) -> float:
    """Pass on a lock that is no longer held for writing; return what the waker pays, ns."""
    n = w.state[0]
    free = n.readers == 0
    if free and n.length[SQ] > 0 and not _handed(w):
        # It polls the lock, while a waiter must first be brought back.
        _take(w, now, dequeue(w, SQ))
        return 0.0
    if n.woken >= 0 or _nobody_waits(n):
        return 0.0
    discipline = n.discipline
    caller = _caller_heads(w)
    if discipline == READER_PREFERENCE:
        caller = n.length[RQ] == 0
    elif discipline == WRITER_PREFERENCE:
        caller = n.length[WQ] > 0
    if not caller:
        before = n.ticket
        if discipline == FIFO and n.length[WQ] > 0:
            before = w.slots[unsigned(n.head[WQ])].ticket
        woken = _wake_readers(w, now, before)
        _start_clock(w, now)
        return float(woken * n.fault_serial)
    if not free:
        return 0.0  # a downgrade with a caller at the head helps nobody
    if n.caller_latency + n.caller_serial == 0:
        _take(w, now, dequeue(w, WQ))
        return 0.0
    n.woken = n.head[WQ]
    delay = n.caller_latency / _slowdown(n) + n.caller_serial
    push(w, now + delay, CALLER_RUNS, n.woken)
    return float(n.caller_serial)


@compiled
def _fault(w: World, now: float, slot: int) -> None:
    n = w.state[0]
    if slot < 0:
        n.faults_came += 1
        position = n.faults_came
        push(w, now + draw(w, FAULT_THINK, position, 0), FAULT, -1)
        if not _needs_the_lock(n, position):
            w.sums[0].faults += 1
            return
        slot = new_slot(w)
        if slot < 0:
            return
        customer = w.slots[unsigned(slot)]
        customer.position = position
        customer.ahead = _hold_of_fault(w, position)
    else:
        customer = w.slots[unsigned(slot)]
        position = customer.position
        if not _needs_the_lock(n, position):
            w.sums[0].faults += 1
            after = customer.ahead + draw(w, FAULT_THINK, position + 1, 0)
            customer.position = position + 1
            customer.ahead = _hold_of_fault(w, position + 1)
            push(w, now + after, FAULT, slot)
            return
    customer.since = n.now
    enter = False
    if n.writing == 0:
        if n.discipline == READER_PREFERENCE:
            enter = True
        elif n.discipline == WRITER_PREFERENCE:
            enter = n.length[WQ] == 0
        else:
            enter = _nobody_waits(n)
            if not enter and n.steal == 1 and n.readers == 0:
                enter = not _handed(w)
    if enter:
        # No spinning caller meets its first reader here: it would have taken the free lock.
        _let_fault_in(w, now, slot, 0.0, False)
    else:
        enqueue(w, RQ, slot)


@compiled
def _ask(w: World, now: float, slot: int) -> None:
    """Let a caller ask for the lock for writing."""
    n, customer = w.state[0], w.slots[unsigned(slot)]
    if n.mean[EXCLUSIVE] == 0:  # it only reads, and so does everybody: nobody waits
        n.readers += 1
        w.sums[0].asked += 1 if customer.section == 0 else 0
        hold = draw(w, SHARED, customer.position, customer.section)
        push(w, now + hold, TAIL_END, slot)
        return
    customer.since = n.now
    if n.writing + n.readers == 0 and (
        (_nobody_waits(n) and n.length[SQ] == 0) or (n.steal == 1 and not _handed(w))
    ):
        _take(w, now, slot)
    elif n.spin == 1 and n.nonspin == 0:
        enqueue(w, SQ, slot)
        _start_clock(w, now)
    else:
        enqueue(w, WQ, slot)


@compiled
def _call(w: World, now: float, slot: int) -> None:
    n = w.state[0]
    if slot < 0:
        n.calls_came += 1
        position = n.calls_came
        push(w, now + draw(w, WRITER_THINK, position, 0), CALL, -1)
        slot = new_slot(w)
        if slot < 0:
            return
        w.slots[unsigned(slot)].position = position
    w.slots[unsigned(slot)].section = 0
    w.slots[unsigned(slot)].before = 0.0
    _ask(w, now, slot)


@compiled
def _section_done(w: World, now: float, slot: int) -> None:
    n, customer = w.state[0], w.slots[unsigned(slot)]
    customer.section += 1
    if customer.section < n.sections:
        push(w, now, SECTION, slot)
        return
    w.sums[0].calls += 1
    if n.open_calls == 1:
        free_slot(w, slot)
    else:
        customer.position += 1
        push(w, now + draw(w, WRITER_THINK, customer.position, 0), CALL, slot)


@compiled
def _read_end(w: World, now: float, slot: int) -> None:
    n = w.state[0]
    n.readers -= 1
    paid = _release(w, now) if n.readers == 0 else 0.0
    if n.open_faults == 1:
        free_slot(w, slot)
        return
    customer = w.slots[unsigned(slot)]
    position = customer.position + 1
    push(w, now + paid + customer.ahead, FAULT, slot)
    customer.position = position
    customer.ahead = _hold_of_fault(w, position)


@compiled
def _tail_end(w: World, now: float, slot: int) -> None:
    n = w.state[0]
    n.readers -= 1
    paid = _release(w, now) if n.readers == 0 else 0.0
    _section_done(w, now + paid, slot)


@compiled
def _exclusive_end(w: World, now: float, slot: int) -> None:
    n = w.state[0]
    n.writing = 0
    if n.mean[SHARED] == 0:
        paid = _release(w, now)
        _section_done(w, now + paid, slot)
        return
    n.readers += 1
    paid = _release(w, now)  # the waker's time comes before the tail
    tail = draw(w, SHARED, w.slots[unsigned(slot)].position, w.slots[unsigned(slot)].section)
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
    n = w.state[0]
    for i in range(faulting + calling):
        customer = w.slots[i]
        customer.position = i << 32
        if i < faulting:
            push(w, draw(w, FAULT_THINK, customer.position, 0), FAULT, i)
            customer.ahead = _hold_of_fault(w, customer.position)
        else:
            push(w, draw(w, WRITER_THINK, customer.position, 0), CALL, i)
    if n.open_faults == 1:
        push(w, draw(w, FAULT_THINK, 0, 0), FAULT, -1)
    if n.open_calls == 1:
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
    n, sums = w.state[0], w.sums[0]
    left = events
    while left > 0 and n.heap > n.hole and n.full == 0 and sums.calls < calls:
        left -= 1
        work, code = pop(w)
        passed = work - n.work
        n.work = work
        if n.cpus > 0:
            passed *= _slowdown(n)
        n.now += passed
        sums.waiting += passed * n.length[RQ]
        sums.written += passed * n.writing
        kind, slot = code & _KIND, (code >> KIND_BITS) - 1
        if kind == FAULT:
            _fault(w, work, slot)
        elif kind == READ_END:
            _read_end(w, work, slot)
        elif kind == CALL:
            _call(w, work, slot)
        elif kind == EXCLUSIVE_END:
            _exclusive_end(w, work, slot)
        elif kind == TAIL_END:
            _tail_end(w, work, slot)
        elif kind == CALLER_RUNS:
            n.woken = -1
            # Somebody may have stolen the lock; then the next release wakes this caller again.
            if n.writing + n.readers == 0:
                _take(w, work, dequeue(w, WQ))
        elif kind == FAULT_RUNS:
            _fault_runs(w, slot)
        elif kind == SECTION:
            _ask(w, work, slot)
        elif slot == n.owner and n.limited == 1:
            n.limited = 0
            n.nonspin = 1
            while n.length[SQ] > 0:
                enqueue(w, WQ, dequeue(w, SQ))
    sums.events += events - left
