from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from perfmodel.breakeven.sweeps import (
    PARAMETERS,
    WRITER_SHARE,
    WriterShareSweep,
    sweep_of,
    swept_quantity,
)
from perfmodel.errors import InputError
from perfmodel.machine import CONSTANTS, Constant, Machine
from perfmodel.prediction import predict
from perfmodel.scenario import Call, Faults, Policy, Scenario, Writers, affected_share


def test_names_are_unique() -> None:
    assert not set(PARAMETERS) & set(CONSTANTS)
    assert WRITER_SHARE not in {*PARAMETERS, *CONSTANTS}
    for name in (*PARAMETERS, *CONSTANTS, WRITER_SHARE):
        low, high = swept_quantity(name).typical
        assert low < high


def test_a_constant_is_the_same_in_every_draw_and_the_others_keep_theirs(machine: Machine) -> None:
    there = sweep_of(Scenario(machine), "shootdown").at(1234.5)
    assert there is not None
    before, after = machine.draws(30, seed=4), there.machine.draws(30, seed=4)
    assert np.all(after["shootdown"] == 1234.5)
    assert there.machine.value("shootdown") == 1234.5
    for name in before:
        if name != "shootdown":
            np.testing.assert_array_equal(after[name], before[name])


@pytest.mark.parametrize("name", ["shootdown", "pte", "wake_latency", "shootdown_more"])
def test_a_constant_at_its_own_value_changes_no_estimate(machine: Machine, name: str) -> None:
    scenario = Scenario(machine, call=Call(pages=16, remote_cpus=3))
    there = sweep_of(scenario, name).at(machine.value(name))
    assert there is not None
    one, other = (predict(s, draws=1, levels=())[Policy.LAST_VMA] for s in (scenario, there))
    np.testing.assert_array_equal(one.net_gain, other.net_gain)


def test_a_constant_that_the_profile_does_not_know(machine: Machine) -> None:
    unknown = Constant(value=None, unit="ns", source="none", reason="not measured")
    bare = dataclasses.replace(
        machine, constants={**machine.constants, "pte": unknown}, covariance_names=(),
        covariance=np.zeros((0, 0)),
    )  # fmt: skip
    sweep = sweep_of(Scenario(bare, call=Call(pages=64)), "pte")
    assert math.isnan(sweep.value())
    assert "not known" in sweep.notes()[0]
    assert math.isnan(predict(sweep.scenario, draws=1, levels=())[Policy.LAST_VMA].net_gain[0])
    there = sweep.at(20.0)
    assert there is not None
    assert math.isfinite(predict(there, draws=1, levels=())[Policy.LAST_VMA].net_gain[0])


def share_at(scenario: Scenario) -> float:
    """Return the share of the passes over the lock that are calls, from the throughputs."""
    answer = predict(scenario, draws=1, levels=(), solver="chain")[Policy.NONE].answer
    faults = answer.fault_rate[0] * affected_share(scenario)
    return float(answer.call_rate[0] / (answer.call_rate[0] + faults))


STREAM, POPULATION = Faults(rate=20_000, same_vma=0.3), Faults(threads=4, same_vma=0.3)


@pytest.mark.parametrize(
    ("kernel", "faults", "writers"),
    [
        ("5.11", STREAM, Writers(threads=1)),
        ("6.18", STREAM, Writers(threads=1)),
        ("6.18", STREAM, Writers(rate=100.0)),
        ("5.11", POPULATION, Writers(threads=1)),
        ("6.18", POPULATION, Writers(threads=3)),
        ("6.18", POPULATION, Writers(rate=100.0)),
    ],
)
def test_the_share_of_the_calls_is_what_it_says(
    machine: Machine, kernel: str, faults: Faults, writers: Writers
) -> None:
    scenario = Scenario(machine, kernel, Call(pages=4), faults, writers)  # type: ignore[arg-type]
    sweep = sweep_of(scenario, "writer-share")
    assert sweep.value() == pytest.approx(share_at(scenario), rel=1e-6)
    low, high = sweep.range()
    for share in (low, 0.2 * high):
        there = sweep.at(share)
        assert there is not None
        assert share_at(there) == pytest.approx(share, rel=1e-3)
        # Nothing but the pace of the callers has changed.
        assert there.faults == scenario.faults
        assert there.writers.threads == scenario.writers.threads


def test_a_stream_beside_a_stream_follows_by_division(machine: Machine) -> None:
    scenario = Scenario(machine, faults=Faults(rate=9_000), writers=Writers(rate=7.0))
    there = sweep_of(scenario, WRITER_SHARE).at(0.1)
    assert there is not None
    assert there.writers.rate == pytest.approx(1_000, rel=1e-4)


def test_a_stream_cannot_bring_more_calls_than_are_served(machine: Machine) -> None:
    # A hold of 20 us leaves room for 50,000 calls a second, less than the faults.
    scenario = Scenario(machine, call=Call(pages=4), faults=POPULATION, writers=Writers(rate=100.0))
    sweep = sweep_of(scenario, WRITER_SHARE)
    assert sweep.at(0.05) is not None
    assert sweep.at(0.9) is None


def test_a_share_beyond_what_the_callers_can_reach(machine: Machine) -> None:
    scenario = Scenario(machine, call=Call(pages=512), faults=Faults(rate=1e6))
    sweep = sweep_of(scenario, WRITER_SHARE)
    assert isinstance(sweep, WriterShareSweep)
    at_once = share_at(scenario.replace(**{"writers.think_us": 0.0}))
    assert sweep.highest == pytest.approx(at_once, rel=1e-6)
    assert sweep.range()[1] == sweep.highest
    assert sweep.at(1.01 * at_once) is None
    top = sweep.at(sweep.highest)
    assert top is not None
    assert top.writers.think_us == 0


@pytest.mark.parametrize("faults", [Faults(rate=0.0), Faults(rate=5e4, same_vma=0.0)])
def test_a_share_of_nothing(machine: Machine, faults: Faults) -> None:
    sweep = sweep_of(Scenario(machine, "6.18", faults=faults), WRITER_SHARE)  # type: ignore[arg-type]
    assert sweep.at(0.2) is None
    assert any("no fault takes the lock" in note for note in sweep.notes())


def test_bad_names_and_values(machine: Machine) -> None:
    scenario: Any = Scenario(machine)
    with pytest.raises(InputError, match=r"do you mean .*shootdown"):
        sweep_of(scenario, "shootdwn")
    with pytest.raises(InputError, match="cannot sweep 'splits'"):
        sweep_of(scenario, "splits")
    with pytest.raises(InputError, match="out of range"):
        sweep_of(scenario, "shootdown").at(-1.0)
