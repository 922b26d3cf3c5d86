"""Which part of a call blocks faults, by policy and size, with the measured calls over it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.figures.axes import key_below
from perfmodel.figures.kind import Inputs, Kind, Rows
from perfmodel.figures.style import (
    BLACK,
    BLUE,
    ORANGE,
    PAGE,
    PURPLE,
    SKY,
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
from perfmodel.scenario import Call, Faults, Policy, Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from perfmodel.machine import Machine
    from perfmodel.observations import ObservationTable

__all__ = ["BARS", "FIGURE", "Bar", "Piece", "Spec", "alt", "caption", "data_for", "draw", "rows",
           "title"]  # fmt: skip

SIZES = (1, 16, 512, 16384)

#: Operation, policy and label of each bar; the first is what mprotect does today.
BARS: tuple[tuple[str, Policy, str], ...] = (
    ("mprotect", Policy.NONE, "mprotect today:\nno downgrade"),
    ("mprotect", Policy.LAST_VMA, "mprotect, cut before\nthe walk (last-vma)"),
    ("mprotect", Policy.BEFORE_FLUSH, "mprotect, cut before\nthe flush (before-flush)"),
    ("munmap", Policy.LAST_VMA, "munmap today:\ndowngrades"),
    ("uffd_writeprotect", Policy.READ_ONLY, "uffd write-protect\ntoday: read lock"),
)

#: Colour and hatch of each group of pieces, and how a person would call it.
_GROUPS: Mapping[str, tuple[str, str, str, tuple[str, ...]]] = {
    "enter": ("#C8C8C8", "", "enter and leave the kernel", ("enter",)),
    "prepare": (BLUE, "", "lock, find and change the VMA", ("locked", "find", "prepare")),
    "walk": (SKY, "///", "walk the page table", ("step", "walk_start", "walk")),
    "flush": (ORANGE, "...", "flush this CPU's TLB", ("flush",)),
    "shootdown": (VERMILLION, "\\\\\\", "interrupt other CPUs", ("shootdown",)),
    "finish": (PURPLE, "xxx", "free page tables and VMAs", ("finish",)),
}
_GROUP_OF = {piece: name for name, (*_, pieces) in _GROUPS.items() for piece in pieces}


@dataclass(frozen=True)
class Piece:
    """One stretch of a bar: group, lock mode, start and length in ns."""

    group: str
    mode: str
    start: float
    ns: float


@dataclass(frozen=True)
class Bar:
    """One call under one policy.

    Parameters
    ----------
    operation : str
    policy : Policy
    label : str
    pages : int
    pieces : tuple of Piece
        In time order; empty where a constant is unknown.
    exclusive, shared, call : float, ns
    measured : tuple of float, ns
        10 %, 50 % and 90 % quantiles of the measured call; NaN where there is none, or where no
        kernel does this.
    events : int
        Calls measured.
    traced_exclusive : float, ns
        Median hold under the write lock from tracepoints, the tracer's cost taken off; NaN if none.
    """

    operation: str
    policy: Policy
    label: str
    pages: int
    pieces: tuple[Piece, ...]
    exclusive: float
    shared: float
    call: float
    measured: tuple[float, float, float]
    events: int
    traced_exclusive: float


@dataclass(frozen=True)
class Spec:
    """The figure as data: one panel a size, one bar an entry of `BARS`."""

    panels: tuple[tuple[Bar, ...], ...]
    kernel: str
    remote_cpus: float
    evidence: str
    source: Mapping[str, Any]

    @property
    def bars(self) -> tuple[Bar, ...]:
        """All bars of all panels."""
        return tuple(bar for panel in self.panels for bar in panel)

    @property
    def has_measurements(self) -> bool:
        """Whether any bar has a measured call beside it."""
        return any(math.isfinite(b.measured[1]) for b in self.bars)


def _kernel(machine: Machine, table: ObservationTable | None) -> str:
    """Release the figure is about: that of the measured calls, else that of the calibration."""
    states = [d.get("machine") or {} for d in (table.machines.values() if table else ())]
    states.append(machine.state.get("machine") or {})
    for state in states:
        release = (state.get("kernel") or {}).get("release")
        if release:
            return str(release)
    return "6.18"


def _measured(
    table: ObservationTable | None, operation: str, pages: int, remote_cpus: float
) -> tuple[tuple[float, float, float], int]:
    if table is None:
        return (math.nan, math.nan, math.nan), 0
    found = table.select(
        operation=operation, benchmark="call_latency", pages=pages, shape="own", vmas=1, splits=0,
        merges=0, populated=1.0, huge=False, spinners=remote_cpus,
        transition="RW->R" if operation == "mprotect" else "none",
    )  # fmt: skip
    low, middle, high = pooled(found.groups, (0.1, 0.5, 0.9))
    return (float(low), float(middle), float(high)), sum(g.total for g in found.groups)


def _traced(table: ObservationTable | None, machine: Machine, operation: str, pages: int) -> float:
    """Median exclusive hold of the traced calls; no shootdown is in it, so any CPU count does."""
    if table is None or operation != "munmap":
        return math.nan
    found = table.select(
        operation=operation, phase="exclusive", pages=pages, vmas=1,
        benchmark=lambda name: name is None, splits=lambda n: n in (None, 0),
    )  # fmt: skip
    tracer = float((machine.fit.get("tracer_ns") or {}).get("tracer_exclusive", 0.0))
    return float(pooled(found.groups, (0.5,))[0]) - tracer


def _bar(scenario: Scenario, policy: Policy, label: str, table: ObservationTable | None) -> Bar:
    call = scenario.call
    held = hold(scenario, policy)
    pieces: list[Piece] = []
    at = 0.0
    for phase in held.phases:
        ns = float(phase.ns[0])
        group = _GROUP_OF[phase.name]
        if ns > 0 and pieces and (pieces[-1].group, pieces[-1].mode) == (group, phase.mode):
            last = pieces.pop()
            pieces.append(Piece(group, phase.mode, last.start, last.ns + ns))
        elif ns > 0:
            pieces.append(Piece(group, phase.mode, at, ns))
        at += ns
    known = math.isfinite(at)
    measured, events = (math.nan, math.nan, math.nan), 0
    traced = math.nan
    if ACTUAL_POLICY[call.operation] is policy:
        measured, events = _measured(
            table, call.operation, call.pages, scenario.call.remote_cpus or 0.0
        )
        traced = _traced(table, scenario.machine, call.operation, call.pages)
    return Bar(
        call.operation, policy, label, call.pages, tuple(pieces) if known else (),
        float(held.exclusive[0]), float(held.shared[0]), float(held.call[0]), measured, events,
        traced,
    )  # fmt: skip


def data_for(
    machine: Machine, table: ObservationTable | None = None, *, sizes: tuple[int, ...] = SIZES,
    remote_cpus: float = 1.0, kernel: str | None = None,
) -> Spec:  # fmt: skip
    """Compute the figure.

    Parameters
    ----------
    machine : Machine
    table : ObservationTable, optional
        Measured calls and, where there are any, traced holds.
    sizes : tuple of int
        Pages of each panel.
    remote_cpus : float
        CPUs that must be interrupted: there is at least one wherever another thread faults.
    kernel : str, optional
        Release. Default: that of the measurements.
    """
    release = kernel or _kernel(machine, table)
    panels = []
    for pages in sizes:
        bars = []
        for operation, policy, label in BARS:
            scenario = Scenario(
                machine, Kernel(release),
                Call(operation, pages=pages, transition="RW->R", remote_cpus=remote_cpus),
                Faults(rate=50_000.0), policies=(Policy.NONE, policy),
            )  # fmt: skip
            bars.append(_bar(scenario, policy, label, table))
        panels.append(tuple(bars))
    basis = evidence(machine, table)
    return Spec(
        panels=tuple(panels),
        kernel=".".join(release.split(".")[:2]),
        remote_cpus=remote_cpus,
        evidence=basis,
        source=provenance(
            machine, evidence=basis, inputs=files_of(table),
            scenario={"kernel": release, "pages": list(sizes), "remote_cpus": remote_cpus,
                      "transition": "RW->R", "vmas": 1},
        ),
    )  # fmt: skip


def _pages(count: int) -> str:
    return f"{count} page{'s' if count != 1 else ''}"


def _unit(longest: float) -> tuple[float, str]:
    return (1e6, "ms") if longest >= 1e6 else (1e3, "µs") if longest >= 1e3 else (1.0, "ns")


def _draw_panel(axes: Axes, bars: tuple[Bar, ...], *, labels: bool) -> None:
    ends = [v for b in bars for v in (b.call, b.measured[2]) if math.isfinite(v)]
    longest = max(ends, default=1e3)
    scale, unit = _unit(longest)
    axes.set_title(_pages(bars[0].pages))
    axes.set_ylim(len(bars) - 0.45, -0.62)
    axes.set_xlim(0, 1.30 * longest / scale)
    axes.set_yticks(range(len(bars)), [b.label for b in bars] if labels else [])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(f"time in the call ({unit})")
    for y, bar in enumerate(bars):
        if not bar.pieces:
            axes.text(0.02, y, "unknown: the profile lacks a constant", va="center",
                      transform=axes.get_yaxis_transform(), fontsize=7)  # fmt: skip
            continue
        for piece in bar.pieces:
            colour, hatch, *_ = _GROUPS[piece.group]
            # Height is the lock mode: tall blocks faults, low does not.
            height = 0.62 if piece.mode == "exclusive" else 0.2
            axes.barh(y, piece.ns / scale, left=piece.start / scale, height=height, color=colour,
                      hatch=hatch, edgecolor="white", linewidth=0)  # fmt: skip
        axes.text(0.995, y, us_text(bar.exclusive) if bar.exclusive > 0 else "none",
                  transform=axes.get_yaxis_transform(), ha="right", va="center", fontsize=7.5,
                  fontweight="bold")  # fmt: skip
        low, middle, high = (v / scale for v in bar.measured)
        if math.isfinite(middle):
            axes.plot([low, high], [y, y], color=BLACK, lw=1.1, ls="-", zorder=4,
                      solid_capstyle="butt")  # fmt: skip
            axes.plot([middle], [y], marker="D", ms=4.2, color="white", mec=BLACK, mew=1.0,
                      zorder=5)  # fmt: skip
        if math.isfinite(bar.traced_exclusive):
            outside = sum(p.ns for p in bar.pieces if p.mode == "outside")
            axes.plot([(outside + bar.traced_exclusive) / scale], [y - 0.36], marker="v", ms=4.5,
                      color=BLACK, zorder=5, ls="none")  # fmt: skip
    axes.text(1.0, 1.005, "faults blocked for", transform=axes.transAxes, ha="right", va="bottom",
              fontsize=7)  # fmt: skip


def title(spec: Spec) -> str:
    """Return the finding in one line."""
    saves = _cut_saves(spec)
    if not saves:
        return "Hold of mprotect by policy: unknown on this profile"
    least = min(100 * (1 - after / before) for _, before, after in saves)
    # Rounded down: "more than" must be true.
    text = f"{math.floor(least)}" if least < 99 else f"{math.floor(10 * least) / 10:g}"
    return f"More than {text} % of mprotect's write lock is page-table walk and TLB flush"


def _heading(spec: Spec) -> str:
    return f"{title(spec)}\n"  # room for what tall and low mean


@drawing(_heading)
def draw(spec: Spec, figure: Figure) -> None:
    """Draw one panel a size, each with its own linear scale."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    columns = min(2, len(spec.panels))
    grid = figure.subplots(math.ceil(len(spec.panels) / columns), columns, squeeze=False)
    for k, axes in enumerate(grid.flat):
        if k < len(spec.panels):
            _draw_panel(axes, spec.panels[k], labels=k % columns == 0)
        else:
            axes.set_axis_off()
    used = {p.group for b in spec.bars for p in b.pieces}
    keys: list[Any] = [
        Patch(facecolor=colour, hatch=hatch, edgecolor="white", linewidth=0, label=text)
        for name, (colour, hatch, text, _) in _GROUPS.items() if name in used
    ]  # fmt: skip
    if spec.has_measurements:
        keys.append(Line2D([], [], marker="D", color=BLACK, mfc="white", lw=1.1, ls="-", ms=4.2,
                           label="measured call, median, 10–90 %"))  # fmt: skip
    else:
        keys.append(Line2D([], [], ls="none", label="model alone: no measurements given"))
    if any(math.isfinite(b.traced_exclusive) for b in spec.bars):
        keys.append(Line2D([], [], marker="v", color=BLACK, ls="none", ms=4.5,
                           label="measured end of the write lock"))  # fmt: skip
    key_below(figure, keys, 3, handlelength=1.6,
                  columnspacing=1.6)  # fmt: skip
    note = (
        "Tall: write lock, faults are blocked. Low: read lock or none, faults go on."
        f" {spec.remote_cpus:g} other CPU runs the process."
    )
    # An empty second line of the finding keeps the place.
    figure.suptitle(f"{title(spec)}\n", x=0.01, ha="left")
    figure.text(0.01, 1 - 0.27 / figure.get_figheight(), note, fontsize=7.5, va="top")


