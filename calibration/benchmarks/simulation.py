"""Events a second of the compiled simulation against SimPy's, on the same lock in one run.

    python calibration/benchmarks/simulation.py [--calls 5000] [--rounds 3]

The SimPy program is written as one writes SimPy: a process a thread, and the kernel's queueing rule in
plain Python. Both simulate one lock, and their waits are printed so that one sees that it is the
same. Events of either program are what its own loop takes from its heap; acquisitions of the lock
count the same work in both. The rounds alternate, so a machine that slows down slows both.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections import deque
from collections.abc import Generator
from typing import Any

import numpy as np
import simpy

from perfmodel.rwlock.lock import Lock
from perfmodel.rwlock.simulate import simulate

FAULTING, CALLING = 16, 4
FAULT_THINK, READ, CALL_THINK, EXCLUSIVE, SHARED = 20_000.0, 400.0, 200_000.0, 3000.0, 8000.0


class SimpyLock:
    """A reader/writer lock under the kernel's rule, for SimPy processes."""

    def __init__(self, environment: simpy.Environment) -> None:
        self.environment = environment
        self.readers, self.writing = 0, False
        self.queue: deque[tuple[bool, simpy.Event]] = deque()

    def ask(self, write: bool) -> simpy.Event:
        """Return an event that happens when the lock is granted."""
        granted = self.environment.event()
        busy = self.writing or bool(self.queue) or (write and self.readers > 0)
        if busy:
            self.queue.append((write, granted))
        else:
            self._grant(write, granted)
        return granted

    def _grant(self, write: bool, granted: simpy.Event) -> None:
        if write:
            self.writing = True
        else:
            self.readers += 1
        granted.succeed()

    def wake(self) -> None:
        """Let in who may enter: all queued readers if one is first, else a writer alone."""
        if not self.queue:
            return
        if self.queue[0][0]:
            if self.readers == 0:
                self._grant(*self.queue.popleft())
            return
        readers = [w for w in self.queue if not w[0]]
        self.queue = deque(w for w in self.queue if w[0])
        for waiter in readers:
            self._grant(*waiter)

    def end_read(self) -> None:
        """Release a read lock."""
        self.readers -= 1
        if self.readers == 0:
            self.wake()

    def downgrade(self) -> None:
        """Go on as a reader."""
        self.writing = False
        self.readers += 1
        self.wake()


def with_simpy(calls: int, seed: int) -> tuple[float, int, int, float]:
    """Return seconds, events, acquisitions and the mean wait of a fault, ns."""
    draw = random.Random(seed).expovariate
    environment = simpy.Environment()
    lock = SimpyLock(environment)
    count = {"faults": 0, "calls": 0, "wait": 0.0}
    enough = environment.event()

    def fault() -> Generator[Any, Any, None]:
        while True:
            yield environment.timeout(draw(1 / FAULT_THINK))
            asked = environment.now
            yield lock.ask(write=False)
            count["faults"] += 1
            count["wait"] += environment.now - asked
            yield environment.timeout(draw(1 / READ))
            lock.end_read()

    def call() -> Generator[Any, Any, None]:
        while True:
            yield environment.timeout(draw(1 / CALL_THINK))
            yield lock.ask(write=True)
            yield environment.timeout(EXCLUSIVE)
            lock.downgrade()
            yield environment.timeout(SHARED)
            lock.end_read()
            count["calls"] += 1
            if count["calls"] == calls:
                enough.succeed()

    for _ in range(FAULTING):
        environment.process(fault())
    for _ in range(CALLING):
        environment.process(call())
    begun = time.perf_counter()
    environment.run(until=enough)
    seconds = time.perf_counter() - begun
    # Every scheduled event takes the next number; what is still in the heap has not happened.
    events = next(environment._eid) - len(environment._queue)
    faults, done = int(count["faults"]), int(count["calls"])
    return seconds, events, faults + done, count["wait"] / faults


def compiled(calls: int, seed: int) -> tuple[float, int, int, float]:
    """Return the same of the compiled simulation."""
    lock = Lock(
        exclusive=np.array([EXCLUSIVE]), shared=np.array([SHARED]), read_hold=READ,
        fault_threads=FAULTING, fault_think=FAULT_THINK, writer_threads=CALLING,
        writer_think=CALL_THINK, readers_sleep=False,
    )  # fmt: skip
    begun = time.perf_counter()
    # The warm-up is simulated but not counted, so there is none here.
    result = simulate(lock, calls=calls, seed=seed, warm_up=0.0, levels=())
    seconds = time.perf_counter() - begun
    work = result.faults + result.calls
    return seconds, result.events, work, result.estimates["wait_mean"].mean


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")


def main() -> None:
    """Run both in turn and print rates and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=5000, help="calls a SimPy round simulates")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    compiled(100, 0)  # compiles, or loads what was compiled
    rates: dict[str, list[tuple[float, float]]] = {"SimPy": [], "compiled": []}
    for seed in range(given.rounds):
        for name, program, calls in (
            ("SimPy", with_simpy, given.calls), ("compiled", compiled, 50 * given.calls),
        ):  # fmt: skip
            seconds, events, work, wait = program(calls, seed)
            rates[name].append((events / seconds, work / seconds))
            say(f"{name:9} {events:10d} events {seconds:7.3f} s  {events / seconds:12,.0f} events/s"
                f"  {work / seconds:12,.0f} acquisitions/s  mean fault wait {wait:.0f} ns")  # fmt: skip
    for i, what in enumerate(("events", "acquisitions")):
        ratios = [c[i] / s[i] for c, s in zip(rates["compiled"], rates["SimPy"], strict=True)]
        say(f"{what} a second, compiled over SimPy: {statistics.median(ratios):.0f}"
            f" (of {given.rounds} rounds: {min(ratios):.0f} to {max(ratios):.0f})")  # fmt: skip


if __name__ == "__main__":
    main()
