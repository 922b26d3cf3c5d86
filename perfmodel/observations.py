"""One table of observations, whatever file they were read from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = [
    "Conditions", "Group", "Moments", "ObservationTable", "ReadReport", "Skipped", "Source",
    "concatenate", "joined",
]  # fmt: skip

#: What held while the values of one group were taken: pages, vmas, transition, spinners ...
Conditions = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Source:
    """The file a group of observations came from.

    Parameters
    ----------
    file : str
        Path as the user gave it.
    format : str
        Name of the format it was taken for.
    evidence : str
        ``A`` per-event nanoseconds, ``B`` per-event microseconds, ``C`` histogram, ``D`` aggregate,
        ``E`` throughput, ``F`` biased (counts only).
    sha256 : str
        Hash of the file's bytes as stored.
    """

    file: str
    format: str
    evidence: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Moments:
    """What an aggregate tells of values that it does not list.

    Parameters
    ----------
    count : int
        Events behind it; of a throughput, rates.
    mean : float, ns
        NaN where a biased tool's times are not to be used: then only the count counts.
    minimum, maximum, sd : float, ns
        NaN where the format does not give them.
    """

    count: int
    mean: float
    minimum: float = math.nan
    maximum: float = math.nan
    sd: float = math.nan


@dataclass(frozen=True, slots=True)
class Group:
    """Observations of one operation and phase under the same conditions, from one place.

    Parameters
    ----------
    operation : str
        ``mprotect``, ``munmap``, ``uffd_writeprotect`` ..., ``unknown`` where a trace does not say.
    phase : str
        ``latency``, ``exclusive``, ``shared``, ``wait`` ...
    conditions : mapping
        Scalars by name.
    low, high : ndarray of float, shape (n,), ns
        Closed interval of each value; equal where the value is known exactly. An open bin of a
        histogram ends at infinity: quantiles below it are right, the mean is infinite.
    count : ndarray of int, shape (n,)
        How many times the value was seen.
    source : Source
    line : int
        Line of the file, or index of the record, where the group begins.
    moments : Moments, optional
        Of an aggregate (evidence D), a throughput (E: the mean is the cost of one operation) or a
        count (F). `low`, `high` and `count` are empty then, and there are no quantiles.
    """

    operation: str
    phase: str
    conditions: Conditions
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    count: NDArray[np.int64]
    source: Source
    line: int = 0
    moments: Moments | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "conditions", MappingProxyType(dict(self.conditions)))
        for name, kind in (("low", np.float64), ("high", np.float64), ("count", np.int64)):
            values = np.array(getattr(self, name), dtype=kind, copy=True)
            values.setflags(write=False)
            object.__setattr__(self, name, values)
        if not self.low.shape == self.high.shape == self.count.shape:
            raise ValueError("low, high and count differ in shape")
        if self.moments is not None and self.count.size:
            raise ValueError("a group lists its values or has their moments, not both")

    @classmethod
    def of_moments(
        cls, operation: str, phase: str, conditions: Conditions, moments: Moments, source: Source,
        line: int = 0,
    ) -> Self:  # fmt: skip
        """Return a group of which only moments are known."""
        none = np.empty(0)
        counts = np.empty(0, dtype=np.int64)
        return cls(operation, phase, conditions, none, none, counts, source, line, moments)

    @property
    def middle(self) -> NDArray[np.float64]:
        """Centres of the intervals, ns, shape (n,)."""
        return 0.5 * (self.low + self.high)

    @property
    def total(self) -> int:
        """Number of events."""
        return int(self.count.sum()) if self.moments is None else self.moments.count

    def quantile(self, q: float) -> float:
        """Return the `q` quantile of the events in ns; NaN where none is listed.

        Events are taken as spread evenly over their interval: exact for exact values, linear
        interpolation within a histogram's bin.
        """
        if not self.count.sum():
            return math.nan
        order = np.argsort(self.middle, kind="stable")
        low, high, count = self.low[order], self.high[order], self.count[order]
        upto = np.cumsum(count)
        target = q * upto[-1]
        index = int(min(np.searchsorted(upto, target), len(count) - 1))
        inside = (target - (upto[index] - count[index])) / count[index]
        return float(low[index] + np.clip(inside, 0.0, 1.0) * (high[index] - low[index]))

    @property
    def median(self) -> float:
        """Median of the events, ns."""
        return self.quantile(0.5)

    @property
    def mean(self) -> float:
        """Mean, ns: as told, else of the interval centres; NaN where the group is empty."""
        if self.moments is not None:
            return self.moments.mean
        return float(np.average(self.middle, weights=self.count)) if self.total else float("nan")


@dataclass(frozen=True, slots=True)
class Skipped:
    """One line that was not used, and why."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class ReadReport:
    """What a file was taken for and what was found in it (field names are those of ``read --json``)."""

    file: str
    format: str
    evidence: str
    events: int = 0
    holds_exclusive: int = 0
    holds_shared: int = 0
    downgrades: int = 0
    waits: int = 0
    failed_trylocks: int = 0
    lost: int = 0
    orphaned: int = 0
    open: int = 0
    skipped: tuple[Skipped, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ObservationTable:
    """Groups of observations and the reports of the files they came from."""

    groups: tuple[Group, ...]
    reports: tuple[ReadReport, ...] = ()
    #: Machine state and other facts of the measuring run, by file, where the format carries them.
    machines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.groups)

    def select(
        self,
        *,
        operation: str | Sequence[str] | None = None,
        phase: str | Sequence[str] | None = None,
        **conditions: Any,
    ) -> ObservationTable:
        """Return the groups that match every given name; a callable condition is a predicate."""

        def among(value: str, wanted: str | Sequence[str] | None) -> bool:
            if wanted is None:
                return True
            return value == wanted if isinstance(wanted, str) else value in wanted

        def holds(group: Group) -> bool:
            return all(
                (wanted(group.conditions.get(name)) if callable(wanted)
                 else group.conditions.get(name) == wanted)
                for name, wanted in conditions.items()
            )  # fmt: skip

        kept = tuple(
            g
            for g in self.groups
            if among(g.operation, operation) and among(g.phase, phase) and holds(g)
        )
        return ObservationTable(kept, self.reports, self.machines)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a group: operation, phase, conditions, count, median and mean in ns."""
        import pandas as pd

        return pd.DataFrame(
            [{"operation": g.operation, "phase": g.phase, **g.conditions, "count": g.total,
              "median_ns": g.median, "mean_ns": g.mean, "file": g.source.file, "line": g.line}
             for g in self.groups]
        )  # fmt: skip


def joined(groups: Sequence[Group]) -> Group:
    """Return the events of several groups as one group, under the conditions of the first."""
    return replace(
        groups[0],
        low=np.concatenate([g.low for g in groups]),
        high=np.concatenate([g.high for g in groups]),
        count=np.concatenate([g.count for g in groups]),
    )


def concatenate(tables: Iterable[ObservationTable]) -> ObservationTable:
    """Join tables in the order given; nothing is merged or dropped."""
    tables = tuple(tables)
    machines: dict[str, Mapping[str, Any]] = {}
    for table in tables:
        machines.update(table.machines)
    return ObservationTable(
        groups=tuple(g for t in tables for g in t.groups),
        reports=tuple(r for t in tables for r in t.reports),
        machines=machines,
    )
