r"""Who is blocked by one write hold, how many and for how long.

A call waits *A* for the lock (faults that arrive meanwhile queue behind it) and holds it
exclusively for *X*; faults that arrive in the window :math:`Y = A + X` wait until its end. Without
a downgrade :math:`X = D + R`, with one :math:`X = D`.

Open population: faults are Poisson and do not feel the blocking, so given *Y* their number is
Poisson and each blocked time uniform on (0, Y); all moments follow. Finite population: each of *n*
threads thinks for an exponential time of rate :math:`\nu` and is blocked once at most; its blocked
time is :math:`B = (Y - E)^+` with :math:`E\,B^k = k!\,\nu Y^{k+1}\varphi_{k+1}(\nu Y)`.

A random wait *A* enters the finite forms through its Laplace transform. It is taken as gamma with
the first two moments given; :math:`\theta_A` is its scale, variance over mean. The transform is
then :math:`e^{-\nu A \ln(1+\nu\theta_A)/(\nu\theta_A)}`, and no form below divides by
:math:`\nu` or :math:`\theta_A`, so both may be zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special as sc

from perfmodel.equations.equation import FloatArray, declare, together
from perfmodel.equations.special import LogExcessRatio, LogRatio, OneMinusExp, Phi
from perfmodel.equations.symbols import symbol
from perfmodel.errors import InputError

__all__ = [
    "Blocking",
    "WindowMoments",
    "benefit_finite",
    "benefit_open",
    "blocked_quantile",
    "blocked_survival",
    "finite_blocking",
    "open_blocking",
    "open_blocking_moments",
    "window_moments",
]

_SOURCE = "derivation in perfmodel.equations.blocking"
_POISSON = ("faults are Poisson and independent of the hold",)
_THINKING = ("every thread is thinking as the window opens", "think times are exponential")

_lam, _n, _nu = symbol("lambda_r"), symbol("threads"), symbol("nu")
_y, _y2, _y3, _y4 = (symbol(s) for s in ("window", "window_2", "window_3", "window_4"))
_a, _theta, _d, _r = (symbol(s) for s in ("acquire", "acquire_scale", "exclusive", "shared"))
_p1 = symbol("blocked_before")

# ------------------------------------------------------------------------------ open population

BLOCKED_OPEN = declare(
    "blocked_open", r"E\,N", "1", "faults blocked by one call", _lam * _y,
    source=_SOURCE, assumptions=_POISSON,
)  # fmt: skip
BLOCKED_OPEN_VARIANCE = declare(
    "blocked_open_variance", r"\mathrm{Var}\,N", "1", "variance of the faults blocked by one call",
    _lam * _y + _lam**2 * (_y2 - _y**2), source=_SOURCE, assumptions=_POISSON,
)  # fmt: skip
TIME_OPEN = declare(
    "blocked_time_open", r"E\,T", "ns", "total blocked time of the faults of one call",
    _lam * _y2 / 2, source=_SOURCE, assumptions=_POISSON,
)  # fmt: skip
TIME_OPEN_VARIANCE = declare(
    "blocked_time_open_variance", r"\mathrm{Var}\,T", "ns^2",
    "variance of the total blocked time of one call",
    _lam * _y3 / 3 + _lam**2 * (_y4 - _y2**2) / 4, source=_SOURCE, assumptions=_POISSON,
)  # fmt: skip
MEAN_OPEN = declare(
    "blocked_mean_open", r"E\,B", "ns", "mean blocked time of a fault that is blocked",
    _y2 / (2 * _y), source=_SOURCE, assumptions=_POISSON,
)  # fmt: skip
BENEFIT_OPEN = declare(
    "benefit_open", r"\Delta", "ns", "blocked time that a downgrade saves, per call",
    _lam * _r * (_a + _d + _r / 2), source=_SOURCE,
    assumptions=(*_POISSON, "the wait for the lock does not depend on the hold",
                 "the downgrade does not change the wait for the lock"),
)  # fmt: skip

# ---------------------------------------------------------------------------- finite population

#: X + A ln(1 + nu theta)/(nu theta): the constant window that blocks as many threads.
_effective = _d + _a * LogRatio(_nu * _theta)

MISSED = declare(
    "blocked_probability", "P", "1", "probability that a thinking thread meets the window",
    OneMinusExp(_nu * _effective), source=_SOURCE, assumptions=_THINKING,
    stated_error="exact for constant or gamma waits",
)  # fmt: skip
TIME_FINITE = declare(
    "blocked_time_finite", r"E\,T", "ns", "total blocked time of the faults of one call",
    _n * _nu * (_a * _theta * LogExcessRatio(_nu * _theta)
                + _effective**2 * Phi(2, _nu * _effective)),
    source=_SOURCE, assumptions=_THINKING, stated_error="exact for constant or gamma waits",
)  # fmt: skip
#: First two moments of one thread's blocked time for a window of known length.
GIVEN_FIRST = declare(
    "blocked_time_thread", "g(Y)", "ns", "mean blocked time of one thinking thread",
    _nu * _y**2 * Phi(2, _nu * _y), source=_SOURCE, assumptions=_THINKING,
)  # fmt: skip
GIVEN_SECOND = declare(
    "blocked_time_thread_2", r"E\,B^2", "ns^2", "second moment of one thread's blocked time",
    2 * _nu * _y**3 * Phi(3, _nu * _y), source=_SOURCE, assumptions=_THINKING,
)  # fmt: skip
BENEFIT_FINITE = declare(
    "benefit_finite", r"\Delta", "ns", "blocked time that a downgrade saves, per call",
    _n * ((1 - _p1) * _nu * _r**2 * Phi(2, _nu * _r) + _r * _p1), source=_SOURCE,
    assumptions=_THINKING,
)  # fmt: skip


@dataclass(frozen=True)
class WindowMoments:
    """First four moments of the blocking window, in ns to ns^4."""

    window: FloatArray
    window_2: FloatArray
    window_3: FloatArray
    window_4: FloatArray

    @property
    def variance_of_square(self) -> FloatArray:
        """Variance of the squared window, ns^4."""
        return np.asarray(self.window_4 - self.window_2**2)


@dataclass(frozen=True)
class Blocking:
    """What one write hold does to the faults.

    Attributes
    ----------
    blocked, blocked_variance : ndarray
        Faults blocked per call.
    time, time_variance : ndarray
        Their total blocked time per call, ns and ns^2.
    mean_wait : ndarray
        Mean blocked time of a fault that is blocked, ns; NaN where none is.
    """

    blocked: FloatArray
    blocked_variance: FloatArray
    time: FloatArray
    time_variance: FloatArray
    mean_wait: FloatArray


def _second(acquire: FloatArray, acquire_2: Any) -> FloatArray:
    """Return the second moment of the wait; without one the wait is a constant."""
    if acquire_2 is None:
        return acquire**2
    second = together(acquire=acquire, acquire_2=acquire_2)["acquire_2"]
    if np.any(second < acquire**2 * (1 - 1e-9)):
        raise InputError(
            "a second moment is smaller than the square of the mean",
            field="acquire_2",
            expected="at least acquire**2",
        )
    return second


def _scale(acquire: FloatArray, second: FloatArray) -> FloatArray:
    """Return variance over mean of the wait, 0 for no wait."""
    variance = np.maximum(second - acquire**2, 0.0)
    # Rounding in the caller's moments must not look like a very narrow gamma.
    variance = np.where(variance < 1e-8 * acquire**2, 0.0, variance)
    with np.errstate(all="ignore"):
        return np.where(acquire == 0, 0.0, variance / acquire)


def window_moments(exclusive: Any, acquire: Any = 0.0, acquire_2: Any = None) -> WindowMoments:
    """Return the moments of the window A + X.

    Parameters
    ----------
    exclusive : array_like
        Exclusive hold X, ns, a constant.
    acquire : array_like
        Mean of the wait A for the lock, ns.
    acquire_2 : array_like, optional
        Second moment of A, ns^2; without it A is a constant. Third and fourth moments are those
        of the gamma law with these two.

    Raises
    ------
    InputError
        If an argument is out of its domain or ``acquire_2 < acquire**2``.
    """
    given = together(exclusive=exclusive, acquire=acquire)
    a, x = given["acquire"], given["exclusive"]
    t = _scale(a, _second(a, acquire_2))
    a2 = a * (a + t)
    a3 = a2 * (a + 2 * t)
    a4 = a3 * (a + 3 * t)
    return WindowMoments(
        a + x,
        a2 + 2 * a * x + x**2,
        a3 + 3 * a2 * x + 3 * a * x**2 + x**3,
        a4 + 4 * a3 * x + 6 * a2 * x**2 + 4 * a * x**3 + x**4,
    )


def open_blocking_moments(
    lambda_r: Any, window: Any, window_2: Any, window_3: Any = np.nan, window_4: Any = np.nan
) -> Blocking:
    """Return the blocking of Poisson faults by a window of known moments.

    Parameters
    ----------
    lambda_r : array_like
        Faults per ns.
    window, window_2, window_3, window_4 : array_like
        Moments of the window; third and fourth only matter for the variance of the time.

    Raises
    ------
    InputError
        If an argument is out of its domain or the shapes do not broadcast.
    """
    g = together(
        lambda_r=lambda_r, window=window, window_2=window_2, window_3=window_3, window_4=window_4
    )
    first = {k: g[k] for k in ("lambda_r", "window")}
    second = {k: g[k] for k in ("lambda_r", "window", "window_2")}
    return Blocking(
        BLOCKED_OPEN(**first),
        BLOCKED_OPEN_VARIANCE(**second),
        TIME_OPEN(lambda_r=g["lambda_r"], window_2=g["window_2"]),
        TIME_OPEN_VARIANCE(**{k: v for k, v in g.items() if k != "window"}),
        MEAN_OPEN(window=g["window"], window_2=g["window_2"]),
    )


def open_blocking(
    lambda_r: Any, exclusive: Any, acquire: Any = 0.0, acquire_2: Any = None
) -> Blocking:
    """Return the blocking of Poisson faults by one call.

    Parameters
    ----------
    lambda_r : array_like
        Faults per ns.
    exclusive, acquire, acquire_2 : array_like
        As in :func:`window_moments`.

    Raises
    ------
    InputError
        As :func:`window_moments`.
    """
    m = window_moments(exclusive, acquire, acquire_2)
    return open_blocking_moments(lambda_r, m.window, m.window_2, m.window_3, m.window_4)


_PROBABILITIES, _WEIGHTS = np.polynomial.legendre.leggauss(96)
# p = s^2(3-2s) crowds the nodes at both ends, where the inverse of a gamma law is steep.
_s = 0.5 * (_PROBABILITIES + 1.0)
_PROBABILITIES, _WEIGHTS = _s * _s * (3 - 2 * _s), 0.5 * _WEIGHTS * 6 * _s * (1 - _s)


def finite_blocking(
    threads: Any, nu: Any, exclusive: Any, acquire: Any = 0.0, acquire_2: Any = None
) -> Blocking:
    """Return the blocking of n threads, all thinking as the window opens, by one call.

    Parameters
    ----------
    threads : array_like
        Faulting threads.
    nu : array_like
        Faults per ns of one thread that runs; 0 is allowed (nobody is blocked).
    exclusive, acquire, acquire_2 : array_like
        As in :func:`window_moments`.

    Returns
    -------
    Blocking
        Means exact for constant or gamma waits; the variances of a random wait come from a
        96-point quadrature, good to 1e-3.

    Raises
    ------
    InputError
        As :func:`window_moments`.
    """
    g = together(threads=threads, nu=nu, exclusive=exclusive, acquire=acquire)
    n, rate, x, a = g["threads"], g["nu"], g["exclusive"], g["acquire"]
    theta = _scale(a, _second(a, acquire_2))
    n, rate, x, a, theta = np.broadcast_arrays(n, rate, x, a, theta)
    missed = MISSED(nu=rate, exclusive=x, acquire=a, acquire_scale=theta)
    time = TIME_FINITE(threads=n, nu=rate, exclusive=x, acquire=a, acquire_scale=theta)
    with np.errstate(all="ignore"):
        shape = np.where(theta > 0, a / theta, 1.0)
        wait = np.where(
            (theta > 0)[..., None],
            theta[..., None] * sc.gammaincinv(shape[..., None], _PROBABILITIES),
            a[..., None],
        )
        window = x[..., None] + wait
        one, two = (
            GIVEN_FIRST(nu=rate[..., None], window=window),
            GIVEN_SECOND(nu=rate[..., None], window=window),
        )
        hit = -np.expm1(-rate[..., None] * window)
        # Law of total variance; centred, so that a common window does not cancel.
        spread = ((one - (one @ _WEIGHTS)[..., None]) ** 2) @ _WEIGHTS
        spread_hit = ((hit - (hit @ _WEIGHTS)[..., None]) ** 2) @ _WEIGHTS
        mean = time / (n * missed)
    return Blocking(
        n * missed,
        n * ((hit * (1 - hit)) @ _WEIGHTS) + n**2 * spread_hit,
        time,
        n * ((two - one**2) @ _WEIGHTS) + n**2 * spread,
        np.where(n * missed > 0, mean, np.nan),
    )


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
    theta = _scale(a, _second(a, acquire_2))
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
    theta = _scale(a, _second(a, acquire_2))
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


def benefit_open(lambda_r: Any, acquire: Any, exclusive: Any, shared: Any) -> FloatArray:
    """Return the blocked time a downgrade saves per call, Poisson faults, ns.

    Parameters
    ----------
    lambda_r : array_like
        Faults per ns.
    acquire, exclusive, shared : array_like
        Mean wait for the lock; exclusive and shared part of the hold; ns.

    Raises
    ------
    InputError
        If an argument is out of its domain or the shapes do not broadcast.
    """
    return BENEFIT_OPEN(lambda_r=lambda_r, acquire=acquire, exclusive=exclusive, shared=shared)


def benefit_finite(
    threads: Any,
    nu: Any,
    exclusive: Any,
    shared: Any,
    acquire: Any = 0.0,
    acquire_2: Any = None,
) -> FloatArray:
    """Return the blocked time a downgrade saves per call with n threads, ns.

    Parameters
    ----------
    threads, nu : array_like
        Faulting threads and the think rate of each, per ns.
    exclusive, shared : array_like
        Exclusive and shared part of the hold, ns.
    acquire, acquire_2 : array_like
        Mean and second moment of the wait for the lock.

    Raises
    ------
    InputError
        As :func:`window_moments`.
    """
    g = together(threads=threads, nu=nu, exclusive=exclusive, shared=shared, acquire=acquire)
    a = g["acquire"]
    theta = _scale(a, _second(a, acquire_2))
    missed = MISSED(nu=g["nu"], exclusive=g["exclusive"], acquire=a, acquire_scale=theta)
    return BENEFIT_FINITE(
        threads=g["threads"], nu=g["nu"], shared=g["shared"], blocked_before=missed
    )
