"""What the models say of a point, before anybody has run it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from perfmodel.experiment import CUTS, QUANTITIES, Configuration, Predicted
from perfmodel.experiment.predicted import predict_one
from perfmodel.machine import Machine
from perfmodel.resources import calibration_path

Answers = dict[tuple[str, str], Predicted]


def answers(machine: Machine, point: Configuration, draws: int = 8) -> Answers:
    idle = np.full(50, machine.value("fault_minor"))
    return {(r.cut, r.quantity): r for r in predict_one(machine, point, idle, draws=draws)}


@pytest.fixture(scope="module")
def machine() -> Machine:
    return Machine.load(calibration_path("data", "kernel-lab-6.1", "profile-2cpu.json"))


@pytest.fixture(scope="module")
def large(machine: Machine) -> Answers:
    point = Configuration(2, 1, "other_vma", 4096, 1, 0.5, 1.5, 256)
    return answers(machine, point)


def test_every_quantity_of_every_cut_is_predicted(large: Answers) -> None:
    assert set(large) == {(cut, name) for cut in CUTS for name in QUANTITIES}
    for (cut, _), row in large.items():
        assert row.low <= row.value * (1 + 1e-9)
        assert row.value <= row.high * (1 + 1e-9)
        assert np.isnan(row.effect) == (cut == "none")


def test_a_cut_before_a_long_walk_spares_the_faults_the_walk(large: Answers) -> None:
    assert large["k0", "wait"].effect < 0.2
    assert large["k0", "faults"].effect > 1.3
    assert large["k0", "lost"].effect < 0
    # The flush alone is little of it.
    assert large["k0", "wait"].value < large["k1", "wait"].value < large["none", "wait"].value


def test_with_one_vma_every_vma_is_the_last(large: Answers) -> None:
    for name in QUANTITIES:
        assert large["every-vma", name].value == pytest.approx(large["k0", name].value)


def test_the_caller_pauses_by_the_calls_of_its_own_cut(machine: Machine) -> None:
    # In calls for a tenth of its time, whatever they last: fewer faults meet one.
    point = Configuration(2, 1, "other_vma", 4096, 1, 0.5, 1.5, 256)
    often, seldom = answers(machine, point, 2), answers(machine, replace(point, duty=0.1), 2)
    for cut in CUTS:
        assert seldom[cut, "blocked"].value < 0.5 * often[cut, "blocked"].value
