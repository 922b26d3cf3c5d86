r"""Steady state of an open reader/writer queue: waits of faults and callers, and its capacity.

Faults are Poisson and hold the lock for reading, for exponential times of rate :math:`\mu`, some of
them for an I/O besides; calls are Poisson, hold it for writing for *D* and then, with a downgrade,
for reading for *R*, as one more reader. Two orders of service are given: first come, first served
(:mod:`perfmodel.equations.closure`), and the kernel's rule, under which all queued faults are let in
together, past calls that came later (:mod:`perfmodel.equations.gate`). In light traffic they agree.

Their capacities differ. First come, first served, the readers between two calls are geometric in
number, so that their drain ends within *t* with probability :math:`1/(1 + \lambda_r S(t)/\lambda_w)`
and the tail *R* runs beside them. Under the kernel's rule the drain is shared by as many calls as
come in a cycle, and costs nothing in the limit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from sympy import exp

from perfmodel.equations.closure import FIFO_ERROR, Waits, fifo_waits
from perfmodel.equations.drain import drain_open, drain_open_two_class
from perfmodel.equations.equation import FloatArray, declare, together
from perfmodel.equations.gate import GATE_ERROR, gate_waits
from perfmodel.equations.reads import OUTLASTS, READS, panels, regular
from perfmodel.equations.special import Ein, Ein2, Log1p
from perfmodel.equations.symbols import symbol
from perfmodel.errors import InputError
from perfmodel.region import Region

__all__ = [
    "Queue",
    "capacity",
    "fifo_queue",
    "light_queue",
    "require_stable",
    "rwsem_load",
    "rwsem_queue",
]

_SOURCE = "derivation in perfmodel.equations.queue"
_ASSUME = ("faults and calls are Poisson", "faults hold the lock for exponential times",
           "the holds of the call are constant")  # fmt: skip
_IO = ("faults and calls are Poisson", "the holds of the call are constant",
       "minor holds and I/O are exponential")  # fmt: skip

_lr, _lw, _mu = symbol("lambda_r"), symbol("lambda_w"), symbol("mu")
_d, _r, _e = symbol("exclusive"), symbol("shared"), symbol("drain")

CAPACITY = declare(
    "capacity_fifo", "c", "1", "load of the queue, first come first served; below 1 it is stable",
    _lw * (_d + _r + Log1p(_lr / _lw * exp(-_mu * _r)) / _mu),
    source="saturation rule; readers between two calls are geometric", assumptions=_ASSUME,
    valid="lambda_w > 0",
)  # fmt: skip
DRAIN_OUTLASTS = declare(
    "saturated_drain_outlasts", "P(E > t)", "1", "readers between two calls of a full lock hold on",
    _lr * OUTLASTS.expression / (_lw + _lr * OUTLASTS.expression),
    source="readers between two calls are geometric", assumptions=_IO,
)  # fmt: skip
CAPACITY_IO = declare(
    "capacity_fifo_io", "c", "1", "the same with I/O; the drain is the integral of P(E > t) from R on",
    _lw * (_d + _r + _e), source="saturation rule", assumptions=_IO,
)  # fmt: skip
LOAD_KERNEL = declare(
    "capacity_rwsem", "c", "1", "load of the queue under the kernel's rule; below 1 it is stable",
    _lw * (_d + _r), source=_SOURCE, assumptions=_IO,
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
    lambda_r: Any, lambda_w: Any, mu: Any, exclusive: Any, shared: Any, io_share: Any, io_time: Any
) -> dict[str, FloatArray]:
    return together(
        lambda_r=lambda_r, lambda_w=lambda_w, mu=mu, exclusive=exclusive, shared=shared,
        io_share=io_share, io_time=io_time,
    )  # fmt: skip


def capacity(
    lambda_r: Any,
    lambda_w: Any,
    mu: Any,
    exclusive: Any,
    shared: Any = 0.0,
    io_share: Any = 0.0,
    io_time: Any = 0.0,
) -> FloatArray:
    """Return the load of the first-come-first-served queue; it is stable below 1.

    Parameters
    ----------
    lambda_r, lambda_w, mu : array_like
        Faults, calls and ends of one minor hold, per ns.
    exclusive, shared : array_like
        Hold of the call for writing, then for reading, ns. No downgrade: all in `exclusive`.
    io_share, io_time : array_like
        Share of the faults that hold the lock for I/O on top of the minor hold, and its mean, ns.

    Returns
    -------
    ndarray
        Closed without I/O, otherwise by quadrature with a relative error below 1e-7.

    Raises
    ------
    InputError
        If an argument is out of its domain or the shapes do not broadcast.
    """
    return _capacity(_given(lambda_r, lambda_w, mu, exclusive, shared, io_share, io_time))


def _capacity(g: dict[str, FloatArray]) -> FloatArray:
    two = (g["io_share"] > 0) & (g["io_time"] > 0) & (g["lambda_w"] > 0)
    one = CAPACITY(**{k: v for k, v in g.items() if k not in ("io_share", "io_time")})
    # lw ln(1 + lr/lw ...) goes to 0 with lw, but 0 times inf is no number.
    unknown = np.isnan(g["io_share"]) | np.isnan(g["io_time"])
    load = np.where(unknown, np.nan, np.where(g["lambda_w"] == 0, 0.0, one))
    if np.any(two):
        load[two] = _capacity_io({k: v[two] for k, v in g.items()})
    return load


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)
_NODES, _WEIGHTS = 0.5 * (_NODES + 1), 0.5 * _WEIGHTS


def _capacity_io(g: dict[str, FloatArray]) -> FloatArray:
    """Return the load with I/O: Gauss's rule on panels that are logarithmic below each time scale."""
    g = regular(g)
    with np.errstate(all="ignore"):
        edges = panels(g, g["lambda_r"] + g["lambda_w"])
        width = np.diff(edges, axis=1)[..., None]
        x = edges[:, :-1, None] + width * _NODES + g["shared"][:, None, None]
        law = {k: g[k][:, None, None] for k in ("lambda_r", "lambda_w", *READS)}
        drain = (width * _WEIGHTS * DRAIN_OUTLASTS(window=x, **law)).sum((-1, -2))
    return CAPACITY_IO(drain=drain, **{k: g[k] for k in ("lambda_w", "exclusive", "shared")})


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


