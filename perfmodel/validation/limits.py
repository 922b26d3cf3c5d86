"""What is compared in a validation, and what passes; loads nothing, as the command line's help reads it."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["COVERAGE", "KINDS", "THRESHOLDS"]

#: What is compared, in the order of the tables.
KINDS: Mapping[str, str] = {
    "call": "median latency of a call made alone",
    "exclusive": "median traced hold for writing",
    "shared": "median traced hold for reading",
    "cost": "median of a cost timed by itself",
    "blocked": "share of the faults begun during calls that were blocked",
    "fault p50": "median latency of a fault begun during a call",
    "fault p90": "90 % quantile of the same",
    "fault p99": "99 % quantile of the same",
    "faults/s": "faults a second of a thread beside a caller",
    "calls/s": "calls a second of a caller beside a faulting thread",
}

#: Largest median error that passes, of each operation, by kind: of the ratio, and for shares in
#: absolute terms. The first is that of the held-out check; the others were set before any table of
#: this kind was seen.
THRESHOLDS: Mapping[str, float] = {
    "call": 0.10, "exclusive": 0.25, "shared": 0.25, "cost": 0.25, "blocked": 0.10,
    "fault p50": 0.25, "fault p90": 0.25, "fault p99": 0.50, "faults/s": 0.15, "calls/s": 0.15,
}  # fmt: skip

#: Smallest share of all rows within their interval that passes; 0.9 is what the intervals claim.
COVERAGE = 0.80
