"""Numpy functions that keep their digits where the textbook forms lose them.

They are the numbers of the sympy functions in :mod:`perfmodel.equations.special`. The textbook
forms lose all digits where the models live (a think rate times a window of 1e-8), so series are
used there; the tests hold every function against arithmetic of 40 digits and more.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special as sc

__all__ = [
    "binomial_tail",
    "dilog",
    "ein",
    "ein2",
    "erlang_b",
    "erlang_served",
    "harmonic",
    "line_queue",
    "line_queue_variance",
    "log_excess",
    "log_excess_ratio",
    "log_ratio",
    "one_minus_exp",
    "phi",
    "poisson_tail",
]

_Array = npt.NDArray[np.float64]
_EULER = float(np.euler_gamma)


def _horner(coefficients: list[float], x: _Array) -> _Array:
    out = np.full_like(x, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        out = out * x + c
    return out


def _split(
    x: Any, small: Any, near: Callable[[_Array], _Array], far: Callable[[_Array], _Array]
) -> _Array:
    """Evaluate `near` where `small` holds and `far` elsewhere, each only on its own points."""
    x = np.asarray(x, dtype=np.float64)
    mask = np.broadcast_to(small, x.shape)
    with np.errstate(all="ignore"):
        if mask.all():
            return near(x)
        if not mask.any():
            return far(x)
        out = np.empty(x.shape)
        out[mask] = near(x[mask])
        out[~mask] = far(x[~mask])
    return out


# ------------------------------------------------------------------ exponentials and logarithms


def one_minus_exp(z: Any) -> _Array:
    """Return 1 - exp(-z) with full relative accuracy."""
    return -np.expm1(-np.asarray(z, dtype=np.float64))


_PHI_TERMS = 18
_PHI_SERIES = {
    k: [(-1.0) ** j / math.factorial(j + k) for j in range(_PHI_TERMS)] for k in range(1, 6)
}


def phi(k: Any, z: Any) -> _Array:
    """Return phi_k(z), the k-th remainder of exp(-z) scaled to 1/k! at z = 0.

    Parameters
    ----------
    k : int
        Order, 0 to 5.
    z : array_like
        Nonnegative argument.
    """
    order = int(k)
    z = np.asarray(z, dtype=np.float64)
    if order == 0:
        return np.asarray(np.exp(-z))

    def far(x: _Array) -> _Array:
        # phi_{k+1} = (1/k! - phi_k)/x. Each step loses one digit at x = 1 and none for large x.
        value = -np.expm1(-x) / x
        for step in range(1, order):
            value = (1.0 / math.factorial(step) - value) / x
        return np.where(np.isinf(x), 0.0, value)

    # The higher the order, the more digits the recursion loses: switch later.
    return _split(
        z, z < (0.8 if order <= 2 else 1.6), lambda x: _horner(_PHI_SERIES[order], x), far
    )


_LOG_SERIES = [(-1.0) ** j / (j + 2) for j in range(26)]


def log_excess(x: Any) -> _Array:
    """Return x - log(1 + x) for x > -1, without the cancellation near 0."""
    x = np.asarray(x, dtype=np.float64)
    return _split(
        x, np.abs(x) < 0.25, lambda y: y * y * _horner(_LOG_SERIES, y), lambda y: y - np.log1p(y)
    )


def log_excess_ratio(x: Any) -> _Array:
    """Return (x - log(1 + x))/x^2, which is 1/2 at 0."""
    x = np.asarray(x, dtype=np.float64)
    return _split(
        x, np.abs(x) < 0.25, lambda y: _horner(_LOG_SERIES, y), lambda y: (y - np.log1p(y)) / y**2
    )


def log_ratio(x: Any) -> _Array:
    """Return log(1 + x)/x, which is 1 at 0."""
    x = np.asarray(x, dtype=np.float64)
    return _split(x, x == 0, np.ones_like, lambda y: np.log1p(y) / y)


def dilog(z: Any) -> _Array:
    """Return -Li2(-z) = int_0^z log(1+t)/t dt for z >= 0."""
    z = np.asarray(z, dtype=np.float64)
    # spence(1+z) rounds its argument: near 0 the series keeps the digits.
    series = [(-1.0) ** j / (j + 1) ** 2 for j in range(16)]
    return _split(z, z < 0.1, lambda x: x * _horner(series, x), lambda x: -sc.spence(1.0 + x))


# ------------------------------------------------------------------------ entire integrals


_EIN_SERIES = [(-1.0) ** j / ((j + 1) * math.factorial(j + 1)) for j in range(24)]
_EIN2_SERIES = [(-1.0) ** j / ((j + 1) ** 2 * math.factorial(j + 1)) for j in range(24)]


def ein(z: Any) -> _Array:
    """Return Ein(z) = int_0^z (1 - exp(-t))/t dt for z >= 0."""
    z = np.asarray(z, dtype=np.float64)
    return _split(
        z,
        z < 1.5,
        lambda x: x * _horner(_EIN_SERIES, x),
        lambda x: np.log(x) + _EULER + sc.exp1(x),
    )


def ein2_tail(x: _Array) -> _Array:
    """Return int_x^inf E1(t)/t dt by Gauss-Legendre over log t, for x >= 1.5."""
    nodes, weights = np.polynomial.legendre.leggauss(32)
    # E1 falls like exp(-t): beyond x + 42 nothing is left.
    top = np.log1p(42.0 / x)
    s = 0.5 * top[..., None] * (nodes + 1.0)
    return np.asarray(0.5 * top * (sc.exp1(x[..., None] * np.exp(s)) @ weights))


def ein2(z: Any) -> _Array:
    """Return Ein2(z) = int_0^z Ein(t)/t dt for z >= 0."""
    z = np.asarray(z, dtype=np.float64)

    def far(x: _Array) -> _Array:
        flat = x.ravel()
        whole = 0.5 * (np.log(flat) + _EULER) ** 2 + math.pi**2 / 12
        # int_0^x Ein(t)/t dt = (ln x + gamma)^2/2 + pi^2/12 - int_x^inf E1(t)/t dt
        finite = flat < 60
        whole[finite] -= ein2_tail(flat[finite])
        return whole.reshape(x.shape)

    return _split(z, z < 1.5, lambda x: x * _horner(_EIN2_SERIES, x), far)


_ZETA = [float(sc.zeta(j + 2)) * (-1.0) ** j for j in range(26)]


def harmonic(n: Any) -> _Array:
    """Return the harmonic number H_n, also for real n >= 0."""
    n = np.asarray(n, dtype=np.float64)
    return _split(
        n, n < 0.25, lambda x: x * _horner(_ZETA, x), lambda x: sc.digamma(x + 1.0) + _EULER
    )


def poisson_tail(k: Any, a: Any) -> _Array:
    """Return P(N >= k) of a Poisson N with mean a; 1 for k <= 0."""
    k, a = np.broadcast_arrays(np.asarray(k, dtype=np.float64), np.asarray(a, dtype=np.float64))
    tail = np.asarray(sc.gammainc(np.maximum(k, 1.0), a))
    return np.where((k <= 0) & ~np.isnan(a), 1.0, tail)


def binomial_tail(j: Any, n: Any, s: Any) -> _Array:
    """Return P(X >= j) of a binomial X of n trials with probability s; 1 for j <= 0, real n and j."""
    j, n, s = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (j, n, s)))
    inside = (j > 0) & (j <= n)
    tail = sc.betainc(np.where(inside, j, 1.0), np.where(inside, n - j + 1.0, 1.0), s)
    outside = np.where(j > n, 0.0, 1.0)
    known = ~(np.isnan(j) | np.isnan(n) | np.isnan(s))
    return np.where(known, np.where(inside, tail, np.where(j <= 0, 1.0, outside)), np.nan)


# ------------------------------------------------------- Erlang's loss and the machine repairman


def _line_sums(n: _Array, r: _Array) -> tuple[_Array, _Array, _Array]:
    """Return P(line idle), mean and variance of the number at the line, for r >= n.

    The weights n!/(n-k)! r^-k fall like exp(-k^2/2n), so nine standard deviations are enough.
    """
    top = int(min(np.max(n, initial=1.0), 9.5 * math.sqrt(np.max(n, initial=1.0)) + 12)) + 1
    idle, mean, var = (np.empty(n.shape) for _ in range(3))
    k = np.arange(1, top + 1, dtype=np.float64)
    chunk = max(1, 1_000_000 // top)
    for start in range(0, n.size, chunk):
        part = slice(start, start + chunk)
        nn, rr = n[part, None], r[part, None]
        w = np.cumprod(np.maximum(nn - k + 1.0, 0.0) / rr, axis=1)
        total = 1.0 + w.sum(axis=1)
        first = (w @ k) / total
        idle[part] = 1.0 / total
        mean[part] = first
        # About the mean, so that nothing cancels.
        centred = (k - first[:, None]) ** 2
        var[part] = ((w * centred).sum(axis=1) + first**2) / total
    return idle, mean, var


def _erlang_below(n: _Array, r: _Array) -> _Array:
    """Return Erlang's B for r < n, where the Poisson distribution function does not underflow."""
    return np.asarray(np.exp(sc.xlogy(n, r) - r - sc.gammaln(n + 1.0)) / sc.gammaincc(n + 1.0, r))


