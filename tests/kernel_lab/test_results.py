"""What comes out of the guest's port, sorted; and the documents made of it."""

from __future__ import annotations

import json

import pytest

from perfmodel import measure
from perfmodel.measure.build import Toolset
from perfmodel.measure.kernel_lab.building import BuiltKernel
from perfmodel.measure.kernel_lab.guest import Guest
from perfmodel.measure.kernel_lab.plan import Boot, Slice
from perfmodel.measure.kernel_lab.results import BootResult
from perfmodel.measure.kernel_lab.session import _Writer
from perfmodel.readers import bench_json

FILES = {
    "/proc/version": "Linux version 6.1.7 (someone@somewhere) (gcc) #1 SMP Thu Nov 26 2026\n",
    "/proc/cpuinfo": "processor\t: 0\nvendor_id\t: X\nmodel name\t: QEMU CPU\nflags\t\t: fpu pcid\n",
    "/proc/meminfo": "MemTotal:        2049524 kB\n",
    "/proc/loadavg": "0.50 0.25 0.00 1/31 31\n",
    "/sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc\n",
    "/sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
}


def record(value: int, operation: str = "mprotect") -> dict:
    return {
        "benchmark": "call_latency", "operation": operation,
        "conditions": {"pages": 1, "vmas": 1, "transition": "RW->R", "pass": 0}, "phase": "call",
        "unit": "ns", "count": 2, "min": value, "max": value, "mean": value, "median": value,
        "histogram": {"low": [value], "count": [2]},
    }  # fmt: skip


def boot() -> Boot:
    return Boot(1, 4, (
        Slice("calls", "none", "call_latency", ("--quick",), round=1),
        Slice("calls", "k0", "call_latency", ("--quick",), round=1),
        Slice("trace", "k0", "traced_load", (), trace=True),
        Slice("races", "k0", "race", (), ignore_exclusive=True),
    ))  # fmt: skip


def lines(*items: object) -> list[bytes]:
    return [i if isinstance(i, bytes) else json.dumps(i).encode() for i in items]


def whole_run() -> list[bytes]:
    def begin(number):
        return {"slice": {"id": number}}

    def end(number, status=0, late=False):
        return {"slice_end": {"id": number, "status": status, "timed_out": late}}

    return lines(
        *({"guest": {"file": name, "text": text}} for name, text in FILES.items()),
        begin(0), record(100), {"progress": [1, 1]}, end(0),
        begin(1), record(120), {"problem": "a point was left out"}, end(1),
        begin(2), {"trace_clock": {"name": "x86-tsc", "tick_ns": 0.5}}, {"trace": "# tracer: nop"},
        end(2),
        begin(3), {"race": {"name": "forced-write", "rounds": 9, "met": 8, "reproduced": 3}}, end(3),
        {"end": {"slices": 4}},
    )  # fmt: skip


def taken(given: list[bytes]) -> BootResult:
    result = BootResult(boot())
    for line in given:
        result.take(line)
    return result


def test_records_go_to_the_cut_they_were_taken_under():
    result = taken(whole_run())
    assert result.ended
    assert result.done == 4
    for cut, value, number in (("none", 100, 0), ("k0", 120, 1)):
        (found,) = result.records(cut)
        assert found["median"] == value
        assert found["conditions"] == {
            "pages": 1, "vmas": 1, "transition": "RW->R", "pass": 0,
            "cut": cut, "slice": number, "round": 1, "part": "calls",
        }  # fmt: skip
    assert result.troubles("none") == []
    assert result.troubles("k0") == [("calls", "slice 1: a point was left out")]


def test_races_say_under_which_rules_they_were_tried():
    (counts,) = taken(whole_run()).race_counts()
    assert counts["reproduced"] == 3
    assert (counts["cut"], counts["ignore_exclusive"], counts["ignore_nested"]) == (
        "k0", True, False,
    )  # fmt: skip
    assert counts["vcpus"] == 4


def test_a_run_cut_off_in_a_slice_keeps_what_came_and_says_what_is_missing():
    given = whole_run()
    at = given.index(json.dumps(record(120)).encode())
    result = taken(given[: at + 1])
    assert not result.ended
    assert len(result.records("k0")) == 1
    assert ("calls", "slice 1 was cut off") in result.troubles("k0")
    assert ("boot", "2 slices of cut k0 were not begun") in result.troubles("k0")
    assert result.troubles("none") == []


