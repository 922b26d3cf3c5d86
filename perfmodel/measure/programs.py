"""Run one measuring program and read its records as they come."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from perfmodel.errors import MeasureError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["Output", "run_program"]

Record = dict[str, Any]


@dataclass
class Output:
    """What a program said.

    Attributes
    ----------
    records : list of dict
        Its records, in the order they came.
    problems : list of str
        Points it could not measure, in its own words.
    trace_clock : dict or None
        ``{"name": str, "tick_ns": float | None}`` from the traced load.
    pid : int or None
        Its process id, which is also the thread id of its only thread that traces show.
    """

    records: list[Record] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    trace_clock: dict[str, Any] | None = None
    pid: int | None = None

    def take(self, line: bytes, progress: Callable[[int, int], None] | None) -> None:
        """Sort one line of a program's output into its place.

        Raises
        ------
        MeasureError
            If the line is none that our programs write.
        """
        try:
            item = json.loads(line)
        except ValueError as error:
            raise MeasureError(
                f"A program wrote a line that is not JSON: {line[:80]!r}."
            ) from error
        if not isinstance(item, dict):
            raise MeasureError(f"A program wrote a line that is no object: {line[:80]!r}.")
        if "problem" in item:
            self.problems.append(str(item["problem"]))
        elif "progress" in item:
            if progress is not None:
                progress(*item["progress"])
        elif "trace_clock" in item:
            self.trace_clock = item["trace_clock"]
        else:
            self.records.append(item)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End the program and the children it forked: they are a process group of their own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run_program(
    program: Path,
    arguments: Sequence[str],
    output: Output,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Run a measuring program to its end.

    Parameters
    ----------
    program : Path
        The built program.
    arguments : sequence of str
        Its options.
    output : Output
        Filled as lines come, so that what was measured before an interruption is kept.
    progress : callable, optional
        Called with (points done, points in all) after each point.

    Raises
    ------
    MeasureError
        If it cannot be started, ends with an error, or writes something else than records. The
        process group of the program is ended on every way out, KeyboardInterrupt included.
    """
    # Its errors go to a file and not to a pipe: nobody would empty a pipe while records are read.
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                [str(program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                process_group=0,
            )
        except OSError as error:
            raise MeasureError(f"{program} cannot be run: {error.strerror or error}.") from error
        try:
            output.pid = process.pid
            assert process.stdout is not None  # asked for above
            for line in process.stdout:
                output.take(line, progress)
            status = process.wait()
        finally:
            if process.stdout is not None:
                process.stdout.close()
            _end_group(process)
        if status:
            errors.seek(0)
            said = errors.read(4000).decode("utf-8", "replace").strip()
            how = f"signal {-status}" if status < 0 else f"exit status {status}"
            raise MeasureError(f"{program.name} ended with {how}: {said or 'it said nothing'}.")
