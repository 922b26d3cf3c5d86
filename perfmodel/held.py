"""A machine some of whose constants have given values in every draw, the others their own draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

import numpy as np

from perfmodel.machine import CONSTANTS, Constant, Machine

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["holding"]


@dataclass(frozen=True, eq=False)
class _HeldMachine(Machine):
    """A machine that knows which of its constants are held."""

    held: Mapping[str, float] = field(default_factory=dict)

    def draws(self, count: int, *, seed: int = 0) -> dict[str, NDArray[np.float64]]:
        given = {name: np.full(count, value) for name, value in self.held.items()}
        return {**super().draws(count, seed=seed), **given}


def holding(machine: Machine, values: Mapping[str, float]) -> Machine:
    """Return a machine with some constants held at values.

    Parameters
    ----------
    machine : Machine
        Constants that it holds already stay held, unless they are among the values.
    values : mapping of str to float
        By constant, in its unit.

    Raises
    ------
    InputError
        If a value is out of its domain.
    """
    if not values:
        return machine
    given = {f.name: getattr(machine, f.name) for f in fields(Machine)}
    swept = {
        name: Constant(
            value=CONSTANTS[name].check(value), unit=CONSTANTS[name].unit, source="swept"
        )
        for name, value in values.items()
    }
    given["constants"] = {**machine.constants, **swept}
    before = machine.held if isinstance(machine, _HeldMachine) else {}
    return _HeldMachine(**given, held={**before, **values})
