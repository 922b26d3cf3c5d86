"""Where a break-even has a closed form: its value beside the model's own root, and what it assumes.

The formulas are those of :mod:`perfmodel.equations.benefit`: one window, one saving. What they are
given (window, shared part, cost, wake-up) is what the model itself has, and it is taken *at the value
that the formula gives*: the formula is evaluated again until that value no longer moves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from perfmodel.breakeven.parts import SMALL, Parts, conditions, parts_of
from perfmodel.breakeven.sweeps import ConstantSweep, Sweep
from perfmodel.equations.benefit import (
    PAGES,
    RATE,
    THREADS,
    break_even_pages,
    break_even_rate,
    break_even_threads,
)
from perfmodel.equations.equation import Equation
from perfmodel.scenario import Policy, affected_share

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from perfmodel.breakeven.search import SignChange

__all__ = ["STATED", "ClosedForm", "closed_form"]

#: Relative error of a break-even in nine of ten cases, as the equations state it in words.
STATED = 0.18

#: Cuts of which the formulas speak: one exclusive part, then one shared part.
CUTS = (Policy.LAST_VMA, Policy.BEFORE_FLUSH, Policy.AFTER_FLUSH, Policy.EVERY_VMA)

#: Parameters in which the shared part is (piecewise) linear, besides the machine's constants.
LINEAR = ("pages", "populated", "remote_cpus")

#: Evaluations until the value of a formula must have settled.
PASSES = 12


@dataclass(frozen=True)
class ClosedForm:
    """A break-even by formula.

    Parameters
    ----------
    equation : str
        Name of the declared equation.
    latex : str
        The formula, with the symbols of the declarations.
    value : float
        In the unit of the parameter; infinite where the downgrade never pays, 0 where any value will
        do, NaN where there is none (see `says`).
    given : mapping of str to float
        Its arguments, ns and per ns.
    relation : str
        How the value follows from what the equation gives; empty where it is that itself.
    stated_error : str
        What the equation says of its error.
    conditions : mapping of str to bool or None
        What is assumed, in words, and whether it is so here; None where nothing tells.
    root : float
        The model's own root nearest to it; NaN where there is none.
    agrees : bool, optional
        Whether both are within the stated error of nine cases in ten; None where nothing can be
        compared.
    says : str
        The comparison in words.
    """

    equation: str
    latex: str
    value: float
    given: Mapping[str, float]
    relation: str
    stated_error: str
    conditions: Mapping[str, bool | None]
    root: float = math.nan
    agrees: bool | None = None
    says: str = ""

    @property
    def ratio(self) -> float:
        """The model's root over the formula's value; NaN where one of them is missing."""
        if not (math.isfinite(self.value) and self.value > 0):
            return math.nan
        return self.root / self.value

    @property
    def broken(self) -> tuple[str, ...]:
        """Assumptions that do not hold here."""
        return tuple(text for text, met in self.conditions.items() if met is False)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values; a value that is infinite is told by ``never``."""
        return {
            "equation": self.equation,
            "latex": self.latex,
            "value": self.value if math.isfinite(self.value) else None,
            "never": math.isinf(self.value),
            "given": dict(self.given),
            "relation": self.relation,
            "stated_error": self.stated_error,
            "assumptions": [{"text": t, "holds": met} for t, met in self.conditions.items()],
            "root": self.root if math.isfinite(self.root) else None,
            "ratio": self.ratio if math.isfinite(self.ratio) else None,
            "agrees": self.agrees,
            "says": self.says,
        }

    # A notebook sets formulas by itself.
    def _repr_latex_(self) -> str:
        return rf"$\displaystyle {self.latex}$"


@dataclass(frozen=True)
class _Value:
    """What a formula gives with the parts of one trial value, in the unit of the parameter."""

    value: float
    given: dict[str, float]
    parts: Parts


@dataclass(frozen=True)
class _Formula:
    """One use of an equation for a swept parameter.

    Parameters
    ----------
    equation : Equation
    symbol : str
        LaTeX of the left-hand side.
    relation : str
        As in `ClosedForm`.
    at : callable
        Trial value to the formula's value with the parts there; None where it does not apply.
    """

    equation: Equation
    symbol: str
    relation: str
    at: Callable[[float], _Value | None]


