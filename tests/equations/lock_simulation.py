"""A small discrete-event simulation of a reader/writer lock, independent of the equations.

Plain Python over one heap. It knows the rules of the lock and nothing of the formulas: who may
enter, who is woken by whom. Means come with the standard error of 20 batches.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from dataclasses import dataclass, field

FAULT, READ_END, CALL, EXCLUSIVE_END, TAIL_END = range(5)


@dataclass
class Estimate:
    """Mean and standard error of batch means."""

    mean: float
    error: float


@dataclass
class Run:
    """What one simulation measured."""

    reader_wait: Estimate
    writer_wait: Estimate
    blocked_share: Estimate
    fault_rate: Estimate
    call_rate: Estimate
    waits: list[float] = field(repr=False, default_factory=list)


def _estimate(batches: list[float]) -> Estimate:
    n = len(batches)
    mean = sum(batches) / n
    return Estimate(mean, (sum((b - mean) ** 2 for b in batches) / (n - 1) / n) ** 0.5)


def simulate(
    *,
    mu: float,
    exclusive: float,
    shared: float = 0.0,
    lambda_r: float = 0.0,
    lambda_w: float = 0.0,
    threads: int = 0,
    nu: float = 0.0,
    writers: int = 0,
    think_writer: float = 0.0,
    io_share: float = 0.0,
    io_time: float = 0.0,
    rule: str = "rwsem",
    events: int = 200_000,
    seed: int = 1,
) -> Run:
    """Simulate; open with `lambda_r` and `lambda_w`, closed with `threads` and `writers`."""
    rng = random.Random(seed)
    expo = rng.expovariate
    heap: list[tuple[float, int, int]] = []
    push, pop = heapq.heappush, heapq.heappop
    for _ in range(threads):
        push(heap, (expo(nu), FAULT, 0))
    for _ in range(writers):
        push(heap, (expo(1 / think_writer), CALL, 0))
    if lambda_r:
        push(heap, (expo(lambda_r), FAULT, 0))
    if lambda_w:
        push(heap, (expo(lambda_w), CALL, 0))

    waiting: deque[tuple[bool, float]] = deque()  # (is a call, since)
    readers = 0
    writing = False
    now = 0.0
    batches: list[tuple[float, ...]] = []
    per_batch = events // 21
    totals = [0.0, 0, 0.0, 0, 0, 0, 0]  # wait, faults, call wait, calls, blocked, ends, call ends
    waits: list[float] = []
    last = 0.0
    keep = False

    def let_reader_in(since: float) -> None:
        nonlocal readers
        readers += 1
        wait = now - since
        totals[0] += wait
        totals[1] += 1
        totals[4] += wait > 0
        if keep:
            waits.append(wait)
        hold = expo(mu)
        if io_share and rng.random() < io_share:
            hold += expo(1 / io_time)
        push(heap, (now + hold, READ_END, 0))

    def let_writer_in(since: float) -> None:
        nonlocal writing
        writing = True
        totals[2] += now - since
        totals[3] += 1
        push(heap, (now + exclusive, EXCLUSIVE_END, 0))

    def wake() -> None:
        """Let in who may enter now; the lock is not held for writing."""
        if not waiting:
            return
        if waiting[0][0]:
            if readers == 0:
                let_writer_in(waiting.popleft()[1])
            return
        if rule == "rwsem":
            stay = [w for w in waiting if w[0]]
            enter = [w for w in waiting if not w[0]]
            waiting.clear()
            waiting.extend(stay)
            for _, since in enter:
                let_reader_in(since)
        else:
            while waiting and not waiting[0][0]:
                let_reader_in(waiting.popleft()[1])

    def call_again() -> None:
        totals[6] += 1
        if writers:
            push(heap, (now + expo(1 / think_writer), CALL, 0))

    for step in range(events):
        now, kind, _ = pop(heap)
        if kind == FAULT:
            if lambda_r:
                push(heap, (now + expo(lambda_r), FAULT, 0))
            if writing or waiting:
                waiting.append((False, now))
            else:
                let_reader_in(now)
        elif kind == READ_END:
            readers -= 1
            totals[5] += 1
            if threads:
                push(heap, (now + expo(nu), FAULT, 0))
            if readers == 0:
                wake()
        elif kind == CALL:
            if lambda_w:
                push(heap, (now + expo(lambda_w), CALL, 0))
            if writing or waiting or readers:
                waiting.append((True, now))
            else:
                let_writer_in(now)
        elif kind == EXCLUSIVE_END:
            writing = False
            if shared > 0:
                readers += 1
                push(heap, (now + shared, TAIL_END, 0))
            else:
                call_again()
            wake()
        else:
            readers -= 1
            call_again()
            if readers == 0:
                wake()
        if (step + 1) % per_batch == 0:
            if keep:
                batches.append((*totals, now - last))
            keep = True  # the first batch only warms up
            last = now
            totals[:] = [0.0, 0, 0.0, 0, 0, 0, 0]
    return Run(
        _estimate([b[0] / max(b[1], 1) for b in batches]),
        _estimate([b[2] / max(b[3], 1) for b in batches]),
        _estimate([b[4] / max(b[1], 1) for b in batches]),
        _estimate([b[5] / b[7] for b in batches]),
        _estimate([b[6] / b[7] for b in batches]),
        waits,
    )
