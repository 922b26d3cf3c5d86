"""Where the verdict turns: the values of one parameter at which a downgrade begins or ceases to pay."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.errors import InputError
from perfmodel.prediction import predict
from perfmodel.quantities import SCENARIO, Quantity
from perfmodel.results import LEVEL
from perfmodel.scenario import Policy, Scenario
from perfmodel.verdict import CUTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PARAMETERS", "BreakEven", "Root", "break_even"]

#: Parameters that can be swept: command-line name, path in the scenario, declaration.
PARAMETERS: dict[str, tuple[str, str]] = {
    "pages": ("call.pages", "pages"),
    "vmas": ("call.vmas", "vmas"),
    "populated": ("call.populated", "populated"),
    "remote_cpus": ("call.remote_cpus", "remote_cpus"),
    "fault_rate": ("faults.rate", "fault_rate"),
    "fault_threads": ("faults.threads", "fault_threads"),
    "fault_think_us": ("faults.think_us", "fault_think_us"),
    "same_vma": ("faults.same_vma", "same_vma"),
    "first_touch": ("faults.first_touch", "first_touch"),
    "io_share": ("faults.io_share", "io_share"),
    "io_us": ("faults.io_us", "io_us"),
    "writer_threads": ("writers.threads", "writer_threads"),
    "writer_think_us": ("writers.think_us", "writer_think_us"),
    "writer_rate": ("writers.rate", "writer_rate"),
    "cpus": ("cpus", "cpus"),
}

SCHEMA = "perfmodel.break_even/1"


@dataclass(frozen=True)
class Root:
    """One value at which the net gain changes sign.

    Parameters
    ----------
    value, low, high : float
        Estimate and 90 % interval, in the parameter's unit; NaN where too few draws have it.
    pays : {"above", "below"}
        On which side of it the downgrade pays.
    """

    value: float
    low: float
    high: float
    pays: str


@dataclass(frozen=True, eq=False)
class BreakEven:
    """The sign of the net gain over one parameter.

    Parameters
    ----------
    over : str
        The parameter.
    policy : Policy
        The cut.
    answer : {"always", "never", "turns", "unknown"}
        Within the typical range of the parameter, where there is an answer at all: points with
        a NaN gain (no steady state, or an unknown constant) are left out and listed in `undefined`.
    roots : tuple of Root
        All sign changes, ascending.
    grid : ndarray of shape (points,)
        Values tried.
    net_gain : ndarray of shape (points, draws), ns
        Net gain per call; draw 0 is the estimate.
    safe : bool
        Whether the cut may be used at all.
    why_unsafe : str
    scenario : Scenario
    """

    over: str
    policy: Policy
    answer: str
    roots: tuple[Root, ...]
    grid: NDArray[np.float64]
    net_gain: NDArray[np.float64]
    safe: bool
    why_unsafe: str
    scenario: Scenario

    @property
    def undefined(self) -> list[float]:
        """Values of the parameter at which there is no answer: no steady state, or unknown."""
        return [float(v) for v in self.grid[~np.isfinite(self.net_gain[:, 0])]]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "schema": SCHEMA,
            "scenario": self.scenario.to_dict(),
            "over": self.over,
            "unit": SCENARIO[PARAMETERS[self.over][1]].unit,
            "policy": self.policy.value,
            "answer": self.answer,
            "safe": self.safe,
            "why_unsafe": None if self.safe else self.why_unsafe,
            "undefined": self.undefined,
            "range": [float(self.grid[0]), float(self.grid[-1])],
            "roots": [
                {"value": _finite(r.value), "low": _finite(r.low), "high": _finite(r.high),
                 "level": LEVEL, "pays": r.pays}
                for r in self.roots
            ],
            "grid": self.grid.tolist(),
            "net_gain_ns_per_call": [_finite(v) for v in self.net_gain[:, 0]],
        }  # fmt: skip

    def sentence(self) -> str:
        """Return the answer in words."""
        low, high = self.grid[0], self.grid[-1]
        span = f"over {self.over} from {low:g} to {high:g}"
        if self.answer == "always":
            text = f"{self.policy.value} gains {span}"
        elif self.answer == "never":
            text = f"{self.policy.value} never gains {span}"
        elif self.answer == "unknown":
            text = f"{self.policy.value} cannot be predicted {span}"
        else:
            parts = [
                f"{r.pays} {self.over} = {r.value:.4g}"
                + (f" (90 % interval {r.low:.3g} to {r.high:.3g})" if math.isfinite(r.low) else "")
                for r in self.roots
            ]
            text = f"{self.policy.value} gains {', '.join(parts)}"
        if self.undefined and self.answer != "unknown":
            text += (
                f" (no steady state or no answer at {len(self.undefined)} of {self.grid.size} values,"
                f" from {self.undefined[0]:.4g} on)"
            )
        return text + ("." if self.safe else f"; but it is unsafe: {self.why_unsafe}.")


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _grid(declared: Quantity, scenario: Scenario, over: str, points: int) -> NDArray[np.float64]:
    low, high = declared.typical
    if over == "vmas":
        high = min(high, scenario.call.pages)
    if over == "pages":
        low = max(low, scenario.call.vmas)
    if over == "remote_cpus":
        high = min(high, scenario.cpus - 1)
    if high <= low:
        return np.array([low], dtype=float)
    spread = np.geomspace if declared.spans_decades else np.linspace
    grid = spread(low, high, points)
    return np.unique(np.round(grid)) if declared.integer else grid


def _with(scenario: Scenario, over: str, value: float) -> Scenario:
    path, name = PARAMETERS[over]
    number: float = round(value) if SCENARIO[name].integer else float(value)
    changes: dict[str, Any] = {path: number}
    # A swept rate replaces the population, and the other way round.
    if over == "fault_rate":
        changes |= {"faults.threads": None, "faults.think_us": None}
    elif over in ("fault_threads", "fault_think_us") and scenario.faults.open:
        changes |= {"faults.rate": None}
    elif over == "writer_rate":
        changes |= {"writers.threads": None}
    elif over in ("writer_threads", "writer_think_us") and scenario.writers.open:
        changes |= {"writers.rate": None}
    return scenario.replace(**changes)


def _cells(
    grid: NDArray[np.float64], gain: NDArray[np.float64]
) -> list[tuple[tuple[float, float, float, float], str]]:
    """Cells of the grid in which one draw changes sign: both ends and both gains, and who pays."""
    known = np.isfinite(gain)
    grid, gain = grid[known], gain[known]
    sign = gain > 0
    return [
        ((float(grid[i]), float(grid[i + 1]), float(gain[i]), float(gain[i + 1])),
         "above" if sign[i + 1] else "below")
        for i in np.nonzero(sign[1:] != sign[:-1])[0]
    ]  # fmt: skip


def _interpolated(cell: tuple[float, float, float, float], log: bool) -> float:
    """Root of a cell by a straight line on the grid's own scale."""
    low, high, gain_low, gain_high = cell
    part = gain_low / (gain_low - gain_high)
    if log:
        return math.exp(math.log(low) + part * math.log(high / low))
    return low + part * (high - low)


