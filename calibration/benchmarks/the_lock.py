"""The lock that every simulator of the benchmark is asked about; times in ns."""

from __future__ import annotations

from typing import NamedTuple

#: Threads that fault and that call.
FAULTING, CALLING = 16, 4

#: Mean pauses and read hold, exponential; exclusive part and shared tail of a call, constant.
FAULT_THINK, READ, CALL_THINK, EXCLUSIVE, SHARED = 20_000.0, 400.0, 200_000.0, 3000.0, 8000.0


class Round(NamedTuple):
    """What one run of a simulator took and found.

    Parameters
    ----------
    seconds : float
    events : int
        What the simulator's loop took from its heap.
    faults, calls : int
        Acquisitions of the lock for reading and for writing.
    fault_wait, call_wait : float, ns
        Mean waits for the lock.
    """

    seconds: float
    events: int
    faults: int
    calls: int
    fault_wait: float
    call_wait: float
