"""The rules of kernel/locking/rwsem.c one by one: who gets the lock when, in timelines by hand.

Every customer comes once, at a given time, and all durations are constant, so that each timeline can
be worked out on paper. Times are microseconds here. The rules, with what was read where:

- a fault that meets a held lock, or any waiter, queues (``rwsem_down_read_slowpath``);
- if a fault is the first waiter, all queued ones, 256 at most, are let in past the callers
  (``rwsem_mark_wake``, ``MAX_READERS_WAKEUP``);
- a downgrade wakes nobody if a caller is the first waiter (``RWSEM_WAKE_READ_OWNED``);
- a spinning caller is not in the queue; it bears readers for 10 us and half a us each, 30 at most,
  and then forbids spinning until a caller has had the lock (``rwsem_rspin_threshold``);
- a fault takes a free lock past sleeping waiters, but not one that others read (5.11);
- nobody passes a first waiter of more than 4 ms (``RWSEM_WAIT_TIMEOUT``).
"""

from __future__ import annotations

import numpy as np
import pytest

from perfmodel.rwlock import Lock
from perfmodel.rwlock.simulate import PARTS, Corrections, Law, _world, simulate

NEVER = 1e12
CONSTANT = {part: Law("constant") for part in PARTS}
#: Latency of a wake-up in these timelines, us; long, so that a sleep is seen.
LATENCY = 100.0


def timeline(
    *arrivals: tuple[float, str],
    exclusive: float = 20.0,
    shared: float = 0.0,
    read: float = 10.0,
    latency: float = 0.0,
    serial: float = 0.0,
    readers_sleep: bool = True,
    discipline: str = "rwsem",
    cpus: int | None = None,
    **corrections: bool,
) -> dict[str, float]:
    """Return when each customer's hold began, us; faults are named f..., callers c..."""
    from perfmodel.rwlock import engine, world

    faults = [a for a in arrivals if a[1].startswith("f")]
    callers = [a for a in arrivals if a[1].startswith("c")]
    lock = Lock(
        exclusive=np.array([exclusive * 1e3]), shared=np.array([shared * 1e3]), read_hold=read * 1e3,
        fault_threads=len(faults), fault_think=NEVER, writer_threads=len(callers), writer_think=NEVER,
        wake_latency=latency * 1e3, wake_serial=serial * 1e3, readers_sleep=readers_sleep,
        discipline=discipline, cpus=cpus,
    )  # fmt: skip
    means = np.array([NEVER, read * 1e3, 0.0, NEVER, exclusive * 1e3, shared * 1e3])
    w = _world(lock, means, CONSTANT, Corrections(**corrections), (0, 0))
    # Instead of the threads' first think times: one event each, and in order of time a heap.
    order = [*faults, *callers]
    count = len(order)
    ranks = sorted(range(count), key=lambda slot: order[slot][0])
    for rank, slot in enumerate(ranks):
        kind = world.FAULT if slot < len(faults) else world.CALL
        w.when[rank], w.what[rank] = order[slot][0] * 1e3, ((slot + 1) << world.KIND_BITS) + kind
    begun = {}
    for _ in range(20 * count):
        engine.run(w, np.inf, 1)
        hole, size = int(w.state["hole"][0]), int(w.state["heap"][0])
        left = w.when[hole:size]
        if not np.any(left < NEVER / 2):
            break
    held = np.where(np.arange(count) < len(faults), read, exclusive + shared)
    for when, what in zip(left, w.what[hole:size], strict=True):
        slot = (int(what) >> world.KIND_BITS) - 1
        begun[order[slot][1]] = (float(when) - NEVER) / 1e3 - held[slot]
    return begun


def _is(found: dict[str, float], **expected: float) -> None:
    assert {name: found.get(name) for name in expected} == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("discipline", "newcomer"),
    [("rwsem", 30.0), ("fifo", 30.0), ("reader_preference", 2.0), ("writer_preference", 30.0)],
)
def test_a_newcomer_queues_if_anyone_waits(discipline: str, newcomer: float) -> None:
    found = timeline((0, "f0"), (1, "c0"), (2, "f1"), shared=5.0, discipline=discipline)
    caller = 12.0 if discipline == "reader_preference" else 10.0
    _is(found, f0=0.0, c0=caller, f1=newcomer)


