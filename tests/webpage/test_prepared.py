"""Presets beyond the closed forms: answered when the page is made, by whoever can."""

from __future__ import annotations

import json
from typing import Any

import pytest

from perfmodel.errors import MissingExtraError
from perfmodel.machine import Machine, shipped_profiles
from perfmodel.prediction import predict
from perfmodel.presets import PRESETS
from perfmodel.rwlock import fallback
from perfmodel.scenario import Scenario
from perfmodel.webpage.prepared import prepared

DRAWS = 30


@pytest.fixture
def machine() -> Machine:
    return Machine.load(next(iter(shipped_profiles().values())))


def test_the_answers_are_those_of_the_command_line(machine: Machine) -> None:
    pytest.importorskip("numba")
    found = prepared([machine], DRAWS)
    beyond = []
    for name, preset in PRESETS.items():
        scenario = Scenario.from_dict(preset.parameters, machine=machine)
        closed = predict(scenario, draws=1, solver="closed")
        if any("outside the region" in w for w in closed.warnings):
            beyond.append((name, predict(scenario, draws=DRAWS).to_dict()))
    assert beyond
    assert [(a["preset"], a["prediction"]) for a in found] == beyond
    for answer in found:
        assert set(answer["results"]) == {p["policy"] for p in answer["prediction"]["policies"]}
    json.dumps(found, allow_nan=False)


def test_where_nobody_answers_there_is_no_answer(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: Any) -> Any:
        raise MissingExtraError("the simulation", "simulate")

    monkeypatch.setattr(fallback, "_ask_simulation", missing)
    assert prepared([machine], DRAWS) == []
