"""Durations in bounded memory, and a trace of any length in it."""

from __future__ import annotations

import io
import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.readers import durations, read
from perfmodel.readers.durations import RELATIVE_WIDTH, Durations
from perfmodel.readers.traceblocks import feed_stream
from perfmodel.readers.tracetext import TraceText

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import TraceWriter


@given(st.lists(st.integers(0, 2**63 - 1)), st.integers(0, 50))
def test_few_values_are_exact(values: list[int], one_by_one: int) -> None:
    kept = Durations()
    for value in values[:one_by_one]:
        kept.add(value)
    kept.extend(np.array(values[one_by_one:], dtype=np.int64))
    low, high, count = kept.counted()
    assert not kept.binned
    assert np.array_equal(low, high)
    assert np.repeat(low, count).tolist() == sorted(values)


@given(
    st.lists(st.integers(0, 2**63 - 1) | st.integers(0, 5000), min_size=9, unique=True), st.data()
)
def test_many_values_are_binned(values: list[int], data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(durations, "EXACT_VALUES", 8)
        kept, again = Durations(), Durations()
        for value in values:
            kept.add(value)
        cut = data.draw(st.integers(0, len(values)))
        for part in (values[cut:], values[:cut]):
            again.extend(np.array(part, dtype=np.int64))
            again.counted()
        low, high, count = kept.counted()
        assert kept.binned
        assert [x.tolist() for x in again.counted()] == [x.tolist() for x in (low, high, count)]
    assert count.sum() == len(values)
    width = high - low + 1
    assert np.all((width == 1) | (width <= RELATIVE_WIDTH * low))
    assert np.all(low[1:] > high[:-1])
    for value in values:
        place = np.searchsorted(low, value, side="right") - 1
        assert low[place] <= value <= high[place]


def test_the_report_says_that_lengths_were_binned(
    monkeypatch: pytest.MonkeyPatch, trace: TraceWriter, tmp_path: Path
) -> None:
    monkeypatch.setattr(durations, "EXACT_VALUES", 8)
    for i in range(1, 12):
        trace.start(after=i).got(after=5).released(after=100 * i + 1000)
    table = read(trace.save(tmp_path))
    (warning,) = table.reports[0].warnings
    assert "11 exclusive intervals are kept in bins at most 0.39% wide" in warning
    (group,) = table.select(phase="exclusive").groups
    assert group.total == 11
    # 1100 and 1101 µs share a bin of 4, each known to 1 µs.
    assert (group.low[0], group.high[0]) == (1099e3, 1104e3)
    (exact,) = table.select(phase="wait").groups
    assert (exact.low.tolist(), exact.count.tolist()) == ([4e3], [11])


class Endless(io.RawIOBase):
    """A ns trace made as it is read: `blocks` times the same holds, each block a second later."""

    def __init__(self, blocks: int) -> None:
        chance, self._left = np.random.default_rng(3), blocks
        steps = np.cumsum(chance.integers(50, 40_000, 18_000))
        names = ("start_locking", "acquire_returned", "released")
        lines = []
        for i, time in enumerate(steps.tolist()):
            hold, step = divmod(i, 3)
            lines.append(
                f"  prog-{7 + hold % 4} [000]  12345.{time:09d}: mmap_lock_{names[step]}: mm=0a "
                f"write={hold % 3 // 2}{' success=1' if step == 1 else ''}\n"
            )
        self._text, self._block, self._ready = "".join(lines).encode(), 0, b""

    def readable(self) -> bool:
        return True

    def readinto(self, room: memoryview) -> int:  # type: ignore[override]
        if not self._ready and self._left:
            self._left -= 1
            self._block += 1
            self._ready = self._text.replace(b" 12345.", b" %5d." % (10_000 + self._block))
        part = self._ready[: len(room)]
        room[: len(part)] = part
        self._ready = self._ready[len(part) :]
        return len(part)


@pytest.mark.parametrize("limit", [2000, 1 << 15])
def test_memory_does_not_grow_with_the_trace(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(durations, "EXACT_VALUES", limit)
    peaks = []
    for blocks in (15, 45):
        stream, text = io.BufferedReader(Endless(blocks)), TraceText()
        tracemalloc.start()
        feed_stream(text, stream, size=1 << 20)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert text.states.events == 18_000 * blocks
        assert text.states.holds_exclusive + text.states.holds_shared == 6000 * blocks
        binned = any(one.durations.binned for one in text.states.intervals)
        assert binned == (limit == 2000)
    assert peaks[1] < 1.15 * peaks[0]
