"""The account of one call: where thread time is lost, and what a policy saves of it.

Thread time is what all threads together do not run: blocked faults, woken faults on their way, and
the caller. Where more threads than CPUs exist a blocked thread frees its CPU for another, and only a
part of this time is lost to throughput.
"""

from __future__ import annotations

from perfmodel.equations.equation import declare
from perfmodel.equations.special import OneMinusExp
from perfmodel.equations.symbols import symbol

__all__ = [
    "ANY_WOKEN", "ANY_WOKEN_FINITE", "LINE_TIME", "LOST_TIME", "NET_GAIN", "WAKER_TIME",
    "WAKE_TIME",
]  # fmt: skip

_SOURCE = "bookkeeping of one call, derivation in this module's docstring"
_woken, _kick, _serial = symbol("woken"), symbol("wake_kick"), symbol("wake_serial")
_omega, _local = symbol("omega"), symbol("rmw_local")

ANY_WOKEN = declare(
    "any_woken", "P_w", "1", "probability that a call has somebody to wake, Poisson faults",
    OneMinusExp(_woken), source=_SOURCE, assumptions=("the number of woken faults is Poisson",),
)  # fmt: skip
ANY_WOKEN_FINITE = declare(
    "any_woken_finite", "P_w", "1", "probability that a call has somebody to wake, n threads",
    1 - (1 - _woken / symbol("fault_threads")) ** symbol("fault_threads"), source=_SOURCE,
    assumptions=("the number of woken faults is binomial",),
)  # fmt: skip
WAKER_TIME = declare(
    "waker_time", "T_w", "ns", "what the caller pays to wake the blocked faults",
    symbol("any_woken") * _kick + _woken * _serial, source=_SOURCE,
    assumptions=("one idle CPU is brought out of its sleep, however many faults are woken",),
)  # fmt: skip
WAKE_TIME = declare(
    "wake_time", r"\Sigma_w", "ns", "delay of all woken faults between release and running",
    (symbol("wake_latency") + _serial) * _woken + _serial * symbol("woken_pairs") / 2,
    source=_SOURCE,
    assumptions=("the waker wakes one after the other", "a CPU is free for every woken thread"),
)  # fmt: skip
LINE_TIME = declare(
    "line_time", "T_L", "ns", "transfers of the lock's line beyond what the hold already counts",
    symbol("extra_line_ops") * symbol("extra_transfer") * (_omega - _local)
    + symbol("slowpath_ops_each") * _woken * _omega, source=_SOURCE,
    assumptions=("every slow-path operation fetches the line",),
)  # fmt: skip
LOST_TIME = declare(
    "lost_time", r"\mathcal{C}", "ns", "thread time lost to one call",
    symbol("blocked_time") + symbol("wake_time") + symbol("waker_time") + symbol("line_time")
    + symbol("caller_time") + symbol("guard_time"), source=_SOURCE,
)  # fmt: skip
NET_GAIN = declare(
    "net_gain", r"\Delta", "ns", "thread time that a policy saves per call",
    symbol("lost_time_none") - symbol("lost_time"), source=_SOURCE,
)  # fmt: skip
