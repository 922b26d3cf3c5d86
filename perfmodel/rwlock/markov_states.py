r"""States of a closed lock and the moves between them, as arrays.

*n* threads fault and *m* callers call. A state is a row of small integers: the stage of the
exclusive part (0: nobody writes), the stage of the shared tail (0: none), the readers inside, and
the queue. How much of the queue must be remembered depends on who is woken:

* ``rwsem``: a reader at the head of the queue wakes all queued readers wherever they stand, so
  three numbers are enough: writers ahead of the first blocked reader, blocked readers, writers
  behind it.
* ``fifo``: only the readers up to the next writer are woken, so the number of readers in every gap
  between two waiting writers is needed. With one caller both are the same lock.

While anybody waits, nobody enters: readers inside only leave, the queue only grows, stages only
advance. The graph of moves has therefore no cycle except through the start of an exclusive part, and
through readers that come and go while nobody waits. States are numbered along that order, which is
what makes the balance equations nearly triangular (:mod:`perfmodel.rwlock.markov`).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, prod

import numpy as np
from numpy.typing import NDArray

from perfmodel.errors import InputError

__all__ = ["LIMIT", "MOVES", "Shape", "Structure", "count_states", "structure"]

#: States beyond which a chain is refused: it would take seconds and gigabytes.
LIMIT = 1_000_000

#: Kinds of moves; the rate of each is a number of threads times one base rate.
MOVES = ("fault", "call", "read end", "exclusive stage", "tail stage")

Ints = NDArray[np.int64]

# Columns that both disciplines share. The queue follows: (ahead, readers, behind) for rwsem,
# (writers, readers of the first gap, of the second, ...) for fifo.
_STAGE, _TAIL, _INSIDE, _QUEUE = 0, 1, 2, 3


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
    fifo : bool
        First come first served instead of the kernel's rule.
    """

    threads: int
    callers: int
    stages: int
    tail: bool
    fifo: bool

    @property
    def gaps(self) -> bool:
        """Whether the gaps of the queue must be told apart: with one caller there is only one."""
        return self.fifo and self.callers > 1


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
        Index into `MOVES`.
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
        return self.table[:, _STAGE]

    @property
    def tail(self) -> Ints:
        """Stage of the shared tail, 0 where there is none."""
        return self.table[:, _TAIL]

    @property
    def inside(self) -> Ints:
        """Faults that hold the lock for reading."""
        return self.table[:, _INSIDE]

    @property
    def blocks(self) -> NDArray[np.bool_]:
        """Where a fault that comes is blocked."""
        return np.asarray((self.stage > 0) | (self.waiting_callers > 0))

    @property
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
    radix += [m + 1] + [shape.threads + 1] * m if shape.gaps else [m + 1, shape.threads + 1, m + 1]
    # A state is found by its number in mixed radix, which must fit a machine word.
    if size > LIMIT or prod(radix) >= 2**62:
        raise InputError(
            f"the chain of {shape.threads} faulting threads, {m} callers and {shape.stages} stages"
            f" has {size} states in {len(radix)} numbers each",
            field="threads",
            expected=f"at most {LIMIT} states and {2**62:.0e} numbers of them: fewer threads,"
            " callers or stages, or a simulation",
        )
    table = _sorted(shape, _rwsem_states(shape) if not shape.gaps else _fifo_states(shape))
    weights = np.concatenate((np.cumprod(np.array(radix[:0:-1], dtype=np.int64))[::-1], [1]))
    codes = table @ weights
    by_code = np.argsort(codes)
    sorted_codes = codes[by_code]

    readers, callers = _waiting_readers(shape, table), _waiting_callers(shape, table)
    stage, tail, inside = table[:, :_QUEUE].T
    writes, shares = (stage > 0).astype(np.int64), (tail > 0).astype(np.int64)
    thinking = shape.threads - inside - readers
    counts = (thinking, m - callers - writes - shares, inside, writes, shares)
    sources, targets, woken = [], [], []
    for move, count in zip((_fault, _call, _read_end, _stage_end, _tail_end), counts, strict=True):
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
        keep &= (inside > 0) | (ahead == 0) | (rows[:, _TAIL] > 0)
        parts.append(rows[keep])
    return np.concatenate(parts)


def _fifo_states(shape: Shape) -> Ints:
    n, m = shape.threads, shape.callers
    stages = _column(*range(1, shape.stages + 1))

    def padded(rows: Ints) -> Ints:
        return np.pad(rows, ((0, 0), (0, _QUEUE + 1 + m - rows.shape[1])))

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
                rows = rows[(rows[:, _INSIDE] > 0) | (rows[:, _TAIL] > 0)]
            parts.append(padded(rows))
    return np.concatenate(parts)


