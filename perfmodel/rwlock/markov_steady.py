r"""The steady state of a chain whose moves have an order, found without a single subtraction.

Write the balance equations as :math:`\pi (U + R) = 0`, where *R* holds the moves that start an
exclusive part and *U* all others. With :math:`y = \pi R`, the rate of starts by state,
:math:`y = y P` with :math:`P = -U^{-1} R`: a stochastic matrix over the few states in which an
exclusive part can start, applied by one substitution and never formed unless it is small. GMRES
solves it, and :math:`\pi = -y U^{-1}`.

*U* is triangular but for the blocks of open states (:mod:`perfmodel.rwlock.markov_states`), in which
readers come and go: there it is tridiagonal. Each block is factored into two bidiagonal matrices, and
the value between the two is kept as an unknown of its own: then the whole system is triangular and
solved without any fill. A pivot is what leaves the block's states so far, by a sum and not by a
difference, so that every probability has nearly all its digits, however rare the state is. That
matters where readers keep callers out or callers readers: what enters then is a tiny flow beside a
large one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfmodel.rwlock.markov_states import MOVES, Structure

__all__ = ["SteadyState", "steady_state"]

Floats = NDArray[np.float64]

#: Up to so many states in which an exclusive part can start, P is formed and solved directly; up to
#: the second number where GMRES leaves small flows out of balance.
_FEW, _SOME = 32, 2_000

#: How far small flows may be out of balance before the direct solution is asked.
_BALANCED = 1e-12

#: Right-hand sides solved at once: a compromise of memory.
_AT_ONCE = 64

#: A pivot below this, in units of the largest rate, is no number to divide by.
_SMALLEST = 1e-200


@dataclass(frozen=True, eq=False)
class SteadyState:
    """Steady state of a chain of *s* states and *e* moves.

    Attributes
    ----------
    probability : ndarray of shape (s,)
        Share of the time in each state.
    flow : ndarray of shape (e,), per ns
        How often each move happens.
    residual : float
        The largest of three: imbalance of a state (what enters less what leaves) over the largest
        flow through one; faults that come less reads that end over faults that come; and calls that
        come less exclusive parts that start over calls that come.
    """

    probability: Floats
    flow: Floats
    residual: float

    def rate(self, which: Any) -> float:
        """Return how often the chosen moves happen, per ns; `which` is a mask or weights."""
        return float(self.flow @ which)


def steady_state(
    chain: Structure, rates: Mapping[str, float], cpus: int | None = None
) -> SteadyState:
    """Solve a chain.

    Parameters
    ----------
    chain : Structure
        States and moves.
    rates : mapping of str to float, per ns
        Rate of each of `MOVES` for one thread; for the stages, of one stage.
    cpus : int, optional
        CPUs that the threads which are not blocked share; None: one for each.

    Returns
    -------
    SteadyState
        Probabilities, flows and the residual. All are NaN where somebody is let in so seldom that
        floating point has no number for it (less than once in 1e200 of the shortest times).
    """
    base = np.array([rates[name] for name in MOVES])
    # Rates differ by orders of magnitude; in units of the largest the numbers stay near one.
    unit = float(base.max())
    rate = chain.threads * (base / unit)[chain.kind]
    cycle = _Cycle.of(chain, rate)
    if cycle is None:
        return _unknown(chain)
    direct = len(cycle.entered) <= _FEW
    y = cycle.starts_directly() if direct else cycle.starts_iterated()
    found = _at_speed(chain, rate, cycle.times(y), cpus)
    if not direct and not found.residual < _BALANCED and len(cycle.entered) <= _SOME:
        found = _at_speed(chain, rate, cycle.times(cycle.starts_directly()), cpus)
    return SteadyState(found.probability, found.flow * unit, found.residual)


def _unknown(chain: Structure) -> SteadyState:
    return SteadyState(
        np.full(chain.states, np.nan), np.full(len(chain.source), np.nan), float("nan")
    )


def _at_speed(chain: Structure, rate: Floats, times: Floats, cpus: int | None) -> SteadyState:
    """Return the steady state from the times in every state, with the CPUs that there are."""
    if not np.all(np.isfinite(times)):
        return _unknown(chain)
    probability = times / times.sum()
    speed = np.ones(chain.states) if cpus is None else np.minimum(1.0, cpus / chain.running)
    probability = probability / speed
    probability /= probability.sum()
    flow = probability[chain.source] * speed[chain.source] * rate
    out = np.bincount(chain.source, flow, chain.states)
    imbalance = np.bincount(chain.target, flow, chain.states) - out
    come, call, left = (
        float(flow[chain.kind == MOVES.index(name)].sum()) for name in ("fault", "call", "read end")
    )
    residual = [
        float(np.abs(imbalance).max() / out.max()),
        abs(float(flow[chain.starts].sum()) / call - 1.0) if call > 0 else np.inf,
    ]
    if chain.shape.threads:
        residual.append(abs(left / come - 1.0) if come > 0 else np.inf)
    return SteadyState(probability, flow, max(residual))


@dataclass(frozen=True, eq=False)
class _Cycle:
    """What happens from the start of one exclusive part to the start of the next.

    Attributes
    ----------
    states : int
    factors : SuperLU
        Of the triangular system, one unknown for each state and one more for each open state.
    into, at : ndarray of shape (states,)
        Row of a state's inflow, and the unknown that is the time in the state.
    entered : ndarray of shape (starts,)
        States in which an exclusive part can start.
    source, column, weight : ndarray
        Moves that start one: from which state, to which of `entered`, at what rate.
    """

    states: int
    factors: Any
    into: NDArray[np.int64]
    at: NDArray[np.int64]
    entered: NDArray[np.int64]
    source: NDArray[np.int64]
    column: NDArray[np.int64]
    weight: Floats

    @classmethod
    def of(cls, chain: Structure, rate: Floats) -> _Cycle | None:
        """Factor the system; None where a pivot is too small to be a number."""
        from scipy.sparse import csc_array
        from scipy.sparse.linalg import splu

        size, block = chain.states, chain.block
        source, target = chain.source, chain.target
        opened = np.flatnonzero(block >= 0)
        within = ~chain.starts & (block[source] >= 0) & (block[source] == block[target])
        crosses = ~chain.starts & ~within
        rises = within & (target > source)
        up = np.bincount(source[rises], rate[rises], size)
        down = np.bincount(source[within & ~rises], rate[within & ~rises], size)
        pivot = np.bincount(source[~within], rate[~within], size)
        first = opened[np.diff(block[opened], prepend=-1) > 0]
        length = np.diff(np.append(first, opened[-1] + 1))
        pivots = _pivots(first, length, *(np.asarray(x, dtype=float) for x in (up, down, pivot)))
        if not pivots.min() > _SMALLEST:
            return None
        # An open state has two unknowns. Those of a block: inflows with what readers that come
        # carry on, upwards, then times, with what readers that leave bring back, downwards.
        into = np.arange(size)
        into[opened[-1] + 1 :] += len(opened)
        at = into.copy()
        begin = np.repeat(first, length)
        into[opened] += begin - opened[0]
        at[opened] = into[begin] + 2 * np.repeat(length, length) - 1 - (opened - begin)
        rising, falling = np.flatnonzero(up), np.flatnonzero(down)
        diagonal = np.ones(size + len(opened))
        diagonal[at] = pivots
        unknown = np.arange(len(diagonal))
        triangle = csc_array(
            (
                np.concatenate(
                    (diagonal, -rate[crosses], -up[rising] / pivots[rising], -down[falling],
                     np.full(len(opened), -1.0))
                ),
                (
                    np.concatenate(
                        (unknown, into[target[crosses]], into[rising + 1], at[falling - 1],
                         at[opened])
                    ),
                    np.concatenate(
                        (unknown, at[source[crosses]], into[rising], at[falling], into[opened])
                    ),
                ),
            ),
            shape=(len(diagonal), len(diagonal)),
        )  # fmt: skip
        factors = splu(
            triangle, permc_spec="NATURAL", diag_pivot_thresh=0.0,
            options={"Equil": False, "SymmetricMode": True},
        )  # fmt: skip
        entered, column = np.unique(target[chain.starts], return_inverse=True)
        return cls(
            size, factors, into, at, entered, source[chain.starts], column, rate[chain.starts]
        )  # fmt: skip

    def times(self, y: Floats) -> Floats:
        """Return the time spent in every state until the next start; `y` by columns may be many."""
        inflow = np.zeros((len(self.into) + self._more, *y.shape[1:]))
        inflow[self.into[self.entered]] = y
        return np.asarray(self.factors.solve(inflow)[self.at])

    @property
    def _more(self) -> int:
        return int(self.factors.shape[0]) - self.states

    def next_start(self, y: Floats) -> Floats:
        """Return yP: where the next exclusive part starts."""
        flow = self.times(y)[self.source] * self.weight
        return np.asarray(np.bincount(self.column, flow, len(self.entered)), dtype=np.float64)

    def starts_iterated(self) -> Floats:
        """Solve y = yP by GMRES: exact to rounding of the largest part of y."""
        from scipy.sparse.linalg import LinearOperator, gmres

        count = len(self.entered)
        start: Floats = np.full(count, 1.0 / count)
        for _ in range(3):
            start = self.next_start(start)
            start = start / start.sum()
        # y = yP leaves the scale free; adding (sum of y) times any distribution fixes it at one.
        system = LinearOperator(
            (count, count), matvec=lambda y: y - self.next_start(y) + start * y.sum(),
            dtype=np.float64,
        )  # fmt: skip
        solution, _ = gmres(system, start, x0=start, rtol=1e-14, atol=0.0, restart=60, maxiter=4)
        # A last application of P smooths what GMRES leaves over.
        solution = self.next_start(np.maximum(solution, 0.0))
        return np.asarray(solution / solution.sum(), dtype=np.float64)

    def starts_directly(self) -> Floats:
        """Solve y = yP by elimination, exact to rounding of every part of y.

        Elimination by the sums of what is left (Grassmann, Taksar and Heyman, Operations Research
        33, 1985) subtracts nothing.
        """
        from scipy.sparse import csr_array

        count, moves = len(self.entered), len(self.source)
        ends = csr_array(
            (self.weight, (self.column, np.arange(moves))), shape=(count, moves)
        )  # fmt: skip
        chance = np.empty((count, count))
        for begin in range(0, count, _AT_ONCE):
            some = np.arange(begin, min(begin + _AT_ONCE, count))
            unit = np.zeros((count, len(some)))
            unit[some, some - begin] = 1.0
            chance[some] = (ends @ self.times(unit)[self.source]).T
        for last in range(count - 1, 0, -1):
            left = chance[last, :last].sum()
            if not left > 0:
                return np.full(count, np.nan)
            chance[:last, last] /= left
            chance[:last, :last] += np.outer(chance[:last, last], chance[last, :last])
        y = np.zeros(count)
        y[0] = 1.0
        for i in range(1, count):
            y[i] = y[:i] @ chance[:i, i]
        return np.asarray(y / y.sum())


def _pivots(
    first: NDArray[np.int64], length: NDArray[np.int64], up: Floats, down: Floats, leaving: Floats
) -> Floats:
    """Eliminate upwards within every block; all blocks at once, one reader at a time.

    A reader that leaves comes back up, or leaves the block from further down: the latter's share of
    its rate adds to what leaves here.
    """
    pivot = leaving + up
    leaves = leaving.copy()
    for step in range(1, int(length.max())):
        here = first[length > step] + step
        leaves[here] += down[here] * leaves[here - 1] / pivot[here - 1]
        pivot[here] = leaves[here] + up[here]
    return pivot
