"""Blocks of lines, and many lock events at once, give what the lines give one after the other."""

from __future__ import annotations

import io
import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.readers import lockblocks, traceblocks
from perfmodel.readers.linememory import UNKNOWN, Strings
from perfmodel.readers.linesides import Sides
from perfmodel.readers.lockblocks import LockEvents, apply
from perfmodel.readers.lockstates import Label, LockStates
from perfmodel.readers.traceblocks import feed_stream
from perfmodel.readers.tracetext import TraceText

from .conftest import TRACES, TraceWriter, by_blocks, by_lines, everything

if TYPE_CHECKING:
    from perfmodel.readers.lockstates import Key

LABELS: list[Label | None] = [None, Label("x"), Label("y", (("pages", 1),))]
Event = tuple[int, int, int, int, int]  # code, time, line, key, label


def sequence(chance: random.Random, keys: list[Key], odd: float) -> list[list[Event]]:
    """Return blocks of events as a kernel gives them, with some that it does not."""
    state = dict.fromkeys(range(len(keys)), "out")
    writer: dict[bytes, int] = {}
    now, line, blocks = 100, 0, []
    for _ in range(chance.randint(1, 4)):
        block = []
        for _ in range(chance.randint(1, 80)):
            key = chance.randrange(len(keys))
            before, mm = state[key], keys[key][1]
            now, line = now + chance.randint(0, 3), line + 1
            if chance.random() < odd:
                code, now = chance.randrange(8), now + chance.choice([0, -5])
            elif before == "out":
                code = chance.randrange(2)
            elif before in ("asks 0", "asks 1"):
                write = int(before[-1])
                if chance.random() < 0.15:
                    code = 4 + write
                elif write and mm in writer:
                    continue
                else:
                    code = 2 + write
            else:
                code = chance.choice([7, 2]) if before == "has 3" else 6
            if code < 2:
                state[key] = f"asks {code}"
            elif code in (2, 3):
                state[key] = f"has {code}" if before != "has 3" else "downgraded"
            else:
                state[key] = "out"
            if code == 3:
                writer[mm] = key
            elif before == "has 3":
                writer.pop(mm, None)
            block.append((code, now, line, key, chance.choice([0, 0, 1, 2])))
        blocks.append(block)
    return blocks


def found(states: LockStates) -> dict[str, object]:
    text = TraceText()
    text.states = states
    return everything(text)


@pytest.mark.parametrize("odd", [0.0, 0.004, 0.05])
def test_lock_events_at_once(monkeypatch: pytest.MonkeyPatch, odd: float) -> None:
    monkeypatch.setattr(lockblocks, "_FEW", 0)
    kept = 0
    for seed in range(250):
        chance = random.Random(seed)
        tids = [b"%d" % i for i in range(chance.randint(1, 4))]
        keys = [(tid, mm) for tid in tids for mm in (b"a", b"b")[: chance.randint(1, 2)]]
        mms = np.array([mm == b"b" for _, mm in keys], dtype=np.int32)
        one, many = LockStates(), LockStates()
        for block in sequence(chance, keys, odd):
            if not block:
                continue
            labelled = chance.random() < 0.5
            code, time, line, key, label = np.array(block).T
            events = LockEvents(
                code.astype(np.int8), time, line, key.astype(np.int32),
                label.astype(np.int32) if labelled else None, keys, mms, list(LABELS),
            )  # fmt: skip
            apply(many, events)
            for c, t, n, k, at in block:
                one.event(c, keys[k], t, n, LABELS[at] if labelled else None)
            assert found(many) == found(one), seed
            if chance.random() < 0.3:
                one.lose(3, block[-1][2])
                many.lose(3, block[-1][2])
        kept += one.holds_exclusive + one.holds_shared
    assert kept > 1000


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(min_size=13, max_size=13), min_size=1, max_size=60), st.data())
def test_strings_are_found_again_and_never_taken_for_others(
    texts: list[bytes], data: st.DataObject
) -> None:
    known = data.draw(st.sets(st.sampled_from(texts)))
    strings = Strings(13)
    buffer = np.frombuffer(b"".join(texts) + bytes(16), dtype=np.uint8)
    rows = strings.rows(buffer, np.arange(len(texts)) * 13)
    numbers: dict[bytes, int] = {}
    for text, row in zip(texts, rows, strict=True):
        if text in known and text not in numbers:
            numbers[text] = len(numbers)
            strings.add(row, numbers[text])
    assert strings.find(rows).tolist() == [numbers.get(text, UNKNOWN) for text in texts]


