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

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from perfmodel.rwlock.markov_moves import QUEUE
from perfmodel.rwlock.markov_states import Structure

__all__ = ["WaitLaw", "Waits", "wait_quantile"]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

# Abate and Whitt's constants: e^-A is the error of their grid; terms before and within the average.
_A, _TERMS, _AVERAGED = 18.4, 60, 14

# A quantile is found when Newton's step is this part of it: the next would be about its square.
_STEP = 1e-5

# A bracket as narrow as this holds nothing more to find.
_NARROW = 1e-12

# Rounds of the search; halving alone would need no more.
_ROUNDS = 200


def _summed() -> Floats:
    """Return the weight of each term in the average of the last partial sums."""
    share = np.array([math.comb(_AVERAGED, i) for i in range(_AVERAGED + 1)]) / 2.0**_AVERAGED
    # A term is in the partial sums from its own on.
    weight = np.ones(_TERMS + _AVERAGED + 1)
    weight[_TERMS:] = share[::-1].cumsum()[::-1]
    weight[1::2] *= -1.0
    weight[0] = 0.5
    return np.asarray(weight, dtype=np.float64)


# Arguments times the wait, and the weights of the transform there.
_GRID = (_A + 2j * np.pi * np.arange(_TERMS + _AVERAGED + 1)) / 2.0
_SUMMED = _summed()

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

    @cached_property
    def mean(self) -> float:
        """Mean wait, ns, from the slope of the transform."""
        at = np.array([1j * self._step], dtype=np.complex128)
        return self._mean_from(self.transform(at)[0])

    @property
    def _step(self) -> float:
        # Complex step: exact to rounding, unlike a difference.
        return 1e-40 * self.rate

    def _mean_from(self, value: complex) -> float:
        return float(-value.imag / self._step)

    def beyond(self, wait: Floats) -> Floats:
        """Return the probability that a wait is longer.

        Parameters
        ----------
        wait : ndarray, ns
            More than 0.
        """
        return self.tail_and_density(wait)[0]

    def tail_and_density(self, wait: Floats) -> tuple[Floats, Floats]:
        """Return the probability that a wait is longer, and its density per ns, from one transform.

        Parameters
        ----------
        wait : ndarray, ns
            More than 0.
        """
        t = np.asarray(wait, dtype=float)
        s = np.asarray(_GRID / t[..., None], dtype=np.complex128)
        if "mean" in self.__dict__:
            density = self.transform(s.ravel()).reshape(s.shape)
        else:
            # The mean on the way: one more point costs next to nothing.
            values = self.transform(np.append(s, 1j * self._step))
            density = values[:-1].reshape(s.shape)
            self.__dict__["mean"] = self._mean_from(values[-1])
        scale = np.exp(_A / 2.0) / t
        longer = ((1.0 - density) / s).real @ _SUMMED
        return np.asarray(scale * longer), np.asarray(scale * (density.real @ _SUMMED))


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
        blocked : ndarray, per ns
            How often each of the chain's blocking moves happens.
        rates : mapping of str to float, per ns
            The chain's rates.
        """
        n, k, m = chain.shape.threads, chain.shape.stages, chain.shape.callers
        weight = blocked / blocked.sum()
        state = chain.source[chain.blocking]
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
        k, m = (size - 1 for size in self.writing.shape)
        stage = self.exclusive / (self.exclusive + s)
        hold = stage**k
        between = hold * (self.tail / (self.tail + s)) ** k if self.tail > 0 else hold
        # By callers ahead: what is left of the present exclusive part, or the drain and one hold.
        present: Complexes = np.zeros((m + 1, len(s)), dtype=np.complex128)
        for at in range(1, k + 1):
            present = (present + self.writing[at, :, None]) * stage
        present[:-1] += hold * self._drained(s)[1:]
        # One more hold, and the tail before it, for every further caller ahead.
        total = present[m - 1]
        for ahead in range(m - 2, -1, -1):
            total = total * between + present[ahead]
        return np.asarray(total)

    def _drained(self, s: Complexes) -> Complexes:
        """Return the transforms of the drains, weighted and added up by callers ahead."""
        n, k = (size - 1 for size in self.draining.shape[:2])
        leave = self.read * np.arange(n + 1.0)[:, None]
        # From so many readers inside to none, by rows.
        ended = np.ones((n + 1, len(s)), dtype=np.complex128)
        np.cumprod(leave[1:] / (leave[1:] + s), axis=0, out=ended[1:])
        total = _weighted(self.draining[:, 0], ended)
        if self.tail > 0:
            both = 1.0 / (leave + self.tail + s)
            leaves, ends = leave * both, self.tail * both
            # From the last stage of the tail back: the stage after the last is no tail.
            for stage in range(k, 0, -1):
                ended = ends * ended
                before = ended[0]
                for here, leaving in zip(ended[1:], leaves[1:], strict=True):
                    here += leaving * before
                    before = here
                total += _weighted(self.draining[:, stage], ended)
        return total


def _weighted(weights: Floats, rows: Complexes) -> Complexes:
    """Return the sums of rows of complex numbers, one for every column of real weights."""
    return np.asarray((weights.T @ rows.view(np.float64)).view(np.complex128))


def wait_quantile(waits: WaitLaw, beyond: Floats, mean: float | None = None) -> Floats:
    """Return the waits that the given shares of the blocked faults exceed.

    Parameters
    ----------
    waits : WaitLaw
        The law.
    beyond : ndarray of shape (levels,)
        Shares, between 0 and 1.
    mean : float, optional
        Its mean, ns, where it is known already, to begin from.

    Returns
    -------
    ndarray of shape (levels,), ns
        As exact as the law; NaN for a share below 1e-6.

    Notes
    -----
    Newton's method on the logarithm of the share that waits longer, which is nearly straight, from
    where an exponential law would have it; where a step leaves the bracket, the bracket is halved.
    """
    found = np.full(len(beyond), np.nan)
    left = np.flatnonzero(beyond >= _SMALLEST)
    if len(left) == 0:
        return found
    mean = waits.mean if mean is None else mean
    share = np.asarray(beyond, dtype=float)[left]
    at = -mean * np.log(share)
    # Plain numbers from here: three levels are too few for arrays.
    searches = [
        _Search(int(place), float(beyond[place]), mean, float(wait))
        for place, wait in zip(left, at, strict=True)
    ]
    for _ in range(_ROUNDS):
        known = waits.tail_and_density(np.array([s.at for s in searches]))
        searches = [
            s for s, longer, density in zip(searches, *(x.tolist() for x in known), strict=True)
            if not s.stepped(longer, density, found)
        ]  # fmt: skip
        if not searches:
            break
    return found


@dataclass
class _Search:
    """One level: its place and share, the mean wait, where the search is, and the bracket, ns."""

    place: int
    share: float
    mean: float
    at: float
    low: float = 0.0
    high: float = math.inf

    def stepped(self, longer: float, density: float, found: Floats) -> bool:
        """Go on to where the tail and its density here lead; tell whether that is the quantile."""
        at, far = self.at, max(2.0 * self.at, self.mean)
        if longer > self.share:
            self.low = at
        else:
            self.high = at
        # Far out the law has no digits left: no step then, and half the bracket.
        step = math.nan
        if longer > 0.0 and density != 0.0:
            step = math.log(longer / self.share) * longer / density
        there = at + step
        inside = self.low < there < min(self.high, far)
        middle = 0.5 * (self.low + self.high) if self.high < math.inf else far
        self.at = found[self.place] = there if inside else middle
        done = inside and abs(step) <= _STEP * at
        return done or self.high - self.low <= _NARROW * at
