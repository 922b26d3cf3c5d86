"""What can be swept: a parameter of the scenario, a constant of its machine, the share of the calls.

A sweep puts one value into a scenario and leaves the rest as it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.breakeven.search import Scale
from perfmodel.errors import InputError
from perfmodel.held import holding
from perfmodel.machine import CONSTANTS
from perfmodel.prediction import predict
from perfmodel.quantities import SCENARIO, Quantity
from perfmodel.scenario import Policy, Scenario, affected_share

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "PARAMETERS", "SOLVER", "WRITER_SHARE", "ConstantSweep", "Sweep", "WriterShareSweep",
    "sweep_of", "swept_quantity",
]  # fmt: skip

#: Parameters of a scenario that can be swept: path in the scenario, declaration.
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

#: The share of the passes over the lock that are calls.
WRITER_SHARE = "writer_share"

#: Who answers at every value: the exact chain where the closed form's error is unknown, and never the
#: simulation, whose chance would turn the sign where the gain is small.
SOLVER = "chain"

#: The range of the calls' share begins at most at this part of what the callers can reach.
_BELOW_REACH = 1e-2

#: Calls per ns that disturb no fault: a stream with all the time in the world.
_IDLE = 1e-15

#: Secant steps towards a share before the root is bracketed.
_STEPS = 6


def swept_quantity(over: str) -> Quantity:
    """Return the declaration of what is swept: unit, meaning and typical range.

    Raises
    ------
    InputError
        If there is no such parameter.
    """
    if over in PARAMETERS:
        return SCENARIO[PARAMETERS[over][1]]
    if over in CONSTANTS:
        return CONSTANTS[over]
    if over == WRITER_SHARE:
        from perfmodel.equations.symbols import declaration

        return declaration("call_share")
    from difflib import get_close_matches

    near = get_close_matches(over, [*PARAMETERS, WRITER_SHARE, *CONSTANTS], n=3)
    raise InputError(
        f"cannot sweep {over!r}" + (f"; do you mean {' or '.join(near)}" if near else ""),
        field="over",
        expected=f"one of {', '.join(PARAMETERS)}, {WRITER_SHARE}, or a constant of the machine"
        " such as shootdown",
    )


@dataclass(frozen=True)
class Sweep:
    """One parameter of one scenario, to be given other values.

    Parameters
    ----------
    scenario : Scenario
        Everything else.
    over : str
        Its name.
    solver : str
        Who answers the lock's questions, as in :func:`perfmodel.prediction.predict`.
    """

    scenario: Scenario
    over: str
    solver: str = SOLVER

    @property
    def declared(self) -> Quantity:
        """The declaration of the parameter."""
        return swept_quantity(self.over)

    @property
    def scale(self) -> Scale:
        """The scale on which it is swept."""
        return Scale(self.declared.spans_decades, self.declared.integer)

    def range(self) -> tuple[float, float]:
        """Return the typical range, cut to what the rest of the scenario allows."""
        low, high = self.declared.typical
        if self.over == "vmas":
            high = min(high, self.scenario.call.pages)
        if self.over == "pages":
            low = max(low, self.scenario.call.vmas)
        if self.over == "remote_cpus":
            high = min(high, self.scenario.cpus - 1)
        return low, high

    def grid(self, points: int) -> NDArray[np.float64]:
        """Return at most so many values over the range."""
        low, high = self.range()
        if not high > low:
            return np.array([low], dtype=float)
        return self.scale.between(low, high, points)

    def at(self, value: float) -> Scenario | None:
        """Return the scenario with that value; None where it has none."""
        path, name = PARAMETERS[self.over]
        number: float = round(value) if SCENARIO[name].integer else float(value)
        changes: dict[str, Any] = {path: number}
        # A swept rate replaces the population, and the other way round.
        if self.over == "fault_rate":
            changes |= {"faults.threads": None, "faults.think_us": None}
        elif self.over in ("fault_threads", "fault_think_us") and self.scenario.faults.open:
            changes |= {"faults.rate": None}
        elif self.over == "writer_rate":
            changes |= {"writers.threads": None}
        elif self.over in ("writer_threads", "writer_think_us") and self.scenario.writers.open:
            changes |= {"writers.rate": None}
        return self.scenario.replace(**changes)

    def value(self) -> float:
        """Return the value that the scenario itself has; NaN where it has none."""
        part, _, key = PARAMETERS[self.over][0].rpartition(".")
        if self.over == "remote_cpus":
            return self.scenario.remote_cpus
        found = getattr(getattr(self.scenario, part) if part else self.scenario, key)
        return math.nan if found is None else float(found)

    def notes(self) -> list[str]:
        """Say what a reader must know of this sweep."""
        return []

    def unused(self) -> str:
        """Say why the parameter cannot count in this scenario; empty where it can or it is not known."""
        faults = self.scenario.faults
        if self.over == "io_us" and faults.io_share == 0:
            return "no fault waits for I/O"
        if self.over in ("same_vma", "first_touch") and not self.scenario.kernel.per_vma_lock:
            return f"before per-VMA locks (6.4) every fault takes mmap_lock; this is {self.scenario.kernel.release}"
        if self.over == "first_touch" and faults.same_vma == 1:
            return "every fault hits a VMA of the call"
        return ""


@dataclass(frozen=True)
class ConstantSweep(Sweep):
    """One constant of the scenario's machine: the same value in every draw.

    The other constants keep their draws, whatever they had to do with this one in the fit: the
    question is another machine, not what this one may be.
    """

    def at(self, value: float) -> Scenario | None:
        """Return the scenario on a machine that has this value."""
        return self.scenario.replace(machine=holding(self.scenario.machine, {self.over: value}))

    def value(self) -> float:
        """Return what the machine's profile says; NaN where it does not know."""
        return self.scenario.machine.value(self.over)

    def notes(self) -> list[str]:
        """Say what the profile has, and what replaces it."""
        own = self.value()
        unit = "" if self.declared.unit == "1" else f" {self.declared.unit}"
        has = f"{own:.4g}{unit}" if math.isfinite(own) else "not known to the profile"
        return [f"{self.over} of {self.scenario.machine.name}: {has}; each value tried replaces it in"
                " every draw, the other constants keep theirs"]  # fmt: skip

    def unused(self) -> str:
        """Say why the constant cannot count in this scenario."""
        remote = self.scenario.remote_cpus
        if self.over == "shootdown" and remote == 0:
            return "no other CPU has a TLB to be flushed"
        if self.over == "shootdown_more" and remote <= 1:
            return "no more than one other CPU has a TLB to be flushed"
        return ""


