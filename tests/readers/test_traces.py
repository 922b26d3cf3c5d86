"""Real traces against a second count, and the state machine on traces written for the purpose."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from perfmodel.errors import InputError
from perfmodel.readers import read, sniff

from .conftest import TraceWriter, naive

if TYPE_CHECKING:
    from pathlib import Path

    from perfmodel.observations import ObservationTable, ReadReport

TICK = 0.384615


def report_of(path: Path) -> ReadReport:
    return read(path).reports[0]


def values(table: ObservationTable, phase: str) -> list[float]:
    groups = table.select(phase=phase).groups
    return [float(v) for g in groups for v in np.repeat(g.middle, g.count)]


# Certified by `grep -c` on the files: events, exclusive, shared, downgrades, waits, failed, open.
CERTIFIED = {
    "clock-mono.txt": ("ftrace", "B", 549, 109, 84, 15, 178, 0, 0),
    "clock-x86-tsc.txt": ("ftrace", "A", 467, 70, 93, 11, 152, 0, 0),
    "opt-noirq-info.txt": ("ftrace", "B", 413, 65, 78, 8, 135, 0, 0),
    "opt-record-tgid.txt": ("ftrace", "B", 521, 63, 112, 7, 168, 5, 0),
    "syscalls.txt": ("ftrace", "B", 164, 46, 16, 12, 51, 0, 1),
    "report-raw-ns.txt": ("trace_cmd", "A", 23, 3, 4, 0, 8, 0, 1),
    "report-us.txt": ("trace_cmd", "B", 23, 3, 4, 0, 8, 0, 1),
    "report-whole.txt.gz": ("trace_cmd", "B", 1318, 131, 271, 24, 378, 80, 0),
}


@pytest.mark.parametrize("name", CERTIFIED)
def test_real_traces(traces: Path, name: str) -> None:
    path = traces / name
    table = read(path, tick_ns=TICK)
    report = table.reports[0]
    got = (
        report.format, report.evidence, report.events, report.holds_exclusive,
        report.holds_shared, report.downgrades, report.waits, report.failed_trylocks, report.open,
    )  # fmt: skip
    assert got == CERTIFIED[name]
    assert (report.lost, report.orphaned, report.skipped) == (0, 0, ())
    raw = gzip.decompress(path.read_bytes()) if name.endswith("gz") else path.read_bytes()
    counts, exclusive, shared = naive(raw.decode())
    assert got[2:] == tuple(
        counts[k]
        for k in ("events", "exclusive", "shared", "downgrades", "waits", "failed", "open")
    )
    scale = TICK if "tsc" in name else 1e9
    for phase, expected in (("exclusive", exclusive), ("shared", shared)):
        found = values(table, phase)
        slack = 501 if report.evidence == "B" else 1
        assert np.allclose(np.sort(found), np.sort(np.array(expected) * scale), atol=slack)


WINDOWS = [
    "opt-fields.txt", "opt-latency-format.txt", "opt-latency-verbose.txt", "opt-nohash-ptr.txt",
    "opt-stacktrace.txt", "report-latency.txt", "report-no-plugins-ns.txt",
]  # fmt: skip


@pytest.mark.parametrize("name", WINDOWS)
def test_events_of_cut_traces_add_up(traces: Path, name: str) -> None:
    """The windows begin and end inside sections, so that not every event has its partner."""
    report = report_of(traces / name)
    seen = Counter(re.findall(r"mmap_lock_(\w+): +mm=", (traces / name).read_text()))
    assert report.events == seen.total() > 25
    assert report.skipped == ()
    started = seen["start_locking"] - report.waits - report.failed_trylocks
    released = seen["released"] - (report.holds_exclusive - report.downgrades) - report.holds_shared
    assert 0 <= started <= report.open
    assert 0 <= released <= report.orphaned <= 2


def test_options_of_one_buffer_agree(traces: Path) -> None:
    def intervals(path: Path) -> list[Any]:
        return [
            (g.phase, dict(g.conditions), g.low.tolist(), g.high.tolist(), g.count.tolist())
            for g in read(path).groups
        ]

    assert intervals(traces / "opt-fields.txt") == intervals(traces / "opt-nohash-ptr.txt")


def test_the_latency_format_agrees_with_its_verbose_form(traces: Path, tmp_path: Path) -> None:
    verbose = (traces / "opt-latency-verbose.txt").read_text().splitlines()
    count = sum(1 for line in verbose if not line.startswith("#"))
    short = (traces / "opt-latency-format.txt").read_text().splitlines()
    short = [line for line in short if not line.startswith("#")][:count]
    path = tmp_path / "t"
    path.write_text("\n".join(short) + "\n")
    ours, theirs = read(path), read(traces / "opt-latency-verbose.txt")
    assert len(ours) == len(theirs) > 3
    for a, b in zip(ours.groups, theirs.groups, strict=True):
        assert (a.phase, a.low.tolist(), a.count.tolist()) == (
            b.phase, b.low.tolist(), b.count.tolist(),
        )  # fmt: skip


def test_system_calls_of_a_real_trace_label_its_sections(traces: Path) -> None:
    labelled = read(traces / "syscalls.txt").select(operation="munmap", phase="exclusive")
    assert {g.conditions["pages"]: g.total for g in labelled.groups} == {4: 2, 16: 10}


def test_other_events_are_neither_skipped_nor_counted(traces: Path) -> None:
    path = traces / "local-tgid-all-events.txt"
    report = report_of(path)
    assert report.events == path.read_text().count("mmap_lock_")
    assert report.skipped == ()


def test_microseconds_and_nanoseconds_of_one_buffer_agree(traces: Path) -> None:
    coarse, fine = read(traces / "report-us.txt"), read(traces / "report-raw-ns.txt")
    assert len(coarse) == len(fine)
    for a, b in zip(coarse.groups, fine.groups, strict=True):
        assert (a.operation, a.phase, a.conditions) == (b.operation, b.phase, b.conditions)
        assert a.total == b.total
        exact, low, high = (np.repeat(x, g.count) for x, g in ((b.low, b), (a.low, a), (a.high, a)))
        assert np.all((low <= exact) & (exact <= high))  # both ascend
        # 3 to 5 values each, and intervals of 0 µs are centred at 0.5 µs
        assert a.mean == pytest.approx(b.mean, abs=600)


def test_quantisation_is_told(traces: Path) -> None:
    assert any("0 µs long" in w for w in report_of(traces / "clock-mono.txt").warnings)
    assert not read(traces / "clock-x86-tsc.txt", tick_ns=TICK).reports[0].warnings


def test_ticks_need_a_length(traces: Path, tmp_path: Path) -> None:
    path = traces / "clock-x86-tsc.txt"
    with pytest.raises(InputError, match="--tick-ns") as error:
        read(path)
    assert error.value.field == "tick_ns"
    marker = "  prog-1 [000] ..... 5613852563000: tracing_mark_write: perfmodel clock tick_ns=0.5\n"
    marked = tmp_path / "marked"
    marked.write_text(path.read_text() + marker)
    ours = values(read(marked), "exclusive")
    assert ours == pytest.approx(values(read(path, tick_ns=0.5), "exclusive"))
    told = read(marked, tick_ns=1.0)
    assert values(told, "exclusive") == pytest.approx([2 * v for v in ours])
    assert any("tick length" in w for w in told.reports[0].warnings)


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_bad_tick(traces: Path, bad: float) -> None:
    with pytest.raises(InputError, match="tick_ns"):
        read(traces / "clock-x86-tsc.txt", tick_ns=bad)


@pytest.mark.parametrize(
    ("name", "what"),
    [("clock-counter.txt", "the events"), ("clock-uptime.txt", "timer interrupts")],
)
def test_clocks_that_hold_no_time(traces: Path, name: str, what: str) -> None:
    with pytest.raises(InputError, match=f"number {what}"):
        read(traces / name, tick_ns=1.0)


def test_the_counter_clock_is_no_time(tmp_path: Path) -> None:
    lines = ["# tracer: nop\n"]
    for i, name in enumerate(("start_locking", "acquire_returned", "released") * 5):
        success = " success=true" if name.startswith("acq") else ""
        lines.append(f" p-1 [000] ..... {900 + i}: mmap_lock_{name}: mm=0a write=true{success}\n")
    path = tmp_path / "t"
    path.write_text("".join(lines))
    with pytest.raises(InputError, match="counter"):
        read(path, tick_ns=1.0)


def test_downgrade_splits_a_hold(trace: TraceWriter, tmp_path: Path) -> None:
    trace.start(after=10).got(after=20).got(write=False, after=30).released(write=False, after=40)
    table = read(trace.save(tmp_path))
    report = table.reports[0]
    assert (report.holds_exclusive, report.holds_shared, report.downgrades, report.waits) == (
        1, 1, 1, 1,
    )  # fmt: skip
    for phase, us, mode in (
        ("wait", 20, "write"),
        ("exclusive", 30, "downgraded"),
        ("shared", 40, "downgraded"),
    ):
        (group,) = table.select(phase=phase).groups
        assert (group.low[0], group.high[0]) == ((us - 1) * 1e3, (us + 1) * 1e3)
        assert dict(group.conditions) == {"mode": mode}


def test_zero_is_clipped_below(trace: TraceWriter, tmp_path: Path) -> None:
    (group,) = read(trace.start().got(after=0).save(tmp_path)).groups
    assert (group.low[0], group.high[0]) == (0.0, 1000.0)


def test_failed_trylock_then_blocking_lock(trace: TraceWriter, tmp_path: Path) -> None:
    trace.start(False).got(False, ok=False).hold(False)
    report = report_of(trace.save(tmp_path))
    assert (report.failed_trylocks, report.waits, report.holds_shared) == (1, 1, 1)
    assert report.orphaned == 0


def test_fork_holds_two_mms(trace: TraceWriter, tmp_path: Path) -> None:
    trace.start(mm="0a").got(mm="0a").start(mm="0b").got(mm="0b")
    trace.released(mm="0b").released(mm="0a")
    table = read(trace.save(tmp_path))
    assert sorted(values(table, "exclusive")) == [10_000, 40_000]
    assert table.reports[0].orphaned == 0


def test_two_threads_of_one_mm_do_not_mix(trace: TraceWriter, tmp_path: Path) -> None:
    trace.start(False, tid=1).start(False, tid=2).got(False, tid=1).got(False, tid=2)
    trace.released(False, tid=1, after=5).released(False, tid=2, after=5)
    assert values(read(trace.save(tmp_path)), "shared") == [10_000, 15_000]


def test_orphans_and_open_states(trace: TraceWriter, tmp_path: Path) -> None:
    trace.released(False)  # capture began inside
    trace.got(False).released(False)  # began inside the wait: the hold is whole
    trace.start().got()  # still held at the end
    trace.start(tid=8)  # still waiting
    table = read(trace.save(tmp_path))
    report = table.reports[0]
    assert (report.orphaned, report.open, report.holds_shared, report.waits) == (2, 2, 1, 1)


def test_mode_mismatch_gives_no_interval(trace: TraceWriter, tmp_path: Path) -> None:
    report = report_of(trace.start().got().released(write=False).save(tmp_path))
    assert (report.holds_exclusive, report.holds_shared, report.events) == (0, 0, 3)
    assert any("another mode" in w for w in report.warnings)


def test_nested_acquire_gives_no_wrong_interval(trace: TraceWriter, tmp_path: Path) -> None:
    trace.start(False).got(False).start(False).got(False).released(False).released(False)
    table = read(trace.save(tmp_path))
    assert values(table, "shared") == [10_000]
    assert table.reports[0].orphaned == 2


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("CPU:1 [LOST 1017 EVENTS]", 1017),
        ("CPU:0 [LOST EVENTS]", 1),
        ("CPU:1 [3 EVENTS DROPPED]", 3),
    ],
)
def test_lost_events(trace: TraceWriter, tmp_path: Path, text: str, lost: int) -> None:
    trace.hold().start().got().raw(text).released()
    trace.hold(after=7).hold()
    table = read(trace.save(tmp_path))
    report = table.reports[0]
    assert report.lost == lost
    # the first hold, then none until the release after the loss, then both
    assert (report.holds_exclusive, report.orphaned, report.open) == (3, 1, 0)
    assert report.events == 12


def test_first_hold_after_a_loss_is_not_used(trace: TraceWriter, tmp_path: Path) -> None:
    trace.raw("CPU:1 [LOST 5 EVENTS]").got(False).released(False).hold(False)
    report = report_of(trace.save(tmp_path))
    assert report.holds_shared == 1
    assert any("discarded" in w for w in report.warnings)


@pytest.mark.parametrize(
    "header",
    [
        "# tracer: nop\n# entries-in-buffer/entries-written: 6/106   #P:2\n",
        "# tracer: nop\n# nop latency trace v1.1.5 on 6.18\n# latency: 0 us, #6/106, CPU#0 | (M)\n",
    ],
)
def test_overwritten_buffer(tmp_path: Path, header: str) -> None:
    report = report_of(TraceWriter(header).hold().hold().save(tmp_path))
    assert (report.lost, report.holds_exclusive) == (100, 1)
    assert any("overwritten" in w for w in report.warnings)


def test_a_cpu_buffer_that_starts_later(trace: TraceWriter, tmp_path: Path) -> None:
    trace.hold().start().got().raw("##### CPU 1 buffer started ####").released().hold()
    assert report_of(trace.save(tmp_path)).holds_exclusive == 2


def test_writers_that_overlap(trace: TraceWriter, tmp_path: Path) -> None:
    trace.start(tid=1).got(tid=1).start(tid=2).got(tid=2).released(tid=1).released(tid=2)
    assert any("two threads" in w for w in report_of(trace.save(tmp_path)).warnings)
    clean = TraceWriter().hold(tid=1).hold(tid=2).save(tmp_path)
    assert report_of(clean).warnings == ()


def test_time_that_runs_backwards(trace: TraceWriter, tmp_path: Path) -> None:
    path = trace.start().got().released(after=-5).save(tmp_path)
    report = report_of(path)
    assert report.holds_exclusive == 0
    assert any("backwards" in w for w in report.warnings)
    assert any("ended before it began" in w for w in report.warnings)
    other_cpu = TraceWriter().hold(cpu=0).hold(cpu=1, after=-5).save(tmp_path)
    assert not any(
        "backwards" in w and "first at line 5" in w for w in report_of(other_cpu).warnings
    )


def test_labels(trace: TraceWriter, tmp_path: Path) -> None:
    mark = "tracing_mark_write: perfmodel label "
    trace.event("tracing_mark_write: perfmodel clock name=mono")
    trace.event(mark + "operation=munmap pages=512 share=0.5 transition=none")
    trace.start().got().got(False).released(False)
    trace.hold(tid=8)  # another thread is not meant
    trace.event(mark + "operation=none").hold()
    table = read(trace.save(tmp_path))
    assert table.reports[0].skipped == ()
    conditions = {"pages": 512, "share": 0.5, "transition": "none"}
    labelled = table.select(operation="munmap")
    assert {g.phase for g in labelled.groups} == {"wait", "exclusive", "shared"}
    assert all(dict(g.conditions) == conditions for g in labelled.groups)
    (unknown,) = table.select(operation="unknown", phase="exclusive").groups
    assert (unknown.total, dict(unknown.conditions)) == (2, {"mode": "write"})


def test_a_label_as_trace_cmd_prints_it(trace: TraceWriter, tmp_path: Path) -> None:
    trace.event("print:                tracing_mark_write: perfmodel label operation=brk").hold()
    assert len(read(trace.save(tmp_path)).select(operation="brk", phase="exclusive")) == 1


@pytest.mark.parametrize(
    "text",
    ["label operation", "label pages=3", "label operation=a pages=1 pages=2", "clock tick_ns=-1"],
)
def test_a_bad_marker_is_told_and_ends_the_label(
    trace: TraceWriter, tmp_path: Path, text: str
) -> None:
    trace.event("tracing_mark_write: perfmodel label operation=mprotect")
    trace.event(f"tracing_mark_write: perfmodel {text}").hold()
    table = read(trace.save(tmp_path))
    (skipped,) = table.reports[0].skipped
    assert skipped.line == 4
    assert bool(len(table.select(operation="mprotect"))) == text.startswith("clock")


def test_syscalls_label_where_no_marker_does(trace: TraceWriter, tmp_path: Path) -> None:
    trace.event("sys_munmap(addr: 0x7f671b38b000, len: 0x10001)").hold()
    trace.event("sys_munmap -> 0x0").hold()
    trace.event("sys_enter_mprotect:   start: 0x7f0000000000, len: 0x2000, prot: 0x1").hold()
    trace.event("sys_exit_mprotect:    0x0")
    trace.event("sys_enter: NR 11 (1, 2)").event("sys_read(fd: 3)").hold()
    table = read(trace.save(tmp_path))
    assert table.reports[0].skipped == ()
    found = {
        (g.operation, g.conditions.get("pages"), g.total)
        for g in table.select(phase="exclusive").groups
    }
    assert found == {("munmap", 17, 1), ("mprotect", 2, 1), ("unknown", None, 2)}


VARIANTS = {
    "fields option": (
        "mm=0xffff888109e6ea40 (-131387000000) memcg_id=0x1505 (5381) write=(1)", " success=(1)",
    ),
    "fields option, long": ("mm=0xffff888109e6ea40 (-1) memcg_id=0x0 (0) write=0x1 (1)",
                            " success=0x1 (1)"),
    "memcg path": ("mm=00000000ddd4501f memcg_path=/a b.slice/ write=true", " success=true"),
    "empty path": ("mm=00000000ddd4501f memcg_path= write=true", " success=true"),
    "no memcg": ("mm=00000000ddd4501f write=1", " success=1"),
}  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
def test_forms_of_the_fields(trace: TraceWriter, tmp_path: Path, variant: str) -> None:
    fields, success = VARIANTS[variant]
    trace.event(f"mmap_lock_start_locking: {fields}")
    trace.event(f"mmap_lock_acquire_returned: {fields}{success}")
    trace.event(f"mmap_lock_released: {fields}")
    report = report_of(trace.save(tmp_path))
    assert (report.events, report.holds_exclusive, report.skipped) == (3, 1, ())


HEADS = {
    "latency format": (" mmbench-23413     0..... {}us : ", "B", 1e3),
    "latency format, marked": ("  a b-c-23413     1d..3. {}us+: ", "B", 1e3),
    "trace-cmd -l": ("buf.1:  bash-15246   1d..3.  1159.93974{}: ", "B", 1e3),
    "four flags": ("  <...>-15246 [000] d..1  1159.93974{}: ", "B", 1e3),
    "ns": ("  <idle>-0   [011]  1159.93974000{}: ", "A", 1.0),
    "tgid unknown": ("  a:b-12   (-------) [000] d..1. 1159.93974{}: ", "B", 1e3),
    "no name": ("                -12 [000] d..1. 1159.93974{}: ", "B", 1e3),
}


@pytest.mark.parametrize("form", HEADS)
def test_forms_of_the_head(tmp_path: Path, form: str) -> None:
    head, evidence, unit = HEADS[form]
    path = tmp_path / "t"
    path.write_text(
        head.format(2) + "mmap_lock_acquire_returned: mm=0a memcg_id=1 write=true success=true\n"
        + head.format(7) + "mmap_lock_released: mm=0a memcg_id=1 write=true\n"
    )  # fmt: skip
    (group,) = read(path).groups
    assert group.source.evidence == evidence
    assert group.mean == pytest.approx(5 * unit)


def test_stack_traces_and_functions_are_other_lines(trace: TraceWriter, tmp_path: Path) -> None:
    trace.event("<stack trace>").raw(" => mmap_lock_foo").raw("=> do_syscall_64").event("f <-g")
    trace.hold()
    assert report_of(trace.save(tmp_path)).skipped == ()


def test_skipped_lines_are_told_up_to_a_thousand(trace: TraceWriter, tmp_path: Path) -> None:
    trace.hold()
    for _ in range(1500):
        trace.raw("garbage")
    skipped = report_of(trace.save(tmp_path)).skipped
    assert len(skipped) == 1001
    assert skipped[0].line == 6
    assert "garbage" in skipped[0].reason
    assert "500 more" in skipped[-1].reason


def test_pointers_that_are_not_printed_are_skipped(trace: TraceWriter, tmp_path: Path) -> None:
    trace.hold().start(mm="(____ptrval____)")
    assert len(report_of(trace.save(tmp_path)).skipped) == 1


def test_a_trace_without_lock_events_says_so(trace: TraceWriter, tmp_path: Path) -> None:
    report = report_of(trace.event("tlb_flush: pages:0 reason:x (5)").save(tmp_path))
    assert report.events == 0
    assert any("enabled" in w for w in report.warnings)


def test_crlf_and_byte_order_mark(trace: TraceWriter, tmp_path: Path) -> None:
    path = trace.hold().save(tmp_path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    report = report_of(path)
    assert (report.events, report.skipped, sniff(path)) == (3, (), "ftrace")
