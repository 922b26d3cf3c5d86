"""However a file that is no trace is damaged: an input error or a counted skip, and no line lost."""

from __future__ import annotations

import importlib
import io
import math
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.readers import READERS, Options, read, sniff
from perfmodel.readers.reading import Reading

if TYPE_CHECKING:
    from types import ModuleType

FOLDER = Path(__file__).parent.parent / "fixtures" / "aggregates"

#: Fixture -> module that must take it, and how many skips it is to report when it is whole.
TEXTS = {
    "bpftrace.txt": ("histograms.bpftrace_text", 1),
    "bpftrace-mixed.txt": ("histograms.bpftrace_text", 5),
    "bpftrace.jsonl": ("histograms.bpftrace_json", 2),
    "bpftrace-repeated-keys.jsonl": ("histograms.bpftrace_json", 1),
    "funclatency.txt": ("histograms.funclatency", 0),
    "funclatency-sections.txt": ("histograms.funclatency", 0),
    "perf-lock-contention.txt": ("aggregates.perf_lock_table", 0),
    "perf-lock-contention-t.txt": ("aggregates.perf_lock_table", 0),
    "perf-lock-contention-l.txt": ("aggregates.perf_lock_table", 0),
    "perf-lock-report.txt": ("aggregates.perf_lock_table", 0),
    "perf-lock-report-old.txt": ("aggregates.perf_lock_table", 0),
    "perf-lock-contention-x.csv": ("aggregates.perf_lock_csv", 0),
    "lock_stat-0.4.txt": ("aggregates.lock_stat", 0),
    "lock_stat-0.3-mail.txt": ("aggregates.lock_stat", 0),
    "klockstat-bcc.txt": ("aggregates.klockstat", 0),
    "klockstat-libbpf.txt": ("aggregates.klockstat", 0),
    "mmap1.csv": ("throughput.will_it_scale", 0),
    "page_fault1.csv": ("throughput.will_it_scale", 0),
    "will-it-scale-lkp.csv": ("throughput.will_it_scale", 2),
    "will-it-scale-stdout.txt": ("throughput.will_it_scale_stdout", 0),
    "stress-ng.yaml": ("throughput.stress_ng_yaml", 2),
    "stress-ng-new.yaml": ("throughput.stress_ng_yaml", 0),
    "stress-ng.log": ("throughput.stress_ng_log", 2),
    "stress-ng-old.log": ("throughput.stress_ng_log", 0),
    "lmbench.txt": ("throughput.lmbench", 5),
    "lmbench-sections.txt": ("throughput.lmbench", 1),
    "perf-bench-syscall.txt": ("throughput.perf_bench", 0),
    "perf-bench-simple.txt": ("throughput.perf_bench", 0),
    "perf-bench-others.txt": ("throughput.perf_bench", 4),
    "lkp-mail.txt": ("throughput.lkp_mail", 0),
    "lkp-mail-quoted.txt": ("throughput.lkp_mail", 0),
    "lkp-mail-quoted-printable.txt": ("throughput.lkp_mail", 0),
    "perf-stat-x.csv": ("counts.perf_stat", 1),
    "perf-stat-r.csv": ("counts.perf_stat", 2),
    "perf-stat-I-A.csv": ("counts.perf_stat", 6),
    "perf-stat-j.jsonl": ("counts.perf_stat_json", 1),
    "perf-trace-s.txt": ("counts.perf_trace_summary", 0),
    "strace-c.txt": ("counts.strace_summary", 0),
}
DOCUMENTS = {
    "hyperfine.json": ("aggregates.hyperfine", 0),
    "google-benchmark.json": ("aggregates.google_benchmark", 0),
    "google-benchmark-aggregates.json": ("aggregates.google_benchmark", 1),
    "pytest-benchmark.json": ("aggregates.pytest_benchmark", 0),
    "lkp.json": ("throughput.lkp_json", 1),
}
ALL = {**TEXTS, **DOCUMENTS}


def module(name: str) -> ModuleType:
    return importlib.import_module(f"perfmodel.readers.{name}")


def check(reading_or_table: Any) -> None:
    """Whatever was read can be used: times are times, and quantiles do not fail."""
    for group in reading_or_table.groups:
        assert group.total >= 0
        assert (
            (group.low <= group.high).all() and (group.low >= 0).all() and (group.count > 0).all()
        )
        if group.moments is None:
            low, high = group.quantile(0.0), group.quantile(1.0)
            assert 0 <= low <= group.median <= high
            assert group.mean >= low
        else:
            assert math.isnan(group.mean) or (group.mean >= 0 and math.isfinite(group.mean))
            assert math.isnan(group.mean) == (group.phase == "count")


def account(name: str, content: bytes) -> Reading:
    """Parse text and see that no line went missing."""
    mod = module(TEXTS[name][0])
    reading = Reading(Path(name), mod.READER.name, "C")
    lines = list(io.BytesIO(content))
    mod.parse(enumerate(lines, 1), reading)
    assert reading.lines_used + reading.lines_passed + reading.lines_skipped == len(lines)
    assert min(reading.lines_used, reading.lines_passed, reading.lines_skipped) >= 0
    check(reading)
    return reading


def test_every_fixture_is_here() -> None:
    assert {p.name for p in FOLDER.iterdir()} == {*ALL, "README.md"}


@pytest.mark.parametrize("name", ALL)
def test_exactly_one_reader_takes_it(name: str) -> None:
    start = (FOLDER / name).read_bytes()[:4096]
    takers = [r.name for r in READERS if r.sniff(start)]
    assert takers == [module(ALL[name][0]).READER.name]
    assert sniff(FOLDER / name) == takers[0]


