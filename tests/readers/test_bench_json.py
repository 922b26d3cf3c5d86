"""Documents of the measuring programs: what is read, and that every bad field is named."""

from __future__ import annotations

import copy
import gzip
import hashlib
import json
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.readers import read, sniff
from perfmodel.readers.bench_json import bin_width, companion_trace, fault_pairs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DOCUMENT: dict[str, Any] = {
    "schema": "perfmodel.bench/1",
    "status": "complete",
    "status_detail": "",
    "started": "2026-11-23T03:00:00Z",
    "finished": "2026-11-23T03:05:00Z",
    "tool": {"name": "call_latency", "version": "1"},
    "machine": {"cpus": 2, "kernel": "6.18.44"},
    "clock": {"name": "tsc", "null_ns": 21.5},
    "noise": {"steal": 0.01},
    "problems": [],
    "trace": None,
    "records": [
        {
            "benchmark": "call_latency", "operation": "mprotect",
            "conditions": {"transition": "RW->R", "pages": 512, "huge": False, "populated": 0.5},
            "phase": "latency", "unit": "ns", "count": 10,
            "min": 200, "max": 1030, "mean": 568.0, "median": 600,
            "histogram": {"low": [200, 600, 1024], "count": [4, 3, 3]},
        },
        {
            "benchmark": "fault_latency", "operation": "munmap", "conditions": {"pages": 16},
            "phase": "during", "unit": "ns", "count": 3, "min": 1.5, "max": 9, "mean": 5.5,
            "median": 6, "samples": [6, 1.5, 9],
            "pairs": [[1.0, 700.0, 6.0], [2.0, 710.0, 1.5]], "pairs_kept": 2, "pairs_total": 3,
        },
        {
            "benchmark": "null_clock", "phase": "call", "unit": "ns", "count": 0,
            "min": None, "max": None, "mean": None, "median": None, "samples": [],
        },
    ],
}  # fmt: skip


def save(folder: Path, document: Any, name: str = "run.json") -> Path:
    path = folder / name
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_what_is_read(tmp_path: Path) -> None:
    path = save(tmp_path, DOCUMENT)
    assert sniff(path) == "bench_json"
    table = read(path)
    first, second, third = table.groups
    assert (first.operation, first.phase, first.line) == ("mprotect", "latency", 0)
    assert dict(first.conditions) == {
        **DOCUMENT["records"][0]["conditions"], "benchmark": "call_latency"
    }  # fmt: skip
    assert first.low.tolist() == [200, 600, 1024]
    assert first.high.tolist() == [200, 603, 1031]  # 600 = 10 bits: 4 wide; 1024 = 11 bits: 8
    assert first.count.tolist() == [4, 3, 3]
    assert (first.source.evidence, second.source.evidence) == ("A", "A")
    assert second.low.tolist() == second.high.tolist() == [6, 1.5, 9]
    assert (third.operation, third.total) == ("none", 0)
    assert first.source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    (report,) = table.reports
    assert (report.format, report.evidence, report.events) == ("bench_json", "A", 13)
    assert report.warnings == ("records[2] (null_clock, call) is empty",)
    facts = table.machines[str(path)]
    for name in ("machine", "tool", "noise", "clock", "status"):
        assert facts[name] == DOCUMENT[name]


def test_packed_and_unknown_fields(tmp_path: Path) -> None:
    document = {**DOCUMENT, "colour": "green"}
    path = tmp_path / "x"
    path.write_bytes(gzip.compress(json.dumps(document).encode()))
    assert len(read(path)) == 3


@pytest.mark.parametrize("status", ["interrupted", "running"])
def test_an_unfinished_run_is_read_with_a_warning(tmp_path: Path, status: str) -> None:
    document = {**DOCUMENT, "status": status, "status_detail": "SIGINT"}
    document["problems"] = [{"group": "wake", "what": "no second cpu"}]
    warnings = read(save(tmp_path, document)).reports[0].warnings
    assert status in warnings[0]
    assert "SIGINT" in warnings[0]
    assert "no second cpu" in warnings[1]