def _line(n: Any, r: Any, which: str) -> _Array:
    n, r = np.broadcast_arrays(np.asarray(n, dtype=np.float64), np.asarray(r, dtype=np.float64))
    shape = n.shape
    n, r = n.ravel(), r.ravel()
    out = np.full(n.shape, np.nan)
    known = ~(np.isnan(n) | np.isnan(r))
    low = known & (r < n)
    high = known & (r >= n)
    with np.errstate(all="ignore"):
        if low.any():
            nn, rr = n[low], r[low]
            b = _erlang_below(nn, rr)
            queue = nn - rr * (1.0 - b)
            out[low] = {
                "b": b,
                "served": 1.0 - b,
                "mean": queue,
                "variance": rr * (1.0 - b) - rr * b * queue,
            }[which]
        if high.any():
            nn, rr = n[high], r[high]
            b, queue, variance = _line_sums(nn, rr)
            out[high] = {
                "b": b,
                "served": (nn - queue) / rr,
                "mean": queue,
                "variance": variance,
            }[which]
            if which == "served":
                # No thread, or no traffic: a line that serves nobody.
                out[high & (r == 0)] = np.nan
    return out.reshape(shape)


def erlang_b(n: Any, r: Any) -> _Array:
    """Return Erlang's loss probability of n servers at offered load r."""
    return _line(n, r, "b")


def erlang_served(n: Any, r: Any) -> _Array:
    """Return 1 - ErlangB(n, r) with full relative accuracy, also where B is close to 1."""
    return _line(n, r, "served")


def line_queue(n: Any, r: Any) -> _Array:
    """Return the mean number at the single server of the machine-repairman model."""
    return _line(n, r, "mean")


def line_queue_variance(n: Any, r: Any) -> _Array:
    """Return the variance of the number at the single server of the machine-repairman model."""
    return _line(n, r, "variance")
