from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from perfmodel.machine import Machine


@pytest.fixture
def other(machine: Machine) -> Callable[..., Machine]:
    """Give a profile like the shipped one, its fitted constants moved by a seed."""

    def make(name: str, seed: int, **changes: object) -> Machine:
        chance = np.random.default_rng(seed)
        constants = {
            n: c if c.value is None
            else msgspec.structs.replace(c, value=c.value * float(np.exp(0.3 * chance.standard_normal())))
            for n, c in machine.constants.items()
        }  # fmt: skip
        return replace(machine, name=name, constants=constants, **changes)  # type: ignore[arg-type]

    return make
