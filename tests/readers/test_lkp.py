"""Mails of the 0-day robot and the results of lkp-tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from perfmodel.errors import InputError

from .aggregates import FOLDER, fixture, one, reasons, warnings, written

if TYPE_CHECKING:
    from pathlib import Path

BASE, PATCHED = "fedcba987654", "0123456789ab"


def test_throughput_of_both_commits() -> None:
    table = fixture("lkp-mail.txt")
    base, patched = (one(table, "cost", commit=c) for c in (BASE, PATCHED))
    assert base.mean == pytest.approx(1e9 / 53_967)
    assert patched.mean == pytest.approx(1e9 / 52_560)
    assert (base.operation, base.source.evidence) == ("page_fault", "E")
    assert base.conditions["testcase"] == "page_fault2"
    assert base.conditions["suite"] == "will-it-scale"
    assert base.conditions["mode"] == "threads"
    assert base.conditions["tasks"] == 104  # 100 % of the test machine's CPUs


def test_waits_for_the_lock() -> None:
    table = fixture("lkp-mail.txt")
    wait = one(table, "wait", commit=BASE, mode="write")
    assert (wait.operation, wait.source.evidence) == ("munmap", "D")
    assert wait.conditions["lock"] == "mmap_lock"
    assert wait.moments is not None
    assert (wait.moments.count, wait.mean) == (200, pytest.approx(140_000))
    assert wait.moments.maximum == pytest.approx(9.4e6)
    assert wait.conditions["spread_between_runs"] == pytest.approx(0.19)
    fault = one(table, "wait", commit=PATCHED, mode="read")
    assert (fault.operation, fault.mean) == ("page_fault", pytest.approx(112e6))
    assert fault.conditions["count_told"] is False  # a mean whose number is not told


def test_rows_of_no_use_are_counted() -> None:
    said = warnings(fixture("lkp-mail.txt"))
    assert "3 rows are of metrics that the kit has no use for" in said
    assert "1 perf-profile" in said


def test_quoted_with_a_spoilt_sign_and_three_commits() -> None:
    table = fixture("lkp-mail-quoted.txt")
    groups = table.select(stressor="mprotect").groups
    assert [g.conditions["commit"] for g in groups] == ["v6.8-rc1", "aaaaaaaaaaaa", "bbbbbbbbbbbb"]
    assert [g.mean for g in groups] == [
        pytest.approx(1e9 * 64 / rate) for rate in (1e6, 1.2e6, 1.21e6)
    ]
    assert groups[0].conditions["spread_between_runs"] == pytest.approx(0.03)
    assert "spread_between_runs" not in groups[2].conditions
    assert {g.operation for g in groups} == {"unknown"}


def test_quoted_printable_is_the_same_mail() -> None:
    packed, plain = fixture("lkp-mail-quoted-printable.txt"), fixture("lkp-mail.txt")
    assert [
        (g.operation, dict(g.conditions), g.moments.mean) for g in packed.groups if g.moments
    ] == [(g.operation, dict(g.conditions), g.moments.mean) for g in plain.groups if g.moments]


def test_base64_is_refused(tmp_path: Path) -> None:
    text = (
        "Subject: FYI, we noticed a regression\nContent-Transfer-Encoding: base64\n\n"
        "SGVsbG8sCgprZXJuZWwgdGVzdCByb2JvdA==\n"
    )
    with pytest.raises(InputError, match="base64") as error:
        written(tmp_path, text)
    assert error.value.line == 2


def test_an_attachment_in_base64_does_no_harm(tmp_path: Path) -> None:
    text = (FOLDER / "lkp-mail.txt").read_text()
    table = written(tmp_path, text + "\nContent-Transfer-Encoding: base64\n\nSGVsbG8=\n")
    assert len(table.groups) == len(fixture("lkp-mail.txt").groups)


def test_a_broken_row_is_reported(tmp_path: Path) -> None:
    text = (FOLDER / "lkp-mail.txt").read_text()
    table = written(
        tmp_path, text.replace("53967  ", "539x67 ").replace("0.14 ± 19%", "0.14 ± 1-%")
    )
    assert reasons(table).count("a row of metrics cut or malformed") == 2
    assert not table.select(phase="cost").groups


def test_a_row_cut_anywhere_is_not_taken_for_prose(tmp_path: Path) -> None:
    text = (FOLDER / "lkp-mail.txt").read_text()
    begin = text.index("      0.14")
    end = text.index("\n", begin)
    for cut in range(begin + 8, end):
        report = written(tmp_path, text[:cut]).reports[0]
        # A metric whose name is cut is one of those that there is no use for.
        others = "2 rows are of metrics" in " ".join(report.warnings)
        used = "its average is not told" not in " ".join(r.reason for r in report.skipped)
        assert report.skipped or others or (used and report.waits), text[begin:cut]


def test_rows_without_a_heading_are_reported(tmp_path: Path) -> None:
    lines = (FOLDER / "lkp-mail.txt").read_text().splitlines(keepends=True)
    with pytest.raises(InputError, match="below no line of %stddev"):
        written(tmp_path, "".join(x for x in lines if "%stddev" not in x))


def test_results() -> None:
    table = fixture("lkp.json")
    assert one(table, tasks=52).mean == pytest.approx(1e9 * 52 / 5_200_000)
    runs = one(table, "cost", mode="threads")
    assert runs.moments is not None
    assert (runs.moments.count, runs.mean) == (3, pytest.approx(1e9 / 100_000))
    assert runs.moments.minimum == pytest.approx(1e9 / 110_000)
    assert "will-it-scale.52.threads: 0 means that this mode was not run" in reasons(table)
    wait = one(table, "wait")
    assert (wait.operation, wait.mean) == ("mprotect", pytest.approx(300_000))


@pytest.mark.parametrize("value", ['"text"', "[]", "[1, null]", "0", "-4", "1e300"])
def test_results_that_are_no_rates(tmp_path: Path, value: str) -> None:
    text = '{"will-it-scale.per_thread_ops": 5, "will-it-scale.per_process_ops": VALUE}'.replace(
        "VALUE", value
    )
    table = written(tmp_path, text)
    assert [g.conditions["mode"] for g in table.groups] == ["threads"]
    assert reasons(table).startswith("1: will-it-scale.per_process_ops")
