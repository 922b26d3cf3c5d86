r"""How long a blocked fault waits where callers go first, as a law and not only a mean.

Under writer preference a blocked fault is let in at the end of the first exclusive part at which no
caller waits; callers that come later overtake it. Other faults make no difference: while one is
blocked, a caller writes or waits, so no reader enters, and those inside only leave. What must be
followed is the present hold, the readers inside during the first drain, and the callers that wait
while others still think. Calls come as an exponential stream from each of the latter.

Given the transforms from the start of an exclusive part, by the number of callers left waiting,
every other one follows by a short recursion; they themselves are solutions of a linear system of as
many equations as there are callers, one system for each argument.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from perfmodel.rwlock.markov_states import Structure
from perfmodel.rwlock.markov_wait import WaitLaw

__all__ = ["OvertakenWaits"]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class OvertakenWaits(WaitLaw):
    """The states in which faults are blocked.

    Attributes
    ----------
    draining : ndarray of shape (readers + 1, stages + 1, callers + 1)
        Share of the blocked faults that find so many readers inside, this stage of the tail (0:
        none), and so many callers that wait.
    writing : ndarray of shape (stages + 1, callers)
        The same for those that find this stage of an exclusive part.
    read, call, exclusive, tail : float, per ns
        Rates of a reader inside, of a caller that thinks, and of one stage; `tail` is 0 where there
        is none.
    """

    draining: Floats
    writing: Floats
    read: float
    call: float
    exclusive: float
    tail: float

    @classmethod
    def of(cls, chain: Structure, blocked: Floats, rates: Mapping[str, float]) -> Self:
        """Gather the states of the moves that block a fault.

        Parameters
        ----------
        chain : Structure
            A chain under writer preference.
        blocked : ndarray, per ns
            How often each of the chain's blocking moves happens.
        rates : mapping of str to float, per ns
            The chain's rates.
        """
        n, k, m = chain.shape.threads, chain.shape.stages, chain.shape.callers
        weight = blocked / blocked.sum()
        state = chain.source[chain.blocking]
        inside, tail, stage = chain.inside[state], chain.tail[state], chain.stage[state]
        waiting = chain.waiting_callers[state]
        draining, writing = np.zeros((n + 1, k + 1, m + 1)), np.zeros((k + 1, m))
        reads = stage == 0
        np.add.at(draining, (inside[reads], tail[reads], waiting[reads]), weight[reads])
        np.add.at(writing, (stage[~reads], waiting[~reads]), weight[~reads])
        return cls(
            draining, writing, rates["read end"], rates["call"], rates["exclusive stage"],
            rates["tail stage"],
        )  # fmt: skip

    @property
    def rate(self) -> float:
        """Rate of one stage of the exclusive part, per ns."""
        return self.exclusive

    def transform(self, s: Complexes) -> Complexes:
        """Return the mean of exp(-s wait) of a blocked fault.

        Parameters
        ----------
        s : ndarray of complex, shape (points,), per ns
            Arguments with a real part of at least 0.
        """
        callers = self.writing.shape[1]
        # As functions of those from the start of an exclusive part: a column for each, and one
        # for the constant.
        names = np.eye(callers + 1, dtype=np.complex128)
        columns = np.broadcast_to(names[:, None, :], (callers + 1, len(s), callers + 1))
        first = np.asarray(
            self._writing(columns[:-1], columns[-1], s[:, None])[1], dtype=np.complex128
        )
        system = np.moveaxis(first, 0, 1)
        solved = np.linalg.solve(np.eye(callers) - system[..., :-1], system[..., -1:])
        start = np.asarray(np.moveaxis(solved[..., 0], 0, 1), dtype=np.complex128)
        # And as the numbers that they are.
        total = self._drained(start, s)
        for stage, found in enumerate(self._writing(start, np.ones_like(s), s)):
            total += _weighted(self.writing[stage], found)
        return total

    def _stage(self, flow: Complexes, leave: float, thinking: int, s: Complexes) -> Complexes:
        """Follow something that ends at a total rate of `leave`, unless a call comes before.

        Parameters
        ----------
        flow : ndarray of shape (waiting callers, ...)
            Transform after each end times its rate, added up.
        leave : float, per ns
        thinking : int
            Callers that think where none waits; each that waits is one less.
        s : ndarray of complex
            Broadcasts against a row of `flow`.
        """
        found = np.empty_like(flow)
        for waiting in range(len(flow) - 1, -1, -1):
            calls = (thinking - waiting) * self.call
            come = flow[waiting] if calls == 0 else flow[waiting] + calls * found[waiting + 1]
            found[waiting] = come / (leave + calls + s)
        return found

    def _writing(self, start: Complexes, woken: Complexes, s: Complexes) -> list[Complexes]:
        """Return the transforms from every stage of an exclusive part, by waiting callers.

        The first of the list are those after the last stage.

        Parameters
        ----------
        start : ndarray of shape (callers, ...)
            From the start of an exclusive part, by callers left waiting.
        woken : ndarray
            What follows if the fault is let in.
        s : ndarray of complex
        """
        stages, callers = self.writing.shape[0] - 1, len(start)
        # The next caller starts, and one less waits.
        after = np.concatenate((woken[None], start[:-1]))
        if self.tail > 0:
            for _ in range(stages):
                after = self._stage(self.tail * after, self.tail, callers - 1, s)
            after[0] = woken
        found = [after]
        for _ in range(stages):
            after = self._stage(self.exclusive * after, self.exclusive, callers - 1, s)
            found.insert(1, after)
        found[0] = np.zeros_like(after)  # no fault is blocked after the last stage
        return found

    def _drained(self, start: Complexes, s: Complexes) -> Complexes:
        """Return the part of the transform of the faults that find readers inside, or a tail."""
        _, stages, callers = (size - 1 for size in self.draining.shape)
        total = np.zeros_like(s)
        # Rows: callers that wait. One at least does, so the first rows mean nothing.
        free = np.concatenate((np.zeros((1, len(s)), dtype=np.complex128), start))
        tails = [np.zeros_like(start)] * (stages + 1)
        found_with = np.flatnonzero(self.draining.any(axis=(1, 2)))
        for inside in range(int(found_with.max(initial=-1)) + 1):
            leave = inside * self.read
            if inside:
                free = self._stage(leave * free, leave, callers, s)
            total += _weighted(self.draining[inside, 0], free)
            following = free[:-1]
            for stage in range(stages, 0, -1) if self.tail > 0 else ():
                flow = leave * tails[stage] + self.tail * following
                tails[stage] = following = self._stage(
                    flow, leave + self.tail, callers - 1, s
                )  # fmt: skip
                total += _weighted(self.draining[inside, stage, :-1], following)
        return total


def _weighted(weights: Floats, rows: Complexes) -> Complexes:
    """Add up a few long rows; a matrix product would wake threads for it."""
    return np.asarray((weights[:, None] * rows).sum(axis=0))
