"""What a measuring program sees of a cost that it can time by itself."""

from __future__ import annotations

from perfmodel.equations.equation import Equation, declare
from perfmodel.equations.symbols import symbol

__all__ = ["DIRECT"]


def _seen(name: str, latex: str, meaning: str, expression: object) -> Equation:
    return declare(
        f"seen_{name}", latex, "ns", meaning, expression,
        source="definition of the measuring program, calibration/bench",
    )  # fmt: skip


#: Equation of each directly measured cost, by the phase name of the calibration's points.
DIRECT: dict[str, Equation] = {
    "null_syscall": _seen("null_syscall", "t_0", "a system call that does nothing", symbol("syscall")),
    "rmw_local": _seen(
        "rmw_local", "t_{xadd}", "one locked add in a loop of its own", symbol("rmw_local")
    ),
    "line_transfer": _seen(
        "line_transfer", "t_{line}", "one way of a line between two CPUs", symbol("line_transfer")
    ),
    "fault_minor": _seen(
        "fault_minor", "t_{touch}", "first read of an untouched page", symbol("fault_minor")
    ),
    "wake_delay": _seen(
        "wake_delay", "t_{delay}", "from the wake-up to the sleeper of this rank",
        # All sleepers are marked before the first is woken, and those of one CPU run in turn.
        symbol("wake_latency")
        + (symbol("sleepers") - 1) * symbol("wake_serial")
        + (symbol("rank") - 1) * symbol("wake_switch"),
    ),
    "wake_call": _seen(
        "wake_call", "t_{wake}", "the call that wakes the sleepers",
        symbol("wake_kick") + symbol("sleepers") * symbol("wake_serial"),
    ),
}  # fmt: skip
