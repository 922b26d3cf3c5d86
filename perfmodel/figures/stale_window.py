"""The stores that a cut would lose: closed form, and the explored actors run in time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.exposure import NS_PER_HOUR, expected_losses
from perfmodel.figures.axes import key_below
from perfmodel.figures.kind import Inputs, Kind, Rows
from perfmodel.figures.style import (
    BLUE,
    PAGE,
    VERMILLION,
    drawing,
    evidence,
    provenance,
    us_text,
)
from perfmodel.prediction import predict
from perfmodel.scenario import Policy, Scenario
from perfmodel.stale_tlb.timed import Durations, lost_in_runs

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from perfmodel.machine import Machine

__all__ = [
    "FIGURE",
    "PAGES",
    "Panel",
    "Spec",
    "alt",
    "caption",
    "data_for",
    "draw",
    "rows",
    "title",
]

#: Pages of the call drawn, and forced writes and stores a second.
PAGES, FORCED, STORES = 512, 1.0, 1e6

_CUTS = {Policy.LAST_VMA: (BLUE, "o"), Policy.BEFORE_FLUSH: (VERMILLION, "s")}

#: What is varied: label of the axis, and its range. Times in ns, stores per second.
_AXES: tuple[tuple[str, str, float, float], ...] = (
    ("stores", "stores a second to the page", 1e4, 1e8),
    ("copy", "from copy to map (µs)", 100.0, 1e5),
    ("flush", "shootdown of one CPU (µs)", 200.0, 2e5),
)


@dataclass(frozen=True, eq=False)
class Panel:
    """One panel.

    Parameters
    ----------
    name, label : str
        What is varied, and the axis's label.
    x : ndarray
        Stores a second, or ns.
    lost : mapping of Policy to ndarray
        Calls that lose a store, an hour; closed form.
    at : ndarray
        Where the actors were run.
    counted : mapping of Policy to ndarray of shape (2, points)
        The same from the runs, and its standard error.
    """

    name: str
    label: str
    x: NDArray[np.float64]
    lost: Mapping[Policy, NDArray[np.float64]]
    at: NDArray[np.float64]
    counted: Mapping[Policy, NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Spec:
    """The figure as data.

    Parameters
    ----------
    panels : tuple of Panel
    base : mapping of Policy to float
        Losses an hour at the machine's own constants.
    window : mapping of Policy to float, ns
        Mean stale window.
    copy, shootdown : float, ns
        The machine's own.
    runs : int
        Calls run for each point.
    basis : str
    source : mapping
    """

    panels: tuple[Panel, ...]
    base: Mapping[Policy, float]
    window: Mapping[Policy, float]
    copy: float
    shootdown: float
    runs: int
    basis: str
    source: Mapping[str, Any]


def data_for(
    machine: Machine, *, points: int = 61, checks: int = 5, runs: int = 1000,
    progress: Callable[[float], None] = lambda _: None,
) -> Spec:  # fmt: skip
    """Compute the losses of both cuts, and run the explored actors at some of the points.

    Parameters
    ----------
    machine : Machine
    points, checks, runs : int
        Points of a curve, points that are checked by runs, calls run for each.
    progress : callable
        Told the share that is done.
    """
    scenario = _scenario(machine)
    prediction = predict(scenario, draws=1, levels=(), guards=False)
    own = _own(machine)
    base, window, panels, done = {}, {}, [], 0
    for policy in _CUTS:
        stale, lost = _lost(scenario, prediction, policy, own)
        base[policy], window[policy] = float(lost[0]), float(stale[0])
    for name, label, low, high in _AXES:
        x, at = np.geomspace(low, high, points), np.geomspace(low, high, checks + 2)[1:-1]
        closed = {p: _lost(scenario, prediction, p, {**own, name: x})[1] for p in _CUTS}
        counted = {}
        for policy in _CUTS:
            told = []
            for value in at:
                told.append(_count(scenario, prediction, policy, {**own, name: value}, runs))
                done += 1
                progress(done / (len(_AXES) * len(_CUTS) * checks))
            counted[policy] = np.array(told).T
        panels.append(Panel(name, label, x, closed, at, counted))
    return Spec(
        tuple(panels), base, window, own["copy"], own["flush"], runs, evidence(machine),
        provenance(machine, scenario=scenario.to_dict(), evidence=evidence(machine)),
    )  # fmt: skip


def _scenario(machine: Machine) -> Scenario:
    from perfmodel.presets import preset

    made = Scenario.from_dict(preset("mail").parameters, machine=machine)
    return made.replace(pages=PAGES, policies=(Policy.NONE, *_CUTS))


def _own(machine: Machine) -> dict[str, Any]:
    return {"stores": STORES, "copy": machine.value("fault_hold"),
            "flush": machine.value("shootdown")}  # fmt: skip


def _lost(
    scenario: Scenario, prediction: Any, policy: Policy, given: Mapping[str, Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean stale window, and the losses an hour."""
    result = prediction[policy]
    stale, each = expected_losses(
        scenario, result.hold, result.answer, forced=FORCED * 1e-9,
        stores=np.asarray(given["stores"]) * 1e-9, copy=given["copy"],
        late=scenario.machine.value("wake_latency"), shootdown=given["flush"],
    )  # fmt: skip
    return stale, each * float(result.answer.call_rate[0]) * NS_PER_HOUR


