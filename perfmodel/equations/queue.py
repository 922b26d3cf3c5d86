r"""Steady state of an open reader/writer queue: waits of faults and callers, and its capacity.

Faults are Poisson and hold the lock for reading, for exponential times of rate :math:`\mu`; calls
are Poisson, hold it for writing for *D* and then, with a downgrade, for reading for *R*, as one
more reader. Two orders of service are given.

*First come, first served.* Seen as an M/G/1 queue of calls: each needs its exclusive part and
before it the drain of the readers that go first, :math:`E_1` if the call finds exclusive work,
:math:`E_0` if not. :math:`P(E_1 \leq x) = 1_{x \geq R}/(1 + \rho a e^{-\mu x})` with
:math:`a = \lambda_r/\lambda_w`, as the readers between two calls are geometric.

*The kernel's rule.* When readers are let in, all that wait are let in, past waiting calls. In
heavy traffic that makes a gated cycle: all calls that came in one cycle are served in the next,
separated by one drain of the readers that came with each call. In light traffic the orders agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sympy import exp

from perfmodel.equations.drain import Moments, drain_open
from perfmodel.equations.equation import FloatArray, declare, together
from perfmodel.equations.special import Dilog, Ein, Ein2, Log1p
from perfmodel.equations.symbols import symbol
from perfmodel.errors import InputError
from perfmodel.region import Region

__all__ = [
    "Queue",
    "capacity",
    "fifo_queue",
    "gated_queue",
    "light_queue",
    "rwsem_load",
    "rwsem_queue",
]

_SOURCE = "derivation in perfmodel.equations.queue"
_ASSUME = ("faults and calls are Poisson", "faults hold the lock for exponential times",
           "the holds of the call are constant")  # fmt: skip

_lr, _lw, _mu = symbol("lambda_r"), symbol("lambda_w"), symbol("mu")
_d, _r, _rho = symbol("exclusive"), symbol("shared"), symbol("waiting_share")
_x = symbol("window")
_c = symbol("cycle")

CAPACITY = declare(
    "capacity_fifo", "c", "1", "load of the queue, first come first served; below 1 it is stable",
    _lw * (_d + _r + Log1p(_lr / _lw * exp(-_mu * _r)) / _mu),
    source="saturation rule; readers between two calls are geometric", assumptions=_ASSUME,
    valid="lambda_w > 0",
)  # fmt: skip
LOAD_KERNEL = declare(
    "capacity_rwsem", "c", "1", "load of the queue under the kernel's rule; below 1 it is stable",
    _lw * (_d + _r), source=_SOURCE, assumptions=_ASSUME,
)  # fmt: skip

_busy = _rho * _lr / _lw * exp(-_mu * _r)
_idle = _lr * (1 + _rho) / (_mu + _lw)
_left = _idle * exp(-_mu * _r)
_approx: dict[str, Any] = {
    "source": "aggregate of readers as in T. Johnson's analysis of FCFS reader/writer locks",
    "assumptions": _ASSUME,
    "stated_error": "part of fifo_queue, see its error",
}
DRAIN_BUSY = declare(
    "drain_busy", "E\\,E_1", "ns", "drain before a call that finds exclusive work",
    _r + Log1p(_busy) / _mu, **_approx,
)  # fmt: skip
DRAIN_BUSY_2 = declare(
    "drain_busy_2", "E\\,E_1^2", "ns^2", "second moment of that drain",
    _r**2 + 2 * (_r * Log1p(_busy) / _mu + Dilog(_busy) / _mu**2), **_approx,
)  # fmt: skip
#: Drain before a call that finds no exclusive work: within the tail by quadrature, then these.
#: The number of readers in progress is Poisson if calls are rare (Ein) and geometric if they are
#: not (logarithm); mixing by rho halves the larger error of either.
DRAIN_IDLE = declare(
    "drain_idle", "E\\,(E_0-R)^+", "ns", "drain beyond the tail, no exclusive work found",
    ((1 - _rho) * Ein(_left) + _rho * Log1p(_left)) / _mu, **_approx,
)  # fmt: skip
DRAIN_IDLE_2 = declare(
    "drain_idle_2", "E\\,(E_0^2-R^2)^+", "ns^2", "second moment of that drain",
    2 * (_r * ((1 - _rho) * Ein(_left) + _rho * Log1p(_left)) / _mu
         + ((1 - _rho) * Ein2(_left) + _rho * Dilog(_left)) / _mu**2), **_approx,
)  # fmt: skip
DRAIN_IDLE_WITHIN = declare(
    "drain_idle_within", "P(E_0 > x)", "1", "the drain outlasts x, while the last tail lasts",
    1 - exp(-_lw * (_r - _x)) * ((1 - _rho) * exp(-_idle * exp(-_mu * _x))
                                 + _rho / (1 + _idle * exp(-_mu * _x))), **_approx,
)  # fmt: skip
GATED_DRAIN = declare(
    "gated_drain", "V", "ns", "drain between two batches of calls",
    Ein(_lr * _c * exp(-_mu * _r)) / _mu, source=_SOURCE, assumptions=_ASSUME,
    stated_error="reader wait 4 % at worst", valid="lambda_w C > 4",
    within=_lw * _c > 4,
)  # fmt: skip
GATED_DRAIN_2 = declare(
    "gated_drain_2", r"\overline{V^2}", "ns^2", "second moment of that drain",
    2 * Ein2(_lr * _c * exp(-_mu * _r)) / _mu**2, source=_SOURCE, assumptions=_ASSUME,
)  # fmt: skip
LIGHT_READER = declare(
    "light_reader_wait", "W_r", "ns", "mean wait of a fault when calls are rare",
    _lw * (2 * Ein2(_lr / _mu) / _mu**2 + 2 * _d * Ein(_lr / _mu) / _mu + _d**2) / 2,
    source="blocked time of one call, times the rate of calls", assumptions=_ASSUME,
    stated_error="1 % at load 0.01, 3 % at 0.03, 10 % at 0.1",
    valid="load below 0.1", within=_lw * (_d + _r + Log1p(_lr / _lw * exp(-_mu * _r)) / _mu) < 0.1,
)  # fmt: skip


@dataclass(frozen=True)
class Queue:
    """Mean waits in the open queue; every array has the broadcast shape.

    Attributes
    ----------
    reader_wait, writer_wait : ndarray
        Mean wait of all faults and of calls for the lock, ns; inf where the queue is unstable.
    waiting_share : ndarray
        Probability that a fault meets a waiting or an exclusive call.
    load : ndarray
        Load in the sense of the order of service: stable below 1.
    region : Region
        Where the stated error was checked.
    stated_error : str
        The error measured against simulation.
    discipline : str
        ``fifo`` or ``rwsem``.
    """

    reader_wait: FloatArray
    writer_wait: FloatArray
    waiting_share: FloatArray
    load: FloatArray
    region: Region
    stated_error: str
    discipline: str

    @property
    def valid(self) -> FloatArray:
        """Where the stated error was checked."""
        return self.region.valid  # type: ignore[return-value]


def _given(
    lambda_r: Any, lambda_w: Any, mu: Any, exclusive: Any, shared: Any
) -> dict[str, FloatArray]:
    return together(lambda_r=lambda_r, lambda_w=lambda_w, mu=mu, exclusive=exclusive, shared=shared)


def _largest(change: FloatArray) -> float:
    """Return the largest known change of an iteration; unknown points do not hold it up."""
    return float(np.max(np.nan_to_num(np.abs(change), nan=0.0), initial=0.0))


def capacity(
    lambda_r: Any, lambda_w: Any, mu: Any, exclusive: Any, shared: Any = 0.0
) -> FloatArray:
    """Return the load of the first-come-first-served queue; it is stable below 1.

    Parameters
    ----------
    lambda_r, lambda_w, mu : array_like
        Faults, calls and ends of one fault's hold, per ns.
    exclusive, shared : array_like
        Hold of the call for writing, then for reading, ns. No downgrade: all in `exclusive`.

    Raises
    ------
    InputError
        If an argument is out of its domain or the shapes do not broadcast.
    """
    g = _given(lambda_r, lambda_w, mu, exclusive, shared)
    # lw ln(1 + lr/lw ...) goes to 0 with lw, but 0 times inf is no number.
    return np.where(g["lambda_w"] == 0, 0.0, CAPACITY(**g))


def rwsem_load(lambda_w: Any, exclusive: Any, shared: Any = 0.0) -> FloatArray:
    """Return the load under the kernel's rule, with or without a downgrade; stable below 1.

    Parameters
    ----------
    lambda_w : array_like
        Calls per ns.
    exclusive, shared : array_like
        Hold of the call for writing, then for reading, ns.

    Raises
    ------
    InputError
        If an argument is out of its domain or the shapes do not broadcast.
    """
    return LOAD_KERNEL(lambda_w=lambda_w, exclusive=exclusive, shared=shared)


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(48)
_NODES, _WEIGHTS = 0.5 * (_NODES + 1), 0.5 * _WEIGHTS


def _idle_drain(g: dict[str, FloatArray], rho: FloatArray) -> Moments:
    lr, lw, mu, r = g["lambda_r"], g["lambda_w"], g["mu"], g["shared"]
    beyond = {"lambda_r": lr, "lambda_w": lw, "mu": mu, "shared": r, "waiting_share": rho}
    x = r[..., None] * _NODES
    inside = DRAIN_IDLE_WITHIN(window=x, **{k: v[..., None] for k, v in beyond.items()})
    mean = r * (inside @ _WEIGHTS) + DRAIN_IDLE(**beyond)
    second = 2 * r * ((inside * x) @ _WEIGHTS) + DRAIN_IDLE_2(**beyond)
    return Moments(mean, second)


FIFO_ERROR = (
    "load below 0.3: W_r 3 % median, 8 % at worst, W_w 1 % and 6 %; "
    "above: W_r 12 % and 35 %, W_w 8 % and 15 %. No use for differences above load 0.1"
)


def fifo_queue(lambda_r: Any, lambda_w: Any, mu: Any, exclusive: Any, shared: Any = 0.0) -> Queue:
    """Return the waits first come, first served, by hand formulas.

    Parameters
    ----------
    lambda_r, lambda_w, mu, exclusive, shared : array_like
        As in :func:`capacity`.

    Returns
    -------
    Queue
        With ``discipline="fifo"``.

    Raises
    ------
    InputError
        As :func:`capacity`.
    """
    g = _given(lambda_r, lambda_w, mu, exclusive, shared)
    load = capacity(**g)
    lw, d = g["lambda_w"], g["exclusive"]
    busy = {k: g[k] for k in ("lambda_r", "lambda_w", "mu", "shared")}
    calls = np.where(lw > 0, lw, np.nan)
    busy["lambda_w"] = calls
    rho = np.zeros(lw.shape)
    with np.errstate(all="ignore"):
        for _ in range(200):
            one = d + DRAIN_BUSY(waiting_share=rho, **busy)
            zero = d + _idle_drain({**g, "lambda_w": calls}, rho).mean
            new = np.clip(calls * zero / (1 - calls * one + calls * zero), 0.0, 1.0)
            change = _largest(new - rho)
            rho = new
            if change < 1e-12:
                break
        e1 = Moments(DRAIN_BUSY(waiting_share=rho, **busy), DRAIN_BUSY_2(waiting_share=rho, **busy))
        e0 = _idle_drain({**g, "lambda_w": calls}, rho)
        b0 = e0.second + 2 * d * e0.mean + d**2
        b1 = e1.second + 2 * d * e1.mean + d**2
        reader = calls * ((1 - rho) * b0 + rho * b1) / (2 * (1 - calls * (d + e1.mean)))
        writer = reader + (1 - rho) * e0.mean + rho * e1.mean
    stable = load < 1
    # Without calls nobody waits for one, and a call would find the readers of M/G/infinity.
    none = lw == 0
    alone = drain_open(g["lambda_r"], g["mu"])
    unknown = np.isnan(load)
    reader = np.where(none, 0.0, np.where(stable | unknown, reader, np.inf))
    writer = np.where(none, alone.mean, np.where(stable | unknown, writer, np.inf))
    return Queue(
        reader,
        writer,
        np.where(none, 0.0, np.where(stable | unknown, rho, 1.0)),
        load,
        Region({"load below 0.9": load < 0.9}),
        FIFO_ERROR,
        "fifo",
    )


def light_queue(lambda_r: Any, lambda_w: Any, mu: Any, exclusive: Any, shared: Any = 0.0) -> Queue:
    """Return the waits when calls are so rare that they do not meet.

    Parameters
    ----------
    lambda_r, lambda_w, mu, exclusive, shared : array_like
        As in :func:`capacity`. The shared part blocks no fault.

    Returns
    -------
    Queue
        The limit of either order of service; ``discipline`` is ``rwsem``.

    Raises
    ------
    InputError
        As :func:`capacity`.
    """
    g = _given(lambda_r, lambda_w, mu, exclusive, shared)
    load = capacity(**g)
    drain = drain_open(g["lambda_r"], g["mu"])
    reader = LIGHT_READER(**{k: g[k] for k in ("lambda_r", "lambda_w", "mu", "exclusive")})
    return Queue(
        reader,
        drain.mean + reader,
        np.minimum(g["lambda_w"] * (drain.mean + g["exclusive"]), 1.0),
        load,
        Region(
            {
                "load below 0.1": load < 0.1,
                "a call rarely meets the shared part of another": g["lambda_w"] * g["shared"]
                < 0.05,
            }
        ),
        LIGHT_READER.stated_error,
        "rwsem",
    )


GATED_ERROR = "where valid: W_r 2 % median, 16 % at worst; W_w 2 % median, 10 % at worst"


def gated_queue(lambda_r: Any, lambda_w: Any, mu: Any, exclusive: Any, shared: Any = 0.0) -> Queue:
    """Return the waits under the kernel's rule in heavy traffic.

    Parameters
    ----------
    lambda_r, lambda_w, mu, exclusive, shared : array_like
        As in :func:`capacity`.

    Returns
    -------
    Queue
        With ``discipline="rwsem"``; valid where several calls and many faults come in a cycle.

    Raises
    ------
    InputError
        As :func:`capacity`.
    """
    return _gated(_given(lambda_r, lambda_w, mu, exclusive, shared))[0]


def _gated(g: dict[str, FloatArray]) -> tuple[Queue, FloatArray]:
    """Return the gated waits and the length of a cycle."""
    lr, lw, mu_, r = g["lambda_r"], g["lambda_w"], g["mu"], g["shared"]
    hold = g["exclusive"] + r
    load = LOAD_KERNEL(lambda_w=lw, exclusive=g["exclusive"], shared=r)
    args = {"lambda_r": lr, "mu": mu_, "shared": r}
    with np.errstate(all="ignore"):
        room = np.where(load < 1, 1 - load, np.nan)
        # Ein is concave, so from above the fixed point is approached monotonically.
        c = 1e3 * (1 + np.log1p(lr / mu_)) / (mu_ * room)
        for _ in range(200):
            known = np.where(np.isnan(c), 0.0, c)
            new = np.where(np.isnan(c), np.nan, GATED_DRAIN(cycle=known, **args) / room)
            change = _largest((new - c) / np.maximum(c, 1e-300))
            c = new
            if change < 1e-12:
                break
        # Few faults let the cycle shrink to nothing; the ratio variance/c has a limit there.
        c = np.maximum(c, 1e-6 / (lr + lw + mu_))
        known = np.where(np.isnan(c), 0.0, c)
        v = GATED_DRAIN(cycle=known, **args)
        variance_v = GATED_DRAIN_2(cycle=known, **args) - v**2
        variance = (variance_v + lw * known * hold**2) / (1 - load**2)
        residual = 0.5 * (c + variance / c)
        reader, writer = residual, (1 + load) * residual + v
    unstable = load >= 1
    queue = Queue(
        np.where(unstable, np.inf, reader),
        np.where(unstable, np.inf, writer),
        np.where(np.isnan(load), np.nan, 1.0),
        load,
        Region(
            {
                "stable": load < 1,
                "more than 2 calls in a cycle": lw * c > 2,
                "more than 10 faults in a cycle": lr * c > 10,
            }
        ),
        GATED_ERROR,
        "rwsem",
    )
    # A fault sees a length-biased cycle, twice its residual.
    return queue, 2 * residual


RWSEM_ERROR = (
    "where valid: W_r 2 % median, 8 % in nine of ten cases, 16 % at worst, W_w 2 %, 6 % and 24 %; "
    "elsewhere: W_r 8 %, 24 % and 42 %, W_w 6 %, 23 % and 38 %"
)


def rwsem_queue(lambda_r: Any, lambda_w: Any, mu: Any, exclusive: Any, shared: Any = 0.0) -> Queue:
    """Return the waits under the kernel's rule at any load, by blending both limits.

    Readers: ``1/W = 1/W_fifo + h/W_gated`` with h the probability that some fault comes in a gated
    cycle and so makes the gate open. Callers: the same with squares, and with the gated wait
    entering only where calls meet in a cycle. The blend is empirical; it was fixed on one set of
    simulated points and its error measured on another.

    Parameters
    ----------
    lambda_r, lambda_w, mu, exclusive, shared : array_like
        As in :func:`capacity`.

    Returns
    -------
    Queue
        ``valid`` where one of the limits rules: little load, or many calls in a cycle.

    Raises
    ------
    InputError
        As :func:`capacity`.
    """
    fifo = fifo_queue(lambda_r, lambda_w, mu, exclusive, shared)
    gated, cycle = _gated(_given(lambda_r, lambda_w, mu, exclusive, shared))
    lr, lw = np.asarray(lambda_r, dtype=np.float64), np.asarray(lambda_w, dtype=np.float64)
    with np.errstate(all="ignore"):
        calls, faults = lw * cycle, lr * cycle
        opens = -np.expm1(-faults)
        meet = -np.expm1(-4 * calls**3)
        pull = opens / gated.reader_wait
        reader = 1 / (1 / fifo.reader_wait + pull)
        pull = opens * meet / gated.writer_wait**2
        writer = 1 / np.sqrt(1 / fifo.writer_wait**2 + pull)
        reader = np.where(fifo.reader_wait == 0, 0.0, reader)
        writer = np.where(fifo.writer_wait == 0, 0.0, writer)
    unstable = gated.load >= 1
    lost = np.isnan(fifo.reader_wait) | np.isnan(gated.load)
    light, heavy = fifo.load < 0.25, (calls > 2) & (faults > 4)
    return Queue(
        np.where(unstable, np.inf, np.where(lost, np.nan, reader)),
        np.where(unstable, np.inf, np.where(lost, np.nan, writer)),
        np.where(unstable, 1.0, fifo.waiting_share),
        gated.load,
        Region(
            {
                "stable": gated.load < 1,
                "little load, or more than 2 calls and 4 faults in a cycle": light | heavy,
            }
        ),
        RWSEM_ERROR,
        "rwsem",
    )


def require_stable(queue: Queue) -> None:
    """Raise if a queue has no steady state anywhere.

    Raises
    ------
    InputError
        If the load is 1 or more at some point.
    """
    if np.any(queue.load >= 1):
        raise InputError(
            f"the calls need the lock {float(np.nanmax(queue.load)):.3g} times the time there is",
            field="lambda_w",
            expected="a load below 1",
        )
