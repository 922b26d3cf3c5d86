"""What a reader is, and the refusals that hold for every reader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from perfmodel.errors import InputError
from perfmodel.readers.files import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from perfmodel.observations import ObservationTable

__all__ = ["Options", "Reader", "choose"]


@dataclass(frozen=True, slots=True)
class Options:
    """What the user says about files that the files do not say themselves.

    Parameters
    ----------
    tick_ns : float, optional
        Length of one tick of the trace clock in ns, for traces stamped in ticks.
    progress : callable, optional
        Called now and then with the share of the file's bytes that has been read, from 0 to 1.
    """

    tick_ns: float | None = None
    progress: Callable[[float], None] | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """One format.

    Parameters
    ----------
    name : str
        What ``sniff`` answers and ``ReadReport.format`` holds.
    what : str
        The format in a few words, for messages.
    sniff : callable
        Takes the first bytes of a file and says whether this reader is the one. It may raise
        InputError for a file that is of this kind but of a variant that cannot be used.
    read : callable
        Takes the path and the options; gives the table or raises InputError.
    hints : sequence of bytes
        Strings typical of the format, to name the nearest one for an unknown file.
    """

    name: str
    what: str
    sniff: Callable[[bytes], bool]
    read: Callable[[Path, Options], ObservationTable]
    hints: Sequence[bytes] = ()


#: Beginnings of files that are known and cannot be read: (magic, what it is, what to give).
_REFUSED: tuple[tuple[bytes, str, str], ...] = (
    (b"\x89PNG", "a PNG picture", "a trace or a benchmark document"),
    (b"\xff\xd8\xff", "a JPEG picture", "a trace or a benchmark document"),
    (b"%PDF", "a PDF", "a trace or a benchmark document"),
    (b"\x7fELF", "an ELF program", "a trace or a benchmark document"),
    (b"PK\x03\x04", "a ZIP archive", "the unpacked file"),
    (b"\xfd7zXZ", "an xz archive", "plain text or gzip"),
    (b"BZh", "a bzip2 archive", "plain text or gzip"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", "plain text or gzip"),
    (b"\xff\xfe", "UTF-16 text", "UTF-8 or plain ASCII"),
    (b"\xfe\xff", "UTF-16 text", "UTF-8 or plain ASCII"),
)


def choose(readers: Sequence[Reader], path: Path, start: bytes) -> Reader:
    """Return the reader that takes `start`, the first bytes of `path`.

    Raises
    ------
    InputError
        The file is empty, of a kind that is refused, or of no known format; the message names the
        nearest format and the first line that does not fit.
    """
    if not start:
        raise InputError("the file is empty", file=path, expected=_known(readers))
    for magic, kind, instead in _REFUSED:
        if start.startswith(magic):
            raise InputError(f"this is {kind}, which cannot be read", file=path, expected=instead)
    for reader in readers:
        try:
            if reader.sniff(start):
                return reader
        except InputError as error:
            raise error.at(file=path) from None
    if b"\0" in start:
        raise InputError("an unknown binary file", file=path, expected=_known(readers))
    lines = start.splitlines()
    number, line = next(((n, x) for n, x in enumerate(lines, 1) if x.strip()), (1, b""))
    scores: dict[str, int] = {
        f"the nearest is {r.name} ({r.what})": sum(1 for hint in r.hints if hint in start)
        for r in readers
    }
    guess = max(scores, key=lambda name: scores[name])
    if not scores[guess]:
        guess = "no format is near"
    raise InputError(
        f"of no known format; {guess}; the first line that does not fit is {quote(line)}",
        file=path,
        line=number,
        expected=_known(readers),
    )


def _known(readers: Sequence[Reader]) -> str:
    return "one of " + ", ".join(r.name for r in readers)
