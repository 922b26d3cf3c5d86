"""What of a downgrade's gain arrives where threads share too few CPUs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.figures.axes import key_below
from perfmodel.figures.example_lock import EVIDENCE, READ, THREADS, example
from perfmodel.figures.kind import Inputs, Kind, Rows
from perfmodel.figures.style import (
    BLUE,
    GREEN,
    PAGE,
    VERMILLION,
    drawing,
    provenance,
    us_text,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["CUT", "FIGURE", "THINKS", "Curve", "Spec", "alt", "caption", "data_for", "draw", "rows",
           "title"]  # fmt: skip

#: Hold of a call and pause of the caller, ns: long enough for the downgrade to matter.
HOLD, PAUSE = 40_000.0, 40_000.0

#: Share of the hold that the downgrade makes shared.
CUT = 0.9

#: Pauses of a faulting thread, ns: colour, line style, marker.
THINKS: Mapping[float, tuple[str, str, str]] = {
    5_000.0: (BLUE, "-", "o"), 20_000.0: (GREEN, "-.", "^"), 80_000.0: (VERMILLION, "--", "s"),
}  # fmt: skip


@dataclass(frozen=True)
class Curve:
    """One pause: tuples in the order of the CPUs.

    Parameters
    ----------
    chain, closed : tuple of float
        Relative gain in faults a second by the downgrade, by the exact chain and the closed form.
    blocked_threads : float
        Threads blocked on average without a downgrade, with a CPU for each.
    """

    chain: tuple[float, ...]
    closed: tuple[float, ...]
    blocked_threads: float

    @property
    def realised(self) -> tuple[float, ...]:
        """Share of the gain with a CPU for each thread, by the chain."""
        return tuple(x / self.chain[-1] for x in self.chain)


@dataclass(frozen=True)
class Spec:
    """The figure as data: the last number of CPUs is one for each thread."""

    cpus: tuple[int, ...]
    curves: Mapping[float, Curve]
    source: Mapping[str, Any]

    @property
    def threads(self) -> int:
        """Threads, the caller among them."""
        return self.cpus[-1]


def data_for(*, progress: Callable[[float], None] = lambda _: None) -> Spec:
    """Compute the figure."""
    from perfmodel.rwlock import solve
    from perfmodel.rwlock.fallback import chain_of_constant_holds

    cpus = tuple(range(1, THREADS + 2))
    curves = {}
    for k, think in enumerate(THINKS):
        locks = [
            replace(
                example(HOLD * (1 - s), HOLD * s, think=think, pause=PAUSE), readers_sleep=False
            )
            for s in (0.0, CUT)
        ]
        gains: dict[str, list[float]] = {"chain": [], "closed": []}
        for i, count in enumerate(cpus):
            asked = [replace(lock, cpus=count) for lock in locks]
            for name, ask in (
                ("chain", chain_of_constant_holds),
                ("closed", lambda lock: solve(lock, ())),
            ):
                before, after = (float(ask(lock).fault_rate[0]) for lock in asked)
                gains[name].append(after / before - 1)
            progress((k + (i + 1) / len(cpus)) / len(THINKS))
        alone = solve(locks[0], ())
        blocked = float((alone.blocked_time * alone.call_rate)[0])
        curves[think] = Curve(tuple(gains["chain"]), tuple(gains["closed"]), blocked)
    return Spec(
        cpus, curves,
        provenance(None, evidence=EVIDENCE, scenario={
            "fault_threads": THREADS, "hold_ns": HOLD, "pause_ns": PAUSE, "read_ns": READ,
            "shared_share": CUT, "think_ns": list(THINKS),
        }),
    )  # fmt: skip


def title(spec: Spec) -> str:
    """Return the finding in one line."""
    shares = [c.realised[_half(spec)] for c in spec.curves.values()]
    return (
        f"With half as many CPUs as threads {100 * min(shares):.0f} to {100 * max(shares):.0f} % of"
        " the gain arrives"
    )


@drawing(title)
def draw(spec: Spec, figure: Figure) -> None:
    """Draw the gain in throughput over the CPUs, and its share of what it would be."""
    left, right = figure.subplots(1, 2)
    per_thread = np.array(spec.cpus) / spec.threads
    for think, curve in spec.curves.items():
        colour, style, marker = THINKS[think]
        left.plot(per_thread, 100 * np.array(curve.closed), color=colour, ls=style, lw=1.4)
        left.plot(per_thread, 100 * np.array(curve.chain), color=colour, ls="none", marker=marker,
                  ms=4, mfc="white")  # fmt: skip
        right.plot(per_thread, curve.realised, color=colour, ls=style, marker=marker, ms=4,
                   mfc="white", label=f"threads pause {us_text(think)}")  # fmt: skip
    left.set_ylabel("faults per second gained\nby the downgrade (%)")
    right.set_ylabel("share of the gain with\na CPU for every thread")
    for axes in (left, right):
        axes.set_xlabel("CPUs per thread")
        axes.set_xlim(0, 1.03)
        axes.grid(axis="y")
    left.set_ylim(bottom=0)
    right.set_ylim(0, 1.05)
    left.set_title("lines: closed form, marks: exact chain")
    key_below(figure, right, 3)


def _half(spec: Spec) -> int:
    return min(range(len(spec.cpus)), key=lambda i: abs(spec.cpus[i] / spec.threads - 0.5))


def caption(spec: Spec) -> str:
    """Return the caption, with the numbers of the spec."""
    place, quarter = _half(spec), max(0, round(0.25 * spec.threads) - 1)
    said = "; ".join(
        f"pause {us_text(think)}: {100 * c.chain[-1]:.0f} % more faults a second with a CPU each,"
        f" {100 * c.chain[place]:.1f} % on {spec.cpus[place]} CPUs and {100 * c.chain[quarter]:.1f} %"
        f" on {spec.cpus[quarter]} ({c.blocked_threads:.1f} threads blocked on average)"
        for think, c in spec.curves.items()
    )
    apart = max(
        abs(a - b) for c in spec.curves.values() for a, b in zip(c.chain, c.closed, strict=True)
    )
    return (
        f"Gain of a downgrade that makes {100 * CUT:.0f} % of a hold of {us_text(HOLD)} shared, one"
        f" call every {us_text(HOLD + PAUSE)} or so,"
        f" {spec.threads} threads on fewer CPUs: {said}. A blocked thread frees its CPU, so with few"
        " CPUs the time that it is blocked is not lost. Closed form and exact chain differ by at most"
        f" {100 * apart:.1f} points. Evidence: {EVIDENCE}."
    )


def alt(spec: Spec) -> str:
    """Return the text for who cannot see the figure."""
    return (
        "Two line charts over CPUs per thread: the gain in faults per second by a downgrade, which"
        " rises from near zero, and the same as a share of the gain with a CPU for every thread."
        f" {title(spec)}."
    )


def rows(spec: Spec) -> Rows:
    """Return everything drawn, one row a point."""
    out = [
        (think, count, chain, closed, share)
        for think, c in spec.curves.items()
        for count, chain, closed, share in zip(
            spec.cpus, c.chain, c.closed, c.realised, strict=True
        )
    ]
    return ("think_ns", "cpus", "gain_chain", "gain_closed", "realised_share"), out


def _build(inputs: Inputs) -> Spec:
    return data_for(progress=inputs.progress)


FIGURE = Kind(
    name="few_cpus", size=(PAGE, 2.9),
    question="What of the gain arrives where threads share too few CPUs?",
    build=_build, draw=draw, title=title, caption=caption, alt=alt, rows=rows,
)  # fmt: skip
