"""A stream of trace text to observations."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from perfmodel.errors import InputError
from perfmodel.observations import Group, ObservationTable, Source
from perfmodel.readers import files
from perfmodel.readers.lockstates import Intervals, Label
from perfmodel.readers.traceblocks import feed_stream
from perfmodel.readers.tracegrammar import FTRACE, Grammar
from perfmodel.readers.tracetext import TraceText

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from perfmodel.readers.registry import Options

__all__ = ["read_trace", "table_of"]


def read_trace(
    path: Path, options: Options, name: str, grammar: Grammar = FTRACE
) -> ObservationTable:
    """Read trace text.

    Parameters
    ----------
    path : Path
        Plain or gzip text.
    options : Options
        ``tick_ns`` for traces stamped in ticks; ``progress``.
    name : str
        Name of the format for the report.
    grammar : Grammar
        What its lines look like.

    Returns
    -------
    ObservationTable
        Groups by operation, conditions and phase. Intervals of µs text are the printed difference
        ± 1 µs, not below 0; those of ns text and of ticks are exact, or the bins of
        `perfmodel.readers.durations` where there are too many different ones.

    Raises
    ------
    InputError
        A variant of the text without names or times, ticks of unknown length, a damaged file.
    """
    text = TraceText(grammar)
    try:
        with files.opened(path) as stream:
            told = _Told(path, stream, options.progress)
            feed_stream(text, stream, told)
        return table_of(text, path, name, options, told.sha256())
    except InputError as error:
        raise error.at(file=path) from None


def table_of(
    text: TraceText, path: Path, name: str, options: Options, sha256: str
) -> ObservationTable:
    """Return the observations of a trace that was read to its end, and of whose file this is the hash.

    Raises
    ------
    InputError
        The trace cannot be used.
    """
    scale = text.check(options)
    report = text.report(path, name)
    source = Source(str(path), name, report.evidence, sha256)
    spread = 1000.0 if text.unit == "us" else 0.0
    groups = tuple(_group(one, scale, spread, source) for one in text.states.intervals)
    return ObservationTable(groups, (report,))


class _Told:
    """Hashes the bytes that are read and says how far the reading is."""

    def __init__(
        self, path: Path, stream: BinaryIO, progress: Callable[[float], None] | None
    ) -> None:
        self._path, self._stream, self._progress = path, stream, progress
        self._size = path.stat().st_size
        # A packed file is hashed as it is stored.
        self._hash = None if files.is_packed(stream) else hashlib.sha256(files.BOM[: stream.tell()])

    def __call__(self, fresh: memoryview) -> None:
        if self._hash is not None:
            self._hash.update(fresh)
        if self._progress is not None:
            self._progress(min(files.position(self._stream) / max(self._size, 1), 1.0))

    def sha256(self) -> str:
        """Return the hash of the file's bytes as stored."""
        return files.sha256(self._path) if self._hash is None else self._hash.hexdigest()


def _group(intervals: Intervals, scale: float, spread: float, source: Source) -> Group:
    low, high, count = intervals.durations.counted()
    label = intervals.label or Label("unknown", (("mode", intervals.mode),))
    return Group(
        operation=label.operation,
        phase=intervals.phase,
        conditions=dict(label.conditions),
        low=np.maximum(low * scale - spread, 0.0),
        high=(high * scale + spread).astype(np.float64),
        count=count,
        source=source,
        line=intervals.line,
    )
