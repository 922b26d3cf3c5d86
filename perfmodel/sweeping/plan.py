"""The plan of a sweep: its points, in which blocks they are computed, and what is kept of each."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from perfmodel import __version__
from perfmodel.errors import InputError
from perfmodel.held import holding
from perfmodel.machine import Machine
from perfmodel.rwlock.fallback import CHOICES as SOLVER_CHOICES
from perfmodel.rwlock.lock import LEVELS
from perfmodel.scenario import Policy, Scenario
from perfmodel.sweeping.axes import CHOICES, Axis, axis_of, changes_of, check_together
from perfmodel.sweeping.guarded import GUARDED
from perfmodel.sweeping.variables import VARIABLES, Variable, chosen

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BLOCK", "SCHEMA", "Block", "Plan", "make_plan", "plan_of"]

SCHEMA = "perfmodel.sweep/1"

#: Points of a block unless said otherwise: what a worker has in memory at a time.
BLOCK = 1 << 17

#: And where points are asked of `predict`, by a simulation or not: what a kill may lose stays a minute.
_BLOCK_POINTWISE = {True: 64, False: 512}

#: And at most so many bytes of results.
_BLOCK_BYTES = 1 << 27


@dataclass(frozen=True)
class Block:
    """Points that are computed together: a rectangle of the grid.

    Parameters
    ----------
    index : int
        Its place among the blocks.
    start, stop : tuple of int
        First and last value of each dimension, the last one not included.
    """

    index: int
    start: tuple[int, ...]
    stop: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Points along each dimension."""
        return tuple(b - a for a, b in zip(self.start, self.stop, strict=True))

    @property
    def slices(self) -> tuple[slice, ...]:
        """Where it lies in the whole."""
        return tuple(slice(a, b) for a, b in zip(self.start, self.stop, strict=True))

    @property
    def size(self) -> int:
        """Number of points."""
        return math.prod(self.shape)


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything that a sweep's numbers follow from.

    Parameters
    ----------
    scenario : Scenario
        What is not swept.
    axes : tuple of Axis
        What is, in the order of the dimensions.
    zipped : bool
        Whether the axes go together, value by value, and do not make a grid.
    draws, seed : int
        Draws of the machine's constants; 1 for the estimate alone.
    keep_draws : bool
        Whether the draws themselves are given and not the interval.
    levels : tuple of float
        Quantiles of the wait.
    variables : tuple of str
    solver : str
    single : bool
        Whether numbers are kept in single precision.
    block_points : int
        Points of a block, at most.
    """

    scenario: Scenario
    axes: tuple[Axis, ...]
    zipped: bool = False
    draws: int = 100
    seed: int = 0
    keep_draws: bool = False
    levels: tuple[float, ...] = LEVELS
    variables: tuple[str, ...] = ()
    solver: str = "closed"
    single: bool = False
    block_points: int = BLOCK

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the dimensions of the points."""
        return ("point",) if self.zipped else tuple(a.name for a in self.axes)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Points along each dimension."""
        lengths = tuple(len(a.values) for a in self.axes)
        return lengths[:1] if self.zipped else lengths

    @property
    def size(self) -> int:
        """Number of points."""
        return math.prod(self.shape)

    @property
    def pointwise(self) -> bool:
        """Whether points are asked of `predict`, one after another: a thousand times slower."""
        return self.solver != "closed" or any(VARIABLES[n].guarded for n in self.variables)

    @property
    def policies(self) -> tuple[Policy, ...]:
        """The policies, in the order of the dimension."""
        return self.scenario.policies

    @cached_property
    def block_shape(self) -> tuple[int, ...]:
        """Points of a full block along each dimension: the last dimensions whole, as far as they go."""
        room, shape = self.block_points, []
        for length in reversed(self.shape):
            take = min(length, max(room, 1))
            # Equal parts, and not a last one of a few points.
            take = math.ceil(length / math.ceil(length / take))
            shape.append(take)
            room //= take
        return tuple(reversed(shape))

    @cached_property
    def blocks_along(self) -> tuple[int, ...]:
        """Blocks along each dimension."""
        return tuple(math.ceil(n / b) for n, b in zip(self.shape, self.block_shape, strict=True))

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return math.prod(self.blocks_along)

    def block(self, index: int) -> Block:
        """Return one block by its place."""
        place = np.unravel_index(index, self.blocks_along)
        start = tuple(int(i) * b for i, b in zip(place, self.block_shape, strict=True))
        stop = tuple(
            min(a + b, n) for a, b, n in zip(start, self.block_shape, self.shape, strict=True)
        )
        return Block(index, start, stop)

    def __iter__(self) -> Iterator[Block]:
        return (self.block(i) for i in range(self.blocks))

    def codes(self, block: Block) -> dict[str, NDArray[np.int64]]:
        """Return, for every axis, which of its values each point of a block has; flat, C order."""
        if self.zipped:
            place = np.arange(block.start[0], block.stop[0])
            return {a.name: place for a in self.axes}
        shape, out = block.shape, {}
        for k, axis in enumerate(self.axes):
            along = np.arange(block.start[k], block.stop[k]).reshape(
                [-1 if i == k else 1 for i in range(len(shape))]
            )
            out[axis.name] = np.broadcast_to(along, shape).reshape(-1)
        return out

    def extra(self, variable: Variable) -> tuple[tuple[str, int], ...]:
        """Return the further dimensions of a variable and their lengths."""
        dims: list[tuple[str, int]] = []
        if variable.policy:
            dims.append(("policy", len(self.policies)))
        if variable.guarded:
            dims.append(("guarded", len(GUARDED)))
        if variable.name == "wait_quantile":
            dims.append(("level", len(self.levels)))
        if variable.drawn and self.keep_draws:
            dims.append(("draw", self.draws))
        elif variable.bounded and self.draws > 1:
            dims.append(("bound", 3))
        return tuple(dims)

    def dtype(self, variable: Variable) -> np.dtype[Any]:
        """Return how a variable is kept."""
        if variable.boolean:
            return np.dtype(np.bool_)
        if variable.flags or variable.names_policy:
            return np.dtype(np.int8)
        return np.dtype(np.float32 if self.single else np.float64)

    @property
    def bytes_per_point(self) -> int:
        """Room that one point takes, not compressed."""
        return sum(
            self.dtype(v).itemsize * math.prod(n for _, n in self.extra(v))
            for v in (VARIABLES[name] for name in self.variables)
        )

    def placed(self, point: Mapping[str, Any]) -> Scenario:
        """Return the scenario of one point: what `predict` would be asked.

        Parameters
        ----------
        point : mapping of str to number, text or Machine
            Value of every axis.

        Raises
        ------
        InputError
            If there is no such scenario.
        """
        found = self.scenario.replace(**changes_of(self.scenario, point))
        held = {a.name: float(point[a.name]) for a in self.axes if a.constant}
        return found.replace(machine=holding(found.machine, held)) if held else found

    def value(self, axis: Axis, place: int) -> Any:
        """Return one value of an axis as `placed` takes it."""
        return axis.machines[place] if axis.name == "machine" else axis.values[place].item()

    def document(self) -> str:
        """Return the plan as JSON: what a worker gets, and what a resumed sweep is held against."""
        machines = {m.name: json.loads(m.to_bytes()) for m in self.machines}
        return json.dumps(
            {
                "schema": SCHEMA, "perfmodel": __version__, "scenario": self.scenario.to_dict(),
                "base_machine": self.scenario.machine.name, "machines": machines,
                "axes": [[a.name, a.values.tolist()] for a in self.axes],
                "zipped": self.zipped, "draws": self.draws, "seed": self.seed,
                "keep_draws": self.keep_draws, "levels": list(self.levels),
                "variables": list(self.variables), "solver": self.solver, "single": self.single,
                "block_points": self.block_points,
            }
        )  # fmt: skip

    @property
    def machines(self) -> tuple[Machine, ...]:
        """Every profile that the sweep uses."""
        swept = next((a.machines for a in self.axes if a.name == "machine"), ())
        return swept or (self.scenario.machine,)

    @property
    def sha256(self) -> str:
        """Hash of the question: `document` without the size of the blocks."""
        question = replace(self, block_points=1).document()
        return hashlib.sha256(question.encode()).hexdigest()

    @classmethod
    def from_document(cls, text: str) -> Self:
        """Build a plan from what `document` gives.

        Raises
        ------
        InputError
            If it was made by another version.
        """
        data = json.loads(text)
        if data.get("schema") != SCHEMA or data.get("perfmodel") != __version__:
            raise InputError(
                f"this sweep was planned by perfmodel {data.get('perfmodel')}, this is {__version__}",
                field="perfmodel", expected="one version everywhere",
            )  # fmt: skip
        machines = {
            name: Machine.from_bytes(json.dumps(profile).encode())
            for name, profile in data["machines"].items()
        }
        base = machines.get(data["base_machine"]) or next(iter(machines.values()))
        axes = [
            axis_of(name, [machines[v] for v in values] if name == "machine"
                    else np.array(values, dtype=float) if name not in CHOICES else values)
            for name, values in data["axes"]
        ]  # fmt: skip
        return cls(
            Scenario.from_dict(data["scenario"], machine=base), tuple(axes),
            **{k: data[k] for k in ("zipped", "draws", "seed", "keep_draws", "solver", "single",
                                    "block_points")},
            levels=tuple(data["levels"]), variables=tuple(data["variables"]),
        )  # fmt: skip


@lru_cache(maxsize=4)
def plan_of(document: str) -> Plan:
    """Return the plan of a document; a worker that computes many blocks builds it once."""
    return Plan.from_document(document)


def make_plan(
    scenario: Scenario,
    axes: Sequence[Axis],
    *,
    zipped: bool = False,
    draws: int = 100,
    seed: int = 0,
    keep_draws: bool = False,
    levels: Sequence[float] = LEVELS,
    variables: Sequence[str] | str | None = None,
    solver: str = "closed",
    single: bool = False,
    block_points: int | None = None,
) -> Plan:
    """Check what a sweep is asked, and return its plan.

    Raises
    ------
    InputError
        If something is wrong with it; the field says what.
    """
    check_together(axes, zipped=zipped)
    for name, count in (("draws", draws), ("block_points", block_points or BLOCK)):
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise InputError(f"{count!r} is no number of them", field=name, expected="at least 1")
    if solver not in SOLVER_CHOICES:
        raise InputError(f"there is no solver {solver!r}", field="solver",
                         expected="one of " + ", ".join(SOLVER_CHOICES))  # fmt: skip
    if not all(0 < q < 1 for q in levels):
        raise InputError("a level is no probability", field="levels", expected="between 0 and 1")
    names = chosen(variables, solver)
    if not levels:
        if variables is not None and "wait_quantile" in names:
            raise InputError("quantiles are asked for, and no level", field="levels",
                             expected="at least one")  # fmt: skip
        names = tuple(n for n in names if n != "wait_quantile")
    plan = Plan(scenario, tuple(axes), zipped, draws, seed, keep_draws, tuple(levels), names, solver,
                single)  # fmt: skip
    fits = max(1, _BLOCK_BYTES // max(plan.bytes_per_point, 1))
    usual = _BLOCK_POINTWISE[solver == "simulation"] if plan.pointwise else BLOCK
    return replace(plan, block_points=block_points or min(usual, fits))
