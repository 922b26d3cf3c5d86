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

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfmodel.rwlock.markov_layout import Layout, layout
from perfmodel.rwlock.markov_states import MOVES, Structure

__all__ = ["SteadyState", "steady_state"]

Floats = NDArray[np.float64]

#: Up to so many states in which an exclusive part can start, P is formed and solved directly; up to
#: the second number where GMRES leaves small flows out of balance.
_FEW, _SOME = 32, 2_000

#: Up to so many unknowns the matrix is kept with its zeros: the library for sparse ones takes longer to
#: be called than to solve. Up to so many states in which an exclusive part can start, P is formed where
#: GMRES would be asked, if these times the unknowns are few enough. OpenBLAS wakes threads for vectors
#: of 96 or more, which would cost more than all the rest.
_SMALL, _FORMED, _FORMED_SIZE = 90, 90, 65_536

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
        """Return how often the chosen moves happen, per ns; `which` is whatever indexes them."""
        return float(self.flow[which].sum())


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
    count = len(cycle.layout.entered)
    direct = count <= _FEW
    if direct:
        y = cycle.starts_directly()
    else:
        formed = count <= _FORMED and count * cycle.layout.unknowns <= _FORMED_SIZE
        y = cycle.starts_formed() if formed else cycle.starts_iterated()
    found = _at_speed(chain, rate, cycle.times(y), cpus)
    if not direct and not found.residual < _BALANCED and count <= _SOME:
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
    running = times / times.sum()
    flow = running[chain.source] * rate
    probability = running
    if cpus is not None:
        probability = running / np.minimum(1.0, cpus / chain.running)
        # What happens in a state at full speed, over the longer time that all of them take.
        flow /= probability.sum()
        probability = probability / probability.sum()
    out = np.bincount(chain.source, flow, chain.states)
    imbalance = np.bincount(chain.target, flow, chain.states) - out
    come, call, left = (float(flow[chain.moves[k]].sum()) for k in ("fault", "call", "read end"))
    residual = [
        float(np.abs(imbalance).max() / out.max()),
        abs(float(flow[chain.starts].sum()) / call - 1.0) if call > 0 else np.inf,
    ]
    if chain.shape.threads:
        residual.append(abs(left / come - 1.0) if come > 0 else np.inf)
    return SteadyState(probability, flow, max(residual))


def _solver_of_few(where: Layout, rate: Floats, pivots: Floats) -> Callable[[Floats], Floats]:
    from scipy.linalg.blas import dtrsv

    whole = where.whole(rate, pivots)

    def solve(right: Floats) -> Floats:
        # One after the other: the routine for many at once wakes threads.
        if right.ndim == 1:
            return np.asarray(dtrsv(whole, right, lower=1))
        return np.array([dtrsv(whole, one, lower=1) for one in right.T]).T

    return solve


def _solver_of_many(where: Layout, rate: Floats, pivots: Floats) -> Callable[[Floats], Floats]:
    from scipy.sparse.linalg import splu

    factors = splu(
        where.matrix(rate, pivots), permc_spec="NATURAL", diag_pivot_thresh=0.0,
        options={"Equil": False, "SymmetricMode": True},
    )  # fmt: skip
    return lambda right: np.asarray(factors.solve(right))


@dataclass(frozen=True, eq=False)
class _Cycle:
    """What happens from the start of one exclusive part to the start of the next.

    Attributes
    ----------
    layout : Layout
        Where everything stands.
    solve : function of ndarray
        Solves the triangular system, one unknown for each state and one more for each open state.
    weight : ndarray of shape (starts,)
        Rates of the moves that start an exclusive part.
    """

    layout: Layout
    solve: Callable[[Floats], Floats]
    weight: Floats

    @classmethod
    def of(cls, chain: Structure, rate: Floats) -> _Cycle | None:
        """Factor the system; None where a pivot is too small to be a number."""
        laid_out = layout(chain)
        pivots = laid_out.pivots(rate)
        if not pivots.min() > _SMALLEST:
            return None
        solver = _solver_of_few if laid_out.unknowns <= _SMALL else _solver_of_many
        return cls(laid_out, solver(laid_out, rate, pivots), rate[laid_out.starts])

    def times(self, y: Floats) -> Floats:
        """Return the time spent in every state until the next start; `y` by columns may be many."""
        where = self.layout
        # By columns, as the libraries want them.
        inflow = np.zeros((where.unknowns, *y.shape[1:]), order="F")
        inflow[where.into[where.entered]] = y
        return np.asarray(self.solve(inflow)[where.at])

    def next_start(self, y: Floats) -> Floats:
        """Return yP: where the next exclusive part starts; by rows where `y` are columns."""
        where = self.layout
        flow = self.times(y)[where.source].T * self.weight
        return np.asarray(np.add.reduceat(flow, where.first, axis=-1), dtype=np.float64)

    def chances(self) -> Floats:
        """Return P, shape (starts, starts)."""
        count = len(self.layout.entered)
        return np.concatenate(
            [
                self.next_start(np.eye(count, min(_AT_ONCE, count - begin), -begin))
                for begin in range(0, count, _AT_ONCE)
            ]
        )

    def starts_formed(self) -> Floats:
        """Solve y = yP with P formed: exact to rounding of the largest part of y."""
        chance = self.chances()
        count = len(chance)
        # One equation follows from the others; in its place stands that the parts add up to one.
        system = np.eye(count) - chance.T
        system[-1] = 1.0
        solution = np.linalg.solve(system, np.eye(count)[-1])
        # A last application of P smooths what is left over.
        solution = np.maximum(solution, 0.0) @ chance
        return np.asarray(solution / solution.sum(), dtype=np.float64)

    def starts_iterated(self) -> Floats:
        """Solve y = yP by GMRES: exact to rounding of the largest part of y."""
        from scipy.sparse.linalg import LinearOperator, gmres

        count = len(self.layout.entered)
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
        chance = self.chances()
        count = len(chance)
        for last in range(count - 1, 0, -1):
            row, column = chance[last, :last], chance[:last, last]
            left = row.sum()
            if not left > 0:
                return np.full(count, np.nan)
            column /= left
            chance[:last, :last] += column[:, None] * row
        y = np.zeros(count)
        y[0] = 1.0
        # What is too rare for floating point comes out as no number, and is told.
        with np.errstate(over="ignore", invalid="ignore"):
            for i in range(1, count):
                y[i] = y[:i] @ chance[:i, i]
            return np.asarray(y / y.sum())
