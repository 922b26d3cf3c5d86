r"""How long a blocked fault waits where nobody overtakes it, as a law and not only a mean.

Under the kernel's rule whoever comes later than a blocked fault stands behind it or beside it: its
wait is what is left of the present hold, then one hold for every caller ahead of the first blocked
reader. That is a sum of exponential stages after a drain, so its Laplace transform is a short
recursion; the chain's steady state says in which state the fault is blocked. Under reader preference
it waits for what is left of the present exclusive part alone: all readers go before any caller. (Where
callers go first see :mod:`perfmodel.rwlock.markov_overtaken`.)

The transform is inverted by Euler summation (Abate and Whitt, ORSA Journal on Computing 7, 1995),
whose error for such smooth laws is about 1e-8 in probability.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from perfmodel.rwlock.markov_moves import QUEUE
from perfmodel.rwlock.markov_states import Structure

__all__ = ["WaitLaw", "Waits", "wait_quantile"]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

# Abate and Whitt's constants: e^-A is the error of their grid; terms before and within the average.
_A, _TERMS, _AVERAGED = 18.4, 60, 14

# Points per round and rounds of the search for a quantile: it ends at 9^-8 of the first bracket.
_POINTS, _ROUNDS = 8, 8

# Shares of the blocked faults below this are too close to the error of the inversion.
_SMALLEST = 1e-6


class WaitLaw(ABC):
    """Law of a wait that is known by its Laplace transform."""

    @property
    @abstractmethod
    def rate(self) -> float:
        """A rate of the order of the inverse wait or above it, per ns."""

    @abstractmethod
    def transform(self, s: Complexes) -> Complexes:
        """Return the mean of exp(-s wait).

        Parameters
        ----------
        s : ndarray of complex, shape (points,), per ns
            Arguments with a real part of at least 0.
        """

    @property
    def mean(self) -> float:
        """Mean wait, ns, from the slope of the transform."""
        # Complex step: exact to rounding, unlike a difference.
        h = 1e-40 * self.rate
        at: Complexes = np.array([1j * h], dtype=np.complex128)
        return float(-self.transform(at).imag[0] / h)

    def beyond(self, wait: Floats) -> Floats:
        """Return the probability that a wait is longer.

        Parameters
        ----------
        wait : ndarray, ns
            More than 0.
        """
        t = np.asarray(wait, dtype=float)
        j = np.arange(_TERMS + _AVERAGED + 1)
        s = np.asarray((_A + 2j * np.pi * j) / (2.0 * t[..., None]), dtype=np.complex128)
        values = ((1.0 - self.transform(s.ravel()).reshape(s.shape)) / s).real
        terms = np.where(j == 0, 0.5, 1.0) * np.where(j % 2 == 0, 1.0, -1.0) * values
        sums = np.cumsum(terms, axis=-1)[..., _TERMS:]
        average = np.array([comb(_AVERAGED, i) for i in range(_AVERAGED + 1)]) / 2.0**_AVERAGED
        return np.asarray(np.exp(_A / 2.0) / t * (sums @ average))


@dataclass(frozen=True, eq=False)
class Waits(WaitLaw):
    """The states in which faults are blocked.

    Attributes
    ----------
    draining : ndarray of shape (readers + 1, stages + 1, callers + 1)
        Share of the blocked faults that find so many readers inside, this stage of the tail (0:
        none), and so many callers ahead of the first blocked reader.
    writing : ndarray of shape (stages + 1, callers + 1)
        The same for those that find this stage of an exclusive part.
    read, exclusive, tail : float, per ns
        Rates of a reader inside, and of one stage; `tail` is 0 where there is none.
    """

    draining: Floats
    writing: Floats
    read: float
    exclusive: float
    tail: float

    @classmethod
    def of(cls, chain: Structure, blocked: Floats, rates: Mapping[str, float]) -> Waits:
        """Gather the states of the moves that block a fault.

        Parameters
        ----------
        chain : Structure
            A chain that counts the callers ahead of the first blocked reader, or one in which no
            caller is.
        blocked : ndarray of shape (moves,), per ns
            How often each move blocks a fault.
        rates : mapping of str to float, per ns
            The chain's rates.
        """
        n, k, m = chain.shape.threads, chain.shape.stages, chain.shape.callers
        # Only moves that block count.
        move = np.flatnonzero(blocked)
        weight = blocked[move] / blocked[move].sum()
        state = chain.source[move]
        inside, tail, stage = chain.inside[state], chain.tail[state], chain.stage[state]
        preferred = chain.shape.discipline == "reader_preference"
        ahead = np.zeros_like(state) if preferred else chain.table[state, QUEUE]
        draining, writing = np.zeros((n + 1, k + 1, m + 1)), np.zeros((k + 1, m + 1))
        reads = stage == 0
        np.add.at(draining, (inside[reads], tail[reads], ahead[reads]), weight[reads])
        np.add.at(writing, (stage[~reads], ahead[~reads]), weight[~reads])
        return cls(
            draining, writing, rates["read end"], rates["exclusive stage"], rates["tail stage"]
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
        n, k, m = (size - 1 for size in self.draining.shape)
        one = np.ones_like(s)
        stage = self.exclusive / (self.exclusive + s)
        tail_stage = self.tail / (self.tail + s) if self.tail > 0 else one
        hold, tail = stage**k, tail_stage**k
        total = np.zeros_like(s)
        # Callers ahead: one hold each, and a tail after each but the last, which wakes the reader.
        after = [one] + [hold**a * tail ** (a - 1) for a in range(1, m + 1)]
        for at in range(1, k + 1):
            rest = stage ** (k - at + 1)
            for a in range(m):
                if self.writing[at, a] > 0:
                    total += self.writing[at, a] * rest * (hold * tail) ** a
        # drained[t]: from the present number of readers inside, and tail stage t, to none.
        drained = [one] + [tail_stage ** (k - t + 1) for t in range(1, k + 1)]
        for inside in range(n + 1):
            if inside:
                leave = inside * self.read
                drained[0] = drained[0] * (leave / (leave + s))
                # From the last stage back: the stage after the last is no tail.
                following = drained[0]
                for t in range(k, 0, -1) if self.tail > 0 else ():
                    denominator = leave + self.tail + s
                    following = (leave * drained[t] + self.tail * following) / denominator
                    drained[t] = following
            weights = self.draining[inside]
            for t in np.flatnonzero(weights.sum(axis=1)).tolist():
                # Many states share a tail stage: one product for all callers ahead.
                total += drained[t] * sum(weights[t, a] * after[a] for a in range(1, m + 1))
        return total


def wait_quantile(waits: WaitLaw, beyond: Floats) -> Floats:
    """Return the waits that the given shares of the blocked faults exceed.

    Parameters
    ----------
    waits : WaitLaw
        The law.
    beyond : ndarray of shape (levels,)
        Shares, between 0 and 1.

    Returns
    -------
    ndarray of shape (levels,), ns
        Found to about 1e-7 of the mean; NaN for a share below 1e-6.
    """
    if len(beyond) == 0:
        return np.zeros(0)
    low, high = np.zeros(len(beyond)), np.full(len(beyond), 2.0 * waits.mean)
    level = np.arange(len(beyond))
    while np.any(short := waits.beyond(high) > np.maximum(beyond, _SMALLEST)):
        low, high = np.where(short, high, low), np.where(short, 2.0 * high, high)
    inner = np.arange(1, _POINTS + 1) / (_POINTS + 1)
    for _ in range(_ROUNDS):
        grid = low[:, None] + (high - low)[:, None] * inner
        passed = (waits.beyond(grid) > beyond[:, None]).sum(axis=1)
        edges = np.column_stack((low, grid, high))
        low, high = edges[level, passed], edges[level, passed + 1]
    return np.asarray(np.where(beyond < _SMALLEST, np.nan, 0.5 * (low + high)))
