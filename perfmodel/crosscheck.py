"""A second opinion on a prediction: the same lock question, answered by another solver."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from perfmodel.errors import InputError
from perfmodel.hold import hold, not_applicable
from perfmodel.prediction import lock_question
from perfmodel.rwlock import Answer, Lock, solve
from perfmodel.scenario import Scenario

__all__ = ["SOLVERS", "Opinion", "central_locks", "second_opinion"]

#: Who can be asked besides the closed form.
SOLVERS = ("chain", "simulation")

#: What is compared: a name in the answer, and its unit.
QUANTITIES = (
    ("wait_mean", "ns"),
    ("blocked_share", "1"),
    ("acquire", "ns"),
    ("fault_rate", "1/ns"),
    ("call_rate", "1/ns"),
)


@dataclass(frozen=True)
class Opinion:
    """One quantity of one policy, by the closed form and by another solver.

    Parameters
    ----------
    policy, quantity, unit : str
    closed, other : float
        Central estimates.
    half_width : float
        Half of the other's 95 % interval; 0 for a solver without chance.
    solver : str
        Who the other is; why there is none, where `other` is NaN.
    """

    policy: str
    quantity: str
    unit: str
    closed: float
    other: float
    half_width: float
    solver: str

    @property
    def ratio(self) -> float:
        """Closed form over the other."""
        if self.other == 0:
            return 1.0 if self.closed == 0 else math.inf
        return self.closed / self.other

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values; what is unknown is None."""

        def known(value: float) -> float | None:
            return value if math.isfinite(value) else None

        return {
            "policy": self.policy, "quantity": self.quantity, "unit": self.unit,
            "closed_form": known(self.closed), "other": known(self.other),
            "half_width": known(self.half_width), "ratio": known(self.ratio),
            "solver": self.solver,
        }  # fmt: skip


def central_locks(
    scenario: Scenario, *, discipline: str = "rwsem", told: Callable[[str], None] = lambda _: None
) -> dict[str, Lock]:
    """Return the lock question of every policy that applies, from the central estimates.

    Parameters
    ----------
    scenario : Scenario
    discipline : str
        Order of service.
    told : callable
        Told why a policy is left out.
    """
    constants, locks = scenario.machine.draws(1), {}
    for policy in scenario.policies:
        if reason := not_applicable(scenario, policy):
            told(f"{policy.value} does not apply: {reason}")
            continue
        held = hold(scenario, policy, constants)
        if np.isnan(held.exclusive).any() or np.isnan(held.shared).any():
            told(f"{policy.value}: the call needs a constant that the profile does not know")
            continue
        locks[policy.value] = replace(
            lock_question(scenario, held, constants), discipline=discipline
        )
    return locks


def _ask(lock: Lock, by: str, calls: int, seed: int) -> tuple[Answer, dict[str, float]]:
    if by == "chain":
        from perfmodel.rwlock.markov import solve_chain

        # Eight stages are close to a constant hold in every mean, and leave room for threads.
        return solve_chain(lock, stages=8, levels=()), {}
    from perfmodel.rwlock.simulate import simulate

    result = simulate(lock, calls=calls, seed=seed, levels=())
    return result.answer, {name: e.half_width for name, e in result.estimates.items()}


def second_opinion(
    scenario: Scenario, by: str, *, calls: int = 20_000, seed: int = 0
) -> tuple[Opinion, ...]:
    """Ask another solver the questions that a prediction's closed form answered.

    Parameters
    ----------
    scenario : Scenario
    by : {"chain", "simulation"}
        The exact Markov chain (closed populations; wake-ups do not hold the lock in it), or the
        event-driven simulation (any population; a woken fault owns the lock while it is on its
        way; needs the 'simulate' extra).
    calls, seed : int
        Calls simulated, and the seed.

    Returns
    -------
    tuple of Opinion
        By policy and quantity. Where the solver cannot answer, `other` is NaN and `solver` says why.

    Raises
    ------
    InputError
        If there is no such solver.
    MissingExtraError
        If the simulation's extra is not installed.
    """
    if by not in SOLVERS:
        raise InputError(f"there is no solver {by!r}", field="check", expected=" or ".join(SOLVERS))
    opinions = []
    for policy, lock in central_locks(scenario).items():
        closed = solve(lock, levels=())
        try:
            other, widths = _ask(lock, by, calls, seed)
            solver = other.solver
        except InputError as error:
            other, widths, solver = None, {}, str(error)
        for name, unit in QUANTITIES:
            opinions.append(
                Opinion(
                    policy, name, unit,
                    float(getattr(closed, name).reshape(-1)[0]),
                    math.nan if other is None else float(getattr(other, name).reshape(-1)[0]),
                    widths.get(name, 0.0),
                    solver,
                )
            )  # fmt: skip
    return tuple(opinions)
