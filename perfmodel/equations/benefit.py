r"""Does the downgrade pay: net saving per call and the points where it turns.

A fault that comes in the shared part *R* would have waited for its rest; a fault that was blocked
before it goes on *R* sooner; each fault of the shared part also keeps out of the slow path (no
sleep, worth :math:`s + 2w` of thread time, and :math:`k_s` locked operations less, each worth
:math:`\omega`), and fewer sleepers before it shorten its queue of wake-ups. Against that stands
the cost *c* of the downgrade's own operations.

With Poisson faults the net saving is quadratic in their rate and in *R*, so the break-even points
are roots in closed form. They are written as :math:`2c/(b + \sqrt{b^2 + 4ac})`, which loses no
digits for small *a* and gives infinity where the downgrade never pays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sympy import sqrt

from perfmodel.equations.equation import FloatArray, declare, together
from perfmodel.equations.special import OneMinusExp, Phi
from perfmodel.equations.symbols import symbol

__all__ = [
    "break_even_pages",
    "break_even_rate",
    "break_even_shared",
    "break_even_threads",
    "net_benefit",
    "net_benefit_finite",
]

_SOURCE = "derivation in perfmodel.equations.benefit"
_OPEN = ("faults are Poisson", "the downgrade does not change the wait for the lock",
         "a CPU is free for every thread")  # fmt: skip
_STATED = (
    "net saving: 3 % median, 20 % in nine of ten cases, line less than 60 % busy; "
    "break-even: 1 % median, 18 % in nine of ten"
)

_lam, _n, _nu = symbol("lambda_r"), symbol("threads"), symbol("nu")
_y, _r, _c, _c1 = symbol("window"), symbol("shared"), symbol("cost"), symbol("cost_per_thread")
_s, _w = symbol("wake_latency"), symbol("wake_serial")
_ks, _omega = symbol("slowpath_ops"), symbol("marginal_cost")
_alpha, _fixed = symbol("per_page"), symbol("fixed_shared")

#: Gain of each fault that is not blocked at all, beyond its blocked time.
_gain = _s + 2 * _w + _ks * _omega
_serial = 1 + _lam * _w

NET = declare(
    "net_benefit", r"\mathrm{net}", "ns", "thread time that a downgrade saves per call",
    _lam * _r * (_serial * (_y + _r / 2) + _gain) - _c, source=_SOURCE, assumptions=_OPEN,
    stated_error=_STATED,
)  # fmt: skip
_first = _r * (_y + _r / 2 + _gain)
RATE = declare(
    "break_even_rate", r"\lambda^*", "1/ns", "rate of faults from which on a downgrade pays",
    2 * _c / (_first + sqrt(_first**2 + 4 * _w * _r * (_y + _r / 2) * _c)),
    source=_SOURCE, assumptions=(*_OPEN, "the cost does not depend on the rate"),
    stated_error=_STATED,
)  # fmt: skip
_slope = _lam * (_serial * _y + _gain)
_root = 2 * _c / (_slope + sqrt(_slope**2 + 2 * _lam * _serial * _c))
SHARED = declare(
    "break_even_shared", "R^*", "ns", "shared part from which on a downgrade pays",
    _root, source=_SOURCE, assumptions=(*_OPEN, "the cost does not depend on the shared part"),
    stated_error=_STATED,
)  # fmt: skip
PAGES = declare(
    "break_even_pages", "p^*", "pages", "pages from which on a downgrade pays",
    (_root - _fixed) / _alpha, source=_SOURCE,
    assumptions=(*_OPEN, "R = phi + alpha p"), stated_error=_STATED,
)  # fmt: skip

#: Probability that a thread is blocked with the downgrade, and further without it.
_hit1 = OneMinusExp(_nu * _y)
_hit0 = OneMinusExp(_nu * (_y + _r))
_more = (1 - _hit1) * OneMinusExp(_nu * _r)
_each = (1 - _hit1) * _nu * _r**2 * Phi(2, _nu * _r) + _r * _hit1 + _gain * _more
#: Half the mean growth of ordered pairs of sleepers; (p0^2 - p1^2)/2, without cancellation.
_pairs = _w * _more * (_hit0 + _hit1) / 2
NET_FINITE = declare(
    "net_benefit_finite", r"\mathrm{net}", "ns", "thread time saved per call, n threads",
    _n * _each + _n * (_n - 1) * _pairs - _c - _c1 * _n, source=_SOURCE,
    assumptions=("every thread thinks as the window opens", "the window is a constant", *_OPEN[1:]),
    stated_error=_STATED,
)  # fmt: skip
_b = _each - _pairs - _c1
THREADS = declare(
    "break_even_threads", "n^*", "1", "faulting threads from which on a downgrade pays",
    2 * _c / (_b + sqrt(_b**2 + 4 * _pairs * _c)), source=_SOURCE,
    assumptions=("every thread thinks as the window opens", "the window is a constant",
                 "the cost is c + c_1 n"),
    stated_error=_STATED,
)  # fmt: skip


def net_benefit(
    lambda_r: Any,
    window: Any,
    shared: Any,
    cost: Any,
    *,
    wake_latency: Any = 0.0,
    wake_serial: Any = 0.0,
    slowpath_ops: Any = 0.0,
    marginal_cost: Any = 0.0,
) -> FloatArray:
    """Return the thread time that a downgrade saves per call, Poisson faults, ns.

    Parameters
    ----------
    lambda_r : array_like
        Faults per ns.
    window : array_like
        Mean blocking window with the downgrade, A + D, ns; its law does not matter.
    shared : array_like
        Shared part of the hold, ns.
    cost : array_like
        Cost of the downgrade's own operations, ns.
    wake_latency, wake_serial : array_like
        As in :func:`perfmodel.equations.wake.wake_open`; 0 where readers spin.
    slowpath_ops, marginal_cost : array_like
        Further locked operations of a blocked fault, and the cost of each, ns.

    Raises
    ------
    InputError
        If an argument is out of its domain or the shapes do not broadcast.
    """
    return NET(
        lambda_r=lambda_r,
        window=window,
        shared=shared,
        cost=cost,
        wake_latency=wake_latency,
        wake_serial=wake_serial,
        slowpath_ops=slowpath_ops,
        marginal_cost=marginal_cost,
    )


def net_benefit_finite(
    threads: Any,
    nu: Any,
    window: Any,
    shared: Any,
    cost: Any,
    *,
    cost_per_thread: Any = 0.0,
    wake_latency: Any = 0.0,
    wake_serial: Any = 0.0,
    slowpath_ops: Any = 0.0,
    marginal_cost: Any = 0.0,
) -> FloatArray:
    """Return the thread time that a downgrade saves per call with n threads, ns.

    Parameters
    ----------
    threads, nu : array_like
        Faulting threads and the think rate of each, per ns.
    window : array_like
        Blocking window with the downgrade, A + D, ns, taken as a constant.
    shared, cost, wake_latency, wake_serial, slowpath_ops, marginal_cost : array_like
        As in :func:`net_benefit`.
    cost_per_thread : array_like
        Part of the cost that grows with each thread, ns: 0 on an idle line, L on a full one.

    Raises
    ------
    InputError
        If an argument is out of its domain or the shapes do not broadcast.
    """
    return NET_FINITE(
        threads=threads,
        nu=nu,
        window=window,
        shared=shared,
        cost=cost,
        cost_per_thread=cost_per_thread,
        wake_latency=wake_latency,
        wake_serial=wake_serial,
        slowpath_ops=slowpath_ops,
        marginal_cost=marginal_cost,
    )


def break_even_rate(
    window: Any,
    shared: Any,
    cost: Any,
    *,
    wake_latency: Any = 0.0,
    wake_serial: Any = 0.0,
    slowpath_ops: Any = 0.0,
    marginal_cost: Any = 0.0,
) -> FloatArray:
    """Return the rate of faults from which on a downgrade pays, per ns; inf if never.

    Parameters
    ----------
    window, shared, cost, wake_latency, wake_serial, slowpath_ops, marginal_cost : array_like
        As in :func:`net_benefit`.

    Raises
    ------
    InputError
        If an argument is out of its domain or the shapes do not broadcast.
    """
    g = together(
        window=window, shared=shared, cost=cost, wake_latency=wake_latency,
        wake_serial=wake_serial, slowpath_ops=slowpath_ops, marginal_cost=marginal_cost,
    )  # fmt: skip
    return _never(RATE(**g), g, g["shared"] == 0)


def break_even_shared(
    lambda_r: Any,
    window: Any,
    cost: Any,
    *,
    wake_latency: Any = 0.0,
    wake_serial: Any = 0.0,
    slowpath_ops: Any = 0.0,
    marginal_cost: Any = 0.0,
) -> FloatArray:
    """Return the shared part from which on a downgrade pays, ns; inf if never.

    Parameters
    ----------
    lambda_r, window, cost, wake_latency, wake_serial, slowpath_ops, marginal_cost : array_like
        As in :func:`net_benefit`.

    Raises
    ------
    InputError
        If an argument is out of its domain or the shapes do not broadcast.
    """
    g = together(
        lambda_r=lambda_r, window=window, cost=cost, wake_latency=wake_latency,
        wake_serial=wake_serial, slowpath_ops=slowpath_ops, marginal_cost=marginal_cost,
    )  # fmt: skip
    return _never(SHARED(**g), g, g["lambda_r"] == 0)


def break_even_pages(
    lambda_r: Any,
    window: Any,
    cost: Any,
    per_page: Any,
    fixed_shared: Any = 0.0,
    *,
    wake_latency: Any = 0.0,
    wake_serial: Any = 0.0,
    slowpath_ops: Any = 0.0,
    marginal_cost: Any = 0.0,
) -> FloatArray:
    """Return the pages from which on a downgrade pays; inf if never, 0 if always.

    Parameters
    ----------
    lambda_r, window, cost, wake_latency, wake_serial, slowpath_ops, marginal_cost : array_like
        As in :func:`net_benefit`.
    per_page, fixed_shared : array_like
        The shared part is ``fixed_shared + per_page * pages``, ns.

    Raises
    ------
    InputError
        If an argument is out of its domain or the shapes do not broadcast.
    """
    g = together(
        lambda_r=lambda_r, window=window, cost=cost, per_page=per_page, fixed_shared=fixed_shared,
        wake_latency=wake_latency, wake_serial=wake_serial, slowpath_ops=slowpath_ops,
        marginal_cost=marginal_cost,
    )  # fmt: skip
    pages = _never(PAGES(**g), g, (g["lambda_r"] == 0) | (g["per_page"] == 0))
    return np.maximum(pages, 0.0)


def break_even_threads(
    nu: Any,
    window: Any,
    shared: Any,
    cost: Any,
    *,
    cost_per_thread: Any = 0.0,
    wake_latency: Any = 0.0,
    wake_serial: Any = 0.0,
    slowpath_ops: Any = 0.0,
    marginal_cost: Any = 0.0,
) -> FloatArray:
    """Return the faulting threads from which on a downgrade pays; inf if never.

    Parameters
    ----------
    nu, window, shared, cost, cost_per_thread : array_like
        As in :func:`net_benefit_finite`.
    wake_latency, wake_serial, slowpath_ops, marginal_cost : array_like
        As in :func:`net_benefit`.

    Raises
    ------
    InputError
        If an argument is out of its domain or the shapes do not broadcast.
    """
    g = together(
        nu=nu, window=window, shared=shared, cost=cost, cost_per_thread=cost_per_thread,
        wake_latency=wake_latency, wake_serial=wake_serial, slowpath_ops=slowpath_ops,
        marginal_cost=marginal_cost,
    )  # fmt: skip
    return _never(THREADS(**g), g, (g["shared"] == 0) | (g["nu"] == 0))


def _never(value: FloatArray, given: dict[str, FloatArray], idle: Any) -> FloatArray:
    """Replace 0/0 and x/0 by infinity where nothing is ever gained; keep NaN that was given."""
    known = ~np.logical_or.reduce([np.isnan(v) for v in given.values()])
    undefined = np.isnan(value) | np.isinf(value) | (value < 0) & idle
    return np.where(known & (undefined | idle), np.inf, value)
