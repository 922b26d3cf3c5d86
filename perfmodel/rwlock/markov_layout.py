"""Where the numbers of a chain's balance equations stand: all that does not depend on its rates.

The system is that of :mod:`perfmodel.rwlock.markov_steady`: one unknown for each state, one more for
each open state. It is laid out once for each structure; another draw of the machine, or the next
policy, only fills in its own rates.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from perfmodel.rwlock.markov_states import Structure

__all__ = ["Layout", "layout"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Layout:
    """Places in the triangular system of a chain.

    Attributes
    ----------
    crosses, outside : ndarray
        Moves that are not within a block of open states: without those that start an exclusive part,
        and with them.
    ups, downs : ndarray
        Moves within a block that add a reader, and that take one away: one of each at most a state.
    source_up, source_down, source_outside : ndarray
        States before those moves.
    climb : tuple of tuple of ndarray
        For every number of readers but the least, the open states with so many and those with one
        less: the order in which blocks are eliminated.
    into, at : ndarray of shape (states,)
        Row of a state's inflow, and the unknown that is the time in the state.
    places : csc_array of int
        The compressed matrix, and for each of its entries which of the numbers of a draw it is.
    cells : ndarray of int
        Where each of its entries stands in the whole matrix, by columns.
    opened : int
        Number of open states.
    entered : ndarray of shape (starts,)
        States in which an exclusive part can start.
    starts, source : ndarray
        Moves that start one, in the order of `entered`, and the states before them.
    first : ndarray of shape (starts,)
        Which of these moves is the first into each state of `entered`.
    """

    states: int
    crosses: Ints
    outside: Ints
    ups: Ints
    downs: Ints
    source_up: Ints
    source_down: Ints
    source_outside: Ints
    climb: tuple[tuple[Ints, Ints], ...]
    into: Ints
    at: Ints
    opened: int
    places: Any
    cells: Ints
    entered: Ints
    starts: Ints
    source: Ints
    first: Ints

    @property
    def unknowns(self) -> int:
        """Size of the system."""
        return self.states + self.opened

    def pivots(self, rate: Floats) -> Floats:
        """Eliminate upwards within every block; all blocks at once, one reader at a time.

        A reader that leaves comes back up, or leaves the block from further down: the latter's share
        of its rate adds to what leaves here.

        Parameters
        ----------
        rate : ndarray of shape (moves,)
        """
        up, down = np.zeros(self.states), np.zeros(self.states)
        up[self.source_up] = rate[self.ups]
        down[self.source_down] = rate[self.downs]
        leaves = np.asarray(
            np.bincount(self.source_outside, rate[self.outside], self.states), dtype=np.float64
        )
        pivot = leaves + up
        for here, below in self.climb:
            leaves[here] += down[here] * leaves[below] / pivot[below]
            pivot[here] = leaves[here] + up[here]
        return np.asarray(pivot, dtype=np.float64)

    def matrix(self, rate: Floats, pivots: Floats) -> Any:
        """Return the triangular system as a compressed matrix.

        Parameters
        ----------
        rate : ndarray of shape (moves,)
        pivots : ndarray of shape (states,)
            Those of :meth:`pivots`.
        """
        # A shallow copy: to check where the entries stand again would take longer than to solve.
        filled = copy(self.places)
        filled.data = self._entries(rate, pivots)
        return filled

    def whole(self, rate: Floats, pivots: Floats) -> Floats:
        """Return the triangular system with its zeros, shape (unknowns, unknowns), by columns.

        Parameters
        ----------
        rate, pivots : ndarray
            As :meth:`matrix`.
        """
        size = self.unknowns
        filled = np.zeros(size * size)
        filled[self.cells] = self._entries(rate, pivots)
        return filled.reshape(size, size).T

    def _entries(self, rate: Floats, pivots: Floats) -> Floats:
        """Return the entries in the order of the compressed matrix."""
        diagonal = np.ones(self.unknowns)
        diagonal[self.at] = pivots
        values = np.concatenate(
            (diagonal, -rate[self.crosses], -rate[self.ups] / pivots[self.source_up],
             -rate[self.downs], np.full(self.opened, -1.0))
        )  # fmt: skip
        return np.asarray(values[self.places.data])


def _laid_out(chain: Structure) -> Layout:
    from scipy.sparse import csc_array

    size, block = chain.states, chain.block
    source, target = chain.source, chain.target
    opened = np.flatnonzero(block >= 0)
    inside = ~chain.starts & (block[source] >= 0) & (block[source] == block[target])
    crosses = np.flatnonzero(~chain.starts & ~inside)
    ups = np.flatnonzero(inside & (target > source))
    downs = np.flatnonzero(inside & (target < source))
    first = opened[np.diff(block[opened], prepend=-1) > 0]
    length = np.diff(np.append(first, opened[-1] + 1))
    climb = []
    for step in range(1, int(length.max())):
        here = first[length > step] + step
        climb.append((here, here - 1))
    # An open state has two unknowns. Those of a block: inflows with what readers that come
    # carry on, upwards, then times, with what readers that leave bring back, downwards.
    into = np.arange(size)
    into[opened[-1] + 1 :] += len(opened)
    at = into.copy()
    begin = np.repeat(first, length)
    into[opened] += begin - opened[0]
    at[opened] = into[begin] + 2 * np.repeat(length, length) - 1 - (opened - begin)
    unknown = np.arange(size + len(opened))
    row = np.concatenate(
        (unknown, into[target[crosses]], into[target[ups]], at[target[downs]], at[opened])
    )
    column = np.concatenate(
        (unknown, at[source[crosses]], into[source[ups]], at[source[downs]], into[opened])
    )
    # Numbered from 1, and read back from where the library puts them: two moves between the same
    # states would be added up, and there are none.
    numbers = np.arange(1, len(row) + 1)
    places = csc_array((numbers, (row, column)), shape=(len(unknown),) * 2)
    assert places.nnz == len(row)
    assert places.has_canonical_format
    places.data -= 1
    columns = np.repeat(unknown, np.diff(places.indptr))
    assert np.all(places.indices >= columns)
    starts = np.flatnonzero(chain.starts)
    starts = starts[np.argsort(target[starts], kind="stable")]
    entered, begins = np.unique(target[starts], return_index=True)
    outside = np.flatnonzero(~inside)
    return Layout(
        states=size, crosses=crosses, outside=outside, ups=ups,
        downs=downs, source_up=source[ups], source_down=source[downs],
        source_outside=source[outside], climb=tuple(climb), into=into, at=at, opened=len(opened),
        places=places, cells=columns * len(unknown) + places.indices, entered=entered,
        starts=starts, source=source[starts], first=begins,
    )  # fmt: skip


_known: WeakKeyDictionary[Structure, Layout] = WeakKeyDictionary()


def layout(chain: Structure) -> Layout:
    """Return the layout of a chain, kept as long as the chain is.

    Parameters
    ----------
    chain : Structure
    """
    found = _known.get(chain)
    if found is None:
        found = _known[chain] = _laid_out(chain)
    return found
