"""lmbench: times, and the section that a row of two numbers belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .aggregates import fixture, one, reasons, warnings, written

if TYPE_CHECKING:
    from pathlib import Path


def test_times() -> None:
    table = fixture("lmbench.txt")
    fault = one(table, testcase="Pagefaults on f64")
    assert (fault.operation, fault.mean, fault.source.evidence) == ("page_fault", 581.8, "E")
    # The time of a signal for a write to a protected page, not of mprotect.
    assert one(table, testcase="Protection fault").operation == "unknown"
    assert len(table.groups) == 4


def test_rows_without_their_heading_say_nothing() -> None:
    assert reasons(fixture("lmbench.txt")).count("below no heading") == 5


def test_sections() -> None:
    table = fixture("lmbench-sections.txt")
    mapping = one(table, bytes=1_048_576)
    assert (mapping.conditions["testcase"], mapping.mean) == ("mappings", 60_000)
    assert "2 rows below 'File /tmp/XXX write bandwidth' are not of mappings" in warnings(table)
    assert len(table.groups) == 5


@pytest.mark.parametrize("row", ["0 34", "1.0 -3", "x 3", "1.0.0 3", "1e300 3"])
def test_bad_rows(tmp_path: Path, row: str) -> None:
    table = written(tmp_path, f'"mappings\n0.524288 34\n{row}\n')
    assert len(table.groups) == 1
    assert reasons(table).startswith("3: ")
