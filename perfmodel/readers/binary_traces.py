"""Binary recordings, through the program that wrote them: trace.dat and perf.data.

Their formats hold the layout of each event, compressed pages and clock corrections that differ from
version to version; trace-cmd and perf know them. What these print is read as it comes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from perfmodel.errors import InputError
from perfmodel.readers import files
from perfmodel.readers.registry import Options, Reader
from perfmodel.readers.traceblocks import feed_stream
from perfmodel.readers.tracefile import table_of
from perfmodel.readers.tracegrammar import FTRACE, PERF_SCRIPT, Grammar
from perfmodel.readers.tracetext import TraceText

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perfmodel.observations import ObservationTable

__all__ = ["READERS"]

_WORDS_KEPT = 4096
_LINES_TOLD = 3


@dataclass(frozen=True, slots=True)
class _Recording:
    """A kind of recording and how it is turned into text.

    Parameters
    ----------
    name, what : str
        Of the format.
    magics : tuple of bytes
        What its files begin with.
    command : tuple of str
        The program and its arguments but for the file, which comes last.
    package : str
        Where the program comes from.
    grammar : Grammar
        Of the text.
    """

    name: str
    what: str
    magics: tuple[bytes, ...]
    command: tuple[str, ...]
    package: str
    grammar: Grammar

    @property
    def by_hand(self) -> str:
        """The command to type."""
        return f"`{' '.join(self.command)} FILE > FILE.txt`"

    def sniff(self, start: bytes) -> bool:
        """Tell the recording by its first bytes."""
        return start.startswith(self.magics)

    def read(self, path: Path, options: Options) -> ObservationTable:
        """Read the text that the program prints, without keeping it."""
        text = TraceText(self.grammar)
        try:
            with _plain(path) as plain:
                said = self._feed(text, plain)
            # The events are there; what the program has to say about others is passed on.
            text.warnings += [f"{self.command[0]} says: {line}" for line in said]
            if options.progress is not None:
                options.progress(1.0)
            return table_of(text, path, self.name, options, files.sha256(path))
        except InputError as error:
            raise error.at(file=path) from None

    def _feed(self, text: TraceText, path: Path) -> list[str]:
        program = shutil.which(self.command[0])
        if program is None:
            raise InputError(
                f"{self.what} is read through {self.command[0]}, which is not installed",
                expected=f"{self.command[0]} (package {self.package}) on the PATH, or text: run "
                f"{self.by_hand} where it was recorded and give the text",
            )
        # Without messages in other languages and without what the user has set for reports.
        environment = {**os.environ, "LC_ALL": "C", "PERF_CONFIG": os.devnull}
        with tempfile.TemporaryFile() as words:
            try:
                process = subprocess.Popen(
                    [program, *self.command[1:], str(path.absolute())],
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=words,
                    env=environment,
                )  # fmt: skip
            except OSError as error:
                raise InputError(f"{program} cannot be run ({error.strerror})") from None
            printed = _Counted()
            with process:
                try:
                    if process.stdout is not None:
                        feed_stream(text, process.stdout, printed)  # type: ignore[arg-type]
                except BaseException:
                    process.kill()
                    raise
            said = _last_words(words)
        if process.returncode or not printed.bytes:
            self._failed(process.returncode, said)
        return said

    def _failed(self, status: int, said: list[str]) -> None:
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        if not status:
            how = "printed nothing"
        words = "; ".join(said) or "nothing"
        raise InputError(
            f"{self.what} could not be turned into text: {self.command[0]} {how} and said: {words}",
            expected=f"a whole recording that {self.by_hand} can read",
        )


class _Counted:
    """How many bytes went by."""

    def __init__(self) -> None:
        self.bytes = 0

    def __call__(self, fresh: memoryview) -> None:
        self.bytes += len(fresh)


@contextmanager
def _plain(path: Path) -> Iterator[Path]:
    """Give the path of the recording, unpacked where it is packed."""
    with files.opened(path) as stream:
        if not files.is_packed(stream):
            yield path
            return
        with tempfile.NamedTemporaryFile(prefix="perfmodel-") as unpacked:
            shutil.copyfileobj(stream, unpacked)
            unpacked.flush()
            yield Path(unpacked.name)


def _last_words(words: IO[bytes]) -> list[str]:
    """Return the last lines of what a program said."""
    size = words.seek(0, os.SEEK_END)
    words.seek(max(size - _WORDS_KEPT, 0))
    lines = [x for x in words.read().splitlines() if x.strip() not in (b"", b"Warning:")]
    return [files.quote(line, 120) for line in lines[-_LINES_TOLD:]]


_RECORDINGS = (
    _Recording(
        name="trace_dat",
        what="a binary trace.dat",
        magics=(b"\x17\x08\x44tracing",),
        # Whole stamps, and fields as the kernel prints them. No filter (-F): trace-cmd would drop
        # the marks of lost events together with the events that it filters out.
        command=("trace-cmd", "report", "-t", "-N", "-i"),
        package="trace-cmd",
        grammar=FTRACE,
    ),
    _Recording(
        name="perf_data",
        what="a binary perf.data",
        magics=(b"PERFILE2", b"2ELIFREP"),
        # Without call graphs, with losses, and whoever owns the file.
        command=("perf", "script", "--ns", "-G", "--show-lost-events", "-f", "-i"),
        package="linux-perf or linux-tools",
        grammar=PERF_SCRIPT,
    ),
)

READERS: tuple[Reader, ...] = tuple(
    Reader(
        name=one.name,
        what=f"{one.what[2:]}, where {one.command[0]} is installed",
        sniff=one.sniff,
        read=one.read,
    )
    for one in _RECORDINGS
)
