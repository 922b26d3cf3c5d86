"""What a flush costs with the CPUs that it interrupts, and what of a call's hold it makes up."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from perfmodel.figures.axes import number
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
    pooled,
    provenance,
    us_text,
)
from perfmodel.hold import hold
from perfmodel.kernel import Kernel
from perfmodel.results import LEVEL
from perfmodel.scenario import Call, Faults, Policy, Scenario

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from perfmodel.machine import Machine
    from perfmodel.observations import ObservationTable

__all__ = ["FIGURE", "alt", "caption", "data_for", "draw", "rows", "title"]

#: Pages of a call, colour and line style.
_SIZES = {1: (BLUE, "-"), 512: (VERMILLION, "--"), 16384: (GREEN, "-.")}

#: Other CPUs that run the process, at most.
MOST = 255


def _measured(table: ObservationTable | None, pages: int) -> tuple[float, float, int]:
    """Return how much longer a call is with one other CPU to interrupt, how long, ns, and calls measured."""
    if table is None:
        return float("nan"), float("nan"), 0
    groups = [
        table.select(
            operation="mprotect", benchmark="call_latency", pages=pages, shape="own", vmas=1, splits=0,
            populated=1.0, huge=False, transition="RW->R", spinners=spinners,
        ).groups for spinners in (0, 1)
    ]  # fmt: skip
    alone, beside = (float(pooled(some, (0.5,))[0]) for some in groups)
    return beside - alone, beside, sum(g.total for some in groups for g in some)


def data_for(machine: Machine, table: ObservationTable | None = None, *, draws: int = 200) -> Spec:
    """Compute the figure.

    Parameters
    ----------
    machine : Machine
    table : ObservationTable, optional
        With calls alone and beside a CPU that runs the process.
    draws : int
        Draws behind the bands.
    """
    remote = np.unique(np.geomspace(1, MOST, 25).round())
    constants = machine.draws(draws)
    levels = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    asked = Scenario(
        machine, Kernel("5.11"), Call(transition="RW->R"), Faults(rate=50_000.0), cpus=MOST + 1
    )
    spent, shares = {}, []
    for pages, (colour, style) in _SIZES.items():
        held = [
            hold(asked.replace(pages=pages, remote_cpus=float(n)), Policy.NONE, constants)
            for n in remote
        ]
        spent[pages] = np.array([h.spent("shootdown") for h in held])
        part = spent[pages] / np.array([h.exclusive for h in held])
        low, high = np.quantile(part, levels, axis=1)
        label = f"mprotect of {pages} page{'s' if pages > 1 else ''}"
        shares.append(Series(label, "model", remote, part[:, 0], low, high, colour, style))
    cost = spent[1]
    low, high = np.quantile(cost, levels, axis=1)
    series = [Series("shootdown", "model", remote, cost[:, 0], low, high, BLUE, "-")]
    found = [_measured(table, pages) for pages in _SIZES]
    known = [(ns, count) for ns, _, count in found if np.isfinite(ns) and ns > 0]
    if known:
        y = np.array([ns for ns, _ in known])
        series.append(Series("a call beside one CPU less alone", "measured", np.ones(y.size), y,
                             colour=VERMILLION, marker="s"))  # fmt: skip
    # Of the call, which is little but the hold.
    marks = [
        replace(one, basis="measured", x=np.ones(1), y=np.array([ns / call]), low=None, high=None, marker="s")
        for one, (ns, call, _) in zip(shares, found, strict=True) if np.isfinite(ns) and ns > 0
    ]  # fmt: skip
    shown = table if known else None
    basis = evidence(machine, shown)
    axis = Axis("other CPUs that run the process", write=number, limits=(0.8, 320))
    said = {"one": float(cost[0, 0]), "many": float(np.interp(31, remote, cost[:, 0])),
            "low": float(np.interp(31, remote, low)), "high": float(np.interp(31, remote, high)),
            "calls": float(sum(c for _, c in known))}  # fmt: skip
    said |= {f"share {pages}": float(np.interp(31, remote, s.y))
             for pages, s in zip(_SIZES, shares, strict=True)}  # fmt: skip
    return Spec(
        (
            Panel("one flush", axis, Axis("time of the interrupts", write=us_text), tuple(series)),
            Panel("its share of the write lock", axis,
                  Axis("share of the exclusive hold (%)", "linear", lambda v: f"{100 * v:.0f}", (0, 1.03)),
                  (*shares, *marks)),
        ),
        said, basis,
        provenance(machine, evidence=basis, inputs=files_of(shown), scenario=asked.to_dict()),
    )  # fmt: skip


def title(spec: Spec) -> str:
    """Return the finding in one line."""
    return (
        f"Interrupting 31 other CPUs is {100 * spec.said['share 1']:.0f} % of a one-page call's write lock,"
        f" {100 * spec.said['share 16384']:.0f} % at 64 MiB"
    )


@drawing(title)
def draw(spec: Spec, figure: Figure) -> None:
    """Draw the time of a shootdown, and its share of the hold, over the CPUs."""
    draw_panels(spec, figure, one_key=True)


def caption(spec: Spec) -> str:
    """Return the caption, with the numbers of the spec."""
    one, many, low, high = (us_text(spec.said[n]) for n in ("one", "many", "low", "high"))
    text = (
        "Time of the interrupts of one TLB flush, and its share of mprotect's exclusive hold (RW→R, one VMA,"
        f" one flush, all pages present), over the other CPUs that run the process. One CPU: {one}; 31:"
        f" {many} (90 %: {low} to {high}). What each further CPU adds is assumed, with a spread of a factor"
        " of five: the machine has two CPUs, and nobody measured more here. A CPU whose thread is blocked on"
        " the lock is idle and needs no interrupt. Bands: 90 %."
    )
    if spec.said["calls"]:
        text += (
            f" Squares: measured, median call beside one CPU that runs the process less that of the call"
            f" alone, for {', '.join(str(p) for p in _SIZES)} pages ({spec.said['calls']:.0f} calls); on the right"
            " as a share of that call."
        )
    else:
        text += " The model alone: no measurements given."
    return f"{text} Evidence: {spec.evidence}."


def alt(spec: Spec) -> str:
    """Return the text for who cannot see the figure."""
    return (
        "Two line charts over the number of other CPUs: the time of a shootdown, rising, with a wide band,"
        f" and its share of the exclusive hold for three sizes. {title(spec)}."
    )


def _build(inputs: Inputs) -> Spec:
    return data_for(inputs.machine, inputs.table)


FIGURE = Kind(
    name="shootdown", size=(PAGE, 2.9), column=4.4,
    question="How much of the hold are the interrupts, as CPUs are added?",
    build=_build, draw=draw, title=title, caption=caption, alt=alt, rows=rows,
    lacks=lambda spec: "" if spec.known else "the shootdown is unknown on this profile",
    claims=("C5",),
)  # fmt: skip
