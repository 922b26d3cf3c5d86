"""Where the thread time of one call goes: the terms of the comparison between policies."""

from __future__ import annotations

from collections.abc import Mapping

from perfmodel.quantities.declare import INFINITY, Quantity, group

__all__ = ["ACCOUNT"]


def _term(
    name: str, symbol: str, typical: tuple[float, float], meaning: str, source: str
) -> Quantity:
    """Declare a time that follows from others and has no bound of its own."""
    return Quantity(name, symbol, "ns", (0.0, INFINITY), typical, meaning, source)


#: Where the thread time of one call goes: the terms of the comparison between policies.
ACCOUNT: Mapping[str, Quantity] = group(
    _term(
        "blocked_time",
        r"\Sigma_b",
        (1, 1e8),
        "blocked time of all faults that one call blocks",
        "rwlock",
    ),
    _term(
        "wake_time",
        r"\Sigma_w",
        (1, 1e8),
        "delay of all woken faults between release and running",
        "rwlock",
    ),
    _term("waker_time", "T_w", (1, 1e7), "what the caller pays to wake them", "rwlock"),
    _term(
        "line_time",
        "T_L",
        (1, 1e7),
        "transfers of the lock's line beyond local operations",
        "cacheline",
    ),
    _term(
        "caller_time",
        "T_c",
        (100, 1e9),
        "the call itself: wait for the lock, hold, entry and exit",
        "hold",
    ),
    _term("guard_time", "T_g", (1, 1e8), "what a guard against stale translations costs", "guard"),
    _term(
        "lost_time",
        r"\mathcal{C}",
        (100, 1e9),
        "thread time lost to one call, faults and caller",
        "account",
    ),
    _term(
        "lost_time_none", r"\mathcal{C}_0", (100, 1e9), "the same without a downgrade", "account"
    ),
    _term(
        "omega", r"\omega", (10, 1e5), "what one more locked operation costs all CPUs", "cacheline"
    ),
    Quantity("woken", "m_1", "1", (0, 1e9), (0, 256), "faults woken after one call", "rwlock"),
    Quantity(
        "any_woken",
        "P_w",
        "1",
        (0, 1),
        (0, 1),
        "probability that a call has somebody to wake",
        "rwlock",
    ),
    Quantity(
        "woken_pairs",
        r"\overline{m_1(m_1-1)}",
        "1",
        (0, 1e18),
        (0, 65536),
        "ordered pairs of faults woken after one call",
        "rwlock",
    ),
    Quantity(
        "extra_line_ops",
        "k",
        "1",
        (0, 1e9),
        (0, 4),
        "locked operations beyond those without a downgrade",
        "kernel.py",
    ),
    Quantity(
        "extra_transfer",
        "t_r",
        "1",
        (0, 1),
        (0, 1),
        "probability that one of them must fetch the line",
        "cacheline",
    ),
    Quantity(
        "slowpath_ops_each",
        "k_s",
        "1",
        (0, 10),
        (1, 2),
        "further locked operations of a blocked fault",
        "kernel.py",
    ),
)
