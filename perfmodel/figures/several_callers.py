"""Several callers with a long shared part: the closed form does not see who waits behind it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.figures.axes import key_below, number, signed_percent, tick_labels
from perfmodel.figures.example_lock import EVIDENCE, HOLD, READ, THINK, THREADS, example
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
    from numpy.typing import NDArray

__all__ = ["CALLERS", "FIGURE", "SHARES", "Curve", "Spec", "alt", "caption", "data_for", "draw",
           "rows", "title"]  # fmt: skip

#: Pause of a caller, ns.
PAUSE = 200_000.0

#: Numbers of callers: colour, line style, marker.
CALLERS: Mapping[int, tuple[str, str, str]] = {
    1: (BLUE, "-", "o"), 2: (GREEN, "-.", "^"), 4: (VERMILLION, "--", "s"),
}  # fmt: skip

SHARES = (0.0, 0.15, 0.3, 0.45, 0.55, 0.65, 0.75, 0.85, 0.92, 0.97)


@dataclass(frozen=True)
class Curve:
    """One number of callers; arrays of shape (shares,).

    Parameters
    ----------
    chain, closed : ndarray, ns
        Mean wait of a fault.
    valid : ndarray of bool
        Where the closed form says that its stated error holds.
    """

    chain: NDArray[np.float64]
    closed: NDArray[np.float64]
    valid: NDArray[np.bool_]

    @property
    def error(self) -> NDArray[np.float64]:
        """Closed form over chain, less one."""
        return np.asarray(self.closed / self.chain - 1)

    def worst(self, *, valid: bool) -> float:
        """Return the largest error within or outside the region; NaN if there is no such point."""
        some = self.error[self.valid == valid]
        return float(some[np.argmax(np.abs(some))]) if some.size else math.nan


@dataclass(frozen=True)
class Spec:
    """The figure as data."""

    shares: NDArray[np.float64]
    curves: Mapping[int, Curve]
    source: Mapping[str, Any]


def data_for(
    *, shares: tuple[float, ...] = SHARES, callers: tuple[int, ...] = tuple(CALLERS),
    threads: int = THREADS, progress: Callable[[float], None] = lambda _: None,
) -> Spec:  # fmt: skip
    """Compute the figure.

    Parameters
    ----------
    shares : tuple of float
        Shared shares of the hold.
    callers : tuple of int
        Some of `CALLERS`.
    threads : int
        Faulting threads.
    progress : callable
        Told the share done, 0 to 1.
    """
    from perfmodel.rwlock import solve
    from perfmodel.rwlock.fallback import chain_of_constant_holds

    curves = {}
    for k, count in enumerate(callers):
        chain, closed, valid = [], [], []
        for i, share in enumerate(shares):
            lock = example(
                HOLD * (1 - share), HOLD * share, callers=count, pause=PAUSE, threads=threads
            )
            answer = solve(lock, levels=())
            closed.append(float(answer.wait_mean[0]))
            valid.append(bool(answer.valid[0]))
            chain.append(float(chain_of_constant_holds(lock).wait_mean[0]))
            progress((k + (i + 1) / len(shares)) / len(callers))
        curves[count] = Curve(np.array(chain), np.array(closed), np.array(valid))
    return Spec(
        np.array(shares), curves,
        provenance(None, evidence=EVIDENCE, scenario={
            "fault_threads": threads, "hold_ns": HOLD, "pause_ns": PAUSE, "read_ns": READ,
            "think_ns": THINK,
        }),
    )  # fmt: skip


def _name(callers: int) -> str:
    return f"{callers} caller{'s' if callers > 1 else ''}"


def title(spec: Spec) -> str:
    """Return the finding in one line."""
    count = max(spec.curves)
    place = int(np.argmin(np.abs(spec.shares - 0.92)))
    return (
        f"{_name(count)}, {100 * spec.shares[place]:.0f} % shared: the closed form sees"
        f" {100 * (1 + spec.curves[count].error[place]):.0f} % of a fault's wait"
    )


@drawing(title)
def draw(spec: Spec, figure: Figure) -> None:
    """Draw the mean wait by chain and closed form, and the error, over the shared share."""
    from matplotlib.lines import Line2D

    left, right = figure.subplots(1, 2)
    for count, curve in spec.curves.items():
        colour, style, marker = CALLERS[count]
        left.plot(spec.shares, curve.closed / 1e3, color=colour, ls=style, zorder=3)
        left.plot(spec.shares, curve.chain / 1e3, color=colour, ls="none", marker=marker, ms=4,
                  mfc="white", zorder=4)  # fmt: skip
        right.plot(spec.shares, curve.error, color=colour, ls=style, zorder=3)
        for valid, fill in ((True, colour), (False, "white")):
            some = curve.valid == valid
            right.plot(spec.shares[some], curve.error[some], color=colour, ls="none",
                       marker=marker, ms=4.5, mfc=fill, zorder=4)  # fmt: skip
    left.set_yscale("log")
    tick_labels(left.yaxis, number, minor=True)
    left.set_ylabel("mean wait of a fault (µs)")
    left.set_title("lines: closed form, marks: exact chain")
    right.axhline(0, color="#000000", lw=0.7, ls="-", zorder=1)
    right.set_ylim(-1, 0.1)
    tick_labels(right.yaxis, signed_percent, minor=True)
    right.set_ylabel("error of the closed form")
    right.set_title("hollow: flagged, the chain answers")
    for axes in (left, right):
        axes.set_xlabel("share of the hold that is shared (%)")
        tick_labels(axes.xaxis, lambda v: f"{100 * v:.0f}", minor=True)
        axes.set_xlim(-0.02, 1)
        axes.grid(axis="y")
    keys = [
        Line2D([], [], color=colour, ls=style, marker=marker, ms=4.5, label=_name(count))
        for count, (colour, style, marker) in CALLERS.items() if count in spec.curves
    ]  # fmt: skip
    key_below(figure, keys, 3, handlelength=3.2)


def caption(spec: Spec) -> str:
    """Return the caption, with the numbers of the spec."""
    said = []
    for count, curve in spec.curves.items():
        inside, outside = (curve.worst(valid=v) for v in (True, False))
        words = [
            f"{100 * error:+.1f} % at worst {where}"
            for error, where in ((inside, "where it says that it holds"), (outside, "elsewhere"))
            if not math.isnan(error)
        ]
        said.append(f"{_name(count)}: {', '.join(words)}")
    threads = spec.source["scenario"]["fault_threads"]
    return (
        f"Mean wait of a fault in a closed population of {threads} threads that fault for"
        f" {us_text(READ)} and pause {us_text(THINK)}, and callers that hold the lock for"
        f" {us_text(HOLD)} (constant) and pause {us_text(PAUSE)}, over the shared share of the hold,"
        " by the kernel's rule. A caller who comes while another has the lock shared waits for it to"
        " end, and every fault from then on waits behind that caller: no downgrade shortens it, and"
        f" the closed form, which adds calls up, does not know of it. {'; '.join(said)}."
        f" Evidence: {EVIDENCE}."
    )


def alt(spec: Spec) -> str:
    """Return the text for who cannot see the figure."""
    last = spec.shares[-1]
    # Adding 0 makes no error of less than half a per cent a negative nothing.
    said = ", ".join(
        f"{_name(n)} {round(100 * float(c.error[-1])) + 0:d} %" for n, c in spec.curves.items()
    )
    return (
        "Two line charts over the share of the hold that is shared: mean wait of a fault by closed"
        " form and exact chain, and the closed form's error, which grows with the share and with"
        f" the callers: at {100 * last:.0f} % {said}."
    )


def rows(spec: Spec) -> Rows:
    """Return everything drawn, one row a point."""
    return ("callers", "shared_share", "chain_ns", "closed_ns", "error", "stated_error_holds"), [
        (n, spec.shares[i], c.chain[i], c.closed[i], c.error[i], int(c.valid[i]))
        for n, c in spec.curves.items() for i in range(spec.shares.size)
    ]  # fmt: skip


def _build(inputs: Inputs) -> Spec:
    return data_for(progress=inputs.progress)


FIGURE = Kind(
    name="several_callers", size=(PAGE, 2.9),
    question="What if several threads call mprotect at once?",
    build=_build, draw=draw, title=title, caption=caption, alt=alt, rows=rows,
)  # fmt: skip
