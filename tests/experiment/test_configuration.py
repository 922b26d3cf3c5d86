"""What a point of the laboratory is to the model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfmodel.experiment import CUTS, Configuration
from perfmodel.machine import Machine
from perfmodel.measure.kernel_lab.plan import CUTS as KERNEL_CUTS
from perfmodel.resources import calibration_path
from perfmodel.scenario import Policy

CONDITIONS = {
    "target": "same_vma", "pages": 512, "vmas": 1, "duty_asked": 0.5, "fault_think_us": 1.5,
    "window_pages": 256, "faulters": 3, "writer": "mprotect",
}  # fmt: skip


@pytest.fixture(scope="module")
def machine() -> Machine:
    return Machine.load(calibration_path("data", "kernel-lab-6.1", "profile-2cpu.json"))


def test_the_cuts_are_those_of_the_kernel_in_its_order() -> None:
    assert tuple(CUTS) == KERNEL_CUTS
    assert CUTS["none"] is Policy.NONE
    assert len(set(CUTS.values())) == len(CUTS)


def test_in_the_same_vma_the_windows_belong_to_the_call() -> None:
    point = Configuration.of(CONDITIONS, 4)
    call = point.call("RW->R")
    assert call.pages == 512 + 3 * 256
    # All of the range, and on average half of each window.
    assert call.present_pages == pytest.approx(512 + 3 * 128)
    assert replace(point, target="other_vma").call("RW->R").present_pages == 512


def test_the_question_has_the_point_in_it(machine: Machine, point: Configuration) -> None:
    asked = point.scenario(machine, "R->RW", caller_think_ns=50_000.0, emptying_ns=500.0)
    assert asked.kernel.release == "6.1"
    assert not asked.kernel.per_vma_lock
    assert asked.faults.threads == 1
    assert asked.faults.think_ns == pytest.approx(2000.0)
    assert asked.writers.think_ns == pytest.approx(50_000.0)
    assert asked.cpus == 2
    assert asked.call.transition == "R->RW"


def test_a_point_is_named_by_what_tells_it_from_others(point: Configuration) -> None:
    assert point.name == "4096 pages, 1 thread faulting in the other VMA, duty 50 %, 2 vCPUs"
    several = replace(point, vmas=4, faulters=3, target="same_vma")
    assert "in 4 VMAs" in several.name
    assert "3 threads faulting in the same VMA" in several.name