@pytest.mark.parametrize(
    ("discipline", "begins"),
    [
        ("rwsem", {"f0": 20.0, "f1": 20.0, "c1": 30.0}),
        ("fifo", {"f0": 20.0, "c1": 30.0, "f1": 50.0}),
        ("reader_preference", {"f0": 20.0, "f1": 20.0, "c1": 30.0}),
        ("writer_preference", {"c1": 20.0, "f0": 40.0, "f1": 40.0}),
    ],
)
def test_a_fault_at_the_head_takes_all_faults_along(
    discipline: str, begins: dict[str, float]
) -> None:
    found = timeline((0, "c0"), (1, "f0"), (2, "c1"), (3, "f1"), discipline=discipline)
    _is(found, c0=0.0, **begins)


def test_at_most_256_are_taken_along() -> None:
    many = [(1 + i / 1000, f"f{i}") for i in range(300)]
    found = timeline((0, "c0"), *many, (2, "c1"))
    begins = np.array([found[f"f{i}"] for i in range(300)])
    assert begins[:256] == pytest.approx(20.0)
    # Then the next of them is first, and takes the rest along: they too go before the caller.
    assert begins[256:] == pytest.approx(30.0)
    _is(found, c1=40.0)
    fifo = timeline((0, "c0"), *many, (2, "c1"), discipline="fifo")
    _is(fifo, f255=20.0, f256=20.0, f299=20.0, c1=30.0)


def test_a_downgrade_helps_nobody_behind_a_caller() -> None:
    ahead = timeline((0, "c0"), (1, "f0"), (2, "c1"), (3, "f1"), shared=15.0)
    _is(ahead, f0=20.0, f1=20.0, c1=35.0)
    behind = timeline((0, "c0"), (1, "c1"), (2, "f0"), (3, "f1"), shared=15.0)
    _is(behind, c1=35.0, f0=55.0, f1=55.0)


def test_a_newcomer_enters_the_shared_tail_if_nobody_waits() -> None:
    _is(timeline((0, "c0"), (22, "f0"), shared=15.0), f0=22.0)
    _is(timeline((0, "c0"), (21, "c1"), (22, "f0"), shared=15.0), c1=35.0, f0=55.0)


def test_a_woken_fault_owns_the_lock_while_it_is_on_its_way() -> None:
    queue = (0, "c0"), (1, "f0"), (2, "f1"), (3, "c1")
    _is(timeline(*queue, latency=7.0, serial=2.0), f0=29.0, f1=31.0, c1=41.0)
    # The waker of a downgrade pays before its tail: two wake-ups of 2 us.
    found = timeline(*queue, latency=7.0, serial=2.0, shared=15.0)
    _is(found, c0=0.0 + 4.0, f0=29.0, c1=41.0)
    _is(timeline(*queue, latency=7.0, serial=2.0, wake=False), f0=20.0, f1=20.0, c1=30.0)


def test_a_fault_that_spins_needs_no_wake_up() -> None:
    # Until 5.10 a blocked reader spins; from 5.11 on it sleeps.
    queue = (0, "c0"), (1, "f0"), (2, "c1")
    _is(timeline(*queue, latency=7.0, serial=2.0, readers_sleep=False), f0=20.0, c1=30.0)
    _is(timeline(*queue, latency=7.0, serial=2.0, readers_sleep=True), f0=29.0, c1=39.0)


def test_a_sleeping_caller_leaves_the_lock_free_until_it_is_back() -> None:
    queue = (0, "c0"), (1, "c1"), (30, "f0")
    on = {"latency": LATENCY, "readers_sleep": False}
    _is(timeline(*queue, **on), c1=20.0, f0=40.0)
    _is(timeline(*queue, sleep=True, **on), c1=120.0, f0=140.0)


