"""Where a downgrade gains, where nobody could see it, and where it costs: pages by fault rate."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.errors import InputError, MissingExtraError
from perfmodel.figures.axes import tick_labels
from perfmodel.figures.gain_grid import MARKS, Mark, Panel, panel_for
from perfmodel.figures.kind import Inputs, Kind, Rows
from perfmodel.figures.style import (
    BLACK,
    ORANGE,
    PAGE,
    VERMILLION,
    drawing,
    evidence,
    provenance,
    us_text,
)  # fmt: skip
from perfmodel.kernel import Kernel
from perfmodel.prediction import predict
from perfmodel.scenario import Call, Faults, Policy, Scenario
from perfmodel.stale_tlb import safety
from perfmodel.verdict import RUN_CV, RUNS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from perfmodel.machine import Machine

__all__ = [
    "FIGURE", "MARKS", "Mark", "Panel", "Spec", "alt", "caption", "data_for", "draw", "panel_for",
    "questions", "rows", "visible_share",
]  # fmt: skip

#: Pale vermillion: where the cut costs. Grey: where there is no answer.
COSTS, UNKNOWN = "#F7D9C4", "#D0D0D0"

#: Levels of the share of thread time, as fractions.
LEVELS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)


@dataclass(frozen=True)
class Spec:
    """The figure as data.

    Parameters
    ----------
    panels : tuple of Panel
    policy : Policy
        The cut that is judged against no downgrade.
    visible : float
        Share of thread time that an A/B test of `RUNS` runs an arm can see.
    safe, why_unsafe : bool, str
        Whether the cut may be used at all.
    evidence : str
    source : mapping
    """

    panels: tuple[Panel, ...]
    policy: Policy
    visible: float
    safe: bool
    why_unsafe: str
    evidence: str
    source: Mapping[str, Any]


def visible_share() -> float:
    """Return the smallest share of thread time that `RUNS` runs an arm would show."""
    from perfmodel.equations.noise import power_factor

    return RUN_CV * math.sqrt(2 * power_factor() / RUNS)


def questions(machine: Machine) -> tuple[tuple[str, Scenario], ...]:
    """Return the two questions of the thread: a kernel of its days, and one with per-VMA locks."""
    call = Call("mprotect", transition="RW->R")
    return (
        ("Linux 5.11: every fault can block",
         Scenario(machine, Kernel("5.11"), call, Faults(rate=50_000.0))),
        ("Linux 6.18: 5 % of the faults can",
         Scenario(machine, Kernel("6.18"), call, Faults(rate=50_000.0, same_vma=0.05))),
    )  # fmt: skip


def data_for(
    machine: Machine, *, asked: tuple[tuple[str, Scenario], ...] | None = None,
    policy: Policy = Policy.LAST_VMA, points: int = 25, draws: int = 60,
    progress: Callable[[float], None] = lambda _: None,
) -> Spec:  # fmt: skip
    """Compute the figure.

    Parameters
    ----------
    machine : Machine
    asked : tuple of (title, Scenario), optional
        One panel each. Default: `questions`.
    policy, points, draws, progress
        As of `panel_for`.
    """
    asked = asked or questions(machine)
    panels = []
    for k, (title, scenario) in enumerate(asked):

        def report(done: float, k: int = k) -> None:
            progress((k + done) / len(asked))

        made = panel_for(scenario, title=title, policy=policy, points=points, draws=draws,
                         progress=report)  # fmt: skip
        marks = tuple(replace(m, simulated=_simulated(scenario, policy, m)) for m in made.marks)
        panels.append(replace(made, marks=marks))
    first = asked[0][1]
    rule = safety(first.kernel, first.call, policy)
    basis = evidence(machine)
    return Spec(
        panels=tuple(panels),
        policy=policy,
        visible=visible_share(),
        safe=rule.safe,
        why_unsafe="" if rule.safe else rule.reason,
        evidence=basis,
        source=provenance(
            machine, evidence=basis, scenario={"panels": [s.to_dict() for _, s in asked]}
        ),
    )


def _simulated(scenario: Scenario, policy: Policy, mark: Mark) -> float:
    """Return the gain at a mark by simulation of the lock, central costs, ns; NaN where it cannot run."""
    asked = scenario.replace(
        pages=mark.pages, policies=(Policy.NONE, policy), **{"faults.rate": mark.rate}
    )
    try:
        told = predict(asked, draws=1, levels=(), solver="simulation", guards=False)
    except (InputError, MissingExtraError):
        return math.nan
    return float(told[policy].net_gain[0])


def _signed(ns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compress a gain of either sign, so that contours fall right between grid points."""
    return np.asarray(np.arcsinh(ns), dtype=np.float64)


