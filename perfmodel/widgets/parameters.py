"""Where each parameter of a scenario lives, for whoever names it by its declaration."""

from __future__ import annotations

from collections.abc import Mapping

from perfmodel.breakeven import PARAMETERS
from perfmodel.quantities import SCENARIO
from perfmodel.scenario import Scenario

__all__ = ["CHOICES", "CLOSED", "OPEN", "PATHS", "given"]

#: Where each declared parameter lives in a scenario.
PATHS: Mapping[str, str] = {
    name: PARAMETERS[name][0] if name in PARAMETERS else f"call.{name}" for name in SCENARIO
} | {"wp_share": "faults.wp_share"}

#: What is no number, and where it lives.
CHOICES: Mapping[str, str] = {
    "operation": "call.operation",
    "transition": "call.transition",
    "huge": "call.huge",
    "kernel": "kernel",
    "machine": "machine",
    "policies": "policies",
}

#: The parameters that only a closed population has, and those that only an open stream has.
CLOSED: Mapping[str, tuple[str, ...]] = {
    "faults": ("fault_threads", "fault_think_us"),
    "writers": ("writer_threads", "writer_think_us"),
}
OPEN: Mapping[str, str] = {"faults": "fault_rate", "writers": "writer_rate"}


def given(scenario: Scenario, name: str) -> float | None:
    """Return a number of a scenario; None where its kind of population does not have it."""
    if name == "writer_think_us" and scenario.writers.open:
        return None
    part, _, key = PATHS[name].rpartition(".")
    value: float | None = getattr(getattr(scenario, part) if part else scenario, key)
    return value