def _count(
    scenario: Scenario, prediction: Any, policy: Policy, given: Mapping[str, Any], runs: int
) -> tuple[float, float]:
    """Return the losses an hour by runs of the actors, and their standard error."""
    from perfmodel.stale_tlb.cells import starts_of
    from perfmodel.stale_tlb.rules import question_of

    result = prediction[policy]
    held = result.hold
    own = float(held.spent("shootdown", mode="shared")[0])
    durations = Durations(
        before_cut=float(held.exclusive[0] + result.answer.acquire[0]),
        walk=float(held.spent("step", "walk_start", "walk", mode="shared")[0]),
        flush=float(held.spent("flush", mode="shared")[0]) + max(own, float(given["flush"])),
        late=scenario.machine.value("wake_latency"),
        copy=float(given["copy"]), gap=1e9 / float(given["stores"]),
    )  # fmt: skip
    setting = question_of(scenario.kernel, scenario.call, policy).setting
    # The page belongs to the process alone, and somebody else holds a reference to it.
    share, error = lost_in_runs(setting, durations, starts_of(setting, 3)[1], runs=runs, seed=7)
    span = durations.before_cut + durations.walk + durations.flush
    scale = FORCED * 1e-9 * span * float(result.answer.call_rate[0]) * NS_PER_HOUR
    return share * scale, error * scale


def title(spec: Spec) -> str:
    """Return the finding in one line."""
    first, second = (spec.base[p] for p in _CUTS)
    return (
        f"One forced write a second: {_two(first)} lost stores an hour cut before the walk,"
        f" {_two(second)} before the flush"
    )


@drawing(title)
def draw(spec: Spec, figure: Figure) -> None:
    """Draw the losses an hour over stores, copy and flush, with the runs."""
    grid = figure.subplots(1, len(spec.panels), sharey=True)
    own = {"stores": STORES, "copy": spec.copy, "flush": spec.shootdown}
    for axes, panel in zip(grid, spec.panels, strict=True):
        scale = 1.0 if panel.name == "stores" else 1e-3
        for policy, (colour, marker) in _CUTS.items():
            axes.plot(panel.x * scale, panel.lost[policy], color=colour, label=policy.value,
                      ls="-" if policy is Policy.LAST_VMA else (0, (5, 2)))  # fmt: skip
            mean, error = panel.counted[policy]
            # On a logarithmic axis a bar ends before it reaches zero.
            bars = np.array([np.minimum(2 * error, 0.9 * mean), 2 * error])
            axes.errorbar(panel.at * scale, mean, bars, ls="none", marker=marker, ms=4,
                          mfc="white", color=colour, label=f"{policy.value}, actors run in time")  # fmt: skip
        axes.axvline(own[panel.name] * scale, color="0.5", lw=0.8, ls=":")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(panel.label)
        axes.grid(visible=True)
    grid[0].set_ylabel("calls that lose a store, an hour")
    key_below(figure, grid[0], 2)


def _two(number: float) -> str:
    """Write two digits that count, and none in an exponent."""
    return f"{float(f'{number:.2g}'):g}"


def caption(spec: Spec) -> str:
    """Return the caption, with the numbers of the spec."""
    before, after = (spec.window[p] for p in _CUTS)
    worst = max(
        float(np.max(np.abs(mean - np.interp(panel.at, panel.x, panel.lost[p])) / error))
        for panel in spec.panels
        for p in _CUTS
        for mean, error in [panel.counted[p]]
    )
    return (
        f"Calls that would lose a store, were the cut made although it is unsafe: mprotect of {PAGES}"
        f" pages, RW→R, on 5.11, the mail's fault rate and caller; {FORCED:g} forced write a second to"
        " pages that somebody else refers to, to which the losses are proportional. Dotted: the"
        f" machine's own, {STORES:.0e} stores a second (assumed), a copy of {us_text(spec.copy)} (the"
        f" hold of a minor fault; one that copies takes longer), a shootdown of"
        f" {us_text(spec.shootdown)}. A page is stale under the shared lock for {us_text(before)} in the"
        f" mean, cut before the walk, and"
        f" {us_text(after)}, cut before the flush. Lines: closed form; points: {spec.runs} calls of the"
        f" explored actors run in time, two standard errors; they differ by at most {worst:.1f} standard"
        f" errors. From 5.19 on the same runs lose none. Evidence: {spec.basis}; losses are simulated,"
        " not measured."
    )


def alt(spec: Spec) -> str:
    """Return the text for who cannot see the figure."""
    return (
        "Three panels with logarithmic axes: calls that lose a store an hour over the stores a second,"
        f" the length of the copy and of the shootdown; a line and checked points for each of two cuts."
        f" {title(spec)}."
    )


def rows(spec: Spec) -> Rows:
    """Return everything drawn, one row a point."""
    head = ("panel", "cut", "x", "lost_per_hour", "standard_error", "basis")
    body: list[tuple[Any, ...]] = []
    for panel in spec.panels:
        for policy in _CUTS:
            body += [(panel.name, policy.value, x, y, 0.0, "closed form")
                     for x, y in zip(panel.x, panel.lost[policy], strict=True)]  # fmt: skip
            body += [(panel.name, policy.value, x, y, e, "actors run in time")
                     for x, y, e in zip(panel.at, *panel.counted[policy], strict=True)]  # fmt: skip
    return head, body


def _build(inputs: Inputs) -> Spec:
    return data_for(inputs.machine, progress=inputs.progress)


def _lacks(spec: Spec) -> str:
    known = np.isfinite(list(spec.base.values())).all()
    return "" if known else "a constant that the losses need is unknown on this profile"


FIGURE = Kind(
    name="stale_window", size=(PAGE, 3.3),
    question="If one did it anyway: how many stores would be lost?",
    build=_build, draw=draw, title=title, caption=caption, alt=alt, rows=rows, lacks=_lacks,
    claims=("C6",),
)  # fmt: skip
