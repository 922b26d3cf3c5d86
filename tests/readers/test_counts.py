"""perf stat, perf trace -s and strace -c: counts, and nothing of the times of the last two."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import pytest

from perfmodel.errors import InputError

from .aggregates import FOLDER, fixture, one, reasons, warnings, written

if TYPE_CHECKING:
    from pathlib import Path


def test_perf_stat() -> None:
    table = fixture("perf-stat-x.csv")
    faults = one(table, event="page-faults")
    assert (faults.operation, faults.phase, faults.total) == ("page_fault", "count", 826)
    assert math.isnan(faults.mean)
    assert one(table, event="mmap_lock:mmap_lock_released").total == 327
    assert reasons(table) == "6: cycles is not supported"
    assert table.reports[0].evidence == "F"


def test_perf_stat_of_repeated_runs() -> None:
    table = fixture("perf-stat-r.csv")
    assert one(table).conditions["spread_between_runs"] == pytest.approx(0.012)
    assert "task-clock is in msec: no count of events" in reasons(table)


def test_perf_stat_by_interval_and_cpu() -> None:
    table = fixture("perf-stat-I-A.csv")
    assert sorted({g.conditions["where"] for g in table.groups}) == ["CPU0", "CPU1"]
    assert len({g.conditions["interval_end_s"] for g in table.groups}) == 3
    counts = re.findall(r"CPU\d;(\d+);;page-faults", (FOLDER / "perf-stat-I-A.csv").read_text())
    assert [g.total for g in table.groups] == [int(c) for c in counts]


def test_perf_stat_json() -> None:
    table = fixture("perf-stat-j.jsonl")
    assert [g.total for g in table.groups] == [51, 50, 1]
    assert one(table, event="minor-faults").operation == "page_fault"


def test_scaled_counts_are_pointed_out(tmp_path: Path) -> None:
    table = written(tmp_path, "1000,,cycles,5000,43.20,,\n")
    assert "cycles was counted 43.2 % of the time and scaled" in warnings(table)
    assert table.groups[0].conditions["counted_percent"] == 43.2


def test_perf_trace_gives_counts_only() -> None:
    table = fixture("perf-trace-s.txt")
    assert all(math.isnan(g.mean) and g.phase == "count" for g in table.groups)
    assert one(table, operation="mprotect", tid=13927).total == 120
    rows = [x.split() for x in (FOLDER / "perf-trace-s.txt").read_text().splitlines()]
    calls = sum(int(r[1]) for r in rows if len(r) == 8 and r[7].endswith("%"))
    assert table.reports[0].events == calls
    assert "only the counts are used" in warnings(table)
    # Which ioctl or madvise it was is not told.
    assert {g.operation for g in table.select(syscall="ioctl").groups} == {"unknown"}


def test_perf_trace_of_old_releases_without_errors(tmp_path: Path) -> None:
    text = (
        " a b (12), 34 events, 5.8%\n\n"
        "   syscall            calls    total       min       avg       max      stddev\n"
        "                               (msec)    (msec)    (msec)    (msec)        (%)\n"
        "   --------------- -------- --------- --------- --------- ---------     ------\n"
        "   mprotect               4     0.120     0.013     0.015     0.024      9.04%\n"
    )
    (group,) = written(tmp_path, text).groups
    assert (group.total, group.conditions["comm"]) == (4, "a b")
    assert "errors" not in group.conditions


def test_strace() -> None:
    table = fixture("strace-c.txt")
    rows = (FOLDER / "strace-c.txt").read_text().splitlines()
    told = int(rows[-1].split()[3])
    assert rows[-1].endswith("total")
    assert table.reports[0].events == told
    assert one(table, operation="mmap").total == 30
    assert one(table, syscall="openat").conditions["errors"] == 13
    assert all(math.isnan(g.mean) for g in table.groups)
    assert not any("rows are missing" in w for w in table.reports[0].warnings)


def test_strace_notices_a_missing_row(tmp_path: Path) -> None:
    lines = (FOLDER / "strace-c.txt").read_text().splitlines(keepends=True)
    table = written(tmp_path, "".join(lines[:4] + lines[5:]))
    assert "rows are missing or damaged" in warnings(table)


@pytest.mark.parametrize(
    "row", ["mprotect 0 0 0 0 0 0 0%", "mprotect 1 2 0 0 0 0 0%", "mprotect 1 0 0%"]
)
def test_rows_that_cannot_be_true(tmp_path: Path, row: str) -> None:
    head = "   syscall            calls  errors  total       min       avg       max       stddev\n"
    with pytest.raises(InputError, match="perf_trace_summary"):
        written(tmp_path, f"{head}   {row}\n")
