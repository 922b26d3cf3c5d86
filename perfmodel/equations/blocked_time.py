"""The law of the time that one blocked fault waits: survival and quantiles.

A fault that is blocked began at some moment of the window :math:`Y = A + X`; its wait is what is left
of it. With Poisson faults that is the equilibrium law of *Y*; a thread of a finite population is less
likely to begin late in a long window. The wait *A* is a constant, a gamma law with two moments given,
or the drain of exponential readers in progress, which has an atom at 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special as sc

from perfmodel.equations.blocking import acquire_scale
from perfmodel.equations.equation import FloatArray, together
from perfmodel.errors import InputError

__all__ = ["blocked_quantile", "blocked_survival"]


def _unblocked(
    b: FloatArray,
    x: FloatArray,
    a: FloatArray,
    theta: FloatArray,
    nu: FloatArray,
    law: str = "gamma",
) -> FloatArray:
    """Return E[1 - exp(-nu (Y-b)^+)]/nu, or E (Y-b)^+ where nu Y is too small to tell."""
    gamma = _unblocked_gamma(b, x, a, theta, nu)
    if law == "gamma":
        return gamma
    # No wait with some probability, else exponential: mean and second moment fix both numbers.
    with np.errstate(all="ignore"):
        scale = np.where(theta > a, 0.5 * (a + theta), 1.0)
        some = a / scale
        c, ahead = np.maximum(b - x, 0.0), np.maximum(x - b, 0.0)
        stretch = some * scale / (1 + nu * scale)  # E[1 - exp(-nu A)]/nu
        first = np.where(nu > 0, -np.expm1(-nu * ahead) / np.where(nu > 0, nu, 1.0), ahead)
        atom = np.where(b <= x, first + np.exp(-nu * ahead) * stretch, stretch * np.exp(-c / scale))
    return np.where(theta > a, atom, gamma)


def _unblocked_gamma(
    b: FloatArray, x: FloatArray, a: FloatArray, theta: FloatArray, nu: FloatArray
) -> FloatArray:
    constant = theta == 0
    x = np.where(constant, x + a, x)
    with np.errstate(all="ignore"):
        k = np.where(constant, 1.0, a / theta)
        t = np.where(constant, 1.0, theta)
        mean = np.where(constant, 0.0, a)
        c = np.maximum(b - x, 0.0)
        ahead = np.maximum(x - b, 0.0)
        slow = nu * (x + mean) < 1e-6
        tail = mean * sc.gammaincc(k + 1, c / t) - c * sc.gammaincc(k, c / t)
        linear = np.where(b <= x, ahead + mean, np.where(constant, 0.0, np.maximum(tail, 0.0)))
        log_l = np.where(constant, 0.0, -k * np.log1p(nu * t))
        # exp(nu c) overflows only where the incomplete gamma is 0 beyond rescue.
        inner = sc.gammaincc(k, c * (1 / t + nu))
        past = sc.gammaincc(k, c / t) - np.where(
            inner > 0, np.exp(nu * c + log_l + np.log(np.maximum(inner, 1e-300))), 0.0
        )
        curved = np.where(
            b <= x,
            -np.expm1(-nu * ahead + log_l),
            np.where(constant, 0.0, np.maximum(past, 0.0)),
        )
        return np.where(slow, linear, curved / np.where(slow, 1.0, nu))


def blocked_survival(
    blocked_ns: Any,
    exclusive: Any,
    acquire: Any = 0.0,
    acquire_2: Any = None,
    *,
    nu: Any = 0.0,
    law: str = "gamma",
) -> FloatArray:
    """Return P(B > b) for a fault that is blocked.

    Parameters
    ----------
    blocked_ns : array_like
        b, ns.
    exclusive, acquire, acquire_2 : array_like
        As in :func:`window_moments`.
    nu : array_like
        Think rate of one thread, for a finite population; 0 for Poisson faults.
    law : {"gamma", "drain"}
        Law of A with the moments given. ``gamma`` is exact for constant, exponential and gamma
        waits. ``drain`` replaces it, where the coefficient of variation exceeds 1, by no wait with
        some probability and else an exponential one; for the drain of readers in progress that
        errs by at most 0.03 in probability, where ``gamma`` errs by up to 0.1.

    Raises
    ------
    InputError
        As :func:`window_moments`, or if the law is unknown.
    """
    _check_law(law)
    g = together(blocked_ns=blocked_ns, exclusive=exclusive, acquire=acquire, nu=nu)
    a = g["acquire"]
    theta = acquire_scale(a, acquire_2)
    b, x, a, theta, rate = np.broadcast_arrays(g["blocked_ns"], g["exclusive"], a, theta, g["nu"])
    with np.errstate(all="ignore"):
        whole = _unblocked(np.zeros_like(b), x, a, theta, rate, law)
        return _unblocked(b, x, a, theta, rate, law) / whole


def _check_law(law: str) -> None:
    if law not in ("gamma", "drain"):
        raise InputError(f"{law!r} is no law of the wait", field="law", expected="gamma or drain")


def blocked_quantile(
    level: Any,
    exclusive: Any,
    acquire: Any = 0.0,
    acquire_2: Any = None,
    *,
    nu: Any = 0.0,
    law: str = "gamma",
) -> FloatArray:
    """Return the quantile of the blocked time of a fault that is blocked.

    Parameters
    ----------
    level : array_like
        Probability p; the result b has P(B <= b) = p.
    exclusive, acquire, acquire_2, nu : array_like
        As in :func:`blocked_survival`.
    law : {"gamma", "drain"}
        As in :func:`blocked_survival`.

    Returns
    -------
    ndarray
        ns, to a relative 1e-9 by bisection; NaN where no fault is ever blocked.

    Raises
    ------
    InputError
        As :func:`blocked_survival`.
    """
    _check_law(law)
    g = together(level=level, exclusive=exclusive, acquire=acquire, nu=nu)
    a = g["acquire"]
    theta = acquire_scale(a, acquire_2)
    p, x, a, theta, rate = np.broadcast_arrays(g["level"], g["exclusive"], a, theta, g["nu"])
    with np.errstate(all="ignore"):
        target = (1 - p) * _unblocked(np.zeros_like(x), x, a, theta, rate, law)
        low = np.zeros(x.shape)
        # A gamma tail is exponential beyond some scales; the level sets how far to look.
        reach = 2.0 - np.log(np.maximum(1 - p, 1e-300))
        high = x + 4 * a + 4 * theta * reach
        for _ in range(44):
            middle = 0.5 * (low + high)
            above = _unblocked(middle, x, a, theta, rate, law) > target
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        out = 0.5 * (low + high)
    known = ~np.isnan(target) & (x + a > 0)
    out = np.where(p >= 1, np.where(theta > 0, np.inf, x + a), out)
    return np.where(known, out, np.nan)
