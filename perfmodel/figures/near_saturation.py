"""How wrong the closed forms of the open queue are as its load grows, and the wrong rule's on top."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.figures.axes import key_below, signed_percent, tick_labels
from perfmodel.figures.kind import Inputs, Kind, Rows
from perfmodel.figures.style import (
    BLUE,
    GREEN,
    PAGE,
    VERMILLION,
    drawing,
    provenance,
    us_text,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from perfmodel.equations.queue import Queue

__all__ = ["FIGURE", "FORMS", "LOADS", "QUANTITIES", "Curve", "Panel", "Spec", "alt", "caption",
           "data_for", "draw", "rows", "title"]  # fmt: skip

EVIDENCE = "closed forms against simulation, an example lock; nothing here is measured"

#: Exclusive and shared part of a call, mean hold of a fault, ns; faults per ns.
EXCLUSIVE, SHARED, READ, FAULTS = 1_000.0, 2_000.0, 500.0, 1e-3

LOADS = (0.01, 0.03, 0.06, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)

#: Rule of the lock and rule of the form, with the panel's title.
FORMS: tuple[tuple[str, str, str], ...] = (
    ("fifo", "fifo", "FIFO lock, FIFO form"),
    ("rwsem", "fifo", "kernel's lock, FIFO form"),
    ("rwsem", "rwsem", "kernel's lock, its own form"),
)

#: What is compared: label, colour, line style, marker.
QUANTITIES: Mapping[str, tuple[str, str, str, str]] = {
    "none": ("wait of a fault, no downgrade", BLUE, "-", "o"),
    "downgrade": ("wait of a fault, downgrade", GREEN, "-.", "^"),
    "gain": ("what the downgrade saves", VERMILLION, "--", "s"),
}

#: Ends of the axis of errors, which is linear up to the third and logarithmic beyond; what lies
#: outside is told at the edge.
LEAST, MOST, LINEAR = -0.9, 6.0, 0.05

#: Events of one simulation: more where calls are rare, and where the waits vary more.
EVENTS = 1_500_000


@dataclass(frozen=True)
class Curve:
    """One quantity: arrays of shape (loads,).

    Parameters
    ----------
    simulated, half_width : ndarray, ns
        And half of the 95 % interval.
    closed : ndarray, ns
        By the closed form; infinite where it has no steady state.
    """

    simulated: NDArray[np.float64]
    half_width: NDArray[np.float64]
    closed: NDArray[np.float64]

    @property
    def error(self) -> NDArray[np.float64]:
        """Closed form over simulation, less one."""
        with np.errstate(all="ignore"):
            return np.asarray(self.closed / self.simulated - 1)

    @property
    def error_width(self) -> NDArray[np.float64]:
        """Half of the 95 % interval of the error."""
        with np.errstate(all="ignore"):
            return np.asarray(self.closed / self.simulated * self.half_width / self.simulated)


@dataclass(frozen=True)
class Panel:
    """One form against one lock.

    Parameters
    ----------
    rule, form : str
        Order of service of the lock, and of the form.
    name : str
    load : ndarray of shape (loads,)
        Load of the lock without a downgrade, in the sense of its rule.
    curves : mapping of str to Curve
        By the keys of `QUANTITIES`.
    valid : ndarray of bool, shape (loads,)
        Where the form says of both waits that its stated error holds.
    stated : str
        That error.
    """

    rule: str
    form: str
    name: str
    load: NDArray[np.float64]
    curves: Mapping[str, Curve]
    valid: NDArray[np.bool_]
    stated: str

    def worst(self, quantity: str, *, valid: bool) -> int | None:
        """Return the place of a quantity's largest error within or beyond the region; None if none."""
        error = np.where(self.valid == valid, self.curves[quantity].error, np.nan)
        return None if np.isnan(error).all() else int(np.nanargmax(np.abs(error)))

    def told(self, quantity: str, place: int) -> str:
        """Say an error with half of its 95 % interval, and the load."""
        curve = self.curves[quantity]
        error, width = float(curve.error[place]), float(curve.error_width[place])
        if math.isinf(error):
            return f"infinite (load {self.load[place]:g})"
        digits = 1 if width < 0.05 else 0
        return f"{100 * error:+.{digits}f} ± {100 * width:.{digits}f} % (load {self.load[place]:g})"


@dataclass(frozen=True)
class Spec:
    """The figure as data."""

    panels: tuple[Panel, ...]
    source: Mapping[str, Any]


