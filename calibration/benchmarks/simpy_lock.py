"""The lock in SimPy: a process a thread, and the kernel's queueing rule in plain Python."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Generator
from typing import Any

import simpy
from the_lock import CALL_THINK, CALLING, EXCLUSIVE, FAULT_THINK, FAULTING, READ, SHARED, Round


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


def with_simpy(calls: int, seed: int) -> Round:
    """Simulate so many calls."""
    draw = random.Random(seed).expovariate
    environment = simpy.Environment()
    lock = SimpyLock(environment)
    count = {"faults": 0, "calls": 0, "wait": 0.0, "acquire": 0.0}
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
            asked = environment.now
            yield lock.ask(write=True)
            count["acquire"] += environment.now - asked
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
    return Round(seconds, events, faults, done, count["wait"] / faults, count["acquire"] / done)
