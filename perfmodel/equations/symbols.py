"""Meaning, unit and domain of every symbol of the equations that is not a fitted machine cost.

Times are in nanoseconds and rates per nanosecond. A symbol is found by name: first here, then in
:mod:`perfmodel.quantities`, so that an equation over `wake_latency` uses the one declaration that
the calibration and the sliders use too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

import sympy

from perfmodel.quantities import Quantity, quantity

__all__ = ["LOCAL", "declaration", "symbol"]

_INF = math.inf


def _rate(name: str, latex: str, meaning: str) -> Quantity:
    return Quantity(name, latex, "1/ns", (0.0, _INF), (1e-8, 1e-2), meaning, "queue notation")


def _time(
    name: str, latex: str, meaning: str, typical: tuple[float, float] = (10, 1e5), power: int = 1
) -> Quantity:
    unit = "ns" if power == 1 else f"ns^{power}"
    low, high = typical
    return Quantity(
        name, latex, unit, (0.0, _INF), (low**power, high**power), meaning, "queue notation"
    )


def _number(
    name: str,
    latex: str,
    meaning: str,
    domain: tuple[float, float] = (0.0, _INF),
    typical: tuple[float, float] = (1, 256),
) -> Quantity:
    return Quantity(name, latex, "1", domain, typical, meaning, "queue notation")


_UNIT = (0.0, 1.0)

_DECLARED = (
    _rate("lambda_r", r"\lambda_r", "faults of the whole process that need the lock"),
    _rate("lambda_w", r"\lambda_w", "calls of the whole process that take the lock for writing"),
    _rate("nu", r"\nu", "faults of one thread that is running: one over its think time"),
    _rate("mu", r"\mu", "end of a fault that holds the read lock: one over its hold"),
    _rate("write_fault_rate", r"\lambda_p", "write faults of the process on present, read-only entries"),
    _rate("mm_writes", r"\Lambda_m", "other writes to the cache line of the count of pending flushes"),
    _rate("flush_rate", r"\lambda_F", "page flushes of the process that the check adds"),
    _rate("forced_writes", r"\phi", "forced writes to pages of the call that must be copied"),
    _rate("stores", r"\sigma", "stores to one page through a stale translation"),
    _rate("cut_rate", "c", "next call, or a fault whose hold outlasts the time x"),
    _rate("gate_decay", "s", "decay of the odds that no fault comes while calls are served"),
    _rate("touch_rate", r"\Lambda", "accesses of other CPUs to the line of the lock"),
    _time("window", "Y", "time during which faults are blocked: wait for the lock and hold"),
    _time("window_2", r"\overline{Y^2}", "second moment of the blocking window", power=2),
    _time("window_3", r"\overline{Y^3}", "third moment of the blocking window", power=3),
    _time("window_4", r"\overline{Y^4}", "fourth moment of the blocking window", power=4),
    _time("window_before_2", r"\overline{Y_0^2}", "second moment of Y, no downgrade", power=2),
    _time("window_before_3", r"\overline{Y_0^3}", "third moment of Y, no downgrade", power=3),
    _time("window_before_4", r"\overline{Y_0^4}", "fourth moment of Y, no downgrade", power=4),
    _time("window_after_2", r"\overline{Y_1^2}", "second moment of Y, downgraded", power=2),
    _time("window_after_3", r"\overline{Y_1^3}", "third moment of Y, downgraded", power=3),
    _time("window_after_4", r"\overline{Y_1^4}", "fourth moment of Y, downgraded", power=4),
    _time("acquire", "A", "wait of the caller for the write lock, while faults queue behind it"),
    _time("acquire_2", r"\overline{A^2}", "second moment of the wait for the write lock", power=2),
    _time("acquire_scale", r"\theta_A", "variance of the wait for the write lock over its mean"),
    _time("cycle", "C", "time between two drains of the readers, many calls waiting"),
    _time("drawn_time", "g", "exponent of the law of the exclusive work, over its rate"),
    _time("found_work", r"\overline{u}", "exclusive work that a fault finds, on average"),
    _time("drain", r"\overline{E}", "mean drain of the readers beyond the shared part"),
    _time("gate", "G", "from the first fault that queues until all queued faults are let in"),
    _time("gate_2", r"\overline{G^2}", "second moment of the gate", power=2),
    _time("gate_scale", r"\theta_G", "variance of the gate over its mean"),
    _time("backlog", "X", "until the calls ahead of the next fault are served"),
    _time("backlog_2", r"\overline{X^2}", "second moment of that backlog", power=2),
    _time("gate_cycle", "C", "from one release of queued faults to the next"),
    _time("call_waits", r"\Sigma_w", "waits of all calls of one cycle"),
    _time("stale_window", "W_s", "from the count of pending flushes going up until the flush is done"),
    _time("load_hit", "l_h", "load of a line that the CPU has", (0.5, 20)),
    _time("load", "l", "mean time to read the count of pending flushes", (0.5, 400)),
    _time("page_flush", "F", "flush of one page on all CPUs that run the process", (100, 1e5)),
    _time("copy_time", "c", "from the copy of a word until the copied page is mapped", (200, 1e5)),
    _time("flush_time", "F", "from the end of the walk until the other CPUs have flushed", (50, 1e5)),
    _time("before_cut", "D", "from the call of the lock until the cut, while faults are blocked"),
    _time("late", r"\tau_w", "from the cut until a fault that was blocked runs", (1, 1e5)),
    _time("table_flush", "F_t", "flush of the entries of one page table on all CPUs", (100, 1e5)),
    _time("shared_walk", "T_w", "part of the walk that runs under the read lock", (10, 1e8)),
    _time("guard_fault", "c_p", "what the check costs a write fault, on average", (0.5, 1e5)),
    _time("exclusive", "D", "time the caller holds the lock for writing"),
    _time("shared", "R", "time the caller holds the lock for reading after a downgrade"),
    _time("think_writer", "Z_m", "time between two calls of the writing thread", (1e3, 1e9)),
    _time("awake", "a", "time that woken threads have run as the shared part ends"),
    _time("think", "Z", "time between two passes of one CPU over the line", (10, 1e6)),
    _time("io_time", r"\tau", "mean time a fault with I/O holds the read lock", (1e4, 1e8)),
    _time("blocked_ns", "b", "time a fault is blocked"),
    _time("cost", "c", "cost of the downgrade itself, per call", (1, 1000)),
    _time("cost_per_thread", "c_1", "cost of the downgrade for each thread", (0.1, 400)),
    _time("marginal_cost", r"\omega", "system time that one more operation costs", (1, 1e4)),
    _time("per_page", r"\alpha", "shared time of one page", (1, 250)),
    _time("fixed_shared", r"\varphi", "shared time that does not grow with pages", (10, 5000)),
    _number("threads", "n", "threads that fault, or CPUs that use the line", (0.0, _INF)),
    _number("running", "k", "threads that are not blocked", (0.0, _INF)),
    _number("io_share", "p_{io}", "share of the faults that wait for I/O under the lock", _UNIT,
            (1e-5, 0.1)),
    _number("in_service", "q_s", "probability that a thread is reading as the caller comes",
            _UNIT, (1e-4, 0.9)),
    _number("blocked_end", "b_e", "share of threads blocked as the lock is given up",
            _UNIT, (0, 1)),
    _number("blocked_share", "b", "share of its time a thread is blocked", _UNIT, (0, 1)),
    _number("blocked_before", "P_1", "probability to be blocked before the tail", _UNIT,
            (0, 1)),
    _number("hold_stages", "k", "stages of a hold: its cv is one over the root of k", (1.0, _INF),
            (1, 16)),
    _number("pending", "P_p", "probability that a flush is pending as a fault looks", _UNIT,
            (1e-3, 0.5)),
    _number("fetched", "P_f", "probability that a CPU must fetch the line of the count", _UNIT,
            (1e-3, 0.9)),
    _number("excluded", "a", "share of the faults that need the lock which the calls hold", _UNIT,
            (0, 1)),
    _number("on_call", "k_q", "share of the faults that need the lock that hit entries of the call",
            _UNIT, (0, 1)),
    _number("entries", "p_e", "present entries of the call", typical=(1, 1e6)),
    _number("tables", "n_t", "page tables that the call walks", (1.0, _INF), (1, 512)),
    _number("released", "m_p", "write faults on read-only entries that the cut lets in, per call",
            typical=(0, 64)),
    Quantity("calling", "k_c", "1", (0.0, 1.0), (0, 1), "whether the caller runs", "queue notation",
             True),
    _number("running_share", "s", "probability that a faulting thread is not blocked", _UNIT,
            (0.3, 0.99)),
    _number("gate_closes", "1-q", "probability that a fault comes before the backlog is served",
            _UNIT, (0.01, 0.99)),
    _number("level", "p", "probability level of a quantile", _UNIT, (0.5, 0.99)),
    _number("waiting_share", r"\rho", "probability to meet exclusive work", _UNIT, (0, 1)),
    _number("ops", "v", "locked operations on the line in one pass", typical=(1, 8)),
    _number("ops_before", "v_0", "mean locked operations a pass, no downgrade", typical=(1, 8)),
    _number("ops_after", "v_1", "mean locked operations a pass, downgraded", typical=(1, 8)),
    _number("extra_ops", "k", "locked operations that a downgrade adds", typical=(1, 2)),
    _number("slowpath_ops", "k_s", "further operations of a fault that blocks", typical=(0, 4)),
    _number("call_share", "m", "share of passes over the line that are calls", _UNIT, (1e-4, 1)),
    _number("spinners", "k", "first blocked faults that spin and do not sleep", typical=(0, 4)),
    _number("jth", "j", "position in the order of waking", typical=(1, 256)),
    _number("power_factor", r"\kappa", "(z of level + z of power) squared", typical=(5, 15)),
    _number("effect", "g", "relative change that an experiment is to show", typical=(1e-4, 0.1)),
    _number("run_cv", "c_{run}", "coefficient of variation of whole runs", typical=(1e-3, 0.1)),
)  # fmt: skip

#: The declarations of queue notation, by name.
LOCAL: Mapping[str, Quantity] = MappingProxyType({q.name: q for q in _DECLARED})


def declaration(name: str) -> Quantity:
    """Return the declaration of a symbol's name.

    Raises
    ------
    InputError
        If neither this module nor :mod:`perfmodel.quantities` declares it.
    """
    return LOCAL[name] if name in LOCAL else quantity(name)


@cache
def symbol(name: str) -> sympy.Symbol:
    """Return the sympy symbol of a declared quantity, nonnegative.

    Parameters
    ----------
    name : str
        A name of :data:`LOCAL` or of :mod:`perfmodel.quantities`.

    Raises
    ------
    InputError
        If nothing declares the name.
    """
    declaration(name)
    return sympy.Symbol(name, nonnegative=True)
