"""Text of ``perf script``, with ``--ns`` or without, whatever other fields it shows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from perfmodel.errors import InputError
from perfmodel.readers import files
from perfmodel.readers.registry import Options, Reader
from perfmodel.readers.tracefile import read_trace
from perfmodel.readers.tracegrammar import PERF_SCRIPT, looks_like_events

if TYPE_CHECKING:
    from pathlib import Path

    from perfmodel.observations import ObservationTable

__all__ = ["READER"]

# What `perf script --header` begins with can fill the whole of what is looked at.
_HEADER = re.compile(rb"# ========\n# captured on +: |# cmdline : \S*perf ", re.M).search
_NO_TIME = re.compile(
    rb"^(?:\s*\S.{0,15}?\s)?\s*(?:\d{1,10}/)?\d{1,10}\s+(?:\[\d+\]\s+)?mmap_lock:mmap_lock_\w+: ", re.M
).search  # fmt: skip


def _sniff(start: bytes) -> bool:
    if looks_like_events(start, PERF_SCRIPT):
        return True
    found = _NO_TIME(start)
    if found:
        raise InputError(
            f"perf script text without the time of the events: {files.quote(found[0])}",
            line=start.count(b"\n", 0, found.start()) + 1,
            expected="text of `perf script --ns -F comm,tid,cpu,time,event,trace`",
        )
    comments = all(x.startswith(b"#") for x in start.splitlines() if x.strip())
    return comments and bool(_HEADER(start))


def _read(path: Path, options: Options) -> ObservationTable:
    return read_trace(path, options, "perf_script", PERF_SCRIPT)


READER = Reader(
    name="perf_script",
    what="text of `perf script --ns`",
    sniff=_sniff,
    read=_read,
    hints=(b"mmap_lock:mmap_lock_", b"[000] ", b"mm=0xffff"),
)
