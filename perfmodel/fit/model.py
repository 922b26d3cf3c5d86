"""The model of the fit: all points from one set of constants, evaluated in a few array operations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from perfmodel.equations.hold import PIECES
from perfmodel.equations.measured import DIRECT
from perfmodel.fit.points import Point
from perfmodel.hold import facts, pieces, shares
from perfmodel.machine import CONSTANTS
from perfmodel.quantities import STATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["NUISANCE", "PointModel"]

#: What the tracer adds to a traced hold, by phase: fitted with the rest, kept out of the profile.
NUISANCE = {"exclusive": "tracer_exclusive", "shared": "tracer_shared"}


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
        self._tracer = {
            name: np.array([p.traced and p.phase == phase for p in self.points])
            for phase, name in NUISANCE.items()
        }

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
            out = out + applies * constants.get(name, 0.0)
        return out

    def sensitive(self) -> dict[str, int]:
        """Count, for every constant and nuisance term, the points that depend on it."""
        base = dict.fromkeys(CONSTANTS, 1.0) | dict.fromkeys(STATE, 1024.0)
        base |= dict.fromkeys(NUISANCE.values(), 0.0)
        reference = self.predict(base)
        counts = {}
        for name in base:
            moved = self.predict({**base, name: base[name] * 2 if base[name] else 1.0})
            counts[name] = int(np.sum(np.abs(moved - reference) > 1e-12 * np.abs(reference)))
        return counts
