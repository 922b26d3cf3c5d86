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
    "acquire_scale",
    "benefit_finite",
    "benefit_open",
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


def acquire_scale(acquire: FloatArray, acquire_2: Any) -> FloatArray:
    """Return the scale, variance over mean, of the gamma law with the two moments given, ns.

    Parameters
    ----------
    acquire : ndarray
        Mean wait for the lock, ns.
    acquire_2 : array_like or None
        Its second moment, ns^2; None for a constant wait.

    Raises
    ------
    InputError
        As :func:`window_moments`.
    """
    return _scale(acquire, _second(acquire, acquire_2))


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
