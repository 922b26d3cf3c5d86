r"""Fewer CPUs than threads: who is blocked leaves its CPU to the others.

All threads that are not blocked share the CPUs, so all of them are slowed down by one factor
:math:`\sigma = \max(1, k/C)` of the number *k* that run. A factor common to all moves out of a state
leaves the jump chain as it is and stretches the time in each state: with the unlimited system's
steady state the limited one spends :math:`\sigma` times as long in every state. Hence, exactly,

.. math:: X_C = X_\infty / E\,\sigma, \qquad T_C = E(B\,\sigma)/X_\infty,

for every throughput *X* and for the blocked time *T* of one call, *B* the number blocked, both
expectations over the time of the unlimited system. Where even the blocked leave more threads running
than there are CPUs, :math:`\sigma` is linear and the mean of *B* is all that is needed.

In between, the number blocked within one call is taken as its mean at each moment of the mean window,
and as one more than the mean of the others where a blocked thread looks at it: threads fault at rate
:math:`\nu` while the caller drains the readers and holds the lock for writing, and those that sleep
leave their CPU for one wake-up more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sympy import Max

from perfmodel.equations.equation import FloatArray, declare, together
from perfmodel.equations.symbols import symbol

__all__ = ["STATED_ERROR", "Slowdown", "slowdown"]

_k, _c, _one = symbol("running"), symbol("cpus"), 1

SLOWNESS = declare(
    "slowness", r"\sigma", "1", "by how much all running threads are slowed down",
    Max(_one, _k / _c), source="processor sharing: all that run get the same share",
    assumptions=("a thread that is not blocked runs, or waits for a CPU",),
)  # fmt: skip

STATED_ERROR = (
    "fewer CPUs than threads, against the chain: throughput 0.02 % median, 0.7 % in nineteen of twenty"
    " cases, 3 % at worst; mean wait 0.5 %, 5 % and 21 %; a woken thread is taken to find a CPU"
)

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)
_NODES, _WEIGHTS = 0.5 * (_NODES + 1.0), 0.5 * _WEIGHTS


@dataclass(frozen=True)
class Slowdown:
    """How a limit of CPUs stretches one cycle; every array has the broadcast shape.

    Attributes
    ----------
    cycle : ndarray
        Mean time of a cycle over that of the unlimited system: every throughput is divided by it.
    blocked_time : ndarray, ns
        Total blocked time of the faults that one call blocks.
    acquire : ndarray, ns
        Mean wait of the caller for the lock.
    """

    cycle: FloatArray
    blocked_time: FloatArray
    acquire: FloatArray


def slowdown(
    threads: Any,
    cpus: Any,
    nu: Any,
    cycle: Any,
    acquire: Any,
    exclusive: Any,
    blocked: Any,
    blocked_time: Any,
    asleep: Any = 0.0,
) -> Slowdown:
    """Stretch the cycle of the unlimited closed system of n faulting threads and one caller.

    Parameters
    ----------
    threads : array_like
        Faulting threads n; the caller comes on top.
    cpus : array_like
        CPUs that all of them share.
    nu : array_like
        Rate of thinking of one thread, per ns.
    cycle, acquire, exclusive : array_like
        Mean time between two calls, of the caller's wait, and its exclusive hold, ns.
    blocked, blocked_time : array_like
        Faults that one call blocks, and their total blocked time, ns.
    asleep : array_like
        How long a woken thread is still on its way, ns.

    Raises
    ------
    InputError
        If an argument is out of its domain or the shapes do not broadcast.
    """
    g = together(
        threads=threads, cpus=cpus, nu=nu, cycle=cycle, acquire=acquire, exclusive=exclusive,
        woken=blocked, blocked_time=blocked_time, wake_latency=asleep,
    )  # fmt: skip
    n, c, think, whole, wait, hold, count, time, late = (v[..., None] for v in g.values())
    with np.errstate(all="ignore"):
        window = wait + hold
        # Two pieces, as the caller itself runs in the second.
        moments = np.concatenate([wait * _NODES, wait + hold * _NODES], axis=-1)
        weights = np.concatenate([wait * _WEIGHTS, hold * _WEIGHTS], axis=-1)
        caller = np.concatenate([np.zeros(_NODES.size), np.ones(_NODES.size)])
        shape = -np.expm1(-think * moments)
        area = (shape * weights).sum(axis=-1, keepdims=True)
        # Scaled to the blocked time: where the slowdown is linear that alone decides.
        many = np.minimum(np.where(area > 0, time / area, 0.0) * shape, n)
        slow = SLOWNESS(running=np.maximum(n + caller - many, 0.0), cpus=c)
        rest = np.maximum(whole - window, 0.0)
        sleeping = np.minimum(late, rest)
        outside = SLOWNESS(running=n + 1.0, cpus=c) * (rest - sleeping) + sleeping * SLOWNESS(
            running=np.maximum(n + 1.0 - count, 0.0), cpus=c
        )
        inside = (slow * weights).sum(axis=-1, keepdims=True)
        stretched = (inside + outside) / (np.minimum(window, whole) + rest)
        # Seen by one that is blocked, the others are blocked independently of it.
        beside = SLOWNESS(
            running=np.maximum(n + caller - 1.0 - (n - 1.0) * many / np.maximum(n, 1.0), 0.0),
            cpus=c,
        )
        blocked_for = (many * beside * weights).sum(axis=-1)
        first = (slow * weights)[..., : _NODES.size].sum(axis=-1)
    return Slowdown(stretched[..., 0], blocked_for, first)
