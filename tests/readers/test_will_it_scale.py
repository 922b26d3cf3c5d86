"""will-it-scale: its CSV, LKP's variant, and what a test prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from perfmodel.errors import InputError

from .aggregates import FOLDER, fixture, one, reasons, warnings, written

if TYPE_CHECKING:
    from pathlib import Path


def test_csv() -> None:
    table = fixture("page_fault1.csv")
    group = one(table, tasks=2, mode="threads")
    assert (group.operation, group.phase, group.source.evidence) == ("page_fault", "cost", "E")
    assert group.mean == pytest.approx(1e9 * 2 / 680_923)
    assert group.conditions["pages_per_op"] == 1
    assert group.conditions["idle_percent"] == 0.77
    assert len(table.groups) == 4
    assert "taken from the file's name" in warnings(table)


def test_a_test_of_several_calls_has_no_operation() -> None:
    table = fixture("mmap1.csv")
    assert {g.operation for g in table.groups} == {"unknown"}
    assert {g.conditions["testcase"] for g in table.groups} == {"mmap1"}


def test_any_other_name_says_nothing(tmp_path: Path) -> None:
    text = (FOLDER / "page_fault1.csv").read_text()
    table = written(tmp_path, text, "results.csv")
    assert not table.reports[0].warnings
    assert {g.operation for g in table.groups} == {"unknown"}
    assert "testcase" not in table.groups[0].conditions


def test_zero_of_lkp_is_not_run() -> None:
    table = fixture("will-it-scale-lkp.csv")
    assert [(g.conditions["tasks"], g.conditions["mode"]) for g in table.groups] == [
        (1, "threads"), (52, "processes"),
    ]  # fmt: skip
    assert "2: processes with 1 task: 0 means that this mode was not run" in reasons(table)
    assert "3: threads with 52 tasks: 0 means that this mode was not run" in reasons(table)
    assert one(table, tasks=52).mean == pytest.approx(1e9 * 52 / 2_796_769)


def test_nothing_was_run(tmp_path: Path) -> None:
    text = "tasks,processes,processes_idle,threads,threads_idle,linear\n52,0,0,0,0,0\n"
    with pytest.raises(InputError, match="not run"):
        written(tmp_path, text)


@pytest.mark.parametrize(
    "row", ["2,1", "2,x,0,1,0,0", "1.5,1,0,1,0,0", "-2,1,0,1,0,0", "2,nan,0,1,0,0"]
)
def test_bad_rows(tmp_path: Path, row: str) -> None:
    head = "tasks,processes,processes_idle,threads,threads_idle,linear\n"
    table = written(tmp_path, f"{head}1,100,0,100,0,100\n{row}\n")
    assert len(table.groups) == 2
    assert len(table.reports[0].skipped) == 1


def test_columns_go_by_name_and_mails_quote(tmp_path: Path) -> None:
    table = written(tmp_path, "> tasks,threads_idle,threads\n> 4,1.5,1000000\n")
    (group,) = table.groups
    assert (group.mean, group.conditions["mode"]) == (4000, "threads")


def test_stdout_tells_the_number_of_tasks_by_its_bounds() -> None:
    (group,) = fixture("will-it-scale-stdout.txt").groups
    assert group.operation == "page_fault"
    assert group.conditions["tasks"] == 2
    assert group.moments is not None
    assert group.moments.count == 5
    assert group.mean == pytest.approx(1e9 * 2 / 720_000)
    assert group.moments.maximum == pytest.approx(1e9 * 2 / 700_000)


def run(samples: list[str], average: str) -> str:
    body = "\n".join(samples)
    return f"testcase:brk\nwarmup\nmin:1 max:1 total:2\nmeasurement\n{body}\n{average}\n"


def test_stdout_that_does_not_tell_the_number_of_tasks(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="samples allow 3 to 10"):
        written(tmp_path, run(["min:100 max:400 total:1000"] * 3, "average:1000"))


def test_stdout_cut_before_its_average(tmp_path: Path) -> None:
    table = written(tmp_path, run(["min:100 max:100 total:200"] * 3, ""))
    assert table.groups[0].mean == pytest.approx(1e9 * 2 / 200)
    assert "ends before its average" in warnings(table)


def test_stdout_whose_average_is_not_its_own(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="average 900 is not that of its samples"):
        written(tmp_path, run(["min:100 max:100 total:200"] * 3, "average:900"))
