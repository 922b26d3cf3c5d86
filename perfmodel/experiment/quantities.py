"""What is predicted and measured of a point; loads nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["QUANTITIES", "Quantity"]


@dataclass(frozen=True)
class Quantity:
    """One number of a point under a cut.

    Parameters
    ----------
    name, unit, meaning : str
    relative : bool
        Whether the effect of a cut is the ratio to no cut; else the difference.
    more_is_better : bool
        Whether a gain is an increase.
    """

    name: str
    unit: str
    meaning: str
    relative: bool = True
    more_is_better: bool = False


#: In the order of the tables.
QUANTITIES: Mapping[str, Quantity] = {
    q.name: q
    for q in (
        Quantity("call", "ns", "mean time of one RW->R call, its wait for the lock included"),
        Quantity("wait", "ns", "mean wait of all faults, blocked or not"),
        Quantity("p50", "ns", "median latency of the faults that begin during an RW->R call"),
        Quantity("p90", "ns", "90 % quantile of the same"),
        Quantity("p99", "ns", "99 % quantile of the same"),
        Quantity("blocked", "1", "share of all faults that block", relative=False),
        Quantity("faults", "1/s", "faults a second of all threads", more_is_better=True),
        Quantity(
            "lost", "ns", "thread time that one call takes, its own and that of the faults it delays",
            relative=False,
        ),
    )
}  # fmt: skip
