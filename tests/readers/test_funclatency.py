"""Histograms of funclatency."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .aggregates import fixture, one, reasons, warnings, written

if TYPE_CHECKING:
    from pathlib import Path


def test_one_function() -> None:
    (group,) = fixture("funclatency.txt").groups
    assert (group.operation, group.phase, group.source.evidence) == ("mprotect", "latency", "C")
    assert group.conditions["function"] == "do_mprotect_pkey"
    np.testing.assert_array_equal(group.low, [0, 2000, 4000, 16_000])
    np.testing.assert_array_equal(group.high, [1999, 3999, 7999, 31_999])
    np.testing.assert_array_equal(group.count, [12, 420, 63, 5])


def test_sections() -> None:
    table = fixture("funclatency-sections.txt")
    fault = one(table, function="exc_page_fault")
    assert (fault.operation, fault.total, fault.high[0]) == ("page_fault", 330, 1023)
    # handle_mm_fault is a part of a fault: not one itself.
    assert one(table, function="handle_mm_fault").operation == "unknown"


def test_a_count_that_does_not_agree_is_said(tmp_path: Path) -> None:
    text = (
        "     nsecs               : count     distribution\n"
        "         0 -> 1          : 5        |*****|\n"
        "         1 -> 3          : 5        |*****|\n"
        "avg = 1 nsecs, total: 10 nsecs, count: 10\n"
    )
    table = written(tmp_path, text)
    assert table.groups[0].total == 5
    assert "3: a bin that overlaps another" in reasons(table)
    assert "counts 10 calls, the bins before it 5" in warnings(table)
