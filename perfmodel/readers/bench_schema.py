"""The fields of a ``perfmodel.bench/1`` document, their checks, and what to say when one fails."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from perfmodel.errors import InputError
from perfmodel.readers import files

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SCHEMA", "Document", "Record", "load", "provenance"]

SCHEMA = "perfmodel.bench/1"

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
_Name = Annotated[str, msgspec.Meta(min_length=1)]
#: Room for the rounding of the summary figures, ns.
_SLACK_NS = 1.0
_SLACK = 1e-3


class Histogram(msgspec.Struct):
    """Counts by the low edge of the bin, ns."""

    low: list[_Count]
    count: list[_Count]


class Record(msgspec.Struct, kw_only=True):
    """One distribution."""

    benchmark: _Name
    operation: _Name | None = None
    conditions: dict[str, Any] = {}  # scalars; checked by hand to name the bad one
    phase: _Name
    unit: Literal["ns"]
    count: _Count
    min: float | None = None
    max: float | None = None
    mean: float | None = None
    median: float | None = None
    histogram: Histogram | None = None
    samples: list[float] | None = None
    pairs: list[tuple[float, float, float]] | None = None
    pairs_kept: _Count | None = None
    pairs_total: _Count | None = None


class Clock(msgspec.Struct):
    """The clock of the measuring program; `null_ns` is what reading it costs."""

    name: _Name
    null_ns: Annotated[float, msgspec.Meta(ge=0)] | None = None


class Trace(msgspec.Struct, kw_only=True):
    """The kernel trace captured during the run."""

    file: _Name
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    clock: str | None = None
    tick_ns: Annotated[float, msgspec.Meta(gt=0)] | None = None
    events: list[str] | None = None


class Problem(msgspec.Struct):
    """Something that a group of measurements met."""

    group: str
    what: str


class Document(msgspec.Struct, kw_only=True):
    """The whole document; fields that are not named here are allowed and kept out."""

    schema: str
    status: Literal["complete", "interrupted", "running"]
    status_detail: str | None = None
    started: str | float | None = None
    finished: str | float | None = None
    tool: dict[str, Any]
    machine: dict[str, Any]
    clock: Clock
    noise: dict[str, Any] = {}
    problems: list[Problem] = []
    trace: Trace | None = None
    records: list[Record]


class _Schema(msgspec.Struct):
    schema: str | None = None


def provenance(document: Document) -> dict[str, Any]:
    """Return everything of a document that is not a measurement."""
    names = ("schema", "status", "status_detail", "started", "finished", "tool", "machine")
    found = {name: getattr(document, name) for name in names}
    found["clock"] = msgspec.to_builtins(document.clock)
    found["noise"] = document.noise
    found["problems"] = msgspec.to_builtins(document.problems)
    found["trace"] = msgspec.to_builtins(document.trace)
    return found


def load(path: Path) -> Document:
    """Decode and check a document.

    Parameters
    ----------
    path : Path
        Plain or gzip JSON.

    Returns
    -------
    Document

    Raises
    ------
    InputError
        With the line and column of broken JSON, or the path of the bad field.
    """
    with files.opened(path) as stream:
        text = stream.read()
    try:
        _check_version(text)
        document = msgspec.json.decode(text, type=Document)
        for index, record in enumerate(document.records):
            _check(record, f"records[{index}]")
    except InputError as error:
        raise error.at(file=path) from None
    except msgspec.ValidationError as error:
        raise _bad_field(str(error)).at(file=path) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _broken(text, error).at(file=path) from None
    return document


def _check_version(text: bytes) -> None:
    found = msgspec.json.decode(text, type=_Schema).schema
    if found != SCHEMA:
        what = "the document has no schema" if found is None else f"the document is a '{found}'"
        raise InputError(what, field="schema", expected=f"'{SCHEMA}'")


def _bad_field(message: str) -> InputError:
    """Turn msgspec's "Expected `int`, got `str` - at `$.records[0].count`" into an InputError."""
    what, _, place = message.partition(" - at `$")
    field = place.rstrip("`").lstrip(".") or None
    missing = re.match(r"Object missing required field `(\w+)`", what)
    if missing:
        field = f"{field}.{missing[1]}" if field else missing[1]
        return InputError("the field is missing", field=field)
    wanted = re.match(r"Expected (.*?)(?:, got (.*))?$", what, re.S)
    if wanted:
        got = f"got {wanted[2]}" if wanted[2] else "out of range"
        return InputError(got.replace("`", ""), field=field, expected=wanted[1].replace("`", ""))
    return InputError(what.replace("`", "'"), field=field)


def _broken(text: bytes, error: Exception) -> InputError:
    """Say where JSON is broken; where the cause is a NaN, name its field."""
    place = _non_finite(text)
    if place is not None:
        field, value = place
        return InputError(f"{value} is no number", field=field, expected="a finite number")
    at = re.search(r"\(byte (\d+)\)", str(error))
    offset = int(at[1]) if at else getattr(error, "start", len(text))
    line = text.count(b"\n", 0, offset) + 1
    column = offset - (text.rfind(b"\n", 0, offset) + 1) + 1
    what = re.sub(r"\s*\(byte \d+\)", "", str(error)).removeprefix("JSON is malformed: ")
    if isinstance(error, UnicodeDecodeError):
        what = "text that is not UTF-8"
    elif isinstance(error, RecursionError):
        what = "nested too deeply"
    return InputError(
        f"broken JSON at line {line}, column {column}: {what[:1].lower()}{what[1:]}",
        line=line,
        expected="a whole JSON document",
    )