@dataclass(frozen=True)
class WriterShareSweep(Sweep):
    r"""The share of the passes over the lock that are calls, :math:`X_m/(X_m + a X_f)`.

    :math:`X_m` and :math:`X_f` are calls and faults a second without a downgrade, *a* is the share of
    the faults that take the lock. The faults stay as they are given (rate, or threads and think time)
    and so does the number of callers; what follows the share is the time between two calls of a
    caller, or the rate of a stream of calls. It is found on the estimates of the machine's constants
    and is the same in every draw.
    """

    _paced: dict[float, tuple[float, float]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def _least(self) -> float:
        """The lowest pace: callers that do not think at all, or a stream that hardly calls."""
        return _IDLE if self.scenario.writers.open else 0.0

    def _rates(self, pace: float) -> tuple[float, float]:
        """Return calls and faults that take the lock, per ns, at a think time or a rate."""
        if pace not in self._paced:
            there = self._with_pace(pace).replace(policies=(Policy.NONE,))
            answer = predict(there, draws=1, levels=(), solver=self.solver, guards=False)[
                Policy.NONE
            ].answer
            faults = float(answer.fault_rate[0]) * affected_share(there)
            self._paced[pace] = float(answer.call_rate[0]), faults
        return self._paced[pace]

    def _with_pace(self, pace: float) -> Scenario:
        """Return the scenario with a think time in ns, or a rate per ns of a stream of calls."""
        if self.scenario.writers.open:
            return self.scenario.replace(**{"writers.rate": pace * 1e9})
        return self.scenario.replace(**{"writers.think_us": pace / 1e3})

    @property
    def highest(self) -> float:
        """The share of callers that call again at once; 1 for a stream."""
        if self.scenario.writers.open:
            return 1.0
        calls, faults = self._rates(self._least)
        return calls / (calls + faults) if calls + faults > 0 else math.nan

    def range(self) -> tuple[float, float]:
        """Return the typical range, up to what the callers can reach."""
        low, high = self.declared.typical
        if not self._faults_take_it():
            return low, high
        if self.scenario.writers.open:
            fastest = SCENARIO["writer_rate"].domain[1] * 1e-9
            high = min(high, fastest / (fastest + self._rates(self._least)[1]))
        elif math.isfinite(self.highest):
            high = min(high, self.highest)
        return min(low, _BELOW_REACH * high), high

    def _faults_take_it(self) -> bool:
        faults = self.scenario.faults
        return affected_share(self.scenario) > 0 and faults.rate != 0

    def at(self, value: float) -> Scenario | None:
        """Return the scenario whose callers make up this share; None where none does."""
        if not self._faults_take_it() or not 0 < value <= self.highest:
            return None
        if value == self.highest:
            return None if self.scenario.writers.open else self._with_pace(self._least)
        pace = self._pace(value / (1.0 - value))
        return None if pace is None else self._with_pace(pace)

    def _off(self, pace: float, ratio: float) -> float:
        """Return how far a pace is from making `ratio` calls to a fault, in units of the pace.

        Nearly a straight line in the pace, of slope one: a caller's cycle is its think time and little
        that depends on it, and the faults of a stream of calls hardly depend on its rate.
        """
        calls, faults = self._rates(pace)
        callers = self.scenario.writers.threads
        if callers is None:
            # What cannot be served is no call.
            return calls - ratio * faults
        return callers / calls - callers / (ratio * faults)

    def _pace(self, ratio: float) -> float | None:
        """Return the pace at which there are `ratio` calls to a fault that takes the lock."""
        from scipy.optimize import brentq

        callers = self.scenario.writers.threads
        least = self._least
        faults = self._rates(least)[1]
        if callers is None:
            # Calls only hinder faults: there are at most as many as beside no call.
            high = ratio * faults
        else:
            # The cycle is longest where the faults are fewest, beside callers that do not think.
            high = min(callers / (ratio * faults), SCENARIO["writer_think_us"].domain[1] * 1e3)
        # What is known of other paces gives the start; each step goes on from the last one.
        near = min(self._paced, key=lambda p: abs(self._off(p, ratio)))
        slope, off = 1.0, self._off(near, ratio)
        for _ in range(_STEPS):
            pace = near - off / slope
            if not least <= pace <= high:
                break
            now = self._off(pace, ratio)
            if abs(pace - near) <= 1e-5 * pace:
                return pace
            slope = (now - off) / (pace - near)
            near, off = pace, now
            if not slope > 0:
                break
        try:
            return float(brentq(self._off, least, high, args=(ratio,), xtol=1e-9 * high, rtol=1e-6))
        except ValueError:
            return None

    def value(self) -> float:
        """Return the share that the scenario itself has."""
        writers = self.scenario.writers
        pace = writers.rate_per_ns if writers.open else writers.think_ns
        calls, faults = self._rates(pace)
        return calls / (calls + faults) if calls + faults > 0 else math.nan

    def notes(self) -> list[str]:
        """Say what the share is, and what follows it."""
        follows = "their rate" if self.scenario.writers.open else "their think time"
        notes = [
            "writer_share: calls over calls and faults that take the lock, a second, without a"
            f" downgrade; the faults stay as given, of the callers {follows} follows;"
            f" here it is {self.value():.3g}"
        ]
        if not self._faults_take_it():
            notes.append("no fault takes the lock: the share of the calls is 1 at any pace")
        elif math.isfinite(self.highest) and self.highest < 1:
            notes.append(
                f"callers that call again at once reach a share of {self.highest:.3g}: there are no more"
            )
        return notes


def sweep_of(scenario: Scenario, over: str, solver: str = SOLVER) -> Sweep:
    """Return the sweep of one parameter, by its name with underscores or hyphens.

    Raises
    ------
    InputError
        If there is no such parameter.
    """
    over = over.strip().replace("-", "_")
    swept_quantity(over)
    if over in CONSTANTS:
        return ConstantSweep(scenario, over, solver)
    return (WriterShareSweep if over == WRITER_SHARE else Sweep)(scenario, over, solver)
