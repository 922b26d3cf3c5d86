"""JSON of hyperfine, google-benchmark and pytest-benchmark."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from perfmodel.errors import InputError

from .aggregates import FOLDER, fixture, one, reasons, warnings, written

if TYPE_CHECKING:
    from pathlib import Path


def document(name: str) -> Any:
    return json.loads((FOLDER / name).read_text())


def test_hyperfine() -> None:
    (group,) = fixture("hyperfine.json").groups
    told = document("hyperfine.json")["results"][0]
    assert group.conditions["command"] == told["command"]
    assert (group.operation, group.phase, group.source.evidence) == ("unknown", "latency", "D")
    assert group.moments is not None
    assert group.moments.count == len(told["times"])
    assert group.mean == pytest.approx(1e9 * sum(told["times"]) / 5)
    assert group.moments.minimum == pytest.approx(1e9 * min(told["times"]))
    assert group.moments.sd == pytest.approx(1e9 * told["stddev"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"mean": None}, "no mean"),
        ({"mean": 1.0}, "not that of its times"),
        ({"times": ["a"]}, "not all of its times"),
        ({"min": 1.0}, "least time"),
        ({"times": [], "mean": 1.0}, "no event"),
    ],
)
def test_hyperfine_that_cannot_be_true(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    found = document("hyperfine.json")
    found["results"].append({**found["results"][0], **change})
    table = written(tmp_path, json.dumps(found))
    assert len(table.groups) == 1
    assert reasons(table).startswith("1: results[1]: ") and reason in reasons(table)


def test_hyperfine_with_parameters_and_failures(tmp_path: Path) -> None:
    found = document("hyperfine.json")
    found["results"][0] |= {"parameters": {"threads": "4"}, "exit_codes": [0, 1, 0, 0, None]}
    table = written(tmp_path, json.dumps(found))
    assert table.groups[0].conditions["parameter_threads"] == "4"
    assert table.groups[0].conditions["failed_runs"] == 1
    assert "1 runs ended with an error" in warnings(table)


def test_google_benchmark_reads_the_repetitions_and_not_their_aggregates() -> None:
    table = fixture("google-benchmark.json")
    rows = document("google-benchmark.json")["benchmarks"]
    told = [r for r in rows if r["run_type"] == "iteration"]
    assert [g.mean for g in table.groups] == [pytest.approx(r["real_time"]) for r in told]
    assert [g.total for g in table.groups] == [r["iterations"] for r in told]
    assert [g.conditions["repetition"] for g in table.groups] == [0, 1]
    assert table.groups[0].conditions["testcase"] == "mprotect_like"
    assert table.groups[0].operation == "unknown"


def test_google_benchmark_with_aggregates_only() -> None:
    table = fixture("google-benchmark-aggregates.json")
    (group,) = table.groups
    assert group.moments is not None
    assert (group.mean, group.moments.sd, group.moments.count) == (2500, pytest.approx(100), 3)
    assert group.conditions["tasks"] == 2
    assert "benchmarks[3]: it failed: no huge pages" in reasons(table)
    assert "built for debugging" in warnings(table)


def test_google_benchmark_with_an_unknown_unit(tmp_path: Path) -> None:
    found = document("google-benchmark.json")
    found["benchmarks"][0]["time_unit"] = "fortnight"
    table = written(tmp_path, json.dumps(found))
    assert len(table.groups) == 1
    assert "unknown time_unit 'fortnight'" in reasons(table)


def test_pytest_benchmark() -> None:
    table = fixture("pytest-benchmark.json")
    (group,) = table.groups
    stats = document("pytest-benchmark.json")["benchmarks"][0]["stats"]
    assert group.moments is not None
    assert group.mean == pytest.approx(1e9 * sum(stats["data"]) / len(stats["data"]))
    assert group.moments.count == len(stats["data"])
    assert (group.conditions["iterations"], group.operation) == (10, "unknown")
    (machine,) = table.machines.values()
    assert machine["machine"]["kernel"]["release"].startswith("6.18.44")
    assert one(table, testcase="test_mmap") is group


@pytest.mark.parametrize(
    "name", ["hyperfine.json", "google-benchmark.json", "pytest-benchmark.json"]
)
@pytest.mark.parametrize("value", [None, 3, {"a": 1}])
def test_a_document_without_its_list(tmp_path: Path, name: str, value: object) -> None:
    found = document(name)
    key = "results" if "results" in found else "benchmarks"
    found[key] = value
    text = json.dumps(found)
    if name == "hyperfine.json":
        with pytest.raises(InputError, match="no known format"):
            written(tmp_path, text)
    else:
        with pytest.raises(InputError, match="no list") as error:
            written(tmp_path, text)
        assert error.value.field == key


def test_broken_json_names_the_line(tmp_path: Path) -> None:
    text = (FOLDER / "hyperfine.json").read_text().replace('"median":', '"median"')
    with pytest.raises(InputError, match="no whole JSON document") as error:
        written(tmp_path, text)
    assert error.value.line == 7


@pytest.mark.parametrize("bad", ["NaN", "Infinity", "[" * 100_000, "9" * 5000])
def test_json_that_only_python_would_take(tmp_path: Path, bad: str) -> None:
    text = (FOLDER / "hyperfine.json").read_text().replace("0.0026350600000000003", bad)
    with pytest.raises(InputError, match="JSON"):
        written(tmp_path, text)
