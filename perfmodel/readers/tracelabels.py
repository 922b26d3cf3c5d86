"""What each thread of a trace was doing, from marker lines of ours and from system calls.

A marker is written to ``trace_marker`` by the thread it speaks of::

    perfmodel label operation=munmap pages=512 vmas=1 transition=none
    perfmodel label operation=none
    perfmodel clock tick_ns=0.384615
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from perfmodel.readers import files
from perfmodel.readers.lockstates import Label, Scalar

__all__ = ["ThreadLabels", "is_marker", "label_call"]

_MARKER = re.compile(
    rb"(?:(?:ftrace:)?print: +)?(?:[\w.+/-]+: *)?perfmodel (label|clock)\b(.*)", re.S
).match
_SYSCALL = re.compile(rb"(?:syscalls:)?sys_(enter_|exit_)?(\w+)(\(|: +| ->)(.*)", re.S).match
_LENGTH = re.compile(rb"\blen: (?:0x)?([0-9a-f]{1,16})\b").search
_INTEGER = re.compile(r"[+-]?\d{1,18}")
_NAME = re.compile(r"[A-Za-z_]\w*")

#: Calls that take the mmap_lock for work of their own; others meet it only through page faults.
_MM_CALLS = frozenset(
    b"brk madvise mlock mlock2 mlockall mmap mprotect mremap munlock munlockall munmap "
    b"pkey_mprotect process_madvise remap_file_pages shmat shmdt".split()
)
_PAGE = 4096


def is_marker(body: bytes) -> bool:
    """Tell whether an event is a marker of ours."""
    return _MARKER(body) is not None


def label_call(body: bytes) -> tuple[bool, int] | None:
    """Tell whether a system call is a label, and where in its line its fields begin; None if none."""
    match = _SYSCALL(body)
    return None if match is None else (match[2] in _MM_CALLS, match.end(3))


@dataclass(slots=True)
class ThreadLabels:
    """The label in force of each thread, and the tick length if a marker says it."""

    tick_ns: float | None = None
    warnings: list[str] = field(default_factory=list)
    _labels: dict[bytes, Label] = field(default_factory=dict)
    _calls: dict[bytes, Label] = field(default_factory=dict)

    def labelled(self) -> dict[bytes, Label]:
        """Return the label of every thread that has one."""
        return {**self._calls, **self._labels}

    def of(self, tid: bytes) -> Label | None:
        """Return the label of a thread; a marker is believed before a system call."""
        return self._labels.get(tid) or self._calls.get(tid)

    def marker(self, tid: bytes, body: bytes) -> str | None:
        """Take a line that may be a marker of ours; return why it cannot be used, or None."""
        match = _MARKER(body)
        if match is None:
            self.syscall(tid, body)  # somebody else's text that holds our name
            return None
        if match[1] == b"label":
            self._labels.pop(tid, None)  # a label that cannot be read must not leave the old one
        values = _pairs(match[2])
        if values is None:
            return f"a marker that is not name=value: {files.quote(body)}"
        if match[1] == b"label":
            operation = values.pop("operation", None)
            if not isinstance(operation, str):
                return f"a label without operation=: {files.quote(body)}"
            if operation != "none":
                self._labels[tid] = Label(operation, tuple(sorted(values.items())))
            return None
        if "tick_ns" not in values and values:
            return None  # a clock in ns may name itself; its times speak for themselves
        tick = values.get("tick_ns")
        if not isinstance(tick, int | float) or not 0 < tick < 1e6:
            return f"a clock marker without a tick_ns > 0: {files.quote(body)}"
        if self.tick_ns is not None and self.tick_ns != tick:
            self.warnings.append(f"the trace names two tick lengths: {self.tick_ns} and {tick} ns")
        self.tick_ns = float(tick)
        return None

    def syscall(self, tid: bytes, body: bytes) -> None:
        """Take a line that may be of a system call."""
        match = _SYSCALL(body)
        if match is None or match[2] not in _MM_CALLS:
            return
        if match[1] == b"exit_" or match[3] == b" ->":
            self._calls.pop(tid, None)
            return
        length = _LENGTH(match[4])
        pages = () if length is None else (("pages", -(-int(length[1], 16) // _PAGE)),)
        self._calls[tid] = Label(match[2].decode(), pages)


def _pairs(text: bytes) -> dict[str, Scalar] | None:
    """Return name=value pairs with numbers parsed; None where the text is not of that form."""
    try:
        words = text.decode("ascii").split()
    except UnicodeDecodeError:
        return None
    values: dict[str, Scalar] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not value or not _NAME.fullmatch(name) or name in values:
            return None
        values[name] = _number(value)
    return values


def _number(text: str) -> Scalar:
    if _INTEGER.fullmatch(text):
        return int(text)
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text