def _placeable(sweep: Sweep, value: float) -> float:
    """Return the nearest value that the scenario takes."""
    low, high = sweep.declared.domain
    if sweep.over == "remote_cpus":
        high = sweep.scenario.cpus - 1
    if sweep.over == "pages":
        low = sweep.scenario.call.vmas
    number = min(max(value, low), high)
    return float(round(number)) if sweep.declared.integer else number


def _parts(sweep: Sweep, value: float, policy: Policy) -> Parts:
    scenario = sweep.at(value)
    assert scenario is not None  # only the share of the calls has values without a scenario
    return parts_of(scenario, policy, sweep.solver)


def _rate_formula(sweep: Sweep, policy: Policy) -> _Formula:
    per_vma = sweep.scenario.kernel.per_vma_lock
    total = sweep.scenario.faults.rate_per_ns

    def rate_at(value: float) -> tuple[float, dict[str, float], Parts]:
        parts = _parts(sweep, value, policy)
        given = {"window": parts.window, "shared": parts.shared, "cost": parts.cost, **parts.wake}
        return float(break_even_rate(**given)), given, parts

    def all_faults(value: float) -> _Value:
        rate, given, parts = rate_at(value)
        affected = affected_share(parts.scenario)
        return _Value(rate / affected * 1e9 if affected > 0 else math.inf, given, parts)

    def share(value: float) -> _Value:
        rate, given, parts = rate_at(value)
        none, every = (affected_share(parts.scenario.replace(same_vma=q)) for q in (0.0, 1.0))
        return _Value(max((rate / total - none) / (every - none), 0.0), given, parts)

    if sweep.over == "same_vma":
        relation = (
            f"the share with which lambda* of the {total * 1e9:g} faults a second take the lock"
        )
        return _Formula(RATE, RATE.result.symbol, relation, share)
    relation = (
        "lambda* counts the faults that take the lock, the value all faults" if per_vma else ""
    )
    return _Formula(RATE, RATE.result.symbol, relation, all_faults)


def _threads_formula(sweep: Sweep, policy: Policy) -> _Formula:
    def at(value: float) -> _Value:
        parts = _parts(sweep, value, policy)
        given = {"nu": parts.nu, "window": parts.window, "shared": parts.shared, "cost": parts.cost,
                 "cost_per_thread": 0.0, **parts.wake}  # fmt: skip
        return _Value(float(break_even_threads(**given)), given, parts)

    return _Formula(THREADS, THREADS.result.symbol, "", at)


def _linear_formula(sweep: Sweep, policy: Policy) -> _Formula:
    def at(value: float) -> _Value | None:
        whole = sweep.declared.integer or sweep.over == "remote_cpus"
        step = 1.0 if whole else 0.01 * (value or sweep.declared.typical[1])
        other = _placeable(sweep, value + step)
        if other == value:
            other = _placeable(sweep, value - step)
        here, there = (_parts(sweep, x, policy) for x in (value, other))
        slope = (there.shared - here.shared) / (other - value)
        fixed = here.shared - slope * value
        moves = abs(there.window - here.window) > SMALL * abs(there.shared - here.shared)
        # Rounding may leave a trace below zero where nothing is fixed.
        if not slope > 0 or moves or fixed < -1e-9 * here.shared:
            return None
        given = {"lambda_r": here.lambda_r, "window": here.window, "cost": here.cost,
                 "per_page": slope, "fixed_shared": max(fixed, 0.0), **here.wake}  # fmt: skip
        return _Value(float(break_even_pages(**given)), given, here)

    if sweep.over == "pages":
        return _Formula(PAGES, PAGES.result.symbol, "", at)
    relation = f"as for pages: R = phi + alpha p with {sweep.over} in the place of p"
    # Braces, as some symbols have a superscript already.
    return _Formula(PAGES, f"{{{sweep.declared.symbol}}}^*", relation, at)


def _formula(sweep: Sweep, policy: Policy) -> _Formula | None:
    scenario = sweep.scenario
    if policy not in CUTS or (policy is Policy.EVERY_VMA and scenario.call.vmas > 1):
        return None
    if sweep.over == "fault_rate":
        return _rate_formula(sweep, policy)
    if sweep.over == "same_vma":
        faults = scenario.faults
        counts = faults.rate and scenario.kernel.per_vma_lock and faults.first_touch < 1
        return _rate_formula(sweep, policy) if counts else None
    if sweep.over == "fault_threads":
        return _threads_formula(sweep, policy)
    if sweep.over in LINEAR or isinstance(sweep, ConstantSweep):
        return _linear_formula(sweep, policy)
    return None


