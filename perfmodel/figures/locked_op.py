"""What the downgrade's own locked operation costs: throughput of a hot line over the share of calls."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.equations.cacheline import line_throughput, mean_ops, throughput_ratio
from perfmodel.figures.axes import number, signed_percent
from perfmodel.figures.curves import Axis, Panel, Series, Spec, draw_panels, rows
from perfmodel.figures.kind import Inputs, Kind
from perfmodel.figures.style import (
    BLUE,
    GREEN,
    PAGE,
    VERMILLION,
    drawing,
    evidence,
    files_of,
    provenance,
    us_text,
)
from perfmodel.kernel import Kernel

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from perfmodel.machine import Machine
    from perfmodel.observations import ObservationTable

__all__ = ["FIGURE", "alt", "caption", "data_for", "draw", "line_passes", "rows", "title"]

#: CPUs that use the line, as in the mail's preset; time away between two passes, ns.
CPUS, AWAY = 48, 20_000.0

#: Release, its colour and line style: one more operation, or two (up_read's hung-task check).
_RELEASES = {"5.11": (BLUE, "-", "o"), "6.18": (VERMILLION, "--", "s")}

_FULL, _IDLE = "never away", f"{AWAY / 1e3:g} µs away"


def line_passes(
    cpus: int, away: float, ops: float, transfer: float, *, passes: int = 12_000, seed: int = 0
) -> float:
    """Simulate a line that serves one operation at a time, each of constant length.

    Parameters
    ----------
    cpus : int
    away : float, ns
        Mean of the exponential time that a CPU is away between two passes.
    ops : float
        Locked operations of a pass, in the mean: the part beyond a whole number by chance.
    transfer : float, ns
        One operation.
    passes : int
    seed : int

    Returns
    -------
    float, 1/ns
        Passes of all CPUs.
    """
    # Every CPU has draws of its own, so that two runs that differ by an operation meet the same ones.
    rng, most = np.random.default_rng(seed), 4 * passes // cpus
    pauses = (away * rng.standard_exponential((cpus, most))).tolist()
    chance = rng.random((cpus, most)).tolist()
    waiting = [(pause[0], cpu) for cpu, pause in enumerate(pauses)]
    heapq.heapify(waiting)
    whole, part = divmod(ops, 1)
    left, made = [0] * cpus, [0] * cpus
    free, done, begun = 0.0, 0, 0.0
    while done < passes:
        now, cpu = heapq.heappop(waiting)
        if not left[cpu]:
            left[cpu] = int(whole) + (chance[cpu][made[cpu] % most] < part)
        free = max(free, now) + transfer
        left[cpu] -= 1
        later = free
        if not left[cpu]:
            made[cpu] += 1
            later += pauses[cpu][made[cpu] % most]
            done += 1
            if done == passes // 5:
                begun = free
        heapq.heappush(waiting, (later, cpu))
    return (passes - passes // 5) / (free - begun)


def _measured(table: ObservationTable | None) -> tuple[Series, ...]:
    """Return the operations of one thread on a line of its own, and of two on one line, per us."""
    if table is None:
        return ()
    found = {
        int(g.conditions["threads"]): g.median
        for g in table.select(benchmark="locked_op", operation="xadd", phase="op").groups
        if g.conditions.get("sharing") in ("none", "word")
    }
    if not found:
        return ()
    threads = np.array(sorted(found), dtype=float)
    rate = np.array([1e3 * n / found[int(n)] for n in threads])
    return (Series("xadd back to back", "measured", threads, rate, colour=GREEN, marker="^"),)


def _shares(machine: Machine, away: float, passes: int, progress: Callable[[float], None]) -> Any:
    transfer = machine.value("line_transfer")
    share, at = np.linspace(0, 1, 51), np.linspace(0, 1, 5)
    series = []
    for release, (colour, style, marker) in _RELEASES.items():
        kernel = Kernel(release)
        fault, call = float(kernel.locked_ops("read")), float(kernel.locked_ops("write"))
        more = float(kernel.locked_ops("downgrade")) - call
        change = throughput_ratio(
            CPUS, away, transfer, share, fault_ops=fault, call_ops=call, extra_ops=more
        )
        label = f"{release}: {more:g} operation{'s' if more > 1 else ''} more"
        series.append(Series(label, "model", share, change - 1, None, None, colour, style))
        before, after = (
            np.array([line_passes(CPUS, away, float(mean_ops(s, fault, call) + s * e), transfer,
                                  passes=passes) for s in at])
            for e in (0.0, more)
        )  # fmt: skip
        series.append(
            Series(label, "simulated", at, after / before - 1, None, None, colour, style, marker)
        )
        progress(0.5)
    return tuple(series)


def data_for(
    machine: Machine, table: ObservationTable | None = None, *, passes: int = 12_000,
    progress: Callable[[float], None] = lambda _: None,
) -> Spec:  # fmt: skip
    """Compute the figure.

    Parameters
    ----------
    machine : Machine
    table : ObservationTable, optional
        With the benchmark ``locked_op``.
    passes : int
        Of each simulation.
    progress : callable
        Told the share done, 0 to 1.
    """
    transfer, local = machine.value("line_transfer"), machine.value("rmw_local")
    ops = float(Kernel("5.11").locked_ops("read"))
    cpus = np.arange(1, 65, dtype=float)
    throughput = tuple(
        Series(f"faults, {label}", "model", cpus, 1e3 * ops * line_throughput(cpus, away, ops, transfer),
               None, None, colour, style)
        for label, away, colour, style in ((_FULL, 0.0, BLUE, "-"), (_IDLE, AWAY, VERMILLION, "--"))
    )  # fmt: skip
    measured = _measured(table)
    axis = Axis("passes that are calls (%)", "linear", lambda v: f"{100 * v:.0f}", (0, 1))
    mixes = {
        label: _shares(machine, away, passes, progress)
        for label, away in ((_FULL, 0.0), (_IDLE, AWAY))
    }
    panels = (
        Panel("what one line passes", Axis("CPUs", write=number),
              Axis("locked operations (per µs)"), throughput + measured),
        *(Panel(f"{CPUS} CPUs, {label}", axis,
                Axis("change by the downgrade", "linear", signed_percent), series)
          for label, series in mixes.items()),
    )  # fmt: skip
    full = panels[1].series
    said = {release: float(full[2 * i].y[-1]) for i, release in enumerate(_RELEASES)}
    said |= {f"{release} one in 1000": float(np.interp(1e-3, full[2 * i].x, full[2 * i].y))
             for i, release in enumerate(_RELEASES)}  # fmt: skip
    said |= {"transfer": transfer, "local": local, "off": max(
        float(np.nanmax(np.abs(panel.series[k + 1].y
                               - np.interp(panel.series[k + 1].x, panel.series[k].x, panel.series[k].y))))
        for panel in panels[1:] for k in (0, 2)
    )}  # fmt: skip
    for one in measured:
        said |= {f"measured {n:.0f}": float(y) for n, y in zip(one.x, one.y, strict=True)}
    shown = table if measured else None
    basis = evidence(machine, shown)
    return Spec(panels, said, basis, provenance(machine, evidence=basis, inputs=files_of(shown)))


def title(spec: Spec) -> str:
    """Return the finding in one line."""
    old, new = (f"{100 * -spec.said[r]:.0f} %" for r in _RELEASES)
    return (
        f"The locked operation costs a full line of calls {old} (5.11) or {new} (6.18), else little"
    )


@drawing(title)
def draw(spec: Spec, figure: Figure) -> None:
    """Draw what a line passes over the CPUs, and what the downgrade changes over the share of calls."""
    draw_panels(spec, figure, columns=3)


def caption(spec: Spec) -> str:
    """Return the caption, with the numbers of the spec."""
    rare = ", ".join(f"{-100 * spec.said[f'{r} one in 1000']:.2g} % on {r}" for r in _RELEASES)
    text = (
        f"Throughput of the lock's cache line. An operation that fetches the line takes"
        f" {us_text(spec.said['transfer'])} (measured between two CPUs, taken for any two), a fault makes"
        f" 2 of them on 5.11 and 3 on 6.18. A full line loses with one call in 1000 passes {rare}."
        f" Away: a CPU's mean time between two passes."
        f" Lines: closed queue, exponential operations; hollow marks: simulation of constant ones, at most"
        f" {100 * spec.said['off']:.1f} points apart."
    )
    if "measured 2" in spec.said:
        text += (
            f" Triangles: measured, {spec.said['measured 1']:.0f} operations a µs by one thread on a line"
            f" it keeps ({us_text(spec.said['local'])} each) and {spec.said['measured 2']:.0f} by two threads"
            " on one word: back to back a CPU makes several before it loses the line, while the model has"
            " every one fetch it, as threads do that run something in between. More CPUs than two were"
            " not measured."
        )
    else:
        text += " The model alone: no measurements given."
    return f"{text} Evidence: {spec.evidence}."


def alt(spec: Spec) -> str:
    """Return the text for who cannot see the figure."""
    return (
        "Three charts: operations a microsecond on one line over the number of CPUs, and the change of"
        " throughput by the downgrade over the share of passes that are calls, on a full line and on one"
        f" with time to spare. {title(spec)}."
    )


def _build(inputs: Inputs) -> Spec:
    return data_for(inputs.machine, inputs.table, progress=inputs.progress)


FIGURE = Kind(
    name="locked_op", size=(PAGE, 2.9), column=6.2,
    question="Half again as many locked operations on a hot line: what does that cost?",
    build=_build, draw=draw, title=title, caption=caption, alt=alt, rows=rows, claims=("C4",),
)  # fmt: skip