class _NotFinite(str):
    """A NaN or infinity that Python's decoder let through, under the name it had."""


def _non_finite(text: bytes) -> tuple[str, str] | None:
    try:
        tree = json.loads(text, parse_constant=_NotFinite)
    except (ValueError, RecursionError):
        return None
    todo: list[tuple[str, Any]] = [("", tree)]
    while todo:
        place, node = todo.pop()
        if isinstance(node, _NotFinite) or (isinstance(node, float) and not math.isfinite(node)):
            return place.lstrip("."), str(node)
        if isinstance(node, dict):
            todo += [(f"{place}.{name}", value) for name, value in node.items()]
        elif isinstance(node, list):
            todo += [(f"{place}[{i}]", value) for i, value in enumerate(node)]
    return None


def _check(record: Record, at: str) -> None:
    """Check what the types cannot: that the parts of a record agree."""
    for name, value in record.conditions.items():
        if value is not None and not isinstance(value, str | int | float):
            raise InputError(
                f"a condition cannot be {'a list' if isinstance(value, list) else 'an object'}",
                field=f"{at}.conditions.{name}",
                expected="a number, a string, true, false or null",
            )
    if record.conditions.get("benchmark", record.benchmark) != record.benchmark:
        raise InputError(
            f"'{record.conditions['benchmark']}' contradicts {at}.benchmark",
            field=f"{at}.conditions.benchmark",
            expected=f"'{record.benchmark}' or nothing",
        )
    if (record.histogram is None) == (record.samples is None):
        which = "neither" if record.histogram is None else "both"
        raise InputError(f"{which} of histogram and samples", field=at, expected="one of the two")
    if record.histogram is not None:
        _check_histogram(record.histogram, record, f"{at}.histogram")
    elif record.samples is not None and len(record.samples) != record.count:
        raise InputError(
            f"{len(record.samples)} samples where count says {record.count}",
            field=f"{at}.samples",
            expected="as many as count",
        )
    _check_summary(record, at)
    if record.pairs is None:
        return
    kept, total = record.pairs_kept, record.pairs_total
    if kept is not None and kept != len(record.pairs):
        raise InputError(
            f"{kept} where there are {len(record.pairs)} pairs",
            field=f"{at}.pairs_kept",
            expected="the number of pairs",
        )
    if total is not None and total < len(record.pairs):
        raise InputError(
            f"{total} where {len(record.pairs)} pairs were kept",
            field=f"{at}.pairs_total",
            expected="at least as many",
        )


def _check_histogram(histogram: Histogram, record: Record, at: str) -> None:
    low, count = histogram.low, histogram.count
    if len(low) != len(count):
        raise InputError(
            f"{len(low)} edges and {len(count)} counts", field=at, expected="as many of each"
        )
    for i, edge in enumerate(low):
        if i and edge <= low[i - 1]:
            raise InputError(
                f"{edge} after {low[i - 1]}", field=f"{at}.low[{i}]", expected="ascending edges"
            )
        if edge & ((1 << max(edge.bit_length() - 8, 0)) - 1):
            raise InputError(
                f"{edge} is no edge of a bin",
                field=f"{at}.low[{i}]",
                expected="values below 256, or with nothing below their top 8 bits",
            )
    if sum(count) != record.count:
        raise InputError(
            f"the counts add up to {sum(count)} where {record.count} were counted",
            field=f"{at}.count",
            expected="the record's count",
        )


def _check_summary(record: Record, at: str) -> None:
    """Check min, max, mean and median against the distribution, as far as that decides them."""
    if record.histogram is not None:
        bins = [
            (v, v + (1 << max(v.bit_length() - 8, 0)) - 1, n)
            for v, n in zip(record.histogram.low, record.histogram.count, strict=True)
            if n
        ]
    else:
        bins = [(v, v, 1) for v in sorted(record.samples or [])]  # type: ignore[misc]
    if not bins:
        return  # nothing was counted: whatever the summary says is about nothing
    total = record.count
    bounds = {
        "min": bins[0][:2],
        "max": bins[-1][:2],
        "mean": (sum(b[0] * b[2] for b in bins) / total, sum(b[1] * b[2] for b in bins) / total),
        "median": (_at(bins, (total - 1) // 2)[0], _at(bins, total // 2)[1]),
    }
    for name, (least, most) in bounds.items():
        value = getattr(record, name)
        if value is None:
            raise InputError("missing for a record that is not empty", field=f"{at}.{name}")
        slack = _SLACK_NS + _SLACK * max(abs(least), abs(most))
        if not least - slack <= value <= most + slack:
            raise InputError(
                f"{value:g} does not agree with the distribution",
                field=f"{at}.{name}",
                expected=f"between {least:g} and {most:g} ns",
            )


def _at(bins: list[tuple[int, int, int]], rank: int) -> tuple[int, int, int]:
    for one in bins:
        if rank < one[2]:
            return one
        rank -= one[2]
    return bins[-1]
