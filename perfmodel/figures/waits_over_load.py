"""Waits over the load of the lock, by three solvers: closed form, exact chain, simulation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from perfmodel.errors import MissingExtraError
from perfmodel.figures.curves import Axis, Panel, Series, Spec, draw_panels, rows
from perfmodel.figures.kind import Inputs, Kind
from perfmodel.figures.style import (
    BLUE,
    PAGE,
    VERMILLION,
    drawing,
    evidence,
    provenance,
    us_text,
)
from perfmodel.hold import hold
from perfmodel.prediction import lock_question
from perfmodel.rwlock import solve
from perfmodel.rwlock.fallback import chain_of_constant_holds
from perfmodel.scenario import Policy, Scenario

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from perfmodel.machine import Machine
    from perfmodel.rwlock import Answer, Lock

__all__ = ["FIGURE", "alt", "caption", "data_for", "draw", "rows", "title"]

#: The question: the large preset with fewer threads and pages, which the chain can answer too.
PAGES, THREADS = 512, 8

#: Pauses of the caller, us: from a lock that is nearly always free to one that is nearly always held.
PAUSES = (5_000.0, 20.0)

_CUTS = {Policy.NONE: ("no downgrade", BLUE, "-", "o"),
         Policy.LAST_VMA: ("last-vma", VERMILLION, "--", "s")}  # fmt: skip

_WANTED = ("wait_mean", "acquire")

_UNKNOWN = float("nan")


def _simulated(lock: Lock, calls: int) -> dict[str, tuple[float, float]]:
    """Return each mean with half of its 95 % interval; nothing without numba."""
    try:
        from perfmodel.rwlock.simulate import simulate

        run = simulate(lock, calls=calls, levels=(), seed=1)
    except MissingExtraError:
        return {}
    return {n: (run.estimates[n].mean, run.estimates[n].half_width) for n in _WANTED}


def _load(lock: Lock, answer: Answer) -> float:
    """Return the share of the time that the lock is held for writing without a downgrade."""
    return float(answer.call_rate[0] * lock.exclusive[0])


def data_for(
    machine: Machine, *, points: int = 25, checks: int = 7, calls: int = 10_000,
    progress: Callable[[float], None] = lambda _: None,
) -> Spec:  # fmt: skip
    """Compute the figure.

    Parameters
    ----------
    machine : Machine
    points, checks : int
        Points of the lines, and how many of them the other solvers answer too.
    calls : int
        Of each simulation.
    progress : callable
        Told the share done, 0 to 1.
    """
    from perfmodel.presets import preset

    asked = Scenario.from_dict(preset("large").parameters, machine=machine)
    asked = asked.replace(pages=PAGES, **{"faults.threads": THREADS})
    constants = machine.draws(1)
    pauses = np.geomspace(*PAUSES, points)
    checked = np.unique(np.linspace(0, points - 1, checks).round().astype(int))
    held = {p: hold(asked, p, constants) for p in _CUTS}
    found: dict[tuple[Policy, str], list[dict[str, tuple[float, float]]]] = {}
    load, apart = [], {"inside": 0.0, "outside": 0.0}
    for i, pause in enumerate(pauses):
        scenario = asked.replace(**{"writers.think_us": float(pause)})
        for policy in _CUTS:
            lock = replace(lock_question(scenario, held[policy], constants), cpus=None)
            answer = solve(lock, levels=())
            if policy is Policy.NONE:
                load.append(_load(lock, answer))
            told = {n: (float(getattr(answer, n)[0]), 0.0) for n in _WANTED}
            found.setdefault((policy, "model"), []).append(told)
            if i in checked:
                exact = chain_of_constant_holds(lock)
                # The chain lets nobody hold the lock on his way, which is what the caller waits for.
                told = {"wait_mean": (float(exact.wait_mean[0]), 0.0)}
                off = float(abs(exact.wait_mean[0] / answer.wait_mean[0] - 1))
                where = "inside" if exact.valid[0] else "outside"
                apart[where] = max(off, apart[where])
                found.setdefault((policy, "exact chain"), []).append(told)
                found.setdefault((policy, "simulated"), []).append(_simulated(lock, calls))
        progress((i + 1) / points)
    return _spec(machine, asked, found, np.array(load), checked, apart)


def _spec(
    machine: Machine, asked: Scenario,
    found: dict[tuple[Policy, str], list[dict[str, tuple[float, float]]]], load: np.ndarray,
    checked: np.ndarray, apart: dict[str, float],
) -> Spec:  # fmt: skip
    said, panels = dict(apart), []
    for name, what in (("wait_mean", "mean wait of a fault"), ("acquire", "wait of the caller")):
        series = []
        for (policy, basis), answers in found.items():
            label, colour, style, marker = _CUTS[policy]
            y, half = np.array([a.get(name, (_UNKNOWN, _UNKNOWN)) for a in answers]).T
            x = load if basis == "model" else load[checked]
            low, high = (y - half, y + half) if basis == "simulated" else (None, None)
            if not np.isfinite(y).any():
                continue
            mark = marker if basis == "exact chain" else "x"
            series.append(Series(label, basis, x, y, low, high, colour, style, mark))
        panel = Panel(what, Axis("share of the time that the lock is held\nfor writing, no downgrade (%)",
                                 "linear", lambda v: f"{100 * v:.0f}"),
                      Axis(what, write=us_text), tuple(series))  # fmt: skip
        panels.append(panel)
        for label, *_ in _CUTS.values() if "simulated" in {s.basis for s in series} else ():
            ratio = panel.of(label).y[checked] / panel.of(label, "simulated").y
            said[f"{name} off"] = max(float(np.abs(ratio - 1).max()), said.get(f"{name} off", 0.0))
        said[f"{name} none"], said[f"{name} cut"] = (
            float(panel.of(_CUTS[p][0]).y[checked[-2]]) for p in _CUTS
        )
    said["load"] = float(load[checked[-2]])
    basis = evidence(machine)
    return Spec(tuple(panels), said, basis,
                provenance(machine, evidence=basis, scenario=asked.to_dict()))  # fmt: skip


def title(spec: Spec) -> str:
    """Return the finding in one line."""
    none, cut = (us_text(spec.said[f"wait_mean {n}"]) for n in ("none", "cut"))
    return (
        f"A lock held {100 * spec.said['load']:.0f} % of the time: a fault waits {none} without,"
        f" {cut} with the cut"
    )


@drawing(title)
def draw(spec: Spec, figure: Figure) -> None:
    """Draw the waits of faults and of the caller over the load, by three solvers."""
    draw_panels(spec, figure)


def caption(spec: Spec) -> str:
    """Return the caption, with the numbers of the spec."""
    off = [
        f"the closed form is off the chain by at most {100 * spec.said['inside']:.2g} % where at most one"
        " call in 20 comes while a woken fault is still on its way, and above it by up to"
        f" {100 * spec.said['outside']:.2g} % elsewhere: such a fault owns the lock already, which the chain"
        " does not know of"
    ]
    if "wait_mean off" in spec.said:
        off.append(
            f"it is off the simulation, which knows, by at most {100 * spec.said['wait_mean off']:.2g} %"
            f" (faults) and {100 * spec.said['acquire off']:.2g} % (caller)"
        )
    return (
        f"Mean wait of a fault, wake-up included, and of the caller for the lock: mprotect of {PAGES} pages"
        f" and {THREADS} threads that fault, kernel 5.11, over how much of the time the lock is held; the"
        " caller's pause is what varies. Lines: closed form; hollow marks: exact Markov chain (constant"
        " holds by extrapolation); crosses: simulation by the kernel's rules, 95 % bars;"
        f" {'; '.join(off)}. The caller waits for readers who were in before, and for woken faults."
        f" Nobody measured it. Evidence: {spec.evidence}; marks are computed, not measured."
    )


def alt(spec: Spec) -> str:
    """Return the text for who cannot see the figure."""
    return (
        "Two line charts over the share of time that the lock is held for writing: mean wait of a fault,"
        " and of the caller, without a downgrade and with one; marks of two other solvers lie on the"
        f" lines. {title(spec)}."
    )


def _build(inputs: Inputs) -> Spec:
    return data_for(inputs.machine, progress=inputs.progress)


def _lacks(spec: Spec) -> str:
    return "" if np.isfinite(spec.said["load"]) else "the profile lacks a constant of the hold"


FIGURE = Kind(
    name="waits_over_load", size=(PAGE, 2.7), column=4.6,
    question="How long do faults wait, and does the queue's answer hang on the solver?",
    build=_build, draw=draw, title=title, caption=caption, alt=alt, rows=rows, lacks=_lacks,
    claims=("C3",),
)  # fmt: skip
