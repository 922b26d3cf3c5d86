"""perf bench, default and simple."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from perfmodel.errors import InputError

from .aggregates import fixture, one, reasons, warnings, written

if TYPE_CHECKING:
    from pathlib import Path


def test_cost_of_an_operation() -> None:
    (group,) = fixture("perf-bench-syscall.txt").groups
    assert (group.phase, group.mean) == ("cost", 102.4)
    assert group.conditions["testcase"] == "syscall/basic"


def test_benchmarks_in_a_row() -> None:
    table = fixture("perf-bench-others.txt")
    messaging = one(table, testcase="sched/messaging")
    assert (messaging.phase, messaging.mean) == ("latency", 34e6)
    assert one(table, testcase="sched/pipe").mean == pytest.approx(48_379)
    hashed = one(table, testcase="futex/hash")
    assert (hashed.mean, hashed.conditions["tasks"]) == (pytest.approx(1e9 / 4_149_248), 2)
    assert one(table, testcase="futex/wake").mean == pytest.approx(50_800)
    assert reasons(table).count("a bandwidth is no cost") == 4


def test_simple_says_that_it_says_little() -> None:
    table = fixture("perf-bench-simple.txt")
    (group,) = table.groups
    assert (group.operation, group.phase, group.mean) == ("unknown", "latency", 10e6)
    assert "which benchmark and how many operations is not told" in warnings(table)


@pytest.mark.parametrize("text", ["0.1\n", "1\n2\n3\n", "0.108 x\n", "25450873786.407768\n"])
def test_numbers_of_another_shape_are_not_taken(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="no known format"):
        written(tmp_path, text)


def test_commas_between_thousands(tmp_path: Path) -> None:
    text = "# Running 'a/b' benchmark:\n     Total time: 1.024 [sec]\n\n  1,000.5 usecs/op\n"
    table = written(tmp_path, text)
    assert one(table).mean == pytest.approx(1_000_500)
