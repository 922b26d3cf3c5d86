"""Records of the laboratory to numbers of a slice, on records whose numbers are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from perfmodel.errors import InputError
from perfmodel.experiment import slices
from perfmodel.experiment.measured import idle_law
from perfmodel.observations import Group, ObservationTable, Source

SOURCE = Source("lab/boot1-2cpu-k0.json", "bench_json", "A", "0" * 64)
WAKE = 10_000.0


def group(phase: str, ns: list[float], direction: str = "forth", **more: Any) -> Group:
    conditions = {
        "benchmark": "fault_latency", "part": "faults", "cut": "k0", "slice": 7, "round": 1,
        "writer": "mprotect", "direction": direction, "target": "other_vma", "pages": 4096,
        "vmas": 1, "duty_asked": 0.5, "fault_think_us": 1.5, "window_pages": 256, "faulters": 1,
        "watched_ms": 2.0,
    } | more  # fmt: skip
    values = np.array(ns)
    operation = "mprotect" if phase == "call" else "fault_read"
    return Group(operation, phase, conditions, values, values, np.ones(len(ns), int), SOURCE)


def table(*groups: Group, debug: bool = False, lab: bool = True) -> ObservationTable:
    machine: dict[str, Any] = {"laboratory": {"vcpus": 2, "boot": 1, "debug": debug}} if lab else {}
    return ObservationTable(
        groups, machines={SOURCE.file: {"started": "2026-11-26", "machine": machine}}
    )


def test_a_slice_has_the_numbers_of_its_records() -> None:
    during = [1000.0] * 10 + [31_000.0] * 10
    (one,) = slices(
        table(
            group("idle", [1000.0] * 80), group("during", during),
            group("call", [40_000.0] * 4), group("call", [20_000.0] * 4, direction="back"),
        ), {2: WAKE},
    )  # fmt: skip
    assert (one.cut, one.round, one.faults, one.calls) == ("k0", 1, 100, 8)
    assert one.boot == "2026-11-26 boot 1"
    assert one.idle == pytest.approx(1000.0)
    v = one.values
    assert v["call"] == pytest.approx(40_000.0)
    # Ten of a hundred waited for 30 us.
    assert v["wait"] == pytest.approx(3000.0)
    assert v["blocked"] == pytest.approx(0.1)
    assert v["faults"] == pytest.approx(100 / 2e-3)
    assert v["p90"] == pytest.approx(31_000.0)
    # 30 us a call on average, and 12.5 faults a call with 3 us each.
    assert v["lost"] == pytest.approx(30_000.0 + 12.5 * 3000.0)


def test_too_few_faults_in_calls_have_no_quantiles() -> None:
    (one,) = slices(
        table(group("idle", [1000.0] * 80), group("during", [5000.0] * 3), group("call", [1e4] * 4)),
        {2: WAKE},
    )  # fmt: skip
    assert np.isnan(one.values["p50"])
    assert np.isfinite(one.values["wait"])


def test_other_callers_and_guests_that_were_not_predicted_are_left_alone() -> None:
    other = group("idle", [1000.0] * 30, writer="munmap")
    assert slices(table(other), {2: WAKE}) == []
    assert slices(table(group("idle", [1000.0] * 30)), {4: WAKE}) == []


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"debug": True}, "checks its locks"),
        ({"lab": False}, "not measured in the kernel laboratory"),
    ],
)
def test_what_is_no_measurement_of_the_laboratory_is_refused(
    made: dict[str, bool], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        slices(table(group("idle", [1000.0] * 30), **made), {2: WAKE})


def test_undisturbed_faults_are_taken_from_slices_without_a_cut(point: Any) -> None:
    some = table(
        group("idle", [1000.0] * 50, cut="none"), group("idle", [9000.0] * 50),
        group("during", [5000.0] * 50, cut="none"),
    )  # fmt: skip
    assert idle_law(some, point) == pytest.approx(np.full(200, 1000.0))
    with pytest.raises(InputError, match="no fault without a call"):
        idle_law(table(group("idle", [9000.0] * 50)), point)


def test_a_caller_that_never_had_its_cpu_leaves_the_rest_known() -> None:
    (one,) = slices(table(group("idle", [1000.0] * 30), group("disturbed", [9e6] * 30)), {2: WAKE})
    assert one.calls == 0
    assert np.isnan(one.values["call"])
    assert np.isnan(one.values["lost"])
    assert one.values["blocked"] == pytest.approx(0.5)
