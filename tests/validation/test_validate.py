"""A validation of runs whose truth is known: it passes on its own machine and says what is wrong else."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from perfmodel.errors import CalibrationError, InputError
from perfmodel.machine import Constant, InputFile, Machine
from perfmodel.observations import ObservationTable
from perfmodel.report.terminal import to_rich
from perfmodel.report.validation import validation_blocks
from perfmodel.validation import KINDS, THRESHOLDS, Row, Validation, validate
from perfmodel.validation.predictive import draws_of, interval

# One worker has the validation that several tests look at.
pytestmark = pytest.mark.xdist_group("validation")


@pytest.fixture(scope="module")
def own(machine: Machine, run: ObservationTable) -> Validation:
    return validate(machine, run, draws=40)


def test_a_run_of_the_profile_itself_passes(own: Validation) -> None:
    assert own.passed, own.failures
    assert {s.kind for s in own.kinds} == {
        "call", "cost", "blocked", "fault p50", "fault p90", "fault p99",
    }  # fmt: skip
    # 33 calls with the scatter that the profile states: nine in ten within, give or take.
    calls = own.of("call")
    assert len(calls) == 33
    assert 0.75 <= np.mean([bool(r.covered) for r in calls]) <= 1.0
    for row in own.rows:
        assert row.low <= row.predicted <= row.high
    blocked = {(r.operation, r.conditions["pages"]): r for r in own.of("blocked")}
    assert blocked["mprotect, fresh_vma", 16384].predicted > 0.9
    assert blocked["munmap, fresh_vma", 16384].predicted < 0.05


def test_a_run_of_a_slower_machine_falls_short(
    machine: Machine, made: Callable[..., ObservationTable]
) -> None:
    found = validate(machine, made(1.5), draws=20)
    assert not found.passed
    assert any(f.startswith("call, mprotect") for f in found.failures)
    assert any(f.startswith("coverage") for f in found.failures)
    (summary,) = [s for s in found.by_operation if (s.kind, s.operation) == ("call", "munmap")]
    assert summary.ratio == pytest.approx(1 / 1.5, rel=0.06)
    assert summary.median == pytest.approx(1 - 1 / 1.5, rel=0.1)
    # Thresholds are the caller's to set.
    wide = validate(machine, made(1.5), draws=20, coverage=0.0,
                    thresholds=dict.fromkeys(KINDS, 9.0))  # fmt: skip
    assert wide.passed


def test_what_the_fit_has_seen_is_refused(machine: Machine, run: ObservationTable) -> None:
    seen = replace(machine, inputs=(InputFile(file="x", sha256="1" * 64, format="made"),))
    with pytest.raises(InputError, match="not held out"):
        validate(seen, run)


def test_an_unknown_constant_is_unknown_with_its_name(
    machine: Machine, run: ObservationTable
) -> None:
    constants = dict(machine.constants)
    constants["zap"] = Constant(value=None, unit="ns", source="none", reason="nobody looked")
    blind = replace(machine, constants=constants, covariance_names=(), covariance=np.zeros((0, 0)))
    found = validate(blind, run, draws=12)
    for row in found.of("call", "munmap"):
        assert math.isnan(row.predicted)
        assert row.covered is None
        assert "zap" in row.reason
    (summary,) = [s for s in found.by_operation if (s.kind, s.operation) == ("call", "munmap")]
    assert summary.unpredicted == summary.rows
    assert math.isinf(summary.median)
    assert any("call, munmap: the median error is infinite" in f for f in found.failures)
    # JSON knows no NaN.
    json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"draws": 3}, "draws"), ({"thresholds": {"calls": 0.1}}, "there is no kind 'calls'")],
)
def test_bad_arguments_are_named(
    machine: Machine, run: ObservationTable, changes: dict, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        validate(machine, run, **changes)


def test_nothing_to_compare_is_an_error(machine: Machine) -> None:
    with pytest.raises(CalibrationError):
        validate(machine, ObservationTable(()))


def test_every_kind_has_a_threshold() -> None:
    assert set(THRESHOLDS) == set(KINDS)


def test_a_share_is_judged_by_difference_and_a_time_by_ratio() -> None:
    row = Row("blocked", "x", {}, "1", 0.02, 0.05, 0.01, 0.06, 9, "f:1")
    assert row.error == pytest.approx(0.03)
    time = replace(row, kind="call", unit="ns", measured=200.0, predicted=150.0)
    assert time.error == pytest.approx(-0.25)
    assert not time.covered
    assert row.covered


def test_the_report_shows_every_operation_and_what_fell_short(
    machine: Machine, made: Callable[..., ObservationTable]
) -> None:
    from rich.console import Console

    found = validate(machine, made(2.0), draws=12)
    console = Console(width=200, file=io.StringIO(), record=True)
    console.print(to_rich(validation_blocks(found, every=True)))
    text = console.export_text()
    assert "FELL SHORT" in text
    for failure in found.failures:
        assert failure[:60] in text
    for row in found.rows:
        assert row.operation in text


def test_draws_begin_with_the_estimate_and_spread_as_the_covariance(machine: Machine) -> None:
    drawn = draws_of(machine, 4000, seed=2)
    assert drawn.constants["pte"][0] == machine.value("pte")
    spread = np.std(np.log(drawn.constants["pte"][1:]))
    assert spread == pytest.approx(machine.constants["pte"].log_sd, rel=0.1)
    assert np.std(np.log(drawn.scatter(0)[1:])) == pytest.approx(machine.residual_sd, rel=0.1)
    first = next(iter(draws_of(machine, 3).machines()))
    assert first.values() == pytest.approx(machine.values(), nan_ok=True)


def test_an_interval_of_unknown_values_is_unknown() -> None:
    assert interval(np.array([1.0, 2.0, 3.0]))[0] == 1.0
    assert all(math.isnan(v) for v in interval(np.full(5, np.nan)))
