"""The C programs: what they print is what the format says, on a real kernel, in tiny doses."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

CPUS = len(os.sched_getaffinity(0))
needs_two_cpus = pytest.mark.skipif(CPUS < 2, reason="this process may use one CPU only")


@pytest.fixture
def measured(tools):
    """Return a function that runs one program and gives its lines."""

    def run(program: str, *arguments: str) -> list[dict]:
        done = subprocess.run(
            [tools.program(program), *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


# One measuring program at a time: they pin threads and spin.
pytestmark = pytest.mark.xdist_group("measure")


def records(lines: list[dict], benchmark: str) -> list[dict]:
    assert [line["problem"] for line in lines if "problem" in line] == []
    return [
        line for line in lines
        # The empty system call stands beside the grid, once a pass.
        if line.get("benchmark") == benchmark and line["operation"] != "null_syscall"
    ]  # fmt: skip


def bin_low(value: int) -> int:
    """Return the low edge of a value's bin: all but its 8 highest bits cleared."""
    drop = max(value.bit_length() - 8, 0)
    return value >> drop << drop


def check_record(record: dict) -> None:
    assert record["unit"] == "ns"
    if record["count"] == 0:
        assert record["median"] is None
        return
    assert record["min"] <= record["median"] <= record["max"]
    assert record["min"] <= record["mean"] <= record["max"]
    if "samples" in record:
        assert len(record["samples"]) == record["count"]
        assert min(record["samples"]) == record["min"]
        assert max(record["samples"]) == record["max"]
        return
    low, count = record["histogram"]["low"], record["histogram"]["count"]
    assert sum(count) == record["count"]
    assert low == sorted(set(low))
    assert [bin_low(value) for value in low] == low
    assert low[0] == bin_low(record["min"])
    assert low[-1] == bin_low(record["max"])


def test_every_record_of_a_small_grid_follows_the_format(measured):
    lines = measured(
        "call_latency", "--pages", "1,64", "--spinners", "0", "--passes", "1",
        "--max-samples", "9", "--min-samples", "9", "--shape", "own",
    )  # fmt: skip
    found = records(lines, "call_latency")
    for record in found:
        check_record(record)
        assert record["count"] == 9
        assert all(isinstance(v, str | int | float | bool) for v in record["conditions"].values())
    seen = Counter((r["operation"], r["conditions"]["transition"]) for r in found)
    # Two page counts, populated and not; every op of the list.
    assert seen == {
        ("mprotect", "RW->R"): 4,
        ("mprotect", "R->RW"): 4,
        ("mprotect", "RW->NONE"): 4,
        ("mprotect", "NONE->RW"): 4,
        ("mprotect", "same-flags"): 4,
        ("munmap", "none"): 4,
        ("madvise_dontneed", "none"): 4,
        ("uffd_writeprotect", "none"): 4,
        ("uffd_unprotect", "none"): 4,
    }
    assert [line["progress"] for line in lines if "progress" in line][-1] == [24, 24]
    (null,) = [r for r in lines if r.get("benchmark") == "null_clock"]
    check_record(null)


@pytest.mark.parametrize(
    ("family", "shape", "splits", "merges"),
    [
        ("rw_r", "middle", 2, 2),
        ("rw_r", "edge", 1, 1),
        ("rw_none", "middle", 2, 2),
        ("munmap", "middle", 2, None),
        ("munmap", "edge", 1, None),
        ("dontneed", "middle", 0, None),
        ("uffd_wp", "middle", 0, 0),
    ],
)
def test_splits_and_merges_are_those_of_the_shape(measured, family, shape, splits, merges):
    lines = measured(
        "call_latency", "--family", family, "--shape", shape, "--pages", "4", "--spinners", "0",
        "--populated", "1", "--passes", "1", "--max-samples", "3", "--min-samples", "3",
    )  # fmt: skip
    found = records(lines, "call_latency")
    forth = found[0]["conditions"]
    assert (forth["shape"], forth["splits"], forth["merges"]) == (shape, splits, 0)
    if merges is None:
        assert len(found) == 1
        return
    back = found[1]["conditions"]
    assert (back["shape"], back["splits"], back["merges"]) == (
        "merge" if merges else shape,
        0,
        merges,
    )


def test_multi_meets_as_many_vmas_as_it_says(measured):
    # The program compares with /proc/self/maps and reports a problem where they differ.
    lines = measured(
        "call_latency", "--shape", "multi", "--pages", "32", "--family", "rw_r,uffd_wp",
        "--spinners", "0", "--passes", "1", "--max-samples", "3", "--min-samples", "3",
    )  # fmt: skip
    vmas = {r["conditions"]["vmas"] for r in records(lines, "call_latency")}
    assert vmas == {1, 2, 4, 8, 16, 32}


def test_huge_ranges_are_seen_huge_in_smaps(measured):
    enabled = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not enabled.exists() or "[never]" in enabled.read_text():
        pytest.skip("transparent huge pages are off on this machine")
    lines = measured(
        "call_latency", "--family", "rw_r", "--shape", "own", "--pages", "1024", "--spinners", "0",
        "--populated", "1", "--passes", "1", "--max-samples", "3", "--min-samples", "3",
    )  # fmt: skip
    found = records(lines, "call_latency")
    huge = {r["conditions"]["huge_fraction"] for r in found if r["conditions"]["huge"]}
    base = {r["conditions"]["huge_fraction"] for r in found if not r["conditions"]["huge"]}
    assert huge == {1.0}
    assert base == {0.0}


