"""Documents of the project's own measuring programs: JSON with the schema ``perfmodel.bench/1``.

A histogram keeps values below 256 ns exactly and the top 8 bits of larger ones, so that a bin is
less than 1 % of its value wide. That is finer than the noise of any timer it is filled from, which
is why histograms count as evidence ``A`` here, like single values; each bin is read as the closed
interval of the whole nanoseconds that fall into it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.errors import InputError
from perfmodel.observations import Group, ObservationTable, ReadReport, Source
from perfmodel.readers import bench_schema as schema
from perfmodel.readers import files
from perfmodel.readers.registry import Options, Reader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["READER", "FaultPairs", "bin_width", "companion_trace", "fault_pairs"]

_NAMES_SCHEMA = re.compile(rb'"schema"\s*:\s*"perfmodel\.')


@dataclass(frozen=True, slots=True)
class FaultPairs:
    """When a fault began relative to the call that it met, and how long both took.

    Parameters
    ----------
    operation : str
        The call.
    conditions : mapping
        As of the record's group.
    offset, call, latency : ndarray of float, shape (n,), ns
        Begin of the fault after the begin of the call; duration of the call; duration of the fault.
    total : int
        How many pairs there were; `n` of them were kept.
    """

    operation: str
    conditions: Mapping[str, Any]
    offset: NDArray[np.float64]
    call: NDArray[np.float64]
    latency: NDArray[np.float64]
    total: int


def fault_pairs(path: str | Path) -> dict[int, FaultPairs]:
    """Return the pairs of fault and call of a document, by the index of their record.

    Parameters
    ----------
    path : str or Path
        A ``perfmodel.bench/1`` document. ``Group.line`` of the table that ``read`` gives is the
        same index.

    Returns
    -------
    dict of int to FaultPairs
        Empty where no record has pairs.

    Raises
    ------
    InputError
        As ``read``.
    """
    path = Path(path)
    document = schema.load(path)
    found = {}
    for index, record in enumerate(document.records):
        if record.pairs is None:
            continue
        columns = np.array(record.pairs, dtype=np.float64).reshape(-1, 3).T
        total = record.pairs_total if record.pairs_total is not None else columns.shape[1]
        found[index] = FaultPairs(
            operation=_operation(record),
            conditions=_conditions(record),
            offset=columns[0],
            call=columns[1],
            latency=columns[2],
            total=total,
        )
    return found


def companion_trace(path: str | Path) -> Path | None:
    """Return the trace that was captured with a document and lies beside it.

    Parameters
    ----------
    path : str or Path
        A ``perfmodel.bench/1`` document.

    Returns
    -------
    Path or None
        None where the document names no trace or the trace is not there.

    Raises
    ------
    InputError
        The file beside the document is not the one that was captured (its SHA-256 differs), or the
        document names something that is no plain file name.
    """
    path = Path(path)
    trace = schema.load(path).trace
    if trace is None:
        return None
    if Path(trace.file).name != trace.file or "\0" in trace.file:
        raise InputError(
            f"'{trace.file}' is no plain file name",
            file=path,
            field="trace.file",
            expected="the name of a file in the same directory",
        )
    beside = path.parent / trace.file
    try:
        if not beside.is_file():
            return None
    except OSError:
        return None
    found = files.sha256(beside)
    if found != trace.sha256:
        raise InputError(
            f"{beside} has the SHA-256 {found[:12]}…: it is not the trace of this run",
            file=path,
            field="trace.sha256",
            expected=f"{trace.sha256[:12]}… as the document says",
        )
    return beside


def bin_width(low: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the widths in ns of the bins that begin at `low`: 1 below 256, else 2^(⌊log2 low⌋-7).

    Parameters
    ----------
    low : ndarray of int, shape (n,), ns

    Returns
    -------
    ndarray of int, shape (n,), ns
    """
    # By bits and not by a floating logarithm, which rounds up to the next power of two.
    exponent = np.array([max(int(v).bit_length() - 8, 0) for v in low], dtype=np.int64)
    return np.left_shift(np.int64(1), exponent)


def _operation(record: schema.Record) -> str:
    return record.operation if record.operation is not None else "none"


def _conditions(record: schema.Record) -> dict[str, Any]:
    return {**record.conditions, "benchmark": record.benchmark}


def _group(record: schema.Record, index: int, source: Source) -> Group:
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    if record.histogram is not None:
        edges = np.array(record.histogram.low, dtype=np.int64)
        low = edges.astype(np.float64)
        high = (edges + (bin_width(edges) - 1)).astype(np.float64)
        count = np.array(record.histogram.count, dtype=np.int64)
    else:
        low = high = np.array(record.samples, dtype=np.float64)
        count = np.ones(len(low), dtype=np.int64)
    return Group(
        operation=_operation(record),
        phase=record.phase,
        conditions=_conditions(record),
        low=low,
        high=high,
        count=count,
        source=source,
        line=index,
    )


def _read(path: Path, options: Options) -> ObservationTable:
    del options  # a document says everything itself
    document = schema.load(path)
    warnings = []
    if document.status != "complete":
        detail = f" ({document.status_detail})" if document.status_detail else ""
        warnings.append(
            f"the measuring run is '{document.status}'{detail}: what it had finished is read"
        )
    warnings += [
        f"the measuring run met a problem in {p.group}: {p.what}" for p in document.problems
    ]
    if not document.records:
        warnings.append("it has no records")
    warnings += [
        f"records[{i}] ({r.benchmark}, {r.phase}) is empty"
        for i, r in enumerate(document.records)
        if r.count == 0
    ]
    source = Source(str(path), "bench_json", "A", files.sha256(path))
    groups = tuple(_group(record, i, source) for i, record in enumerate(document.records))
    report = ReadReport(
        file=str(path),
        format="bench_json",
        evidence="A",
        events=sum(record.count for record in document.records),
        warnings=tuple(warnings),
    )
    return ObservationTable(groups, (report,), {str(path): schema.provenance(document)})


def _sniff(start: bytes) -> bool:
    return start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and bool(
        _NAMES_SCHEMA.search(start)
    )


READER = Reader(
    name="bench_json",
    what="JSON with the schema perfmodel.bench/1",
    sniff=_sniff,
    read=_read,
    hints=(b'"schema"', b'"records"', b'"histogram"', b'"benchmark"', b"{"),
)