def _kernel_load(g: dict[str, FloatArray]) -> FloatArray:
    return LOAD_KERNEL(**{k: g[k] for k in ("lambda_w", "exclusive", "shared")})


#: Load above which the waits follow the heavy-traffic law from here: the loop hardly ends there.
_HEAVY = 0.99


def _solved(
    g: dict[str, FloatArray],
    load_of: Callable[[dict[str, FloatArray]], FloatArray],
    waits_of: Callable[[dict[str, FloatArray]], Waits],
) -> tuple[FloatArray, Waits]:
    """Return load and waits at every point: infinite where unstable, 0 where nobody calls."""
    load = load_of(g)
    flat = {k: v.reshape(-1).copy() for k, v in g.items()}
    rho = load.reshape(-1)
    known = ~np.logical_or.reduce([np.isnan(v) for v in flat.values()])
    full, calm = rho >= 1, known & (flat["lambda_w"] == 0)
    solve, heavy = known & ~full & ~calm, known & ~full & (rho > _HEAVY)
    flat["lambda_w"][heavy] *= _HEAVY / rho[heavy]
    out = np.full((4, rho.size), np.nan)
    out[:, full] = np.array([np.inf, np.inf, 1.0, np.inf])[:, None]
    if solve.any():
        got = waits_of({k: v[solve] for k, v in flat.items()})
        out[:, solve] = got.reader_wait, got.writer_wait, got.waiting_share, got.crowd
    if heavy.any():
        less = load_of({k: v[heavy] for k, v in flat.items()})
        out[:, heavy] *= np.stack([(1 - less) / (1 - rho[heavy])] * 4)
        out[2, heavy] = np.minimum(out[2, heavy], 1.0)
    if calm.any():
        # Without calls nobody waits for one, and a call would find the readers of M/G/infinity.
        out[:, calm] = 0.0
        out[1, calm] = _alone({k: flat[k][calm] for k in ("lambda_r", *READS)})
    return load, Waits(*out.reshape(4, *load.shape))


def _alone(g: dict[str, FloatArray]) -> FloatArray:
    if np.any(g["io_share"] > 0):
        return drain_open_two_class(**g).mean
    return drain_open(g["lambda_r"], g["mu"]).mean


#: Where both closures were held against simulation, in units of a minor hold.
_CHECKED_IO = {"share": 0.05, "time": 320.0}


