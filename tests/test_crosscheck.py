from __future__ import annotations

import math

import pytest

from perfmodel.crosscheck import central_locks, second_opinion
from perfmodel.errors import InputError
from perfmodel.kernel import Kernel
from perfmodel.machine import Machine
from perfmodel.prediction import predict
from perfmodel.scenario import Call, Faults, Policy, Scenario, Writers


def _scenario(machine: Machine, **more: object) -> Scenario:
    # 5.10: blocked readers spin, so no wake-up holds the lock in either solver.
    return Scenario(machine, Kernel("5.10"), Call(pages=512), **more)  # type: ignore[arg-type]


def test_the_exact_chain_agrees_with_one_caller(machine: Machine) -> None:
    opinions = second_opinion(_scenario(machine, faults=Faults(threads=8, think_us=20.0)), "chain")
    assert {o.policy for o in opinions} == {p.value for p in Policy} - {"after-flush"}
    for opinion in opinions:
        assert "chain" in opinion.solver or "nobody waits" in opinion.solver or opinion.other == 0
        limit = 0.02 if opinion.quantity in ("fault_rate", "call_rate") else 0.10
        if opinion.policy != "every-vma":
            assert abs(opinion.ratio - 1) < limit, opinion


def test_the_simulation_agrees_on_an_open_stream(machine: Machine) -> None:
    pytest.importorskip("numba")
    scenario = _scenario(machine, faults=Faults(rate=1e5), writers=Writers(think_us=1000.0))
    for opinion in second_opinion(scenario, "simulation", calls=30_000):
        if opinion.quantity == "wait_mean" and opinion.policy == "none":
            slack = 0.05 * opinion.other + 3 * opinion.half_width
            assert abs(opinion.closed - opinion.other) < slack


def test_what_the_chain_cannot_answer_is_said(machine: Machine) -> None:
    opinions = second_opinion(_scenario(machine, faults=Faults(rate=1e5)), "chain")
    assert all(math.isnan(o.other) for o in opinions)
    assert all(o.solver for o in opinions)
    assert opinions[0].to_dict()["other"] is None


def test_an_unknown_solver_is_refused(machine: Machine) -> None:
    with pytest.raises(InputError, match="chain or simulation"):
        second_opinion(_scenario(machine), "oracle")


def test_policies_that_do_not_apply_are_told(machine: Machine) -> None:
    told: list[str] = []
    scenario = Scenario(machine, call=Call("munmap", pages=8))
    assert set(central_locks(scenario, told=told.append)) == {"none", "last-vma", "before-flush"}
    assert len(told) == 3


def test_woken_faults_in_the_way_of_the_next_call_are_flagged(machine: Machine) -> None:
    close = Scenario(
        machine, call=Call(pages=512), faults=Faults(threads=8),
        writers=Writers(threads=2, think_us=50.0),
    )  # fmt: skip
    far = close.replace(**{"writers.think_us": 100_000.0})
    for scenario, flagged in ((close, True), (far, False)):
        warnings = predict(scenario, draws=1, levels=(), solver="closed").warnings
        assert any("woken fault" in w for w in warnings) is flagged
