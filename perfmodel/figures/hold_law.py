"""Exponential holds are easy to solve and wrong: how waits change with the spread of the hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.figures.axes import key_below
from perfmodel.figures.example_lock import EVIDENCE, HOLD, PAUSE, READ, THREADS, example
from perfmodel.figures.kind import Inputs, Kind, Rows
from perfmodel.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    PAGE,
    drawing,
    provenance,
    us_text,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from perfmodel.rwlock.lock import Lock

__all__ = ["CUT", "FIGURE", "SPREADS", "STAGES", "Curve", "Heavy", "Spec", "alt", "caption",
           "data_for", "draw", "rows", "title"]  # fmt: skip

#: Coefficients of variation of the lognormal holds, by simulation; 0 is a constant hold.
SPREADS = (0.0, 0.5, 1.0, 2.0)

#: Stages of the Erlang holds: the square of their coefficient of variation is one over that.
STAGES = (1, 2, 3, 4, 6, 8)

#: Share of the hold that the downgrade makes shared.
CUT = 0.7

#: What is shown: label, colour, line style, marker.
_LOOKS = {
    "none": ("no downgrade", BLUE, "-", "o"),
    "downgrade": (f"downgrade, {100 * CUT:.0f} % shared", GREEN, "-.", "^"),
}


@dataclass(frozen=True)
class Curve:
    """Waits of one policy: tuples in the order of `STAGES`, and of constant holds.

    Parameters
    ----------
    mean, p99 : tuple of float, ns
        By the exact chain.
    constant_mean, constant_p99 : float, ns
        By the closed form of constant holds.
    """

    mean: tuple[float, ...]
    p99: tuple[float, ...]
    constant_mean: float
    constant_p99: float


@dataclass(frozen=True)
class Heavy:
    """Lognormal holds of one coefficient of variation under one policy, by simulation.

    Parameters
    ----------
    policy : str
    cv : float
    mean, p99 : float, ns
    mean_width, p99_width : float, ns
        Half of the 95 % intervals.
    """

    policy: str
    cv: float
    mean: float
    p99: float
    mean_width: float
    p99_width: float


@dataclass(frozen=True)
class Spec:
    """The figure as data; `heavy` is empty without the simulation."""

    curves: Mapping[str, Curve]
    heavy: tuple[Heavy, ...]
    source: Mapping[str, Any]

    def lognormal(self, policy: str, cv: float) -> Heavy | None:
        """Return a simulated point; None without the simulation."""
        return next((h for h in self.heavy if (h.policy, h.cv) == (policy, cv)), None)

    def saved(self, place: int | None) -> float:
        """Mean wait that the downgrade saves, ns: at a place of `STAGES`, or of constant holds."""
        none, cut = self.curves["none"], self.curves["downgrade"]
        if place is None:
            return none.constant_mean - cut.constant_mean
        return none.mean[place] - cut.mean[place]


def _simulated(policy: str, lock: Lock, calls: int) -> tuple[Heavy, ...]:
    """Return the lognormal points of a policy; none if numba is not installed."""
    from perfmodel.errors import MissingExtraError
    from perfmodel.rwlock.simulate import Law, simulate

    found = []
    for cv in SPREADS:
        law = Law("lognormal", cv=cv) if cv > 0 else Law("constant")
        try:
            run = simulate(lock, calls=calls, seed=1, holds={"exclusive": law, "shared": law},
                           levels=(0.99,))  # fmt: skip
        except MissingExtraError:
            return ()
        mean, p99 = run.estimates["wait_mean"], run.quantiles[0.99]
        found.append(Heavy(policy, cv, mean.mean, p99.mean, mean.half_width, p99.half_width))
    return tuple(found)


def data_for(*, calls: int = 30_000, progress: Callable[[float], None] = lambda _: None) -> Spec:
    """Compute the figure: the same lock with holds of several laws of one mean.

    Parameters
    ----------
    calls : int
        Of one simulation.
    progress : callable
        Told the share done, 0 to 1.
    """
    from perfmodel.rwlock import solve
    from perfmodel.rwlock.markov import solve_chain

    # Faults that pause longer than the hold lasts: else all of them are blocked whatever its law.
    think = 5 * HOLD
    curves = {}
    heavy: list[Heavy] = []
    for k, (name, shared) in enumerate((("none", 0.0), ("downgrade", CUT))):
        lock = replace(
            example(HOLD * (1 - shared), HOLD * shared, think=think), readers_sleep=False
        )
        chains = []
        for i, stages in enumerate(STAGES):
            chains.append(solve_chain(lock, stages=stages, levels=(0.99,)))
            progress((k + (i + 1) / len(STAGES)) / 2)
        closed = solve(lock, (0.99,))
        heavy += _simulated(name, lock, calls)
        curves[name] = Curve(
            tuple(float(c.wait_mean[0]) for c in chains),
            tuple(float(np.ravel(c.wait_quantiles[0.99])[0]) for c in chains),
            float(closed.wait_mean[0]), float(np.ravel(closed.wait_quantiles[0.99])[0]),
        )  # fmt: skip
    return Spec(
        curves, tuple(heavy),
        provenance(None, evidence=EVIDENCE, scenario={
            "calls": calls if heavy else 0, "fault_threads": THREADS, "hold_ns": HOLD,
            "pause_ns": PAUSE, "read_ns": READ, "shared_share": CUT, "think_ns": think,
        }),
    )  # fmt: skip


def title(spec: Spec) -> str:
    """Return the finding in one line."""
    ratio = spec.saved(0) / spec.saved(None)
    return f"Exponential holds make the downgrade look {ratio:.1f} times as good as constant ones"


@drawing(title)
def draw(spec: Spec, figure: Figure) -> None:
    """Draw the mean wait and its 99 % quantile over the spread of the hold."""
    grid = figure.subplots(1, 2)
    spread = [1 / k for k in STAGES]
    for axes, name, what in zip(grid, ("mean", "p99"), ("mean wait of a fault", "99 % quantile"),
                                strict=True):  # fmt: skip
        for policy, curve in spec.curves.items():
            label, colour, style, marker = _LOOKS[policy]
            values = np.array(getattr(curve, name)) / 1e3
            axes.plot(spread, values, color=colour, ls=style, marker=marker, ms=4, label=label)
            axes.plot([0], [getattr(curve, f"constant_{name}") / 1e3], color=colour, marker=marker,
                      ms=7, mfc="white", mew=1.4, ls="none", clip_on=False, zorder=5)  # fmt: skip
            some = [h for h in spec.heavy if h.policy == policy and 0 < h.cv <= 1]
            axes.errorbar(
                [h.cv**2 for h in some], [getattr(h, name) / 1e3 for h in some],
                yerr=[getattr(h, f"{name}_width") / 1e3 for h in some], color=BLACK, ls="none",
                marker="x", ms=5, mew=1.2, elinewidth=0.8, zorder=6,
            )  # fmt: skip
        axes.set_xlim(0, 1.04)
        axes.set_ylim(bottom=0)
        axes.set_xlabel(
            "squared coefficient of variation of the hold\n(0: constant, 1: exponential)"
        )
        axes.set_ylabel(f"{what} (µs)")
        axes.grid(axis="y")
    grid[0].plot([], [], color="#555555", marker="o", ms=7, mfc="white", mew=1.4, ls="none",
                 label="closed form, constant hold")  # fmt: skip
    if spec.heavy:
        grid[0].plot([], [], color=BLACK, marker="x", ms=5, mew=1.2, ls="none",
                     label="lognormal hold, simulation")  # fmt: skip
    key_below(figure, grid[0], 4, columnspacing=1.4)


def caption(spec: Spec) -> str:
    """Return the caption, with the numbers of the spec."""
    none, cut = spec.curves["none"], spec.curves["downgrade"]
    heavy = "The lognormal holds need the simulation, which is not installed"
    wide, same, even = (spec.lognormal("none", cv) for cv in (2.0, 1.0, 0.0))
    if wide and same and even:
        heavy = (
            f"Lognormal holds as spread as exponential ones: {us_text(same.mean)} and"
            f" {us_text(same.p99)}; twice as spread: {us_text(wide.mean)} and {us_text(wide.p99)};"
            f" constant ones, simulated: {us_text(even.mean)} and {us_text(even.p99)}"
        )
    return (
        f"Waits of {THREADS} threads that fault for {us_text(READ)} and pause {us_text(5 * HOLD)}"
        f" beside one caller that holds the lock for {us_text(HOLD)} on average and pauses"
        f" {us_text(PAUSE)}, over the spread of the hold. Mean wait without a downgrade:"
        f" {us_text(none.mean[0])} with exponential holds, {us_text(none.constant_mean)} with constant"
        f" ones; with it {us_text(cut.mean[0])} and {us_text(cut.constant_mean)}; 99 % quantile without"
        f" {us_text(none.p99[0])} and {us_text(none.constant_p99)}. A fault is blocked for what is left"
        " of the hold, so its mean wait goes with the second moment."
        f" {heavy}. The kit's closed forms take the hold as constant; the chain is extrapolated to it."
        f" Lines: exact Markov chain, Erlang holds. Evidence: {EVIDENCE}."
    )


def alt(spec: Spec) -> str:
    """Return the text for who cannot see the figure."""
    none = spec.curves["none"]
    return (
        "Two line charts over the squared coefficient of variation of the hold, from constant to"
        " exponential: mean wait of a fault and its 99 % quantile, with and without a downgrade. All"
        f" four lines rise; the mean without a downgrade from {us_text(none.constant_mean)} to"
        f" {us_text(none.mean[0])}."
    )


def rows(spec: Spec) -> Rows:
    """Return everything drawn, one row a point."""
    out: list[tuple[Any, ...]] = []
    for policy, curve in spec.curves.items():
        out.append((policy, 0.0, curve.constant_mean, curve.constant_p99, "closed form"))
        out += [
            (policy, 1 / stages, mean, p99, "chain")
            for stages, mean, p99 in zip(STAGES, curve.mean, curve.p99, strict=True)
        ]
    out += [
        (h.policy, h.cv**2, h.mean, h.p99, "simulation, lognormal" if h.cv else "simulation")
        for h in spec.heavy
    ]
    return ("policy", "squared_cv", "mean_wait_ns", "p99_wait_ns", "solver"), out


def _build(inputs: Inputs) -> Spec:
    return data_for(progress=inputs.progress)


FIGURE = Kind(
    name="hold_law", size=(PAGE, 2.9),
    question="Does it matter that holds are taken as constant?",
    build=_build, draw=draw, title=title, caption=caption, alt=alt, rows=rows,
)  # fmt: skip
