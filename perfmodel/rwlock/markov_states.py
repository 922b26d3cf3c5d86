r"""States of a closed lock and the moves between them, as arrays.

*n* threads fault and *m* callers call. A state is a row of small integers: the stage of the
exclusive part (0: nobody writes), the stage of the shared tail (0: none), the readers inside, and
the queue. How much of the queue must be remembered depends on who is woken:

* ``rwsem``: a reader at the head of the queue wakes all queued readers wherever they stand, so
  three numbers are enough: writers ahead of the first blocked reader, blocked readers, writers
  behind it.
* ``fifo``: only the readers up to the next writer are woken, so the number of readers in every gap
  between two waiting writers is needed. With one caller both are the same lock.
* ``reader_preference`` and ``writer_preference``: readers and callers wait in two queues, all
  readers are woken or none, and the two lengths are enough.

While new faults are blocked, nobody enters: readers inside only leave, the queue only grows, stages
only advance. The graph of moves has therefore no cycle except through the start of an exclusive part,
and through readers that come and go where they may. While they come and go, callers only gather
(under reader preference; under all other rules none may wait then) and the tail only advances.
States are numbered along that order: exclusive parts, then the *open* states in which readers come
and go, in blocks of equal tail and callers, then the drain. It is what makes the balance equations
triangular but for one neighbour on the wrong side within a block
(:mod:`perfmodel.rwlock.markov_steady`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import comb, prod

import numpy as np
from numpy.typing import NDArray

from perfmodel.errors import InputError
from perfmodel.rwlock.markov_moves import (
    INSIDE,
    QUEUE,
    RULES,
    STAGE,
    TAIL,
    waiting_callers,
    waiting_readers,
)

__all__ = ["LIMIT", "MOVES", "Shape", "Structure", "count_states", "structure"]

#: States beyond which a chain is refused: it would take seconds and gigabytes.
LIMIT = 1_000_000

#: Kinds of moves; the rate of each is a number of threads times one base rate.
MOVES = tuple(RULES)

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Shape:
    """What decides the states of a chain, rates apart.

    Parameters
    ----------
    threads, callers : int
        Faulting threads, at least 0, and callers, at least 1.
    stages : int
        Stages of the exclusive part and of the tail, each.
    tail : bool
        Whether the exclusive part is followed by a shared tail.
    discipline : str
        One of :data:`perfmodel.rwlock.lock.DISCIPLINES`.
    """

    threads: int
    callers: int
    stages: int
    tail: bool
    discipline: str

    @property
    def gaps(self) -> bool:
        """Whether the gaps of the queue must be told apart: with one caller there is only one."""
        return self.discipline == "fifo" and self.callers > 1

    @property
    def preference(self) -> bool:
        """Whether readers and callers wait in queues of their own."""
        return self.discipline in ("reader_preference", "writer_preference")


@dataclass(frozen=True, eq=False)
class Structure:
    """All states and moves of a chain; *s* states, *e* moves.

    Attributes
    ----------
    shape : Shape
        What it was built for.
    table : ndarray of shape (s, columns)
        The states, numbered so that moves lead to higher numbers except as the module says.
    waiting_readers, waiting_callers : ndarray of shape (s,)
        Who is blocked.
    source, target : ndarray of shape (e,)
        State before and after a move.
    kind : ndarray of shape (e,)
        Index into `MOVES`, ascending.
    threads : ndarray of shape (e,)
        How many threads may make the move: its rate is this many times the base rate.
    woken : ndarray of shape (e,)
        Blocked readers that the move lets in.
    starts : ndarray of bool, shape (e,)
        Whether the move starts an exclusive part.
    """

    shape: Shape
    table: Ints
    waiting_readers: Ints
    waiting_callers: Ints
    source: Ints
    target: Ints
    kind: Ints
    threads: Ints
    woken: Ints
    starts: NDArray[np.bool_]

    @property
    def states(self) -> int:
        """Number of states."""
        return len(self.table)

    @property
    def stage(self) -> Ints:
        """Stage of the exclusive part, 0 where nobody writes."""
        return self.table[:, STAGE]

    @property
    def tail(self) -> Ints:
        """Stage of the shared tail, 0 where there is none."""
        return self.table[:, TAIL]

    @property
    def inside(self) -> Ints:
        """Faults that hold the lock for reading."""
        return self.table[:, INSIDE]

    @cached_property
    def blocks(self) -> NDArray[np.bool_]:
        """Where a fault that comes is blocked."""
        return ~_open(self.shape, self.table)

    @cached_property
    def moves(self) -> dict[str, slice]:
        """Where the moves of each kind stand: side by side."""
        ends = np.searchsorted(self.kind, np.arange(len(MOVES) + 1)).tolist()
        return {name: slice(ends[i], ends[i + 1]) for i, name in enumerate(MOVES)}

    @cached_property
    def blocking(self) -> Ints:
        """Moves by which a fault is blocked, as numbers."""
        return np.flatnonzero((self.kind == MOVES.index("fault")) & self.blocks[self.source])

    @cached_property
    def block(self) -> Ints:
        """Number of the block of open states that a state belongs to; -1 where faults block.

        Open states follow each other, those of a block with one more reader inside each.
        """
        at = np.flatnonzero(~self.blocks)
        key = np.column_stack((self.tail[at], self.waiting_callers[at]))
        number = np.full(self.states, -1, dtype=np.int64)
        number[at] = np.cumsum(np.any(np.diff(key, axis=0, prepend=key[:1]) != 0, axis=1))
        return number

    @cached_property
    def running(self) -> Ints:
        """Threads that are not blocked: they think or hold the lock."""
        everybody = self.shape.threads + self.shape.callers
        return np.asarray(everybody - self.waiting_readers - self.waiting_callers)


def count_states(shape: Shape) -> int:
    """Return the number of states of a chain without listing them.

    Parameters
    ----------
    shape : Shape
        The chain.
    """
    n, m, k = shape.threads, shape.callers, shape.stages
    tails = k if shape.tail else 0
    idle = (n + 1) * (1 + tails)
    if shape.gaps:
        # Vectors of w + 1 numbers of readers that add up to at most n; with w callers waiting
        # behind readers there must be a reader inside, or else a tail.
        def vectors(length: int) -> int:
            return comb(n + length, length)

        drain = sum(vectors(w + 1) - vectors(w) for w in range(1, m + 1))
        drain += tails * sum(vectors(w + 1) for w in range(1, m))
        return idle + drain + k * sum(vectors(w + 1) for w in range(m))
    if shape.preference:
        # Blocked readers and waiting callers are counted apart while somebody writes.
        writing = k * (n + 1) * m
        if shape.discipline == "reader_preference":
            return idle + n * m + tails * (n + 1) * (m - 1) + writing
        return idle + m * n * (n + 1) // 2 + tails * (m - 1) * comb(n + 2, 2) + writing

    def queues(callers: int, pairs: int, alone: int) -> int:
        # Without a blocked reader one number of callers, with one two numbers.
        return callers * alone + callers * (callers + 1) // 2 * pairs

    drain = queues(m, n * (n - 1) // 2, n) + tails * queues(m - 1, n * (n + 1) // 2, n + 1)
    return idle + drain + k * (m + m * (m + 1) // 2 * n)


def structure(shape: Shape) -> Structure:
    """List the states of a chain and the moves between them.

    Parameters
    ----------
    shape : Shape
        The chain.

    Returns
    -------
    Structure
        Every state can be reached from every other.

    Raises
    ------
    InputError
        If there are more than `LIMIT` states.
    """
    size = count_states(shape)
    m = shape.callers
    radix = [shape.stages + 1, shape.stages + 1, shape.threads + 1]
    radix += [m + 1] + [shape.threads + 1] * (m if shape.gaps else 1)
    radix += [] if shape.gaps or shape.preference else [m + 1]
    # A state is found by its number in mixed radix, which must fit a machine word.
    if size > LIMIT or prod(radix) >= 2**62:
        raise InputError(
            f"the chain of {shape.threads} faulting threads, {m} callers and {shape.stages} stages"
            f" has {size} states in {len(radix)} numbers each",
            field="threads",
            expected=f"at most {LIMIT} states and {2**62:.0e} numbers of them: fewer threads,"
            " callers or stages, or a simulation",
        )
    states = _preference_states if shape.preference else _rwsem_states
    table = _sorted(shape, (_fifo_states if shape.gaps else states)(shape))
    weights = np.concatenate((np.cumprod(np.array(radix[:0:-1], dtype=np.int64))[::-1], [1]))
    codes = table @ weights
    by_code = np.argsort(codes)
    sorted_codes = codes[by_code]

    readers, callers = waiting_readers(shape, table), waiting_callers(shape, table)
    stage, tail, inside = table[:, :QUEUE].T
    writes, shares = (stage > 0).astype(np.int64), (tail > 0).astype(np.int64)
    thinking = shape.threads - inside - readers
    counts = (thinking, m - callers - writes - shares, inside, writes, shares)
    sources, targets, woken = [], [], []
    for move, count in zip(RULES.values(), counts, strict=True):
        source = np.flatnonzero(count > 0)
        rows = table[source]
        woken.append(move(shape, rows))
        sources.append(source)
        targets.append(by_code[np.searchsorted(sorted_codes, rows @ weights)])
    source, target = np.concatenate(sources), np.concatenate(targets)
    kind = np.repeat(np.arange(len(MOVES)), [len(s) for s in sources])
    return Structure(
        shape=shape, table=table, waiting_readers=readers, waiting_callers=callers,
        source=source, target=target, kind=kind,
        threads=np.concatenate([c[s] for c, s in zip(counts, sources, strict=True)]),
        woken=np.concatenate(woken),
        # Arrivals (kinds 0 and 1) during a first stage stay in it.
        starts=(stage[target] == 1) & ((stage[source] != 1) | (kind > 1)),
    )  # fmt: skip


def _bounded(total: int, length: int) -> Ints:
    """List all vectors of non-negative integers that add up to at most `total`."""
    rows = np.zeros((1, 0), dtype=np.int64)
    for _ in range(length):
        room = total - rows.sum(axis=1) + 1
        first = np.cumsum(room) - room
        value = np.arange(int(room.sum())) - np.repeat(first, room)
        rows = np.column_stack((np.repeat(rows, room, axis=0), value))
    return rows


def _cross(*parts: Ints) -> Ints:
    """Put every row of each table beside every row of the others."""
    rows = parts[0]
    for part in parts[1:]:
        repeated, tiled = np.repeat(rows, len(part), axis=0), np.tile(part, (len(rows), 1))
        rows = np.column_stack((repeated, tiled))
    return rows


def _column(*values: int) -> Ints:
    return np.array(values, dtype=np.int64).reshape(-1, 1)


def _tails(shape: Shape) -> list[tuple[Ints, int]]:
    """Tail stages with the callers that may wait beside them: none, then all that exist."""
    tails = [(_column(0), shape.callers)]
    if shape.tail:
        tails.append((_column(*range(1, shape.stages + 1)), shape.callers - 1))
    return tails


def _rwsem_states(shape: Shape) -> Ints:
    n = shape.threads
    exclusive = _column(*range(1, shape.stages + 1))
    ahead_behind = _bounded(shape.callers - 1, 2)
    rows = _cross(exclusive, _column(0), _column(0), ahead_behind, _column(*range(n + 1)))
    rows = rows[:, [0, 1, 2, 3, 5, 4]]
    # Behind the first blocked reader there is nobody if there is none.
    parts = [rows[(rows[:, 4] > 0) | (rows[:, 5] == 0)]]
    for tail, callers in _tails(shape):
        queue = _bounded(callers, 2)
        # Readers own the lock, so the first who waits is a caller.
        queue = queue[(queue[:, 0] > 0) | (queue[:, 1] == 0)]
        rows = _cross(_column(0), tail, _bounded(n, 2), queue)[:, [0, 1, 2, 4, 3, 5]]
        inside, ahead, readers, behind = rows[:, 2:].T
        keep = (readers > 0) | (behind == 0)
        keep &= (ahead > 0) | (readers == 0)
        keep &= (inside > 0) | (ahead == 0) | (rows[:, TAIL] > 0)
        parts.append(rows[keep])
    return np.concatenate(parts)


def _fifo_states(shape: Shape) -> Ints:
    n, m = shape.threads, shape.callers
    stages = _column(*range(1, shape.stages + 1))

    def padded(rows: Ints) -> Ints:
        return np.pad(rows, ((0, 0), (0, QUEUE + 1 + m - rows.shape[1])))

    parts = [
        padded(_cross(stages, _column(0), _column(0), _column(w), _bounded(n, w + 1)))
        for w in range(m)
    ]
    for tail, callers in _tails(shape):
        for w in range(callers + 1):
            # Readers inside, then those behind each waiting caller.
            readers = _bounded(n, w + 1)
            rows = _cross(_column(0), tail, _column(w), readers)
            rows = rows[:, [0, 1, 3, 2, *range(4, rows.shape[1])]]
            if w:
                rows = rows[(rows[:, INSIDE] > 0) | (rows[:, TAIL] > 0)]
            parts.append(padded(rows))
    return np.concatenate(parts)


def _preference_states(shape: Shape) -> Ints:
    n, m = shape.threads, shape.callers
    stages, readers = _column(*range(1, shape.stages + 1)), _column(*range(n + 1))
    parts = [_cross(stages, _column(0), _column(0), _column(*range(m)), readers)]
    for tail, callers in _tails(shape):
        rows = _cross(_column(0), tail, _bounded(n, 2), _column(*range(callers + 1)))
        rows = rows[:, [0, 1, 2, 4, 3]]
        inside, waiting, blocked = rows[:, INSIDE:].T
        # A reader is let in at once or waits behind a caller, and that one behind a holder.
        keep = blocked == 0
        if shape.discipline == "writer_preference":
            keep |= waiting > 0
        keep &= (inside > 0) | (waiting == 0) | (rows[:, TAIL] > 0)
        parts.append(rows[keep])
    return np.concatenate(parts)


def _open(shape: Shape, table: Ints) -> NDArray[np.bool_]:
    """Tell where a fault that comes enters at once."""
    reads = table[:, STAGE] == 0
    if shape.discipline == "reader_preference":
        return np.asarray(reads)
    return np.asarray(reads & (waiting_callers(shape, table) == 0))


def _sorted(shape: Shape, table: Ints) -> Ints:
    """Order the states along the moves: exclusive, then open to readers, then the drain."""
    callers = waiting_callers(shape, table)
    waiting = waiting_readers(shape, table) + callers
    stage, tail, inside = table[:, :QUEUE].T
    opened = _open(shape, table)
    order = np.where(stage > 0, 0, np.where(opened, 1, 2))
    done = np.where(tail > 0, tail, shape.stages + 1)
    # Every move within the first and the last group, and from one block of the second to another,
    # adds one to this sum.
    progress = np.where(stage > 0, stage + waiting, done + waiting + shape.threads - inside)
    progress = np.where(opened, done + callers, progress)
    return np.asarray(table[np.lexsort((inside, callers, progress, order))])
