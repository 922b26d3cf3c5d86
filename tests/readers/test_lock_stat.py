"""/proc/lock_stat in both versions, also wrapped and quoted in a mail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from perfmodel.errors import InputError

from .aggregates import FOLDER, fixture, one, reasons, warnings, written

if TYPE_CHECKING:
    from pathlib import Path


def test_version_4() -> None:
    table = fixture("lock_stat-0.4.txt")
    hold = one(table, "exclusive", lock="mmap_lock")
    assert hold.moments is not None
    assert hold.moments.count == 2_922_365
    assert hold.mean == pytest.approx(17464026916.32 * 1e3 / 2_922_365)
    assert (hold.moments.minimum, hold.moments.maximum) == (160, pytest.approx(2220301690))
    assert hold.source.evidence == "D"
    shared = one(table, "shared", lock="mmap_lock")
    assert (shared.total, shared.mean, shared.conditions["mode"]) == (1_000_000, 250, "read")
    waits = table.select(phase="wait").groups
    assert [(g.total, g.conditions["mode"]) for g in waits] == [(84, "write"), (100, "read")]
    assert all(g.conditions["contended_only"] for g in waits)
    report = table.reports[0]
    assert (report.holds_exclusive, report.holds_shared, report.waits) == (2922375, 1000000, 184)


def test_a_class_taken_in_one_mode_only() -> None:
    group = one(fixture("lock_stat-0.4.txt"), lock="fs/file_table.c:26 #2")
    assert (group.phase, group.total, group.mean) == ("exclusive", 10, 500)


def test_that_lockdep_inflates_is_said() -> None:
    table = fixture("lock_stat-0.4.txt")
    assert "use ratios, not nanoseconds" in warnings(table)
    assert all(g.conditions["instrumented"] == "lockdep" for g in table.groups)


def test_version_3_wrapped_and_quoted() -> None:
    table = fixture("lock_stat-0.3-mail.txt")
    hold = one(table, "exclusive")
    assert (hold.total, hold.mean, hold.conditions["class"]) == (5000, 3000, "&mm->mmap_sem")
    assert hold.conditions["lock"] == "mmap_lock"
    assert one(table, "shared").mean == 500
    assert one(table, "wait", mode="read").mean == 40_000


@pytest.mark.parametrize("width", [60, 100, 130, 200])
def test_rows_wrapped_at_any_width_read_the_same(tmp_path: Path, width: int) -> None:
    import textwrap

    text = (FOLDER / "lock_stat-0.4.txt").read_text()
    rows = [
        "\n".join(textwrap.wrap(line, width, break_long_words=False))
        if ">mmap_lock-" in line
        else line
        for line in text.splitlines()
    ]
    wrapped = written(tmp_path, "\n".join(rows) + "\n")
    whole = fixture("lock_stat-0.4.txt")
    assert [g.moments for g in wrapped.groups] == [g.moments for g in whole.groups]


HEAD = "lock_stat version 0.4\n"
GOOD = "a: 0 1 1.00 1.00 1.00 1.00 0 2 1.00 3.00 4.00 2.00\n"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("b: 0 1 1.00 1.00 1.00 1.00 0 2 1.00 3.00 4.00", "11 numbers where there should be 12"),
        ("b: 0 1 1.00 1.00 1.00 1.00 0 2 1.00 3.00 4.00 2.50", "holdtime-avg is not"),
        ("b: 0 1 1.00 1.00 1.00 1.00 0 2 1.00 9.00 4.00 2.00", "longer than all together"),
        ("b: 0 1 1.00 1.00 1.00 1.00 0 2 2.50 3.00 4.00 2.00", "least time"),
        ("b: 0 0 0.00 0.00 0.00 0.00 0 0 0.00 0.00 0.00 0.00", "it counts no event"),
        ("b: 0 1.5 1.00 1.00 1.50 1.00 0 2 1.00 3.00 4.00 2.00", "1.5 contentions"),
        ("b: 0 1 1.0.0 1.00 1.00 1.00 0 2 1.00 3.00 4.00 2.00", "not all of its cells"),
        ("what is this", "no row of a class"),
    ],
)
def test_rows_that_cannot_be_true(tmp_path: Path, row: str, reason: str) -> None:
    table = written(tmp_path, f"{HEAD}{GOOD}{row}\n{GOOD.replace('a:', 'c:')}")
    assert [g.conditions["lock"] for g in table.groups] == ["a", "a", "c", "c"]
    assert reasons(table).startswith("3: ") and reason in reasons(table)


def test_other_versions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"version 0\.5 is not known"):
        written(tmp_path, "lock_stat version 0.5\n" + GOOD)


def test_lockdep_that_turned_itself_off_is_said(tmp_path: Path) -> None:
    text = (
        "lock_stat version 0.4\n*WARNING* lock debugging disabled!! - possibly due to a warning\n"
    )
    assert "turned itself off" in warnings(written(tmp_path, text + GOOD))
