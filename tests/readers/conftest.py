"""Traces written line by line, and a second, simpler way to count what is in one."""

from __future__ import annotations

import io
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from perfmodel.readers.traceblocks import feed_stream
from perfmodel.readers.tracegrammar import FTRACE, Grammar
from perfmodel.readers.tracetext import TraceText

TRACES = Path(__file__).parent.parent / "fixtures" / "traces"


class TraceWriter:
    """Writes ftrace text; every event comes 10 µs after the one before unless told."""

    def __init__(self, header: str = "# tracer: nop\n#\n") -> None:
        self.lines = [header]
        self.now = 1_000_000  # µs

    def raw(self, text: str) -> TraceWriter:
        self.lines.append(text + "\n")
        return self

    def event(self, body: str, tid: int = 7, cpu: int = 0, after: int = 10) -> TraceWriter:
        self.now += after
        stamp = f"{self.now // 1_000_000}.{self.now % 1_000_000:06d}"
        return self.raw(f"            prog-{tid:<7} [{cpu:03d}] .....  {stamp}: {body}")

    def start(self, write: bool = True, mm: str = "00000000aaaa", **where: int) -> TraceWriter:
        return self.event(f"mmap_lock_start_locking: mm={mm} memcg_id=1 write={_b(write)}", **where)

    def got(
        self, write: bool = True, mm: str = "00000000aaaa", ok: bool = True, **where: int
    ) -> TraceWriter:
        return self.event(
            f"mmap_lock_acquire_returned: mm={mm} memcg_id=1 write={_b(write)} success={_b(ok)}",
            **where,
        )

    def released(self, write: bool = True, mm: str = "00000000aaaa", **where: int) -> TraceWriter:
        return self.event(f"mmap_lock_released: mm={mm} memcg_id=1 write={_b(write)}", **where)

    def hold(self, write: bool = True, **where: int) -> TraceWriter:
        self.start(write, "00000000aaaa", **where).got(write, "00000000aaaa", True, **where)
        return self.released(write, "00000000aaaa", **where)

    def save(self, folder: Path, name: str = "trace") -> Path:
        path = folder / name
        path.write_text("".join(self.lines))
        return path


def _b(value: bool) -> str:
    return "true" if value else "false"


@pytest.fixture
def trace() -> TraceWriter:
    return TraceWriter()


@pytest.fixture
def traces() -> Path:
    return TRACES


def naive(text: str) -> tuple[Counter[str], list[float], list[float]]:
    """Return counts, exclusive and shared durations (in the trace's own unit) of a flawless trace.

    Splits each line into words and knows nothing of losses, labels or options.
    """
    counts: Counter[str] = Counter()
    held: dict[tuple[str, str], tuple[bool, float]] = {}
    started: set[tuple[str, str]] = set()
    exclusive: list[float] = []
    shared: list[float] = []
    for line in text.splitlines():
        if "mmap_lock_" not in line:
            continue
        counts["events"] += 1
        before, _, after = line.partition("mmap_lock_")
        fields = dict(word.split("=") for word in after.split()[1:])
        time = float(before.split()[-1].rstrip(":"))
        key = (re.findall(r"-(\d+)", before)[0], fields["mm"])
        write = fields["write"] in ("true", "1")
        if after.startswith("start"):
            started.add(key)
        elif after.startswith("released"):
            was_write, since = held.pop(key)
            assert was_write == write
            (exclusive if write else shared).append(time - since)
        elif fields["success"] in ("false", "0"):
            counts["failed"] += 1
            started.remove(key)
        else:
            if key in started:
                started.remove(key)
                counts["waits"] += 1
            else:
                exclusive.append(time - held[key][1])
                counts["downgrades"] += 1
            held[key] = (write, time)
    counts["exclusive"], counts["shared"] = len(exclusive), len(shared)
    counts["open"] = len(held) + len(started)
    return counts, exclusive, shared


def by_lines(content: bytes, grammar: Grammar = FTRACE) -> TraceText:
    """Read line by line: the reference."""
    text = TraceText(grammar)
    for number, line in enumerate(io.BytesIO(content), 1):
        text.feed(line, number)
    return text


def by_blocks(content: bytes, size: int, grammar: Grammar = FTRACE) -> TraceText:
    """Read in blocks of `size` bytes."""
    text = TraceText(grammar)
    feed_stream(text, io.BytesIO(content), size=size)
    return text


def everything(text: TraceText) -> dict[str, Any]:
    """Return all that a reading has found and all that it would go on with."""
    states = text.states
    return {
        "unit": text.unit, "comments": text.comments, "others": text.others,
        "skipped": (text.skipped_total, text.skipped), "warnings": text.warnings,
        "labels": (text.labels.labelled(), text.labels.tick_ns, text.labels.warnings),
        "latest": text.latest,
        "counts": (
            states.events, states.holds_exclusive, states.holds_shared, states.downgrades,
            states.waits, states.failed_trylocks, states.lost, states.orphaned, states.open,
        ),
        "anomalies": states.anomalies,
        "states": (states.starts, states.holds, states.writer, states.trusted),
        "intervals": [
            (i.label, i.phase, i.mode, i.line, [x.tolist() for x in i.durations.counted()])
            for i in states.intervals
        ],
    }  # fmt: skip
