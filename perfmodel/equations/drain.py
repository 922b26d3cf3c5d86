r"""Readers in progress when the writer comes: how long they take to drain, whom that blocks.

Fault holds under the read lock are exponential of rate :math:`\mu`. With *J* readers in progress
the drain is the maximum of *J* such times: mean :math:`H_J/\mu`. If Poisson faults meet a lock
that no writer touched lately, the readers in progress are those of an M/G/infinity queue and
:math:`P(V \leq x) = \exp(-\lambda_r \int_x^\infty P(S > t)\,dt)`.

Among *n* threads each of which holds the lock with probability :math:`q_s`, the readers form a
binomial batch, and every sum over its size has a closed generating function. With
:math:`u = e^{-\mu x}` and the *m*-th thread to leave having *m* readers still ahead of the drain's
end, :math:`C(x) = n(1-q_s)(1-q_s u)^{n-1} + (1-(1-q_s u)^n)/u` is the expected number of threads,
thinking or just leaving, that see the drain end within *x*. So no sum over readers is left, and
the cost does not grow with *n*.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special as sc

from perfmodel.equations.equation import FloatArray, declare, together
from perfmodel.equations.reads import READS, REST, regular
from perfmodel.equations.special import (
    Ein,
    Ein2,
    Harmonic,
    LogExcessRatio,
    LogRatio,
    Phi,
    harmonic,
    log_excess,
    phi,
)
from perfmodel.equations.symbols import symbol
from perfmodel.errors import InputError

__all__ = [
    "DrainBlocking",
    "Meeting",
    "Moments",
    "blocked_given_readers",
    "blocked_while_draining",
    "drain_open",
    "drain_open_two_class",
    "drain_threads",
]

_SOURCE = "derivation in perfmodel.equations.drain"
_EXPONENTIAL = ("holds of the read lock are exponential",)
_NODES = 192

_lam, _mu, _n = symbol("lambda_r"), symbol("mu"), symbol("threads")
_p, _tau = symbol("io_share"), symbol("io_time")

DRAIN_GIVEN = declare(
    "drain_given_readers", "E\\,G_n", "ns", "mean time until n readers in progress are done",
    Harmonic(_n) / _mu, source=_SOURCE, assumptions=_EXPONENTIAL,
)  # fmt: skip
DRAIN_OPEN = declare(
    "drain_open", "E\\,V_0", "ns", "mean time until the readers are done, Poisson faults",
    Ein(_lam / _mu) / _mu, source="maximum residual service of M/M/infinity",
    assumptions=(*_EXPONENTIAL, "no writer came lately"),
)  # fmt: skip
DRAIN_OPEN_2 = declare(
    "drain_open_2", "E\\,V_0^2", "ns^2", "second moment of the drain, Poisson faults",
    2 * Ein2(_lam / _mu) / _mu**2, source="maximum residual service of M/M/infinity",
    assumptions=(*_EXPONENTIAL, "no writer came lately"),
)  # fmt: skip
_rare = {
    "source": "derivation in perfmodel.equations.drain, first order in the I/O faults",
    "assumptions": (*_EXPONENTIAL, "I/O holds are exponential and much longer than minor ones"),
    "stated_error": "relative error of the I/O term at most lambda_r p tau / 4",
    "valid": "lambda_r p tau < 0.2",
    "within": _lam * _p * _tau < 0.2,
}
DRAIN_IO = declare(
    "drain_io", "E\\,V_0", "ns", "mean drain with rare faults that wait for I/O",
    Ein(_lam * (1 - _p) / _mu) / _mu + _lam * _p * _tau**2, **_rare,
)  # fmt: skip
DRAIN_IO_2 = declare(
    "drain_io_2", "E\\,V_0^2", "ns^2", "second moment of the drain with rare faults with I/O",
    2 * Ein2(_lam * (1 - _p) / _mu) / _mu**2 + 2 * _lam * _p * _tau**3, **_rare,
)  # fmt: skip
#: An exclusive part of k stages, by its transform at the rate of faults.
_z = symbol("nu") * symbol("exclusive") / symbol("hold_stages")
_like = symbol("exclusive") * LogRatio(_z)
_erlang: dict[str, Any] = {
    "source": "Laplace transform of an Erlang time, (1 + nu D/k)^-k",
    "assumptions": ("the exclusive part is Erlang with k stages", "think times are exponential"),
    "valid": "nu > 0",
}
ERLANG_HOLD = declare(
    "erlang_hold", r"\tilde D", "ns", "constant hold that a thinking thread meets as often",
    _like, **_erlang,
)  # fmt: skip
ERLANG_TIME = declare(
    "erlang_blocked_time", r"E\,g(D)", "ns", "mean blocked time of one thinking thread",
    symbol("nu") * (symbol("exclusive") ** 2 / symbol("hold_stages") * LogExcessRatio(_z)
                    + _like**2 * Phi(2, symbol("nu") * _like)), **_erlang,
)  # fmt: skip


@dataclass(frozen=True)
class Moments:
    """Mean and second moment of a time, ns and ns^2."""

    mean: FloatArray
    second: FloatArray

    @property
    def variance(self) -> FloatArray:
        """Variance, ns^2."""
        return np.asarray(self.second - self.mean**2)


@dataclass(frozen=True)
class DrainBlocking:
    """Faults blocked by one call that must drain readers first.

    Attributes
    ----------
    time : ndarray
        Mean total blocked time per call, ns.
    blocked : ndarray
        Mean number of faults that are blocked as the exclusive part ends.
    """

    time: FloatArray
    blocked: FloatArray


def drain_open(lambda_r: Any, mu: Any) -> Moments:
    """Return the drain of Poisson faults with exponential holds.

    Parameters
    ----------
    lambda_r, mu : array_like
        Faults and ends of one hold, per ns.

    Raises
    ------
    InputError
        If an argument is out of its domain or the shapes do not broadcast.
    """
    return Moments(DRAIN_OPEN(lambda_r=lambda_r, mu=mu), DRAIN_OPEN_2(lambda_r=lambda_r, mu=mu))


def _nodes(
    scale: FloatArray, fast: FloatArray, slow: FloatArray, count: int = _NODES
) -> tuple[FloatArray, FloatArray]:
    """Return points x > 0 and weights of an integral over (0, inf), on a new last axis.

    The substitution x = scale log(1 + e^s) is logarithmic below the scale and linear above, as the
    maximum of many exponentials is; the trapezoid rule in s converges geometrically. `fast` is the
    rate of the quickest feature times the scale, `slow` the log of the number of readers.
    """
    low = -26.0 - np.log(np.maximum(fast, 1.0))
    high = 34.0 + slow
    s = low[..., None] + (high - low)[..., None] * np.linspace(0.0, 1.0, count)
    step = (high - low) / (count - 1)
    x = scale[..., None] * np.logaddexp(0.0, s)
    return x, scale[..., None] * sc.expit(s) * step[..., None]


def drain_open_two_class(lambda_r: Any, mu: Any, io_share: Any, io_time: Any) -> Moments:
    """Return the drain of Poisson faults, some of which wait for I/O under the lock.

    Parameters
    ----------
    lambda_r, mu : array_like
        Faults, and ends of one minor hold, per ns.
    io_share : array_like
        Share of the faults that wait for I/O.
    io_time : array_like
        Mean time of that I/O, ns, exponential; it comes on top of the minor hold.

    Returns
    -------
    Moments
        By quadrature, relative error below 1e-8.

    Raises
    ------
    InputError
        If an argument is out of its domain or the shapes do not broadcast.
    """
    g = regular(together(lambda_r=lambda_r, mu=mu, io_share=io_share, io_time=io_time))
    lam, hold, p, tau = g["lambda_r"], 1.0 / g["mu"], g["io_share"], g["io_time"]
    with np.errstate(all="ignore"):
        short, long = np.minimum(hold, tau), np.where(p > 0, np.maximum(hold, tau), hold)
        # Linear beyond the longer of the two, logarithmic over all scales below.
        x, w = _nodes(long, long / short, np.log1p(lam * long), 2 * _NODES)
        rest = REST(window=x, **{k: g[k][..., None] for k in READS})
        left = -np.expm1(-lam[..., None] * rest)
        return Moments((left * w).sum(-1), 2 * (left * x * w).sum(-1))


def drain_threads(threads: Any, mu: Any, in_service: Any) -> Moments:
    """Return the drain when each of n threads holds the read lock with one probability.

    Parameters
    ----------
    threads : array_like
        Threads n.
    mu : array_like
        Ends of one hold, per ns.
    in_service : array_like
        Probability that a thread holds the lock as the writer comes.

    Returns
    -------
    Moments
        By quadrature, relative error below 1e-9.

    Raises
    ------
    InputError
        If an argument is out of its domain or the shapes do not broadcast.
    """
    g = together(threads=threads, mu=mu, in_service=in_service)
    n, rate, q = g["threads"], g["mu"], g["in_service"]
    with np.errstate(all="ignore"):
        x, w = _nodes(1.0 / rate, np.ones_like(rate), np.log1p(n))
        u = np.exp(-rate[..., None] * x)
        return _longest(n, q, u, w, 2 * x * w)


def _longest(
    n: FloatArray, q: FloatArray, u: FloatArray, lasts: FloatArray, lasts_2: FloatArray
) -> Moments:
    """Integrate the chance that the longest of a binomial number of holds, u = exp(-mu x), is not over."""
    left = -np.expm1(sc.xlog1py(n[..., None], -q[..., None] * u))
    return Moments((left * lasts).sum(-1), (left * lasts_2).sum(-1))


def still_draining(n: FloatArray, q: FloatArray, u: FloatArray) -> FloatArray:
    """Return n - C, the expected threads whose drain lasts longer than x, u = exp(-mu x).

    All terms are written so that no digits are lost for small q or u.
    """
    p = q * u  # that a thread reads and has not left by then
    with np.errstate(all="ignore"):
        others = np.expm1((n - 1) * np.log1p(-p))  # (1-p)^(n-1) - 1
        # n p - 1 + (1-p)^n is divided by u: by the binomial series where its terms cancel.
        series = n * (n - 1) / 2 * p * p * (1 - (n - 2) / 3 * p * (
            1 - (n - 3) / 4 * p * (1 - (n - 4) / 5 * p * (
                1 - (n - 5) / 6 * p * (1 - (n - 6) / 7 * p)))))  # fmt: skip
        # Of the readers who have gone by then, and of the threads that were thinking.
        total = np.where(
            u > 0, np.where(n * p < 0.01, series, n * p + others - p * (1 + others)) / u, 0.0
        ) - n * (1 - q) * others  # fmt: skip
    # One thread leaves nobody behind; only rounding is left of its terms.
    return np.asarray(np.where(n > 1, np.maximum(total, 0.0), np.where(np.isnan(n), np.nan, 0.0)))


def blocked_while_draining(
    threads: Any, nu: Any, mu: Any, in_service: Any, exclusive: Any
) -> DrainBlocking:
    """Return whom one call blocks among n threads of which a binomial number are readers.

    Parameters
    ----------
    threads : array_like
        Faulting threads n.
    nu, mu : array_like
        Rates of thinking and of holding, per ns.
    in_service : array_like
        Probability that a thread holds the read lock as the writer comes.
    exclusive : array_like
        Exclusive hold after the drain, ns, a constant.

    Returns
    -------
    DrainBlocking
        Exact for independent threads, by quadrature with relative error below 1e-8.

    Raises
    ------
    InputError
        If an argument is out of its domain or the shapes do not broadcast.
    """
    g = together(threads=threads, nu=nu, mu=mu, in_service=in_service, exclusive=exclusive)
    n, think, rate, q, hold = (
        g["threads"], g["nu"], g["mu"], g["in_service"], g["exclusive"]
    )  # fmt: skip
    return Meeting(n, think, rate, hold).blocks(q)


def _drain_blocking(
    n: FloatArray,
    nu: FloatArray,
    hold: FloatArray,
    y: FloatArray,
    rest: FloatArray,
    stages: int | None = None,
) -> DrainBlocking:
    """Integrate: `rest` holds weights times the threads still draining at y."""
    rate = nu[..., None]
    if stages is None:
        own = n * nu * hold**2 * phi(2, nu * hold)
    else:
        own = n * ERLANG_TIME(nu=nu, exclusive=hold, hold_stages=stages)
        # From here on only E exp(-nu X) counts, and a constant has it too.
        hold = ERLANG_HOLD(nu=nu, exclusive=hold, hold_stages=stages)
    z = rate * (hold[..., None] + y)
    time = own - (np.expm1(-z) * rest).sum(-1)
    blocked = -n * np.expm1(-nu * hold) + (rate * np.exp(-z) * rest).sum(-1)
    return DrainBlocking(time, blocked)


class Meeting:
    """A call that drains readers and blocks faults among n threads, whatever share of them reads.

    What does not depend on that share, the nodes and the weights of the integrals, is computed once:
    a fixed point asks for a dozen shares.

    Parameters
    ----------
    threads, nu, mu, exclusive : ndarray
        As in :func:`blocked_while_draining`, of one shape.
    """

    def __init__(
        self, threads: FloatArray, nu: FloatArray, mu: FloatArray, exclusive: FloatArray
    ) -> None:
        with np.errstate(all="ignore"):
            y, w = _nodes(1.0 / mu, nu / mu, np.log1p(threads))
            z = nu[..., None] * (exclusive[..., None] + y)
            self.threads = threads
            self._u = np.exp(-mu[..., None] * y)
            self._lasts, self._lasts_2 = w, 2 * y * w
            self._waits, self._hits = -np.expm1(-z) * w, nu[..., None] * np.exp(-z) * w
            self._time = threads * nu * exclusive**2 * phi(2, nu * exclusive)
            self._blocked = -threads * np.expm1(-nu * exclusive)

    def _left(self, in_service: FloatArray) -> FloatArray:
        return still_draining(self.threads[..., None], in_service[..., None], self._u)

    def blocked(self, in_service: FloatArray) -> FloatArray:
        """Return how many faults the call blocks: all that a fixed point asks for in its rounds."""
        return np.asarray(self._blocked + (self._hits * self._left(in_service)).sum(-1))

    def blocks(self, in_service: FloatArray) -> DrainBlocking:
        """Return whom the call blocks, as :func:`blocked_while_draining`."""
        rest = self._left(in_service)
        return DrainBlocking(
            self._time + (self._waits * rest).sum(-1), self._blocked + (self._hits * rest).sum(-1)
        )

    def drain(self, in_service: FloatArray) -> Moments:
        """Return how long the call drains, as :func:`drain_threads`."""
        return _longest(self.threads, in_service, self._u, self._lasts, self._lasts_2)


def blocked_given_readers(
    threads: Any, readers: Any, nu: Any, mu: Any, exclusive: Any
) -> DrainBlocking:
    """Return whom one call blocks when exactly J of n threads hold the read lock.

    Parameters
    ----------
    threads, readers : array_like
        Threads n, and whole number J <= n of them that hold the lock.
    nu, mu, exclusive : array_like
        As in :func:`blocked_while_draining`.

    Returns
    -------
    DrainBlocking
        Exact; a sum over the readers.

    Raises
    ------
    InputError
        If an argument is out of its domain, the readers are no whole number or exceed the threads.
    """
    g = together(threads=threads, nu=nu, mu=mu, exclusive=exclusive)
    j = together(threads=readers)["threads"]
    if np.any((j != np.floor(j)) & ~np.isnan(j)):
        raise InputError("the number of readers is not whole", field="readers")
    n, think, rate, hold, j = np.broadcast_arrays(g["threads"], g["nu"], g["mu"], g["exclusive"], j)
    if np.any(j > n):
        raise InputError("more readers than threads", field="readers", expected="at most threads")
    m = np.arange(0, int(np.nanmax(j, initial=0.0)) + 1, dtype=np.float64)
    with np.errstate(all="ignore"):
        ratio = (think / rate)[..., None] / np.maximum(m, 1.0)
        ratio = np.where(m > 0, ratio, 0.0)
        u = np.cumsum(np.log1p(ratio), axis=-1) + (think * hold)[..., None]
        # nu E(W) - u, W = drain + hold, without cancellation
        excess = np.cumsum(log_excess(ratio), axis=-1)
        mean = harmonic(m) / rate[..., None] + hold[..., None]
        waits = np.where(
            (think > 0)[..., None], (excess + u**2 * phi(2, u)) / think[..., None], 0.0 * mean
        )
        hits = -np.expm1(-u)
    weight = np.where(m < j[..., None], 1.0, 0.0) + np.where(
        m == j[..., None], (n - j)[..., None], 0.0
    )
    lost = np.isnan(j)
    return DrainBlocking(
        np.where(lost, np.nan, (weight * waits).sum(-1)),
        np.where(lost, np.nan, (weight * hits).sum(-1)),
    )
