r"""Closed system of one caller whose blocked faults sleep: the woken own the lock before they run.

rwsem grants the lock to every sleeper as it is woken, and the sleeper runs a wake-up *s* later. For
so long the lock is held for reading by threads that do nothing. A caller that comes back within it
waits for the rest, :math:`P = (c - Z)^+` with :math:`c = (s-R)^+` what is left of the wake-up when
the caller begins to think, and faults that come meanwhile queue behind the caller. So the calls fall
into three kinds: the call before has woken nobody; it has woken somebody who runs by now; it has
woken somebody who does not. In each kind the threads are independent, and what a call does to them
is the exact :func:`~perfmodel.equations.drain.blocked_while_draining`; a Markov chain of two states
(was anybody woken?) gives the shares of the kinds, and a fixed point the share of the threads that
are woken when any are.

A thread that thinks as the caller comes back within a wake-up is blocked within *P* with probability
:math:`h = E(1 - e^{-\nu P})`, for :math:`E P - h/\nu` up to the end of *P* and for :math:`1/\nu` of
what the rest of the window would block, as :math:`g(P+Y) = g(P) + (1-e^{-\nu P})\,Y + e^{-\nu P}
g(Y)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sympy import exp

from perfmodel.equations.drain import Meeting, Moments
from perfmodel.equations.equation import FloatArray, declare, together
from perfmodel.equations.overlap import OVERLAP, OVERLAP_2, OVERLAP_HIT
from perfmodel.equations.symbols import symbol
from perfmodel.region import Region

__all__ = ["WokenSystem", "closed_system_woken"]

_nu, _mu, _z = symbol("nu"), symbol("mu"), symbol("think_writer")
_r, _s, _awake, _b = (
    symbol("shared"),
    symbol("wake_latency"),
    symbol("awake"),
    symbol("blocked_end"),
)
_rest = _nu / (_nu + _mu)
_source: dict[str, Any] = {
    "source": "two-state relaxation of a thread, derivation in perfmodel.equations.woken",
    "assumptions": ("threads are independent", "think times and holds of faults are exponential"),
}

#: Probability that a thread reads as the caller comes back, by what the call before has done.
NONE_WOKEN = declare(
    "in_service_none_woken", "q_0", "1", "a thread reads; the call before woke nobody",
    _rest * (1 - exp(-(_nu + _mu) * _r) / (1 + (_nu + _mu) * _z)), **_source,
)  # fmt: skip
AWAKE = declare(
    "in_service_awake", "q_a", "1", "a thread reads; those that were woken run by now",
    _b * (_rest + (1 - _rest) * exp(-(_nu + _mu) * _awake) / (1 + (_nu + _mu) * _z))
    + (1 - _b) * _rest * (1 - exp(-(_nu + _mu) * _r) / (1 + (_nu + _mu) * _z)), **_source,
)  # fmt: skip
#: Those that were not woken have had R and, about, half of what the caller thought in.
ASLEEP = declare(
    "in_service_asleep", "q_s", "1", "a thread reads or is woken to; the woken do not run yet",
    _b + (1 - _b) * _rest * (1 - exp(-(_nu + _mu) * _r) / (1 + (_nu + _mu) * _z / 2)), **_source,
)  # fmt: skip

_STATED = (
    "one caller, woken faults own the lock, where valid: mean wait 1 % median and 6 % in nineteen of"
    " twenty cases, the caller's own wait 2 % and 13 %, the scatter of the simulations included"
)


@dataclass(frozen=True)
class WokenSystem:
    """Steady state; every array has the broadcast shape.

    Attributes
    ----------
    acquire, acquire_2 : ndarray, ns and ns^2
        Mean and second moment of the caller's wait for the lock.
    blocked, blocked_time : ndarray, 1 and ns
        Faults that one call blocks, and their total time until the lock is granted.
    any_woken : ndarray
        Probability that a call wakes anybody.
    cycle : ndarray, ns
        Mean time between two calls; what the caller pays to wake is part of it.
    region : Region
        Where the stated error was checked.
    stated_error : str
    """

    acquire: FloatArray
    acquire_2: FloatArray
    blocked: FloatArray
    blocked_time: FloatArray
    any_woken: FloatArray
    cycle: FloatArray
    region: Region
    stated_error: str = _STATED


@dataclass(frozen=True)
class _Kind:
    """What a call does that comes in one of the three kinds."""

    hits: FloatArray
    time: FloatArray
    drain: Moments


def closed_system_woken(
    threads: Any,
    nu: Any,
    mu: Any,
    think_writer: Any,
    exclusive: Any,
    shared: Any,
    wake_latency: Any,
    wake_serial: Any = 0.0,
) -> WokenSystem:
    """Solve the closed system of n faulting threads and one caller, where blocked faults sleep.

    Parameters
    ----------
    threads : array_like
        Faulting threads n, at least 1.
    nu, mu : array_like
        Rates of thinking and of holding the read lock, one thread, per ns.
    think_writer : array_like
        Time of the caller between two calls, ns; more than 0.
    exclusive, shared : array_like
        Hold for writing and then for reading, ns, constants.
    wake_latency, wake_serial : array_like
        Delay of a woken thread, and what the waker pays for each, ns.

    Returns
    -------
    WokenSystem

    Raises
    ------
    InputError
        If an argument is out of its domain or the shapes do not broadcast.
    """
    g = together(
        threads=threads, nu=nu, mu=mu, think_writer=think_writer, exclusive=exclusive,
        shared=shared, wake_latency=wake_latency, wake_serial=wake_serial,
    )  # fmt: skip
    n, think, rate, z, d, r, s, w = g.values()
    # A caller that does not think at all comes back at once; a positive time keeps the law.
    z = np.maximum(z, 1e-9 * (d + r + s))
    left, awake = np.maximum(s - r, 0.0), np.maximum(r - s, 0.0)

    meeting = Meeting(n, think, rate, d)

    def kind(q: FloatArray) -> _Kind:
        one = meeting.blocks(q)
        return _Kind(one.blocked / n, one.time, meeting.drain(q))

    law = {"nu": think, "mu": rate, "think_writer": z}
    known = {"wake_latency": left, "think_writer": z}
    overlap, overlap_2 = OVERLAP(**known), OVERLAP_2(**known)
    asleep = -np.expm1(-left / z)
    hit = np.maximum(OVERLAP_HIT(nu=think, **known), 0.0)
    none = kind(np.clip(NONE_WOKEN(shared=r, **law), 0.0, 1.0))
    with np.errstate(all="ignore"):
        # Blocked within P and until its end; the difference loses its digits for small windows.
        until = np.where(
            think * left < 1e-3, 0.5 * think * overlap_2, overlap - hit / np.maximum(think, 1e-300)
        )
        shares = {"hit": _given(hit, asleep), "until": _given(until, asleep)}
        still_thinking = rate / (think + rate)
        before = _nobody(none.hits, n)

        def readers(woken: FloatArray) -> tuple[FloatArray, FloatArray]:
            """Return who reads as a call comes, while the woken run and while they still sleep."""
            in_sleep = ASLEEP(shared=r, blocked_end=woken, nu=think, mu=rate,
                              think_writer=np.minimum(z, left))  # fmt: skip
            running = AWAKE(shared=r, awake=awake, blocked_end=woken, **law)
            return np.clip(running, 0.0, 1.0), np.clip(in_sleep, 0.0, 1.0)

        def mixed(
            woken: FloatArray, run: FloatArray, sleep: FloatArray
        ) -> tuple[FloatArray, FloatArray, FloatArray]:
            """Return whom a call blocks, that anybody was woken, and the next round's share of the woken."""
            hits = sleep + (1 - woken) * still_thinking * shares["hit"] * (1 - sleep)
            again = (1 - asleep) * _nobody(run, n) + asleep * _nobody(hits, n)
            any_woken = (1 - before) / np.maximum(1 - before + again, 1e-300)
            blocked = (1 - any_woken) * none.hits + any_woken * ((1 - asleep) * run + asleep * hits)
            return blocked, any_woken, np.clip(_given(blocked, any_woken), 0.0, 1.0)

        # Where nobody sleeps longer than the call holds, whom it meets asleep does not count.
        nobody_asleep = not np.any(left > 0)

        def once(woken: FloatArray) -> FloatArray:
            """One round from the share of the threads woken, given that any are."""
            awake_q, asleep_q = readers(woken)
            run = meeting.blocked(awake_q) / n
            sleep = run if nobody_asleep else meeting.blocked(asleep_q) / n
            return mixed(woken, run, sleep)[2]

        woken = np.clip(none.hits + 1.0 / n, 0.0, 1.0)
        for _ in range(60):
            # Aitken's extrapolation: the map is smooth and nearly linear about its fixed point.
            one = once(woken)
            two = once(one)
            bend = two - 2 * one + woken
            far = np.where(np.abs(bend) > 1e-15, woken - (one - woken) ** 2 / bend, two)
            new = np.where((far > 0) & (far <= 1), far, two)
            change = float(np.max(np.nan_to_num(np.abs(new - woken), nan=0.0), initial=0.0))
            woken = new
            if change < 1e-9:
                break
        awake_q, asleep_q = readers(woken)
        run, sleep = kind(awake_q), kind(asleep_q)
        blocked, any_woken, _ = mixed(woken, run.hits, sleep.hits)
        blocked = n * blocked
        late = sleep.time + n * (1 - woken) * still_thinking * (
            shares["until"] + shares["hit"] * sleep.hits / np.maximum(think, 1e-300)
        )
        time = (1 - any_woken) * none.time + any_woken * ((1 - asleep) * run.time + asleep * late)
        acquire = (1 - any_woken) * none.drain.mean + any_woken * (
            (1 - asleep) * run.drain.mean + asleep * sleep.drain.mean + overlap
        )
        acquire_2 = (1 - any_woken) * none.drain.second + any_woken * (
            (1 - asleep) * run.drain.second + asleep * sleep.drain.second
            + 2 * overlap * sleep.drain.mean + overlap_2
        )  # fmt: skip
        paid = w * blocked
        stagger = asleep * paid
    return WokenSystem(
        acquire=acquire,
        acquire_2=acquire_2,
        blocked=blocked,
        blocked_time=time,
        any_woken=any_woken,
        cycle=z + acquire + d + r + paid,
        region=Region(
            {
                "the arguments are known": ~np.isnan(acquire + blocked),
                "the wake-ups of one call are not spread out (paid one by one they take less than 15 %"
                " of a wake-up, or the caller seldom comes back within one)": stagger <= 0.15 * s,
                "a wake-up is shorter than two think times of a fault, or the caller seldom comes back"
                " within one": (think * s < 2) | (asleep < 0.3),
            }
        ),
    )


def _given(part: FloatArray, share: FloatArray) -> FloatArray:
    """Divide by the probability of a case; 0 where it does not happen."""
    return np.where(share > 0, part / np.where(share > 0, share, 1.0), 0.0)


def _nobody(hits: FloatArray, n: FloatArray) -> FloatArray:
    """Return the probability that no thread is blocked."""
    return np.exp(n * np.log1p(-np.minimum(hits, 1.0 - 1e-15)))
