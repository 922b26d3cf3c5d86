"""Text of /sys/kernel/tracing/trace and trace_pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfmodel.readers.registry import Options, Reader
from perfmodel.readers.tracefile import read_trace
from perfmodel.readers.tracegrammar import looks_like_events, refuse_variant

if TYPE_CHECKING:
    from pathlib import Path

    from perfmodel.observations import ObservationTable

__all__ = ["READER"]


def _sniff(start: bytes) -> bool:
    lines = start.splitlines()
    if not (lines and lines[0].removeprefix(b"\xef\xbb\xbf").startswith(b"# tracer:")):
        return looks_like_events(start)
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith(b"#"):
            refuse_variant(line, number)
            break
    return True


def _read(path: Path, options: Options) -> ObservationTable:
    return read_trace(path, options, "ftrace")


READER = Reader(
    name="ftrace",
    what="text of the kernel's trace or trace_pipe file",
    sniff=_sniff,
    read=_read,
    hints=(b"# tracer", b"mmap_lock_", b"TASK-PID", b"] ....", b"entries-in-buffer"),
)
