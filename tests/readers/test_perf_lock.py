"""perf lock contention and report: tables with a unit in each cell, and comma-separated ns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from perfmodel.errors import InputError

from .aggregates import fixture, one, reasons, written

if TYPE_CHECKING:
    from pathlib import Path


def test_contention_table() -> None:
    table = fixture("perf-lock-contention.txt")
    assert len(table.groups) == 12
    write = one(table, caller="__x64_sys_mprotect+0x1b")
    assert (write.operation, write.phase, write.source.evidence) == ("mprotect", "wait", "D")
    assert write.conditions["lock"] == "mmap_lock"
    assert write.conditions["mode"] == "write"
    assert write.moments is not None
    assert (write.moments.count, write.mean, write.moments.maximum) == (14, 190_460, 2_540_000)
    faults = table.select(operation="page_fault", lock="mmap_lock", mode="read").groups
    assert [g.moments.maximum for g in faults if g.moments] == [2_560_000, 134_160]
    assert table.reports[0].waits == 45


def test_a_spinlock_is_not_the_mmap_lock() -> None:
    table = fixture("perf-lock-contention.txt")
    assert one(table, caller="up_read+0x94").conditions["lock"] == "spinlock"
    # A rwsem of a caller that may be any system call.
    assert one(table, caller="do_syscall_64+0x71").conditions["lock"] == "rwsem"
    assert one(table, caller="do_syscall_64+0x71").operation == "unknown"


def test_by_thread_and_by_address() -> None:
    threads = fixture("perf-lock-contention-t.txt")
    assert [g.conditions["comm"] for g in threads.groups] == ["w-mprotect", "w fault 2"]
    assert [g.mean for g in threads.groups] == [190_000, 400_000]
    addresses = fixture("perf-lock-contention-l.txt")
    assert one(addresses, symbol="mmap_lock").conditions["lock"] == "mmap_lock"
    assert one(addresses, address="ffff92615d6448b8").conditions["lock"] == "unknown"


def test_csv() -> None:
    table = fixture("perf-lock-contention-x.csv")
    write = one(table, mode="write")
    assert (write.operation, write.total, write.mean) == ("mprotect", 3, 19_538)
    read = one(table, mode="read")
    assert (read.operation, read.conditions["lock"]) == ("page_fault", "mmap_lock")


@pytest.mark.parametrize("separator", [";", "|", "\t"])
def test_csv_with_another_separator(tmp_path: Path, separator: str) -> None:
    columns = ["contended", "total wait", "max wait", "avg wait", "pid", "comm"]
    cells = ["2", "800", "500", "400", "13929", f"a{separator} b"]
    text = f"# output: {f'{separator} '.join(columns)}\n{f'{separator} '.join(cells)}\n"
    (group,) = written(tmp_path, text).groups
    assert (group.total, group.mean, group.conditions["pid"]) == (2, 400, "13929")


def test_report_counts_acquisitions_and_waits() -> None:
    table = fixture("perf-lock-report.txt")
    wait = one(table, "wait", caller="exc_page_fault+0...")
    assert wait.moments is not None
    assert (wait.moments.count, wait.mean) == (17, 324_430)
    assert (wait.moments.minimum, wait.moments.maximum) == (4350, 2_560_000)
    assert wait.conditions["lock"] == "unknown"
    assert one(table, "count", caller="exc_page_fault+0...").total == 17


def test_report_of_old_releases_in_bare_ns() -> None:
    table = fixture("perf-lock-report-old.txt")
    wait = one(table, "wait")
    assert (wait.conditions["lock"], wait.mean, wait.total) == ("mmap_lock", 1830, 30)
    assert one(table, "count", lock="mmap_lock").total == 12_000
    assert one(table, "count", lock="&rq->__lock").total == 500  # never contended: no wait


HEADING = " contended   total wait     max wait     avg wait         type   caller\n"
GOOD = "         2     40.00 us     30.00 us     20.00 us      rwsem:W   vm_mmap_pgoff+0x9\n"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("  2     40.00 us     30.00 us     30.00 us      rwsem:W   f+0x9", "do not last"),
        ("  2     40.00 us     50.00 us     20.00 us      rwsem:W   f+0x9", "longer than all"),
        ("  9     90.00 us      3.00 us     10.00 us      rwsem:W   f+0x9", "greatest time"),
        ("  0     0.00 ns      0.00 ns      0.00 ns      rwsem:W   f+0x9", "no event"),
        (" 1.5     40.00 us     30.00 us     20.00 us      rwsem:W   f+0x9", "no count"),
        ("  2     40.00 us     30.00 us", "cut or malformed"),
        ("  2     40.00 us     30.00 us     20.00 us      rwsem:W", "cut or malformed"),
        ("anything", "cut or malformed"),
    ],
)
def test_rows_that_cannot_be_true(tmp_path: Path, row: str, reason: str) -> None:
    table = written(tmp_path, f"{HEADING}\n{GOOD}{row}\n")
    assert [g.operation for g in table.groups] == ["mmap"]
    assert reasons(table).startswith("4: ") and reason in reasons(table)


def test_nothing_usable_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing in it could be used as perf_lock") as error:
        written(tmp_path, f"{HEADING}\nnonsense\n")
    assert error.value.line == 3


@pytest.mark.parametrize(
    ("cell", "ns"),
    [("7 ns", 7), ("7.00 us", 7e3), ("7.00 ms", 7e6), ("7.00 s ", 7e9), ("7.00 m ", 420e9)],
)
def test_units(tmp_path: Path, cell: str, ns: float) -> None:
    row = f"  1   {cell}   {cell}   {cell}   mutex   f+0x9\n"
    assert written(tmp_path, HEADING + row).groups[0].mean == pytest.approx(ns)
