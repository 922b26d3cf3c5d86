"""The claims that rest on the recorded runs: held-out prediction and the natural experiment."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from perfmodel.fit import Calibration, calibrate, collect, predict_points, residual_table
from perfmodel.fit.natural import natural_experiment
from perfmodel.machine import Machine
from perfmodel.observations import ObservationTable
from perfmodel.readers import read
from perfmodel.readers.bench_json import companion_trace
from perfmodel.resources import calibration_path

RUNS = calibration_path("data", "xeon-vm-6.18")

pytestmark = pytest.mark.xdist_group("recorded")


@pytest.fixture(scope="module")
def first() -> ObservationTable:
    trace = companion_trace(RUNS / "run-1.json")
    assert trace is not None
    return read([RUNS / "run-1.json", trace])


@pytest.fixture(scope="module")
def second() -> ObservationTable:
    return read(RUNS / "run-2.json")


@pytest.fixture(scope="module")
def calibration(first: ObservationTable) -> Calibration:
    return calibrate(first, name="again")


@pytest.fixture(scope="module")
def held_out(machine: Machine, second: ObservationTable) -> pd.DataFrame:
    points = collect(second)
    return residual_table(points.points, predict_points(machine, points))


def test_the_runs_are_whole_and_say_what_they_ran_on(
    first: ObservationTable, second: ObservationTable
) -> None:
    for table in (first, second):
        for report in table.reports:
            assert not report.skipped
            assert report.lost == report.orphaned == 0
        (document,) = table.machines.values()
        assert document["status"] == "complete"
        assert document["machine"]["kernel"]["release"].startswith("6.18")
        assert document["noise"]["before"]


def test_the_shipped_profile_is_what_the_first_run_gives(
    machine: Machine, calibration: Calibration
) -> None:
    # Other processors round differently; the fit itself is deterministic.
    for name, constant in machine.constants.items():
        again = calibration.machine.constants[name]
        if constant.value is None or constant.value == 0:
            assert again.value == constant.value, name
        else:
            assert again.value == pytest.approx(constant.value, rel=2e-2), name
    assert [i.sha256 for i in machine.inputs] == [i.sha256 for i in calibration.machine.inputs]


@pytest.mark.parametrize("operation", ["mprotect", "munmap", "uffd_writeprotect"])
def test_held_out_medians_over_pages_and_vmas(held_out: pd.DataFrame, operation: str) -> None:
    grid = held_out[(held_out.operation == operation) & (held_out.phase == "latency")]
    assert len(grid) >= 100
    assert grid.pages.max() >= 65536
    assert grid.vmas.max() == 32
    assert grid["error"].abs().median() <= 0.10


def test_residuals_are_of_the_size_the_profile_states(
    machine: Machine, held_out: pd.DataFrame
) -> None:
    latency = held_out[(held_out.phase == "latency") & held_out.error.notna()]
    logs = (latency.predicted_ns / latency.measured_ns).map(math.log)
    # The profile states a standard deviation: about two thirds must lie within one, most within three.
    assert (logs.abs() < 3 * machine.residual_sd).mean() > 0.8


def test_the_natural_experiment(machine: Machine, second: ObservationTable) -> None:
    found = natural_experiment(machine, second)
    assert {"mprotect", "munmap", "uffd_writeprotect"} <= set(found.operation)
    locked = found[found.target.isin(["same_vma", "fresh_vma"])]
    held = locked[locked.operation == "mprotect"]
    cut = locked[locked.operation == "munmap"]
    other = found[found.target == "other_vma"]
    # mprotect blocks nearly every fault that begins while it runs, munmap nearly none: as predicted.
    assert held.blocked_measured.median() > 0.7
    assert held.blocked_predicted.median() > 0.7
    assert cut.blocked_measured.max() < 0.2
    assert cut.blocked_predicted.max() < 0.2
    assert other.blocked_measured.max() < 0.1
    assert (other.blocked_predicted == 0).all()
    # What a blocked fault waits, from constants that were fitted to calls and wake-ups alone.
    long = held[held.pages >= 4096]
    ratio = long.latency_predicted_ns / long.latency_measured_ns
    assert ratio.map(math.log).abs().median() < math.log(1.35)
