"""Cuts with a guard over a grid: each point is asked of `predict`, for a guard changes what is flushed when."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from perfmodel.errors import InputError
from perfmodel.guards import GUARDED as CUTS
from perfmodel.guards import SINGLE
from perfmodel.prediction import predict
from perfmodel.sweeping.answers import Found, spread
from perfmodel.sweeping.variables import VARIABLES

if TYPE_CHECKING:
    from perfmodel.sweeping.plan import Block, Plan

__all__ = ["GUARDED", "unguarded", "with_guards"]

#: The cuts with a guard, in the order of their dimension: policy and guard.
GUARDED = tuple((policy, guard) for policy in CUTS for guard in SINGLE)


def unguarded(plan: Plan) -> Plan:
    """Return a plan without what is asked of guards; the verdict where nothing else is asked."""
    names = tuple(n for n in plan.variables if not VARIABLES[n].guarded)
    return plan if names == plan.variables else replace(plan, variables=names or ("verdict",))


def with_guards(plan: Plan, block: Block, answer: Callable[[Plan], Found]) -> Found:
    """Answer a block of which guards are asked besides.

    Parameters
    ----------
    plan : Plan
    block : Block
    answer : callable
        Answers what is asked of the policies, under a plan without guards.

    Returns
    -------
    Found
        NaN, and not safe, where a cut is none of the scenario's policies, or the call is no mprotect that
        changes anything.
    """
    found = answer(unguarded(plan))
    shape = (block.size, len(GUARDED), plan.draws)
    gain, safe = np.full(shape, math.nan), np.zeros(shape[:2], dtype=bool)
    codes = plan.codes(block)
    for i in range(block.size):
        try:
            asked = plan.placed({a.name: plan.value(a, int(codes[a.name][i])) for a in plan.axes})
        except InputError:
            continue  # counted already
        told = predict(asked, draws=plan.draws, seed=plan.seed, levels=(), solver=plan.solver)
        for result in told.guarded:
            place = GUARDED.index((result.policy, result.single))
            gain[i, place], safe[i, place] = result.net_gain, result.safety.safe
    if plan.draws > 1 and not plan.keep_draws:
        values = spread(gain)[0]
    else:
        values = gain if plan.keep_draws else gain[..., 0]
    found.values |= {"guarded_gain": values, "guarded_safe": safe}
    found.values = {name: found.values[name] for name in plan.variables}
    return found
