"""JSON lines that ``bpftrace -f json`` prints of its maps.

bpftrace 0.17 prints a string key several times where its padding was not cleared. A decoder that
keeps the last of equal keys loses the others' values; here they are merged.
"""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from perfmodel.readers import files
from perfmodel.readers.histograms.bpftrace_maps import Bins, Entry, Number, Stats, settle
from perfmodel.readers.jsonfile import Pairs, decode
from perfmodel.readers.reading import by_lines, plain
from perfmodel.readers.registry import Reader

if TYPE_CHECKING:
    from perfmodel.readers.reading import Lines, Reading

__all__ = ["READER", "parse"]

#: What scripts and the tool say beside the maps.
_NOTES = frozenset(
    {"attached_probes", "printf", "time", "cat", "join", "syscall", "value", "strftime"}
)
_LARGEST = 10**18
#: More events than this are damage; below it no sum of counts overflows.
_MOST = 10**15


def _whole(value: Any) -> int | None:
    ok = isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST
    return value if ok else None


def _bins(value: Any) -> Bins | str:
    if not isinstance(value, list):
        return "a histogram that is no list"
    bins = Bins()
    for one in value:
        found = dict(one) if isinstance(one, Pairs) else {}
        low, high, count = (_whole(found.get(name)) for name in ("min", "max", "count"))
        bounded = ("min" in found) == (low is not None) and ("max" in found) == (high is not None)
        if count is None or not 0 <= count < _MOST or not bounded or (low is None and high is None):
            return "a bin without count or bounds"
        if low is not None and high is not None and high < low:
            return "a bin that ends before it begins"
        bins.counts[low, None if high is None else high + 1] = count
    if len(bins.counts) != len(value) or _overlap(bins):
        return "bins that overlap"
    return bins


def _overlap(bins: Bins) -> bool:
    edges = sorted(
        (-math.inf if low is None else low, math.inf if high is None else high)
        for low, high in bins.counts
        if not (low is not None and low < 0)  # reported by their counts
    )
    return any(low < before for (_, before), (low, _) in pairwise(edges))


def _stats(value: Any) -> Stats | str:
    found = dict(value) if isinstance(value, Pairs) else {}
    count, total = _whole(found.get("count")), _whole(found.get("total"))
    if count is None or total is None or not 0 <= count < _MOST:
        return "stats() without count or total"
    average = _whole(found.get("average"))
    if average is not None and count and abs(total) // count != abs(average):
        return "the average is not total / count"
    return Stats(count, total)


def _number(value: Any) -> Number | str:
    whole = _whole(value)
    return "no whole number" if whole is None else Number(whole)


_KINDS = {"hist": _bins, "lhist": _bins, "stats": _stats, "map": _number}


def _entries(kind: str, data: Any, number: int, reading: Reading) -> list[Entry]:
    """Return what one JSON line holds; report what of it cannot be used."""
    made: list[Entry] = []
    for name, value in data if isinstance(data, Pairs) else ():
        keyed = isinstance(value, Pairs)
        if keyed and kind == "stats" and {k for k, _ in value} >= {"count", "total"}:
            keyed = False  # stats() of a map without keys
        for key, one in value if keyed else [(None, value)]:
            found = _KINDS[kind](one)
            name_, key_ = plain(name), None if key is None else plain(key)
            if isinstance(found, str):
                place = name_ if key_ is None else f"{name_}[{key_}]"
                reading.skip(number, f"{place}: {found}", 0)
            else:
                made.append(Entry(name_, key_, found, number, 0, number, merge=True))
    return made


def parse(lines: Lines, reading: Reading) -> None:
    """Read every map of the JSON lines."""
    entries: list[Entry] = []
    for number, line in lines:
        if not line.strip():
            reading.passed()
            continue
        try:
            found = dict(decode(line, pairs=True))
        except (ValueError, TypeError):
            reading.skip(number, f"no whole JSON object: {files.quote(line)}")
            continue
        kind, data = found.get("type"), found.get("data")
        if kind == "lost_events":
            events = _whole(dict(data).get("events")) if isinstance(data, Pairs) else None
            if events is None or events < 0:
                reading.skip(number, "lost events without their number")
            else:
                reading.lost += events
                reading.passed()
        elif isinstance(kind, str) and kind in _KINDS:
            made = _entries(kind, data, number, reading)
            if made:
                reading.used()
                entries += made
            elif isinstance(data, Pairs) and all(
                isinstance(v, Pairs | list) and not v for _, v in data
            ):
                reading.passed()  # an empty map
            else:
                reading.skip(number, f"a {kind} without a usable entry: {files.quote(line)}")
        elif isinstance(kind, str) and kind in _NOTES:
            reading.passed()
        else:
            reading.skip(number, f"no map of counts, stats() or histograms: {files.quote(line)}")
    settle(entries, reading)


_TYPED = re.compile(rb'^(?:\xef\xbb\xbf)?\{"type": ?"(?:%s)", ?"data": ?' % b"|".join(
    sorted(name.encode() for name in (*_KINDS, *_NOTES, "lost_events"))
), re.M).search  # fmt: skip

READER = Reader(
    name="bpftrace_json",
    what="JSON lines of `bpftrace -f json`",
    sniff=lambda start: bool(_TYPED(start)),
    read=by_lines("bpftrace_json", "C", parse),
    hints=(b'{"type":', b'"data": {"@'),
)
