"""What the models say of each point under each cut, before anybody has run it.

The caller of the measuring program pauses so that it is in calls for a given share of its time,
however long its calls are. So each cut is asked with the pause that its own calls give, found by
repetition; and as the two directions alternate, what is common to both is their mean.

The quantiles are of faults that begin during an RW->R call. Of a call that drops the lock for each VMA,
the faults of one section stand for those of all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.experiment.configuration import CUTS, DIRECTIONS, Configuration
from perfmodel.experiment.measured import idle_law, laboratory
from perfmodel.experiment.quantities import QUANTITIES
from perfmodel.fit.natural import during_law
from perfmodel.hold import ACTUAL_POLICY, Hold, hold
from perfmodel.prediction import predict
from perfmodel.scenario import Call, Policy
from perfmodel.validation.predictive import interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from perfmodel.machine import Machine
    from perfmodel.observations import ObservationTable
    from perfmodel.results import PolicyResult

__all__ = ["Predicted", "configurations", "predict_one", "predict_run"]

#: Rounds in which the caller's pause is made to fit its calls.
_ROUNDS = 4

#: The pause that the measuring program makes at most, ns.
_LONGEST_PAUSE = 2e7

#: Draws of the machine's constants.
DRAWS = 200


@dataclass(frozen=True, eq=False)
class Predicted:
    """One quantity of one point under one cut.

    Parameters
    ----------
    configuration : Configuration
    cut, quantity : str
    value, low, high : float
        Estimate and 90 % interval of what the costs' uncertainty makes of it.
    effect, effect_low, effect_high : float
        The same of the change against no cut, draw by draw: ratio or difference, as
        `perfmodel.experiment.quantities` says. NaN without a cut.
    solver : str
        Who answered.
    """

    configuration: Configuration
    cut: str
    quantity: str
    value: float
    low: float
    high: float
    effect: float = math.nan
    effect_low: float = math.nan
    effect_high: float = math.nan
    solver: str = ""


def configurations(table: ObservationTable) -> list[Configuration]:
    """Return the points of an mprotect beside faults that a run of the laboratory holds."""
    found = set()
    for group in table.groups:
        c = group.conditions
        if c.get("part") == "faults" and c.get("writer") == "mprotect":
            found.add(Configuration.of(c, laboratory(table, group)["vcpus"]))
    return sorted(found)


def predict_run(
    machines: Mapping[int, Machine], table: ObservationTable, *, draws: int = DRAWS,
    progress: Callable[[float], None] = lambda _: None,
) -> list[Predicted]:  # fmt: skip
    """Predict every point of a run under every cut.

    Parameters
    ----------
    machines : mapping of int to Machine
        By vCPUs of the guest, each fitted without any cut.
    table : ObservationTable
        Runs of the laboratory without any cut: which points there are, and what a fault takes that
        meets no call.
    draws : int
    progress : callable
        Told the share that is done.
    """
    points = [c for c in configurations(table) if c.vcpus in machines]
    rows: list[Predicted] = []
    for done, point in enumerate(points):
        progress(done / len(points))
        rows += predict_one(machines[point.vcpus], point, idle_law(table, point), draws=draws)
    return rows


def predict_one(
    machine: Machine, point: Configuration, idle: NDArray[np.float64], *, draws: int = DRAWS
) -> list[Predicted]:
    """Predict one point under every cut.

    Parameters
    ----------
    machine : Machine
    point : Configuration
    idle : ndarray of shape (n,), ns
        Latencies of faults that meet no call, equally likely.
    draws : int
    """
    arms = {cut: _arm(machine, point, policy, idle, draws) for cut, policy in CUTS.items()}
    rows = []
    for cut, (found, solver) in arms.items():
        for name, drawn in found.items():
            effect = (math.nan,) * 3
            if cut != "none":
                effect = interval(_effect(name, drawn, arms["none"][0][name]))
            rows.append(Predicted(point, cut, name, *interval(drawn), *effect, solver=solver))
    return rows


def _effect(
    name: str, drawn: NDArray[np.float64], none: NDArray[np.float64]
) -> NDArray[np.float64]:
    if not QUANTITIES[name].relative:
        return np.asarray(drawn - none)
    with np.errstate(all="ignore"):
        return np.asarray(drawn / none)


def _arm(
    machine: Machine, point: Configuration, policy: Policy, idle: NDArray[np.float64], draws: int
) -> tuple[dict[str, NDArray[np.float64]], str]:
    """Return every quantity over the draws, and who answered."""
    constants = machine.draws(draws)
    emptying = _emptying(machine, point)
    pause = 1e4
    for _ in range(_ROUNDS):
        lasting = np.mean([
            _call_time(r)[0] for r in _both(machine, point, policy, pause, emptying, 1, "closed")
        ])  # fmt: skip
        pause = min(lasting * (1 - point.duty) / point.duty, _LONGEST_PAUSE)
    results = _both(machine, point, policy, pause, emptying, draws, "auto")
    answers = [r.answer for r in results]
    scenario = point.scenario(
        machine, DIRECTIONS[0], caller_think_ns=pause, emptying_ns=emptying
    )  # fmt: skip
    law = during_law(
        constants, _one_section(hold(scenario, policy, constants)), scenario.faults.think_ns, idle
    )

    def mean(values: Iterable[Any]) -> NDArray[np.float64]:
        return np.asarray(np.mean(np.broadcast_arrays(*values), axis=0))

    return {
        "call": np.asarray(_call_time(results[0])),
        "wait": mean(a.wait_mean for a in answers),
        "p50": law.quantile(0.5), "p90": law.quantile(0.9), "p99": law.quantile(0.99),
        "blocked": mean(a.blocked_share for a in answers),
        "faults": 1e9 * mean(a.fault_rate for a in answers),
        "lost": mean(r.lost_time for r in results),
    }, "+".join(dict.fromkeys(a.solver for a in answers))  # fmt: skip


def _both(
    machine: Machine, point: Configuration, policy: Policy, pause: float, emptying: float,
    draws: int, solver: str,
) -> list[PolicyResult]:  # fmt: skip
    """Return what the policy does to both directions of the call."""
    results = []
    for direction in DIRECTIONS:
        scenario = point.scenario(machine, direction, caller_think_ns=pause, emptying_ns=emptying)
        asked = scenario.replace(policies=tuple(dict.fromkeys((Policy.NONE, policy))))
        results.append(
            predict(asked, draws=draws, solver=solver, levels=(), guards=False)[policy]
        )  # fmt: skip
    return results


def _call_time(result: PolicyResult) -> NDArray[np.float64]:
    """Return what the caller spends in a call, from entry to return."""
    return np.asarray(result.account["caller_time"] + result.account["waker_time"])


def _one_section(held: Hold) -> Hold:
    """Return the hold of one of the sections of a call."""
    return replace(
        held, exclusive=held.exclusive / held.sections, shared=held.shared / held.sections
    )


def _emptying(machine: Machine, point: Configuration) -> float:
    """Return each fault's share of the MADV_DONTNEED that empties its thread's window, ns."""
    point_call = Call("madvise", pages=point.window_pages, remote_cpus=point.faulters)
    scenario = point.scenario(machine, DIRECTIONS[0], caller_think_ns=1e4, emptying_ns=0.0)
    lasting = hold(scenario.replace(call=point_call), ACTUAL_POLICY["madvise"]).call[0]
    return float(lasting) / point.window_pages if math.isfinite(lasting) else 0.0
