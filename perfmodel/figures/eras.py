"""Whether the downgrade still matters: net gain by release over the share of faults in the call's VMA."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from perfmodel.claims import ERAS
from perfmodel.errors import InputError, MissingExtraError
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
    provenance,
    us_text,
)
from perfmodel.prediction import predict
from perfmodel.scenario import Policy, Scenario

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from perfmodel.machine import Machine

__all__ = ["FIGURE", "alt", "caption", "data_for", "draw", "rows", "title"]

#: Pages of the calls; the threads of the simulated population.
SIZES, THREADS = (1, 512), 8

SHARES = (1e-4, 1.0)

_LOOKS = dict(
    zip(ERAS, ((BLUE, "-", "o"), (GREEN, "-.", "^"), (VERMILLION, "--", "s")), strict=True)
)


def _gains(scenario: Scenario, shares: np.ndarray, *, draws: int, solver: str) -> np.ndarray:
    """Return estimate, low and high of the net gain at each share, of shape (3, shares), ns."""
    found = [
        predict(scenario.replace(same_vma=float(s)), draws=draws, levels=(), solver=solver,
                guards=False)[Policy.LAST_VMA].interval()
        for s in shares
    ]  # fmt: skip
    return np.array(found).T


def data_for(
    machine: Machine, *, points: int = 9, draws: int = 40, checks: int = 3,
    progress: Callable[[float], None] = lambda _: None,
) -> Spec:  # fmt: skip
    """Compute the figure.

    Parameters
    ----------
    machine : Machine
    points, draws : int
        Points of the lines, and draws behind the bands.
    checks : int
        Shares at which the simulation answers too.
    progress : callable
        Told the share done, 0 to 1.
    """
    from perfmodel.presets import preset

    shares, at = np.geomspace(*SHARES, points), np.geomspace(0.01, 1, checks)
    asked = Scenario.from_dict(preset("large").parameters, machine=machine).replace(
        policies=(Policy.NONE, Policy.LAST_VMA), **{"faults.threads": THREADS}
    )
    panels, said = [], {}
    for k, pages in enumerate(SIZES):
        series = []
        for i, (release, (colour, style, marker)) in enumerate(_LOOKS.items()):
            scenario = asked.replace(kernel=release, pages=pages)
            y, low, high = _gains(scenario, shares, draws=draws, solver="closed")
            series.append(Series(release, "model", shares, y, low, high, colour, style))
            said[f"{release} {pages}"] = float(np.interp(np.log(0.05), np.log(shares), y))
            said[f"{release} {pages} turns"] = _turn(shares, y)
            try:
                simulated = _gains(scenario, at, draws=1, solver="simulation")[0]
            except (InputError, MissingExtraError):
                simulated = np.full(at.size, np.nan)
            if np.isfinite(simulated).any():
                series.append(
                    Series(release, "simulated", at, simulated, None, None, colour, style, marker)
                )
            progress((k + (i + 1) / len(_LOOKS)) / len(SIZES))
        panels.append(
            Panel(f"{pages} page{'s' if pages > 1 else ''}",
                  Axis("faults that hit a VMA of the call", write=percent),
                  Axis("net gain of last-vma a call", "symlog", lambda v: us_text(v) if v else "0", None, 100.0),
                  tuple(series))
        )  # fmt: skip
    basis = evidence(machine)
    return Spec(tuple(panels), said, basis,
                provenance(machine, evidence=basis, scenario=asked.to_dict()))  # fmt: skip


def _turn(shares: np.ndarray, gain: np.ndarray) -> float:
    """Return the share above which the cut gains; NaN where its sign does not change."""
    above = np.flatnonzero((gain[:-1] <= 0) & (gain[1:] > 0))
    if not above.size:
        return float("nan")
    i = above[-1]
    part = -gain[i] / (gain[i + 1] - gain[i])
    return float(np.exp(np.log(shares[i]) + part * np.log(shares[i + 1] / shares[i])))


def title(spec: Spec) -> str:
    """Return the finding in one line."""
    old, new = (spec.said[f"{r} {SIZES[-1]}"] for r in (ERAS[0], ERAS[-1]))
    return (
        f"5 % of the faults in the call's VMA: {us_text(old)} gained a call on {ERAS[0]},"
        f" {us_text(new)} on {ERAS[-1]}"
    )


@drawing(title)
def draw(spec: Spec, figure: Figure) -> None:
    """Draw the net gain of the cut by release over the share of faults in the call's VMA."""
    draw_panels(spec, figure, columns=4, one_key=True)


def caption(spec: Spec) -> str:
    """Return the caption, with the numbers of the spec."""
    turns = "; ".join(
        f"{pages} page{'s' if pages > 1 else ''}: " + (
            f"above {100 * spec.said[f'{ERAS[-1]} {pages} turns']:.2g} %"
            if np.isfinite(spec.said[f"{ERAS[-1]} {pages} turns"]) else "one sign throughout"
        )
        for pages in SIZES
    )  # fmt: skip
    simulated = (
        "; hollow marks: simulation of the lock by the kernel's rules, central costs"
        if "simulated" in spec.bases else ""
    )  # fmt: skip
    return (
        f"Net gain of the last-vma cut against none, were it safe: {THREADS} threads that pause 20 µs between"
        f" faults, one caller that pauses 200 µs; bands: 90 % of the calibration. With per-VMA"
        f" locks ({ERAS[-1]}) only faults in a VMA of the call can block, before them every fault does,"
        f" whatever it hits. The title: {SIZES[-1]} pages. Where the cut gains on {ERAS[-1]}: {turns}."
        f" Lines: closed form{simulated}. Releases other than the machine's own differ in rules only; nobody"
        f" measured the cut on any. Evidence: {spec.evidence}."
    )


def alt(spec: Spec) -> str:
    """Return the text for who cannot see the figure."""
    return (
        f"Two charts of the net gain a call over the share of faults in a VMA of the call, for {SIZES[0]} and"
        f" {SIZES[-1]} pages; flat for {ERAS[0]} and {ERAS[1]}, rising from a loss for {ERAS[-1]}."
        f" {title(spec)}."
    )


def _build(inputs: Inputs) -> Spec:
    return data_for(inputs.machine, progress=inputs.progress)


FIGURE = Kind(
    name="eras", size=(PAGE, 2.6), column=4.6,
    question="Does it still matter with per-VMA locks?",
    build=_build, draw=draw, title=title, caption=caption, alt=alt, rows=rows,
    lacks=lambda spec: "" if spec.known else "the profile lacks a constant of the hold",
    claims=("C2",),
)  # fmt: skip