def _sorted(shape: Shape, table: Ints) -> Ints:
    """Order the states along the moves: exclusive, then nobody waits, then the drain."""
    waiting = _waiting_readers(shape, table) + _waiting_callers(shape, table)
    stage, tail, inside = table[:, :_QUEUE].T
    idle = (stage == 0) & (waiting == 0)
    order = np.where(stage > 0, 0, np.where(idle, 1, 2))
    done = np.where(tail > 0, tail, shape.stages + 1)
    # Every move within the first and the last group adds one to this sum.
    progress = np.where(stage > 0, stage + waiting, done + waiting + shape.threads - inside)
    progress = np.where(idle, done, progress)
    return np.asarray(table[np.lexsort((inside, progress, order))])


def _waiting_readers(shape: Shape, table: Ints) -> Ints:
    if shape.gaps:
        return np.asarray(table[:, _QUEUE + 1 :].sum(axis=1))
    return table[:, _QUEUE + 1]


def _waiting_callers(shape: Shape, table: Ints) -> Ints:
    if shape.gaps:
        return table[:, _QUEUE]
    return np.asarray(table[:, _QUEUE] + table[:, _QUEUE + 2])


# Moves: each changes the rows in place and returns how many blocked readers it let in.


def _nobody(rows: Ints) -> Ints:
    return np.zeros(len(rows), dtype=np.int64)


def _fault(shape: Shape, rows: Ints) -> Ints:
    enters = (rows[:, _STAGE] == 0) & (_waiting_callers(shape, rows) == 0)
    rows[:, _INSIDE] += enters
    stays = np.flatnonzero(~enters)
    if shape.gaps:
        # The last gap: readers that own the lock are not in the queue, so theirs count from 0.
        gap = rows[stays, _QUEUE] - (rows[stays, _STAGE] == 0)
        rows[stays, _QUEUE + 1 + gap] += 1
    else:
        rows[stays, _QUEUE + 1] += 1
    return _nobody(rows)


def _call(shape: Shape, rows: Ints) -> Ints:
    free = (rows[:, :_QUEUE].sum(axis=1) == 0) & (_waiting_callers(shape, rows) == 0)
    rows[:, _STAGE] += free
    behind = np.asarray(rows[:, _QUEUE + 1] > 0) & (not shape.gaps)
    rows[:, _QUEUE] += ~free & ~behind
    rows[:, _QUEUE + 2] += ~free & behind
    return _nobody(rows)


def _next_caller(rows: Ints) -> None:
    """Let the first caller in where nobody holds the lock; the first who waits is a caller."""
    enters = (rows[:, :_QUEUE].sum(axis=1) == 0) & (rows[:, _QUEUE] > 0)
    rows[:, _STAGE] += enters
    rows[:, _QUEUE] -= enters


def _read_end(_shape: Shape, rows: Ints) -> Ints:
    rows[:, _INSIDE] -= 1
    _next_caller(rows)
    return _nobody(rows)


def _tail_end(shape: Shape, rows: Ints) -> Ints:
    last = rows[:, _TAIL] == shape.stages
    rows[:, _TAIL] = np.where(last, 0, rows[:, _TAIL] + 1)
    _next_caller(rows)
    return _nobody(rows)


def _stage_end(shape: Shape, rows: Ints) -> Ints:
    woken = _nobody(rows)
    last = np.flatnonzero(rows[:, _STAGE] == shape.stages)
    rows[:, _STAGE] += 1
    ended = rows[last]
    ended[:, _STAGE], ended[:, _TAIL] = 0, int(shape.tail)
    if shape.gaps:
        # Readers ahead of the first waiting caller enter; none where that caller is the head.
        ended[:, _INSIDE] = ended[:, _QUEUE + 1]
        ended[:, _QUEUE + 1 : -1] = ended[:, _QUEUE + 2 :]
        ended[:, -1] = 0
    else:
        head = ended[:, _QUEUE] == 0
        ended[:, _INSIDE] = np.where(head, ended[:, _QUEUE + 1], 0)
        # The queue is left with the callers that stood behind the first reader.
        ended[:, _QUEUE] = np.where(head, ended[:, _QUEUE + 2], ended[:, _QUEUE])
        ended[head, _QUEUE + 1 :] = 0
    woken[last] = ended[:, _INSIDE]
    _next_caller(ended)
    rows[last] = ended
    return woken
