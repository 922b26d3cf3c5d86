"""Read benchmark output and kernel traces into one table of observations.

A reader is one module with a ``READER``; to add a format, write the module and add its line to
`READERS`. The order matters only where two formats would take the same file: first come first
served.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from perfmodel.errors import InputError
from perfmodel.observations import ObservationTable, ReadReport, concatenate
from perfmodel.readers import (
    aggregates,
    bench_json,
    binary_traces,
    counts,
    ftrace,
    histograms,
    perf_script,
    throughput,
    trace_cmd,
)
from perfmodel.readers.files import head
from perfmodel.readers.registry import Options, Reader, choose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["READERS", "Options", "Reader", "read", "sniff"]

READERS: tuple[Reader, ...] = (
    bench_json.READER,
    trace_cmd.READER,
    ftrace.READER,
    perf_script.READER,
    *binary_traces.READERS,
    *histograms.READERS,
    *aggregates.READERS,
    *throughput.READERS,
    *counts.READERS,
)


def sniff(path: str | Path) -> str:
    """Tell the format of a file from its content.

    Parameters
    ----------
    path : str or Path
        A plain or gzip file; its name does not matter.

    Returns
    -------
    str
        Name of a reader: ``bench_json``, ``ftrace``, ``trace_cmd``, ``perf_script`` ...

    Raises
    ------
    InputError
        The file is missing, empty, of no known format, or of a variant that cannot be used.

    Examples
    --------
    >>> sniff("tests/fixtures/traces/clock-mono.txt")
    'ftrace'
    """
    return _reader(Path(path)).name


def read(
    paths: Iterable[str | Path] | str | Path,
    *,
    tick_ns: float | None = None,
    progress: Callable[[float], None] | None = None,
) -> ObservationTable:
    """Read files, or all readable files of directories, into one table.

    Parameters
    ----------
    paths : str, Path or iterable of them
        Files and directories. A directory is read without its subdirectories; a file in it whose
        format is not known gets a report with a warning. A file named explicitly must be readable.
    tick_ns : float, optional
        Length of one tick of the trace clock in ns, for traces stamped in ticks (clock x86-tsc)
        that carry no ``perfmodel clock`` marker.
    progress : callable, optional
        Called now and then with the share of all bytes that has been read, from 0 to 1. It never
        falls; what it raises ends the reading.

    Returns
    -------
    ObservationTable
        Groups in the order of the files, one report a file. Every value is in ns.

    Raises
    ------
    InputError
        With the file, the line and the field where they are known.

    Examples
    --------
    >>> table = read("tests/fixtures/traces/clock-mono.txt")
    >>> table.reports[0].downgrades
    15
    """
    if tick_ns is not None and not (math.isfinite(tick_ns) and tick_ns > 0):
        raise InputError(
            f"{tick_ns} is no length of a clock tick",
            field="tick_ns",
            expected="a number > 0 in ns",
        )
    names = [paths] if isinstance(paths, str | Path) else list(paths)
    if not names or any(not str(name) for name in names):
        raise InputError("no file to read", field="paths", expected="one file or directory or more")
    reading = _Reading(tick_ns, progress, [Path(name) for name in names])
    tables = []
    for name in names:
        path = Path(name)
        if _is_directory(path):
            tables.append(_directory(path, reading))
        elif reading.first_time(path):
            tables.append(reading.read(_reader(path), path))
        else:
            tables.append(_unread(path, "named twice; read once"))
    if progress is not None:
        progress(1.0)
    return concatenate(tables)


class _Reading:
    """What has been read so far: which files, and which share of all bytes."""

    def __init__(
        self, tick_ns: float | None, progress: Callable[[float], None] | None, paths: list[Path]
    ) -> None:
        self._tick_ns, self._progress = tick_ns, progress
        self._seen: set[str] = set()
        members = (x for p in paths for x in (_members(p) if _is_directory(p) else [p]))
        sizes = {str(path): _size(path) for path in members}
        self._total, self._done = max(sum(sizes.values()), 1), 0

    def read(self, reader: Reader, path: Path) -> ObservationTable:
        size = _size(path)
        progress = self._progress

        def told(share: float) -> None:
            if progress is not None:
                progress(min((self._done + share * size) / self._total, 1.0))

        table = reader.read(
            path, Options(tick_ns=self._tick_ns, progress=None if progress is None else told)
        )
        told(1.0)
        self._done += size
        return table

    def first_time(self, path: Path) -> bool:
        try:
            real = str(path.resolve())
        except (OSError, ValueError, RuntimeError):
            return True  # opening it tells the reason
        if real in self._seen:
            return False
        self._seen.add(real)
        return True


def _reader(path: Path) -> Reader:
    return choose(READERS, path, head(path))


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False  # opening it as a file tells the reason


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except (OSError, ValueError):
        return 0


def _members(path: Path) -> list[Path]:
    try:
        return sorted(p for p in path.iterdir() if p.is_file())
    except OSError as error:
        raise InputError(f"cannot be listed ({error.strerror})", file=path) from None


def _directory(path: Path, reading: _Reading) -> ObservationTable:
    """Read every file of a directory whose format is known; a known but broken file is an error."""
    tables, read_any = [], False
    members = _members(path)
    for member in members:
        if member.name.startswith("."):  # such as a document that is being written
            tables.append(_unread(member, "not read: a hidden file"))
            continue
        try:
            reader = _reader(member)
        except InputError as error:
            tables.append(_unread(member, f"not read: {error}"))
            continue
        read_any = True
        if reading.first_time(member):
            tables.append(reading.read(reader, member))
        else:
            tables.append(_unread(member, "named twice; read once"))
    if not read_any:
        raise InputError(
            f"none of the {len(members)} files of this directory is of a known format",
            file=path,
            expected="a directory with " + " or ".join(r.what for r in READERS),
        )
    return concatenate(tables)


def _unread(path: Path, why: str) -> ObservationTable:
    report = ReadReport(file=str(path), format="unknown", evidence="", warnings=(why,))
    return ObservationTable((), (report,))