def _size_text(pages: float) -> str:
    kib = 4 * int(pages)
    return f"{kib} KiB" if kib < 1024 else f"{kib // 1024} MiB"


def _draw_panel(axes: Axes, panel: Panel, visible: float) -> Any:
    from matplotlib import colormaps
    from matplotlib.ticker import LogLocator

    x, y = panel.pages, panel.rates
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    axes.set_title(panel.title)
    axes.set_xlabel("pages in the call (4 KiB each)")
    axes.xaxis.set_major_locator(LogLocator(base=16))
    tick_labels(axes.xaxis, lambda v: f"{int(v)}\n{_size_text(v)}")
    tick_labels(axes.yaxis, _rate_text, minor=True)
    if not np.isfinite(panel.gain).any():
        axes.text(0.5, 0.5, "unknown: the profile lacks a constant\nthat this call needs",
                  ha="center", va="center", transform=axes.transAxes)  # fmt: skip
        return None
    shades = colormaps["Blues"](np.linspace(0.08, 0.75, len(LEVELS)))
    # A loss is below the lowest level: it takes the colour that is set for "under".
    filled = axes.contourf(
        x, y, np.ma.masked_invalid(np.log10(np.clip(panel.share, 1e-12, None))),
        levels=np.log10(LEVELS), colors=shades[1:], extend="both", zorder=0,
    )  # fmt: skip
    axes.set_facecolor(UNKNOWN)
    _hatch(axes, panel)
    _band(axes, panel)
    if np.nanmin(panel.gain) < 0 < np.nanmax(panel.gain):
        axes.contourf(
            x,
            y,
            np.ma.masked_invalid(_signed(panel.gain)),
            levels=[-np.inf, 0.0],
            colors=[COSTS],
            zorder=0.5,
        )
        line = axes.contour(x, y, _signed(panel.gain), levels=[0.0], colors=[VERMILLION],
                            linewidths=1.8, zorder=3)  # fmt: skip
        _label(axes, line, "costs", VERMILLION, above=False)
    if np.nanmin(panel.share) < visible < np.nanmax(panel.share):
        log_share = np.log10(np.clip(panel.share, 1e-12, None))
        line = axes.contour(x, y, log_share, levels=[math.log10(visible)], colors=[BLACK],
                            linewidths=1.8, linestyles="--", zorder=3)  # fmt: skip
        _label(axes, line, f"seen by an A/B test above ({100 * visible:.1g} %)", BLACK, above=True)
    for mark in panel.marks:
        right = mark.pages > 256
        axes.plot([mark.pages], [mark.rate], marker="o", ms=6, mfc="white", mec=BLACK, mew=1.3,
                  zorder=5, clip_on=False)  # fmt: skip
        axes.annotate(
            f"{mark.label}: "
            + (f"{100 * mark.share:.2g} %\n{us_text(mark.gain)} a call"
               if math.isfinite(mark.gain) else "unknown")
            + (f"\nsimulated {us_text(mark.simulated)}" if math.isfinite(mark.simulated) else ""),
            (mark.pages, mark.rate), xytext=(-7 if right else 7, -5), textcoords="offset points",
            ha="right" if right else "left", va="top", fontsize=7, zorder=6,
            bbox={"boxstyle": "round,pad=0.2", "fc": "white", "ec": "none", "alpha": 0.85},
        )  # fmt: skip
    return filled