def test_a_spinning_caller_takes_the_lock_before_the_queue() -> None:
    queue = (0, "c0"), (1, "f0"), (2, "c1")
    _is(timeline(*queue, spin=True), c1=20.0, f0=40.0)
    _is(timeline(*queue, spin=False), f0=20.0, c1=30.0)


@pytest.mark.parametrize(
    ("faults", "patience"), [(0, 10.5), (1, 11.0), (15, 18.0), (29, 25.0), (30, 25.0), (60, 25.0)]
)
def test_patience_with_readers(faults: int, patience: float) -> None:
    # The downgraded caller reads too. The lock comes free just before the patience ends, or just after.
    queue = [(1.0, f"f{i}") for i in range(faults)]
    for late in (-0.1, 0.1):
        hold = patience + late
        found = timeline(
            (0, "c0"), *queue, (2, "c1"), read=hold, shared=hold if faults == 0 else 1.0,
            latency=LATENCY, readers_sleep=False, spin=True,
        )  # fmt: skip
        _is(found, c1=20.0 + hold + (LATENCY if late > 0 else 0.0))


def test_readers_that_come_first_start_the_patience_too() -> None:
    # c0 meets a reader and spins at once: 10.5 us from then on, whoever comes.
    _is(timeline((0, "f0"), (1, "c0"), read=11.4, latency=LATENCY, spin=True), c0=11.4)
    _is(timeline((0, "f0"), (1, "c0"), read=11.6, latency=LATENCY, spin=True), c0=111.6)


def test_after_a_surrender_nobody_spins_until_a_caller_has_had_the_lock() -> None:
    on = {"latency": LATENCY, "spin": True}
    # c1 gives up at 30.5. c2 comes just before the lock is free, and must sleep behind it. c3 comes
    # while c1 holds the lock and spins; it gives up in c1's tail, and is third.
    found = timeline((0, "c0"), (1, "c1"), (55, "c2"), (170, "c3"), shared=40.0, **on)
    _is(found, c1=160.0, c2=320.0, c3=480.0)
    # The same, with a reader for c1 to give up on and no tail: c3 passes c2.
    found = timeline((0, "f0"), (1, "c1"), (55, "c2"), (170, "c3"), read=60.0, **on)
    _is(found, c1=160.0, c3=180.0, c2=300.0)
    # Nobody gives up in a short tail.
    found = timeline((0, "c0"), (1, "c1"), (40, "c2"), (170, "c3"), shared=5.0, **on)
    _is(found, c1=25.0, c2=50.0, c3=170.0)


def test_every_new_owner_starts_a_patience_anew() -> None:
    on = {"latency": LATENCY, "spin": True, "readers_sleep": False}
    # c1 and c2 give up together.
    found = timeline((0, "c0"), (1, "c1"), (2, "c2"), shared=40.0, **on)
    _is(found, c1=160.0, c2=320.0)
    # c0's tail is short, and c1 takes the lock; c2 gives up on the reader that c1 lets in.
    found = timeline((0, "c0"), (1, "c1"), (2, "c2"), (25, "f0"), shared=1.0, read=20.0, **on)
    _is(found, c1=21.0, f0=41.0, c2=61.0 + LATENCY)
    # f0 is handed the lock after 4 ms, past the spinning c1, which has patience with it and no more.
    for read, late in ((10.4, 0.0), (20.0, LATENCY)):
        found = timeline(
            (0, "c0"), (1, "f0"), (2, "c1"), exclusive=5000.0, read=read, handoff=True, **on
        )
        _is(found, f0=5000.0, c1=5000.0 + read + late)


def test_a_fault_steals_a_free_lock_and_no_other() -> None:
    # The lock is free from 20 on; c1 is on its way until 120.
    queue = (0, "c0"), (1, "c1"), (30, "f0"), (32, "f1"), (50, "f2")
    on = {"latency": LATENCY, "readers_sleep": False, "sleep": True}
    # f1 meets a reader, and the caller waits: it must queue.
    _is(timeline(*queue, steal=True, **on), f0=30.0, f2=50.0, c1=120.0, f1=140.0)
    _is(timeline(*queue, steal=False, **on), f0=140.0, f1=140.0, f2=140.0, c1=120.0)