@given(st.integers(0, 2**62))
def test_bin_widths(value: int) -> None:
    shift = max(value.bit_length() - 8, 0)
    low = value >> shift << shift
    (width,) = bin_width(np.array([low]))
    assert low <= value < low + width
    assert width == 1 or width / low <= 1 / 128
    if low >= 256:
        assert width == 2 ** (math.frexp(float(low))[1] - 8)


def test_pairs(tmp_path: Path) -> None:
    (found,) = fault_pairs(save(tmp_path, DOCUMENT)).items()
    index, pairs = found
    assert (index, pairs.operation, pairs.total) == (1, "munmap", 3)
    assert pairs.offset.tolist() == [1, 2]
    assert pairs.call.tolist() == [700, 710]
    assert pairs.latency.tolist() == [6, 1.5]


def test_companion_trace(tmp_path: Path) -> None:
    path = save(tmp_path, DOCUMENT)
    assert companion_trace(path) is None
    trace = {"file": "t.gz", "sha256": hashlib.sha256(b"abc").hexdigest(), "clock": "x86-tsc",
             "tick_ns": 0.38, "events": ["mmap_lock"]}  # fmt: skip
    path = save(tmp_path, {**DOCUMENT, "trace": trace})
    assert companion_trace(path) is None
    (tmp_path / "t.gz").write_bytes(b"abc")
    assert companion_trace(path) == tmp_path / "t.gz"
    (tmp_path / "t.gz").write_bytes(b"abd")
    with pytest.raises(InputError, match="not the trace of this run") as error:
        companion_trace(path)
    assert error.value.field == "trace.sha256"
    with pytest.raises(InputError, match="plain file name"):
        companion_trace(save(tmp_path, {**DOCUMENT, "trace": {**trace, "file": "../t.gz"}}))


def _set(*place: Any) -> Callable[[Any], None]:
    *way, name, value = place

    def change(document: Any) -> None:
        for step in way:
            document = document[step]
        if value is KeyError:
            del document[name]
        else:
            document[name] = value

    return change


CORRUPTED: list[tuple[str, Callable[[Any], None]]] = [
    ("schema", _set("schema", "perfmodel.bench/2")),
    ("status", _set("status", "done")),
    ("tool", _set("tool", [])),
    ("machine", _set("machine", KeyError)),
    ("clock.null_ns", _set("clock", "null_ns", "21")),
    ("clock.null_ns", _set("clock", "null_ns", -1)),
    ("clock.name", _set("clock", "name", None)),
    ("noise", _set("noise", 3)),
    ("problems[0].what", _set("problems", [{"group": "a"}])),
    ("trace.sha256", _set("trace", {"file": "t", "sha256": "zz"})),
    ("records", _set("records", {})),
    ("records[0]", _set("records", 0, 7)),
    ("records[0]", _set("records", 0, "samples", [1.0])),
    ("records[1]", _set("records", 1, "samples", KeyError)),
    ("records[0].benchmark", _set("records", 0, "benchmark", KeyError)),
    ("records[0].conditions.benchmark", _set("records", 0, "conditions", "benchmark", "wake")),
    ("records[0].conditions.pages", _set("records", 0, "conditions", "pages", [1])),
    ("records[0].phase", _set("records", 0, "phase", 1)),
    ("records[0].unit", _set("records", 0, "unit", "us")),
    ("records[0].count", _set("records", 0, "count", -1)),
    ("records[0].count", _set("records", 0, "count", "10")),
    ("records[0].count", _set("records", 0, "count", 2**70)),
    ("records[0].count", _set("records", 0, "count", 1.5)),
    ("records[0].min", _set("records", 0, "min", 300)),
    ("records[0].max", _set("records", 0, "max", 1e9)),
    ("records[0].mean", _set("records", 0, "mean", 6200.0)),
    ("records[0].mean", _set("records", 0, "mean", float("nan"))),
    ("records[0].max", _set("records", 0, "max", float("inf"))),
    ("records[0].median", _set("records", 0, "median", KeyError)),
    ("records[0].histogram", _set("records", 0, "histogram", "low", [200, 600])),
    ("records[0].histogram.low[1]", _set("records", 0, "histogram", "low", 1, 100)),
    ("records[0].histogram.low[1]", _set("records", 0, "histogram", "low", 1, 601)),
    ("records[0].histogram.low[0]", _set("records", 0, "histogram", "low", 0, -3)),
    ("records[0].histogram.count[0]", _set("records", 0, "histogram", "count", 0, None)),
    ("records[0].histogram.count", _set("records", 0, "histogram", "count", 0, 5)),
    ("records[1].samples", _set("records", 1, "samples", [6, 1.5])),
    ("records[1].samples[2]", _set("records", 1, "samples", 2, float("nan"))),
    ("records[1].pairs[0]", _set("records", 1, "pairs", 0, [1.0])),
    ("records[1].pairs_kept", _set("records", 1, "pairs_kept", 5)),
    ("records[1].pairs_total", _set("records", 1, "pairs_total", 1)),
]


