"""What is left of the gain once the cut is made safe: by guard, over the share of write faults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.figures.axes import percent
from perfmodel.figures.curves import Axis, Panel, Series, Spec, draw_panels, rows
from perfmodel.figures.kind import Inputs, Kind
from perfmodel.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    PAGE,
    PURPLE,
    VERMILLION,
    drawing,
    evidence,
    provenance,
    us_text,
)
from perfmodel.prediction import predict
from perfmodel.scenario import Policy, Scenario

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from perfmodel.machine import Machine

__all__ = ["FIGURE", "alt", "caption", "data_for", "draw", "rows", "title"]

SHARES = (1e-4, 1.0)

#: Presets: the mail's page, and 64 MiB under 32 threads.
PRESETS = {"mail": "1 page, 50000 faults/s", "large": "64 MiB, 32 faulting threads"}

_LOOKS: Mapping[str, tuple[str, Any]] = {
    "pending-check": (BLUE, "-"), "mark": (VERMILLION, "--"), "flush-in-ptl": (GREEN, "-."),
    "one-pmd": (PURPLE, ":"), "generation": (BLACK, (0, (1, 1))),
}  # fmt: skip


def data_for(machine: Machine, *, points: int = 13) -> Spec:
    """Compute the figure.

    Parameters
    ----------
    machine : Machine
    points : int
        Shares of write faults tried.
    """
    from perfmodel.presets import preset

    shares = np.geomspace(*SHARES, points)
    panels, said, unsafe = [], {}, set()
    asked = {}
    for name, what in PRESETS.items():
        scenario = Scenario.from_dict(preset(name).parameters, machine=machine).replace(
            policies=(Policy.NONE, Policy.LAST_VMA)
        )
        asked[name] = scenario.to_dict()
        gains: dict[str, list[float]] = {}
        for share in shares:
            told = predict(
                scenario.replace(wp_share=float(share)), draws=1, levels=(), solver="closed"
            )
            for one in told.guarded:
                gains.setdefault(one.single, []).append(float(one.net_gain[0]))
                if not one.safety.safe:
                    unsafe.add(one.single)
            bare = float(told[Policy.LAST_VMA].net_gain[0])
        said[f"{name} bare"] = bare
        series = []
        for guard, y in gains.items():
            colour, style = _LOOKS[guard]
            label = f"{guard} (unsafe)" if guard in unsafe else guard
            kept = np.array(y) / bare
            series.append(Series(label, "model", shares, kept, colour=colour, style=style))
            said[f"{name} {guard}"] = float(np.interp(np.log(0.1), np.log(shares), y))
        panels.append(
            Panel(what, Axis("faults that write to a read-only page", write=percent),
                  Axis("share of the gain that is kept (%)", "linear", lambda v: f"{100 * v:.0f}", (-0.5, 1.1)),
                  tuple(series))
        )  # fmt: skip
    basis = evidence(machine)
    return Spec(tuple(panels), said, basis, provenance(machine, evidence=basis, scenario=asked))


def _kept(spec: Spec, name: str) -> dict[str, float]:
    """Return the share of the bare gain that each guard leaves at one write fault in ten."""
    return {
        guard: spec.said[f"{name} {guard}"] / spec.said[f"{name} bare"]
        for guard in _LOOKS if f"{name} {guard}" in spec.said
    }  # fmt: skip


def title(spec: Spec) -> str:
    """Return the finding in one line."""
    unsafe = {s.label.split()[0] for p in spec.panels for s in p.series if "(unsafe)" in s.label}
    kept = [
        max((v for g, v in _kept(spec, name).items() if g not in unsafe), default=float("nan"))
        for name in PRESETS
    ]
    return (
        f"The cheapest safe guard leaves {100 * kept[0]:.0f} % of the gain at 1 page, {100 * kept[1]:.0f} %"
        " at 64 MiB"
    )


@drawing(title)
def draw(spec: Spec, figure: Figure) -> None:
    """Draw what each guard leaves of the cut's net gain over the share of write faults."""
    draw_panels(spec, figure, columns=5, share_y=True)


def caption(spec: Spec) -> str:
    """Return the caption, with the numbers of the spec."""
    said = "; ".join(
        f"{what}: "
        + ", ".join(f"{guard} {100 * v:.0f} %" for guard, v in _kept(spec, name).items())
        for name, what in PRESETS.items()
    )
    bare = " and ".join(us_text(spec.said[f"{name} bare"]) for name in PRESETS)
    return (
        "Net gain a call of the last-vma cut, mprotect RW→R on 5.11, over that without a guard, with each"
        " change to the kernel that could make it safe, over the share of the faults that write to a present,"
        f" read-only page. Of the gain without a guard ({bare}) stay at one such fault in ten: {said}. Central"
        " costs: the intervals at that share are those of `perfmodel predict`. No kernel has these guards and"
        " nobody measured one; their"
        f" prices are derived from measured costs. Evidence: {spec.evidence}."
    )


def alt(spec: Spec) -> str:
    """Return the text for who cannot see the figure."""
    return (
        "Two line charts of the share of the gain that is kept over the share of write faults, a line a guard,"
        f" for one page and for 64 MiB. {title(spec)}."
    )


def _build(inputs: Inputs) -> Spec:
    return data_for(inputs.machine)


FIGURE = Kind(
    name="guard_price", size=(PAGE, 3.1),
    question="What would make it safe, and what does that leave of the gain?",
    build=_build, draw=draw, title=title, caption=caption, alt=alt, rows=rows,
    lacks=lambda spec: "" if spec.known else "the profile lacks a constant of the hold",
    claims=("C6",),
)  # fmt: skip
