"""The account of one call: where thread time is lost, by policy, for the mail's page and for 64 MiB."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from perfmodel.figures.axes import key_below, tick_labels
from perfmodel.figures.kind import Inputs, Kind, Rows
from perfmodel.figures.policies import predictions
from perfmodel.figures.style import (
    BLUE,
    GREEN,
    ORANGE,
    PAGE,
    PURPLE,
    SKY,
    drawing,
    evidence,
    provenance,
    us_text,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from perfmodel.machine import Machine

__all__ = ["FIGURE", "Bar", "Spec", "alt", "caption", "data_for", "draw", "rows", "title"]

CASES = {"mail": "1 page, 50000 faults/s", "large": "64 MiB, 32 faulting threads"}

#: Terms of the account: label, colour, hatch.
_TERMS: Mapping[str, tuple[str, str, str]] = {
    "blocked_time": ("faults blocked", BLUE, ""),
    "wake_time": ("woken faults on their way", SKY, "///"),
    "waker_time": ("caller wakes them", ORANGE, "..."),
    "caller_time": ("caller waits and calls", GREEN, "\\\\\\"),
    "line_time": ("transfers of the line", PURPLE, "xxx"),
}


@dataclass(frozen=True)
class Bar:
    """One policy in one case: terms of the account in ns a call, their sum, and whether it is safe."""

    case: str
    policy: str
    safe: bool
    terms: Mapping[str, float]
    lost: float


@dataclass(frozen=True, eq=False)
class Spec:
    """The figure as data."""

    bars: tuple[Bar, ...]
    evidence: str
    source: Mapping[str, Any]

    def of(self, case: str) -> list[Bar]:
        """Return the bars of a case."""
        return [b for b in self.bars if b.case == case]


def data_for(machine: Machine, *, draws: int = 200) -> Spec:
    """Compute the figure.

    Parameters
    ----------
    machine : Machine
    draws : int
        As of the figure of the gains, with which it shares the predictions; the bars are central.
    """
    told = predictions(machine, draws)
    bars = tuple(
        Bar(case, r.policy.value, r.safety.safe, {n: float(r.account[n][0]) for n in _TERMS},
            float(r.lost_time[0]))
        for case in CASES for r in told[case].results
    )  # fmt: skip
    basis = evidence(machine)
    return Spec(bars, basis, provenance(
        machine, evidence=basis, scenario={n: told[n].scenario.to_dict() for n in CASES}
    ))  # fmt: skip


def _share(bar: Bar) -> float:
    return (bar.terms["blocked_time"] + bar.terms["wake_time"]) / bar.lost


def title(spec: Spec) -> str:
    """Return the finding in one line."""
    page, large = (100 * _share(spec.of(case)[0]) for case in CASES)
    return f"Blocked faults and their wake-ups are {page:.0f} % of a one-page call's cost, {large:.0f} % at 64 MiB"


@drawing(title)
def draw(spec: Spec, figure: Figure) -> None:
    """Draw a stacked bar a policy, a panel a case."""
    from matplotlib.patches import Patch

    grid = figure.subplots(1, len(CASES), sharey=True)
    for axes, (case, what) in zip(grid, CASES.items(), strict=True):
        bars = spec.of(case)
        for y, bar in enumerate(bars):
            at = 0.0
            for name, (_, colour, hatch) in _TERMS.items():
                axes.barh(y, bar.terms[name], left=at, height=0.66, color=colour, hatch=hatch,
                          edgecolor="white", linewidth=0)  # fmt: skip
                at += bar.terms[name]
            axes.text(at, y, f" {us_text(bar.lost)}", va="center", fontsize=7)
        axes.set_yticks(range(len(bars)), [b.policy for b in bars])
        axes.set_ylim(len(bars) - 0.5, -0.5)
        longest = max((b.lost for b in bars if math.isfinite(b.lost)), default=1.0)
        axes.set_xlim(0, 1.22 * longest)
        axes.set_title(what)
        axes.set_xlabel("thread time lost to one call")
        tick_labels(axes.xaxis, lambda v: us_text(v) if v else "0")
        axes.locator_params(axis="x", nbins=5)
    keys = [Patch(facecolor=c, hatch=h, edgecolor="white", linewidth=0, label=label)
            for label, c, h in _TERMS.values()]  # fmt: skip
    key_below(figure, keys, 3, handlelength=1.6)


def caption(spec: Spec) -> str:
    """Return the caption, with the numbers of the spec."""
    said = []
    for case, what in CASES.items():
        bar = spec.of(case)[0]
        terms = ", ".join(f"{_TERMS[n][0]} {us_text(v)}" for n, v in bar.terms.items())
        said.append(f"{what}, no downgrade: {terms}")
    unsafe = ", ".join(dict.fromkeys(b.policy for b in spec.bars if not b.safe))
    return (
        "Thread time lost to one call, mprotect RW→R on 5.11, central costs, by what it goes to: time that all"
        f" threads together do not run. {'; '.join(said)}. The net gain of a policy is the difference to the"
        f" first bar. Unsafe as they stand: {unsafe or 'none'}. Derived from measured costs; nobody measured"
        f" the account itself. Evidence: {spec.evidence}."
    )


def alt(spec: Spec) -> str:
    """Return the text for who cannot see the figure."""
    said = "; ".join(
        f"{what}: " + ", ".join(f"{b.policy} {us_text(b.lost)}" for b in spec.of(case))
        for case, what in CASES.items()
    )
    return f"Stacked bars of the thread time lost to one call, a bar a policy. {said}."


def rows(spec: Spec) -> Rows:
    """Return everything drawn, one row a term."""
    return ("case", "policy", "safe", "term", "ns_per_call", "lost_ns_per_call"), [
        (b.case, b.policy, int(b.safe), name, ns, b.lost)
        for b in spec.bars for name, ns in b.terms.items()
    ]  # fmt: skip


def _build(inputs: Inputs) -> Spec:
    return data_for(inputs.machine)


FIGURE = Kind(
    name="where_the_time_goes", size=(PAGE, 3.1),
    question="Where does the thread time of a call go?",
    build=_build, draw=draw, title=title, caption=caption, alt=alt, rows=rows,
    lacks=lambda spec: "" if all(math.isfinite(b.lost) for b in spec.bars)
    else "the profile lacks a constant of the hold",
    claims=("C3", "C4"),
)  # fmt: skip
