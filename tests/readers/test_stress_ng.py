"""stress-ng: YAML and log, old and new."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .aggregates import FOLDER, fixture, one, reasons, written

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["stress-ng.yaml", "stress-ng.log"])
def test_the_two_agree(name: str) -> None:
    table = fixture(name)
    fault = one(table, stressor="fault", metric="nanosecs per page fault")
    assert fault.operation == "page_fault"
    assert fault.mean == pytest.approx(3594.35, abs=0.01)
    assert (fault.conditions["tasks"], fault.conditions["pages_per_op"]) == (1, 1)
    bogo = one(table, stressor="mprotect")
    assert (bogo.operation, bogo.phase, bogo.source.evidence) == ("unknown", "cost", "E")
    assert bogo.mean == pytest.approx(1e9 / 197225.83, rel=1e-6)
    assert bogo.conditions["operations"] == 606_985
    assert len(table.groups) == 7


@pytest.mark.parametrize("name", ["stress-ng.yaml", "stress-ng.log"])
def test_a_fault_with_a_handler_is_no_plain_fault(name: str) -> None:
    group = one(fixture(name), stressor="userfaultfd", metric="nanosecs per page fault")
    assert group.operation == "unknown"
    assert group.mean == pytest.approx(149391.69, abs=0.01)


@pytest.mark.parametrize("name", ["stress-ng.yaml", "stress-ng.log"])
def test_rates_that_are_no_cost_are_reported(name: str) -> None:
    assert reasons(fixture(name)).count("is no time per operation") == 2


def test_yaml_tells_the_kernel() -> None:
    (facts,) = fixture("stress-ng.yaml").machines.values()
    assert facts["machine"] == {"kernel": {"release": "6.18.44-fc-v669"}, "cpu": {"count": 2}}


def test_yaml_of_new_releases_with_exponents_and_several_instances() -> None:
    table = fixture("stress-ng-new.yaml")
    bogo = one(table, metric="bogo operation")
    assert (bogo.conditions["tasks"], bogo.mean) == (4, pytest.approx(1e9 * 4 / 1.2e4))
    assert one(table, metric="nanosecs per page fault").mean == 1500


def test_instances_that_cannot_be_worked_out(tmp_path: Path) -> None:
    text = (FOLDER / "stress-ng-new.yaml").read_text().replace("50.000000", "0.000000")
    table = written(tmp_path, text)
    assert "fault: how many instances ran is not told" in reasons(table)
    assert one(table).conditions["metric"] == "nanosecs per page fault"
    assert "tasks" not in one(table).conditions


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("      bogo-ops: 1", "a key that stands twice"),
        ("      odd: [1, 2]", "no number"),
        ("      anchor: &a 3", "no number"),
        ("    - other: 3", "an item that names no stressor"),
        ("!!python/object/apply:os.system ['true']", "no line of stress-ng's YAML"),
    ],
)
def test_yaml_of_another_shape_is_reported(tmp_path: Path, line: str, reason: str) -> None:
    text = (FOLDER / "stress-ng-new.yaml").read_text().replace("\n\n...", f"\n{line}\n...")
    table = written(tmp_path, text)
    assert len(table.groups) == 2
    assert reasons(table).startswith("17: ") and reason in reasons(table)


def test_old_log_takes_the_instances_from_the_hogs() -> None:
    (group,) = fixture("stress-ng-old.log").groups
    assert group.conditions["tasks"] == 4
    assert group.mean == pytest.approx(1e9 * 4 / 120_000)


def test_log_without_hogs(tmp_path: Path) -> None:
    lines = (FOLDER / "stress-ng.log").read_text().splitlines(keepends=True)
    table = written(tmp_path, "".join(x for x in lines if "hogs" not in x))
    # 0.02 + 0.35 s of CPU time and 12.15 % of 3.01 s: one instance.
    assert one(table, stressor="fault", metric="bogo operation").conditions["tasks"] == 1
    old = (FOLDER / "stress-ng-old.log").read_text().splitlines(keepends=True)
    more = written(tmp_path, "".join(x for x in [*lines, *old] if "hogs" not in x))
    assert reasons(more).count("how many instances ran is not told") == 1
