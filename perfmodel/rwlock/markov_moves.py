"""What each move does to the rows of states; the rules of all disciplines stand here and only here.

Every move changes its rows in place and returns how many blocked readers it let in. The rules are
those of :mod:`perfmodel.rwlock.engine` without its corrections, and without the kernel's limit of
256 readers to a wake-up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from perfmodel.rwlock.markov_states import Shape

__all__ = ["INSIDE", "QUEUE", "RULES", "STAGE", "TAIL", "waiting_callers", "waiting_readers"]

Ints = NDArray[np.int64]

# Columns that all disciplines share. The queue follows: (ahead, readers, behind) for rwsem,
# (callers, readers of the first gap, of the second, ...) for fifo, (callers, readers) for the
# preferences.
STAGE, TAIL, INSIDE, QUEUE = 0, 1, 2, 3


def waiting_readers(shape: Shape, table: Ints) -> Ints:
    """Count the blocked readers of every row."""
    if shape.gaps:
        return np.asarray(table[:, QUEUE + 1 :].sum(axis=1))
    return table[:, QUEUE + 1]


def waiting_callers(shape: Shape, table: Ints) -> Ints:
    """Count the blocked callers of every row."""
    if shape.gaps or shape.preference:
        return table[:, QUEUE]
    return np.asarray(table[:, QUEUE] + table[:, QUEUE + 2])


def _nobody(rows: Ints) -> Ints:
    return np.zeros(len(rows), dtype=np.int64)


def _fault(shape: Shape, rows: Ints) -> Ints:
    enters = rows[:, STAGE] == 0
    if shape.discipline != "reader_preference":
        enters &= waiting_callers(shape, rows) == 0
    rows[:, INSIDE] += enters
    stays = np.flatnonzero(~enters)
    if shape.gaps:
        # The last gap: readers that own the lock are not in the queue, so theirs count from 0.
        gap = rows[stays, QUEUE] - (rows[stays, STAGE] == 0)
        rows[stays, QUEUE + 1 + gap] += 1
    else:
        rows[stays, QUEUE + 1] += 1
    return _nobody(rows)


def _call(shape: Shape, rows: Ints) -> Ints:
    free = (rows[:, :QUEUE].sum(axis=1) == 0) & (waiting_callers(shape, rows) == 0)
    rows[:, STAGE] += free
    if shape.gaps or shape.preference:
        rows[:, QUEUE] += ~free
    else:
        behind = rows[:, QUEUE + 1] > 0
        rows[:, QUEUE] += ~free & ~behind
        rows[:, QUEUE + 2] += ~free & behind
    return _nobody(rows)


def _next_caller(rows: Ints) -> None:
    """Let the next caller in where nobody holds the lock; no reader may be before it by then."""
    enters = (rows[:, :QUEUE].sum(axis=1) == 0) & (rows[:, QUEUE] > 0)
    rows[:, STAGE] += enters
    rows[:, QUEUE] -= enters


def _read_end(_shape: Shape, rows: Ints) -> Ints:
    rows[:, INSIDE] -= 1
    _next_caller(rows)
    return _nobody(rows)


def _tail_end(shape: Shape, rows: Ints) -> Ints:
    last = rows[:, TAIL] == shape.stages
    rows[:, TAIL] = np.where(last, 0, rows[:, TAIL] + 1)
    _next_caller(rows)
    return _nobody(rows)


def _stage_end(shape: Shape, rows: Ints) -> Ints:
    woken = _nobody(rows)
    last = np.flatnonzero(rows[:, STAGE] == shape.stages)
    rows[:, STAGE] += 1
    ended = rows[last]
    ended[:, STAGE], ended[:, TAIL] = 0, int(shape.tail)
    _wake_readers(shape, ended)
    woken[last] = ended[:, INSIDE]
    _next_caller(ended)
    rows[last] = ended
    return woken


def _wake_readers(shape: Shape, ended: Ints) -> None:
    """Let in the readers whose turn it is at the end of an exclusive part."""
    if shape.gaps:
        # Readers ahead of the first waiting caller enter; none where that caller is the head.
        ended[:, INSIDE] = ended[:, QUEUE + 1]
        ended[:, QUEUE + 1 : -1] = ended[:, QUEUE + 2 :]
        ended[:, -1] = 0
        return
    # All of them enter or none.
    enter = np.full(len(ended), True)
    if shape.discipline != "reader_preference":
        # The caller at the head, or any caller where callers are preferred, keeps them out. It
        # does so in the tail too, although the tail lets no caller in.
        enter = ended[:, QUEUE] == 0
    ended[:, INSIDE] = np.where(enter, ended[:, QUEUE + 1], 0)
    ended[enter, QUEUE + 1] = 0
    if not shape.preference:
        # The queue is left with the callers that stood behind the first reader.
        ended[enter, QUEUE] = ended[enter, QUEUE + 2]
        ended[enter, QUEUE + 2] = 0


#: What each kind of move does.
RULES = {
    "fault": _fault,
    "call": _call,
    "read end": _read_end,
    "exclusive stage": _stage_end,
    "tail stage": _tail_end,
}
