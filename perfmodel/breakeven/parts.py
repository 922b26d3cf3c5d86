"""What the break-even formulas are given of a scenario, and whether their assumptions hold for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from perfmodel.equations.equation import Equation
from perfmodel.hold import hold
from perfmodel.prediction import lock_question, predict
from perfmodel.rwlock.terms import affected_think_rate
from perfmodel.scenario import Policy, Scenario, affected_share

__all__ = ["CHECKS", "SMALL", "Parts", "conditions", "parts_of"]

#: What counts as small beside one where a formula drops a term.
SMALL = 0.1


@dataclass(frozen=True)
class Parts:
    """What the formulas need of one scenario, central estimate, ns and per ns.

    Parameters
    ----------
    scenario : Scenario
    lambda_r, nu : float
        Faults that take the lock, and of one thread that runs (NaN for an open stream).
    window, shared : float
        Mean time during which faults are blocked with the downgrade, and the shared part after it.
    cost : float
        What the downgrade costs by itself: `transfer`, its operations, and `longer`.
    transfer : float
        Of the cost, transfers of the lock's line.
    longer : float
        Of the cost, what the call takes longer for another reason: more CPUs to interrupt.
    acquire, acquire_change : float
        Wait for the lock with the downgrade, and how much shorter that is than without.
    wake_latency, wake_serial : float
        Delay of a sleeper with what brings its CPU out of its sleep, and what the waker pays; 0 where
        readers spin.
    slowpath_ops, marginal_cost : float
        Further locked operations of a blocked fault, and the cost of each.
    thinking : float
        Share of the time that a faulting thread thinks.
    line_busy : float
        How busy the lock's line is.
    """

    scenario: Scenario
    lambda_r: float
    nu: float
    window: float
    shared: float
    cost: float
    transfer: float
    longer: float
    acquire: float
    acquire_change: float
    wake_latency: float
    wake_serial: float
    slowpath_ops: float
    marginal_cost: float
    thinking: float
    line_busy: float

    @property
    def wake(self) -> dict[str, float]:
        """Arguments that all formulas share."""
        return {
            "wake_latency": self.wake_latency, "wake_serial": self.wake_serial,
            "slowpath_ops": self.slowpath_ops, "marginal_cost": self.marginal_cost,
        }  # fmt: skip


def parts_of(scenario: Scenario, policy: Policy, solver: str) -> Parts:
    """Return the parts of one call under a cut.

    Parameters
    ----------
    scenario : Scenario
    policy : Policy
        The cut.
    solver : str
        Who answers the lock's question, as in :func:`perfmodel.prediction.predict`.
    """
    asked = scenario.replace(policies=(Policy.NONE, policy))
    prediction = predict(asked, draws=1, levels=(), solver=solver, guards=False)
    before, after = prediction[Policy.NONE], prediction[policy]
    constants = scenario.machine.draws(1)
    sleeps = 0.0 if scenario.kernel.reader_spin else 1.0
    ops = scenario.kernel.blocked_reader_ops

    def first(value: Any) -> float:
        return float(np.asarray(value).reshape(-1)[0])

    blocked = first(before.answer.blocked)
    line = first(before.account["line_time"])
    # Without a downgrade the line is charged for the slow path alone.
    omega = line / (ops * blocked) if blocked > 0 and ops else first(constants["line_transfer"])
    transfer = max(
        first(after.account["line_time"]) - ops * first(after.answer.blocked) * omega, 0.0
    )
    more = first(after.hold.call) - first(before.hold.call)
    own = (after.hold.lock_ops - before.hold.lock_ops) * first(constants["rmw_local"])
    faults = first(before.answer.fault_rate)
    threads = scenario.faults.threads
    lock = lock_question(scenario, hold(scenario, policy, constants), constants)
    return Parts(
        scenario=scenario,
        lambda_r=faults * affected_share(scenario),
        nu=math.nan if threads is None else first(affected_think_rate(lock)),
        window=first(after.answer.acquire) + first(after.hold.exclusive),
        shared=first(after.hold.shared),
        cost=max(more + transfer, 0.0),
        transfer=transfer,
        longer=more - own,
        acquire=first(after.answer.acquire),
        acquire_change=first(before.answer.acquire) - first(after.answer.acquire),
        # One sleeper a call: it pays for bringing its CPU out of its sleep.
        wake_latency=sleeps * (first(constants["wake_latency"]) + first(constants["wake_kick"])),
        wake_serial=sleeps * first(constants["wake_serial"]),
        slowpath_ops=float(ops),
        marginal_cost=omega,
        thinking=1.0 if threads is None else faults * scenario.faults.think_ns / threads,
        line_busy=float(before.line_utilisation),
    )


#: Whether an assumption of the equations holds, by its words there.
CHECKS: Mapping[str, Callable[[Parts], bool]] = {
    "faults are Poisson": lambda p: p.scenario.faults.open,
    "the downgrade does not change the wait for the lock": lambda p: (
        abs(p.acquire_change) <= SMALL * p.cost
    ),
    "a CPU is free for every thread": lambda p: (
        (p.scenario.faults.threads or 0) + (p.scenario.writers.threads or 1) <= p.scenario.cpus
    ),
    "the cost does not depend on the rate": lambda p: p.transfer <= SMALL * p.cost,
    "the cost does not depend on the shared part": lambda p: p.transfer <= SMALL * p.cost,
    "R = phi + alpha p": lambda _: True,  # phi and alpha are those at the value itself
    "every thread thinks as the window opens": lambda p: p.thinking >= 1 - SMALL,
    "the window is a constant": lambda p: p.acquire <= SMALL * p.window,
    "the cost is c + c_1 n": lambda p: p.line_busy < 0.6,
}


def conditions(equation: Equation, parts: Parts) -> Iterator[tuple[str, bool | None]]:
    """Yield the equation's own assumptions, and what putting it to this use assumes besides.

    Yields
    ------
    str, bool or None
        In words, and whether it is so; None where nothing here can tell.
    """
    for text in equation.assumptions:
        check = CHECKS.get(text)
        yield text, None if check is None else check(parts)
    faults, writers = parts.scenario.faults, parts.scenario.writers
    rate = parts.lambda_r if faults.threads is None else faults.threads * parts.nu
    yield "one caller", not writers.open and writers.threads == 1
    yield "the line is less than 60 % busy", parts.line_busy < 0.6
    yield (
        "the call itself takes as long as without a downgrade, the lock's operations apart",
        abs(parts.longer) <= SMALL * max(parts.cost - parts.longer, 1.0),
    )
    if parts.wake_latency:
        yield (
            "a call wakes one fault at most (each is charged with waking a CPU)",
            rate * (parts.window + parts.shared) <= SMALL,
        )
