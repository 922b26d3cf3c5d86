r"""Closed system: n threads that fault, and one thread that makes the call, again and again.

Between two calls the faulting threads alternate independently between thinking (rate
:math:`\nu`) and holding the read lock (rate :math:`\mu`). The approximation, *embedded binomial*,
is that as the writer comes each of them holds the lock independently with one probability
:math:`q_s`; it follows from the share blocked at the end of the last exclusive part, relaxed over
the shared tail and the writer's think time. Given that, drain, blocked time and number blocked are
exact (:mod:`perfmodel.equations.drain`), and a fixed point closes the loop.

:math:`X_f = n(1-b)/(Z_f + S)` and :math:`X_m = 1/(Z_m + E A + D + R)` are exact identities. No
downgrade is the same system with the whole hold as `exclusive` and ``shared=0``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from perfmodel.equations.drain import _drain_blocking, _nodes, drain_threads, still_draining
from perfmodel.equations.equation import FloatArray, declare, together
from perfmodel.equations.special import erlang_b, erlang_served
from perfmodel.equations.symbols import symbol
from perfmodel.errors import InputError
from perfmodel.region import Region

__all__ = ["ClosedSystem", "closed_system"]

_n, _nu, _mu = symbol("threads"), symbol("nu"), symbol("mu")
_b, _a, _d, _r = (symbol(s) for s in ("blocked_share", "acquire", "exclusive", "shared"))
_z = symbol("think_writer")

FAULT_RATE = declare(
    "closed_fault_rate", "X_f", "1/ns", "faults of all threads that end",
    _n * (1 - _b) * _nu * _mu / (_nu + _mu), source="conservation of time of one faulting thread",
    assumptions=("a thread thinks, is blocked, or holds the lock",),
)  # fmt: skip
CALL_RATE = declare(
    "closed_call_rate", "X_m", "1/ns", "calls that end",
    1 / (_z + _a + _d + _r), source="conservation of time of the writing thread",
)  # fmt: skip

_STATED = (
    "one writer, against the exact chain with the same Erlang holds (650 points): exact for one thread, "
    "else median, nineteen of twenty, worst: fault rate 0.002 %, 0.4 %, 0.7 %; call rate 0.02 %, 2 %, 8 %; "
    "mean wait 0.1 %, 2 %, 6 %; the drain 0.3 %, 7 %, 20 %; constant holds against simulation: the same "
    "within its scatter, quantiles of the wait 2 % median, 6 % (p99 11 %) at worst; several writers where "
    "valid: fault rate 2.4 %, call rate 1.4 % at worst, but the waits 2 % median and 90 % in one of twenty"
)


@dataclass(frozen=True)
class ClosedSystem:
    """Steady state of the closed system; every array has the broadcast shape.

    Attributes
    ----------
    fault_rate, call_rate : ndarray
        Faults of all threads and calls of all writers, per ns.
    blocked_share : ndarray
        Share of its time that a faulting thread is blocked.
    acquire, acquire_2 : ndarray
        Mean and second moment of the drain before a call, ns and ns^2.
    writer_wait : ndarray
        Mean wait of a call for the lock, ns: the drain, and with several writers also the others.
    blocked_per_call, blocked_time_per_call : ndarray
        Faults blocked by one call, and their total blocked time, ns.
    wait_mean, wait_mean_blocked : ndarray
        Mean wait of all faults and of those that are blocked, ns.
    p_blocked : ndarray
        Probability that a fault is blocked.
    in_service : ndarray
        Probability that a thread holds the read lock as the writer comes.
    wait_quantiles, wait_quantiles_blocked : mapping of float to ndarray
        Quantiles over all faults (0 where fewer are blocked) and over the blocked ones, ns.
    utilisation : ndarray
        Share of the time that writers hold the lock, exclusively or shared.
    region : Region
        Where the stated error was checked.
    stated_error : str
        The error that was measured against simulation.
    """

    fault_rate: FloatArray
    call_rate: FloatArray
    blocked_share: FloatArray
    acquire: FloatArray
    acquire_2: FloatArray
    writer_wait: FloatArray
    blocked_per_call: FloatArray
    blocked_time_per_call: FloatArray
    wait_mean: FloatArray
    wait_mean_blocked: FloatArray
    p_blocked: FloatArray
    in_service: FloatArray
    wait_quantiles: Mapping[float, FloatArray]
    wait_quantiles_blocked: Mapping[float, FloatArray]
    utilisation: FloatArray
    region: Region
    stated_error: str = _STATED

    @property
    def valid(self) -> FloatArray:
        """Where the stated error was checked."""
        return self.region.valid  # type: ignore[return-value]


class _Tail:
    """Expected number of faults that one call blocks for longer than b."""

    def __init__(
        self, n: FloatArray, nu: FloatArray, mu: FloatArray, q: FloatArray, hold: FloatArray
    ) -> None:
        self.n, self.nu, self.mu, self.q, self.hold = n, nu, mu, q, hold
        self._y, self._w = _nodes(1.0 / mu, nu / mu, np.log1p(n), 96)
        self._kernel = nu[..., None] * np.exp(-nu[..., None] * self._y) * self._w
        self.at_hold = self._past(np.zeros_like(n))

    def rest(self, c: FloatArray) -> FloatArray:
        return still_draining(self.n, self.q, np.exp(-self.mu * c))

    def _past(self, c: FloatArray) -> FloatArray:
        u = np.exp(-self.mu[..., None] * (c[..., None] + self._y))
        rest = still_draining(self.n[..., None], self.q[..., None], u)
        return np.asarray((self._kernel * rest).sum(-1))

    def inverse(self, target: FloatArray) -> FloatArray:
        """Return b at which `target` faults are blocked for longer, by bracketed Newton steps."""
        n, nu = self.n, self.nu
        with np.errstate(all="ignore"):
            # Before the drain shows, every thread of the window counts: closed form.
            early = self.hold + np.log((n - target) / (n - self.at_hold)) / nu
            low = np.zeros_like(n)
            high = (np.log1p(n) + 40.0) / self.mu
            # The drain is roughly Gumbel: a start that is right to within 1/mu.
            c = np.minimum(np.log1p(self.at_hold / np.maximum(target, 1e-300)) / self.mu, high)
            for _ in range(60):
                value = self._past(c)
                above = value > target
                low, high = np.where(above, c, low), np.where(above, high, c)
                # N' = -nu (rest - N); in log N the step is close to exact for a falling tail.
                slope = -nu * (self.rest(c) - value) / value
                step = c + np.log(target / value) / slope
                inside = (step > low) & (step < high) & np.isfinite(step)
                new = np.where(inside, step, 0.5 * (low + high))
                # Often a handful of steps; halving alone takes 30 where the tail is a cliff.
                moved = np.where(target < self.at_hold, np.abs(new - c), 0.0)
                c = new
                if np.all((moved <= 1e-9 * (self.hold + c)) | np.isnan(moved)):
                    break
            return np.where(target >= self.at_hold, early, self.hold + c)


def closed_system(
    threads: Any,
    nu: Any,
    mu: Any,
    think_writer: Any,
    exclusive: Any,
    shared: Any = 0.0,
    *,
    writers: Any = 1,
    quantiles: tuple[float, ...] = (0.5, 0.9, 0.99),
    think_law: str = "exponential",
    of_blocked: bool = True,
    stages: int | None = None,
) -> ClosedSystem:
    """Solve the closed system of n faulting threads and a writer.

    Parameters
    ----------
    threads : array_like
        Faulting threads n, up to any number: the cost does not grow with n.
    nu, mu : array_like
        Rates of thinking and of holding the read lock, one thread, per ns.
    think_writer : array_like
        Time of one writer between two calls, ns.
    exclusive, shared : array_like
        Hold for writing and then for reading, ns, constants unless `stages` are given. No downgrade:
        all in `exclusive`.
    writers : array_like
        Writing threads. More than one are taken as a single writer whose think time gives the
        calls of a machine-repairman model of m writers.
    quantiles : tuple of float
        Levels at which to give the wait; none makes it several times faster.
    of_blocked : bool
        Whether to give the quantiles of the blocked faults beside those of all.
    think_law : {"exponential", "constant"}
        Law of the writer's think time.
    stages : int, optional
        Both holds are Erlang with so many stages, as those of
        :func:`perfmodel.rwlock.markov.solve_chain`; 1: exponential. Quantiles are then NaN: the drain
        and such a hold have no common closed law.

    Returns
    -------
    ClosedSystem
        Where ``valid`` is false the numbers are there but their error is unknown.

    Raises
    ------
    InputError
        If an argument is out of its domain, the shapes do not broadcast, a level is not in (0, 1),
        the law is unknown, or there are less than 1 stages.
    """
    if stages is not None and stages < 1:
        raise InputError(f"{stages} stages", field="stages", expected="at least 1")
    if think_law not in ("exponential", "constant"):
        raise InputError(
            f"{think_law!r} is no law", field="think_law", expected="'exponential' or 'constant'"
        )
    for level in quantiles:
        if not 0 < level < 1:
            raise InputError(
                f"{level!r} is no level", field="quantiles", expected="between 0 and 1"
            )
    g = together(
        threads=threads, nu=nu, mu=mu, think_writer=think_writer, exclusive=exclusive,
        shared=shared, writer_threads=writers,
    )  # fmt: skip
    n, think, rate, d, r = (g[s] for s in ("threads", "nu", "mu", "exclusive", "shared"))
    m, z_one = g["writer_threads"], g["think_writer"]
    z = z_one

    with np.errstate(all="ignore"):
        total = think + rate
        at_rest = think / total
        y, w = _nodes(1.0 / rate, think / rate, np.log1p(n))
        u = np.exp(-rate[..., None] * y)
        q = at_rest + 0.0 * n
        for _ in range(400):
            if np.any(m > 1):
                z = _think_together(m, z_one, d + r + drain_threads(n, rate, q).mean)
            keep = _relaxed(total, r, stages) * (
                1 / (1 + z * total) if think_law == "exponential" else np.exp(-total * z)
            )
            rest = w * still_draining(n[..., None], q[..., None], u)
            state = _drain_blocking(n, think, d, y, rest, stages)
            end = np.where(n > 0, state.blocked / np.where(n > 0, n, 1.0), 0.0)
            new = np.clip(at_rest + (end - at_rest) * keep, 0.0, 1.0)
            change = float(np.max(np.nan_to_num(np.abs(new - q), nan=0.0), initial=0.0))
            q = new
            # q is a probability; 1e-13 is far below the error of the closure.
            if change < 1e-13:
                break
        rest = w * still_draining(n[..., None], q[..., None], u)
        state = _drain_blocking(n, think, d, y, rest, stages)
        drain = drain_threads(n, rate, q)
        z = _think_together(m, z_one, d + r + drain.mean)
        cycle = z + drain.mean + d + r
        share = np.where(n > 0, state.time / (np.where(n > 0, n, 1.0) * cycle), 0.0)

        faults = FAULT_RATE(threads=n, blocked_share=np.clip(share, 0, 1), nu=think, mu=rate)
        calls = CALL_RATE(think_writer=z, acquire=drain.mean, exclusive=d, shared=r)
        per_call = faults / calls
        p_blocked = np.where(per_call > 0, _ratio(state.blocked, per_call), 0.0 * per_call)
        over_all: dict[float, FloatArray] = {}
        over_blocked: dict[float, FloatArray] = {}
        if quantiles and stages is not None:
            over_all = dict.fromkeys(quantiles, np.full(cycle.shape, np.nan))
            over_blocked = dict(over_all) if of_blocked else {}
        elif quantiles:
            tail = _Tail(n, think, rate, q, d)
            for level in quantiles:
                beyond = (1 - level) * per_call
                over_all[level] = np.where(
                    beyond >= state.blocked,
                    0.0 * beyond,
                    tail.inverse(np.minimum(beyond, state.blocked)),
                )
                if of_blocked:
                    over_blocked[level] = tail.inverse((1 - level) * state.blocked)
        utilisation = calls * (d + r)
        writer_wait = m / calls - z_one - d - r
        single = m == 1
    known = ~np.isnan(cycle + share)
    return ClosedSystem(
        fault_rate=faults,
        call_rate=calls,
        blocked_share=share,
        acquire=drain.mean,
        acquire_2=drain.second,
        writer_wait=np.where(single, drain.mean, writer_wait),
        blocked_per_call=state.blocked,
        blocked_time_per_call=state.time,
        wait_mean=np.where(per_call > 0, _ratio(state.time, per_call), 0.0 * per_call),
        wait_mean_blocked=_ratio(state.time, state.blocked),
        p_blocked=p_blocked,
        in_service=q,
        wait_quantiles=over_all,
        wait_quantiles_blocked=over_blocked,
        utilisation=utilisation,
        region=Region(
            {
                "the arguments are known": known,
                "one writer, or calls that wait or hold less than 30 % of the time": known
                & (single | (calls * (drain.mean + d + r) < 0.3)),
            }
        ),
    )


def _relaxed(total: FloatArray, shared: FloatArray, stages: int | None) -> FloatArray:
    """Return E exp(-total R): what the tail leaves of a thread's state."""
    if stages is None:
        return np.exp(-total * shared)
    return np.asarray(np.exp(-stages * np.log1p(total * shared / stages)))


def _think_together(m: FloatArray, think: FloatArray, busy: FloatArray) -> FloatArray:
    """Return the think time of one writer that makes the calls of m writers.

    While one writer waits or holds the lock the others go on thinking: calls follow the
    machine-repairman model with `busy` as the time at the lock. For m = 1 nothing changes.
    """
    with np.errstate(all="ignore"):
        # 1/X - busy = busy B/(1 - B), B = Erlang's loss at m and think/busy
        load = think / busy
        several = busy * erlang_b(m, load) / erlang_served(m, load)
    return np.where(m == 1, think, several)


def _ratio(top: FloatArray, bottom: FloatArray) -> FloatArray:
    with np.errstate(all="ignore"):
        return np.where(bottom > 0, top / bottom, np.nan)
