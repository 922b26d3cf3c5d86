"""What the columns of ``perf lock contention`` and ``perf lock report`` mean.

Both tell how long contended acquisitions waited, and nothing of how long the lock was held. Columns
go by their headings: they change with the options ``-t``, ``-l``, ``-k`` and between releases.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from perfmodel.observations import Moments
from perfmodel.readers import names
from perfmodel.readers.reading import moments, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perfmodel.readers.reading import Reading

__all__ = ["COUNTS", "NAMES", "TIMES", "add_row", "heading", "nanoseconds"]

#: Headings of columns that hold numbers of events.
COUNTS = ("acquired", "contended")
#: Headings of columns that hold times.
TIMES = ("total wait", "max wait", "avg wait", "min wait")
#: Headings of columns that hold names.
NAMES = ("Name", "name", "type", "caller", "pid", "comm", "address", "symbol", "cgroup")

_UNITS = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9}
_MODES = {"R": "read", "W": "write"}
# What perf names its lock by -l, or lockdep by its class.
_KIND_BEHIND = re.compile(r"(.*?) ?\(([\w-]+)\)").fullmatch
_MMAP_LOCK = frozenset({"mmap_lock", "mmap_sem", "&mm->mmap_lock", "&mm->mmap_sem"})


def heading(text: str) -> str:
    """Return a column's heading without the unit that old releases put behind it."""
    return text.strip().removesuffix(" (ns)")


def nanoseconds(value: float, unit: str) -> float:
    """Return a printed time in ns; bare numbers are ns."""
    return value * _UNITS[unit or "ns"]


def add_row(
    line: int, values: Mapping[str, float], texts: Mapping[str, str], reading: Reading
) -> str | None:
    """Add the groups of a row.

    Parameters
    ----------
    line : int
    values : mapping
        Counts, and times in ns, by heading.
    texts : mapping
        Names by heading.
    reading : Reading

    Returns
    -------
    str or None
        Why the row cannot be used.
    """
    texts = dict(texts)
    named = _KIND_BEHIND(texts.get("symbol", ""))
    if named:
        texts["symbol"], texts["type"] = named[1], named[2]
    kind, _, mode = texts.get("type", "").partition(":")
    name = texts.get("symbol") or texts.pop("Name", "") or texts.pop("name", "")
    if "+0" in name:  # perf knew no name, and gives the place that contended instead
        texts["caller"], name = name, ""
    operation = names.of_symbol(texts.get("caller", ""))
    conditions: dict[str, str | int | bool] = {
        heading: plain(text) for heading, text in texts.items() if text
    }
    # A rwsem that the function itself takes: those of these functions are the mmap_lock.
    certain = name in _MMAP_LOCK or (kind == "rwsem" and operation != names.UNKNOWN)
    conditions["lock"] = "mmap_lock" if certain else plain(name or kind) or names.UNKNOWN
    conditions["contended_only"] = True
    if mode in _MODES:
        conditions["mode"] = _MODES[mode]
    contended, total = values.get("contended"), values.get("total wait", math.nan)
    acquired = values.get("acquired")
    if contended is None:
        return "it does not say how many acquisitions were contended"
    mean = values.get("avg wait", total / contended if contended else math.nan)
    if math.isfinite(total) and contended and abs(mean - total / contended) > 0.01 * mean + 10:
        return f"{contended:g} waits of {mean:g} ns on average do not last {total:g} ns"
    if contended:
        made = moments(
            int(contended),
            mean,
            values.get("min wait", math.nan),
            values.get("max wait", math.nan),
            total=total,
        )
        if isinstance(made, str):
            return made
        reading.add(line, operation, "wait", conditions, made)
    elif acquired is None:
        return "it counts no event"
    if acquired:
        del conditions["contended_only"]
        conditions["counted"] = "acquired"
        reading.add(line, operation, "count", conditions, Moments(int(acquired), math.nan), "F")
    return None
