"""What the maps of a bpftrace script hold, whether they were printed as text or as JSON.

A map's name is all that tells what it measures: ``@wait_ns``, ``@w_hold_us`` and so on
(`perfmodel.readers.names`). Without a unit in the name its values cannot be used; the maps beside
it can.

A bin of a histogram is read as the closed interval of whole nanoseconds that fall into it. Values
in a coarser unit were cut to it by the script, so that bin ``[5, 10)`` of µs is 5000 to 9999 ns.
A last bin that is open (``[50, ...)``) has no upper bound but infinity: the quantiles below it stay
exact, those inside it and the mean are infinite, and a warning says so. Dropping it instead would
bend every quantile.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from perfmodel.observations import Moments
from perfmodel.readers import names
from perfmodel.readers.reading import moments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perfmodel.readers.reading import Reading

__all__ = ["Bins", "Entry", "Number", "Stats", "settle"]

#: A value this many times larger than all others is pointed out.
_FAR = 1000


@dataclass(slots=True)
class Bins:
    """Counts of a histogram by half-open bin [low, high) in the map's unit; None is open."""

    counts: dict[tuple[int | None, int | None], int] = field(default_factory=dict)

    def includes(self, earlier: Bins) -> bool:
        """Whether this is what `earlier` may have grown into."""
        return all(self.counts.get(b, 0) >= n for b, n in earlier.counts.items())

    def merge(self, other: Bins) -> None:
        """Add the counts of another histogram."""
        for where, n in other.counts.items():
            self.counts[where] = self.counts.get(where, 0) + n


@dataclass(slots=True)
class Stats:
    """Count and sum of the values of ``stats()``, in the map's unit."""

    count: int
    total: int

    def includes(self, earlier: Stats) -> bool:
        """Whether this is what `earlier` may have grown into."""
        return self.count >= earlier.count and self.total >= earlier.total

    def merge(self, other: Stats) -> None:
        """Add the values behind another one."""
        self.count += other.count
        self.total += other.total


@dataclass(slots=True)
class Number:
    """A single number."""

    value: int

    def includes(self, earlier: Number) -> bool:
        """Whether this is what `earlier` may have grown into."""
        return self.value >= earlier.value

    def merge(self, other: Number) -> None:
        """Add another number."""
        self.value += other.value


@dataclass(slots=True)
class Entry:
    """One entry of a map as it was printed once.

    Parameters
    ----------
    name : str
        The map with its ``@``.
    key : str or None
        None for a map without keys.
    value : Bins, Stats or Number
    line : int
        Where it begins.
    lines : int
        How many lines it takes up; 0 where lines are accounted for elsewhere.
    printing : int
        Number of the printing of the whole map that it is part of.
    merge : bool
        Whether another entry of the same key in the same printing is a part of the same thing, as
        with string keys whose padding bpftrace did not clear.
    """

    name: str
    key: str | None
    value: Bins | Stats | Number
    line: int
    lines: int = 0
    printing: int = 0
    merge: bool = False


def settle(entries: Sequence[Entry], reading: Reading) -> None:
    """Join what belongs together and add the groups.

    Entries of the same key in one printing are merged. Printings of which each holds the one
    before are running totals: the last is kept, the others are reported as skipped. Other
    printings are separate observations.
    """
    by_key: dict[tuple[str, str | None, type], list[Entry]] = {}
    for entry in _with_unit(entries, reading):
        same = by_key.setdefault((entry.name, entry.key, type(entry.value)), [])
        if same and entry.merge and same[-1].printing == entry.printing:
            same[-1].value.merge(entry.value)  # type: ignore[arg-type]
            same[-1].lines += entry.lines
            reading.warn(f"{entry.name}: keys that were printed more than once are merged")
        else:
            same.append(entry)
    for (name, _key, _kind), same in by_key.items():
        if len(same) > 1:
            if all(b.value.includes(a.value) for a, b in pairwise(same)):  # type: ignore[arg-type]
                last = same[-1]
                reading.warn(
                    f"{name}: printed {len(same)} times as a running total: the last counts"
                )
                for entry in same[:-1]:
                    reading.skip(
                        entry.line,
                        f"{_place(entry)}: a running total that line {last.line} contains",
                        entry.lines,
                    )
                same = [last]
            else:
                reading.warn(f"{name}: printed {len(same)} times, each apart from the others")
        for number, entry in enumerate(same):
            reason = _add(entry, number if len(same) > 1 else None, reading)
            if reason is None:
                reading.used(entry.lines)
            else:
                reading.skip(entry.line, f"{_place(entry)}: {reason}", entry.lines)


