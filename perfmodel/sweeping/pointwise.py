"""Points outside the closed forms' region, asked of `predict` one by one where that is wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.errors import InputError
from perfmodel.prediction import Prediction, predict
from perfmodel.scenario import Policy
from perfmodel.sweeping.answers import Found
from perfmodel.sweeping.arrays import summed
from perfmodel.sweeping.variables import VARIABLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from perfmodel.sweeping.plan import Block, Plan

__all__ = ["by_other_solvers", "of_prediction"]

#: What tells whether the closed form's answer may stand.
_TELLING = ("lost_time", "inside_stated_region")


def by_other_solvers(plan: Plan, block: Block, closed: Callable[[Plan], Found]) -> Found:
    """Answer a block as `predict` does with the plan's solver.

    Parameters
    ----------
    plan : Plan
        Its solver is another than ``closed``.
    block : Block
    closed : callable
        Gives the closed forms' answers under a plan.

    Returns
    -------
    Found
        Where every policy that is known lies inside the closed form's region its answer stands (of
        ``simulation`` it never does); every other point is asked of `predict`.
    """
    asked = replace(
        plan, variables=tuple(n for n in VARIABLES if n in (*plan.variables, *_TELLING))
    )
    found = closed(asked)
    found.values = {name: np.array(values) for name, values in found.values.items()}
    lost = found.values["lost_time"]
    known = np.isfinite(lost[..., 0] if plan.keep_draws else lost)
    outside = known.any(axis=1)
    if plan.solver != "simulation":
        outside = (known & ~found.values["inside_stated_region"]).any(axis=1)
    codes = plan.codes(block)
    for i in np.flatnonzero(outside):
        point = {a.name: plan.value(a, int(codes[a.name][i])) for a in plan.axes}
        try:
            one = predict(
                plan.placed(point), draws=plan.draws, seed=plan.seed, levels=plan.levels,
                solver=plan.solver, guards=False,
            )  # fmt: skip
        except InputError as error:
            raise InputError(f"{point}: {error.what}", field=error.field,
                             expected=error.expected) from None  # fmt: skip
        told = of_prediction(asked, one)
        # Counted already: of the closed form, whose region it was.
        told.broken.clear()
        found.put(np.array([i]), told)
    found.values = {name: found.values[name] for name in plan.variables}
    return found


def of_prediction(plan: Plan, prediction: Prediction) -> Found:
    """Return the variables of one prediction, shaped as those of one point."""
    results = prediction.results
    none = prediction[Policy.NONE]
    shape = (plan.draws,)

    def column(pick: Callable[[Any], Any]) -> NDArray[np.float64]:
        rows = [np.broadcast_to(np.asarray(pick(r), dtype=float), shape) for r in results]
        return np.stack(rows)[None]

    columns: dict[str, NDArray[Any]] = {
        "exclusive": column(lambda r: r.hold.exclusive), "shared": column(lambda r: r.hold.shared),
        "call": column(lambda r: r.hold.call), "acquire": column(lambda r: r.answer.acquire),
        "wait_mean": column(lambda r: r.answer.wait_mean),
        "blocked_share": column(lambda r: r.answer.blocked_share),
        "lost_time": column(lambda r: r.lost_time), "net_gain": column(lambda r: r.net_gain),
        "fault_throughput": column(lambda r: 1e9 * r.answer.fault_rate),
        "call_throughput": column(lambda r: 1e9 * r.answer.call_rate),
        "throughput_gain": column(lambda r: r.throughput_gain),
        "inside_stated_region": np.array(
            [[not r.answer.broken and bool(np.isfinite(r.net_gain[0])) for r in results]]
        ),
        "wait_quantile": np.array(
            [[[float(np.reshape(r.answer.wait_quantiles[q], -1)[0]) for q in plan.levels]
              for r in results]]
        ),
    }  # fmt: skip
    found = Found({})
    for result in results:
        if not result.reason:
            found.solvers.add(result.answer.solver)
            found.errors.add(result.answer.stated_error)
        if not result.reason and np.isfinite(result.net_gain[0]):
            found.broken.update(result.answer.broken)
    realised = np.array([[r.realised for r in results]])
    found = summed(plan, prediction.scenario, columns, realised, none.answer, found)
    if "answered_by" in found.values:
        solver = none.answer.solver
        by = 1 if "chain" in solver else 2 if "simulation" in solver else 0
        found.values["answered_by"] = np.array([by])
    return found
