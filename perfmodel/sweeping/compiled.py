"""The plain case compiled: an open stream of faults, and one caller who thinks between his calls.

Point by point it is what :mod:`perfmodel.sweeping.arrays` does with arrays, and so what `predict` does:
the same declared equations, compiled by :mod:`perfmodel.sweeping.compiled_functions` into one loop. The
order of the steps is written down a second time here, and nothing else; the tests hold both against
`predict`. Importing this module needs numba.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from perfmodel.equations.account import (
    ANY_WOKEN,
    LINE_TIME,
    LOST_TIME,
    NET_GAIN,
    WAKE_TIME,
    WAKER_TIME,
)
from perfmodel.equations.blocking import BLOCKED_OPEN, TIME_OPEN
from perfmodel.equations.cacheline import MARGINAL, TRANSFERS
from perfmodel.equations.drain import DRAIN_OPEN, DRAIN_OPEN_2
from perfmodel.equations.hold import PIECES
from perfmodel.equations.overlap import OVERLAP, OVERLAP_2
from perfmodel.sweeping.compiled_functions import (
    compiled,
    indexed,
    line,
    phis,
    scalar,
)
from perfmodel.sweeping.compiled_quantile import wait_quantile
from perfmodel.sweeping.variables import ANSWERS
from perfmodel.verdict import SURE

__all__ = ["FIELDS", "INTO", "kernel"]

#: Numbers of a point and policy, in the order of the kernel's fields.
FIELDS = (
    "exclusive", "shared", "call", "acquire", "wait_mean", "blocked_share", "fault_throughput",
    "call_throughput", "lost_time", "net_gain",
)  # fmt: skip

#: What stands in the vector of a point besides the constants and the facts of the call.
INTO = ("fault_rate", "same_vma", "first_touch", "think", "cpus", "remote_given", "fault_estimate")

_PAYS, _COSTS, _LOST, _UNSAFE = (
    ANSWERS.index(a) for a in ("pays", "costs", "lost in the noise", "unsafe")
)

_drain = scalar(DRAIN_OPEN, "lambda_r", "mu")
_drain_2 = scalar(DRAIN_OPEN_2, "lambda_r", "mu")
_overlap = scalar(OVERLAP, "wake_latency", "think_writer", "phi_2")
_overlap_2 = scalar(OVERLAP_2, "wake_latency", "think_writer", "phi_3")
_any_woken = scalar(ANY_WOKEN, "woken")
_blocked = scalar(BLOCKED_OPEN, "lambda_r", "window")
_blocked_time = scalar(TIME_OPEN, "lambda_r", "window_2")
_wake_time = scalar(WAKE_TIME, "woken", "woken_pairs", "wake_latency", "wake_serial")
_waker_time = scalar(WAKER_TIME, "any_woken", "woken", "wake_kick", "wake_serial")
_transfers = scalar(TRANSFERS, "touch_rate", "exclusive", "shared")
_marginal = scalar(
    MARGINAL, "threads", "think", "ops", "line_transfer", "line_queue", "line_queue_variance"
)
_line_time = scalar(
    LINE_TIME,
    "extra_line_ops",
    "extra_transfer",
    "omega",
    "rmw_local",
    "slowpath_ops_each",
    "woken",
)
_lost_time = scalar(
    LOST_TIME, "blocked_time", "wake_time", "waker_time", "line_time", "caller_time", "guard_time"
)
_net_gain = scalar(NET_GAIN, "lost_time_none", "lost_time")


@compiled
def _line_cost(users: float, think: float, ops: float, transfer: float) -> Any:
    """Marginal cost of one more locked operation, ns."""
    if think == 0.0:
        return users * transfer
    queue, variance = line(users, think / (ops * transfer))
    return _marginal(users, think, ops, transfer, queue, variance)


@compiled
def _held(t: Any, lock_ops: float, locked: int, exclusive: Any, shared: Any) -> Any:
    """Sum the pieces of a call: under the write lock, under the read lock, outside, ns."""
    x = r = outside = 0.0
    for j in range(exclusive.size):
        # The lock's own operations: computed for one of them.
        ns = t[j] * (lock_ops if j == locked else 1.0)
        a, b = exclusive[j], shared[j]
        if a > 0.0:
            x += a * ns
        if b > 0.0:
            r += b * ns
        if 1.0 - a - b > 0.0:
            outside += (1.0 - a - b) * ns
    return x, r, outside


@compiled
def _with_overlap(
    rate: float, drain: float, drain_2: float, latency: float, think: float, x: float, r: float
) -> Any:
    """Moments of the wait with woken faults in it, and the share of calls that come so soon."""
    left, pause = max(latency - r, 0.0), max(think, 1e-6)
    before = left / pause
    phi_1, phi_2, phi_3 = phis(before)
    one, two = _overlap(left, pause, phi_2), _overlap_2(left, pause, phi_3)
    window = drain + x
    first = _any_woken(rate * window)
    woken = 0.0
    if first > 0.0:
        woken = first / (first + 1.0 - _any_woken(rate * (window + one)))
    one, two = woken * one, woken * two
    return drain + one, drain_2 + two + 2.0 * drain * one, woken * before * phi_1


@compiled
def _scale(wait: float, wait_2: float) -> Any:
    """Variance over mean of the wait, as `window_moments` takes it."""
    variance = max(wait_2 - wait * wait, 0.0)
    if wait <= 0.0 or variance < 1e-8 * wait * wait:
        return 0.0
    return variance / wait


@compiled
def _judge(
    gain: Any, pays: Any, kind: Any, calls: float, threads: float, least: float, none: int,
    flags: Any,
) -> Any:  # fmt: skip
    """Give the verdict as `perfmodel.sweeping.answers.judged` does; policies in their own order.

    kind: whether each policy is safe (1), a cut (2), the one without a downgrade (4).
    """
    best, best_other, best_safe = -1, -1, none
    safe_gain = -math.inf
    for p in range(kind.size):
        g = gain[p]
        if not math.isfinite(g):
            continue
        if kind[p] & 2 and (best < 0 or g > gain[best]):
            best = p
        if not kind[p] & 4 and (best_other < 0 or g > gain[best_other]):
            best_other = p
        if kind[p] & 1 and g > safe_gain:
            best_safe, safe_gain = p, g
    if best < 0:
        best = best_other
    flags[3] = best_safe
    if best < 0:
        flags[0], flags[1], flags[2] = 0, 0, none
        return math.nan
    share = 0.0 if calls == 0.0 else gain[best] * calls / threads
    if pays[best] >= SURE and abs(share) >= least:
        flags[1] = _PAYS
    elif pays[best] <= 1.0 - SURE:
        flags[1] = _COSTS
    else:
        flags[1] = _LOST
    flags[0] = flags[1] if kind[best] & 1 else _UNSAFE
    flags[2] = best
    return share


@lru_cache(maxsize=8)
def kernel(operation: str) -> tuple[dict[str, int], Any]:
    """Compile the loop over points for one operation.

    Parameters
    ----------
    operation : str

    Returns
    -------
    places : dict of str to int
        Where each constant, fact and parameter stands in the vector of a point.
    function : callable
        The loop: see the comments on its arguments.
    """
    equations = PIECES[operation]
    names = sorted({n for e in equations.values() for n in e.names})
    needed = ("fault_hold", "wake_latency", "wake_serial", "wake_kick", "line_transfer", "rmw_local",
              "flush_count", "refinds", "lock_ops", "remote_cpus")  # fmt: skip
    names += [n for n in (*needed, *INTO) if n not in names]
    places = {name: i for i, name in enumerate(names)}
    lasting = indexed(list(equations.values()), places)
    count, LOCKED = len(equations), list(equations).index("locked")
    (FLUSH, REFINDS, LOCK_OPS, REMOTE, RATE, SAME, FIRST, THINK, CPUS, GIVEN, FAULT) = (
        places[n] for n in ("flush_count", "refinds", "lock_ops", "remote_cpus", *INTO)
    )
    READ, LATENCY, SERIAL, KICK, TRANSFER, RMW = (places[n] for n in needed[:6])

    @compiled
    def pieces(v: Any, unknown: Any, t: Any, trial: Any) -> None:
        """Durations of the pieces; NaN only where an unknown constant matters, as `where_known`."""
        for j in range(unknown.size):
            v[unknown[j]] = 0.0
        found = lasting(v)
        for j, value in enumerate(found):
            t[j] = value
        if unknown.size:
            for j in range(unknown.size):
                v[unknown[j]] = 1.0
            again = lasting(v)
            for j, value in enumerate(again):
                trial[j] = value
            for j in range(count):
                if t[j] != trial[j]:
                    t[j] = math.nan

    @compiled
    def run(
        cols: Any, slots: Any, base: Any, unknown: Any, skipped: Any,
        to: Any, kind: Any, table: Any, exclusive_share: Any, shared_share: Any, applies: Any,
        by_vma: Any, first: Any, alike: Any, facts: Any, levels: Any, wanted: Any,
        fields: Any, quantiles: Any, gains: Any, pays: Any, inside: Any, flags: Any, share_of: Any,
        broken: Any, scratch: Any,
    ) -> None:  # fmt: skip
        # cols, slots: what is swept, (parameters, points), and its place in the vector; base: the
        # vector of every draw. unknown: places of constants that are not known; skipped: pieces that
        # take no time. to: place of each policy among the scenario's; the loop begins with that without
        # a downgrade. kind: see `_judge`. table: flushes, lookups, locked operations and sections of
        # each policy; *_share: of each piece; by_vma: whether only some faults meet it. first: the first
        # policy of which all this is the same; alike: how many there are of each such. facts: read
        # path's operations, slow path's, whether blocked faults sleep, least share of the thread time
        # that is seen. wanted: place of each field in `fields`, -1 for none. flags: the verdict's four,
        # and whether the stream is overrun. broken: how often a condition does not hold.
        policies, vector = table.shape[0], base.shape[1]
        v, t, trial, central, positive = scratch[0], scratch[1], scratch[2], scratch[3], scratch[4]
        ops, slow_ops, sleeps = facts[0], facts[1], facts[2] > 0
        lost_none = calls_none = 0.0
        for i in range(cols.shape[1]):
            for p in range(policies):
                positive[p] = 0.0
            for d in range(base.shape[0]):
                if i == 0 or base.shape[0] > 1:
                    for k in range(vector):
                        v[k] = base[d, k]
                for k in range(slots.size):
                    v[slots[k]] = cols[k, i]
                cpus, all_faults = v[CPUS], v[RATE]
                running = all_faults * v[FAULT] if math.isfinite(v[FAULT]) else 0.0
                given = v[GIVEN]
                v[REMOTE] = min(running if math.isnan(given) else given, cpus - 1.0)
                mu, latency, serial = 1.0 / v[READ], v[LATENCY], v[SERIAL]
                kick, transfer, rmw = v[KICK], v[TRANSFER], v[RMW]
                think_own, some_meet = v[THINK], v[SAME] + (1.0 - v[SAME]) * v[FIRST]
                each = 1.0 / all_faults
                flush_before, refinds_before, rate_before = -1.0, -1.0, -1.0
                drain = drain_2 = 0.0
                for p in range(policies):
                    if first[p] != p:
                        continue
                    m = table[p, 3]
                    if table[p, 0] != flush_before or table[p, 1] != refinds_before:
                        flush_before, refinds_before = table[p, 0], table[p, 1]
                        v[FLUSH], v[REFINDS], v[LOCK_OPS] = flush_before, refinds_before, 1.0
                        pieces(v, unknown, t, trial)
                        for j in range(count):
                            if skipped[j]:
                                t[j] = 0.0
                    x, r, outside = _held(
                        t, table[p, 2], LOCKED, exclusive_share[p], shared_share[p]
                    )
                    if not applies[p]:
                        x = r = outside = math.nan
                    call = outside + x + r
                    # Each section takes the lock anew.
                    one_x, one_r = x / m, r / m
                    affected = some_meet if by_vma[p] else 1.0
                    rate = all_faults * affected
                    think = think_own + outside
                    acquire = blocked = blocked_time = wake_time = share = wait_mean = 0.0
                    theta, wait = 0.0, 0.0
                    met = True
                    alone = True
                    never = affected == 0.0 or not x > 0.0
                    if never:
                        acquire = blocked = blocked_time = wake_time = share = wait_mean = 0.0 * x
                        calls = 1.0 / (think + m * (one_x + one_r))
                    else:
                        if rate != rate_before:
                            rate_before = rate
                            drain, drain_2 = _drain(rate, mu), _drain_2(rate, mu)
                        wait, wait_2, soon = drain, drain_2, 0.0
                        if sleeps:
                            wait, wait_2, soon = _with_overlap(
                                rate, drain, drain_2, latency, think, one_x, one_r
                            )
                        theta = _scale(wait, wait_2)
                        window = wait + one_x
                        window_2 = wait * (wait + theta) + one_x * (2.0 * wait + one_x)
                        single = _blocked(rate, window)
                        blocked, blocked_time = m * single, m * _blocked_time(rate, window_2)
                        if sleeps:
                            wake_time = m * _wake_time(single, single * single, latency, serial)
                            if not soon * serial * single <= 0.15 * latency:
                                met = False
                                if d == 0:
                                    broken[0] += alike[p]
                            if not rate * (wait - drain) <= 1.0:
                                met = False
                                if d == 0:
                                    broken[1] += alike[p]
                        if m > 1.0:
                            met = False
                            if d == 0:
                                broken[2] += alike[p]
                        acquire = m * wait
                        calls = 1.0 / (think + m * (wait + one_x + one_r))
                        if all_faults > 0.0:
                            share = min(blocked * calls * each, 1.0)
                            wait_mean = (blocked_time + wake_time) * calls * each
                        alone = not wait > 1.2 * drain
                    passes = rate + calls
                    away = cpus / passes if passes > 0.0 else 1e12
                    sleepers = blocked if sleeps else 0.0
                    waker = 0.0 * x
                    if sleepers > 0.0:
                        waker = _waker_time(_any_woken(sleepers / m), sleepers, kick, serial)
                    extra = max(table[p, 2] - table[0, 2], 0.0)
                    on_line = 0.0 * x
                    if extra > 0.0 or blocked != 0.0:
                        omega = max(_line_cost(cpus, away, ops, transfer), rmw)
                        moved = _transfers(rate, x, r) if extra > 0.0 else 0.0
                        on_line = _line_time(extra, moved, omega, rmw, slow_ops, blocked)
                    lost = _lost_time(blocked_time, wake_time, waker, on_line, acquire + call, 0.0)
                    if p == 0:
                        lost_none = lost
                    gain = _net_gain(lost_none, lost)
                    o = to[p]
                    if gain > 0.0:
                        positive[o] += 1.0
                    if gains.shape[0] > 0:
                        gains[i, o, d] = gain
                    if d > 0:
                        continue
                    central[o] = gain
                    inside[i, o] = met and math.isfinite(gain)
                    if p == 0:
                        calls_none = calls
                        flags[i, 4] = blocked > cpus
                    values = (
                        x, r, call, acquire, wait_mean, share,
                        1e9 * all_faults, 1e9 * calls, lost, gain,
                    )  # fmt: skip
                    for f, value in enumerate(values):
                        if wanted[f] >= 0:
                            fields[wanted[f], i, o] = value
                    for q in range(levels.size):
                        out = 0.0 * x
                        if not never and share > 0.0:
                            out = wait_quantile(
                                levels[q], share, one_x, wait, theta, alone, wake_time, blocked
                            )
                        quantiles[i, o, q] = out
            for p in range(policies):
                if first[p] != p:
                    o, before = to[p], to[first[p]]
                    positive[o], central[o] = positive[before], central[before]
                    inside[i, o] = inside[i, before]
                    for f in range(fields.shape[0]):
                        fields[f, i, o] = fields[f, i, before]
                    for q in range(levels.size):
                        quantiles[i, o, q] = quantiles[i, before, q]
                    if gains.shape[0] > 0:
                        for d in range(base.shape[0]):
                            gains[i, o, d] = gains[i, before, d]
            for p in range(policies):
                known = math.isfinite(central[p]) and not kind[p] & 4
                pays[i, p] = positive[p] / base.shape[0] if known else math.nan
            share_of[i] = _judge(
                central, pays[i], kind, calls_none, v[CPUS], facts[3], to[0], flags[i]
            )

    def answer(
        cols: Any, slots: Any, base: Any, unknown: Any, skipped: Any, to: Any, kind: Any, table: Any,
        exclusive_share: Any, shared_share: Any, applies: Any, by_vma: Any, *more: Any,
    ) -> None:  # fmt: skip
        # With one VMA, say, a downgrade in every VMA is one in the last.
        rows = np.column_stack((table, exclusive_share, shared_share, applies, by_vma))
        first = np.array([int(np.argmax((rows == row).all(axis=1))) for row in rows])
        run(cols, slots, base, unknown, skipped, to, kind, table, exclusive_share, shared_share,
            applies, by_vma, first, np.bincount(first, minlength=len(rows)), *more)  # fmt: skip

    return places, answer
