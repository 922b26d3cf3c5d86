"""The law of the faults that begin during a call: kept to the end, downgraded, measured beside both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from perfmodel.figures.axes import percent
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
from perfmodel.hold import ACTUAL_POLICY, hold
from perfmodel.kernel import Kernel
from perfmodel.observations import joined
from perfmodel.scenario import Call, Faults, Policy, Scenario, Writers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from perfmodel.machine import Machine
    from perfmodel.observations import Group, ObservationTable

__all__ = ["FIGURE", "SIZES", "alt", "caption", "data_for", "draw", "rows", "title"]

SIZES = (512, 4096)

#: Pause of the faulting thread, us: that of the benchmark.
PAUSE = 1.5

#: Operation and policy, label, colour, line style, marker.
_LINES = (
    ("mprotect", Policy.NONE, "mprotect today", BLUE, "-", "o"),
    ("mprotect", Policy.LAST_VMA, "mprotect, last-vma (unsafe)", GREEN, "-.", "^"),
    ("munmap", Policy.LAST_VMA, "munmap today: downgrades", VERMILLION, "--", "s"),
)

#: Shares of slower faults at which the measured law is shown.
_SHOWN = np.geomspace(1, 1e-3, 16)[1:]


def _during(table: ObservationTable | None, operation: str, pages: int) -> list[Group]:
    if table is None:
        return []
    found = table.select(
        benchmark="fault_latency", writer=operation, pages=pages, shape="edge", target="fresh_vma",
        direction="forth", vmas=1, duty_asked=0.5, phase="during",
        transition="RW->R" if operation == "mprotect" else "none",
    )  # fmt: skip
    return [g for g in found.groups if g.total and g.moments is None]


def _idle(table: ObservationTable | None) -> list[Group]:
    """Return the faults of the same kind that no call disturbs: the control arm."""
    if table is None:
        return []
    found = table.select(benchmark="fault_latency", target="fresh_vma", phase="idle")
    return [g for g in found.groups if g.total and g.moments is None]


def data_for(
    machine: Machine,
    table: ObservationTable | None = None,
    *,
    kernel: str = "6.18",
    points: int = 121,
) -> Spec:
    """Compute the figure.

    Parameters
    ----------
    machine : Machine
    table : ObservationTable, optional
        With the benchmark ``fault_latency``.
    kernel : str
        Release: that of the measurements.
    points : int
        Of the lines.
    """
    from perfmodel.fit.natural import during_law

    constants = machine.draws(1)
    panels, said = [], {}
    idle = _idle(table)
    for pages in SIZES:
        series = []
        for operation, policy, label, colour, style, marker in _LINES:
            call = Call(operation, pages=pages, splits=1, transition="RW->R", remote_cpus=0)
            scenario = Scenario(machine, Kernel(kernel), call, Faults(threads=1, think_us=PAUSE),
                                Writers(threads=1), cpus=2, policies=(Policy.NONE, policy))  # fmt: skip
            # What an undisturbed fault takes is the run's own, where there is one.
            levels = np.linspace(0.005, 0.995, 100)
            nodes = (
                np.array([joined(idle).quantile(q) for q in levels])
                if idle else [machine.value("fault_minor")]
            )  # fmt: skip
            law = during_law(constants, hold(scenario, policy, constants), PAUSE * 1e3, nodes)
            span = float(law.exclusive[0] + law.wake[0] + np.max(nodes))
            x = np.geomspace(200.0, max(1.3 * span, 1e4) if np.isfinite(span) else 1e5, points)
            y = np.array([float(law.above(v)[0]) for v in x])
            series.append(
                Series(label, "model", x, np.where(y > 0, y, np.nan), colour=colour, style=style)
            )
            said[f"{operation} {policy.value} {pages}"] = float(law.quantile(0.5)[0])
            during = _during(table, operation, pages)
            if during and ACTUAL_POLICY[operation] is policy:
                one = joined(during)
                at = np.array([one.quantile(1 - q) for q in _SHOWN])
                series.append(Series(label, "measured", at, _SHOWN, colour=colour, marker=marker))
                said[f"measured {operation} {pages}"] = one.quantile(0.5)
                said["faults"] = said.get("faults", 0) + one.total
        panels.append(
            Panel(f"{pages} pages", Axis("time of a fault begun in the call", write=us_text),
                  Axis("faults that take longer", write=percent, limits=(5e-4, 1.3)), tuple(series))
        )  # fmt: skip
    shown = table if "faults" in said else None
    basis = evidence(machine, shown)
    return Spec(tuple(panels), said, basis, provenance(
        machine, evidence=basis, inputs=files_of(shown),
        scenario={"kernel": kernel, "pages": list(SIZES), "splits": 1, "think_us": PAUSE},
    ))  # fmt: skip


def title(spec: Spec) -> str:
    """Return the finding in one line."""
    pages = SIZES[-1]
    before, after = (us_text(spec.said[f"mprotect {p} {pages}"]) for p in ("none", "last-vma"))
    return f"{pages} pages: half the faults in mprotect take over {before} today, over {after} with the cut"


@drawing(title)
def draw(spec: Spec, figure: Figure) -> None:
    """Draw the share of faults that take longer, today and with the cut, and what was measured."""
    draw_panels(spec, figure, columns=3, share_y=True)


def caption(spec: Spec) -> str:
    """Return the caption, with the numbers of the spec."""
    text = (
        "Share of the faults begun during a call that take longer than a time, by a thread that pauses"
        f" {PAUSE:g} µs and touches a fresh VMA, on 6.18. Lines: the model, of undisturbed faults, wake-up and"
        " the rest of the exclusive hold; central costs."
    )
    if "faults" in spec.said:
        medians = "; ".join(
            f"{operation} of {pages} pages {us_text(spec.said[f'measured {operation} {pages}'])}"
            f" ({us_text(spec.said[f'{operation} {policy} {pages}'])})"
            for operation, policy in (("mprotect", "none"), ("munmap", "last-vma")) for pages in SIZES
            if f"measured {operation} {pages}" in spec.said
        )  # fmt: skip
        text += (
            f" Marks: measured, {spec.said['faults']:.0f} faults; medians, in brackets predicted: {medians}."
            " mprotect with the cut is what no kernel does: it is predicted only. The tails beyond one"
            " fault in a hundred are interrupts and preemptions, which the model leaves out."
        )
    else:
        text += " The model alone: no measurements given."
    return f"{text} Evidence: {spec.evidence}."


def alt(spec: Spec) -> str:
    """Return the text for who cannot see the figure."""
    return (
        "Two charts, for 512 and 4096 pages, of the share of faults that take longer over the time, both"
        " axes logarithmic: mprotect today falls only after the hold, munmap and mprotect with the cut at"
        f" once. {title(spec)}."
    )


def _build(inputs: Inputs) -> Spec:
    return data_for(inputs.machine, inputs.table)


FIGURE = Kind(
    name="fault_latencies", size=(PAGE, 3.1),
    question="What would a fault that meets the call see of it, before and after?",
    build=_build, draw=draw, title=title, caption=caption, alt=alt, rows=rows,
    lacks=lambda spec: "" if spec.known else "the profile lacks a constant of the hold",
    claims=("C3", "C5"),
)  # fmt: skip