def closed_form(
    sweep: Sweep, policy: Policy, roots: Sequence[SignChange], answer: str,
    grid: NDArray[np.float64],
) -> ClosedForm | None:  # fmt: skip
    """Return the break-even by formula, held beside what the model found.

    Parameters
    ----------
    sweep : Sweep
    policy : Policy
        The cut.
    roots : sequence of SignChange
        The model's own.
    answer : str
        The model's own, as in `BreakEven`.
    grid : ndarray
        The values that the model tried.

    Returns
    -------
    ClosedForm or None
        None where no formula is about this parameter, this cut or this scenario.
    """
    formula = _formula(sweep, policy)
    if formula is None:
        return None
    # A jump at the end of the range, where the first entry becomes present, is no root of a formula.
    roots = [r for r in roots if r.value > grid[0]]
    if answer == "turns" and not roots:
        answer = "always"
    own = sweep.value()
    start = roots[0].value if roots else own if own > 0 else float(grid[grid.size // 2])
    trial, value = _placeable(sweep, start), math.nan
    last: tuple[float, float] | None = None
    for _ in range(PASSES):
        found = formula.at(trial)
        if found is None or math.isnan(found.value):
            return None
        settled = _placeable(sweep, found.value)
        if found.value in (0.0, math.inf) or abs(settled - trial) <= 1e-3 * trial:
            value = found.value
            break
        # Where a larger trial value makes the formula's smaller, plain repetition swings: secant steps.
        place, off = math.log(trial), math.log(settled / trial)
        slope = -1.0 if last is None else (off - last[1]) / (place - last[0])
        last = place, off
        after = _placeable(sweep, math.exp(place - off / slope if slope < 0 else place + off))
        trial = after if after != trial else settled
    assert found is not None
    form = ClosedForm(
        equation=formula.equation.name,
        latex=f"{formula.symbol} = {formula.equation.latex(left=False)}",
        value=value,
        given=found.given,
        relation=formula.relation,
        stated_error=formula.equation.stated_error,
        conditions=dict(conditions(formula.equation, found.parts)),
    )
    return _compared(form, sweep, roots, answer, grid)


def _compared(
    form: ClosedForm, sweep: Sweep, roots: Sequence[SignChange], answer: str,
    grid: NDArray[np.float64],
) -> ClosedForm:  # fmt: skip
    """Hold the formula's value beside the model's roots."""
    value, whole = form.value, sweep.declared.integer
    if math.isnan(value):
        return replace(form, says="its value does not settle: each value has constants of its own")
    if answer == "unknown":
        return replace(form, says="the model has no answer to compare with")
    rising = [r.value for r in roots if r.side == "above"]
    # The model counts whole ones: the first that pays is the next one up.
    first = max(float(math.ceil(value)), grid[0]) if whole and math.isfinite(value) else value
    if not rising or not math.isfinite(value):
        never, always = not first <= grid[-1], first <= grid[0]
        expected = "never" if never else "always" if always else "turns"
        place = (
            "no value at all" if math.isinf(value) else "beyond the range" if never
            else "the whole range" if always else "within the range"
        )  # fmt: skip
        agrees = expected == answer and not roots
        says = (
            f"by it {place} pays"
            if expected == "always" or math.isinf(value)
            else f"its value lies {place}"
        )
        return replace(form, agrees=agrees, says=f"{says}; the model says {answer!r}")
    root = min(rising, key=lambda r: abs(math.log(r / max(first, 1e-300))))
    ratio = root / first
    agrees = abs(math.log(ratio)) <= math.log1p(STATED) or (whole and abs(root - first) <= 1)
    says = f"the model's own root is {root:.4g}, {root / value:.3g} of it: " + (
        f"within the {100 * STATED:.0f} % stated for nine cases in ten" if agrees
        else f"further apart than the {100 * STATED:.0f} % stated for nine cases in ten"
    )  # fmt: skip
    if not agrees and form.broken:
        says += "; it assumes what does not hold here: " + "; ".join(form.broken)
    return replace(form, root=root, agrees=agrees, says=says)
