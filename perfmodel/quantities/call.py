"""What follows from a call, the kernel's rules and a measurement, for the equations of a cost."""

from __future__ import annotations

from collections.abc import Mapping

from perfmodel.quantities.declare import Quantity, group

__all__ = ["CALL_FACTS"]


#: What follows from the call, the kernel's rules and the measurement, for the equations of a cost.
CALL_FACTS: Mapping[str, Quantity] = group(
    Quantity(
        "huge",
        "h",
        "1",
        (0, 1),
        (0, 1),
        "1 where the range is mapped by 2 MiB entries",
        "caller",
        True,
    ),
    Quantity(
        "anon",
        "a",
        "1",
        (0, 1),
        (0, 1),
        "1 where the VMA has an anon_vma: a page was touched",
        "anon_vma_prepare",
        True,
    ),
    Quantity(
        "grants_write",
        "g",
        "1",
        (0, 1),
        (0, 1),
        "1 where entries may become writable",
        "MM_CP_TRY_CHANGE_WRITABLE",
        True,
    ),
    Quantity(
        "flush_count", "n_f", "1", (0, 65530), (0, 2), "TLB flushes of the call", "kernel.py", True
    ),
    Quantity(
        "flush_ceiling",
        "n_c",
        "1",
        (0, 1e9),
        (33, 33),
        "entries up to which the TLB is invalidated one by one",
        "tlb_single_page_flush_ceiling",
        True,
    ),
    Quantity(
        "refinds",
        "n_r",
        "1",
        (0, 65530),
        (0, 8),
        "VMAs that are looked up afresh",
        "kernel.py",
        True,
    ),
    Quantity(
        "rank",
        "j",
        "1",
        (1, 1e6),
        (1, 64),
        "position of a sleeper in the order of waking",
        "measurement",
        True,
    ),
    Quantity(
        "sleepers",
        "n_w",
        "1",
        (0, 1e6),
        (0, 64),
        "sleepers that one call wakes",
        "measurement",
        True,
    ),
    Quantity(
        "lock_ops",
        "n_l",
        "1",
        (0, 1e6),
        (2, 4),
        "locked operations of the call on the lock's line",
        "kernel.py",
        True,
    ),
)
