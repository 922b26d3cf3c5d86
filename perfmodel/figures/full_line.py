"""Lock and cache line are answered for apart: what is lost of that where the line is full."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.figures.axes import key_below, number, percent, signed_percent, tick_labels
from perfmodel.figures.example_lock import example
from perfmodel.figures.kind import Inputs, Kind, Rows
from perfmodel.figures.style import BLUE, PAGE, VERMILLION, drawing, provenance, us_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = [
    "FIGURE",
    "FULL",
    "PANELS",
    "Spec",
    "alt",
    "caption",
    "data_for",
    "draw",
    "rows",
    "title",
]

EVIDENCE = "closed forms against a simulation of lock and line together; nothing here is measured"

#: Pause and hold of a fault, pause of the caller, its exclusive and its shared part, ns.
THINK, READ, PAUSE, EXCLUSIVE, SHARED = 5_000.0, 1_000.0, 20_000.0, 500.0, 500.0

#: Operation that fetches the line and one that finds it, ns; further ones of a blocked fault.
TRANSFER, LOCAL, SLOW = 100.0, 10.0, 2

#: Locked operations of a fault that is not blocked.
OPS = 2.0

THREADS = (4, 8, 16, 24, 32, 48, 64, 128)

#: Share of the time that the line is busy, from which on a prediction says that its account of
#: operations does not hold.
FULL = 0.95

#: What is compared: label of the axis.
PANELS: Mapping[str, str] = {
    "busy": "time that the line is busy",
    "faults": "faults a second,\ndowngrade over none",
    "calls": "calls a second,\ndowngrade over none",
}


@dataclass(frozen=True)
class Spec:
    """The figure as data; arrays have the shape (threads,).

    Parameters
    ----------
    threads : ndarray
    simulated, half_width, closed : mapping of str to ndarray
        By the keys of `PANELS`: share of the time, and relative changes by the downgrade; half of
        the 95 % interval.
    call_time : ndarray of shape (2, threads), ns
        Simulated length of a call without and with the downgrade.
    source : mapping
    """

    threads: NDArray[np.float64]
    simulated: Mapping[str, NDArray[np.float64]]
    half_width: Mapping[str, NDArray[np.float64]]
    closed: Mapping[str, NDArray[np.float64]]
    call_time: NDArray[np.float64]
    source: Mapping[str, Any]

    @property
    def full(self) -> NDArray[np.bool_]:
        """Where the kit says that the line is full."""
        return np.asarray(self.closed["busy"] > FULL)


def _simulated(
    threads: int, calls: int, replications: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what the simulation gives without and with a downgrade, of shape (runs, results)."""
    from perfmodel.errors import MissingExtraError

    try:
        from perfmodel.figures.line_and_lock import run
    except ModuleNotFoundError as error:
        if error.name != "numba":
            raise
        raise MissingExtraError("numba", "simulate") from None
    runs = [
        [
            run(threads, THINK, READ, PAUSE, exclusive, shared, TRANSFER, LOCAL, SLOW, calls, seed)
            for seed in range(replications)
        ]
        for exclusive, shared in ((EXCLUSIVE + SHARED, 0.0), (EXCLUSIVE, SHARED))
    ]
    return np.array(runs[0]), np.array(runs[1])


def _closed(threads: int) -> tuple[float, float, float]:
    """Return what the kit answers: line alone, and lock alone with every operation unhindered."""
    from perfmodel.equations.cacheline import line_utilisation
    from perfmodel.rwlock import solve

    busy = float(line_utilisation(threads, THINK + READ, OPS, TRANSFER))
    locks = [
        example(
            exclusive, shared, threads=threads, think=THINK + TRANSFER, read=READ + TRANSFER,
            pause=PAUSE + TRANSFER,
        )
        for exclusive, shared in (
            (EXCLUSIVE + SHARED + TRANSFER, 0.0), (EXCLUSIVE + LOCAL, SHARED + TRANSFER)
        )
    ]  # fmt: skip
    before, after = (solve(lock, levels=()) for lock in locks)
    return (
        busy,
        float(after.fault_rate[0] / before.fault_rate[0]) - 1,
        float(after.call_rate[0] / before.call_rate[0]) - 1,
    )


