r"""What one faulting thread meets that begins faults while a call runs: how many, and how long.

The call enters the kernel (half of :math:`t_{sys}`), holds the lock exclusively for *D*, shares it for
*R* and leaves. The thread thinks, exponentially, as the call begins. A fault that it begins within *D*
waits for the rest of *D* and for the wake-up *s*, then runs as an undisturbed fault does; there is
one at most. Every other fault of the call is undisturbed: those begun before the lock is taken, while
it is shared, and, where somebody was woken, while the caller still pays for it. Of a thread that was
blocked only what it begins after it is back counts.

The latency of a fault that begins during the call is then a mixture: with the odds of the two numbers
either an undisturbed fault, or an undisturbed fault plus *s* plus the truncated exponential rest of *D*.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sympy import Max, ceiling, exp

from perfmodel.equations.blocked_time import blocked_survival
from perfmodel.equations.blocking import finite_blocking
from perfmodel.equations.equation import FloatArray, declare
from perfmodel.equations.special import OneMinusExp
from perfmodel.equations.symbols import symbol

__all__ = ["BESIDE_RATE", "DURING_FREE", "FaultsDuring", "faults_during"]

_nu, _f, _d, _r = (symbol(n) for n in ("nu", "fault_minor", "exclusive", "shared"))
_sys, _s, _kick, _serial = (
    symbol(n) for n in ("syscall", "wake_latency", "wake_kick", "wake_serial")
)

DURING_FREE = declare(
    "during_free", "n_f", "1", "undisturbed faults that one thread begins during a call",
    _nu / (1 + _nu * _f) * (
        _sys / 2
        + exp(-_nu * _d) * (_r + _sys / 2)
        + OneMinusExp(_nu * _d) * Max(0, _r + _sys / 2 + _kick + _serial - _s - _f)
    ),
    source="derivation in perfmodel.equations.during",
    assumptions=(
        "one faulting thread, which thinks as the call begins",
        "half of entering and leaving the kernel lies before the lock is taken",
        "faults that are not blocked come at the long-run rate of the thread",
    ),
    stated_error="half a fault at most where a stretch is not much longer than a think time",
)  # fmt: skip

_lost, _cycle = symbol("blocked_time") + symbol("wake_time"), symbol("cycle")

BESIDE_RATE = declare(
    "beside_rate", r"X_f", "1/ns", "faults of one thread beside a caller, a ns",
    (1 - _lost / (_cycle * Max(1, ceiling(_lost / _cycle)))) * _nu / (1 + _nu * _f),
    source="derivation in perfmodel.equations.during",
    assumptions=(
        "cycle is the time from one call to the next, blocked_time and wake_time what the thread loses"
        " to one call",
        "fault_minor holds whatever else the thread does for each fault",
        "a thread that is on its way as the next call begins is spared by that call; calls are even",
        "an interrupt that flushes the thread's TLB costs it nothing",
    ),
    stated_error="see perfmodel validate: faults/s",
)  # fmt: skip

#: Bisections of a quantile: to a relative 1e-9 of its bracket.
_STEPS = 30


@dataclass(frozen=True, eq=False)
class FaultsDuring:
    """The law of the latency of a fault that begins while a call runs; arrays over the draws.

    Parameters
    ----------
    blocked, free : ndarray of shape (draws,)
        Faults that a call blocks, and undisturbed ones that begin during it, on average.
    exclusive, wake : ndarray of shape (draws,), ns
        Exclusive part of the call, and the wake-up.
    nu : float, 1/ns
        Think rate of the thread.
    idle, weight : ndarray of shape (m,), ns and 1
        Latencies of undisturbed faults, ascending, and their probabilities.
    """

    blocked: FloatArray
    free: FloatArray
    exclusive: FloatArray
    wake: FloatArray
    nu: float
    idle: FloatArray
    weight: FloatArray

    @property
    def blocked_share(self) -> FloatArray:
        """Probability that a fault begun during the call is blocked; NaN where none begins."""
        with np.errstate(all="ignore"):
            return np.asarray(self.blocked / (self.blocked + self.free))

    @property
    def blocked_time(self) -> FloatArray:
        """Time until the release that the thread is blocked by a call, wake-up apart, ns."""
        return np.asarray(finite_blocking(1, self.nu, self.exclusive).time)

    @property
    def mean(self) -> FloatArray:
        """Mean latency, ns."""
        with np.errstate(all="ignore"):
            each = (self.blocked_time + self.blocked * self.wake) / (self.blocked + self.free)
        return np.asarray(self.idle @ self.weight + each)

    def above(self, latency: Any) -> FloatArray:
        """Return the probability that a fault takes longer than `latency`, ns.

        Parameters
        ----------
        latency : float or ndarray of shape (draws,)
        """
        x = np.broadcast_to(np.asarray(latency, dtype=float), self.blocked.shape)
        # Between two nodes the law rises evenly.
        upto = np.cumsum(self.weight) - 0.5 * self.weight
        undisturbed = 1.0 - np.interp(x, self.idle, upto, left=0.0, right=1.0)
        rest = x[:, None] - self.wake[:, None] - self.idle[None, :]
        d = self.exclusive[:, None]
        # Without an exclusive part nothing is blocked and the law has no rest to speak of.
        survival = blocked_survival(np.maximum(rest, 0.0), np.maximum(d, 1e-9), nu=self.nu)
        delayed = np.where(rest < 0, 1.0, survival) @ self.weight
        share = self.blocked_share
        return np.asarray(share * delayed + (1 - share) * undisturbed)

    def quantile(self, level: Any) -> FloatArray:
        """Return the latency that a share `level` of the faults does not exceed, ns.

        Parameters
        ----------
        level : float or ndarray of shape (draws,)
        """
        p = np.broadcast_to(np.asarray(level, dtype=float), self.blocked.shape)
        low = np.zeros(p.shape)
        high = self.exclusive + self.wake + self.idle.max() + 1.0
        for _ in range(_STEPS):
            middle = 0.5 * (low + high)
            more = self.above(middle) > 1 - p
            low, high = np.where(more, middle, low), np.where(more, high, middle)
        known = np.isfinite(self.blocked_share) & np.isfinite(self.wake)
        return np.where(known, 0.5 * (low + high), np.nan)


def faults_during(
    *, exclusive: Any, shared: Any, think_ns: float, syscall: Any, wake_latency: Any,
    wake_kick: Any, wake_serial: Any, idle: Any, weight: Any = 1.0,
) -> FaultsDuring:  # fmt: skip
    """Return the law of what one thread's faults meet that begin while a call runs.

    Parameters
    ----------
    exclusive, shared, syscall, wake_latency, wake_kick, wake_serial : array_like, ns
        The call and the costs of the machine; they broadcast to the draws.
    think_ns : float
        Mean pause between two faults.
    idle, weight : array_like of shape (m,)
        Law of an undisturbed fault: latencies, ns, and their probabilities (they are normalised).

    Raises
    ------
    InputError
        If an argument is out of its domain.
    """
    values = np.atleast_1d(np.asarray(idle, dtype=float))
    weights = np.broadcast_to(np.asarray(weight, dtype=float), values.shape)
    order = np.argsort(values, kind="stable")
    values, weights = values[order], weights[order] / weights.sum()
    nu = 1.0 / think_ns
    costs = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(v, dtype=float))
          for v in (exclusive, shared, syscall, wake_latency, wake_kick, wake_serial))
    )  # fmt: skip
    d, r, sys, s, kick, serial = costs
    free = DURING_FREE(
        nu=nu, fault_minor=float(values @ weights), exclusive=d, shared=r, syscall=sys,
        wake_latency=s, wake_kick=kick, wake_serial=serial,
    )  # fmt: skip
    blocked = np.asarray(finite_blocking(1, nu, d).blocked)
    return FaultsDuring(blocked, free, d, s, nu, values, weights)
