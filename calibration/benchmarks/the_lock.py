"""The lock that every simulator of the benchmark is asked about; times in ns."""

from __future__ import annotations

#: Threads that fault and that call.
FAULTING, CALLING = 16, 4

#: Mean pauses and read hold, exponential; exclusive part and shared tail of a call, constant.
FAULT_THINK, READ, CALL_THINK, EXCLUSIVE, SHARED = 20_000.0, 400.0, 200_000.0, 3000.0, 8000.0