def data_for(
    *, threads: tuple[int, ...] = THREADS, calls: int = 800, replications: int = 5,
    progress: Callable[[float], None] = lambda _: None,
) -> Spec:  # fmt: skip
    """Compute the figure.

    Parameters
    ----------
    threads : tuple of int
    calls : int
        Of each run with many threads; more with few.
    replications : int
        Runs behind an interval, at least 2.
    progress : callable
        Told the share done, 0 to 1.

    Raises
    ------
    MissingExtraError
        If numba is not installed.
    """
    from scipy.special import stdtrit

    found: dict[str, list[float]] = {name: [] for name in PANELS}
    widths: dict[str, list[float]] = {name: [] for name in PANELS}
    told: list[tuple[float, float, float]] = []
    took = []
    factor = float(stdtrit(replications - 1, 0.975)) / replications**0.5
    for k, count in enumerate(threads):
        # Few threads make few events a call, and have little to gain: more calls show it.
        before, after = _simulated(count, int(calls * max(1.0, 48 / count)), replications)
        samples = {
            "busy": before[:, 2], "faults": after[:, 0] / before[:, 0] - 1,
            # The caller's own cycle: the scatter of its pauses is left out.
            "calls": (PAUSE + before[:, 3]) / (PAUSE + after[:, 3]) - 1,
        }  # fmt: skip
        for name, sample in samples.items():
            found[name].append(float(sample.mean()))
            widths[name].append(factor * float(sample.std(ddof=1)))
        took.append((before[:, 3].mean(), after[:, 3].mean()))
        told.append(_closed(count))
        progress((k + 1) / len(threads))
    return Spec(
        np.array(threads, dtype=float),
        {name: np.array(values) for name, values in found.items()},
        {name: np.array(values) for name, values in widths.items()},
        dict(zip(PANELS, np.array(told).T, strict=True)),
        np.array(took).T,
        provenance(None, evidence=EVIDENCE, scenario={
            "calls": calls * replications, "exclusive_ns": EXCLUSIVE, "line_transfer_ns": TRANSFER,
            "pause_ns": PAUSE, "read_ns": READ, "rmw_local_ns": LOCAL, "shared_ns": SHARED,
            "slowpath_ops": SLOW, "think_ns": THINK,
        }),
    )  # fmt: skip


def _draw_panel(axes: Axes, spec: Spec, name: str) -> None:
    if spec.full.any():
        first = int(np.argmax(spec.full))
        left = (
            spec.threads[0] / 2
            if first == 0
            else np.sqrt(np.prod(spec.threads[first - 1 : first + 1]))
        )
        axes.axvspan(left, 2 * spec.threads[-1], color="#E3E3E3", lw=0, zorder=0,
                     label=f"flagged: line more than {100 * FULL:.0f} % busy")  # fmt: skip
    if name != "busy":
        axes.axhline(0, color="#000000", lw=0.7, ls="-", zorder=1)
    axes.plot(spec.threads, spec.closed[name], color=BLUE, ls="-", marker="o", ms=4,
              label="the kit: lock and line apart", zorder=3)  # fmt: skip
    axes.errorbar(spec.threads, spec.simulated[name], yerr=spec.half_width[name], color=VERMILLION,
                  ls="--", marker="s", ms=4, mfc="white", elinewidth=0.8, zorder=4,
                  label="simulation of both")  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.set_xlim(spec.threads[0] / 1.2, spec.threads[-1] * 1.2)
    tick_labels(axes.xaxis, number)
    tick_labels(axes.yaxis, percent if name == "busy" else signed_percent)
    axes.set_xlabel("faulting threads")
    axes.set_ylabel(PANELS[name])


