r"""What the check costs that would make a downgrade safe: a write fault looks for pending flushes.

A call that changes entries under a shared lock counts itself in ``mm->tlb_flush_pending`` until its
flush is done, a time :math:`W_s`. With the check ungated, each write fault on a present, read-only
entry reads that count. It hits its own cache unless another CPU has written the line since this CPU
looked last; each call writes it twice. While the count is not zero the fault flushes the page on all
CPUs that run the process before it goes on, as the gated check of 5.12 does for userfaultfd.

*Who finds a flush pending.* A fault that comes at random, with the share of the time that one is, unless
the calls keep it out while they hold the lock. Calls that exclude each other, as those of mprotect do,
never overlap: :math:`\lambda_w W_s`. Users of the count that do not exclude each other overlap. And the
faults that the cut itself lets in come while the flush is pending, without exception.

*Who must fetch the line.* Let a CPU look at the count at rate :math:`\rho = \lambda_p/n`. The line is
untouched since its last look, a time *t* ago, if no call began within *t*, and none that long before
:math:`W_s` ago: calls must stay out of a time :math:`t + \min(t, W_s)`. With
:math:`a = \rho + 2\lambda_w + \Lambda_m` the mean over :math:`t \sim \mathrm{Exp}(\rho)` is
:math:`\rho\,[(1 - e^{-aW_s})/a + e^{-aW_s}/(a - \lambda_w)]`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sympy import Max, Min, exp

from perfmodel.equations.equation import FloatArray, declare, together
from perfmodel.equations.special import OneMinusExp, Phi
from perfmodel.equations.symbols import symbol
from perfmodel.errors import InputError

__all__ = ["Guard", "guard", "pending_flush"]

_SOURCE = "derivation in perfmodel.equations.guard; do_wp_page since 5.12, include/linux/mm_types.h"
_lp, _lw, _other = symbol("write_fault_rate"), symbol("lambda_w"), symbol("mm_writes")
_ws, _m, _n = symbol("stale_window"), symbol("writer_threads"), symbol("threads")
_pending, _fetched, _load = symbol("pending"), symbol("fetched"), symbol("load")
_flush, _remote = symbol("page_flush"), symbol("remote_cpus")
_flush_rate = symbol("flush_rate")

PENDING_ONE = declare(
    "pending_exclusive", "P_p", "1", "a flush is pending; calls exclude each other",
    Min(1, _lw * _ws), source=_SOURCE,
    assumptions=("calls do not overlap", "the fault comes at random"),
)  # fmt: skip
PENDING_CALLERS = declare(
    "pending_callers", "P_p", "1", "a flush is pending; m callers are independent",
    1 - (1 - Min(1, _lw * _ws / _m)) ** _m, source=_SOURCE,
    assumptions=("callers do not exclude each other", "the fault comes at random"),
)  # fmt: skip
PENDING_OPEN = declare(
    "pending_open", "P_p", "1", "a flush is pending; calls come at random",
    OneMinusExp(_lw * _ws), source=_SOURCE,
    assumptions=("calls are Poisson and do not exclude each other", "the fault comes at random"),
)  # fmt: skip
_rho = _lp / _n
_a = _rho + 2 * _lw + _other
FETCHED = declare(
    "pending_fetched", "P_f", "1", "a CPU must fetch the line of the count of pending flushes",
    1 - _rho * (_ws * Phi(1, _a * _ws) + exp(-_a * _ws) / (_a - _lw)), source=_SOURCE,
    assumptions=("faults, calls and other writes are Poisson", "the caller's CPU does not fault",
                 "a line that nobody writes stays in the cache"),
    valid="write_fault_rate > 0",
)  # fmt: skip
LOAD = declare(
    "pending_load", "l", "ns", "mean time to read the count of pending flushes",
    _fetched * symbol("line_transfer") + (1 - _fetched) * symbol("load_hit"), source=_SOURCE,
    assumptions=("to fetch a line for reading costs no more than for a locked operation",),
)  # fmt: skip
PAGE_FLUSH = declare(
    "page_flush_all", "F", "ns", "flush of one page on all CPUs that run the process",
    symbol("flush_page") + symbol("shootdown") * Min(_remote, 1)
    + symbol("shootdown_more") * Max(_remote - 1, 0), source=_SOURCE,
    assumptions=("remote CPUs run; one that is preempted by a hypervisor answers later",),
)  # fmt: skip
PER_FAULT = declare(
    "guard_per_fault", "c_p", "ns", "what the check costs a write fault, on average",
    _load + (1 - symbol("excluded")) * _pending * _flush, source=_SOURCE,
)  # fmt: skip
FLUSH_RATE = declare(
    "guard_flush_rate", r"\lambda_F", "1/ns", "page flushes of the whole process that the check adds",
    _lp * (1 - symbol("excluded")) * _pending + _lw * symbol("released"), source=_SOURCE,
)  # fmt: skip
#: Those that are interrupted pay as well: at least the invalidation.
REMOTE = declare(
    "guard_remote_share", "f_F", "1", "share of its time that each other CPU spends on these flushes",
    _flush_rate * symbol("flush_page"), source=_SOURCE,
    assumptions=("taking the interrupt is not counted: a lower bound",),
)  # fmt: skip
PER_CALL = declare(
    "guard_per_call", "C_p", "ns", "thread time that the check costs between two calls",
    (symbol("guard_fault") * _lp + _remote * symbol("flush_page") * _flush_rate) / _lw
    + symbol("released") * _flush, source=_SOURCE,
    assumptions=("the faults that the cut lets in are among all that read the count",
                 "taking the interrupt is not counted: a lower bound"),
    valid="lambda_w > 0",
)  # fmt: skip


@dataclass(frozen=True)
class Guard:
    """Price of the check; every array has the broadcast shape.

    Attributes
    ----------
    pending : ndarray
        Probability that a fault at random finds a flush pending.
    fetched : ndarray
        Probability that it must fetch the line of the count.
    load, page_flush : ndarray, ns
        Reading the count, and flushing one page.
    per_fault : ndarray, ns
        Mean cost of a write fault at random.
    per_call : ndarray, ns
        Thread time of all threads between two calls; NaN where nobody calls.
    flush_rate : ndarray, per ns
        Page flushes that the check adds.
    remote_share : ndarray
        Share of its time that each other CPU spends on them, at least.
    """

    pending: FloatArray
    fetched: FloatArray
    load: FloatArray
    page_flush: FloatArray
    per_fault: FloatArray
    per_call: FloatArray
    flush_rate: FloatArray
    remote_share: FloatArray


def pending_flush(
    lambda_w: Any, stale_window: Any, *, callers: Any = None, overlap: bool = False
) -> FloatArray:
    """Return the probability that a flush is pending.

    Parameters
    ----------
    lambda_w : array_like
        Calls of the whole process, per ns.
    stale_window : array_like
        Time that each keeps the count up, ns.
    callers : array_like, optional
        Callers that come round; without it calls come at random.
    overlap : bool
        Whether calls may overlap: not under one lock, but MADV_DONTNEED, KSM and NUMA balancing do.

    Raises
    ------
    InputError
        If an argument is out of its domain, the shapes do not broadcast, or callers are given whose
        calls do not overlap: their number does not matter then.
    """
    g = together(lambda_w=lambda_w, stale_window=stale_window)
    if not overlap:
        if callers is not None:
            raise InputError("the number of callers matters only where their calls overlap",
                             field="callers", expected="overlap=True")  # fmt: skip
        return PENDING_ONE(**g)
    return PENDING_OPEN(**g) if callers is None else PENDING_CALLERS(writer_threads=callers, **g)


def guard(
    write_fault_rate: Any,
    lambda_w: Any,
    stale_window: Any,
    *,
    threads: Any,
    remote_cpus: Any,
    line_transfer: Any,
    load_hit: Any,
    flush_page: Any,
    shootdown: Any,
    shootdown_more: Any,
    mm_writes: Any = 0.0,
    released: Any = 0.0,
    excluded: Any = 0.0,
    callers: Any = None,
    overlap: bool = False,
) -> Guard:
    """Return the price of the ungated check for pending flushes.

    Parameters
    ----------
    write_fault_rate, lambda_w : array_like
        Write faults on present, read-only entries, and calls; per ns.
    stale_window : array_like
        From the count going up until the flush is done, ns.
    threads : array_like
        CPUs that fault, evenly.
    remote_cpus : array_like
        Other CPUs that run the process and must be interrupted for a flush.
    line_transfer, load_hit : array_like
        Reading a line that another CPU wrote last, and one that this CPU has; ns.
    flush_page, shootdown, shootdown_more : array_like
        Invalidating one page here, interrupting one CPU, and each further one; ns.
    mm_writes : array_like
        Other writes to the line of the count, per ns.
    released : array_like
        Write faults on read-only entries that one call's cut lets in while its flush is pending.
    excluded : array_like
        Share of the faults that come at random but not while a flush is pending, unless a cut lets
        them in: those that need the lock that the calls hold.
    callers, overlap
        As in :func:`pending_flush`.

    Raises
    ------
    InputError
        If an argument is out of its domain or the shapes do not broadcast.
    """
    g = together(
        write_fault_rate=write_fault_rate, lambda_w=lambda_w, stale_window=stale_window,
        threads=threads, remote_cpus=remote_cpus, line_transfer=line_transfer, load_hit=load_hit,
        flush_page=flush_page, shootdown=shootdown, shootdown_more=shootdown_more,
        mm_writes=mm_writes, released=released, excluded=excluded,
    )  # fmt: skip
    faults, calls, window = g["write_fault_rate"], g["lambda_w"], g["stale_window"]
    pending = pending_flush(calls, window, callers=callers, overlap=overlap)
    looks = {k: g[k] for k in ("threads", "mm_writes")}
    # Who never looks has not got the line; who looks where nobody writes has it.
    fetched = FETCHED(
        write_fault_rate=np.where(faults > 0, faults, np.nan), lambda_w=calls, stale_window=window,
        **looks,
    )  # fmt: skip
    fetched = np.where((faults == 0) & (g["threads"] > 0), 1.0, np.clip(fetched, 0.0, 1.0))
    load = LOAD(fetched=fetched, line_transfer=g["line_transfer"], load_hit=g["load_hit"])
    flush = PAGE_FLUSH(
        **{k: g[k] for k in ("flush_page", "shootdown", "shootdown_more", "remote_cpus")}
    )
    each = PER_FAULT(load=load, pending=pending, page_flush=flush, excluded=g["excluded"])
    some = np.where(calls > 0, calls, np.nan)
    rate = FLUSH_RATE(
        write_fault_rate=faults, pending=pending, lambda_w=calls, released=g["released"],
        excluded=g["excluded"],
    )  # fmt: skip
    return Guard(
        pending=pending,
        fetched=fetched,
        load=load,
        page_flush=flush,
        per_fault=each,
        per_call=PER_CALL(
            guard_fault=each, write_fault_rate=faults, lambda_w=some, released=g["released"],
            page_flush=flush, flush_rate=rate, flush_page=g["flush_page"],
            remote_cpus=g["remote_cpus"],
        ),
        flush_rate=rate,
        remote_share=REMOTE(flush_rate=rate, flush_page=g["flush_page"]),
    )  # fmt: skip
