"""The curve-fitting trap: scaling laws fitted up to 32 threads, held against the queue at 256."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.figures.axes import key_below, number, tick_labels
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
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["FIGURE", "LAWS", "Fit", "Panel", "Spec", "alt", "caption", "data_for", "draw", "rows",
           "title"]  # fmt: skip

EVIDENCE = "closed queue of a cache line, with made-up scatter; nothing here is measured"

#: Threads that are fitted, and how far the fits are trusted.
FITTED, FAR = (1, 2, 4, 8, 12, 16, 24, 32), 256

#: Time of one operation that fetches the line, ns; operations of a pass; relative scatter of a run.
TRANSFER, OPS, SCATTER = 60.0, 2.0, 0.03

#: Where the line begins to be full, 1 + Z/(vL): within the data, and beyond them.
KNEES = (24.0, 90.0)

#: Made-up experiments behind an interval.
TRIALS = 100


def _usl(n: Any, rate: float, serial: float, crosstalk: float) -> Any:
    return rate * n / (1 + serial * (n - 1) + crosstalk * n * (n - 1))


def _amdahl(n: Any, rate: float, serial: float) -> Any:
    return rate * n / (1 + serial * (n - 1))


def _power(n: Any, rate: float, exponent: float) -> Any:
    return rate * n**exponent


def _queue(n: Any, rate: float, room: float) -> Any:
    """Return the queue itself with the threads beyond one that fit on the line as a free parameter."""
    from perfmodel.equations.cacheline import line_throughput

    return rate * (1 + room) * line_throughput(n, room, 1.0, 1.0)


#: Label, formula, first guess beside the rate of one thread, bounds; colour and line style.
LAWS: Mapping[
    str, tuple[str, Callable[..., Any], tuple[float, ...], tuple[float, ...], str, str]
] = {
    "usl": ("universal scalability law", _usl, (0.01, 1e-4), (1.0, 1.0), BLUE, "-"),
    "amdahl": ("Amdahl's law", _amdahl, (0.01,), (1.0,), GREEN, "-."),
    "power": ("power law", _power, (0.9,), (2.0,), VERMILLION, "--"),
    "queue": ("the queue itself, fitted", _queue, (50.0,), (1e4,), PURPLE, ":"),
}

#: Those that are not the truth's own form.
OTHERS = ("usl", "amdahl", "power")


@dataclass(frozen=True)
class Fit:
    """One law fitted to one experiment, and what many experiments would say.

    Parameters
    ----------
    curve : ndarray of shape (threads,), per us
    far, low, high : float, per us
        At `FAR` threads, and the 90 % interval over experiments.
    residual : float
        Root mean square of the relative residuals.
    """

    curve: NDArray[np.float64]
    far: float
    low: float
    high: float
    residual: float


@dataclass(frozen=True)
class Panel:
    """One line: the truth, one experiment, the fits.

    Parameters
    ----------
    knee : float
    threads, truth : ndarray of shape (threads,)
        Passes of all threads per us.
    observed : ndarray of shape (fitted,)
    fits : mapping of str to Fit
    """

    knee: float
    threads: NDArray[np.float64]
    truth: NDArray[np.float64]
    observed: NDArray[np.float64]
    fits: Mapping[str, Fit]

    def miss(self, law: str) -> float:
        """Fit over truth at `FAR` threads."""
        return self.fits[law].far / float(self.truth[-1])


@dataclass(frozen=True)
class Spec:
    """The figure as data."""

    panels: tuple[Panel, ...]
    source: Mapping[str, Any]


def _fit(law: str, n: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.optimize import least_squares

    _, formula, guess, most, *_ = LAWS[law]
    found = least_squares(
        lambda p: np.log(np.maximum(formula(n, *p), 1e-300) / x), (x[0], *guess),
        bounds=([1e-9] + [0.0] * len(guess), [10 * x[0], *most]), x_scale=(x[0], *guess),
    )  # fmt: skip
    return np.asarray(found.x)


def data_for(
    *, trials: int = TRIALS, seed: int = 1, progress: Callable[[float], None] = lambda _: None
) -> Spec:
    """Compute the figure.

    Parameters
    ----------
    trials : int
        Experiments behind the intervals.
    seed : int
        Of the scatter.
    progress : callable
        Told the share done, 0 to 1.
    """
    from perfmodel.equations.cacheline import line_throughput

    rng = np.random.default_rng(seed)
    threads = np.unique(np.round(np.geomspace(1, FAR, 60)))
    fitted = np.array(FITTED, dtype=float)
    panels = []
    for k, knee in enumerate(KNEES):
        think = (knee - 1) * OPS * TRANSFER
        truth = 1e3 * line_throughput(threads, think, OPS, TRANSFER)
        clean = 1e3 * line_throughput(fitted, think, OPS, TRANSFER)
        scattered = clean * np.exp(SCATTER * rng.standard_normal((trials, fitted.size)))
        fits = {}
        for i, law in enumerate(LAWS):
            formula = LAWS[law][1]
            found = [_fit(law, fitted, x) for x in scattered]
            far = [float(formula(float(FAR), *p)) for p in found]
            low, high = np.quantile(far, [0.05, 0.95])
            first = found[0]
            residual = np.log(formula(fitted, *first) / scattered[0])
            fits[law] = Fit(
                np.asarray(formula(threads, *first)), far[0], float(low), float(high),
                float(np.sqrt(np.mean(residual**2))),
            )  # fmt: skip
            progress((k + (i + 1) / len(LAWS)) / len(KNEES))
        panels.append(Panel(knee, threads, truth, scattered[0], fits))
    return Spec(
        tuple(panels),
        provenance(None, evidence=EVIDENCE, scenario={
            "line_transfer_ns": TRANSFER, "ops": OPS, "scatter": SCATTER, "seed": seed,
            "trials": trials, "fitted_threads": list(FITTED),
        }),
    )  # fmt: skip


def title(spec: Spec) -> str:
    """Return the finding in one line."""
    far = spec.panels[-1]
    worst = max(OTHERS, key=lambda law: abs(np.log(far.miss(law))))
    return (
        f"A fit that is right to {100 * far.fits[worst].residual:.0f} % up to {FITTED[-1]} threads can"
        f" be wrong by a factor of {max(far.miss(worst), 1 / far.miss(worst)):.1f} at {FAR}"
    )


@drawing(title)
def draw(spec: Spec, figure: Figure) -> None:
    """Draw throughput over threads: what was fitted, what the fits say, what the queue does."""
    grid = figure.subplots(1, len(spec.panels))
    for axes, panel in zip(grid, spec.panels, strict=True):
        axes.axvspan(FITTED[0], FITTED[-1], color="#E3E3E3", lw=0, zorder=0, label="fitted range")
        axes.plot(panel.threads, panel.truth, color=BLACK, lw=2.2, label="closed queue of the line",
                  zorder=4)  # fmt: skip
        for law, (label, *_, colour, style) in LAWS.items():
            fit = panel.fits[law]
            axes.plot(
                panel.threads, fit.curve, color=colour, ls=style, lw=1.4, label=label, zorder=3
            )
            place = FAR * {"usl": 1.0, "amdahl": 1.08, "power": 1.16, "queue": 1.24}[law]
            axes.plot([place, place], [fit.low, fit.high], color=colour, ls="-", lw=2.6, zorder=5,
                      solid_capstyle="butt", clip_on=False)  # fmt: skip
        axes.plot(FITTED, panel.observed, "o", color="white", mec=BLACK, ms=4, zorder=6,
                  label=f"experiment, scatter {100 * SCATTER:.0f} %")  # fmt: skip
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=2)
        axes.set_xlim(0.9, FAR * 1.3)
        for axis in (axes.xaxis, axes.yaxis):
            tick_labels(axis, number, minor=True)
        axes.set_xlabel("threads")
        axes.set_ylabel("passes over the line (per µs)")
        axes.set_title(f"the line is full from about {panel.knee:.0f} threads")
        axes.grid(axis="y")
    key_below(figure, grid[0], 4, handlelength=2.4,
                  columnspacing=1.4)  # fmt: skip


def caption(spec: Spec) -> str:
    """Return the caption, with the numbers of the spec."""
    parts = [
        "Throughput of threads that pass over one cache line, the machine-repairman queue (black), and"
        f" three scaling laws and the queue's own formula fitted to {len(FITTED)} made-up runs of it up to"
        f" {FITTED[-1]} threads with {100 * SCATTER:.0f} % scatter; bars: 90 % of"
        f" {spec.source['scenario']['trials']} such experiments."
    ]
    for panel in spec.panels:
        said = "; ".join(
            f"{LAWS[law][0]} {panel.miss(law):.2f} of the truth (fitted to"
            f" {100 * panel.fits[law].residual:.1f} %)"
            for law in LAWS
        )
        parts.append(f"Knee at {panel.knee:.0f} threads, at {FAR}: {said}.")
    ranges = [(p.fits["queue"].low / p.truth[-1], p.fits["queue"].high / p.truth[-1])
              for p in spec.panels]  # fmt: skip
    parts.append(
        "Below the knee no fit knows where it is, not even that of the right formula:"
        f" {ranges[-1][0]:.2f} to {ranges[-1][1]:.2f} of the truth in 90 % of the experiments where the"
        f" knee lies beyond the data, {ranges[0][0]:.2f} to {ranges[0][1]:.2f} where it lies among them."
        " The time of one transfer, which two threads measure, says where it is."
        f" Evidence: {EVIDENCE}."
    )
    return " ".join(parts)


def alt(spec: Spec) -> str:
    """Return the text for who cannot see the figure."""
    said = "; ".join(
        f"knee at {p.knee:.0f} threads: "
        + ", ".join(f"{LAWS[law][0]} {p.miss(law):.2f}" for law in LAWS)
        for p in spec.panels
    )
    return (
        "Two charts of throughput over threads on logarithmic axes. All fits follow the points"
        f" up to {FITTED[-1]} threads and part from the closed queue beyond. Fit over truth at {FAR}"
        f" threads: {said}."
    )


def rows(spec: Spec) -> Rows:
    """Return everything drawn, one row a point."""
    out: list[tuple[Any, ...]] = []
    for p in spec.panels:
        out += [
            (p.knee, "closed queue", n, x, "", "") for n, x in zip(p.threads, p.truth, strict=True)
        ]
        out += [
            (p.knee, "experiment", n, x, "", "") for n, x in zip(FITTED, p.observed, strict=True)
        ]
        for law, fit in p.fits.items():
            out += [(p.knee, law, n, x, "", "") for n, x in zip(p.threads, fit.curve, strict=True)]
            out.append((p.knee, f"{law} interval", FAR, fit.far, fit.low, fit.high))
    return ("knee", "curve", "threads", "passes_per_us", "low_90", "high_90"), out


def _build(inputs: Inputs) -> Spec:
    return data_for(progress=inputs.progress)


FIGURE = Kind(
    name="extrapolation", size=(PAGE, 3.2),
    question="Can a scaling law fitted on a small machine foretell a large one?",
    build=_build, draw=draw, title=title, caption=caption, alt=alt, rows=rows,
)  # fmt: skip