def _call_rates(rule: str, loads: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rate of calls at which the lock without a downgrade has each load."""
    from scipy.optimize import brentq

    from perfmodel.equations.queue import capacity

    hold = EXCLUSIVE + SHARED
    if rule == "rwsem":
        return loads / hold

    def beyond(rate: float, load: float) -> float:
        return float(capacity(FAULTS, rate, 1 / READ, hold)) - load

    return np.array([brentq(beyond, 1e-12, 1 / hold, args=(load,), xtol=1e-18) for load in loads])


def _simulated(
    rule: str, rate: float, load: float, exclusive: float, shared: float, events: int
) -> Any:
    from perfmodel.rwlock.lock import Lock
    from perfmodel.rwlock.simulate import simulate

    lock = Lock(
        exclusive=np.array([exclusive]), shared=np.array([shared]), read_hold=READ,
        fault_rate=FAULTS, writer_rate=rate, discipline=rule,
    )  # fmt: skip
    calls = events * (1 if 0.05 < load < 0.75 else 4) / (2 * FAULTS / rate + 4)
    return simulate(lock, calls=max(int(calls), 90), seed=1, levels=())


def data_for(
    *, loads: tuple[float, ...] = LOADS, events: int = EVENTS,
    progress: Callable[[float], None] = lambda _: None,
) -> Spec:  # fmt: skip
    """Compute the figure.

    Parameters
    ----------
    loads : tuple of float
        Loads without a downgrade, in the sense of each lock's rule.
    events : int
        Of one simulation.
    progress : callable
        Told the share done, 0 to 1.

    Raises
    ------
    MissingExtraError
        If numba is not installed.
    """
    from perfmodel.equations.queue import fifo_queue, rwsem_queue
    from perfmodel.rwlock.simulate import compare

    forms: dict[str, Callable[..., Queue]] = {"fifo": fifo_queue, "rwsem": rwsem_queue}
    load, hold = np.array(loads), EXCLUSIVE + SHARED
    holds = {"none": (hold, 0.0), "downgrade": (EXCLUSIVE, SHARED)}
    simulated, rates = {}, {}
    rules = tuple(dict.fromkeys(rule for rule, *_ in FORMS))
    for k, rule in enumerate(rules):
        rates[rule] = _call_rates(rule, load)
        means: dict[str, list[tuple[float, float]]] = {name: [] for name in QUANTITIES}
        for i, (rate, at) in enumerate(zip(rates[rule], load, strict=True)):
            runs = {n: _simulated(rule, rate, at, *parts, events) for n, parts in holds.items()}
            for name, run in runs.items():
                found = run.estimates["wait_mean"]
                means[name].append((found.mean, found.half_width))
            saved = compare(runs["downgrade"], runs["none"])["wait_mean"]
            # The difference of the means, which weigh every fault alike, and its paired interval.
            means["gain"].append(
                (means["none"][-1][0] - means["downgrade"][-1][0], saved.half_width)
            )
            progress((k + (i + 1) / load.size) / len(rules))
        simulated[rule] = {name: np.array(pairs).T for name, pairs in means.items()}
    panels = []
    for rule, form, name in FORMS:
        queues = {n: forms[form](FAULTS, rates[rule], 1 / READ, *p) for n, p in holds.items()}
        closed = {n: np.asarray(q.reader_wait) for n, q in queues.items()}
        with np.errstate(invalid="ignore"):
            closed["gain"] = closed["none"] - closed["downgrade"]
        panels.append(
            Panel(
                rule, form, name, load,
                {n: Curve(simulated[rule][n][0], simulated[rule][n][1], closed[n]) for n in QUANTITIES},
                np.logical_and(queues["none"].region.valid, queues["downgrade"].region.valid),
                queues["none"].stated_error,
            )
        )  # fmt: skip
    return Spec(
        tuple(panels),
        provenance(None, evidence=EVIDENCE, scenario={
            "events": events, "exclusive_ns": EXCLUSIVE, "faults_per_ns": FAULTS, "read_ns": READ,
            "shared_ns": SHARED,
        }),
    )  # fmt: skip


def _stretches(panel: Panel) -> list[tuple[float, float]]:
    """Return where the stated error holds, half-way to the next load that was tried."""
    edges = np.sqrt(panel.load[1:] * panel.load[:-1])
    edges = np.concatenate([[0.0], edges, [1.0]])
    return [(edges[i], edges[i + 1]) for i, valid in enumerate(panel.valid) if valid]


def _draw_panel(axes: Axes, panel: Panel) -> None:
    from matplotlib.ticker import NullLocator

    for left, right in _stretches(panel):
        axes.axvspan(left, right, color="#E3E3E3", lw=0, zorder=0)
    axes.axhline(0, color="#000000", lw=0.7, ls="-", zorder=1)
    for name, curve in panel.curves.items():
        _, colour, style, marker = QUANTITIES[name]
        error = curve.error
        inside = (error >= LEAST) & (error <= MOST)
        axes.errorbar(
            panel.load, np.where(inside, error, np.nan), yerr=curve.error_width, color=colour,
            ls=style, marker=marker, ms=3.6, lw=1.3, elinewidth=0.7,
            mfc=colour if name == "none" else "white", zorder=3,
        )  # fmt: skip
        beyond = np.flatnonzero(error > MOST)
        if beyond.size:
            axes.plot(panel.load[beyond], np.full(beyond.size, MOST), marker=6, ms=5.5, ls="none",
                      color=colour, clip_on=False, zorder=4)  # fmt: skip
    axes.set_yscale("symlog", linthresh=LINEAR)
    axes.set(xlim=(0, 1), ylim=(LEAST, MOST))
    axes.set_yticks([-0.5, -LINEAR, 0, LINEAR, 0.5, 5])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y")
    axes.set_title(panel.name)
    axes.set_xlabel("load without a downgrade")
    tick_labels(axes.yaxis, signed_percent, minor=True)


def title(spec: Spec) -> str:
    """Return the finding in one line."""
    panel = _of(spec, "rwsem", "fifo")
    place = int(np.argmin(np.abs(panel.load - 0.5)))
    error = float(panel.curves["none"].error[place])
    return (
        f"At a load of {panel.load[place]:g} the FIFO form puts the waits in the kernel's lock"
        f" {abs(100 * error):.0f} % too {'high' if error > 0 else 'low'}"
    )


@drawing(title)
def draw(spec: Spec, figure: Figure) -> None:
    """Draw one panel a form, the region of its stated error shaded."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    grid = figure.subplots(1, len(spec.panels), sharey=True)
    for axes, panel in zip(grid, spec.panels, strict=True):
        _draw_panel(axes, panel)
    grid[0].set_ylabel("error of the closed form")
    keys: list[Any] = [
        Line2D([], [], color=colour, ls=style, marker=marker, ms=4, label=label,
               mfc=colour if name == "none" else "white")
        for name, (label, colour, style, marker) in QUANTITIES.items()
    ]  # fmt: skip
    keys.append(Patch(color="#E3E3E3", label="the form says its error is known"))
    if any((c.error > MOST).any() for p in spec.panels for c in p.curves.values()):
        keys.append(Line2D([], [], color="#000000", ls="none", marker=6, ms=5.5,
                           label="beyond the axis, or infinite"))  # fmt: skip
    key_below(figure, keys, 3, handlelength=3.0,
                  columnspacing=1.6)  # fmt: skip


def _percent(error: float) -> str:
    return "infinite" if math.isinf(error) else f"{100 * error:+.1f} %"


def _of(spec: Spec, rule: str, form: str) -> Panel:
    return next(p for p in spec.panels if (p.rule, p.form) == (rule, form))


def caption(spec: Spec) -> str:
    """Return the caption, with the numbers of the spec."""
    parts = [
        "Error of the closed forms' mean wait of a fault against simulation, with its 95 %"
        f" intervals: Poisson faults ({1e9 * FAULTS:,.0f} a second, each holding for"
        f" {us_text(READ)}), Poisson calls that hold for {us_text(EXCLUSIVE)} exclusively and"
        f" {us_text(SHARED)} more, shared after a downgrade. The load is that of the lock's own"
        " rule without a downgrade."
    ]
    for panel in spec.panels:
        said = []
        for valid, where in ((True, "within the shaded region"), (False, "outside it")):
            errors = [
                f"{what} {panel.told(name, place)}"
                for name, what in (("none", "no downgrade"), ("downgrade", "downgrade"),
                                   ("gain", "saving"))
                if (place := panel.worst(name, valid=valid)) is not None
            ]  # fmt: skip
            if errors:
                said.append(f"{where} at worst: " + ", ".join(errors))
        parts.append(f"{panel.name}, {'; '.join(said)}.")
    parts.append(
        "The FIFO form cannot know that the lock is of another kind: its region says nothing of that."
    )
    parts.append(f"Evidence: {EVIDENCE}.")
    return " ".join(parts)


def alt(spec: Spec) -> str:
    """Return the text for who cannot see the figure."""
    said = []
    for panel in spec.panels:
        errors = panel.curves["none"].error
        said.append(
            f"{panel.name}: without a downgrade from {_percent(float(errors[0]))} at load"
            f" {panel.load[0]:g} to {_percent(float(errors[-1]))} at {panel.load[-1]:g}"
        )
    return "Line charts of the closed forms' error over the load. " + "; ".join(said) + "."


def rows(spec: Spec) -> Rows:
    """Return everything drawn, one row a point."""
    head = ("lock", "form", "load", "quantity", "simulated_ns", "half_width_95_ns", "closed_ns",
            "error", "stated_error_holds")  # fmt: skip
    return head, [
        (p.rule, p.form, p.load[i], name, c.simulated[i], c.half_width[i], _number(c.closed[i]),
         _number(c.error[i]), int(p.valid[i]))
        for p in spec.panels for name, c in p.curves.items() for i in range(p.load.size)
    ]  # fmt: skip


def _number(value: float) -> float | str:
    """Write what is infinite as such: an empty cell would be unknown."""
    return "inf" if math.isinf(value) else float(value)


def _build(inputs: Inputs) -> Spec:
    return data_for(progress=inputs.progress)


FIGURE = Kind(
    name="near_saturation", size=(PAGE, 3.1),
    question="How near to saturation may the closed forms be believed?",
    build=_build, draw=draw, title=title, caption=caption, alt=alt, rows=rows,
)  # fmt: skip
