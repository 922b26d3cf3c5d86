"""Full predictions a second of one core, against the same arithmetic written by hand, and against `predict`.

A full prediction is that of five policies: holds, waits with three quantiles, throughputs, net gain and
verdict. The comparison stops if the two do not give the same numbers.
"""

from __future__ import annotations

from typing import Any

import handwritten
import numpy as np
from measuring import compared, in_turn
from sweep import FIVE, planned

import perfmodel as pm
from perfmodel.hold import facts
from perfmodel.rwlock.lock import LEVELS
from perfmodel.stale_tlb import safety
from perfmodel.sweeping.answers import Found, least_share
from perfmodel.sweeping.compiled import FIELDS
from perfmodel.sweeping.evaluate import evaluate
from perfmodel.sweeping.plan import Plan
from perfmodel.verdict import SURE

__all__ = ["difference", "hand", "measured", "question"]

FLAGS = ("verdict", "verdict_if_safe", "verdict_policy", "best_safe_policy", "stream_overrun")
REGIONS = {"usual": "10 to 10^5 faults/s, pauses of 0.1 to 100 ms",
           "extreme": "10 to 5 10^6 faults/s, pauses of 1 us to 100 ms"}  # fmt: skip


def question() -> pm.Scenario:
    """Return the question: mprotect RW->R on 5.11, five policies, an open stream, one caller."""
    return pm.Scenario(machine="xeon-vm-6.18", kernel="5.11", policies=FIVE)


def columns(plan: Plan) -> tuple[Any, ...]:
    """Return pages, fault rates and pauses of every point, in the units of the kernels."""
    values = {axis.name: axis.values for axis in plan.axes}
    names = [axis.name for axis in plan.axes]
    grids = dict(zip(names, np.meshgrid(*values.values(), indexing="ij"), strict=True))
    flat = {name: np.ascontiguousarray(grid.ravel()) for name, grid in grids.items()}
    return flat["pages"], 1e-9 * flat["fault_rate"], 1e3 * flat["writer_think_us"]


def hand(plan: Plan, scenario: pm.Scenario) -> tuple[Any, ...]:
    """Answer all points by the kernel written by hand; return the arrays that it fills."""
    pages, rates, pauses = columns(plan)
    known = facts(scenario.kernel, scenario.call, pm.Policy.NONE, 0.0)
    costs = tuple(
        float(known[name]) if name in known else float(scenario.machine.value(name))
        for name in handwritten.COSTS
    )
    safe = np.array([safety(scenario.kernel, scenario.call, p).safe for p in FIVE])
    out = handwritten.room(pages.size)
    handwritten.by_hand(pages, rates, pauses, costs, float(scenario.cpus), safe, least_share(), SURE,
                        np.array(LEVELS), *out)  # fmt: skip
    return out


def difference(found: Found, by_hand: tuple[Any, ...]) -> float:
    """Return the largest relative difference of any number; infinite if a verdict differs."""
    fields, quantiles, pays, inside, flags, shares = by_hand
    pairs = [(found.values[name], fields[i]) for i, name in enumerate(FIELDS)
             if name in found.values and name != "net_gain"]  # fmt: skip
    pairs += [(found.values["wait_quantile"], quantiles),
              (found.values["share_of_thread_time"], shares), (found.values["p_pays"], pays)]  # fmt: skip
    same = [np.array_equal(found.values["inside_stated_region"], inside)]
    same += [np.array_equal(found.values[name], flags[:, i]) for i, name in enumerate(FLAGS)]
    if not all(same):
        return float("inf")
    # A gain is a small difference of large numbers: it is held against the time it is taken from.
    lost = fields[FIELDS.index("lost_time")]
    gain = np.asarray(found.values["net_gain"]).reshape(lost.shape)
    worst = float(np.max(np.abs(gain - fields[FIELDS.index("net_gain")]) / lost[:, :1]))
    for ours, theirs in pairs:
        with np.errstate(all="ignore"):
            apart = np.abs(ours - theirs) / np.maximum(np.abs(theirs), 1e-6)
        known = ~(np.isnan(ours) & np.isnan(theirs))
        worst = max(worst, float(np.max(apart[known], initial=0.0)))
    return worst


def measured(rounds: int = 5, points: int = 120_000) -> list[dict[str, Any]]:
    """Time all, region by region."""
    scenario, found = question(), []
    for region, said in REGIONS.items():
        plan = planned(scenario, region, points)
        block = plan.block(0)
        size = block.size
        if size != plan.size:
            raise RuntimeError(f"{plan.size} points are more than a block of {size}")
        apart = difference(evaluate(plan, block, loop=True), hand(plan, scenario))
        if not apart < 1e-8:
            raise RuntimeError(f"{region}: the numbers differ by {apart:.2g}")
        singles = iter(_singles(plan))
        seconds = in_turn(
            {"loop": lambda p=plan, b=block: evaluate(p, b, loop=True),
             "hand": lambda p=plan: hand(p, scenario),
             "single": lambda s=singles: [pm.predict(next(s), draws=1, solver="closed", guards=False)
                                          for _ in range(6)]},
            rounds,
        )  # fmt: skip
        rate = {"loop": size, "hand": size, "single": 6}
        rates = {name: [rate[name] / x for x in ran] for name, ran in seconds.items()}
        for name, peer in (("hand", "one numba kernel written by hand"),
                           ("single", "predict, one scenario a call")):  # fmt: skip
            found.append(
                compared("prediction", f"full prediction, {region} region ({said})", peer,
                         "scenarios/s", rates["loop"], rates[name])
                | {"largest_difference": apart if name == "hand" else None}
            )  # fmt: skip
    return found


def _singles(plan: Plan) -> Any:
    """Yield scenarios of a plan for ever, each another one."""
    index = 0
    while True:
        place = np.unravel_index(index * 7919 % plan.size, plan.shape)
        point = {a.name: plan.value(a, int(k)) for a, k in zip(plan.axes, place, strict=True)}
        yield plan.placed(point)
        index += 1