def _region(g: dict[str, FloatArray], load: FloatArray, waits: Waits, most: float) -> Region:
    hold, some = 1.0 / g["mu"], (g["io_share"] > 0) & (g["io_time"] > 0)
    return Region(
        {
            f"load below {most:g}": load < most,
            "the arguments are known and the closure's loop ends": ~np.isnan(waits.reader_wait),
            "less than 20 calls within the hold of a minor fault": ~(g["lambda_w"] * hold >= 20),
            "I/O of at most 5 % of the faults, no longer than 320 minor holds": ~some
            | (
                (g["io_share"] <= _CHECKED_IO["share"])
                & (g["io_time"] <= _CHECKED_IO["time"] * hold)
            ),
        }
    )


def fifo_queue(
    lambda_r: Any,
    lambda_w: Any,
    mu: Any,
    exclusive: Any,
    shared: Any = 0.0,
    io_share: Any = 0.0,
    io_time: Any = 0.0,
) -> Queue:
    """Return the waits first come, first served.

    Parameters
    ----------
    lambda_r, lambda_w, mu, exclusive, shared, io_share, io_time : array_like
        As in :func:`capacity`.

    Returns
    -------
    Queue
        With ``discipline="fifo"``; by the closure of :mod:`perfmodel.equations.closure`.

    Raises
    ------
    InputError
        As :func:`capacity`.
    """
    g = _given(lambda_r, lambda_w, mu, exclusive, shared, io_share, io_time)
    load, waits = _solved(g, _capacity, fifo_waits)
    return Queue(
        waits.reader_wait, waits.writer_wait, waits.waiting_share, load,
        _region(g, load, waits, 0.93), FIFO_ERROR, "fifo",
    )  # fmt: skip


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
    g = _given(lambda_r, lambda_w, mu, exclusive, shared, 0.0, 0.0)
    load = _capacity(g)
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


#: Faults let in at once up to which the kernel's limit of 256 was not seen to matter: with I/O the
#: gates vary more than two standard deviations say.
_CROWD, _CROWD_IO = 200.0, 100.0


#: Faults that come while one waits, below which nobody is there to be let in together.
_COMPANY = 1e-4


def _without_company(g: dict[str, FloatArray], load: FloatArray, waits: Waits) -> Waits:
    """Replace the gate's waits, which lose their digits, where faults hardly ever meet.

    A fault that waits alone is let in when it is first in line: the orders of service are the same.
    """
    hold = g["exclusive"] + g["shared"]
    with np.errstate(all="ignore"):
        queued = g["lambda_w"] * hold**2 / (2 * (1 - load))
        alone = g["lambda_r"] * (queued + hold + 1 / g["mu"]) < _COMPANY
    alone &= (load < 1) & (g["lambda_w"] > 0)
    if not np.any(alone):
        return waits
    some = {name: value[alone] for name, value in g.items()}
    served = fifo_waits(some)
    replaced = {}
    for one in fields(Waits):
        value, new = getattr(waits, one.name), getattr(served, one.name)
        replaced[one.name] = np.array(np.broadcast_to(value, alone.shape))
        replaced[one.name][alone] = new
    return replace(waits, **replaced)


def rwsem_queue(
    lambda_r: Any,
    lambda_w: Any,
    mu: Any,
    exclusive: Any,
    shared: Any = 0.0,
    io_share: Any = 0.0,
    io_time: Any = 0.0,
) -> Queue:
    """Return the waits under the kernel's rule at any load.

    Parameters
    ----------
    lambda_r, lambda_w, mu, exclusive, shared, io_share, io_time : array_like
        As in :func:`capacity`.

    Returns
    -------
    Queue
        With ``discipline="rwsem"``; by the closure of :mod:`perfmodel.equations.gate`. Not valid
        where so many faults queue that the limit of 256 let in at once begins to tell.

    Raises
    ------
    InputError
        As :func:`capacity`.
    """
    g = _given(lambda_r, lambda_w, mu, exclusive, shared, io_share, io_time)
    load, waits = _solved(g, _kernel_load, gate_waits)
    waits = _without_company(g, load, waits)
    most = np.where(g["io_share"] * g["io_time"] > 0, _CROWD_IO, _CROWD)
    region = _region(g, load, waits, 0.95).also(
        {"at most 200 faults (100 with I/O) are let in at once": ~(waits.crowd > most)}
    )
    return Queue(
        waits.reader_wait, waits.writer_wait, waits.waiting_share, load, region, GATE_ERROR, "rwsem"
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
