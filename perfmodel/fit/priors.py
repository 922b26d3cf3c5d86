"""What is taken for a constant that the data do not hold: published or assumed, with a wide spread."""

from __future__ import annotations

import math

from perfmodel.machine import Constant
from perfmodel.quantities import MACHINE

__all__ = ["PRIORS", "derived_fault_hold"]


def _prior(name: str, value: float, factor: float, source: str) -> tuple[str, Constant]:
    """Give a constant whose 90 % range is `factor` to either side of `value`."""
    return name, Constant(
        value=value,
        log_sd=math.log(factor) / 1.645,
        unit=MACHINE[name].unit,
        source=source,
        reason="not in the data of this calibration",
    )


#: Used only where no observation depends on the constant.
PRIORS: dict[str, Constant] = dict(
    (
        _prior("shootdown_more", 550.0, 5.0,
               "assumed: no measurement on more than two CPUs; interrupts are sent in turn and answered"
               " in parallel"),
        _prior("rmw_local", 7.0, 2.0, "published: uncontended atomic add, Downs 2020, Skylake class"),
        _prior("line_transfer", 70.0, 2.5,
               "published: core-to-core-latency medians, 44 to 197 ns on server CPUs"),
        _prior("fault_minor", 1150.0, 1.7, "published: pft on one thread, 0.75 to 1.97 us on four machines"),
        _prior("wake_latency", 2800.0, 2.8, "published: futex wake, 1 to 8 us on two-socket x86"),
        _prior("wake_kick", 1000.0, 3.0, "assumed: of the order of a wake-up's interrupt"),
        _prior("wake_serial", 700.0, 3.0, "assumed: try_to_wake_up without the interrupt"),
        _prior("wake_switch", 1500.0, 2.0, "published: a context switch takes one to two us, Downs 2020"),
    )
)  # fmt: skip


def derived_fault_hold(fault: Constant | None, syscall: Constant | None) -> Constant | None:
    """Take the time a fault holds the read lock for the fault less entering the kernel.

    There is no tracepoint at a fault's end; entering by exception and by system call are taken to
    cost the same.

    Returns
    -------
    Constant or None
        None where one of the two is unknown or the difference is not positive.
    """
    if fault is None or syscall is None or fault.value is None or syscall.value is None:
        return None
    value = fault.value - syscall.value
    if value <= 0:
        return None
    spread = math.hypot(
        fault.value * (fault.log_sd or 0.0), syscall.value * (syscall.log_sd or 0.0)
    )
    return Constant(
        value=value,
        # The exception's own entry may differ from a system call's by half of it.
        log_sd=math.hypot(spread, 0.5 * syscall.value) / value,
        unit="ns",
        source="derived: fault_minor less syscall",
    )
