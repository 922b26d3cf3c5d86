from __future__ import annotations

import math

import numpy as np
import pytest

from perfmodel.breakeven import PARAMETERS, break_even
from perfmodel.errors import InputError
from perfmodel.machine import Machine
from perfmodel.prediction import predict
from perfmodel.scenario import Call, Faults, Policy, Scenario


def test_root_is_where_the_net_gain_changes_sign(machine: Machine) -> None:
    scenario = Scenario(machine, call=Call(pages=1))
    found = break_even(scenario, "fault_rate", policy=Policy.LAST_VMA, points=25, draws=60)
    assert found.answer == "turns"
    (root,) = found.roots
    assert root.pays == "above"
    assert root.low < root.value < root.high
    for factor, sign in ((0.7, -1), (1.4, 1)):
        there = scenario.replace(rate=root.value * factor)
        assert np.sign(predict(there, draws=1)[Policy.LAST_VMA].net_gain[0]) == sign


def test_never_and_always(machine: Machine) -> None:
    nothing = Scenario(machine, call=Call(pages=512, transition="same-flags"))
    assert break_even(nothing, "fault_rate", points=7, draws=2).answer == "never"
    large = Scenario(machine, call=Call(pages=512), faults=Faults(threads=32))
    found = break_even(large, "pages", policy=Policy.LAST_VMA, points=7, draws=2)
    assert found.answer == "always"
    assert not found.safe
    assert "unsafe" in found.sentence()


@pytest.mark.parametrize("over", PARAMETERS)
@pytest.mark.parametrize("faults", [Faults(rate=1e4), Faults(threads=8)])
def test_every_parameter_can_be_swept(machine: Machine, over: str, faults: Faults) -> None:
    scenario = Scenario(machine, "6.18", Call(pages=64), faults)  # type: ignore[arg-type]
    found = break_even(scenario, over, policy=Policy.LAST_VMA, points=4, draws=2)
    assert found.grid[0] < found.grid[-1]
    # Calls that come faster than the lock can serve them have no steady state.
    assert set(found.undefined) <= ({found.grid[-1]} if over == "writer_rate" else set())
    data = found.to_dict()
    assert data["unit"]
    assert all(v is None or math.isfinite(v) for v in data["net_gain_ns_per_call"])


def test_unknown_parameter_is_named(machine: Machine) -> None:
    with pytest.raises(InputError, match="over: cannot sweep 'colour'"):
        break_even(Scenario(machine), "colour")
