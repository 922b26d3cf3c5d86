"""Text that ``trace-cmd report`` prints, with ``-t`` (ns) or without, raw (``-R``) or not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from perfmodel.readers.registry import Options, Reader
from perfmodel.readers.tracefile import read_trace
from perfmodel.readers.tracegrammar import FTRACE, looks_like_events

if TYPE_CHECKING:
    from pathlib import Path

    from perfmodel.observations import ObservationTable

__all__ = ["READER"]

_CPUS = re.compile(rb"\s*(?:version = \d+\s+)?cpus=\d+\s*$", re.M).match
# trace-cmd pads the event's name to a column; the kernel prints one blank after it.
_PADDED = re.compile(rb"[\w:]+: {2,}\S").match


def _sniff(start: bytes) -> bool:
    if _CPUS(start):
        return True
    if start.lstrip().startswith(b"# tracer:") or not looks_like_events(start):
        return False
    events = [m["body"] for m in map(FTRACE.event, start.splitlines()) if m]
    return 2 * sum(1 for body in events if _PADDED(body)) > len(events)


def _read(path: Path, options: Options) -> ObservationTable:
    return read_trace(path, options, "trace_cmd")


READER = Reader(
    name="trace_cmd",
    what="text of `trace-cmd report -t`",
    sniff=_sniff,
    read=_read,
    hints=(b"cpus=", b"mmap_lock_", b"mm=0xffff"),
)