def _cut_saves(spec: Spec) -> list[tuple[int, float, float]]:
    """Pages, exclusive time without and with the first cut, for each size."""
    out = []
    for panel in spec.panels:
        by = {(b.operation, b.policy): b for b in panel}
        none, cut = by[("mprotect", Policy.NONE)], by[("mprotect", Policy.LAST_VMA)]
        if math.isfinite(none.exclusive) and math.isfinite(cut.exclusive):
            out.append((panel[0].pages, none.exclusive, cut.exclusive))
    return out


def caption(spec: Spec) -> str:
    """Return the caption, with the numbers of the spec."""
    s = (
        "Predicted phases of one call over one VMA, RW->R, all pages present, kernel"
        f" {spec.kernel}, {spec.remote_cpus:g} other CPU{'' if spec.remote_cpus == 1 else 's'} to interrupt;"
        " each panel has its own linear scale. Tall stretches run under the write lock and block faults;"
        " low ones under the read lock or outside the lock. Bold: how long faults are blocked. "
    )
    saves = _cut_saves(spec)
    s += " ".join(
        f"{_pages(pages)}: {us_text(before)} exclusive today,"
        f" {us_text(after)} with the cut before the walk."
        for pages, before, after in saves
    )
    off = [
        (b, b.call / b.measured[1] - 1) for b in spec.bars
        if math.isfinite(b.measured[1]) and math.isfinite(b.call)
    ]  # fmt: skip
    if off:
        bar, worst = max(off, key=lambda pair: abs(pair[1]))
        s += (
            " Diamonds: measured latency of the real call of the same shape"
            f" ({sum(b.events for b, _ in off)} calls); the model is within"
            f" {100 * np.median([abs(e) for _, e in off]):.1f} % in the"
            f" median and {100 * abs(worst):.0f} % at worst ({bar.operation}, {_pages(bar.pages)})."
            " Bars without a diamond are what no kernel does."
        )
    else:
        s += " The model alone: no measurements were given."
    traced = [b for b in spec.bars if math.isfinite(b.traced_exclusive)]
    if traced:
        s += (
            " Triangles: end of the write lock of the real munmap, from tracepoints, the tracer's"
            " cost taken off: "
        )
        s += ", ".join(
            f"{us_text(b.traced_exclusive)} measured, {us_text(b.exclusive)} predicted at"
            f" {_pages(b.pages)}"
            for b in traced
        )
        s += "."
    s += (
        " mprotect RW->R with either cut is unsafe as it stands (stale TLB entries); the bars say"
        f" what it would save. Evidence: {spec.evidence}."
    )
    return s


