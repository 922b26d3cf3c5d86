r"""How long a fault holds the lock for reading: minor faults, and some that wait for I/O besides.

A minor hold is exponential of rate :math:`\mu`. A share *p* of the faults holds the lock for an
exponential I/O of mean :math:`\tau` on top of its minor hold, as
:class:`perfmodel.rwlock.lock.Lock` has it. With :math:`\gamma = 1/\tau` the sum of the two outlasts *t*
with probability :math:`e^{-\mu t} + \mu (e^{-\gamma t} - e^{-\mu t})/(\mu - \gamma)`, written here so
that nothing cancels where :math:`\mu` and :math:`\gamma` are close.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sympy import Abs, exp

from perfmodel.equations.equation import FloatArray, declare
from perfmodel.equations.special import Phi
from perfmodel.equations.symbols import symbol

__all__ = ["OUTLASTS", "READS", "REST", "panels", "panels_within", "regular"]

_mu, _p, _tau, _t = symbol("mu"), symbol("io_share"), symbol("io_time"), symbol("window")
_apart = Abs(_mu - 1 / _tau)
_slower = (_mu + 1 / _tau - _apart) / 2

#: Arguments of the law, beside the time.
READS = ("mu", "io_share", "io_time")

OUTLASTS = declare(
    "read_outlasts", "S(t)", "1", "a fault holds the lock for longer than t",
    exp(-_mu * _t) + _p * _mu * _t * exp(-_slower * _t) * Phi(1, _apart * _t),
    source="sum of two exponential times, derivation in perfmodel.equations.reads",
    assumptions=("minor holds and I/O are exponential and independent",), valid="io_time > 0",
)  # fmt: skip

REST = declare(
    "read_rest", r"\int_t^\infty S", "ns", "part of a hold that lies beyond t, on average",
    exp(-_mu * _t) / _mu
    + _p * _tau * (exp(-_mu * _t) + _mu * _t * exp(-_slower * _t) * Phi(1, _apart * _t)),
    source="integral of read_outlasts: that of the sum is one mean's exponential and the other's sum",
    assumptions=OUTLASTS.assumptions, valid="io_time > 0",
)  # fmt: skip

#: Panels over the minor holds, and over the I/O beyond them.
_MINOR, _IO = 44, 44

#: Edges of a long shared part beyond the readers, where only calls still come.
_REST = np.array([0.125, 0.25, 0.5, 0.75, 1.0])

#: Where the tail of an exponential is dropped, in units of its mean.
_FAR = 20.0


def regular(g: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Return the same law of the holds without a time of 0, at which the formula is 0/0."""
    some = (g["io_share"] > 0) & (g["io_time"] > 0)
    none = np.isnan(g["io_share"]) | np.isnan(g["io_time"])
    with np.errstate(divide="ignore"):
        hold = 1.0 / g["mu"]
    return {
        **g,
        "io_share": np.where(some | none, g["io_share"] + 0.0 * g["io_time"], 0.0),
        "io_time": np.where(some | none, g["io_time"], hold),
    }


def panels(g: Mapping[str, FloatArray], fast: FloatArray) -> FloatArray:
    """Return edges from 0 to where nothing is left of the holds of many faults, on a last axis.

    Logarithmic below a minor hold and even above; then, if any fault waits for I/O, the same again
    with the I/O's mean.

    Parameters
    ----------
    g : mapping of str to ndarray of shape (points,)
        `lambda_r`, `lambda_w` and the law of the holds as :func:`regular` gives it.
    fast : ndarray of shape (points,)
        Rate of the quickest change near 0, per ns.
    """
    rate, hold, io = g["lambda_r"], 1.0 / g["mu"], g["io_time"]
    low = -np.log1p(fast * hold) - 1.5
    high = np.log1p(rate * hold + rate / g["lambda_w"]) + _FAR
    edges = _soft(hold, low, high, _MINOR)
    if not np.any(g["io_share"] > 0):
        return edges
    long = np.maximum(hold, io)
    low = np.log(hold / long)
    high = np.log1p(g["io_share"] * rate * (long + 1.0 / g["lambda_w"])) + _FAR
    return np.concatenate([edges, edges[:, -1:] + _soft(long, low, high, _IO)[:, 1:]], axis=1)


def panels_within(g: Mapping[str, FloatArray], fast: FloatArray) -> FloatArray:
    """Return edges from 0 to the end of the shared part: those of `panels`, and what lies beyond."""
    end = g["shared"][:, None]
    if not np.any(end > 0):
        return np.zeros((end.shape[0], 2))
    edges = np.minimum(panels(g, fast), end)
    last = edges[:, -1:]
    return np.concatenate([edges, last + (end - last) * _REST], axis=1)


def _soft(scale: FloatArray, low: FloatArray, high: FloatArray, count: int) -> FloatArray:
    """Return scale log(1 + e^s) at even steps of s, less its start."""
    with np.errstate(invalid="ignore"):
        s = low[:, None] + (high - low)[:, None] * np.linspace(0.0, 1.0, count + 1)
        edges = scale[:, None] * np.logaddexp(0.0, s)
    edges[:, 0] = 0.0
    return np.asarray(edges)
