"""What the readers of aggregates share: numbers, names, units, the account of lines."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.observations import Moments
from perfmodel.readers import names
from perfmodel.readers.reading import Reading, moments, number, plain, unquoted
from perfmodel.readers.throughput.rates import cost


@pytest.mark.parametrize(
    ("text", "value"),
    [("1.2e4", 12000.0), ("1.200000e+04", 12000.0), ("7", 7.0), (".5", 0.5), ("-3.", -3.0)],
)
def test_numbers(text: str, value: float) -> None:
    assert number(text) == value == number(text.encode())


@pytest.mark.parametrize(
    "text", ["", "nan", "inf", "1_000", "1,5", "0x10", "1e999", "1e", "٣", " 1"]
)
def test_what_is_no_number(text: str) -> None:
    assert number(text) is None


@given(st.text() | st.binary())
def test_names_are_printable(text: str | bytes) -> None:
    name = plain(text)
    assert name.isprintable() and len(name) <= 200
    name.encode()


@pytest.mark.parametrize(
    ("symbol", "operation"),
    [
        ("__x64_sys_mprotect+0x1b", "mprotect"),
        ("__arm64_sys_munmap", "munmap"),
        ("do_mprotect_pkey+0xff", "mprotect"),
        ("exc_page_fault+0...", "page_fault"),
        ("__x64_sys_madvise+0x1", "unknown"),
        ("do_munmap+0x3", "unknown"),
        ("mprotect_fixup+0x3", "unknown"),
        ("up_read+0x94", "unknown"),
    ],
)
def test_operations_of_symbols(symbol: str, operation: str) -> None:
    assert names.of_symbol(symbol) == operation


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("hold_ns", 1.0), ("hold_us_lin", 1e3), ("wait_ms", 1e6), ("lat_usecs", 1e3),
        ("status", None), ("columns", None), ("us_to_ns", None), ("hold_stats", None),
    ],
)  # fmt: skip
def test_units_of_names(name: str, unit: float | None) -> None:
    assert names.unit_of(name) == unit


@pytest.mark.parametrize(
    ("name", "phase"),
    [
        ("wait_ns", "wait"), ("whold_ns", "exclusive"), ("hold_write_us", "exclusive"),
        ("r_hold_ns", "shared"), ("hold_ns", "hold"), ("lat_ns", "latency"), ("x_ns", "unknown"),
        ("threshold_ns", "unknown"),
    ],
)  # fmt: skip
def test_phases_of_names(name: str, phase: str) -> None:
    assert names.phase_of_map(name) == phase


def test_quotes_of_mails() -> None:
    assert unquoted(b"> > 1 > 2\n") == b"1 > 2\n"
    assert unquoted(b"    1\n") == b"    1\n"


def test_moments_that_cannot_be_true() -> None:
    assert isinstance(moments(3, 10.0, 5.0, 20.0, 1.0, total=30.0), Moments)
    bad = [
        (0, 10.0), (1, -1.0), (1, math.nan), (1, math.inf), (1, 10.0, 90.0),
        (1, 100.0, math.nan, 9.0), (1, 10.0, -1.0), (2, 10.0, 1.0, 11.0, -1.0),
        (2, 10.0, 1.0, math.inf), (2, 100.0, 1.0, 300.0, 1.0, 200.0),
    ]  # fmt: skip
    for values in bad:
        assert isinstance(moments(*values), str), values


def test_cost_weights_samples_by_time() -> None:
    found = cost([100.0, 300.0], tasks=2)
    assert isinstance(found, Moments)
    # Two seconds, 400 operations, two tasks.
    assert found.mean == pytest.approx(1e9 * 2 * 2 / 400)
    for rates, tasks in (
        ([], 1),
        ([0.0], 1),
        ([-1.0], 1),
        ([math.nan], 1),
        ([1.0], 0),
        ([1e300], 1),
    ):
        assert isinstance(cost(rates, tasks), str)


def test_the_account_keeps_a_bounded_list() -> None:
    reading = Reading(Path("x"), "name", "D")
    for line in range(1, 2001):
        reading.skip(line, "bad")
    assert reading.lines_skipped == 2000
    assert len(reading.skipped) == 1001
    assert reading.skipped[-1].reason == "1000 more lines from here on"
    with pytest.raises(InputError, match="nothing in it could be used as name: bad"):
        reading.table()


def test_nothing_found_and_nothing_wrong() -> None:
    report = Reading(Path("x"), "name", "D").table().reports[0]
    assert report.warnings == ("it holds no observation",)