@pytest.mark.parametrize(("field", "change"), CORRUPTED)
def test_a_bad_field_is_named(tmp_path: Path, field: str, change: Callable[[Any], None]) -> None:
    document = copy.deepcopy(DOCUMENT)
    change(document)
    path = save(tmp_path, document)
    with pytest.raises(InputError) as error:
        read(path)
    assert error.value.field == field
    assert str(error.value).startswith(f"{path}: {field}: ")


def test_an_unknown_version_names_both(tmp_path: Path) -> None:
    path = save(tmp_path, {**DOCUMENT, "schema": "perfmodel.bench/9"})
    with pytest.raises(InputError, match=r"perfmodel\.bench/9.*perfmodel\.bench/1"):
        read(path)


def test_cut_json_has_a_line_and_a_column(tmp_path: Path) -> None:
    text = json.dumps(DOCUMENT, indent=1)
    lines = text.splitlines()
    path = save(tmp_path, "\n".join(lines[:20]) + "\n  ")
    with pytest.raises(InputError, match="line 21, column 3") as error:
        read(path)
    assert error.value.line == 21
    path = save(tmp_path, "\n".join([*lines[:5], "%", *lines[5:]]))
    with pytest.raises(InputError, match="line 6, column 1"):
        read(path)


def _survives(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    for reads in (read, fault_pairs, companion_trace):
        with suppress(InputError):
            reads(path)


@settings(max_examples=250, deadline=None)
@given(st.data())
def test_mutated_bytes_give_only_input_errors(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(json.dumps(DOCUMENT).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    _survives(tmp_path_factory.getbasetemp() / "mutated.json", bytes(content))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_value_in_any_field_gives_only_input_errors(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    document = copy.deepcopy(DOCUMENT)
    places: list[tuple[Any, Any]] = []
    todo: list[Any] = [document]
    while todo:
        node = todo.pop()
        for name in node if isinstance(node, dict) else range(len(node)):
            places.append((node, name))
            if isinstance(node[name], dict | list):
                todo.append(node[name])
    node, name = data.draw(st.sampled_from(places))
    node[name] = data.draw(_JSON)
    path = tmp_path_factory.getbasetemp() / "changed.json"
    _survives(path, json.dumps(document).encode())


def test_deep_nesting_is_no_crash(tmp_path: Path) -> None:
    text = json.dumps(DOCUMENT).replace('"cpus": 2', '"cpus": ' + "[" * 100_000 + "]" * 100_000)
    with pytest.raises(InputError):
        read(save(tmp_path, text))
