"""What to measure next, held against what measuring it does."""

from __future__ import annotations

import functools
import math
from dataclasses import replace

import numpy as np
import pytest

from perfmodel.fit import Calibration, advise, calibrate
from perfmodel.fit.advice import WORTH
from perfmodel.machine import Constant, Machine

from .made import SMALL, made

# One worker has what is calibrated once for all tests.
pytestmark = pytest.mark.xdist_group("advice")


@functools.cache
def _calibrated(*without: str) -> Calibration:
    """A run without some benchmarks; holds by tracepoints have none and count as ``trace``."""
    table = made(0.05, cells=SMALL, repetitions=1)
    kept = [g for g in table.groups if g.conditions.get("benchmark", "trace") not in without]
    return calibrate(replace(table, groups=tuple(kept)), name="made")


def _half_width(machine: Machine, gradient: dict[str, float]) -> float:
    names = machine.covariance_names
    g = np.array([gradient.get(n, 0.0) for n in names])
    total = machine.covariance + machine.residual_sd**2 * np.eye(len(names))
    apart = sum(
        (gradient.get(n, 0.0) * (c.log_sd or 0.0)) ** 2
        for n, c in machine.constants.items() if n not in names
    )  # fmt: skip
    return 1.645 * math.sqrt(g @ total @ g + apart)


def test_the_width_of_today_is_that_of_the_profile() -> None:
    machine = _calibrated().machine
    gradient = {"pte": 500.0, "shootdown": 2000.0, "wake_latency": 1000.0, "shootdown_more": 300.0}
    assert advise(machine, gradient).half_width == pytest.approx(_half_width(machine, gradient))


def test_what_is_missing_is_what_helps_and_helps_as_much_as_was_said() -> None:
    before, after = _calibrated("wake").machine, _calibrated().machine
    gradient = {"wake_kick": 1000.0, "wake_serial": 300.0}
    advice = advise(before, gradient)
    best = advice.worthwhile[0]
    assert best.group == "wake"
    assert "waker" in best.what
    # The scatter that the fit gave itself differs a little: within a quarter.
    assert best.half_width == pytest.approx(_half_width(after, gradient), rel=0.25)
    assert best.shrinks > 0.5


def test_traced_holds_tell_the_parts_of_munmap() -> None:
    before, after = _calibrated("trace").machine, _calibrated().machine
    gradient = {"unmap_vma": 1000.0}
    advice = advise(before, gradient)
    assert advice.worthwhile[0].group == "trace"
    assert "munmap" in advice.worthwhile[0].what
    assert _half_width(after, gradient) < 0.7 * advice.half_width


def test_measuring_again_what_is_known_does_not_help() -> None:
    machine = _calibrated().machine
    advice = advise(machine, {"pte": 1000.0, "walk_start": 500.0})
    assert all(s.shrinks < 0.15 for s in advice.suggestions)
    assert advice.suggestions[0].half_width <= advice.half_width


def test_what_takes_more_cpus_is_said_to() -> None:
    machine = _calibrated().machine
    gradient = {"shootdown_more": 500.0}
    small = advise(machine, gradient, cpus=2)
    assert not small.worthwhile
    assert small.elsewhere[0].cpus >= 3
    assert small.elsewhere[0].shrinks > 0.5
    assert small.stays[0][0].startswith("shootdown_more")
    assert small.stays[0][1] > 0.9
    large = advise(machine, gradient, cpus=8)
    assert large.worthwhile[0].group == "calls"
    assert large.worthwhile[0].shrinks > 0.5
    assert not large.elsewhere


def test_the_spread_over_sleeps_stays() -> None:
    machine = _calibrated().machine
    place = machine.covariance_names.index("wake_latency")
    covariance = machine.covariance.copy()
    covariance[place, place] += 0.2**2
    wide = replace(machine, covariance=covariance,
                   fit={**machine.fit, "sleep_spread_log_sd": 0.2})  # fmt: skip
    advice = advise(wide, {"wake_latency": 1000.0})
    assert advice.half_width > 1.645 * 200
    assert all(s.shrinks < 0.1 for s in advice.suggestions)
    what, share = advice.stays[0]
    assert "sleeps of different lengths" in what
    assert share > 0.9
    assert sum(s for _, s in advice.stays) <= 1 + 1e-9


def test_a_profile_without_a_record_of_its_fit_is_advised_all_the_same(machine: Machine) -> None:
    bare = replace(machine, fit={})
    advice = advise(bare, {"pte": 100.0, "wake_kick": 100.0})
    assert advice.half_width > 0
    assert {s.group for s in advice.suggestions} == {"calls", "faults", "locked", "wake", "trace"}
    unknown = {**bare.constants, "pte": Constant(value=None, unit="ns", source="none", reason="x")}
    nothing = Machine("nothing", unknown)
    assert advise(nothing, {"pte": 100.0}).suggestions == ()
    assert advise(nothing, {"pte": 100.0}).assumed
    assert WORTH > 0