def title(spec: Spec) -> str:
    """Return the finding in one line."""
    calls = float(spec.simulated["calls"][-1])
    return (
        f"On a full line the downgrade changes the calls a second by {100 * calls:+.0f} %,"
        f" not by {100 * float(spec.closed['calls'][-1]):+.1f} %"
    )


@drawing(title)
def draw(spec: Spec, figure: Figure) -> None:
    """Draw how busy the line is, and what the downgrade changes."""
    grid = figure.subplots(1, len(PANELS))
    for axes, name in zip(grid, PANELS, strict=True):
        _draw_panel(axes, spec, name)
    grid[0].set_ylim(0, 1.05)
    key_below(figure, grid[0], 3, handlelength=3.0)


def caption(spec: Spec) -> str:
    """Return the caption, with the numbers of the spec."""
    said = []
    # The last count at which nothing is flagged, and the largest.
    for place in sorted({max(int(np.sum(~spec.full)) - 1, 0), spec.threads.size - 1}):
        changes = ", ".join(
            f"{what} {100 * spec.simulated[name][place]:+.1f} ± {100 * spec.half_width[name][place]:.1f} %"
            f" (the kit: {100 * spec.closed[name][place]:+.1f} %)"
            for name, what in (("faults", "faults"), ("calls", "calls"))
        )
        before, after = spec.call_time[:, place]
        said.append(
            f"{spec.threads[place]:.0f} threads, line {100 * spec.simulated['busy'][place]:.0f} % busy:"
            f" {changes}, a call takes {us_text(before)} without and {us_text(after)} with the downgrade."
        )
    return (
        f"Threads that fault for {us_text(READ)} and pause {us_text(THINK)}, one caller that holds the"
        f" lock for {us_text(EXCLUSIVE)} and {us_text(SHARED)} more, shared after a downgrade, and pauses"
        f" {us_text(PAUSE)}; an operation on the lock's line takes {us_text(TRANSFER)}"
        f" ({us_text(LOCAL)} for the CPU that had it last), a fault makes {OPS:g} and {SLOW} more if it is"
        f" blocked. {' '.join(said)} On a full line every fault waits its turn, the short hold is over"
        " before the line has served what queued, and the downgrade's own operation waits in the same"
        " line: the caller pays for it, and the faults gain from operations that they need not make."
        " The kit's net gain charges for the operation; its faults and calls a second do not know of it."
        f" Bars: 95 %. Evidence: {EVIDENCE}."
    )


def alt(spec: Spec) -> str:
    """Return the text for who cannot see the figure."""
    return (
        "Three line charts over the number of faulting threads: how busy the line is, and the change"
        " by the downgrade of faults and of calls a second, by the kit and by simulation. They agree"
        f" up to {spec.threads[~spec.full].max(initial=0):.0f} threads and part where the line is full:"
        f" at {spec.threads[-1]:.0f} threads faults {100 * spec.simulated['faults'][-1]:+.1f} % against"
        f" {100 * spec.closed['faults'][-1]:+.1f} %, calls {100 * spec.simulated['calls'][-1]:+.1f} %"
        f" against {100 * spec.closed['calls'][-1]:+.1f} %."
    )


def rows(spec: Spec) -> Rows:
    """Return everything drawn, one row a point."""
    head = ("quantity", "threads", "simulated", "half_width_95", "closed", "flagged")
    return head, [
        (name, int(spec.threads[i]), spec.simulated[name][i], spec.half_width[name][i],
         spec.closed[name][i], int(spec.full[i]))
        for name in PANELS for i in range(spec.threads.size)
    ]  # fmt: skip


def _build(inputs: Inputs) -> Spec:
    return data_for(progress=inputs.progress)


FIGURE = Kind(
    name="full_line", size=(PAGE, 2.9),
    question="What does the downgrade do where the lock's cache line is full?",
    build=_build, draw=draw, title=title, caption=caption, alt=alt, rows=rows, claims=("C4",),
)  # fmt: skip
