r"""What one more locked operation costs on the cache line that all CPUs share.

Every fault and every call passes over the count of the lock some times; each locked operation
occupies the line for *L*. *n* CPUs that are away for *Z* between two passes of *v* operations are
the machine-repairman model, a closed network of product form, so the law of *Z* does not matter:
:math:`X = (1 - B(n, Z/(vL)))/(vL)` with Erlang's loss formula *B*.

The marginal cost :math:`\omega` of one operation is the growth of all CPUs' cycle times together
per pass: with :math:`r = Z/(vL)` and *Q* the number at the line, the weights of the states are
powers of 1/r, hence :math:`dQ/d\ln r = -\mathrm{Var}\,Q` and
:math:`\omega = L\, n\, r\, \mathrm{Var}\,Q/(n - Q)^2`: *L* on an idle line, *nL* on a full one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from perfmodel.equations.equation import FloatArray, declare, together
from perfmodel.equations.special import (
    ErlangServed,
    LineQueue,
    LineQueueVariance,
    OneMinusExp,
    line_queue,
)
from perfmodel.equations.symbols import symbol

__all__ = [
    "extra_transfers",
    "line_delay",
    "line_throughput",
    "line_utilisation",
    "marginal_cost",
    "mean_ops",
    "mixed_cost",
    "net_operations",
    "saturation_threads",
    "throughput_ratio",
]

_REPAIR = "machine-repairman model (finite-source queue), Erlang B"
_ASSUME = ("each operation occupies the line for an exponential time of mean L",
           "every operation fetches the line from another CPU")  # fmt: skip
_STATED = "exact; constant L: throughput up to 5 % higher; hits on the own line: 4 % for n > 3"

_n, _z, _v, _l = symbol("threads"), symbol("think"), symbol("ops"), symbol("line_transfer")
_v0, _v1, _m = symbol("ops_before"), symbol("ops_after"), symbol("call_share")
_touch, _d, _r = symbol("touch_rate"), symbol("exclusive"), symbol("shared")
_lam, _ks, _extra = symbol("lambda_r"), symbol("slowpath_ops"), symbol("extra_ops")
_omega, _local = symbol("marginal_cost"), symbol("rmw_local")

THROUGHPUT = declare(
    "line_throughput", "X", "1/ns", "passes over the line of all CPUs",
    ErlangServed(_n, _z / (_v * _l)) / (_v * _l), source=_REPAIR, assumptions=_ASSUME,
    stated_error=_STATED,
)  # fmt: skip
RATIO = declare(
    "throughput_ratio", "X'/X", "1", "passes over the line with more operations, over before",
    (ErlangServed(_n, _z / (_v1 * _l)) / _v1) / (ErlangServed(_n, _z / (_v0 * _l)) / _v0),
    source=_REPAIR, assumptions=_ASSUME, stated_error=_STATED,
)  # fmt: skip
SATURATION = declare(
    "saturation_threads", "n^*", "1", "CPUs at which the line begins to be full",
    1 + _z / (_v * _l), source="asymptotic bounds of a closed network",
)  # fmt: skip
_load = _z / (_v * _l)
MARGINAL = declare(
    "marginal_cost", r"\omega", "ns", "time of all CPUs that one more operation a pass costs",
    _l * _n * _load * LineQueueVariance(_n, _load) / (_n - LineQueue(_n, _load)) ** 2,
    source="derivative of the cycle time by the time at the line", assumptions=_ASSUME,
    stated_error=_STATED, valid="think > 0",
)  # fmt: skip
TRANSFERS = declare(
    "extra_transfers", "t_r", "1", "transfers of the line that a downgrade adds, per call",
    OneMinusExp(_touch * _d) * OneMinusExp(_touch * _r),
    source="derivation in perfmodel.equations.cacheline",
    assumptions=("other CPUs touch the line as a Poisson stream",),
)  # fmt: skip
NET_OPS = declare(
    "net_operations", r"\Delta k", "1", "locked operations that a downgrade adds on balance",
    _extra - _ks * _lam * _r, source="derivation in perfmodel.equations.cacheline",
    assumptions=("every fault of the shared part was to be blocked",),
)  # fmt: skip
COST = declare(
    "downgrade_cost", "c", "ns", "cost of the downgrade's own operation, per call",
    _extra * (OneMinusExp(_touch * _d) * OneMinusExp(_touch * _r) * _omega
              + (1 - OneMinusExp(_touch * _d) * OneMinusExp(_touch * _r)) * _local),
    source="transfer or local hit, by the probability that the line was away",
    assumptions=("other CPUs touch the line as a Poisson stream",),
)  # fmt: skip
MEAN_OPS = declare(
    "mean_ops", r"\bar v", "1", "mean locked operations of a pass",
    (1 - _m) * _v0 + _m * _v1, source="mixture of faults (v_0) and calls (v_1)",
)  # fmt: skip


def line_throughput(threads: Any, think: Any, ops: Any, line_transfer: Any) -> FloatArray:
    """Return the passes of all CPUs over the line, per ns.

    Parameters
    ----------
    threads : array_like
        CPUs that use the line, at least 1.
    think : array_like
        Time away between two passes, ns.
    ops : array_like
        Locked operations of one pass.
    line_transfer : array_like
        Time of one operation that fetches the line, ns.

    Raises
    ------
    InputError
        If an argument is out of its domain or the shapes do not broadcast.
    """
    return THROUGHPUT(threads=threads, think=think, ops=ops, line_transfer=line_transfer)


def line_delay(threads: Any, think: Any, ops: Any, line_transfer: Any) -> FloatArray:
    """Return the time at and before the line in one pass, ns.

    Parameters
    ----------
    threads, think, ops, line_transfer : array_like
        As in :func:`line_throughput`.

    Raises
    ------
    InputError
        As :func:`line_throughput`.
    """
    g = together(threads=threads, think=think, ops=ops, line_transfer=line_transfer)
    with np.errstate(all="ignore"):
        # n/X - Z cancels on an idle line; Q/X does not.
        load = g["think"] / (g["ops"] * g["line_transfer"])
        return np.asarray(line_queue(g["threads"], load) / THROUGHPUT(**g))


def line_utilisation(threads: Any, think: Any, ops: Any, line_transfer: Any) -> FloatArray:
    """Return the share of the time that the line is busy.

    Parameters
    ----------
    threads, think, ops, line_transfer : array_like
        As in :func:`line_throughput`.

    Raises
    ------
    InputError
        As :func:`line_throughput`.
    """
    g = together(threads=threads, think=think, ops=ops, line_transfer=line_transfer)
    return np.asarray(THROUGHPUT(**g) * g["ops"] * g["line_transfer"])


def saturation_threads(think: Any, ops: Any, line_transfer: Any) -> FloatArray:
    """Return the number of CPUs at which the line begins to be full, 1 + Z/(vL).

    Parameters
    ----------
    think, ops, line_transfer : array_like
        As in :func:`line_throughput`.

    Raises
    ------
    InputError
        If an argument is out of its domain or the shapes do not broadcast.
    """
    return SATURATION(think=think, ops=ops, line_transfer=line_transfer)


def mean_ops(call_share: Any, fault_ops: Any, call_ops: Any) -> FloatArray:
    """Return the mean locked operations of a pass when a share of the passes are calls.

    Parameters
    ----------
    call_share : array_like
        Share of the passes that are calls.
    fault_ops, call_ops : array_like
        Locked operations of a fault (2; 3 with CONFIG_DETECT_HUNG_TASK_BLOCKER) and of a call.

    Raises
    ------
    InputError
        If an argument is out of its domain or the shapes do not broadcast.
    """
    return MEAN_OPS(call_share=call_share, ops_before=fault_ops, ops_after=call_ops)


def throughput_ratio(
    threads: Any,
    think: Any,
    line_transfer: Any,
    call_share: Any,
    *,
    fault_ops: Any = 2.0,
    call_ops: Any = 2.0,
    extra_ops: Any = 1.0,
) -> FloatArray:
    """Return the throughput with a downgrade's operations over that without them.

    Parameters
    ----------
    threads, think, line_transfer : array_like
        As in :func:`line_throughput`.
    call_share : array_like
        Share of the passes over the line that are calls.
    fault_ops, call_ops : array_like
        Locked operations of a fault and of a call without a downgrade.
    extra_ops : array_like
        Operations that the downgrade adds to a call: 1, or 2 with CONFIG_DETECT_HUNG_TASK_BLOCKER,
        which adds one to each release of a read lock.

    Raises
    ------
    InputError
        If an argument is out of its domain or the shapes do not broadcast.
    """
    before = mean_ops(call_share, fault_ops, call_ops)
    more = together(extra_ops=extra_ops)["extra_ops"]
    after = before + np.asarray(call_share, dtype=np.float64) * more
    return RATIO(
        threads=threads,
        think=think,
        line_transfer=line_transfer,
        ops_before=before,
        ops_after=after,
    )


def marginal_cost(threads: Any, think: Any, ops: Any, line_transfer: Any) -> FloatArray:
    """Return the time of all CPUs that one more locked operation a pass costs, ns.

    Parameters
    ----------
    threads, think, ops, line_transfer : array_like
        As in :func:`line_throughput`.

    Returns
    -------
    ndarray
        From L on an idle line to n L on a full one.

    Raises
    ------
    InputError
        As :func:`line_throughput`.
    """
    g = together(threads=threads, think=think, ops=ops, line_transfer=line_transfer)
    full = g["think"] == 0
    return np.where(full, g["threads"] * g["line_transfer"], MARGINAL(**g))


def extra_transfers(touch_rate: Any, exclusive: Any, shared: Any) -> FloatArray:
    """Return the line transfers that a downgrade adds, per call; at most 1.

    If nobody touched the line while the lock was exclusive, the downgrade is a local hit; if
    nobody touches it in the shared part, the last release is one.

    Parameters
    ----------
    touch_rate : array_like
        Accesses of other CPUs to the line, per ns.
    exclusive, shared : array_like
        Parts of the hold before and after the downgrade, ns.

    Raises
    ------
    InputError
        If an argument is out of its domain or the shapes do not broadcast.
    """
    return TRANSFERS(touch_rate=touch_rate, exclusive=exclusive, shared=shared)


def net_operations(
    lambda_r: Any, shared: Any, slowpath_ops: Any, extra_ops: Any = 1.0
) -> FloatArray:
    """Return the locked operations a downgrade adds on balance, per call; often negative.

    Parameters
    ----------
    lambda_r : array_like
        Faults per ns.
    shared : array_like
        Shared part of the hold, ns.
    slowpath_ops : array_like
        Further operations of a fault that blocks.
    extra_ops : array_like
        Operations of the downgrade.

    Raises
    ------
    InputError
        If an argument is out of its domain or the shapes do not broadcast.
    """
    return NET_OPS(lambda_r=lambda_r, shared=shared, slowpath_ops=slowpath_ops, extra_ops=extra_ops)


def mixed_cost(
    touch_rate: Any,
    exclusive: Any,
    shared: Any,
    marginal_cost: Any,
    rmw_local: Any,
    extra_ops: Any = 1.0,
) -> FloatArray:
    """Return the cost of the downgrade's own operations, per call, ns.

    Parameters
    ----------
    touch_rate, exclusive, shared : array_like
        As in :func:`extra_transfers`.
    marginal_cost : array_like
        System cost of an operation that fetches the line, ns; see :func:`marginal_cost`.
    rmw_local : array_like
        Cost of one that hits, ns.
    extra_ops : array_like
        Operations of the downgrade.

    Raises
    ------
    InputError
        If an argument is out of its domain or the shapes do not broadcast.
    """
    return COST(
        touch_rate=touch_rate,
        exclusive=exclusive,
        shared=shared,
        marginal_cost=marginal_cost,
        rmw_local=rmw_local,
        extra_ops=extra_ops,
    )
