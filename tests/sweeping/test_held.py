"""Constants that are held: each sweep over one keeps what a sweep before it has held."""

from __future__ import annotations

import numpy as np
import pytest

import perfmodel as pm
from perfmodel.breakeven.sweeps import sweep_of
from perfmodel.errors import InputError
from perfmodel.held import holding
from perfmodel.machine import Machine


def test_what_is_held_already_stays_held(machine: Machine) -> None:
    own = machine.draws(5)
    one = holding(machine, {"pte": 7.0})
    two = holding(one, {"shootdown": 900.0})
    again = holding(two, {"pte": 8.0})
    for found, pte in ((two, 7.0), (again, 8.0)):
        drawn = found.draws(5)
        assert set(drawn["pte"]) == {pte}
        assert set(drawn["shootdown"]) == {900.0}
        np.testing.assert_array_equal(drawn["syscall"], own["syscall"])
    assert holding(machine, {}) is machine
    with pytest.raises(InputError):
        holding(machine, {"pte": -1.0})


def test_a_break_even_over_one_constant_keeps_another(machine: Machine) -> None:
    scenario = pm.Scenario(holding(machine, {"pte": 7.0}))
    placed = sweep_of(scenario, "shootdown").at(900.0)
    assert placed is not None
    drawn = placed.machine.draws(5)
    assert set(drawn["pte"]) == {7.0}
    assert set(drawn["shootdown"]) == {900.0}
