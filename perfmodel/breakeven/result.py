"""The answer: where the sign of the net gain turns over one parameter, and how well that is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from perfmodel.breakeven.formula import ClosedForm
from perfmodel.breakeven.sweeps import swept_quantity
from perfmodel.results import LEVEL

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from perfmodel.quantities import Quantity
    from perfmodel.scenario import Policy, Scenario

__all__ = ["BreakEven", "Root"]

SCHEMA = "perfmodel.break_even/1"


@dataclass(frozen=True)
class Root:
    """One value at which the net gain changes sign.

    Parameters
    ----------
    value, low, high : float
        Estimate and 90 % interval over the draws that have it, in the parameter's unit; the interval
        is NaN where fewer than half of them do.
    pays : {"above", "below"}
        On which side of it the downgrade pays.
    share : float
        Share of the draws that have it; the others turn elsewhere or nowhere in the range. NaN
        without draws.
    """

    value: float
    low: float
    high: float
    pays: str
    share: float = math.nan


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
    closed_form : ClosedForm, optional
        The root by a formula, where there is one for this parameter and this cut.
    notes : tuple of str
        What else must be known of the answer.
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
    closed_form: ClosedForm | None = None
    notes: tuple[str, ...] = ()

    @property
    def declared(self) -> Quantity:
        """The declaration of the parameter."""
        return swept_quantity(self.over)

    @property
    def undefined(self) -> list[float]:
        """Values of the parameter at which there is no answer: no steady state, or unknown."""
        return [
            float(v) for v, g in zip(self.grid, self.net_gain[:, 0], strict=True)
            if not math.isfinite(g)
        ]  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "schema": SCHEMA,
            "scenario": self.scenario.to_dict(),
            "over": self.over,
            "unit": self.declared.unit,
            "policy": self.policy.value,
            "answer": self.answer,
            "safe": self.safe,
            "why_unsafe": None if self.safe else self.why_unsafe,
            "undefined": self.undefined,
            "range": [float(self.grid[0]), float(self.grid[-1])],
            "roots": [
                {"value": _finite(r.value), "low": _finite(r.low), "high": _finite(r.high),
                 "level": LEVEL, "pays": r.pays, "share": _finite(r.share)}
                for r in self.roots
            ],
            "closed_form": None if self.closed_form is None else self.closed_form.to_dict(),
            "notes": list(self.notes),
            "grid": self.grid.tolist(),
            "net_gain_ns_per_call": [_finite(v) for v in self.net_gain[:, 0]],
        }  # fmt: skip

    def sentence(self) -> str:
        """Return the answer in words, safety first."""
        low, high = self.grid[0], self.grid[-1]
        span = f"over {self.over} from {low:g} to {high:g}"
        name, gains, never = self.policy.value, "gains", "never gains"
        if not self.safe:
            name = f"{name} is unsafe as it stands: {self.why_unsafe}. Were it safe it"
            gains, never = "would gain", "would never gain"
        if self.answer == "always":
            text = f"{name} {gains} {span}"
        elif self.answer == "never":
            text = f"{name} {never} {span}"
        elif self.answer == "unknown":
            text = f"{self.policy.value} cannot be predicted {span}"
        elif self.roots:
            text = f"{name} {gains} {', '.join(map(self._turn, self.roots))}"
        else:
            text = f"{name} {gains} in one part and not in another {span}"
        if self.undefined and self.answer != "unknown":
            text += (
                f" (no steady state or no answer at {len(self.undefined)} of {self.grid.size} values,"
                f" from {self.undefined[0]:.4g} on)"
            )
        return f"{text}."

    def _turn(self, root: Root) -> str:
        text = f"{root.pays} {self.over} = {root.value:.4g}"
        if math.isfinite(root.low):
            text += f" (90 % interval {root.low:.3g} to {root.high:.3g}"
            # Without a rest worth a word nothing is said of it.
            text += ")" if root.share > 0.995 else f", in {100 * root.share:.2g} % of the draws)"
        return text


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
