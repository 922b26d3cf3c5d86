"""What is left of the gain once the cut is made safe: by guard, over the share of write faults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.errors import InputError, MissingExtraError
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
from perfmodel.results import LEVEL
from perfmodel.scenario import Policy, Scenario

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from perfmodel.machine import Machine

__all__ = ["FIGURE", "alt", "caption", "data_for", "draw", "rows", "title"]

SHARES = (1e-4, 1.0)

#: Presets: the mail's page, and 64 MiB under 32 threads.
PRESETS = {"mail": "1 page, 50000 faults/s", "large": "64 MiB, 32 faulting threads"}

#: Of the shares kept, the least that is drawn.
_LEAST = -0.5

_LOOKS: Mapping[str, tuple[str, Any, str]] = {
    "pending-check": (BLUE, "-", "o"), "mark": (VERMILLION, "--", "s"), "flush-in-ptl": (GREEN, "-.", "^"),
    "one-pmd": (PURPLE, ":", "v"), "generation": (BLACK, (0, (1, 1)), "D"),
}  # fmt: skip


def _kept_at(scenario: Scenario, draws: int, solver: str) -> tuple[float, dict[str, Any], set[str]]:
    """Return the gain without a guard, ns, what each guard keeps of it by draw, and who is unsafe."""
    told = predict(scenario, draws=draws, levels=(), solver=solver)
    bare = told[Policy.LAST_VMA].net_gain
    kept = {one.single: one.net_gain / bare for one in told.guarded}
    return float(bare[0]), kept, {one.single for one in told.guarded if not one.safety.safe}


def data_for(machine: Machine, *, points: int = 13, draws: int = 60, checks: int = 3) -> Spec:
    """Compute the figure.

    Parameters
    ----------
    machine : Machine
    points, draws : int
        Shares of write faults tried, and draws behind the bands.
    checks : int
        Shares at which the simulation answers too.
    """
    from perfmodel.presets import preset

    shares, at = np.geomspace(*SHARES, points), np.geomspace(0.01, 1.0, checks)
    levels = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    panels, said, unsafe = [], {}, set()
    asked = {}
    for name, what in PRESETS.items():
        scenario = Scenario.from_dict(preset(name).parameters, machine=machine).replace(
            policies=(Policy.NONE, Policy.LAST_VMA)
        )
        asked[name] = scenario.to_dict()
        kept: dict[str, list[Any]] = {}
        for share in shares:
            bare, told, broken = _kept_at(scenario.replace(wp_share=float(share)), draws, "closed")
            unsafe |= broken
            for guard, values in told.items():
                kept.setdefault(guard, []).append(values)
        said[f"{name} bare"] = bare
        simulated = _simulated(scenario, at)
        series = []
        for guard, values in kept.items():
            colour, style, marker = _LOOKS[guard]
            label = f"{guard} (unsafe)" if guard in unsafe else guard
            by_share = np.array(values)
            y, (low, high) = by_share[:, 0], np.quantile(by_share, levels, axis=1)
            series.append(Series(label, "model", shares, y, low, high, colour, style))
            if guard in simulated:
                series.append(
                    Series(label, "simulated", at, simulated[guard], colour=colour, marker=marker)
                )
            for end, of in (("", y), (" low", low), (" high", high)):
                said[f"{name} {guard}{end}"] = float(np.interp(np.log(0.1), np.log(shares), of))
        panels.append(_panel(what, series))
    basis = evidence(machine)
    return Spec(tuple(panels), said, basis, provenance(machine, evidence=basis, scenario=asked))


def _simulated(scenario: Scenario, at: np.ndarray) -> dict[str, np.ndarray]:
    """Return what each guard keeps by the simulation of the lock; nothing where it cannot run."""
    found: dict[str, list[float]] = {}
    try:
        for share in at:
            _, kept, _ = _kept_at(scenario.replace(wp_share=float(share)), 1, "simulation")
            for guard, values in kept.items():
                found.setdefault(guard, []).append(float(values[0]))
    except (InputError, MissingExtraError):
        return {}
    return {guard: np.array(values) for guard, values in found.items()}


def _panel(what: str, series: list[Series]) -> Panel:
    """Return a panel from the least share that any guard keeps up to all of it."""
    ends = [s.y if s.low is None else s.low for s in series]
    values = [float(v) for end in ends for v in end[np.isfinite(end)]]
    least = max(_LEAST, np.floor(10 * min([*values, 1.0])) / 10)
    room = (1 - least) / 25
    return Panel(
        what, Axis("faults that write to a read-only page", write=percent),
        Axis("share of the gain that is kept (%)", "linear", lambda v: f"{100 * v:.0f}",
             (least, 1 + 2 * room)),
        tuple(series),
    )  # fmt: skip


def _kept(spec: Spec, name: str) -> dict[str, float]:
    """Return the share of the bare gain that each guard leaves at one write fault in ten."""
    return {
        guard: spec.said[f"{name} {guard}"] for guard in _LOOKS if f"{name} {guard}" in spec.said
    }


def _with_interval(spec: Spec, name: str, guard: str) -> str:
    """Write what a guard keeps at one write fault in ten, per cent, with its interval."""
    kept, low, high = (100 * spec.said[f"{name} {guard}{end}"] for end in ("", " low", " high"))
    # Nothing to say of an interval that rounding leaves empty.
    return f"{kept:.0f} %" + (f" [{low:.0f}, {high:.0f}]" if high - low >= 1 else "")


def title(spec: Spec) -> str:
    """Return the finding in one line."""
    unsafe = {s.label.split()[0] for p in spec.panels for s in p.series if "(unsafe)" in s.label}
    words = []
    for name in PRESETS:
        kept = {g: v for g, v in _kept(spec, name).items() if g not in unsafe}
        best = max(kept, key=lambda g: kept[g], default="")
        words.append(_with_interval(spec, name, best) if best else "an unknown part")
    return f"The cheapest safe guard leaves {words[0]} of the gain at 1 page, {words[1]} at 64 MiB"


@drawing(title)
def draw(spec: Spec, figure: Figure) -> None:
    """Draw what each guard leaves of the cut's net gain over the share of write faults."""
    draw_panels(spec, figure, columns=6, one_key=True)


def caption(spec: Spec) -> str:
    """Return the caption, with the numbers of the spec."""
    said = "; ".join(
        f"{what}: "
        + ", ".join(f"{guard} {_with_interval(spec, name, guard)}" for guard in _kept(spec, name))
        for name, what in PRESETS.items()
    )
    bare = " and ".join(us_text(spec.said[f"{name} bare"]) for name in PRESETS)
    marks = (
        "; hollow marks: simulation of the lock by the kernel's rules, central costs"
        if "simulated" in spec.bases else ""
    )  # fmt: skip
    return (
        "Net gain a call of the last-vma cut, mprotect RW→R on 5.11, over that without a guard, with each"
        " change to the kernel that could make it safe, over the share of the faults that write to a present,"
        f" read-only page. Bands: 90 % of the calibration{marks}. Of the gain without a guard ({bare}) stay at"
        f" one such fault in ten: {said}. No kernel has these guards and nobody measured one; their prices are"
        f" derived from measured costs. Evidence: {spec.evidence}."
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
    name="guard_price", size=(PAGE, 2.8), column=5.2,
    question="What would make it safe, and what does that leave of the gain?",
    build=_build, draw=draw, title=title, caption=caption, alt=alt, rows=rows,
    lacks=lambda spec: "" if spec.known else "the profile lacks a constant of the hold",
    claims=("C6",),
)  # fmt: skip
