r"""Fewer CPUs than threads: who is blocked leaves its CPU to the others.

All threads that are not blocked share the CPUs, so all of them are slowed down by one factor
:math:`\sigma = \max(1, k/C)` of the number *k* that run. A factor common to all moves out of a state
leaves the jump chain as it is and stretches the time in each state: with the unlimited system's
steady state the limited one spends :math:`\sigma` times as long in every state. Hence, exactly,

.. math:: X_C = X_\infty / E\,\sigma, \qquad T_C = E(B\,\sigma)/X_\infty,

for every throughput *X* and for the blocked time *T* of one call, *B* the number blocked, both
expectations over the time of the unlimited system. Where even the blocked leave more threads running
than there are CPUs, :math:`\sigma` is linear and the mean of *B* is all that is needed.

In between, each thread is taken to be blocked independently of the others at each moment of the mean
window: threads fault at rate :math:`\nu` while the caller drains the readers, one of whom at least
runs, and holds the lock for writing, and those that sleep leave their CPU for one wake-up more. The
number that run is then binomial, and :math:`E\,\sigma` closed; where a blocked thread looks at it, the
others are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from perfmodel.equations.equation import FloatArray, declare, together
from perfmodel.equations.special import BinomialTail
from perfmodel.equations.symbols import symbol

__all__ = ["STATED_ERROR", "Slowdown", "slowdown"]

_n, _c, _s = symbol("threads"), symbol("cpus"), symbol("running_share")
_room = _c - symbol("calling")

SLOWNESS = declare(
    "slowness", r"E\,\sigma", "1", "by how much all running threads are slowed down, on average",
    1 + (_n * _s * BinomialTail(_room, _n - 1, _s) - _room * BinomialTail(_room + 1, _n, _s)) / _c,
    source="processor sharing; excess of a binomial number over the CPUs",
    assumptions=("a thread that is not blocked runs, or waits for a CPU",
                 "threads are blocked independently"),
)  # fmt: skip

STATED_ERROR = (
    "fewer CPUs than threads, against the chain with exponential holds: throughput 0.01 % median, 0.6 % in"
    " nineteen of twenty cases, 2 % at worst; blocked time of a call 0.5 %, 10 % and 41 %, and up to 78 %"
    " too long on one CPU with an exclusive part a thirtieth of a fault's; a woken thread is taken to find a"
    " CPU"
)

#: Rounds of the scaling at most.
_SCALINGS = 200

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
        # Two pieces: while the caller waits one thread at least reads, and takes its place.
        moments = np.concatenate([wait * _NODES, wait + hold * _NODES], axis=-1)
        weights = np.concatenate([wait * _WEIGHTS, hold * _WEIGHTS], axis=-1)
        ones = np.ones(_NODES.size)
        others = np.maximum(n - np.concatenate([ones, 0 * ones]), 0.0)
        hit = -np.expm1(-think * moments)
        # Scaled to the blocked time, as where the slowdown is linear that alone decides. A share ends
        # at one; what that cuts off the others make up for.
        for _ in range(_SCALINGS):
            area = (others * hit * weights).sum(axis=-1, keepdims=True)
            scale = np.where(area > 0, time / area, 0.0)
            hit = np.clip(scale * hit, 0.0, 1.0)
            if not np.any(np.abs(scale - 1.0) > 1e-12):
                break
        seen = {"running_share": 1.0 - hit, "calling": 1.0, "cpus": c}
        slow = SLOWNESS(threads=others, **seen)
        rest = np.maximum(whole - window, 0.0)
        sleeping = np.minimum(late, rest)
        awake = np.clip(1.0 - count / np.maximum(n, 1e-300), 0.0, 1.0)
        outside = SLOWNESS(threads=n, running_share=1.0, calling=1.0, cpus=c) * (
            rest - sleeping
        ) + sleeping * SLOWNESS(threads=n, running_share=awake, calling=1.0, cpus=c)
        inside = (slow * weights).sum(axis=-1, keepdims=True)
        stretched = (inside + outside) / (np.minimum(window, whole) + rest)
        # Seen by one that is blocked, the others are blocked independently of it.
        beside = SLOWNESS(threads=np.maximum(others - 1.0, 0.0), **seen)
        blocked_for = (others * hit * beside * weights).sum(axis=-1)
        first = (slow * weights)[..., : _NODES.size].sum(axis=-1)
    return Slowdown(stretched[..., 0], blocked_for, first)
