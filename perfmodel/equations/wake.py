r"""Wake-ups: what blocked faults cost beyond the time they are blocked.

*N* faults are blocked as the window ends. The first *k* spin and go on at once; the others sleep.
The releaser wakes them one by one and pays *w* for each, so the *j*-th sleeper runs
:math:`s + jw` after the release. With *M* sleepers the delays sum to
:math:`sM + wM(M+1)/2` and the releaser pays *wM*; the means over a Poisson or a binomial *N*
follow. Since Linux 5.11 readers do not spin: :math:`k = 0`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from perfmodel.equations.equation import FloatArray, declare, together
from perfmodel.equations.special import OneMinusExp, PoissonTail
from perfmodel.equations.symbols import symbol
from perfmodel.errors import InputError

__all__ = ["Wake", "avoided_sleep", "wake_finite", "wake_open"]

_SOURCE = "derivation in perfmodel.equations.wake"
_SERIAL = ("sleepers are woken one after the other, each at the same cost",
           "a CPU is free for every sleeper")  # fmt: skip

_lam, _n, _nu = symbol("lambda_r"), symbol("threads"), symbol("nu")
_y, _y2, _k = symbol("window"), symbol("window_2"), symbol("spinners")
_s, _w = symbol("wake_latency"), symbol("wake_serial")
_a = _lam * _y

SLEEPERS = declare(
    "sleepers", "m_1", "1", "faults that must be woken after one call, the first k spin",
    _a * PoissonTail(_k, _a) - _k * PoissonTail(_k + 1, _a), source=_SOURCE,
    assumptions=("faults are Poisson", "the window is a constant", *_SERIAL),
)  # fmt: skip
DELAY = declare(
    "wake_delay", r"\Sigma", "ns", "sum of the sleepers' delays, the first k spin",
    _s * (_a * PoissonTail(_k, _a) - _k * PoissonTail(_k + 1, _a))
    + _w / 2 * (_a**2 * PoissonTail(_k - 1, _a) + (2 - 2 * _k) * _a * PoissonTail(_k, _a)
                + _k * (_k - 1) * PoissonTail(_k + 1, _a)),
    source=_SOURCE,
    assumptions=("faults are Poisson", "the window is a constant", *_SERIAL),
)  # fmt: skip
DELAY_ALL = declare(
    "wake_delay_all_sleep", r"\Sigma", "ns", "sum of the sleepers' delays after the release",
    (_s + _w) * _a + _w * _lam**2 * _y2 / 2, source=_SOURCE,
    assumptions=("faults are Poisson", *_SERIAL),
)  # fmt: skip
_hit = OneMinusExp(_nu * _y)
SLEEPERS_FINITE = declare(
    "sleepers_finite", "m_1", "1", "faults that must be woken after one call, n threads",
    _n * _hit, source=_SOURCE, assumptions=("every thread thinks as the window opens", *_SERIAL),
)  # fmt: skip
DELAY_FINITE = declare(
    "wake_delay_finite", r"\Sigma", "ns", "sum of the sleepers' delays, n threads",
    (_s + _w) * _n * _hit + _w * _n * (_n - 1) * _hit**2 / 2, source=_SOURCE,
    assumptions=("every thread thinks as the window opens", *_SERIAL),
)  # fmt: skip
AVOIDED = declare(
    "avoided_sleep", "s_g", "ns", "thread time saved by each fault that need not sleep",
    _s + 2 * _w, source=_SOURCE, assumptions=_SERIAL,
)  # fmt: skip


@dataclass(frozen=True)
class Wake:
    """Wake-ups after one call.

    Attributes
    ----------
    sleepers : ndarray
        Mean number of faults woken.
    delay : ndarray
        Mean sum of their delays after the release, ns.
    releaser : ndarray
        Mean time the releaser spends waking them, ns.
    """

    sleepers: FloatArray
    delay: FloatArray
    releaser: FloatArray


def wake_open(
    lambda_r: Any,
    window: Any,
    wake_latency: Any,
    wake_serial: Any,
    *,
    window_2: Any = None,
    spinners: Any = 0,
) -> Wake:
    """Return the wake-ups of Poisson faults.

    Parameters
    ----------
    lambda_r : array_like
        Faults per ns.
    window : array_like
        Mean blocking window, ns.
    wake_latency, wake_serial : array_like
        From wake-up to running, and the waker's cost for each; ns.
    window_2 : array_like, optional
        Second moment of the window; without it the window is a constant.
    spinners : array_like
        Whole number of blocked faults that spin and do not sleep.

    Raises
    ------
    InputError
        If an argument is out of its domain, or spinners come with a random window.
    """
    g = together(
        lambda_r=lambda_r, window=window, wake_latency=wake_latency, wake_serial=wake_serial,
        spinners=spinners,
    )  # fmt: skip
    if window_2 is not None:
        if np.any(g["spinners"] > 0):
            raise InputError(
                "spinning readers need a window of constant length", field="spinners", expected="0"
            )
        sleepers = g["lambda_r"] * g["window"]
        args = {k: v for k, v in g.items() if k != "spinners"}
        delay = DELAY_ALL(window_2=window_2, **args)
    else:
        sleepers = SLEEPERS(**{k: g[k] for k in ("lambda_r", "window", "spinners")})
        delay = DELAY(**g)
    return Wake(sleepers, delay, g["wake_serial"] * sleepers)


def wake_finite(threads: Any, nu: Any, window: Any, wake_latency: Any, wake_serial: Any) -> Wake:
    """Return the wake-ups of n threads that all think as a constant window opens; all sleep.

    Parameters
    ----------
    threads, nu : array_like
        Faulting threads, and the think rate of each per ns.
    window, wake_latency, wake_serial : array_like
        As in :func:`wake_open`.

    Raises
    ------
    InputError
        If an argument is out of its domain or the shapes do not broadcast.
    """
    g = together(
        threads=threads, nu=nu, window=window, wake_latency=wake_latency, wake_serial=wake_serial
    )
    sleepers = SLEEPERS_FINITE(**{k: g[k] for k in ("threads", "nu", "window")})
    # Fewer than one thread cannot wait for each other; the formula's n (n-1) is about whole n.
    return Wake(sleepers, DELAY_FINITE(**g), g["wake_serial"] * sleepers)


def avoided_sleep(wake_latency: Any, wake_serial: Any) -> FloatArray:
    """Return the thread time saved by each fault that need not sleep, s + 2w, ns.

    Parameters
    ----------
    wake_latency, wake_serial : array_like
        As in :func:`wake_open`.

    Raises
    ------
    InputError
        If an argument is out of its domain.
    """
    return AVOIDED(wake_latency=wake_latency, wake_serial=wake_serial)
