"""The model of the fit: all points from one set of constants, evaluated in a few array operations.

Every point is linear in the costs, once the sizes are given at which a cost turns colder. `Design`
takes that form from the equations and gives the fit exact derivatives at the price of a product.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.equations.equation import Equation
from perfmodel.equations.hold import PIECES
from perfmodel.equations.measured import DIRECT
from perfmodel.fit.points import Point
from perfmodel.hold import SKIPPED, facts, pieces, shares
from perfmodel.machine import CONSTANTS
from perfmodel.quantities import STATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["NUISANCE", "Design", "PointModel", "tracer_term"]

#: What the tracer adds to a traced hold, by phase: fitted with the rest, kept out of the profile.
NUISANCE = {"exclusive": "tracer_exclusive", "shared": "tracer_shared"}


def tracer_term(phase: str, tracer: str) -> str:
    """Return the name of what a tracer adds to a hold: perf and bpftrace have terms of their own."""
    return NUISANCE[phase] + ("" if tracer in ("", "kernel") else f"_{tracer}")


@dataclass(frozen=True)
class _CallBlock:
    """Points of one operation: rows of the point list, facts by name, weights by piece."""

    operation: str
    rows: NDArray[np.intp]
    given: Mapping[str, NDArray[np.float64]]
    unchanged: NDArray[np.bool_]
    weights: Mapping[str, NDArray[np.float64]]


class PointModel:
    """Predicts every point from the constants.

    Parameters
    ----------
    points : sequence of Point
        The points, in the order of the result.
    """

    def __init__(self, points: Sequence[Point]) -> None:
        self.points = tuple(points)
        self._calls = tuple(self._call_blocks())
        self._direct = tuple(self._direct_blocks())
        terms = [tracer_term(p.phase, p.tracer) if p.traced else "" for p in self.points]
        self._tracer = {
            name: np.array([term == name for term in terms])
            for name in dict.fromkeys([*NUISANCE.values(), *filter(None, terms)])
        }

    @property
    def tracer_terms(self) -> tuple[str, ...]:
        """Names of what tracers add to the points."""
        return tuple(self._tracer)

    def _call_blocks(self) -> list[_CallBlock]:
        by_operation: dict[str, list[int]] = defaultdict(list)
        for row, point in enumerate(self.points):
            if point.call is not None:
                by_operation[point.call.operation].append(row)
        blocks = []
        for operation, rows in by_operation.items():
            given: dict[str, list[float]] = defaultdict(list)
            weights: dict[str, list[float]] = {piece: [] for piece in PIECES[operation]}
            unchanged = []
            for row in rows:
                point = self.points[row]
                call = point.call
                assert call is not None
                for name, value in facts(
                    point.kernel, call, point.policy, point.remote_cpus
                ).items():
                    given[name].append(value)
                unchanged.append(operation == "mprotect" and call.transition == "same-flags")
                split = shares(point.kernel, operation, point.policy, call.vmas)
                for piece, (exclusive, shared) in split.items():
                    weights[piece].append(
                        {"latency": 1.0, "exclusive": exclusive, "shared": shared}[point.phase]
                    )
            blocks.append(
                _CallBlock(
                    operation,
                    np.array(rows),
                    {k: np.array(v, dtype=float) for k, v in given.items()},
                    np.array(unchanged),
                    {k: np.array(v) for k, v in weights.items()},
                )
            )
        return blocks

    def _direct_blocks(self) -> list[tuple[str, NDArray[np.intp], dict[str, NDArray[np.float64]]]]:
        by_phase: dict[str, list[int]] = defaultdict(list)
        for row, point in enumerate(self.points):
            if point.call is None:
                by_phase[point.phase].append(row)
        blocks = []
        for phase, rows in by_phase.items():
            needed = [n for n in DIRECT[phase].names if n not in CONSTANTS]
            given = {
                name: np.array([float(self.points[r].conditions[name]) for r in rows])
                for name in needed
            }
            blocks.append((phase, np.array(rows), given))
        return blocks

    def predict(self, constants: Mapping[str, float]) -> NDArray[np.float64]:
        """Return the model's value of every point.

        Parameters
        ----------
        constants : mapping of str to float
            Every constant a point depends on, ns; the tracer's nuisance terms default to 0.

        Returns
        -------
        ndarray of shape (points,), ns
        """
        out = np.zeros(len(self.points))
        for block in self._calls:
            lasting = pieces(block.operation, constants, block.given, unchanged=block.unchanged)
            total = np.zeros(len(block.rows))
            for name, value in lasting.items():
                weight = block.weights[name]
                # A piece that does not count must not bring the NaN of an unknown constant in.
                total += np.where(weight > 0, weight * value, 0.0)
            out[block.rows] = total
        for phase, rows, given in self._direct:
            equation = DIRECT[phase]
            known = {**given, **{n: constants[n] for n in equation.names if n not in given}}
            out[rows] = equation(**known)
        for name, applies in self._tracer.items():
            out = out + np.where(applies, constants.get(name, 0.0), 0.0)
        return out

    def sensitive(self) -> dict[str, int]:
        """Count, for every constant and nuisance term, the points that depend on it."""
        base = dict.fromkeys(CONSTANTS, 1.0) | dict.fromkeys(STATE, 1024.0)
        base |= dict.fromkeys(self.tracer_terms, 0.0)
        reference = self.predict(base)
        counts = {}
        for name in base:
            moved = self.predict({**base, name: base[name] * 2 if base[name] else 1.0})
            counts[name] = int(np.sum(np.abs(moved - reference) > 1e-12 * np.abs(reference)))
        return counts

    def design(self) -> Design:
        """Return the points as products of a matrix and the costs."""
        costs = (*(n for n in CONSTANTS if n not in STATE), *self.tracer_terms)
        varying = []
        for block in self._calls:
            for piece, equation in PIECES[block.operation].items():
                sizes = [n for n in equation.names if n in STATE]
                for cost in equation.names if sizes else ():
                    if cost not in costs:
                        continue
                    slope = equation.derivative(cost)
                    moving = {s.name for s in slope.expression.free_symbols}.intersection(sizes)
                    if not moving:
                        continue
                    skipped = block.unchanged & (piece in SKIPPED)
                    weight = np.where(skipped, 0.0, block.weights[piece])
                    varying.append(
                        _Varying(block.rows, costs.index(cost), slope, frozenset(moving),
                                 block.given, weight)
                    )  # fmt: skip
        reference = dict.fromkeys(STATE, 1024.0)
        zero = dict.fromkeys(costs, 0.0) | reference
        fixed = np.column_stack([self.predict({**zero, cost: 1.0}) for cost in costs])
        for part in varying:
            fixed[part.rows, part.column] -= part.entries(reference)
        return Design(costs, tuple(STATE), fixed, _merged(varying))


@dataclass(frozen=True)
class _Varying:
    """Entries of one column that depend on a size: rows, column, and the slope of the points there."""

    rows: NDArray[np.intp]
    column: int
    slope: Equation
    sizes: frozenset[str]
    given: Mapping[str, NDArray[np.float64]]
    weight: NDArray[np.float64]

    def _known(self, sizes: Mapping[str, Any]) -> dict[str, Any]:
        # The slope takes all arguments of its piece, other costs too, on which it does not depend.
        known = {**self.given, **sizes}
        return {name: known.get(name, 0.0) for name in self.slope.names}

    def entries(self, sizes: Mapping[str, Any]) -> NDArray[np.float64]:
        """Return the entries at given sizes; a column of sizes gives a row for each."""
        return np.asarray(self.weight * self.slope.unchecked(self._known(sizes)))

    def change(self, sizes: Mapping[str, float], size: str) -> NDArray[np.float64] | None:
        """Return how the entries change with a size; None where they do not depend on it."""
        if size not in self.sizes:
            return None
        return np.asarray(self.weight * self.slope.derivative(size).unchecked(self._known(sizes)))


def _merged(parts: list[_Varying]) -> tuple[_Varying, ...]:
    """Join the parts of operations that share an equation: each is evaluated once a step."""
    by: dict[tuple[str, int], list[_Varying]] = defaultdict(list)
    for part in parts:
        by[part.slope.name, part.column].append(part)
    return tuple(
        _Varying(
            np.concatenate([p.rows for p in some]),
            some[0].column,
            some[0].slope,
            some[0].sizes,
            {n: np.concatenate([p.given[n] for p in some]) for n in some[0].given},
            np.concatenate([p.weight for p in some]),
        )
        for some in by.values()
    )


@dataclass(frozen=True)
class Design:
    """The points as a matrix times the costs; a few entries depend on the sizes.

    Parameters
    ----------
    costs : tuple of str
        Names of the columns.
    sizes : tuple of str
        Pages at which a cost turns colder.
    fixed : ndarray of shape (points, costs)
        What one ns of each cost adds to each point, without what depends on the sizes.
    varying : tuple
        The rest.
    """

    costs: tuple[str, ...]
    sizes: tuple[str, ...]
    fixed: NDArray[np.float64]
    varying: tuple[_Varying, ...]

    def matrix(self, sizes: Mapping[str, float]) -> NDArray[np.float64]:
        """Return the whole matrix at given sizes, shape (points, costs)."""
        out = self.fixed.copy()
        for part in self.varying:
            out[part.rows, part.column] += part.entries(sizes)
        return out

    def size_slope(
        self, costs: NDArray[np.float64], sizes: Mapping[str, float], size: str
    ) -> NDArray[np.float64]:
        """Return how the points change with one page more of a size, shape (points,), ns."""
        out = np.zeros(len(self.fixed))
        for part in self.varying:
            change = part.change(sizes, size)
            if change is not None:
                out[part.rows] += change * costs[part.column]
        return out

    def batch(
        self, costs: NDArray[np.float64], sizes: Mapping[str, NDArray[np.float64]]
    ) -> NDArray[np.float64]:
        """Return all points for many sets of constants at once.

        Parameters
        ----------
        costs : ndarray of shape (sets, costs), ns
        sizes : mapping of str to ndarray of shape (sets,)

        Returns
        -------
        ndarray of shape (sets, points), ns
        """
        # Not by BLAS: its threads wait for each other on a busy machine, hundreds of times as long.
        out: NDArray[np.float64] = np.einsum("sc,pc->sp", costs, self.fixed)
        columns = {name: value[:, None] for name, value in sizes.items()}
        for part in self.varying:
            out[:, part.rows] += part.entries(columns) * costs[:, part.column, None]
        return out
