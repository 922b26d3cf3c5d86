"""The lines of a trace: as the kernel and trace-cmd print them, and as perf script prints them.

Both kinds say ``who [cpu] time: event: fields``. Everything that is optional in the kernel's
``trace_options`` is optional here: interrupt flags, tgid, the ``fields`` form of the arguments, the
latency format (kernel/trace/trace_output.c). So is what ``perf script -F`` leaves out, but for the
thread, the time, the event and its fields (tools/perf/builtin-script.c).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from perfmodel.errors import InputError
from perfmodel.readers import files

__all__ = [
    "FTRACE", "PERF_SCRIPT", "Grammar", "Matcher", "looks_like_events", "refuse_variant", "stamp",
]  # fmt: skip

Matcher = Callable[[bytes], "re.Match[bytes] | None"]

_FTRACE_HEAD = (
    rb"(?:[\w./-]{1,64}: +)?\s*.{0,16}?-(?P<tid>\d{1,10})\s+(?:\(\s*[\d-]+\)\s+)?"
    rb"(?:\[(?P<cpu>\d{1,5})\]\s+(?:[.\w#]{4,8}\s+)?"
    rb"|(?P<cpu_>\d{1,5})[.a-zA-Z#][.\w#]{3,7}\s+)"  # latency format: "1d..3."
    rb"(?P<time>\d{1,15}(?:\.\d{9}|\.\d{6}|us.)?): *"
)
# The latency format with the option verbose: flags and counts as numbers, times in ms and µs.
_VERBOSE_HEAD = (
    rb"\s*.{0,16}?\s+(?P<tid>\d{1,10})\s+(?P<cpu>\d{1,5})(?P<cpu_>(?!))? \d+ [0-9a-f]{8} [0-9a-f]{8}"
    rb" \[[0-9a-f]{8,16}\] (?P<time>\d{1,12}\.\d{3}ms) \(\+?-?\d+\.\d{3}ms\): *"
)
_PERF_HEAD = (
    rb"(?:\s*\S.{0,15}?\s)?\s*(?:-?\d{1,10}/)?(?P<tid>-?\d{1,10})\s+(?:\[(?P<cpu>\d{1,5})\]\s+)?"
    rb"(?P<cpu_>(?!))?(?P<time>\d{1,15}\.\d{6}(?:\d{3})?): +(?:\d{1,20} +)?"
)
# true, false, 0, 1, (0), (1), 0x0 (0)
_BOOL = rb"\(?(?:0x)?(true|false|0|1)\b(?: \([01]\)|\))?"
_ARGUMENTS = (
    rb" *mm=(?P<mm>(?:0x)?[0-9a-f]{1,16})(?: \(-?\d{1,20}\))?"
    rb"(?: memcg_(?:id|path)=.*?)? write=" + _BOOL + rb"(?: success=" + _BOOL + rb")?"
)
_NAME = rb"mmap_lock_(?P<name>start_locking|acquire_returned|released):"
_FTRACE_LOCK = _NAME + _ARGUMENTS + rb"\s*$"
# perf script -F +ip,sym appends the place.
_PERF_LOCK = rb"(?:mmap_lock:)?" + _NAME + _ARGUMENTS + rb"(?:\s+[0-9a-f]{1,16} \S.*)?\s*$"
# "name: ...", "sys_name(...", "sys_name -> ...", "<stack trace>", "f <-caller".
_FTRACE_BODY = rb"(?P<body>(?:[\w.+/-]+(?::\w+)?:|sys_\w+(?:\(| ->)|<\w[\w ]*>|\S+ <-|#).*)"
_PERF_BODY = rb"(?P<body>(?:[\w.+/,=-]+(?::[\w.+/,=-]*)*:|PERF_RECORD_\w).*)"


def _matcher(*patterns: bytes) -> Matcher:
    matches = [re.compile(p, re.S if b"?P<body>" in p else 0).match for p in patterns]
    if len(matches) == 1:
        return matches[0]
    first, second = matches
    return lambda line: first(line) or second(line)


@dataclass(frozen=True, slots=True)
class Grammar:
    """One kind of lines.

    Parameters
    ----------
    lock : callable
        Match a line of a mmap_lock event. Groups in this order: tid, cpu, cpu_ (one of them or
        neither), time, name, mm, write, success.
    event : callable
        Match a line of any event; groups tid, cpu, cpu_, time, body.
    name : callable
        Match how the body of an event other than a system call begins, so that whatever follows
        it is an event too.
    filler : callable
        Match a line that belongs to the event before it, such as a frame of a stack.
    lost : callable
        Match a line, or the body of an event, that tells of lost events; group 1 is how many.
    system : bytes
        What stands before the name of a mmap_lock event.
    like : str
        An example, for messages.
    """

    lock: Matcher
    event: Matcher
    name: Matcher
    filler: Matcher
    lost: Matcher
    system: bytes
    like: str


#: Text of the kernel's trace and trace_pipe and of ``trace-cmd report``.
FTRACE = Grammar(
    lock=_matcher(_FTRACE_HEAD + _FTRACE_LOCK, _VERBOSE_HEAD + _FTRACE_LOCK),
    event=_matcher(_FTRACE_HEAD + _FTRACE_BODY, _VERBOSE_HEAD + _FTRACE_BODY),
    name=_matcher(rb"(?!(?:syscalls:)?sys_)[\w.+/-]+:(?:\w+:)?"),
    filler=_matcher(rb"\s*=> ?\S"),
    lost=_matcher(
        rb"(?:[\w./-]{1,64}: +|\s*)CPU:\d+ \[(?:LOST )?(?:(\d{1,15}) )?EVENTS(?: DROPPED)?\]\s*$"
    ),
    system=b"",
    like="comm-123 [000] ..... 12.345678: mmap_lock_released: ...",
)

#: Text of ``perf script``.
PERF_SCRIPT = Grammar(
    lock=_matcher(_PERF_HEAD + _PERF_LOCK),
    event=_matcher(_PERF_HEAD + _PERF_BODY),
    name=_matcher(rb"(?!(?:syscalls:)?sys_)[\w.+/,=-]+:(?:[\w.+/,=-]+:)?"),
    filler=_matcher(rb"\t"),
    lost=_matcher(rb"PERF_RECORD_LOST(?:_SAMPLES)? lost (\d{1,15})\b"),
    system=b"mmap_lock:",
    like="comm 123 [000] 12.345678: mmap_lock:mmap_lock_released: ...",
)

_VARIANTS = (
    (re.compile(rb"[ \t]*\d+ \d{1,5} \d{4,} "), "raw", "event names", "noraw"),
    (re.compile(rb"[0-9a-f]{8} [0-9a-f]{8} [0-9a-f]{16}\b"), "hex", "event names", "nohex"),
    (
        re.compile(rb"[ \t]*mmap_lock_\w+: "), "nocontext-info", "threads and times", "context-info",
    ),
    (re.compile(rb"[^\n]*\0"), "bin", "event names", "nobin"),
)  # fmt: skip


def refuse_variant(line: bytes, number: int) -> None:
    """Raise InputError where the line is from a trace option that drops names or times."""
    for pattern, option, lacks, instead in _VARIANTS:
        if pattern.match(line):
            raise InputError(
                f"trace text written with the option '{option}' lacks the {lacks}: "
                f"{files.quote(line)}",
                line=number,
                expected=f"a capture with trace_options set to {instead}",
            )


def looks_like_events(start: bytes, grammar: Grammar = FTRACE) -> bool:
    """Tell whether at least half of the whole lines that are no comments are event lines."""
    lines = start.split(b"\n")
    if len(start) >= files.HEAD_BYTES and len(lines) > 1:
        lines = lines[:-1]  # cut in its middle
    kept = [(n, x) for n, x in enumerate(lines, 1) if x.strip() and not x.startswith(b"#")]
    if not kept:
        return False
    number, first = kept[0]
    if grammar is FTRACE and (b" type: " in first or b"mmap_lock_" in first):
        refuse_variant(first, number)  # else rows of numbers of any kind
    events = sum(1 for _, x in kept if grammar.event(x))
    fillers = sum(1 for _, x in kept if grammar.filler(x) or grammar.lost(x))
    return events > 0 and 2 * (events + fillers) >= len(kept)


def stamp(text: bytes) -> tuple[str, int]:
    """Return the unit ("us", "ns" or "ticks") and the value of a printed time."""
    point = text.find(b".")
    if point > 0:
        if text.endswith(b"ms"):
            return "us", int(text[:-2].replace(b".", b""))
        return "us" if len(text) - point == 7 else "ns", int(text.replace(b".", b""))
    if b"u" in text:
        return "us", int(text.partition(b"u")[0])
    return "ticks", int(text)
