r"""How long a blocked fault waits, as a quantile: compiled, for one number at a time.

It is :func:`perfmodel.equations.blocked_time.blocked_quantile` for Poisson faults. Where the wait *A* is
a gamma variable of shape *k*, the question is where :math:`E(A - c)^+` is a given part *r* of
:math:`E A`; in units of the scale that depends on *k* and *r* alone, so a small table knows the answer
to about a percent, and a step of fourth order does the rest. Importing this module needs numba.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import gammaincc

from perfmodel.sweeping.compiled_functions import compiled, gamma_tail

__all__ = ["blocked_quantile", "wait_quantile"]

#: A last step, relative to the quantile and to the spread: what is wrong after it is about its fourth
#: power.
_LAST_STEP = 5e-3

#: The table's grid: log(1 + k) from 0, and log(r sqrt(1 + k)), in which a long queue is a normal law.
_SHAPE_STEP, _SHAPES = 0.25, 37
_PART_LEAST, _PART_STEP, _PARTS = -14.0, 0.3, 64


def _started() -> Any:
    """Return (z - k (1 - r)) / sqrt(1 + k) over the grid, z the quantile of scale 1; by bisection."""
    spread = np.exp(0.5 * _SHAPE_STEP * np.arange(_SHAPES))[:, None]
    k = np.maximum(spread**2 - 1.0, 1e-3)
    part = np.exp(_PART_LEAST + _PART_STEP * np.arange(_PARTS)) / spread
    low, high = np.zeros(part.shape), k + 40.0 * (1.0 + spread)
    for _ in range(40):
        z = 0.5 * (low + high)
        above = gammaincc(k + 1.0, z) - z / k * gammaincc(k, z) > part
        low, high = np.where(above, z, low), np.where(above, high, z)
    # The caller asks for parts below one only.
    return np.where(part < 1.0, np.maximum(low - k * (1.0 - part), 0.0) / spread, 0.0)


_START = _started()


@compiled
def _start(k: float, log_part: float) -> Any:
    """Return the table's number, between its four neighbours."""
    shape = math.log(k + 1.0)
    at = min(shape / _SHAPE_STEP, _SHAPES - 1.001)
    to = min(max((log_part + 0.5 * shape - _PART_LEAST) / _PART_STEP, 0.0), _PARTS - 1.001)
    i, j = int(at), int(to)
    u, v = at - i, to - j
    low = _START[i, j] + v * (_START[i, j + 1] - _START[i, j])
    high = _START[i + 1, j] + v * (_START[i + 1, j + 1] - _START[i + 1, j])
    return low + u * (high - low)


@compiled
def _beyond(k: float, part: float) -> Any:
    """Return z at which E(A - z)+ is a part of E A, for a gamma A of shape k and scale 1."""
    log_part, log_gamma, spread = math.log(part), math.lgamma(k + 1.0), math.sqrt(k + 1.0)
    z = k * (1.0 - part) + spread * _start(k, log_part)
    for _ in range(60):
        front = math.exp(k * math.log(z) - z - log_gamma) if z > 0.0 else 0.0
        tail = gamma_tail(k, z, front)
        rest = tail + front - z / k * tail
        if not (rest > 0.0 and z > 0.0):
            break
        # The logarithm of what is left falls about as a straight line; its derivatives are at hand.
        one = -tail / (k * rest)
        density = front / (z * rest)
        two = density - one * one
        three = density * ((k - 1.0) / z - 1.0) - one * (3.0 * two + one * one)
        newton = (log_part - math.log(rest)) / one
        bent, more = -newton * two / one, newton * newton * three / one
        over, under = 1.0 - 0.5 * bent, 1.0 - bent + more / 6.0
        step = newton * over / under if over > 0.3 and under > 0.3 else newton
        step = max(step, -0.5 * z)
        z += step
        if abs(step) <= _LAST_STEP * min(z, spread):
            break
    return z


@compiled
def blocked_quantile(level: float, x: float, a: float, theta: float, alone: bool) -> Any:
    """Return the quantile of the time that a blocked fault waits for the lock, ns.

    Parameters
    ----------
    level : float
    x, a : float
        The exclusive part, and the caller's mean wait before it, ns.
    theta : float
        Variance over mean of that wait, ns; 0 for a constant one.
    alone : bool
        Whether the wait is for readers in progress alone: see `blocked_survival`.
    """
    left = (1.0 - level) * (x + a)
    # What is left of the window beyond b falls by one with b as long as the caller surely holds.
    if theta == 0.0 or left >= a:
        return x + a - left
    if alone and theta > a:
        return x - 0.5 * (a + theta) * math.log(left / a)
    return x + theta * _beyond(a / theta, left / a)


@compiled
def wait_quantile(
    level: float, share: float, x: float, wait: float, theta: float, alone: bool,
    wake_time: float, blocked: float,
) -> Any:  # fmt: skip
    """Return the quantile of the wait of all faults, of whom a share is blocked, ns."""
    if not 1.0 - level < share:
        return 0.0
    if not wait + x > 0.0:
        return math.nan
    inner = 1.0 - (1.0 - level) / share
    out = blocked_quantile(min(inner, 1.0 - 1e-12), x, wait, theta, alone)
    return out + wake_time / blocked if out > 0.0 else out
