"""Maps that bpftrace printed: as text, as JSON, more than once, without a unit, with open ends."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from perfmodel.errors import InputError

from .aggregates import FOLDER, fixture, one, reasons, warnings, written

if TYPE_CHECKING:
    from pathlib import Path

BAR = "|@@@@@@@@@@|"


def test_text_has_every_value_of_the_file() -> None:
    table = fixture("bpftrace.txt")
    by_map: dict[str, int] = {}
    for line in (FOLDER / "bpftrace.txt").read_text().splitlines():
        if line.startswith("@"):
            name = line.split("[")[0].split(":")[0]
        elif line.startswith("["):
            by_map[name] = by_map.get(name, 0) + int(line.split(")")[1].split()[0])
    for name, total in by_map.items():
        assert sum(g.total for g in table.groups if g.conditions["map"] == name) == total
    assert set(by_map) == {"@hold_ns", "@hold_us_lin", "@wait_ns", "@whold_ns"}


def test_bins_are_closed_intervals_of_whole_nanoseconds() -> None:
    table = fixture("bpftrace.txt")
    hold = one(table, map="@hold_ns", key="1")
    assert (hold.operation, hold.phase, hold.source.evidence, hold.line) == (
        "unknown",
        "hold",
        "C",
        4,
    )
    assert (hold.low[0], hold.high[0], hold.count[0]) == (256, 511, 3)
    assert (hold.low[1], hold.high[1], hold.count[1]) == (
        1024,
        2047,
        68,
    )  # the empty bin is left out
    wait = one(table, map="@wait_ns", key="0")
    assert (wait.phase, wait.total, wait.low[0], wait.count[0]) == ("wait", 576, 256, 496)
    micro = one(table, map="@hold_us_lin")
    assert (micro.low[1], micro.high[1]) == (5000, 9999)


def test_text_and_json_of_the_same_map_agree_in_their_bins() -> None:
    text, lines = fixture("bpftrace.txt"), fixture("bpftrace.jsonl")
    for name in ("@hold_ns", "@wait_ns"):
        a, b = one(text, map=name, key="1"), one(lines, map=name, key="1")
        common = set(zip(a.low, a.high, strict=True)) & set(zip(b.low, b.high, strict=True))
        assert len(common) >= 6


def test_json_has_every_value_of_the_file() -> None:
    table = fixture("bpftrace.jsonl")
    for line in (FOLDER / "bpftrace.jsonl").read_text().splitlines():
        record = json.loads(line)
        if record["type"] != "hist":
            continue
        ((name, value),) = record["data"].items()
        bins = [b for v in (value.values() if isinstance(value, dict) else [value]) for b in v]
        usable = sum(b["count"] for b in bins if b.get("min", 0) >= 0)
        assert sum(g.total for g in table.groups if g.conditions["map"] == name) == usable
    assert "@whold_ns: 18 values in the bin [-2147483648, 1): no duration is negative" in reasons(
        table
    )


def test_a_map_without_a_unit_does_not_spoil_the_others() -> None:
    table = fixture("bpftrace.txt")
    assert "31: @hold_stats with 13 entries: the map's name does not say its unit" in reasons(table)
    assert len(table.reports[0].skipped) == 1
    assert not [g for g in table.groups if g.conditions["map"] == "@hold_stats"]
    assert len(table.groups) == 7


def test_only_maps_without_a_unit_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not say its unit.*_ns, _us or _ms") as error:
        written(tmp_path, f"@hold: \n[1, 2)  3 {BAR}\n")
    assert error.value.line == 1


def test_open_last_bin_has_no_bound_and_quantiles_stay_sane() -> None:
    table = fixture("bpftrace.txt")
    micro = one(table, map="@hold_us_lin")
    assert (micro.low[-1], micro.high[-1], micro.count[-1]) == (50_000, math.inf, 5)
    assert micro.quantile(0.0) == 0
    assert micro.quantile(0.5) == pytest.approx(867 / 2 / 651 * 4999)
    inside = (867 - 5) / 867
    assert micro.quantile(inside) <= 50_000
    assert micro.quantile(0.999) == math.inf
    assert micro.mean == math.inf
    assert "5 of 867 values are beyond the last bin" in warnings(table)


def test_nothing_but_an_open_bin_is_skipped(tmp_path: Path) -> None:
    table = written(tmp_path, f"@a_ns: \n[50, ...)  3 {BAR}\n\n@b_ns: \n[4, 8)  3 {BAR}\n")
    assert "@a_ns: all 3 values are beyond the last bin" in reasons(table)
    assert [g.conditions["map"] for g in table.groups] == ["@b_ns"]


def test_underflow_is_bounded_by_zero(tmp_path: Path) -> None:
    group = written(tmp_path, f"@a_us: \n(..., 10)  3 {BAR}\n[10, 20)  1 {BAR}\n").groups[0]
    np.testing.assert_array_equal(group.low, [0, 10_000])
    np.testing.assert_array_equal(group.high, [9_999, 19_999])


def test_a_value_far_from_the_rest_is_pointed_out() -> None:
    assert "@whold_ns: 1 value of 2.15e+09 ns or more, far from the rest" in warnings(
        fixture("bpftrace.txt")
    )


def test_mixed_output() -> None:
    table = fixture("bpftrace-mixed.txt")
    exclusive = one(table, map="@w_hold_us")
    assert (exclusive.phase, exclusive.total) == ("exclusive", 96)
    assert (exclusive.low[0], exclusive.high[0]) == (0, 999)
    merged = one(table, map="@lat_ns")
    assert (merged.operation, merged.phase, merged.total) == ("mprotect", "latency", 7)
    np.testing.assert_array_equal(merged.count, [6, 1])
    stack = one(table, map="@wait_ns")
    assert (stack.operation, stack.total, stack.line) == ("page_fault", 7, 19)
    stats = one(table, map="@stats_ns")
    assert (stats.operation, stats.source.evidence) == ("brk", "D")
    assert stats.moments is not None
    assert (stats.moments.count, stats.mean) == (4, 1003 / 4)
    assert table.reports[0].lost == 12
    said = reasons(table)
    assert "2: no line of a map: 'hello from the traced program'" in said
    assert "@w_hold_us: 2 values in the bin (..., 0)" in said
    assert "@sum_ns: a single number of a map of times" in said


def test_running_totals_are_not_added_up() -> None:
    table = fixture("bpftrace-mixed.txt")
    faults = one(table, map="@faults")
    assert (faults.total, faults.phase, faults.source.evidence) == (250, "count", "F")
    assert math.isnan(faults.mean)
    assert "3: @faults: a running total that line 4 contains" in reasons(table)


def test_maps_that_were_cleared_between_printings_are_kept_apart(tmp_path: Path) -> None:
    line = '{"type": "hist", "data": {"@w_ns": [{"min": 1, "max": 1, "count": %d}]}}\n'
    table = written(tmp_path, line % 5 + line % 3 + line % 9)
    assert [g.total for g in table.groups] == [5, 3, 9]
    assert [g.conditions["printing"] for g in table.groups] == [0, 1, 2]
    grown = written(tmp_path, line % 5 + line % 5 + line % 9)
    assert [g.total for g in grown.groups] == [9]
    assert len(grown.reports[0].skipped) == 2


def test_keys_that_stand_twice_in_one_object_are_merged() -> None:
    table = fixture("bpftrace-repeated-keys.jsonl")
    mprotect = one(table, map="@wait_ns", key="mprotect,1")
    assert (mprotect.operation, mprotect.total) == ("mprotect", 18)
    np.testing.assert_array_equal(mprotect.low, [256, 512])
    np.testing.assert_array_equal(mprotect.count, [3, 15])
    held = one(table, map="@hold_us")
    assert held.moments is not None
    assert (held.moments.count, held.mean) == (5, 6400)  # (11 + 21) us / 5
    assert one(table, map="@calls", key="a").total == 6
    assert one(table, map="@wait_ns", key="munmap,1").low[0] == 0
    assert table.reports[0].lost == 12


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f"[8, 4)  3 {BAR}", "ends before it begins"),
        (f"[1, 3)  3 {BAR}", "overlaps"),
        ("[8, 16)  3", "cut or malformed"),
        (f"[8, 16)  x {BAR}", "cut or malformed"),
        (f"(..., ...)  3 {BAR}", "without a bound"),
    ],
)
def test_bad_bins(tmp_path: Path, line: str, reason: str) -> None:
    table = written(tmp_path, f"@a_ns: \n[2, 4)  1 {BAR}\n{line}\n[1K, 2K)  2 {BAR}\n")
    assert reason in reasons(table)
    assert table.groups[0].total == 3


@pytest.mark.parametrize(
    "value",
    [
        '[{"min": 4, "max": 7}]',
        '[{"min": 4, "max": 3, "count": 1}]',
        '[{"min": 4, "max": 7, "count": -1}]',
        '[{"min": 4.5, "max": 7, "count": 1}]',
        '[{"count": 1}]',
        '[{"min": 4, "max": 7, "count": 1}, {"min": 6, "max": 9, "count": 1}]',
        '"text"',
        "[]",
    ],
)
def test_bad_json_histograms(tmp_path: Path, value: str) -> None:
    good = '{"type": "hist", "data": {"@b_ns": [{"min": 4, "max": 7, "count": 1}]}}\n'
    table = written(
        tmp_path, good + '{"type": "hist", "data": {"@a_ns": VALUE}}\n'.replace("VALUE", value)
    )
    assert [g.conditions["map"] for g in table.groups] == ["@b_ns"]
    assert len(table.reports[0].skipped) >= 1


def test_two_units_in_a_name_are_none(tmp_path: Path) -> None:
    text = f"@us_to_ns: \n[1, 2)  3 {BAR}\n\n@b_ns: \n[4, 8)  3 {BAR}\n"
    assert "@us_to_ns with 1 entry: the map's name does not say its unit" in reasons(
        written(tmp_path, text)
    )
