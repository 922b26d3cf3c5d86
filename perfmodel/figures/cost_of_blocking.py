"""What a blocked fault loses: the rest of the hold and a sleep, over the length of the hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

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
from perfmodel.results import LEVEL

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from perfmodel.machine import Machine
    from perfmodel.observations import ObservationTable

__all__ = ["FIGURE", "alt", "caption", "data_for", "draw", "rows", "title"]

#: Exclusive holds, ns.
HOLDS = (100.0, 1e7)

_LOST, _REST = "rest of the hold and the sleep", "rest of the hold alone"


def _measured(machine: Machine, table: ObservationTable | None) -> tuple[Series, ...]:
    """Return what blocked faults lost, by the hold of the call, and how long futex sleepers took."""
    from perfmodel.fit.natural import experiments, threshold
    from perfmodel.hold import hold

    if table is None:
        return ()
    lost = []
    for one in experiments(machine, table):
        if one.conditions["writer"] != "mprotect" or not one.affected or not one.idle:
            continue
        middle = np.concatenate([g.middle for g in one.during])
        count = np.concatenate([g.count for g in one.during])
        slept = middle > threshold(machine, one.idle_ns)
        if count[slept].sum() >= 20:
            mean = float(np.average(middle[slept], weights=count[slept]))
            lost.append((float(hold(one.scenario, one.policy).exclusive[0]), mean - one.idle_ns))
    woken = [
        (1e3 * float(g.conditions["slept_us"]), g.median) for g in table.select(phase="wake").groups
        if g.conditions.get("sleepers") == 1 and g.conditions.get("placement") == "pinned"
    ]  # fmt: skip
    series = []
    for label, points, colour, marker in (
        ("faults blocked by mprotect", lost, BLUE, "o"),
        ("a futex wake-up, over the sleep", woken, GREEN, "^"),
    ):
        if points:
            x, y = np.array(sorted(points)).T
            series.append(Series(label, "measured", x, y, colour=colour, marker=marker))
    return tuple(series)


def data_for(
    machine: Machine, table: ObservationTable | None = None, *, points: int = 81, draws: int = 200
) -> Spec:
    """Compute the figure.

    Parameters
    ----------
    machine : Machine
    table : ObservationTable, optional
        With faults beside a caller, and wake-ups.
    points, draws : int
        Points of the lines, and draws behind the band.
    """
    holds = np.geomspace(*HOLDS, points)
    wake = machine.draws(draws)["wake_latency"]
    rest = holds / 2
    low, high = np.quantile(wake, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    lost = Series(_LOST, "model", holds, rest + wake[0], rest + low, rest + high, BLUE, "-")
    alone = Series(_REST, "model", holds, rest, colour=VERMILLION, style="--")
    measured = _measured(machine, table)
    shown = table if measured else None
    basis = evidence(machine, shown)
    return Spec(
        (
            Panel("", Axis("exclusive hold", write=us_text), Axis("time lost by a blocked fault", write=us_text),
                  (lost, alone, *measured), ((float(2 * wake[0]), us_text(2 * float(wake[0]))),)),
        ),
        {"wake": float(wake[0]), "low": float(low), "high": float(high)},
        basis,
        provenance(machine, evidence=basis, inputs=files_of(shown)),
    )  # fmt: skip


def title(spec: Spec) -> str:
    """Return the finding in one line."""
    wake = spec.said["wake"]
    return f"Up to a hold of {us_text(2 * wake)} the sleep costs a blocked fault more than the hold"


@drawing(title)
def draw(spec: Spec, figure: Figure) -> None:
    """Draw the time lost over the hold."""
    draw_panels(spec, figure, columns=2)


def caption(spec: Spec) -> str:
    """Return the caption, with the numbers of the spec."""
    wake, low, high = (us_text(spec.said[n]) for n in ("wake", "low", "high"))
    text = (
        "Time that a fault loses which is blocked at a random moment of an exclusive hold: half the hold"
        f" in the mean, and a wake-up of {wake} (90 %: {low} to {high}) before it runs again. A downgrade"
        " that shortens a short hold saves little by the shorter wait; it pays by the faults that it"
        " spares the sleep, or not at all."
    )
    if "measured" in spec.bases:
        points = [s for s in spec.panels[0].series if s.basis == "measured"]
        first = points[0]
        off = first.y / np.interp(first.x, spec.panels[0].of(_LOST).x, spec.panels[0].of(_LOST).y)
        text += (
            f" Filled marks: measured, {first.x.size} configurations of one caller and one faulting thread"
            " (mean latency of the faults that slept, less an undisturbed one; the hold is the model's),"
            f" {off.min():.2f} to {off.max():.2f} times the line: that thread pauses 1.5 µs only and meets a"
            " long hold at its begin, so it loses all of it and not half. Triangles: a futex wake-up after so"
            " long a sleep, whose growth the one constant leaves out."
        )
    else:
        text += " The model alone: no measurements given."
    return f"{text} Evidence: {spec.evidence}."


def alt(spec: Spec) -> str:
    """Return the text for who cannot see the figure."""
    return (
        "Line chart of the time that a blocked fault loses over the exclusive hold: flat at the wake-up for"
        f" short holds, half the hold for long ones. {title(spec)}."
    )


def _build(inputs: Inputs) -> Spec:
    return data_for(inputs.machine, inputs.table)


def _lacks(spec: Spec) -> str:
    return "" if np.isfinite(spec.said["wake"]) else "the wake-up is unknown on this profile"


FIGURE = Kind(
    name="cost_of_blocking", size=(PAGE, 2.9), column=3.3,
    question="What does blocking cost, and why do short holds not pay?",
    build=_build, draw=draw, title=title, caption=caption, alt=alt, rows=rows, lacks=_lacks,
    claims=("C3", "C5"),
)  # fmt: skip