@pytest.mark.parametrize("name", ALL)
def test_whole(name: str, tmp_path: Path) -> None:
    table = read(FOLDER / name)
    (report,) = table.reports
    assert len(report.skipped) == ALL[name][1], report.skipped
    assert table.groups
    assert report.events == sum(g.total for g in table.groups)
    check(table)
    table.to_frame()


@pytest.mark.parametrize("name", TEXTS)
def test_every_line_is_accounted_for(name: str) -> None:
    content = (FOLDER / name).read_bytes()
    assert account(name, content).lines_used
    account(name, content.replace(b"\n", b"\r\n"))


@pytest.mark.parametrize("name", TEXTS)
def test_cut_after_every_line(name: str) -> None:
    lines = (FOLDER / name).read_bytes().splitlines(keepends=True)[:130]
    before = 0
    for count in range(len(lines) + 1):
        reading = account(name, b"".join(lines[:count]))
        before = max(before, len(reading.groups))
    # Nothing was there in a part that the whole does not have.
    assert len(account(name, b"".join(lines)).groups) >= before - 1


@pytest.mark.parametrize("name", TEXTS)
def test_cut_inside_a_line(name: str) -> None:
    content = (FOLDER / name).read_bytes()[-700:]
    for end in range(0, len(content), 7):
        account(name, content[:end])


@pytest.mark.parametrize("name", TEXTS)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_mutated_text(name: str, data: st.DataObject) -> None:
    lines = (FOLDER / name).read_bytes().splitlines(keepends=True)
    first = data.draw(st.integers(0, max(0, len(lines) - 40)))
    content = bytearray(b"".join(lines[:3] + lines[max(first, 3) : first + 40]))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, max(len(content) - 1, 0)))
        new = data.draw(
            st.binary(max_size=4) | st.sampled_from([b"-", b"e9", b"9" * 30, b"\n", b"."])
        )
        content[at : at + data.draw(st.integers(0, 3))] = new
    with suppress(InputError):
        account(name, bytes(content))


@pytest.mark.parametrize("name", TEXTS)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_shuffled_lines(name: str, data: st.DataObject) -> None:
    lines = (FOLDER / name).read_bytes().splitlines(keepends=True)[:40]
    account(name, b"".join(data.draw(st.permutations(lines))))


@pytest.mark.parametrize("name", TEXTS)
def test_long_lines_do_no_harm(name: str) -> None:
    """Each takes milliseconds; a pattern that backtracks without end would never come back."""
    lines = (FOLDER / name).read_bytes().splitlines(keepends=True)[:31]
    start = lines[-1].rstrip()[:30]
    for long in (b" ", b"1", b"1 ", b"1.5 us ", b"+1% ", b"1 + ", b"[1, ", b"1,", b"a.b ", b"> "):
        account(name, b"".join([*lines, long * 3000, b"\n", start, long * 1000, b"\n"]))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_cut_document(name: str, tmp_path: Path) -> None:
    path = tmp_path / "cut"
    content = (FOLDER / name).read_bytes().rstrip()
    lines = content.splitlines(keepends=True)
    for end in {len(b"".join(lines[:n])) for n in range(0, len(lines), max(1, len(lines) // 60))}:
        path.write_bytes(content[:end])
        with pytest.raises(InputError):
            module(DOCUMENTS[name][0]).READER.read(path, Options())


@pytest.mark.parametrize("name", DOCUMENTS)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_mutated_document(
    name: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray((FOLDER / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        new = data.draw(
            st.binary(max_size=3)
            | st.sampled_from([b"null", b"[]", b"-", b"1e308", b"9" * 400, b"true", b'"x"', b"{}"])
        )
        content[at : at + data.draw(st.integers(0, 4))] = new
    path = tmp_path_factory.getbasetemp() / "mutated"
    path.write_bytes(bytes(content))
    with suppress(InputError):
        check(module(DOCUMENTS[name][0]).READER.read(path, Options()))


#: Where a document keeps its records.
RECORDS = {
    "hyperfine.json": "results",
    "google-benchmark.json": "benchmarks",
    "google-benchmark-aggregates.json": "benchmarks",
    "pytest-benchmark.json": "benchmarks",
    "lkp.json": None,
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@pytest.mark.parametrize("name", DOCUMENTS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_strange_values_of_a_document(name: str, data: st.DataObject) -> None:
    """Every record is used, passed or skipped, whatever stands in it."""
    import json

    found = json.loads((FOLDER / name).read_bytes())
    key = RECORDS[name]
    records = found if key is None else found[key]
    if key is None:
        where = data.draw(st.sampled_from(sorted(records)))
        records[where] = data.draw(json_values)
    else:
        index = data.draw(st.integers(0, len(records) - 1))
        inner = data.draw(st.sampled_from(sorted(records[index])))
        if (
            isinstance(records[index][inner], dict)
            and records[index][inner]
            and data.draw(st.booleans())
        ):
            deep = data.draw(st.sampled_from(sorted(records[index][inner])))
            records[index][inner][deep] = data.draw(json_values)
        elif data.draw(st.integers(0, 5)):
            records[index][inner] = data.draw(json_values)
        else:
            records[index] = data.draw(json_values)
    mod = module(DOCUMENTS[name][0])
    reading = Reading(Path(name), mod.READER.name, "D")
    mod.parse(records, reading)
    assert reading.lines_used + reading.lines_passed + reading.lines_skipped == len(records)
    check(reading)
