"""The explored actors run in time: how often a cut loses a store, counted and not derived.

The same programs whose every interleaving `search` explores are given durations here and run once
after the other, thousands of times: the caller with its cut, a debugger whose forced write comes at
some moment of the call, and the CPU that goes on storing through what it has cached. It is there to
check :mod:`perfmodel.equations.window`, which shares nothing with it but the durations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perfmodel.stale_tlb.actors.cpu import writing_cpu
from perfmodel.stale_tlb.actors.forced_write import forced_writer
from perfmodel.stale_tlb.actors.protect import protecting_thread
from perfmodel.stale_tlb.invariants import LOST, visible
from perfmodel.stale_tlb.program import END, Actor
from perfmodel.stale_tlb.setting import Setting
from perfmodel.stale_tlb.state import (
    CONTENT,
    CPU_STORE,
    FOUND,
    FRAMES,
    STORED,
    Slot,
    State,
)  # fmt: skip

__all__ = ["Durations", "lost_in_runs"]


@dataclass(frozen=True)
class Durations:
    """How long the steps of a call and of a forced write take, ns.

    Parameters
    ----------
    before_cut : float
        From the moment the lock is asked for until the cut.
    walk : float
        The part of the walk after the cut; 0 for a cut before the flush.
    flush : float
        From the end of the walk until the other CPUs have flushed.
    late : float
        From the cut until a thread that was blocked runs.
    copy : float
        From the copy of a word until the copy is mapped.
    gap : float
        Mean time between two stores of the CPU; exponential.
    """

    before_cut: float
    walk: float
    flush: float
    late: float
    copy: float
    gap: float


class _Runner:
    """One actor, its place in its program, and when it goes on."""

    def __init__(self, actor: Actor) -> None:
        self.actor = actor
        self.label = actor.start
        self.at = math.inf

    def step(self, s: State, alternative: int = 0) -> bool:
        """Do the next step; return whether it could be done."""
        outcome = self.actor.steps[self.label][alternative].act(s)
        if outcome is None:
            return False
        self.label = outcome[0]
        return True


def lost_in_runs(
    setting: Setting, durations: Durations, start: Sequence[int], *, runs: int, seed: int = 0
) -> tuple[float, float]:
    """Run calls, each met by one forced write, and count those that lose a store.

    Parameters
    ----------
    setting : Setting
        A call with a cut.
    durations : Durations
    start : sequence of int
        State the call begins in, with three actors; CPU 3 has the page cached.
    runs : int
    seed : int

    Returns
    -------
    probability, error : float
        Share of the calls that lost a store, given that one forced write came at a moment spread
        evenly over the call, from the request of the lock to the end of the flush; and its standard
        error.
    """
    rng = np.random.default_rng(seed)
    lost = sum(_run(setting, durations, list(start), rng) for _ in range(runs))
    share = lost / runs
    return share, math.sqrt(max(share * (1 - share), 1 / runs) / runs)


def _run(setting: Setting, d: Durations, s: State, rng: np.random.Generator) -> bool:
    cpu = _Runner(writing_cpu(Slot(1)))
    caller = _Runner(protecting_thread(Slot(2), setting, "T0"))
    debugger = _Runner(forced_writer(Slot(3), setting))
    end = d.before_cut + d.walk + d.flush
    reached = d.before_cut + d.walk * rng.random()  # when the walk comes to the page
    times = {"cut": d.before_cut, "walk": reached, "flush": end, "done": end, "leave": end}
    caller.at, cpu.at = 0.0, rng.exponential(d.gap)
    debugger.at = end * rng.random()
    blocked = False
    while True:
        first = min((caller, debugger, cpu), key=lambda r: r.at)
        now = first.at
        if now == math.inf:
            return False
        if first is cpu:
            _store(s, cpu)
            cpu.at = now + rng.exponential(d.gap) if now < end + d.copy else math.inf
        elif first is caller:
            cut = caller.label == "cut"
            caller.step(s)
            caller.at = max(now, times.get(caller.label, now))
            if caller.label == END:
                caller.at = math.inf
            if cut and blocked:
                debugger.at = now + d.late
        elif debugger.step(s):
            debugger.at = now + (d.copy if debugger.label == "install" else 0.0)
            if debugger.label == END:
                debugger.at = math.inf
        else:
            blocked, debugger.at = True, math.inf  # until the cut lets it in
        visible(s)
        if s[FOUND] == LOST:
            return True


def _store(s: State, cpu: _Runner) -> None:
    """Let the CPU store, if its TLB allows it: the new store covers the one before."""
    covered = list(s)
    covered[STORED] &= ~CPU_STORE
    for f in range(FRAMES):
        covered[CONTENT + f] &= ~CPU_STORE
    cpu.label = "running"
    if cpu.step(covered):
        s[:] = covered
