"""Names that the readers give: phases, operations, units.

Phases
------
``exclusive``, ``shared``
    The lock was held for writing, or for reading.
``hold``
    The lock was held; the file does not say in which mode.
``wait``
    A lock was waited for. Aggregates of contended acquisitions only say so in ``contended_only``.
``latency``
    From begin to end of one call, function or, with ``command`` in the conditions, of a program.
``cost``
    Time of one task for one operation, from a throughput.
``count``
    Events were counted; how long they took is not known.
``unknown``
    A duration, but the file does not say of what.

Conditions that more than one reader gives
------------------------------------------
``lock``
    ``mmap_lock`` where that is certain, else the lock's name or kind as told, else ``unknown``.
``mode``
    Of a lock ``read`` or ``write``; of a throughput ``threads`` or ``processes``.
``caller``, ``function``, ``syscall``, ``stressor``, ``testcase``, ``map``, ``key``, ``event``
    The name that the file gives, whether or not it could be mapped to an operation.
``tasks``
    Threads or processes that worked at the same time.
``pages_per_op``
    Pages that one operation touches, where the benchmark defines it.

An operation is named only where the file leaves no doubt; else it is ``unknown``. In a group of
phase ``wait`` it is the call that had to wait, whatever the lock.
"""

from __future__ import annotations

import re

__all__ = [
    "UNKNOWN", "of_event", "of_symbol", "of_symbols", "of_syscall", "of_words", "phase_of_map",
    "unit_of",
]  # fmt: skip

UNKNOWN = "unknown"

#: System calls that are one operation each. madvise and ioctl are many: their name says too little.
_SYSCALLS = {
    "mprotect": "mprotect",
    "pkey_mprotect": "mprotect",
    "munmap": "munmap",
    "mmap": "mmap",
    "mmap2": "mmap",
    "brk": "brk",
}

#: Kernel functions that only one operation runs through (v4.14 to v6.18: mm/mprotect.c, mm/mmap.c,
#: mm/util.c, mm/userfaultfd.c, arch/*/mm/fault.c). do_munmap is not here: mremap and shmdt call it.
_SYMBOLS = {
    "do_mprotect_pkey": "mprotect",
    "__vm_munmap": "munmap",
    "vm_munmap": "munmap",
    "vm_mmap_pgoff": "mmap",
    "ksys_mmap_pgoff": "mmap",
    "mwriteprotect_range": "uffd_writeprotect",
    "userfaultfd_writeprotect": "uffd_writeprotect",
    "asm_exc_page_fault": "page_fault",
    "exc_page_fault": "page_fault",
    "do_user_addr_fault": "page_fault",
    "__do_page_fault": "page_fault",
    "do_page_fault": "page_fault",
    "lock_mm_and_find_vma": "page_fault",
}

_ENTRY = re.compile(r"(?:__(?:x64|ia32|arm64|se|do|riscv|s390x?)_sys_|ksys_|[sS]y[sS]_)(\w+)")

_EVENTS = {
    "page-faults": "page_fault",
    "faults": "page_fault",
    "minor-faults": "page_fault",
    "exceptions:page_fault_user": "page_fault",
}

_WORDS = frozenset(
    {"mprotect", "munmap", "mmap", "brk", "page_fault", "madvise_dontneed", "uffd_writeprotect"}
)

_UNITS = {
    "ns": 1.0, "nsec": 1.0, "nsecs": 1.0, "nanosecs": 1.0, "nanoseconds": 1.0,
    "us": 1e3, "usec": 1e3, "usecs": 1e3, "microsecs": 1e3, "microseconds": 1e3,
    "ms": 1e6, "msec": 1e6, "msecs": 1e6, "millisecs": 1e6, "milliseconds": 1e6,
    "sec": 1e9, "secs": 1e9, "seconds": 1e9,
}  # fmt: skip


def of_syscall(name: str) -> str:
    """Return the operation that a system call is."""
    return _SYSCALLS.get(name, UNKNOWN)


def of_symbol(symbol: str) -> str:
    """Return the operation that a kernel function belongs to; an offset after it is ignored."""
    name = re.split(r"[+.(]", symbol.strip(), maxsplit=1)[0]
    if name in _SYMBOLS:
        return _SYMBOLS[name]
    entry = _ENTRY.fullmatch(name)
    return of_syscall(entry[1]) if entry else UNKNOWN


def of_symbols(symbols: list[str]) -> str:
    """Return the operation of the first symbol that has one."""
    return next((o for o in map(of_symbol, symbols) if o != UNKNOWN), UNKNOWN)


def of_event(event: str) -> str:
    """Return the operation that a perf event counts."""
    syscall = re.fullmatch(r"syscalls:sys_enter_(\w+)", event)
    if syscall:
        return of_syscall(syscall[1])
    return _EVENTS.get(event.partition("/")[0], UNKNOWN)


def of_words(*names: str) -> str:
    """Return the operation that one of some free names *is*; not one that it merely mentions."""
    return next((name for name in names if name in _WORDS), UNKNOWN)


def unit_of(name: str) -> float | None:
    """Return the ns of the unit that a name like ``hold_us_linear`` holds; None if not just one."""
    found = {_UNITS[word] for word in name.lower().split("_") if word in _UNITS}
    return found.pop() if len(found) == 1 else None


_HOLDS = {
    "hold": "hold", "held": "hold", "holdtime": "hold",
    "whold": "exclusive", "wheld": "exclusive", "rhold": "shared", "rheld": "shared",
}  # fmt: skip
_EXCLUSIVE = frozenset({"w", "wr", "write", "writer", "exclusive"})
_SHARED = frozenset({"r", "rd", "read", "reader", "shared"})


def phase_of_map(name: str) -> str:
    """Return the phase that the name of a bpftrace map tells: ``wait_ns``, ``w_hold_us`` ..."""
    words = name.lower().split("_")
    if any(word in ("wait", "waits", "waited", "waiting") for word in words):
        return "wait"
    holds = {_HOLDS[word] for word in words if word in _HOLDS}
    if holds == {"hold"}:
        if _EXCLUSIVE.intersection(words):
            return "exclusive"
        return "shared" if _SHARED.intersection(words) else "hold"
    if len(holds) == 1:
        return holds.pop()
    return "latency" if {"lat", "latency"}.intersection(words) else UNKNOWN