def alt(spec: Spec) -> str:
    """Return the text for who cannot see the figure."""
    parts = []
    for panel in spec.panels:
        said = ", ".join(
            f"{b.label.replace(chr(10), ' ')} {us_text(b.exclusive)} of {us_text(b.call)}"
            for b in panel
        )
        parts.append(f"{_pages(panel[0].pages)}: {said}")
    head = "Stacked bars of the time a call blocks faults, of its whole length. "
    return head + "; ".join(parts) + "."


def rows(spec: Spec) -> Rows:
    """Return everything drawn, one row a stretch of a bar."""
    head = ("pages", "operation", "policy", "piece", "mode", "start_ns", "ns", "call_ns",
            "exclusive_ns", "measured_p10_ns", "measured_p50_ns", "measured_p90_ns",
            "measured_calls", "traced_exclusive_ns")  # fmt: skip
    unknown = (Piece("unknown", "unknown", math.nan, math.nan),)
    return head, [
        (b.pages, b.operation, b.policy.value, p.group, p.mode, p.start, p.ns, b.call,
         b.exclusive, *b.measured, b.events, b.traced_exclusive)
        for b in spec.bars for p in b.pieces or unknown
    ]  # fmt: skip


def _build(inputs: Inputs) -> Spec:
    return data_for(inputs.machine, inputs.table)


FIGURE = Kind(
    name="hold_phases", size=(PAGE, 4.9),
    question="Which part of the hold could be shared, and is it 'half a usec'?",
    build=_build, draw=draw, title=title, caption=caption, alt=alt, rows=rows, claims=("C5",),
)  # fmt: skip
