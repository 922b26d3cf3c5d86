"""Run a command of the laboratory: logged, limited in time, ended with all its children."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from perfmodel.errors import MeasureError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

__all__ = ["Log", "group", "run"]


class Log:
    """The laboratory's log: what was run, what it said, when.

    Parameters
    ----------
    path : Path
        The file; it is appended to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, text: str) -> None:
        """Add a line with the time."""
        with self.path.open("a", encoding="utf-8") as log:
            log.write(f"{time.strftime('%H:%M:%S')} {text}\n")

    def tail(self, lines: int = 12) -> str:
        """Return the last lines."""
        text = self.path.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and everything it started; it is the leader of a group of its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextlib.contextmanager
def group(
    command: Sequence[str], log: Log, cwd: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a command in a process group of its own and end the group on every way out.

    Raises
    ------
    MeasureError
        If it cannot be started.
    """
    log.write("$ " + shlex.join(command))
    environment = {**os.environ, "LC_ALL": "C"}
    with log.path.open("ab") as sink:
        try:
            process = subprocess.Popen(
                list(command), cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=sink,
                stderr=subprocess.STDOUT, process_group=0,
            )  # fmt: skip
        except OSError as error:
            raise MeasureError(f"{command[0]} cannot be run: {error.strerror or error}.") from error
    try:
        yield process
    finally:
        end_group(process)


def run(
    command: Sequence[str],
    log: Log,
    *,
    limit_s: float,
    cwd: Path | None = None,
    watch: Callable[[], None] | None = None,
) -> None:
    """Run a command to its end.

    Parameters
    ----------
    command : sequence of str
    log : Log
        Gets its output.
    limit_s : float, s
        It is ended after this time.
    cwd : Path, optional
        Where it runs.
    watch : callable, optional
        Called twice a second.

    Raises
    ------
    MeasureError
        If it cannot be started, fails or takes longer. The end of the log is in the message.
    """
    with group(command, log, cwd) as process:
        deadline = time.monotonic() + limit_s
        while True:
            try:
                status = process.wait(timeout=0.5)
                break
            except subprocess.TimeoutExpired:
                pass
            if watch is not None:
                watch()
            if time.monotonic() > deadline:
                raise MeasureError(
                    f"{shlex.join(command)[:200]} took longer than {limit_s:.0f} s and was ended."
                    f" Log: {log.path}"
                )
    if status:
        raise MeasureError(
            f"{shlex.join(command)[:200]} ended with status {status}. Log: {log.path}, which ends:\n"
            f"{log.tail()}"
        )
