"""Net gain of every policy over the named cases, with intervals: who would gain, who would lose."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from perfmodel.figures.axes import key_below, tick_labels
from perfmodel.figures.kind import Inputs, Kind, Rows
from perfmodel.figures.policies import LOOKS, predictions
from perfmodel.figures.style import BLACK, PAGE, drawing, evidence, is_column, provenance, us_text
from perfmodel.scenario import Policy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from perfmodel.machine import Machine

__all__ = ["FIGURE", "Gain", "Spec", "alt", "caption", "data_for", "draw", "rows", "title"]

#: Gains below this, ns, are drawn on a linear scale.
_LINEAR = 10.0


@dataclass(frozen=True)
class Gain:
    """The net gain of one policy in one case.

    Parameters
    ----------
    case : str
    policy : Policy
    safe : bool
    estimate, low, high : float, ns
        Per call, with its 90 % interval.
    solver : str
        Who answered the lock's question.
    """

    case: str
    policy: Policy
    safe: bool
    estimate: float
    low: float
    high: float
    solver: str


@dataclass(frozen=True, eq=False)
class Spec:
    """The figure as data; policies that mean nothing for a case have no gain."""

    cases: Mapping[str, str]
    gains: tuple[Gain, ...]
    evidence: str
    source: Mapping[str, Any]

    def safe_gains(self) -> list[Gain]:
        """Return the gains that are certain and that somebody may have."""
        return [g for g in self.gains if g.safe and g.low > 0]


def data_for(machine: Machine, *, draws: int = 200) -> Spec:
    """Compute the figure.

    Parameters
    ----------
    machine : Machine
    draws : int
        Draws behind the intervals.
    """
    gains, cases = [], {}
    told = predictions(machine, draws)
    for name, prediction in told.items():
        call = prediction.scenario.call
        what = call.operation.replace("uffd_writeprotect", "uffd write-protect")
        size = f"{call.pages:,} page{'s' if call.pages > 1 else ''}, {prediction.scenario.kernel.release}"
        cases[name] = f"{name}: {what}\n{size}"
        gains += [
            Gain(name, r.policy, r.safety.safe, *r.interval(), r.answer.solver)
            for r in prediction.results if r.policy in LOOKS and not r.reason
        ]  # fmt: skip
    basis = evidence(machine)
    return Spec(cases, tuple(gains), basis, provenance(
        machine, evidence=basis, scenario={n: p.scenario.to_dict() for n, p in told.items()}
    ))  # fmt: skip


def title(spec: Spec) -> str:
    """Return the finding in one line."""
    unsafe = {g.case for g in spec.gains if not g.safe and g.low > 0}
    safe = {g.case for g in spec.safe_gains()}
    return (
        f"Of {len(spec.cases)} cases a policy that is safe gains in {len(safe)}, and only one that is not in"
        f" {len(unsafe - safe)}"
    )


@drawing(title)
def draw(spec: Spec, figure: Figure) -> None:
    """Draw a row a case and a mark a policy; hollow where it is unsafe."""
    from matplotlib.lines import Line2D

    axes, narrow = figure.subplots(), is_column(figure)
    for row, case in enumerate(spec.cases):
        for step, (policy, look) in enumerate(LOOKS.items()):
            for gain in (g for g in spec.gains if (g.case, g.policy) == (case, policy)):
                if not math.isfinite(gain.estimate):
                    continue
                y = row + 0.15 * (step - (len(LOOKS) - 1) / 2)
                axes.plot([gain.low, gain.high], [y, y], color=look.colour, lw=1.2, ls="-")
                axes.plot([gain.estimate], [y], ls="none", marker=look.marker, ms=5, color=look.colour,
                          mfc=look.colour if gain.safe else "white")  # fmt: skip
        if row:
            axes.axhline(row - 0.5, color="#D9D9D9", lw=0.6, ls="-")
    axes.axvline(0, color=BLACK, lw=0.8, ls="-")
    axes.set_xscale("symlog", linthresh=_LINEAR)
    tick_labels(axes.xaxis, lambda v: us_text(v) if v else "0")
    axes.set_xticks(
        [
            0,
            *(
                sign * ns
                for ns in ((1e3, 1e9) if narrow else (1e2, 1e5, 1e8, 1e11))
                for sign in (-1, 1)
            ),
        ]
    )
    ends = [e for g in spec.gains for e in (g.low, g.high) if math.isfinite(e)]
    axes.set_xlim(min(-1e6, 5 * min(ends, default=0)), max(1e6, 5 * max(ends, default=0)))
    # A column has no room for the call's name beside the case's.
    names = [re.sub(": .*", "", c) if narrow else c for c in spec.cases.values()]
    axes.set_yticks(range(len(spec.cases)), names)
    axes.set_ylim(len(spec.cases) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(
        (
            "net gain of thread time a call\n"
            if narrow
            else "net gain of thread time a call, against no downgrade "
        )
        + "(left of zero: it costs)"
    )
    keys: list[Any] = [
        Line2D([], [], ls="none", marker=look.marker, color=look.colour, label=look.label)
        for policy, look in LOOKS.items() if any(g.policy is policy for g in spec.gains)
    ]  # fmt: skip
    keys.append(
        Line2D([], [], ls="none", marker="o", color=BLACK, mfc="white", label="hollow: unsafe")
    )
    key_below(figure, keys, 3 if narrow else len(keys), columnspacing=1.2, handletextpad=0.2)


def caption(spec: Spec) -> str:
    """Return the caption, with the numbers of the spec."""
    best = []
    for case in spec.cases:
        some = [g for g in spec.gains if g.case == case and math.isfinite(g.estimate)]
        top = max(some, key=lambda g: g.estimate, default=None)
        if top is not None and top.estimate > 0:
            best.append(
                f"{case} {top.policy.value} {us_text(top.estimate)} ({us_text(top.low)} to {us_text(top.high)}"
                f"{'' if top.safe else ', unsafe'})"
            )
        else:
            best.append(f"{case} none")
    other = [
        c
        for c in spec.cases
        if any(g.case == c and g.solver.startswith("simulation") for g in spec.gains)
    ]
    by = f"by simulation for {', '.join(other)}, else " if other else ""
    return (
        "Net gain a call by policy in the named cases (`perfmodel predict --preset`), bars: 90 % from the"
        " calibration; hollow marks are unsafe as they stand. munmap already downgrades and"
        " userfaultfd already takes the read lock; gains are against the write lock to the end. Largest gain:"
        f" {'; '.join(best)}. Answered {by}by the closed forms. Nobody measured any of it for mprotect on hardware."
        f" Evidence: {spec.evidence}."
    )


def alt(spec: Spec) -> str:
    """Return the text for who cannot see the figure."""
    return (
        "Dot plot with a row for each named case and a mark with an interval for each policy, over the net"
        f" gain a call on an axis that is logarithmic on both sides of zero. {title(spec)}."
    )


def rows(spec: Spec) -> Rows:
    """Return everything drawn, one row a case and policy."""
    head = ("case", "policy", "safe", "net_gain_ns_per_call", "low_ns", "high_ns", "solver")
    return head, [
        (g.case, g.policy.value, int(g.safe), g.estimate, g.low, g.high, g.solver)
        for g in spec.gains
    ]


def _build(inputs: Inputs) -> Spec:
    return data_for(inputs.machine)


FIGURE = Kind(
    name="gain_by_policy", size=(PAGE, 4.4), column=3.9,
    question="Where should the lock be downgraded, if anywhere, and who would gain?",
    build=_build, draw=draw, title=title, caption=caption, alt=alt, rows=rows,
    lacks=lambda spec: "" if any(math.isfinite(g.estimate) for g in spec.gains)
    else "the profile lacks a constant of the hold",
    claims=("C1", "C2", "C5"),
)  # fmt: skip
