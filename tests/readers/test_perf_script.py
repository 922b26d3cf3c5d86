"""Text of perf script: real captures against a second count, and its forms line by line."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from perfmodel.errors import InputError
from perfmodel.readers import read, sniff

from .conftest import naive

NAMES = [
    "perf-script.txt", "perf-script-ns-fields.txt", "perf-script-callgraph.txt",
    "perf-script-lost.txt", "perf-script-no-cpu.txt", "perf-script-period.txt",
    "perf-script-header.txt",
]  # fmt: skip


def as_ftrace(text: str) -> str:
    """Return the event lines in a form that the naive count understands."""
    events = re.findall(r"^(.*?)(\d+) +(\[\d+\] +)?([\d.]+): .*?(mmap_lock_\w+: .*)$", text, re.M)
    return "\n".join(f"x-{tid} {time}: {body}" for _, tid, _, time, body in events)


@pytest.mark.parametrize("name", NAMES)
def test_real_text(traces: Path, name: str) -> None:
    path = traces / name
    assert sniff(path) == "perf_script"
    report = read(path).reports[0]
    text = path.read_text()
    seen = Counter(re.findall(r"mmap_lock:mmap_lock_(\w+): +mm=", text))
    assert report.events == seen.total() > 20
    assert report.evidence == ("A" if "ns" in name.split("-") else "B")
    lost = [int(n) for n in re.findall(r"PERF_RECORD_LOST lost (\d+)", text)]
    assert report.lost == sum(lost)
    assert bool(lost) == ("lost" in name)
    assert [s.line for s in report.skipped] == (list(range(1, 8)) if "fields" in name else [])
    released = seen["released"] - (report.holds_exclusive - report.downgrades) - report.holds_shared
    discarded = sum(int(n) for w in report.warnings for n in re.findall(r"discarded: (\d+)", w))
    assert 0 <= released <= report.orphaned + discarded


@pytest.mark.parametrize("name", ["perf-script.txt", "perf-script-ns-fields.txt"])
def test_durations_of_real_text(traces: Path, name: str) -> None:
    table = read(traces / name)
    counts, exclusive, shared = naive(as_ftrace((traces / name).read_text()))
    report = table.reports[0]
    assert (report.events, report.downgrades, report.waits) == (
        counts["events"], counts["downgrades"], counts["waits"],
    )  # fmt: skip
    for phase, expected in (("exclusive", exclusive), ("shared", shared)):
        groups = table.select(phase=phase).groups
        found = np.sort(np.concatenate([np.repeat(g.middle, g.count) for g in groups]))
        slack = 501 if report.evidence == "B" else 1
        assert np.allclose(found, np.sort(expected) * 1e9, atol=slack)


HEADS = {
    "tid": "         mmbench 13875 [001]   984.{}: ",
    "pid and tid": "         mmbench 13870/13875 [001]   984.{}: ",
    "comm with spaces and numbers": "    w mprotect 1 13875 [001]   984.{}: ",
    "comm with a slash": "   kworker/u4:1-e 13875 [001]   984.{}: ",
    "long comm": "abcdefghijklmno 13875 [001]   984.{}: ",
    "left adjusted": "mmbench 13875 [001]   984.{}: ",
    "no comm": "13870/13875 [001]   984.{}: ",
    "no cpu": "         mmbench 13875   984.{}: ",
    "period": "         mmbench 13875 [001]   984.{}:          1 ",
    "old": "mmbench 13875   984.{}: 1 ",
}


@pytest.mark.parametrize("form", HEADS)
@pytest.mark.parametrize("digits", [6, 9])
def test_forms_of_the_head(tmp_path: Path, form: str, digits: int) -> None:
    lines = [
        HEADS[form].format(f"{time:0{digits}}") + f"mmap_lock:mmap_lock_{name}: mm=0xffff8881000 "
        f"memcg_id=5381 write=false{ok}\n"
        for time, name, ok in (
            (3, "start_locking", ""), (5, "acquire_returned", " success=true"), (9, "released", ""),
        )
    ]  # fmt: skip
    path = tmp_path / "t"
    path.write_text("".join(lines))
    assert sniff(path) == "perf_script"
    table = read(path)
    assert table.reports[0].skipped == ()
    (hold,) = table.select(phase="shared").groups
    (wait,) = table.select(phase="wait").groups
    unit = 1000.0 if digits == 6 else 1.0
    assert (wait.mean, hold.mean) == (2 * unit, 4 * unit)


def test_other_lines(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_text(
        "# ========\n"
        "prog 7 [000] 1.000001:          1   cycles:u: \n"
        "\tffffffff815dbc30 __traceiter+0x30 ([kernel.kallsyms])\n"
        "\t    7f65600f2ad7 [unknown] ([unknown])\n"
        "\n"
        "prog 7 [000] 1.000002: syscalls:sys_enter_munmap: addr: 0x7f0000000000, len: 0x00002000\n"
        "prog 7 [000] 1.000003: mmap_lock:mmap_lock_start_locking:   mm=0xff write=true\n"
        "prog 7 [000] 1.000005: mmap_lock:mmap_lock_acquire_returned: mm=0xff write=true success=1\n"
        "prog 7 [000] 1.000006: exceptions:page_fault_user: address=0x1 ip=0x2 error_code=0x7\n"
        "prog 7 [000] 1.000009: mmap_lock:mmap_lock_released: mm=0xff write=true "
        "    ffffffff815dbcb0 __traceiter+0x30 ([kernel.kallsyms])\n"
        "prog 7 [000] 1.000010: syscalls:sys_exit_munmap: 0x0\n"
        "prog 7 [000] 1.000011: mmap_lock:mmap_lock_rele\n"
        "prog 7 [000] 1.000012: mmap_lock:mmap_lock_acquire_returned: mm=0xff write=true\n"
    )
    table = read(path)
    assert [s.line for s in table.reports[0].skipped] == [12, 13]
    (group,) = table.select(phase="exclusive").groups
    assert (group.operation, group.conditions["pages"], group.mean) == ("munmap", 2, 4000.0)


def test_a_header_that_fills_the_first_look(tmp_path: Path, traces: Path) -> None:
    text = (traces / "perf-script-header.txt").read_text()
    path = tmp_path / "t"
    path.write_text(text.replace("# ========\n#\n", "# more\n" * 900 + "# ========\n#\n"))
    assert sniff(path) == "perf_script"
    path.write_text("# ========\n# of mine\n")
    with pytest.raises(InputError, match="no known format"):
        sniff(path)