def _with_unit(entries: Sequence[Entry], reading: Reading) -> list[Entry]:
    """Return the entries whose map says its unit, or needs none; report the others once a map."""
    good: list[Entry] = []
    without: dict[str, list[Entry]] = {}
    for entry in entries:
        known = names.unit_of(entry.name.removeprefix("@")) is not None
        if known or isinstance(entry.value, Number):
            good.append(entry)
        else:
            without.setdefault(entry.name, []).append(entry)
    for name, bad in without.items():
        reading.skip(
            bad[0].line,
            f"{name} with {len(bad)} entr{'y' if len(bad) == 1 else 'ies'}: the map's name does not "
            "say its unit; it should end in _ns, _us or _ms",
            sum(entry.lines for entry in bad),
        )
    return good


def _place(entry: Entry) -> str:
    return entry.name if entry.key is None else f"{entry.name}[{entry.key}]"


def _add(entry: Entry, printing: int | None, reading: Reading) -> str | None:
    """Add the group of an entry, or return why there is none."""
    name = entry.name.removeprefix("@")
    unit = names.unit_of(name)
    parts = [] if entry.key is None else re.split(r", ?|\s+", entry.key)
    operation = names.of_words(*parts, *name.split("_"))
    if operation == names.UNKNOWN:
        operation = names.of_symbols(parts)
    conditions: dict[str, str | int] = {"map": entry.name}
    if entry.key is not None:
        conditions["key"] = entry.key
    if printing is not None:
        conditions["printing"] = printing
    if isinstance(entry.value, Number):
        if unit is not None:
            return "a single number of a map of times: average, largest or sum is not told"
        if entry.value.value < 0:
            return f"{entry.value.value} is no count"
        found = Moments(entry.value.value, math.nan)
        reading.add(entry.line, operation, "count", conditions, found, "F")
        return None
    assert unit is not None  # see _with_unit
    phase = names.phase_of_map(name)
    if isinstance(entry.value, Stats):
        stats = entry.value
        made = moments(stats.count, stats.total / max(stats.count, 1) * unit)
        if isinstance(made, str):
            return made
        reading.add(entry.line, operation, phase, conditions, made, "D")
        return None
    bins = _in_ns(entry, entry.value, unit, reading)
    if isinstance(bins, str):
        return bins
    reading.add_bins(entry.line, operation, phase, conditions, bins)
    return None


def _in_ns(
    entry: Entry, histogram: Bins, unit: float, reading: Reading
) -> list[tuple[float, float, int]] | str:
    """Return the bins that hold something; the reason where there is none with two ends."""
    place = _place(entry)
    bins: list[tuple[float, float, int]] = []
    beyond = 0
    # dict keeps the order of the file; merged entries may have added bins out of order.
    for (low, high), count in sorted(
        histogram.counts.items(), key=lambda b: -math.inf if b[0][0] is None else b[0][0]
    ):
        if not count:
            continue
        if (low is not None and low < 0) or (high is not None and high <= 0):
            reading.skip(
                entry.line,
                f"{place}: {count} value{'s' * (count > 1)} in the bin "
                f"{'(...' if low is None else f'[{low}'}, {'...' if high is None else high}): no "
                "duration is negative",
                0,
            )
            continue
        if high is None:
            beyond += count
        top = math.inf if high is None else high * unit - 1
        bins.append(((low or 0) * unit, top, count))
    if not bins:
        return "it holds no value"
    if beyond:
        total = sum(b[2] for b in bins)
        if beyond == total:
            return f"all {total} values are beyond the last bin"
        reading.warn(
            f"{place}: {beyond} of {total} values are beyond the last bin: the mean and the "
            "quantiles that fall there are not bounded"
        )
    for (_, before, _), (low_ns, _, count) in pairwise(bins):
        if low_ns > _FAR * (before + 1):
            reading.warn(
                f"{place}: {count} value{'s' * (count > 1)} of {low_ns:.3g} ns or more, far from "
                "the rest: longer than the run, or an error of the script?"
            )
    return bins
