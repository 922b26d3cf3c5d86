"""One configuration as the program ``downgrade`` records it: a row of counts a slice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
import numpy as np

from perfmodel.counterfactual.configuration import Configuration

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["COLUMNS", "Conditions", "Record", "Waits"]

#: Columns that the analysis needs of every slice.
COLUMNS = (
    "arm", "ns", "reads", "reads_blocked", "read_wait_ns", "calls", "calls_blocked", "call_wait_ns",
    "call_ns", "calls_late", "own_cpu_ns", "idle_ns", "delay_ns", "slept",
)  # fmt: skip

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class Waits(msgspec.Struct):
    """Histogram of the waits of blocked reads: four bins an octave, by their low edge, ns."""

    low: list[_Count]
    count: list[_Count]


class Conditions(msgspec.Struct, kw_only=True):
    """What the program says of itself; the rest repeats the configuration."""

    cpus: Annotated[int, msgspec.Meta(ge=1)]
    idle_known: bool
    delay_known: bool


class Record(msgspec.Struct, kw_only=True):
    """One configuration: a row of counts a slice."""

    configuration: Configuration
    conditions: Conditions
    columns: list[str]
    slices: list[list[_Count]]
    waits: Annotated[list[Waits], msgspec.Meta(min_length=2, max_length=2)]
    count_at_end: int
    waiting_at_end: int
    tries: Annotated[int, msgspec.Meta(ge=1)] = 1

    def column(self, name: str) -> NDArray[np.float64]:
        """Return a column by pair and arm, shape (pairs, 2): without, with the downgrade."""
        table = np.asarray(self.slices, dtype=float).reshape(-1, 2, len(self.columns))
        arms = table[:, :, self.columns.index("arm")].astype(int)
        values = table[:, :, self.columns.index(name)]
        return np.asarray(np.take_along_axis(values, np.argsort(arms, axis=1), axis=1))
