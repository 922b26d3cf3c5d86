"""A fault that meets mprotect waits for its end; one that meets munmap, only for the downgrade."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.figures.axes import key_below, tick_labels
from perfmodel.figures.kind import Inputs, Kind, Rows
from perfmodel.figures.style import (
    BLACK,
    BLUE,
    PAGE,
    VERMILLION,
    drawing,
    evidence,
    files_of,
    pooled,
    provenance,
    us_text,
)
from perfmodel.hold import ACTUAL_POLICY, hold
from perfmodel.kernel import Kernel
from perfmodel.results import LEVEL
from perfmodel.scenario import Call, Faults, Policy, Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from perfmodel.machine import Machine
    from perfmodel.observations import ObservationTable

__all__ = ["FIGURE", "Cloud", "Panel", "Spec", "alt", "caption", "data_for", "draw", "rows",
           "title"]  # fmt: skip

SIZES = (512, 4096)
WRITERS = ("mprotect", "munmap")

#: Target of the faults: label, colour, marker.
TARGETS: Mapping[str, tuple[str, str, str]] = {
    "same_vma": ("read of the same VMA's rest", BLUE, "o"),
    "fresh_vma": ("first write to a fresh VMA", VERMILLION, "^"),
}

#: Where the axes begin, ns: below this the clock's own cost shows.
LEFT, BOTTOM = 50.0, 200.0


@dataclass(frozen=True)
class Cloud:
    """Measured faults of one target; arrays of shape (n,), ns.

    Parameters
    ----------
    target : str
    offset, latency : ndarray, ns
        Begin after the begin of the call; duration of the fault. The pairs that were kept.
    total : int
        Faults that began within a call, kept or not.
    median : float, ns
        Of all of them.
    idle : float, ns
        Median of such a fault while no call runs.
    call : float, ns
        Median duration of the calls that the pairs met.
    limit : float, ns
        Latency from which on a fault counts as blocked (`perfmodel.fit.natural.threshold`).
    """

    target: str
    offset: NDArray[np.float64]
    latency: NDArray[np.float64]
    total: int
    median: float
    idle: float
    call: float
    limit: float

    @property
    def blocked(self) -> float:
        """Share of the kept faults that took longer than `limit`."""
        if not self.latency.size or math.isnan(self.limit):
            return math.nan
        return float(np.mean(self.latency > self.limit))


@dataclass(frozen=True)
class Panel:
    """One operation at one size.

    Parameters
    ----------
    writer : str
    pages : int
    offset : ndarray of shape (n,), ns
        Of the model's line.
    latency, low, high : ndarray of shape (n,), ns
        Predicted fault: remaining exclusive hold, wake-up, fault; with the 90 % interval.
    release : float, ns
        When the write lock ends: at the downgrade, or at the end.
    call : float, ns
        Predicted length of the call.
    clouds : tuple of Cloud
    """

    writer: str
    pages: int
    offset: NDArray[np.float64]
    latency: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    release: float
    call: float
    clouds: tuple[Cloud, ...]


@dataclass(frozen=True)
class Spec:
    """The figure as data: panels by size, then operation."""

    panels: tuple[Panel, ...]
    kernel: str
    evidence: str
    source: Mapping[str, Any]

    @property
    def has_measurements(self) -> bool:
        """Whether any panel has measured faults."""
        return any(p.clouds for p in self.panels)

    def medians(self, writer: str, pages: int) -> dict[str, float]:
        """Return the measured median latency of faults begun in the call, by target, ns."""
        for p in self.panels:
            if (p.writer, p.pages) == (writer, pages):
                return {c.target: c.median for c in p.clouds}
        return {}


def _pairs_of(table: ObservationTable) -> dict[tuple[str, int], Any]:
    """Return the kept pairs by file and record; a file that is gone since has none."""
    from perfmodel.readers.bench_json import fault_pairs

    found = {}
    documents = (g.source.file for g in table.groups if g.source.format == "bench_json")
    for file in dict.fromkeys(documents):
        if Path(file).is_file():
            found.update({(file, line): p for line, p in fault_pairs(file).items()})
    return found


def _clouds(
    machine: Machine,
    table: ObservationTable,
    pairs: Mapping[tuple[str, int], Any],
    writer: str,
    pages: int,
) -> tuple[Cloud, ...]:
    from perfmodel.fit.natural import threshold

    clouds = []
    for target in TARGETS:
        same = table.select(
            benchmark="fault_latency", writer=writer, pages=pages, shape="edge", target=target,
            direction="forth", vmas=1,
        )  # fmt: skip
        during, idle = same.select(phase="during").groups, same.select(phase="idle").groups
        undisturbed = float(pooled(idle, (0.5,))[0])
        kept = [pairs[key] for g in during if (key := (g.source.file, g.line)) in pairs]
        kept = [p for p in kept if p.offset.size]
        if not kept:
            continue
        clouds.append(
            Cloud(
                target,
                np.concatenate([p.offset for p in kept]),
                np.concatenate([p.latency for p in kept]),
                sum(g.total for g in during),
                float(pooled(during, (0.5,))[0]),
                undisturbed,
                float(np.median(np.concatenate([p.call for p in kept]))),
                threshold(machine, undisturbed),
            )
        )
    return tuple(clouds)


def _model(machine: Machine, release: str, writer: str, pages: int, draws: int) -> Panel:
    # The other thread is blocked, so its CPU is idle and needs no interrupt before the lock is
    # released: an idle CPU flushes when it next runs the process.
    call = Call(writer, pages=pages, splits=1, transition="RW->R", remote_cpus=0)
    policy = ACTUAL_POLICY[writer]
    scenario = Scenario(machine, Kernel(release), call, Faults(rate=1e4),
                        policies=(Policy.NONE, policy))  # fmt: skip
    constants = machine.draws(draws)
    held = hold(scenario, policy, constants)
    # Half of entering and leaving the kernel lies before the lock.
    ends = 0.5 * constants["syscall"] + held.exclusive
    length = float(held.call[0])
    span = length if math.isfinite(length) else 1e5
    offset = np.unique(np.concatenate([np.geomspace(LEFT, span, 120), _edges(float(ends[0]))]))
    rest = ends[:, None] - offset[None, :]
    fault, wake = constants["fault_minor"][:, None], constants["wake_latency"][:, None]
    # Not np.maximum(rest, 0) + wake: a fault that comes after the release does not sleep.
    waits = np.where(rest > 0, rest + wake, np.where(np.isnan(rest), np.nan, 0.0))
    latency = waits + fault
    levels = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    low, high = np.quantile(latency, levels, axis=0)
    return Panel(writer, pages, offset, latency[0], low, high, float(ends[0]), length, ())


def _edges(release: float) -> NDArray[np.float64]:
    """Offsets just before and after the release, so that the line drops steeply there."""
    return np.array([0.999, 1.001]) * release if math.isfinite(release) else np.empty(0)


def data_for(
    machine: Machine, table: ObservationTable | None = None, *, sizes: tuple[int, ...] = SIZES,
    kernel: str | None = None, draws: int = 200,
) -> Spec:  # fmt: skip
    """Compute the figure.

    Parameters
    ----------
    machine : Machine
    table : ObservationTable, optional
        With the records of the benchmark ``fault_latency``; their pairs are read from its files.
    sizes : tuple of int
        Pages of the calls.
    kernel : str, optional
        Release. Default: that of the calibration.
    draws : int
        Draws of the machine's constants behind the band.
    """
    from dataclasses import replace

    state = machine.state.get("machine") or {}
    release = kernel or str((state.get("kernel") or {}).get("release") or "6.18")
    pairs = _pairs_of(table) if table is not None else {}
    panels = []
    for pages in sizes:
        for writer in WRITERS:
            panel = _model(machine, release, writer, pages, draws)
            if table is not None:
                panel = replace(panel, clouds=_clouds(machine, table, pairs, writer, pages))
            panels.append(panel)
    shown = table if any(p.clouds for p in panels) else None
    basis = evidence(machine, shown)
    return Spec(
        tuple(panels), ".".join(release.split(".")[:2]), basis,
        provenance(
            machine, evidence=basis, inputs=files_of(shown),
            scenario={"kernel": release, "pages": list(sizes), "splits": 1, "transition": "RW->R"},
        ),
    )  # fmt: skip


#: Share of the measured faults that the axes must hold; a few preempted ones would stretch them.
_SHOWN = 0.99


def _limits(spec: Spec) -> tuple[float, float]:
    """Return the right end of the offsets and the upper end of the latencies, ns."""
    calls = [p.call for p in spec.panels if math.isfinite(p.call)]
    right, top = max(calls, default=1e6), 2 * max(calls, default=1e6)
    clouds = [c for p in spec.panels for c in p.clouds]
    if clouds:
        right = max(right, float(np.quantile(np.concatenate([c.offset for c in clouds]), _SHOWN)))
        top = float(np.quantile(np.concatenate([c.latency for c in clouds]), _SHOWN))
    lines = [float(np.nanmax(p.high)) for p in spec.panels if np.isfinite(p.high).any()]
    return 1.3 * right, 1.5 * max([top, *lines])


def _beyond(spec: Spec) -> int:
    """Count the kept faults that lie outside the axes."""
    right, top = _limits(spec)
    return sum(
        int(np.sum((c.offset < LEFT) | (c.offset > right)
                   | (c.latency < BOTTOM) | (c.latency > top)))
        for p in spec.panels for c in p.clouds
    )  # fmt: skip


def _draw_panel(axes: Axes, panel: Panel, limits: tuple[float, float]) -> None:
    end = "held to the end" if ACTUAL_POLICY[panel.writer] is Policy.NONE else "downgrades"
    axes.set_title(f"{panel.writer}, {panel.pages} pages: {end}")
    axes.set(xscale="log", yscale="log", xlim=(LEFT, limits[0]), ylim=(BOTTOM, limits[1]))
    for axis in (axes.xaxis, axes.yaxis):
        tick_labels(axis, us_text)
    for cloud in panel.clouds:
        _, colour, marker = TARGETS[cloud.target]
        axes.plot(cloud.offset, cloud.latency, ls="none", marker=marker, ms=3.2, color=colour,
                  alpha=0.55, mew=0, zorder=3)  # fmt: skip
    if not np.isfinite(panel.latency).any():
        axes.text(0.5, 0.9, "model: unknown, the profile lacks a constant", ha="center",
                  transform=axes.transAxes, fontsize=7)  # fmt: skip
        return
    axes.fill_between(panel.offset, panel.low, panel.high, color="#BBBBBB", alpha=0.6, lw=0,
                      zorder=1)  # fmt: skip
    axes.plot(panel.offset, panel.latency, color=BLACK, lw=1.6, ls="-", zorder=4)
    axes.axvline(panel.release, color=BLACK, lw=0.7, ls=":", zorder=2)
    early = panel.release < 0.05 * panel.call
    axes.text(
        panel.release * (1.12 if early else 0.9), 1.15 * BOTTOM,
        f"downgrade, {us_text(panel.release)}" if early else f"unlock, {us_text(panel.release)}",
        fontsize=7, ha="left" if early else "right", va="bottom",
        bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.8}, zorder=5,
    )  # fmt: skip


def title(spec: Spec) -> str:
    """Return the finding in one line."""
    best = _contrast(spec)
    if best is None:
        return "Predicted: faults wait for the end of mprotect, but only for munmap's downgrade"
    pages, _, kept, given = best
    return (
        f"{pages} pages: a fault takes {us_text(kept)} in mprotect, {us_text(given)} in munmap,"
        " which downgrades"
    )


@drawing(title)
def draw(spec: Spec, figure: Figure) -> None:
    """Draw mprotect beside munmap, one row a size."""
    from matplotlib.lines import Line2D

    lines = math.ceil(len(spec.panels) / len(WRITERS))
    grid = figure.subplots(lines, len(WRITERS), sharex=True, sharey=True, squeeze=False)
    limits = _limits(spec)
    for axes, panel in zip(grid.flat, spec.panels, strict=True):
        _draw_panel(axes, panel, limits)
    for axes in grid[:, 0]:
        axes.set_ylabel("time the fault took")
    for axes in grid[-1]:
        axes.set_xlabel("begin of the fault after the begin of the call")
    keys: list[Any] = [
        Line2D([], [], ls="none", marker=marker, color=colour, ms=4.5, label="measured: " + label)
        for target, (label, colour, marker) in TARGETS.items()
        if any(c.target == target for p in spec.panels for c in p.clouds)
    ]  # fmt: skip
    keys.append(Line2D([], [], color=BLACK, lw=1.6, ls="-", label="model: rest of the write lock,\n"
                       "wake-up, fault (90 % band)"))  # fmt: skip
    if not spec.has_measurements:
        keys.append(Line2D([], [], ls="none", label="model alone: no measurements given"))
    key_below(figure, keys, 3, handlelength=1.6)


def _contrast(spec: Spec) -> tuple[int, str, float, float] | None:
    """Pages, target and measured medians under mprotect and munmap where they differ most."""
    found = []
    for pages in dict.fromkeys(p.pages for p in spec.panels):
        kept, given = (spec.medians(w, pages) for w in WRITERS)
        found += [(pages, t, kept[t], given[t]) for t in kept.keys() & given.keys()]
    return max(found, key=lambda f: (f[2] / f[3], f[1])) if found else None


def caption(spec: Spec) -> str:
    """Return the caption, with the numbers of the spec."""
    s = (
        "Time of a fault over its begin within a call of another thread, kernel"
        f" {spec.kernel}, one split, all pages present. mprotect keeps the write lock to its end;"
        " munmap of the same range gives it back to readers before it unmaps the pages. Line: the"
        " model, the rest of the exclusive hold, the wake-up and the fault itself, with the 90 %"
        " band of the calibration. "
    )
    s += " ".join(
        f"Predicted, {p.writer}, {p.pages} pages: the write lock ends {us_text(p.release)} after"
        f" the begin of a call of {us_text(p.call)}."
        for p in spec.panels
    )
    if not spec.has_measurements:
        return s + f" The model alone: no measured faults were given. Evidence: {spec.evidence}."
    for p in spec.panels:
        for c in p.clouds:
            s += (
                f" Measured, {p.writer}, {p.pages} pages, {TARGETS[c.target][0]}: median"
                f" {us_text(c.median)} over {c.total} faults"
                + (
                    f" (undisturbed {us_text(c.idle)}); {100 * c.blocked:.0f} % of the {c.offset.size} shown"
                    " were blocked."
                    if math.isfinite(c.idle)
                    # Who was blocked is told by the undisturbed ones.
                    else f"; {c.offset.size} are shown, beside none that was undisturbed."
                )
            )
    if beyond := _beyond(spec):
        s += f" {beyond} of them lie outside the axes."
    s += (
        " One thread faults again and again, so that it meets mprotect soon after its begin and"
        " then sleeps; where nothing blocks it, its faults lie all over the call. The wake-up of"
        " the model is that of a CPU long idle; one that has slept a few microseconds only is"
        " sooner there."
        f" Evidence: {spec.evidence}."
    )
    return s


def alt(spec: Spec) -> str:
    """Return the text for who cannot see the figure."""
    parts = [
        f"{p.writer} of {p.pages} pages: {TARGETS[c.target][0]}, median {us_text(c.median)}"
        for p in spec.panels for c in p.clouds
    ]  # fmt: skip
    if not parts:
        parts = [
            f"{p.writer} of {p.pages} pages: write lock for {us_text(p.release)}"
            for p in spec.panels
        ]
    head = "Scatter plots of fault time over the begin of the fault in a call. "
    return head + "; ".join(parts) + "."


def rows(spec: Spec) -> Rows:
    """Return everything drawn, one row a point of a cloud or of the model's line."""
    head = ("writer", "pages", "what", "offset_ns", "latency_ns", "low_ns", "high_ns")
    out: list[tuple[Any, ...]] = []
    for p in spec.panels:
        for c in p.clouds:
            out += [(p.writer, p.pages, c.target, x, y, "", "")
                    for x, y in zip(c.offset, c.latency, strict=True)]  # fmt: skip
        out += [(p.writer, p.pages, "model", *values)
                for values in zip(p.offset, p.latency, p.low, p.high, strict=True)]  # fmt: skip
    return head, out


def _build(inputs: Inputs) -> Spec:
    return data_for(inputs.machine, inputs.table)


FIGURE = Kind(
    name="natural_experiment", size=(PAGE, 3.9),
    question="munmap downgrades already: does a fault that meets it notice?",
    build=_build, draw=draw, title=title, caption=caption, alt=alt, rows=rows, claims=("C5",),
)  # fmt: skip