def test_many_strings_that_differ_in_their_last_byte() -> None:
    strings = Strings(16)
    texts = [b"0123456789%05d" % (i // 256) + bytes([i % 256]) for i in range(4000)]
    rows = strings.rows(np.frombuffer(b"".join(texts) + bytes(8), np.uint8), np.arange(4000) * 16)
    for number, row in enumerate(rows):
        strings.add(row, number)
    assert np.array_equal(strings.find(rows), np.arange(4000))


def labelled_trace() -> bytes:
    """Return a trace whose labels come and go, with losses, two spellings, and odd events."""
    chance, trace = random.Random(5), TraceWriter()
    for i in range(300):
        tid = chance.randint(1, 5)
        word = chance.choice(["operation=mprotect pages=1", "operation=munmap", "operation=none"])
        trace.event(f"tracing_mark_write: perfmodel label {word}", tid=tid)
        trace.hold(chance.random() < 0.5, tid=tid, cpu=chance.randint(0, 1))
        if i % 50 == 20:
            trace.start(tid=tid).raw("CPU:1 [LOST 5 EVENTS]").got(tid=tid).released(tid=tid)
        if i % 60 == 7:
            trace.released(tid=9).raw("garbage").event("page_fault_user: address=0x1 perfmodel x")
        trace.event(f"page_fault_user: address={chance.random()}").event(f"sys_read(fd: {i})")
        trace.event(f"sys_munmap(addr: {i}, len: 0x{4096 * (i % 3 + 1):x})", tid=6).hold(tid=6)
        trace.event("sys_munmap -> 0x0", tid=6)
    return "".join(trace.lines).encode()


@pytest.mark.parametrize("size", [1500, 9000, 1 << 22])
def test_labels_and_losses_by_blocks(size: int) -> None:
    content = labelled_trace()
    text = by_lines(content)
    assert text.states.lost == 30
    assert len(text.states.intervals) > 12
    assert everything(by_blocks(content, size)) == everything(text)


def test_what_is_remembered_is_forgotten_when_it_is_too_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = []

    class Counted(Sides):
        def __init__(self, text: TraceText) -> None:
            made.append(self)
            super().__init__(text)

    monkeypatch.setattr(traceblocks, "Sides", Counted)
    monkeypatch.setattr("perfmodel.readers.linesides._REMEMBERED", 10)
    content = labelled_trace()
    assert everything(by_blocks(content, 9000)) == everything(by_lines(content))
    assert len(made) > 5


def test_most_lines_are_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []
    parse = TraceText.parse
    monkeypatch.setattr(
        TraceText, "parse", lambda self, line, number: parsed.append(line) or parse(self, line, number)
    )  # fmt: skip
    for name in ("clock-mono.txt", "clock-x86-tsc.txt", "opt-fields.txt", "opt-latency-format.txt"):
        content = (TRACES / name).read_bytes()
        parsed.clear()
        by_blocks(content, 1 << 22)
        assert len(parsed) <= 1 + sum(x.startswith(b"#") for x in content.splitlines()), name


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n \n"])
def test_the_last_line(trace: TraceWriter, end: str) -> None:
    content = "".join(trace.hold().hold().lines).removesuffix("\n") + end
    text = by_blocks(content.encode(), 1 << 20)
    assert (text.states.holds_exclusive, text.skipped_total) == (2, 0)
    assert everything(text) == everything(by_lines(content.encode()))


def test_lines_longer_than_a_block(trace: TraceWriter) -> None:
    trace.hold().event("bprint: " + "x" * 5000).hold().raw("y" * 7000).hold()
    content = "".join(trace.lines).encode()
    text = by_blocks(content, 512)
    assert (text.states.holds_exclusive, text.others, text.skipped_total) == (3, 1, 1)
    assert everything(text) == everything(by_lines(content))


def test_a_line_without_an_end_is_refused() -> None:
    with pytest.raises(InputError, match="16 MiB") as error:
        feed_stream(TraceText(), io.BytesIO(b"# tracer: nop\n" + b"x" * (20 << 20)))
    assert error.value.line == 2


def test_times_of_every_width() -> None:
    """Seconds that get a digit more, up to the largest int64 and beyond."""
    lines = []
    for second in (9, 99, 12345, 999999, 1795708109, 8999999999, 9000000000, 9500000000):
        for i, name in enumerate(("start_locking", "acquire_returned", "released")):
            ok = " success=true" if i == 1 else ""
            stamp = f"{second}.99999999{i}"
            lines.append(f"  p-1 [000]  {stamp}: mmap_lock_{name}: mm=0a write=true{ok}\n")
    content = "".join(lines * 3).encode()
    text = by_blocks(content, 1 << 20)
    assert everything(text) == everything(by_lines(content))
    low, high, count = text.states.intervals[1].durations.counted()
    assert (low.tolist(), high.tolist(), count.tolist()) == ([1], [1], [21])
    assert text.skipped_total == 9  # the last do not fit


def test_a_time_beyond_an_int64_is_skipped() -> None:
    content = b"  p-1 [000] 99999999999999.999999999: mmap_lock_released: mm=0 write=true\n"
    assert by_blocks(content * 3, 1 << 20).skipped_total == 3
