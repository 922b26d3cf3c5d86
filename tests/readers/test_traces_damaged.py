"""However a trace is damaged: an input error or a counted skip, and no line unaccounted for."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.readers import read
from perfmodel.readers.tracetext import TraceText

from .conftest import TRACES, TraceWriter

if TYPE_CHECKING:
    from pathlib import Path

LINES = [
    *(TRACES / "clock-mono.txt").read_bytes().splitlines(keepends=True)[:30],
    b"CPU:1 [LOST 3 EVENTS]\n",
    b"  p-1 [001] .....  2162.179700: tracing_mark_write: perfmodel label operation=a b=1\n",
    b"  p-1 [001] .....  2162.179710: sys_munmap(addr: 0x7f671b38b000, len: 0x10001)\n",
    b"  p-1 [001] .....  2162.179720: tracing_mark_write: perfmodel clock tick_ns=0.5\n",
    *(TRACES / "local-tgid-all-events.txt").read_bytes().splitlines(keepends=True)[30:50],
]


def account(content: bytes) -> TraceText:
    """Read without the final checks and see that no line went missing."""
    text = TraceText()
    lines = content.splitlines(keepends=True) if b"\r" not in content else content.split(b"\n")
    for number, line in enumerate(lines, 1):
        text.feed(line, number)
    not_comments = [x for x in lines if x.strip() and not x.startswith(b"#")]
    assert text.states.events + text.others + text.skipped_total == len(not_comments)
    assert text.comments == len(lines) - len(not_comments)
    return text


def survives(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with suppress(InputError):
        report = read(path).reports[0]
        assert report.holds_exclusive + report.holds_shared <= report.events


def test_every_line_is_accounted_for() -> None:
    for path in sorted(TRACES.glob("*.txt")):
        if not path.name.startswith(("opt-raw", "opt-hex", "perf")):
            text = account(path.read_bytes())
            assert text.skipped_total == 0, path


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


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_mutated_bytes(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    content = bytearray(b"".join(LINES))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    survives(tmp_path_factory.getbasetemp() / "mutated", bytes(content))
    with suppress(InputError):  # a first line that looks like a refused variant
        account(bytes(content))


@settings(max_examples=100, deadline=None)
@given(st.permutations(LINES[12:30]), st.sets(st.integers(0, 17)))
def test_shuffled_and_missing_lines(order: list[bytes], missing: set[int]) -> None:
    text = account(b"".join(x for i, x in enumerate(order) if i not in missing))
    assert text.skipped_total == 0
    for intervals in text.states.intervals:
        assert min(intervals.durations) >= 0