def test_the_order_of_points_depends_on_the_seed_alone(measured):
    def order(seed: str) -> list[tuple]:
        lines = measured(
            "call_latency", "--family", "same_flags", "--shape", "own", "--spinners", "0",
            "--passes", "1", "--max-samples", "1", "--min-samples", "1", "--seed", seed,
        )  # fmt: skip
        return [
            (r["conditions"]["pages"], r["conditions"]["populated"], r["conditions"]["huge"])
            for r in records(lines, "call_latency")
        ]

    assert order("1") == order("1")
    assert order("1") != order("2")
    assert sorted(order("1")) == sorted(order("2"))


@needs_two_cpus
@pytest.mark.parametrize("target", ["same_vma", "other_vma", "fresh_vma"])
@pytest.mark.parametrize("writer", ["mprotect", "munmap", "uffd_writeprotect"])
def test_faults_beside_a_writer_are_sorted_by_its_calls(measured, writer, target):
    lines = measured(
        "fault_latency", "--quick", "--writer", writer, "--target", target, "--pages", "1",
        "--passes", "1", "--point-ms", "25", "--keep-pairs", "40",
    )  # fmt: skip
    found = records(lines, "fault_latency")
    faults = [r for r in found if r["operation"].startswith("fault_")]
    assert faults
    assert {r["operation"] for r in faults} == {
        "fault_write" if target == "fresh_vma" else "fault_read"
    }
    for record in found:
        check_record(record)
        assert record["conditions"]["target"] == target
        assert 0 <= record["conditions"]["duty"] <= 1
        if record["phase"] in ("during", "overlap"):
            check_pairs(record)
        if record["phase"] == "setup":
            assert writer == "munmap"
    assert any(r["phase"] == "call" for r in found)


def check_pairs(record: dict) -> None:
    pairs = record["pairs"]
    assert len(pairs) == record["pairs_kept"] <= record["pairs_total"] == record["count"]
    for offset, length, latency in pairs:
        if record["phase"] == "during":
            assert 0 <= offset < length
        else:
            # Begun before the call, still under way (clock cost apart) when it began.
            assert offset < 0
            assert latency >= -offset
        assert length > 0


def test_uncontended_faults_are_all_idle(measured):
    lines = measured("fault_latency", "--writer", "none", "--passes", "1", "--point-ms", "10")
    found = records(lines, "fault_latency")
    assert {r["phase"] for r in found} == {"idle"}
    assert sorted((r["operation"], r["conditions"]["target"]) for r in found) == [
        ("fault_read", "same_vma"),
        ("fault_write", "fresh_vma"),
        ("fault_write", "same_vma"),
    ]


def test_locked_operations_and_line_transfers(measured):
    found = records(
        measured("locked_op", "--quick", "--samples", "5", "--batch-us", "10"), "locked_op"
    )
    for record in found:
        check_record(record)
        assert record["min"] > 0
    alone = {r["operation"] for r in found if r["conditions"].get("sharing") == "none"}
    assert alone == {"plain_add", "xadd", "cmpxchg"}
    transfers = [r for r in found if r["operation"] == "line_transfer"]
    assert len(transfers) == min(CPUS - 1, 64) or CPUS > 65
    for record in transfers:
        assert record["conditions"]["cpu_a"] != record["conditions"]["cpu_b"]


def test_wake_records_have_the_ranks_in_order(measured):
    found = records(measured("wake", "--quick", "--sleepers", "4", "--rounds", "6"), "wake")
    for record in found:
        check_record(record)
    for placement in {r["conditions"]["placement"] for r in found}:
        mine = [r for r in found if r["conditions"]["placement"] == placement]
        ranks = [r for r in mine if r["phase"] == "wake"]
        assert [r["conditions"]["rank"] for r in ranks] == [1, 2, 4]
        # Round by round, a later rank ran no earlier.
        for first, later in pairwise(ranks):
            assert all(a <= b for a, b in zip(first["samples"], later["samples"], strict=True))


def test_the_traced_load_labels_its_batches(tools, tmp_path):
    # Plain files stand in for the instance: the markers can be read back without root.
    (tmp_path / "events/mmap_lock").mkdir(parents=True)
    for name in ("trace_marker", "tracing_on", "events/mmap_lock/enable"):
        (tmp_path / name).touch()
    done = subprocess.run(
        [tools.program("traced_load"), "--instance", tmp_path, "--quick", "--pages", "1,16"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    nulls = records(lines, "null_tracer")
    assert [r["conditions"]["tracing"] for r in nulls] == ["off", "muted", "on"]
    for record in nulls:
        check_record(record)
    marks = (tmp_path / "trace_marker").read_text().splitlines()
    assert marks[0] == "perfmodel clock name=mono"
    starts, ends = marks[1::2], marks[2::2]
    assert set(ends) == {"perfmodel label operation=none"}
    assert "perfmodel label operation=munmap pages=16 vmas=1 transition=none" in starts
    assert "perfmodel label operation=mprotect pages=1 vmas=1 transition=RW->R" in starts
    assert len(starts) == len(ends)


@pytest.mark.parametrize(
    ("program", "arguments", "said"),
    [
        ("call_latency", ["--pages", "1,x"], "--pages: 'x' is not a whole number"),
        ("call_latency", ["--bogus"], "'--bogus' is not an option"),
        ("call_latency", ["--seed"], "--seed needs a value"),
        ("call_latency", ["--spinners", "9999"], "this machine has"),
        ("call_latency", ["--family", "nothing"], "leave no point to measure"),
        ("wake", ["--sleepers", "65"], "1 to 64"),
        ("traced_load", [], "--instance is needed"),
    ],
)
def test_a_wrong_option_is_told_in_a_sentence(tools, program, arguments, said):
    done = subprocess.run(
        [tools.program(program), *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.startswith(f"{program}: ")