def test_a_caller_steals_and_the_woken_one_sleeps_again() -> None:
    queue = (0, "c0"), (1, "c1"), (110, "c2"), (115, "f0")
    on = {"latency": LATENCY, "readers_sleep": False, "sleep": True}
    # c1 finds c2 there at 120; c2's release at 130 wakes it anew.
    _is(timeline(*queue, steal=True, **on), c2=110.0, c1=230.0, f0=250.0)
    _is(timeline(*queue, steal=False, **on), c1=120.0, c2=240.0, f0=260.0)


@pytest.mark.parametrize(("waited", "passes"), [(3999.0, True), (4001.0, False)])
def test_nobody_passes_a_waiter_of_four_milliseconds(waited: float, passes: bool) -> None:
    on = {"latency": 10_000.0, "readers_sleep": False, "sleep": True, "steal": True}
    # c1 waits since 1 and is on its way until 10 020.
    for newcomer in ("f0", "c2"):
        queue = (0, "c0"), (1, "c1"), (1 + waited, newcomer)
        for handoff in (False, True):
            found = timeline(*queue, handoff=handoff, **on)
            stolen = found[newcomer] == pytest.approx(1 + waited)
            assert stolen == (passes or not handoff), (newcomer, handoff)
    # Neither does a spinning caller: f0 waits since 1, and the lock comes free at 1 + waited.
    for handoff in (False, True):
        found = timeline((0, "c0"), (1, "f0"), (2, "c1"), exclusive=1 + waited, readers_sleep=False,
                         spin=True, handoff=handoff)  # fmt: skip
        first = found["c1"] < found["f0"]
        assert first == (passes or not handoff), handoff


def test_few_cpus_slow_all_who_run_and_none_who_wait() -> None:
    lock = Lock(
        exclusive=np.array([20e3]), shared=np.array([0.0]), read_hold=1e3, fault_threads=1,
        fault_think=1e3, writer_threads=1, writer_think=9.5e3, wake_latency=4e3, cpus=1,
    )  # fmt: skip
    # One turn in work time: the caller thinks for 9.5, of which the woken fault sleeps through 4;
    # then it holds and thinks, 1 each, and the turn ends half a us before it asks and is blocked.
    #   sleep 4 alone; 5.5 both; 0.5 both; 19.5 alone: 35.5 in real time.
    run = simulate(lock, calls=600, holds=CONSTANT)
    e = {name: estimate.mean for name, estimate in run.estimates.items()}
    assert 1 / e["call_rate"] == pytest.approx(35.5e3, rel=1e-6)
    assert e["blocked_time"] == pytest.approx(19.5e3, rel=1e-6)
    assert e["wake_time"] == pytest.approx(4e3, rel=1e-6)
    assert e["fault_rate"] == pytest.approx(3 * e["call_rate"], rel=0.01)
    assert e["write_share"] == pytest.approx(20.5 / 35.5, rel=1e-6)
    assert run.quantiles[0.9].mean == pytest.approx(23.5e3, rel=0.012)


def test_wake_ups_and_patience_are_real_time() -> None:
    # Two threads run on one CPU while f0 is on its way: 100 us are 50 us of their work.
    queue = (0, "c0"), (1, "f0"), (500, "c1")
    _is(timeline(*queue, latency=LATENCY), f0=120.0)
    _is(timeline(*queue, latency=LATENCY, cpus=1), f0=70.0)
    # What the waker pays is work.
    _is(timeline(*queue, serial=LATENCY, cpus=1), f0=120.0)
    # The downgraded caller and the spinning one share a CPU: 10.5 us are 5.25 us of the tail. The one
    # that gives up sleeps, and then the other has the CPU for itself.
    for tail, begins in ((5.2, 25.2), (5.3, 25.3 + LATENCY)):
        found = timeline((0, "c0"), (1, "c1"), shared=tail, latency=LATENCY, spin=True, cpus=1)
        _is(found, c1=begins)
