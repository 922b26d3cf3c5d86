"""However a trace is damaged: an input error or a counted skip, and no line unaccounted for."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.readers import read
from perfmodel.readers.tracegrammar import FTRACE, PERF_SCRIPT, Grammar
from perfmodel.readers.tracetext import TraceText

from .conftest import TRACES, TraceWriter, by_blocks, by_lines, everything

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LINES = [
    *(TRACES / "clock-mono.txt").read_bytes().splitlines(keepends=True)[:30],
    b"CPU:1 [LOST 3 EVENTS]\n",
    b"  p-1 [001] .....  2162.179700: tracing_mark_write: perfmodel label operation=a b=1\n",
    b"  p-1 [001] .....  2162.179710: sys_munmap(addr: 0x7f671b38b000, len: 0x10001)\n",
    b"  p-1 [001] .....  2162.179720: tracing_mark_write: perfmodel clock tick_ns=0.5\n",
    *(TRACES / "local-tgid-all-events.txt").read_bytes().splitlines(keepends=True)[30:50],
]


STACKS = (TRACES / "opt-stacktrace.txt").read_bytes().splitlines(keepends=True)[:80]
SYSCALLS = (TRACES / "syscalls.txt").read_bytes().splitlines(keepends=True)[:60]
LATENCY = (TRACES / "opt-latency-format.txt").read_bytes().splitlines(keepends=True)[:40]
PERF = [
    *(TRACES / "perf-script-lost.txt").read_bytes().splitlines(keepends=True)[40:80],
    *(TRACES / "perf-script-callgraph.txt").read_bytes().splitlines(keepends=True)[:40],
]


def reading(read_it: Callable[..., TraceText], *given: Any) -> TraceText | InputError:
    try:
        return read_it(*given)
    except InputError as error:
        return error


def account(content: bytes, grammar: Grammar = FTRACE) -> TraceText:
    """See that no line went missing, and that blocks are read as their lines are."""
    text = reading(by_lines, content, grammar)
    if isinstance(text, InputError):
        assert str(reading(by_blocks, content, 3000, grammar)) == str(text)
        raise text
    lines = content.removesuffix(b"\n").split(b"\n") if content else []
    not_comments = [x for x in lines if x.strip() and not x.startswith(b"#")]
    assert text.states.events + text.others + text.skipped_total == len(not_comments)
    assert text.comments == len(lines) - len(not_comments)
    for size in (1 << 22, 3000):
        again = reading(by_blocks, content, size, grammar)
        assert isinstance(again, TraceText), "refused by blocks, not by lines"
        assert everything(again) == everything(text)
    return text


def survives(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with suppress(InputError):
        report = read(path).reports[0]
        assert report.holds_exclusive + report.holds_shared <= report.events


READABLE = sorted(
    path for path in TRACES.glob("*.txt")
    if not path.name.startswith(("opt-raw", "opt-hex", "opt-bin", "opt-nocontext", "perf-script-no-t"))
)  # fmt: skip


@pytest.mark.parametrize("path", READABLE, ids=lambda path: path.name)
def test_every_line_is_accounted_for(path: Path) -> None:
    perf = path.name.startswith("perf")
    text = account(path.read_bytes(), PERF_SCRIPT if perf else FTRACE)
    assert text.skipped_total == (7 if "ns-fields" in path.name else 0)


@pytest.mark.parametrize("count", range(len(LINES) + 1))
def test_cut_after_every_line(tmp_path: Path, count: int) -> None:
    survives(tmp_path / "t", b"".join(LINES[:count]))
    if count:
        account(b"".join(LINES[:count]))


def test_cut_inside_a_lock_event(tmp_path: Path) -> None:
    whole = TraceWriter().hold().save(tmp_path).read_bytes()
    keep = whole.rindex(b"\n", 0, len(whole) - 1) + 1
    for end in range(keep + 1, len(whole) - 1):
        text = account(whole[:end])
        assert (text.states.events, text.states.holds_exclusive) == (2, 0), whole[keep:end]


#: What means something in a line, to be put where it does not belong.
PIECES = [
    b"perfmodel label operation=a", b"x: perfmodel label operation=z", b"a=b: ", b"-5 [0] 12: a:",
    b"mmap_lock_released: mm=0 write=1", b" <-", b"sys_munmap(len: 1000)", b"print: ", b"<a b>",
    b"CPU:0 [3 EVENTS DROPPED]", b"PERF_RECORD_LOST lost 3", b"=> x", b"\t", b"#", b"1.000001: ",
    b"us+: ", b"buf: ", b" success=true", b"\r", b"syscalls:sys_enter_brk: ", b": ", b"[001] ",
    b"mmap_lock:", b"\0", b"9" * 9, b"\n",
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_mutated_bytes(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    lines = data.draw(st.sampled_from([LINES, STACKS, SYSCALLS, LATENCY, PERF]))
    grammar = PERF_SCRIPT if lines is PERF else FTRACE
    content = bytearray(b"".join(lines))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 1))
        fresh = data.draw(st.binary(max_size=4) | st.sampled_from(PIECES))
        content[at : at + data.draw(st.integers(0, 3))] = fresh
    if data.draw(st.booleans()):  # so that what was remembered is met again
        content *= 2
    survives(tmp_path_factory.getbasetemp() / "mutated", bytes(content))
    with suppress(InputError):  # a first line that looks like a refused variant
        account(bytes(content), grammar)


@settings(max_examples=100, deadline=None)
@given(st.permutations(LINES[12:30]), st.sets(st.integers(0, 17)))
def test_shuffled_and_missing_lines(order: list[bytes], missing: set[int]) -> None:
    text = account(b"".join(x for i, x in enumerate(order) if i not in missing))
    assert text.skipped_total == 0
    for intervals in text.states.intervals:
        assert intervals.durations.counted()[0].min() >= 0
