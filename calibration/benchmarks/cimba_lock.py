"""The lock in Cimba: processes compiled to machine code on a C event engine.

Written as one writes Cimba: a process a thread, the kernel's queueing rule in its functions, which it
compiles: who must wait is suspended, and resumed by whoever lets it in. The queue is two arrays.
"""

from __future__ import annotations

import time

import cimba as cb
from the_lock import CALL_THINK, CALLING, EXCLUSIVE, FAULT_THINK, FAULTING, READ, SHARED, Round

THREADS = FAULTING + CALLING


class CimbaLock(cb.Model):
    """A reader/writer lock under the kernel's rule, and the threads that use it."""

    wanted: cb.Param[int]
    readers: int = 0
    writing: bool = False
    # Who waits, in the order of their coming: process and whether it wants to write.
    queue: cb.Array[int] = cb.Array(THREADS)
    wants_write: cb.Array[bool] = cb.Array(THREADS)
    waiting: int = 0
    total: float = 0.0
    call_total: float = 0.0
    n_faults: int = 0
    n_calls: int = 0
    n_resumed: int = 0
    faults: cb.Output[float]
    calls: cb.Output[float]
    resumed: cb.Output[float]
    wait: cb.Output[float]
    acquire: cb.Output[float]

    @cb.function
    def ask(self, write: bool) -> None:
        """Wait until the lock is granted."""
        if self.writing or self.waiting > 0 or (write and self.readers > 0):
            self.queue[self.waiting] = cb.this_process().pointer
            self.wants_write[self.waiting] = write
            self.waiting += 1
            cb.suspend()
        elif write:
            self.writing = True
        else:
            self.readers += 1

    @cb.function
    def grant(self, i: int) -> None:
        """Grant the lock to a waiter."""
        if self.wants_write[i]:
            self.writing = True
        else:
            self.readers += 1
        self.n_resumed += 1
        cb.Process(self.queue[i]).resume()

    @cb.function
    def wake(self) -> None:
        """Let in who may enter: all queued readers if one is first, else a writer alone."""
        if self.waiting == 0:
            return
        kept = 0
        if self.wants_write[0]:
            if self.readers > 0:
                return
            self.grant(0)
            for i in range(1, self.waiting):
                self.queue[i - 1] = self.queue[i]
                self.wants_write[i - 1] = self.wants_write[i]
            kept = self.waiting - 1
        else:
            for i in range(self.waiting):
                if self.wants_write[i]:
                    self.queue[kept] = self.queue[i]
                    self.wants_write[kept] = True
                    kept += 1
                else:
                    self.grant(i)
        self.waiting = kept

    @cb.function
    def end_read(self) -> None:
        """Release a read lock."""
        self.readers -= 1
        if self.readers == 0:
            self.wake()

    @cb.process(copies=FAULTING)
    def fault(self) -> None:
        """Fault for ever."""
        while True:
            cb.hold(cb.random.exponential(FAULT_THINK))
            asked = cb.now()
            self.ask(False)
            self.n_faults += 1
            self.total += cb.now() - asked
            cb.hold(cb.random.exponential(READ))
            self.end_read()

    @cb.process(copies=CALLING)
    def call(self) -> None:
        """Call until enough calls have been made."""
        while True:
            cb.hold(cb.random.exponential(CALL_THINK))
            asked = cb.now()
            self.ask(True)
            self.call_total += cb.now() - asked
            cb.hold(EXCLUSIVE)
            self.writing = False
            self.readers += 1
            self.wake()
            cb.hold(SHARED)
            self.end_read()
            self.n_calls += 1
            if self.n_calls == self.wanted:
                cb.end_trial()

    @cb.on_end
    def means(self) -> None:
        """Give what was counted."""
        self.faults = self.n_faults
        self.calls = self.n_calls
        self.resumed = self.n_resumed
        self.wait = self.total / self.n_faults
        self.acquire = self.call_total / self.n_calls


def with_cimba(calls: int, seed: int) -> Round:
    """Simulate so many calls.

    Events are two holds a fault, three a call, and a resumption of each thread that had to wait.
    """
    model = CimbaLock()
    model.wanted = calls
    experiment = cb.Experiment(model, seed=seed)
    begun = time.perf_counter()
    result = experiment.run(workers=1)
    seconds = time.perf_counter() - begun
    if result.failed.any():
        raise RuntimeError(f"cimba: {result.failure_reasons}")
    told = result[model]
    faults, done, resumed, wait, acquire = (
        float(getattr(told, name).values.reshape(-1)[0])
        for name in ("faults", "calls", "resumed", "wait", "acquire")
    )
    events = int(2 * faults + 3 * done + resumed)
    return Round(seconds, events, int(faults), int(done), wait, acquire)