def _refined(
    cell: tuple[float, float, float, float], gain: Callable[[float], float], integer: bool
) -> float:
    """Root of a cell by Brent's method on the model itself; between whole numbers, by halving."""
    from scipy.optimize import brentq

    low, high, gain_low, _ = cell
    if not integer:
        return float(brentq(gain, low, high, rtol=1e-4))
    while high - low > 1:
        middle = math.floor((low + high) / 2)
        if (gain(middle) > 0) == (gain_low > 0):
            low = middle
        else:
            high = middle
    # The first whole number on the far side: the last one before it has the other sign.
    return high


def break_even(
    scenario: Scenario,
    over: str,
    *,
    policy: Policy | None = None,
    points: int = 41,
    draws: int = 100,
    progress: Callable[[float], None] = lambda _: None,
) -> BreakEven:
    """Find every value of one parameter at which the net gain of a cut changes sign.

    Parameters
    ----------
    scenario : Scenario
        Everything else.
    over : str
        One of `PARAMETERS`.
    policy : Policy, optional
        The cut. Default: the one that the verdict on the scenario itself judges.
    points : int
        Values tried over the typical range of the parameter.
    draws : int
        Draws behind the intervals.
    progress : callable
        Told the share done, 0 to 1.

    Returns
    -------
    BreakEven

    Raises
    ------
    InputError
        If the parameter is unknown.
    """
    over = over.replace("-", "_")
    if over not in PARAMETERS:
        raise InputError(
            f"cannot sweep {over!r}", field="over", expected="one of " + ", ".join(PARAMETERS)
        )
    if policy is None:
        judged = predict(scenario, draws=1, levels=()).verdict.policy
        policy = Policy(judged) if judged != "none" else CUTS[0]
    declared = SCENARIO[PARAMETERS[over][1]]
    grid = _grid(declared, scenario, over, points)
    pair = scenario.replace(policies=(Policy.NONE, policy))

    def gain_at(value: float, count: int) -> NDArray[np.float64]:
        return predict(_with(pair, over, value), draws=count, levels=())[policy].net_gain

    gain = np.empty((grid.size, draws))
    for i, value in enumerate(grid):
        gain[i] = gain_at(value, draws)
        progress((i + 1) / grid.size)
    log = declared.spans_decades
    central = [
        (_refined(cell, lambda x: float(gain_at(x, 1)[0]), declared.integer), side)
        for cell, side in _cells(grid, gain[:, 0])
    ]
    answer = _answer(gain[:, 0], central)
    reference = predict(scenario.replace(policies=(Policy.NONE, policy)), draws=1, levels=())[
        policy
    ]
    return BreakEven(
        over=over,
        policy=policy,
        answer=answer,
        roots=tuple(_interval(root, k, grid, gain, log, len(central))
                    for k, root in enumerate(central)),
        grid=grid,
        net_gain=gain,
        safe=reference.safety.safe,
        why_unsafe="" if reference.safety.safe else reference.safety.reason,
        scenario=scenario,
    )  # fmt: skip


def _answer(gain: NDArray[np.float64], roots: list[tuple[float, str]]) -> str:
    known = gain[np.isfinite(gain)]
    if known.size == 0:
        return "unknown"
    if roots:
        return "turns"
    return "always" if known[0] > 0 else "never"


def _interval(
    root: tuple[float, str], position: int, grid: NDArray[np.float64],
    gain: NDArray[np.float64], log: bool, expected: int,
) -> Root:  # fmt: skip
    """Interval of a root over the draws that have as many roots as the estimate.

    Draws that turn elsewhere or nowhere are no evidence on this root; where more than half are
    such, the interval is unknown.
    """
    found = []
    for column in range(1, gain.shape[1]):
        cells = _cells(grid, gain[:, column])
        if len(cells) == expected:
            found.append(_interpolated(cells[position][0], log))
    if len(found) < max(10, (gain.shape[1] - 1) // 2):
        return Root(root[0], math.nan, math.nan, root[1])
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Root(root[0], float(low), float(high), root[1])