def _rate_text(rate: float) -> str:
    if rate >= 1e6:
        return f"{rate / 1e6:g}M"
    return f"{rate / 1e3:g}k" if rate >= 1e3 else f"{rate:g}"


def _hatch(axes: Axes, panel: Panel) -> None:
    if panel.outside.any():
        axes.contourf(
            panel.pages, panel.rates, panel.outside.astype(float), levels=[0.5, 1.5],
            colors="none", hatches=["////"], zorder=2,
        )  # fmt: skip


def _band(axes: Axes, panel: Panel) -> None:
    """Fill where the 90 % interval of the gain holds both signs."""
    if not np.isfinite(panel.low + panel.high).all():
        return
    # Each end is a plane between the grid points, but the smaller of two planes is not: a finer
    # grid, or a narrow band would fall apart into beads.
    fine_x, fine_y = (np.linspace(np.log(v[0]), np.log(v[-1]), n)
                      for v, n in ((panel.pages, 161), (panel.rates, 401)))  # fmt: skip

    def finer(values: NDArray[np.float64]) -> NDArray[np.float64]:
        along = np.array([np.interp(fine_x, np.log(panel.pages), row) for row in _signed(values)])
        return np.array([np.interp(fine_y, np.log(panel.rates), c) for c in along.T]).T

    inside = np.minimum(finer(panel.high), -finer(panel.low))
    if (inside > 0).any():
        axes.contourf(np.exp(fine_x), np.exp(fine_y), inside, levels=[0.0, np.inf],
                      colors=[ORANGE], alpha=0.7, zorder=1)  # fmt: skip


def _label(axes: Axes, contour: Any, text: str, colour: str, *, above: bool) -> None:
    """Write at the left end of a contour, on the side that the text speaks of."""
    pieces = [p for p in contour.allsegs[0] if len(p) > 1]
    if not pieces:
        return
    points = np.concatenate(pieces)
    x, y = points[np.argmin(points[:, 0])]
    axes.annotate(
        text, (x, y), xytext=(5, 5 if above else -16), textcoords="offset points", ha="left",
        va="bottom" if above else "top", fontsize=7.5, color=colour, fontweight="bold", zorder=6,
        bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.85},
    )  # fmt: skip


def title(spec: Spec) -> str:
    """Return the finding in one line."""
    marks = [(p, m) for p in spec.panels for m in p.marks if math.isfinite(m.share)]
    if not marks:
        return f"Net gain of the {spec.policy.value} downgrade: unknown on this profile"
    unseen = [m for _, m in marks if m.share < spec.visible]
    seen = [m for _, m in marks if m.share >= spec.visible]

    def names(some: list[Mark]) -> str:
        return ", ".join(dict.fromkeys(m.label for m in some))

    cut = f"the {spec.policy.value} downgrade's gain"
    if not seen:
        return f"An A/B test sees {cut} at neither of the marked points"
    if not unseen:
        return f"An A/B test sees {cut} at every marked point"
    if {m.label for m in seen} & {m.label for m in unseen}:
        return f"Whether an A/B test sees {cut} depends on the kernel"
    return f"An A/B test sees {cut} at {names(seen)}, not at {names(unseen)}"


@drawing(title)
def draw(spec: Spec, figure: Figure) -> None:
    """Draw the maps side by side."""
    axes = figure.subplots(1, len(spec.panels), sharey=True, squeeze=False)[0]
    filled = [_draw_panel(a, p, spec.visible) for a, p in zip(axes, spec.panels, strict=True)]
    axes[0].set_ylabel("faults of the whole process per second")
    shown = next((f for f in filled if f is not None), None)
    if shown is not None:
        bar = figure.colorbar(shown, ax=list(axes), aspect=30, pad=0.01, ticks=np.log10(LEVELS))
        bar.ax.set_yticklabels([f"{100 * v:g} %" for v in LEVELS])
        bar.set_label("gain as a share of the process's thread time")


