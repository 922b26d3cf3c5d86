"""Which order of service is assumed decides how much a downgrade seems to shorten the waits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from perfmodel.errors import MissingExtraError
from perfmodel.figures.axes import key_below, tick_labels
from perfmodel.figures.example_lock import (
    EVIDENCE,
    HOLD,
    PAUSE,
    READ,
    THREADS,
    Told,
    answer,
    example,
    simulated,
)
from perfmodel.figures.kind import Inputs, Kind, Rows
from perfmodel.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    PAGE,
    PURPLE,
    VERMILLION,
    drawing,
    provenance,
    us_text,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from perfmodel.rwlock.lock import Lock

__all__ = ["CASES", "FIGURE", "RULES", "Case", "Line", "Spec", "alt", "caption", "data_for", "draw",
           "rows", "title"]  # fmt: skip

#: Label, colour, line style and marker of each order of service.
RULES: Mapping[str, tuple[str, str, str, str]] = {
    "reader_preference": ("textbook reader preference", VERMILLION, "--", "s"),
    "rwsem": ("the kernel's rule (rwsem)", BLUE, "-", "o"),
    "fifo": ("first come, first served", GREEN, "-.", "^"),
    "writer_preference": ("textbook writer preference", PURPLE, ":", "D"),
}

#: Share of the hold that the downgrade makes shared: where the textbook's rule promises about 13.
SHARE = 0.72

SHARES = (0.1, 0.25, 0.4, 0.55, SHARE, 0.85, 0.9, 0.95)
CALLERS = (1, 2, 3, 4, 6, 8)

#: Callers up to which first come, first served is asked: its states grow with every order in which
#: they can wait.
FIFO_CALLERS = 4

#: What the ratio depends on besides: name, changes to the example lock.
CASES: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("1 caller", {}),
    ("1 caller, a hold of 1 µs", {"hold": 1_000.0}),
    ("1 caller, a hold of 1 µs, faults of 2 µs", {"hold": 1_000.0, "read": 2_000.0}),
    ("4 callers who pause 1 ms", {"callers": 4, "pause": 1e6}),
    ("4 callers", {"callers": 4}),
    ("4 callers who pause 30 µs", {"callers": 4, "pause": 3e4}),
)


@dataclass(frozen=True)
class Line:
    """How many times shorter the mean wait is with a downgrade, by one rule.

    Parameters
    ----------
    rule : str
    at : tuple of float
        Shared shares, or numbers of callers.
    ratio, half_width : tuple of float
        Mean wait without over mean wait with the downgrade; half of the 95 % interval, 0 if exact.
    solvers : tuple of str
        Who answered.
    """

    rule: str
    at: tuple[float, ...]
    ratio: tuple[float, ...]
    half_width: tuple[float, ...]
    solvers: tuple[str, ...]

    def near(self, place: float) -> float:
        """Return the ratio at one of the places."""
        return self.ratio[self.at.index(place)]


@dataclass(frozen=True)
class Case:
    """One lock under every rule: ratios and half widths in the order of `RULES`."""

    name: str
    ratio: tuple[float, ...]
    half_width: tuple[float, ...]


@dataclass(frozen=True)
class Spec:
    """The figure as data.

    Parameters
    ----------
    panels : tuple of (int, tuple of Line)
        Number of callers, and the ratio over the shared share.
    callers : tuple of Line
        The ratio over the number of callers, at `SHARE`.
    cases : tuple of Case
        For the table.
    source : mapping
    checks : tuple of (int, tuple of Line)
        As `panels`, by simulation at few shares; empty without numba.
    """

    panels: tuple[tuple[int, tuple[Line, ...]], ...]
    callers: tuple[Line, ...]
    cases: tuple[Case, ...]
    source: Mapping[str, Any]
    checks: tuple[tuple[int, tuple[Line, ...]], ...] = ()

    def at_share(self, rule: str, callers: int, share: float = SHARE) -> float:
        """Return the ratio under a rule."""
        lines = dict(self.panels)[callers]
        return next(line for line in lines if line.rule == rule).near(share)


class _Ratios:
    """Waits without and with a downgrade, none of them asked for twice."""

    def __init__(self, ask: Callable[[Lock], Told], tell: Callable[[], None]) -> None:
        self._ask, self._tell = ask, tell
        self._known: dict[tuple[Any, ...], tuple[float, float, str]] = {}

    def _wait(
        self, share: float, rule: str, changes: Mapping[str, Any]
    ) -> tuple[float, float, str]:
        key = (share, rule, *sorted(changes.items()))
        if key not in self._known:
            told = self._ask(_lock(share, rule, **changes))
            self._known[key] = (told.wait, told.half_width, told.solver)
            self._tell()
        return self._known[key]

    def ratio(self, share: float, rule: str, **changes: Any) -> tuple[float, float, str]:
        """Return the ratio, half of its 95 % interval, and who answered."""
        before, after = self._wait(0.0, rule, changes), self._wait(share, rule, changes)
        ratio = before[0] / after[0]
        # Both runs meet the same draws, so this errs on the side of too wide.
        width = ratio * math.hypot(before[1] / before[0], after[1] / after[0])
        return ratio, width, after[2]


def _lock(share: float, rule: str, *, hold: float = HOLD, **changes: Any) -> Lock:
    return example(hold * (1 - share), hold * share, discipline=rule, **changes)


def data_for(
    *, shares: tuple[float, ...] = SHARES, callers: tuple[int, ...] = CALLERS,
    cases: tuple[tuple[str, Mapping[str, Any]], ...] = CASES, calls: int = 15_000,
    progress: Callable[[float], None] = lambda _: None,
) -> Spec:  # fmt: skip
    """Compute the figure.

    Parameters
    ----------
    shares : tuple of float
        Shared shares of the hold; `SHARE` among them.
    callers : tuple of int
        Numbers of callers; 1 and 4 among them.
    cases : tuple of (str, mapping)
    calls : int
        Calls of each simulation: where the exact chain does not answer, and beside it at few shares.
    progress : callable
        Told the share done, 0 to 1.

    Raises
    ------
    MissingExtraError
        If a rule needs the simulation and numba is not installed.
    """
    total = len(RULES) * (2 * (len(shares) + 1) + 2 * len(callers) + 2 * len(cases))
    done = [0]

    def tell() -> None:
        done[0] += 1
        progress(min(done[0] / total, 1.0))

    ratios = _Ratios(lambda lock: answer(lock, calls=calls), tell)
    checking = _Ratios(lambda lock: simulated(lock, calls=calls), lambda: None)

    def line(
        rule: str, at: tuple[Any, ...], ask: Callable[[Any], tuple[float, float, str]]
    ) -> Line:
        found = [ask(x) for x in at]
        ratio, width, solver = zip(*found, strict=True)
        return Line(rule, tuple(float(x) for x in at), ratio, width, solver)

    def over_shares(rule: str, callers: int) -> Line:
        return line(rule, shares, lambda share: ratios.ratio(share, rule, callers=callers))

    def over_callers(rule: str) -> Line:
        at = tuple(m for m in callers if rule != "fifo" or m <= FIFO_CALLERS)
        return line(rule, at, lambda count: ratios.ratio(SHARE, rule, callers=count))

    panels = tuple((m, tuple(over_shares(rule, m) for rule in RULES)) for m in (1, 4))
    over = tuple(over_callers(rule) for rule in RULES)

    def check(rule: str, callers: int) -> Line:
        return line(rule, (SHARE,), lambda share: checking.ratio(share, rule, callers=callers))

    try:
        checks = tuple((m, tuple(check(rule, m) for rule in RULES)) for m in (1, 4))
    except MissingExtraError:
        checks = ()
    made = []
    for name, changes in cases:
        found = [ratios.ratio(SHARE, rule, **{"callers": 1, **changes}) for rule in RULES]
        made.append(Case(name, tuple(f[0] for f in found), tuple(f[1] for f in found)))
    return Spec(
        panels, over, tuple(made),
        provenance(None, evidence=EVIDENCE, scenario={
            "calls": calls, "fault_threads": THREADS, "hold_ns": HOLD, "law": "exponential",
            "pause_ns": PAUSE, "read_ns": READ,
        }), checks,
    )  # fmt: skip


def _draw_lines(axes: Axes, lines: tuple[Line, ...]) -> None:
    for line in lines:
        label, colour, style, marker = RULES[line.rule]
        axes.errorbar(line.at, line.ratio, yerr=line.half_width, color=colour, ls=style,
                      marker=marker, ms=4, lw=1.4, elinewidth=0.8, label=label,
                      mfc="white" if line.rule != "rwsem" else colour,
                      zorder=4 if line.rule == "rwsem" else 3)  # fmt: skip
    axes.set_yscale("log")
    axes.grid(axis="y")


def title(spec: Spec) -> str:
    """Return the finding in one line."""
    book, kernel = (spec.at_share(rule, 4) for rule in ("reader_preference", "rwsem"))
    return (
        f"Waits {_times(book)} times shorter by the textbook's reader preference, {_times(kernel)}"
        f" times by the kernel's rule"
    )


@drawing(title)
def draw(spec: Spec, figure: Figure) -> None:
    """Draw the ratio over the shared share, for one caller and for several, and over their number."""
    grid = figure.subplots(1, len(spec.panels) + 1, sharey=True)
    for axes, (callers, lines) in zip(grid, spec.panels, strict=False):
        _draw_lines(axes, lines)
        for check in dict(spec.checks).get(callers, ()):
            axes.errorbar(check.at, check.ratio, yerr=check.half_width, color=BLACK, ls="none", marker="x",
                          ms=6, zorder=5, label="simulated" if check.rule == "rwsem" else "")  # fmt: skip
        axes.set_title(f"{callers} caller{'s' if callers > 1 else ''}")
        axes.text(SHARE - 0.02, 0.98, f"{100 * SHARE:.0f} %", transform=axes.get_xaxis_transform(),
                  ha="right", va="top", fontsize=7)  # fmt: skip
        axes.set_xlabel("share of the hold that is shared (%)")
        tick_labels(axes.xaxis, lambda v: f"{100 * v:.0f}", minor=True)
        axes.set_xlim(0, 1)
        axes.axvline(SHARE, color="#8C8C8C", lw=0.7, ls=":", zorder=1)
    _draw_lines(grid[-1], spec.callers)
    grid[-1].set_title(f"{100 * SHARE:.0f} % of the hold shared")
    grid[-1].set_xlabel("callers")
    grid[-1].set_xticks(sorted({1.0, *spec.callers[0].at[1::2]}))
    grid[-1].set_xlim(0.5, max(spec.callers[0].at) + 0.5)
    grid[0].set_ylabel("mean wait of a fault,\nwithout / with the downgrade")
    for axes in grid:
        tick_labels(axes.yaxis, lambda v: f"{v:g}×", minor=True)
        axes.axhline(1, color="#8C8C8C", lw=0.7, ls="-", zorder=1)
    key_below(figure, grid[0], 3, handlelength=3.6, columnspacing=2.0)


def _times(ratio: float) -> str:
    return f"{ratio:.2g}" if ratio < 10 else f"{ratio:.0f}"


def caption(spec: Spec) -> str:
    """Return the caption, with the numbers of the spec."""
    most = max(s for s in spec.panels[0][1][0].at)
    parts = [
        f"The title: 4 callers, {100 * SHARE:.0f} % of the hold shared."
        f" Mean wait of a fault without a downgrade over that with one, {THREADS} threads that fault"
        f" for {us_text(READ)} and pause 20 µs, callers that hold the lock for {us_text(HOLD)} and"
        f" pause {us_text(PAUSE)}, all times exponential."
    ]
    for callers, _ in spec.panels:
        said = "; ".join(
            f"{RULES[rule][0]} {_times(spec.at_share(rule, callers))} and"
            f" {_times(spec.at_share(rule, callers, most))}"
            for rule in RULES
        )
        parts.append(
            f"{callers} caller{'s' if callers > 1 else ''}, {100 * SHARE:.0f} % and"
            f" {100 * most:.0f} % shared: {said}."
        )
    most_callers = {line.rule: line.ratio[-1] for line in spec.callers}
    parts.append(
        f"{max(spec.callers[0].at):.0f} callers: {_times(most_callers['reader_preference'])} by reader preference,"
        f" {_times(most_callers['rwsem'])} by the kernel's rule."
        " Under reader preference a fault waits for the exclusive part alone, whatever the callers"
        " do: the ratio grows without bound. Under the other rules it also waits behind a caller"
        " who waits for the readers, or for another's shared part, to end; no downgrade shortens"
        " that. The other three nearly coincide."
    )
    solvers = {(line.rule, who) for _, lines in spec.panels for line in lines
               for who in line.solvers}  # fmt: skip
    guessed = [RULES[rule][0] for rule in RULES if (rule, "simulation") in solvers]
    parts.append(
        "By the exact Markov chain"
        + (f"; {' and '.join(guessed)} by simulation, bars: 95 %." if guessed else ".")
    )
    if spec.checks:
        known = dict(spec.panels)
        off = max(
            abs(check.ratio[0] / next(x for x in known[m] if x.rule == check.rule).near(SHARE) - 1)
            for m, some in spec.checks for check in some
        )  # fmt: skip
        parts.append(
            f"Crosses: simulation, 95 % bars, at most {100 * off:.2g} % off. The kernel has one of these"
            " orders: the others cannot be measured."
        )
    parts.append(f"Evidence: {EVIDENCE}.")
    return " ".join(parts)


def alt(spec: Spec) -> str:
    """Return the text for who cannot see the figure."""
    said = [
        f"with {m} caller{'s' if m > 1 else ''}, {100 * SHARE:.0f} % shared, "
        + ", ".join(f"{RULES[rule][0]} {_times(spec.at_share(rule, m))}" for rule in RULES)
        for m, _ in spec.panels
    ]
    return (
        "Three line charts on a logarithmic axis of how many times shorter waits a downgrade makes,"
        " by order of service: " + "; ".join(said) + ". Reader preference rises far above the rest"
        " as soon as there are several callers."
    )


def rows(spec: Spec) -> Rows:
    """Return everything drawn, one row a point."""
    head = ("panel", "rule", "callers", "shared_share", "wait_ratio", "half_width_95", "solver")
    out: list[tuple[Any, ...]] = [
        ("over share", line.rule, m, s, ratio, width, who)
        for m, lines in (*spec.panels, *spec.checks) for line in lines
        for s, ratio, width, who in zip(line.at, line.ratio, line.half_width, line.solvers, strict=True)
    ]  # fmt: skip
    out += [
        ("over callers", line.rule, int(m), SHARE, ratio, width, who)
        for line in spec.callers
        for m, ratio, width, who in zip(line.at, line.ratio, line.half_width, line.solvers, strict=True)
    ]  # fmt: skip
    return head, out


def _build(inputs: Inputs) -> Spec:
    return data_for(progress=inputs.progress)


FIGURE = Kind(
    name="textbook_rule", size=(PAGE, 3.2),
    question="Which order of service does the answer hang on: the textbook's or the kernel's?",
    build=_build, draw=draw, title=title, caption=caption, alt=alt, rows=rows, claims=("C3",),
)  # fmt: skip