@pytest.mark.parametrize(
    "line",
    [b"{broken", b"[1]", b'{"unheard": 1}', b'{"slice":{"id":99}}', b'{"slice_end":{"id":0}}'],
)
def test_a_line_that_is_none_of_the_guests_is_counted_as_a_problem(line):
    result = taken([line])
    assert len(result.problems) == 1
    assert result.slices == []
    assert "none of its own" in result.problems[0]


def test_a_record_outside_any_slice_is_not_taken_for_anybodys():
    result = taken(lines(record(5)))
    assert result.problems
    assert result.records("none") == []


def test_a_program_that_failed_or_was_late_is_told_in_its_own_words():
    given = lines(
        {"slice": {"id": 0}}, {"said": "call_latency: no such option"},
        {"slice_end": {"id": 0, "status": 512, "timed_out": False}},
        {"slice": {"id": 1}}, {"slice_end": {"id": 1, "status": 9, "timed_out": True}},
    )  # fmt: skip
    result = taken(given)
    (first, *_) = result.troubles("none")
    assert "call_latency: no such option" in first[1]
    assert "took longer than 60 s" in dict(result.troubles("k0"))["calls"]


def test_a_guest_that_gives_up_says_why():
    result = taken(lines({"failed": "there is no /plan"}))
    assert result.problems == ["the guest gave up: there is no /plan"]


@pytest.fixture
def written(tmp_path):
    config = tmp_path / "config"
    config.write_text("CONFIG_HZ=250\nCONFIG_PREEMPT_VOLUNTARY=y\n# CONFIG_NUMA is not set\n")
    kernel = BuiltKernel(tmp_path / "bzImage", config, "key", "6.1.7", "linux.tar.xz sha256 0")
    tools = Toolset(tmp_path, "cc 1", "-O2 -static")
    writer = _Writer(tmp_path / "run", boot(), Guest("tcg", "7.2"), kernel, tools, debug=False)

    def write(given, unfinished=None):
        writer.write(taken(given), unfinished)
        return tmp_path / "run"

    return write


@pytest.mark.xdist_group("measure")
def test_documents_are_of_the_published_form_and_say_that_they_are_emulated(written):
    import jsonschema  # two seconds, which only one worker needs

    folder = written(whole_run())
    assert sorted(p.name for p in folder.iterdir()) == [
        "boot1-4cpu-k0.json", "boot1-4cpu-k0.json.trace.txt.gz", "boot1-4cpu-none.json",
        "races.json",
    ]  # fmt: skip
    for cut in ("none", "k0"):
        path = folder / f"boot1-4cpu-{cut}.json"
        content = json.loads(path.read_text())
        jsonschema.Draft202012Validator(measure.load_schema()).validate(content)
        machine = content["machine"]
        assert content["status"] == "complete"
        assert machine["laboratory"]["evidence"] == "emulated"
        assert machine["laboratory"]["accelerator"] == "TCG"
        assert machine["laboratory"]["cut"] == cut
        assert {r["conditions"]["cut"] for r in content["records"]} == {cut}
        assert machine["virtualisation"] == "QEMU TCG"
        assert machine["kernel"]["release"] == "6.1.7"
        assert machine["kernel"]["config"]["HZ"] == "250"
        assert machine["kernel"]["config"]["NUMA"] is False
        assert machine["cpu"]["count"] == 4
        assert machine["cpu"]["flags_of_interest"] == ["pcid"]
        assert (machine["memory_kib"], machine["thp"], machine["clocksource"]) == (
            2049524, "madvise", "tsc",
        )  # fmt: skip


def test_the_reader_takes_a_document_and_its_trace(written):
    path = written(whole_run()) / "boot1-4cpu-k0.json"
    table = bench_json.READER.read(path, None)
    (group,) = table.groups
    assert group.operation == "mprotect"
    assert group.conditions["cut"] == "k0"
    assert bench_json.companion_trace(path) is not None


def test_races_are_kept_apart_with_the_boots_they_are_from(written):
    content = json.loads((written(whole_run()) / "races.json").read_text())
    assert content["evidence"] == "emulated"
    (one,) = content["boots"]
    assert one["laboratory"]["accelerator"] == "TCG"
    assert one["races"][0]["reproduced"] == 3


@pytest.mark.xdist_group("measure")
def test_an_unfinished_boot_is_written_as_interrupted(written):
    import jsonschema

    path = written(whole_run()[:8], "stopped by a signal") / "boot1-4cpu-none.json"
    content = json.loads(path.read_text())
    jsonschema.Draft202012Validator(measure.load_schema()).validate(content)
    assert (content["status"], content["status_detail"]) == ("interrupted", "stopped by a signal")