def caption(spec: Spec) -> str:
    """Return the caption, with the numbers of the spec."""
    parts = [
        f"Net gain per call of the {spec.policy.value} downgrade against none, for"
        f" {spec.panels[0].scenario.call.operation} {spec.panels[0].scenario.call.transition}, over"
        " the size of the call and the faults of the whole process; colour: as a share of the"
        " process's thread time."
        " Solid line: break-even, with its 90 % band from the calibration's covariance. Dashed"
        f" line: {100 * spec.visible:.2g} %, what an A/B test of {RUNS} runs an arm sees when runs"
        f" vary by {100 * RUN_CV:g} %; between the two lines the gain is real and lost in the"
        " noise."
        " The break-even itself carries no mark: there the gain is nil, and a simulation would show its own"
        " noise."
        " Hatched: more faults would be blocked at once than there are CPUs, so the open stream of"
        " faults (or the region of the stated error) no longer holds."
    ]
    for panel in spec.panels:
        s = panel.scenario
        many = "" if s.writers.threads == 1 else "s"
        who = f"{s.writers.threads} caller thread{many} pausing {s.writers.think_us:g} µs"
        if s.writers.open:
            who = f"{s.writers.rate:g} calls/s"
        head = f"{panel.title} ({s.cpus} CPUs, {who})"
        said = [
            f"{m.label} at {m.rate / 1e3:g}k faults/s gains {us_text(m.gain)} a call"
            f" (90 %: {us_text(m.low)} to {us_text(m.high)}"
            + (f"; by simulation {us_text(m.simulated)}" if math.isfinite(m.simulated) else "")
            + f"), {100 * m.share:.2g} % of thread time"
            for m in panel.marks
        ]
        parts.append(head + (": " + "; ".join(said) if said else "") + ".")
    if any(np.isnan(p.gain).any() for p in spec.panels):
        parts.append("Grey: no answer, for want of a steady state or of a constant.")
    if not spec.safe:
        parts.append(
            f"The map shows what the cut would gain were it safe. It is not: {spec.why_unsafe}."
        )
    parts.append(f"Evidence: {spec.evidence}.")
    return " ".join(parts)


def alt(spec: Spec) -> str:
    """Return the text for who cannot see the figure."""
    said = []
    for panel in spec.panels:
        seen = (
            np.mean(panel.share[np.isfinite(panel.share)] > spec.visible)
            if np.isfinite(panel.share).any()
            else math.nan
        )
        cost = (
            np.mean(panel.gain[np.isfinite(panel.gain)] < 0)
            if np.isfinite(panel.gain).any()
            else math.nan
        )
        said.append(
            f"{panel.title}: the cut costs on {100 * cost:.2g} % of the map and gains enough to be"
            f" seen by an A/B test on {100 * seen:.2g} %"
            if math.isfinite(seen)
            else f"{panel.title}: unknown"
        )
    head = "Contour maps of net gain over pages per call and faults per second. "
    return head + "; ".join(said) + "."


def rows(spec: Spec) -> Rows:
    """Return everything drawn, one row a grid point."""
    head = ("panel", "kernel", "pages", "faults_per_s", "net_gain_ns_per_call", "low_ns", "high_ns",
            "share_of_thread_time", "outside_stated_error")  # fmt: skip
    out = [
        (p.title, p.scenario.kernel.release, int(n), float(r), p.gain[i, j], p.low[i, j],
         p.high[i, j], p.share[i, j], int(p.outside[i, j]))
        for p in spec.panels
        for i, r in enumerate(p.rates)
        for j, n in enumerate(p.pages)
    ]  # fmt: skip
    return head, out


def _build(inputs: Inputs) -> Spec:
    return data_for(inputs.machine, progress=inputs.progress)


FIGURE = Kind(
    name="break_even_map", size=(PAGE, 3.4),
    question="From which size and fault rate on does the downgrade pay?",
    build=_build, draw=draw, title=title, caption=caption, alt=alt, rows=rows, claims=("2006",
    "C5"),
)  # fmt: skip
