"""The plain case as one would write it by hand: one numba kernel, no declarations, no tables, no options.

mprotect RW->R of one VMA on 5.11, five policies, an open stream of faults, one caller, one draw, three
quantiles, verdict: the arithmetic of :mod:`perfmodel.sweeping.compiled` with every formula typed in. It
is here only to be compared with, and the comparison demands equal numbers. Special functions are shared,
the quantile of the blocked time among them: they are the same work for both. With one VMA a cut in every
VMA is the one in the last: that is computed once here as there.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from perfmodel.sweeping.compiled_functions import ein, ein2, line, phis
from perfmodel.sweeping.compiled_quantile import blocked_quantile

__all__ = ["COSTS", "by_hand"]

#: Constants of the machine and the ceiling of single flushes, in the order in which the kernel takes them.
COSTS = (
    "syscall", "rmw_local", "find_vma", "vma_fixup", "pmd_step", "walk_start", "pte", "pte_cold",
    "warm_pages", "flush_page", "flush_full", "flush_ceiling", "shootdown", "shootdown_more",
    "fault_hold", "wake_latency", "wake_serial", "wake_kick", "line_transfer", "fault_minor",
)  # fmt: skip


@numba.njit(error_model="numpy")
def by_hand(
    pages: Any, rates: Any, pauses: Any, costs: Any, cpus: float, safe: Any, least: float,
    sure: float, levels: Any, fields: Any, quantiles: Any, pays: Any, inside: Any, flags: Any,
    shares: Any,
) -> None:  # fmt: skip
    """Answer every point.

    Parameters
    ----------
    pages, rates, pauses : ndarray of shape (points,)
        Pages, faults per ns, and the pause between two calls, ns.
    costs : ndarray
        In the order of `COSTS`, ns.
    cpus, least, sure : float
        CPUs; the least share of the thread time that is seen; the probability that counts as sure.
    safe : ndarray of bool, shape (5,)
    levels : ndarray of shape (3,)
    fields, quantiles, pays, inside, flags, shares : ndarray
        Filled: (10, points, 5), (points, 5, 3), (points, 5), (points, 5), (points, 5), (points,).
    """
    (syscall, rmw, find, fixup, pmd, walk_start, pte, pte_cold, warm, flush_page, flush_full,
     ceiling, shoot, shoot_more, read, latency, serial, kick, transfer, fault) = costs  # fmt: skip
    for i in range(pages.size):
        n, rate, pause = pages[i], rates[i], pauses[i]
        remote = min(rate * fault, cpus - 1.0)
        lookup = find + fixup
        walk = pmd * n / 512.0 + walk_start + n * pte + pte_cold * max(0.0, n - warm)
        flush = flush_page * n if ceiling >= n else flush_full
        flush += shoot * min(1.0, remote) + shoot_more * max(0.0, remote - 1.0)
        z = rate * read
        drain, drain_2 = ein(z) * read, 2.0 * ein2(z) * read * read
        lost_none = calls_none = 0.0
        for p in range(5):
            # none, last-vma, before-flush, every-vma, read-only.
            if p == 3:
                fields[:, i, 3], quantiles[i, 3] = fields[:, i, 1], quantiles[i, 1]
                pays[i, 3], inside[i, 3] = pays[i, 1], inside[i, 1]
                continue
            ops = 2.0 if p in (0, 4) else 3.0
            whole = ops * rmw + lookup + walk + flush
            if p == 0:
                x, r = whole, 0.0
            elif p == 4:
                x, r = 0.0, whole
            elif p == 2:
                x, r = ops * rmw + lookup + walk, flush
            else:
                x, r = ops * rmw + lookup, walk + flush
            call, think = syscall + whole, pause + syscall
            wait = theta = blocked = blocked_time = wake_time = waker = on_line = 0.0
            share = wait_mean = 0.0
            met = alone = True
            if x > 0.0:
                ahead, before = max(latency - r, 0.0), max(think, 1e-6)
                y = ahead / before
                phi_1, phi_2, phi_3 = phis(y)
                one, two = ahead * y * phi_2, 2.0 * ahead * ahead * y * phi_3
                first, woken = -math.expm1(-rate * (drain + x)), 0.0
                if first > 0.0:
                    woken = first / (first + math.exp(-rate * (drain + x + one)))
                one, two = woken * one, woken * two
                wait, wait_2 = drain + one, drain_2 + two + 2.0 * drain * one
                variance = max(wait_2 - wait * wait, 0.0)
                if wait > 0.0 and variance >= 1e-8 * wait * wait:
                    theta = variance / wait
                blocked = rate * (wait + x)
                blocked_time = 0.5 * rate * (wait * (wait + theta) + x * (2.0 * wait + x))
                wake_time = 0.5 * serial * blocked * blocked + blocked * (latency + serial)
                soon = woken * y * phi_1
                met = soon * serial * blocked <= 0.15 * latency and rate * (wait - drain) <= 1.0
                alone = not wait > 1.2 * drain
            calls = 1.0 / (think + wait + x + r)
            if rate > 0.0:
                share = min(blocked * calls / rate, 1.0)
                wait_mean = (blocked_time + wake_time) * calls / rate
            if ops > 2.0 or blocked != 0.0:
                away = cpus / (rate + calls)
                queue, spread = line(cpus, away / (2.0 * transfer))
                omega = max(away * cpus * spread / (2.0 * (cpus - queue) ** 2), rmw)
                on_line = omega * 2.0 * blocked
                if ops > 2.0:
                    on_line += math.expm1(-x * rate) * math.expm1(-r * rate) * (omega - rmw)
            waker = -math.expm1(-blocked) * kick + serial * blocked
            lost = blocked_time + wake_time + waker + on_line + wait + call
            if p == 0:
                lost_none, calls_none = lost, calls
                flags[i, 4] = blocked > cpus
            gain = lost_none - lost
            inside[i, p] = met
            pays[i, p] = math.nan if p == 0 else (1.0 if gain > 0.0 else 0.0)
            values = (x, r, call, wait, wait_mean, share, 1e9 * rate, 1e9 * calls, lost, gain)
            for f, value in enumerate(values):
                fields[f, i, p] = value
            for q in range(3):
                late = 1.0 - (1.0 - levels[q]) / share if share > 0.0 else 0.0
                waits = 0.0
                if late > 0.0:
                    waits = blocked_quantile(min(late, 1.0 - 1e-12), x, wait, theta, alone)
                    waits += wake_time / blocked if waits > 0.0 else 0.0
                quantiles[i, p, q] = waits
        best = 1
        for p in range(2, 4):
            if fields[9, i, p] > fields[9, i, best]:
                best = p
        kept = -1
        for p in range(5):
            if safe[p] and (kept < 0 or fields[9, i, p] > fields[9, i, kept]):
                kept = p
        shares[i] = fields[9, i, best] * calls_none / cpus
        told = 3  # lost in the noise
        if pays[i, best] >= sure and abs(shares[i]) >= least:
            told = 1
        elif pays[i, best] <= 1.0 - sure:
            told = 2
        flags[i, 1] = told
        flags[i, 0] = told if safe[best] else 4
        flags[i, 2], flags[i, 3] = best, kept


def room(points: int) -> tuple[Any, ...]:
    """Return the arrays that the kernel fills."""
    return (
        np.empty((10, points, 5)), np.empty((points, 5, 3)), np.empty((points, 5)),
        np.empty((points, 5), np.int8), np.empty((points, 5), np.int8), np.empty(points),
    )  # fmt: skip
