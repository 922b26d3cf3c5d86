"""Open what a user names: plain or gzip bytes, with every failure told as an input error."""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

from perfmodel.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["BOM", "HEAD_BYTES", "head", "is_packed", "opened", "position", "quote", "sha256"]

#: How much of a file is looked at to tell its format.
HEAD_BYTES = 4096

_GZIP = b"\x1f\x8b"
#: What may stand before UTF-8 text and is not read.
BOM = b"\xef\xbb\xbf"


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open `path` for reading bytes, through gzip where its content is gzip.

    Parameters
    ----------
    path : Path
        A regular file.

    Yields
    ------
    binary file
        The uncompressed bytes, without a UTF-8 byte-order mark.

    Raises
    ------
    InputError
        The file cannot be read, or its gzip stream is damaged or cut; also when that shows only
        while the caller reads.
    """
    try:
        missing, regular = not path.exists(), path.is_file()
    except (OSError, ValueError) as error:  # too long a name, a NUL in it
        raise InputError(f"cannot be read ({error})", file=path) from None
    if missing:
        raise InputError("there is no such file", file=path)
    if not regular:
        raise InputError("not a regular file", file=path, expected="a file that can be reread")
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == _GZIP
            raw.seek(0)
            stream = (
                cast("BinaryIO", io.BufferedReader(gzip.GzipFile(fileobj=raw))) if packed else raw
            )
            if stream.read(len(BOM)) != BOM:
                stream.seek(0)
            yield stream
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(
            f"the gzip stream is damaged or cut ({error})", file=path, expected="a whole .gz file"
        ) from None
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", file=path) from None


def head(path: Path) -> bytes:
    """Return the first `HEAD_BYTES` uncompressed bytes; raises InputError as `opened` does."""
    with opened(path) as stream:
        return stream.read(HEAD_BYTES)


def is_packed(stream: BinaryIO) -> bool:
    """Tell whether a stream of `opened` unpacks its file."""
    return isinstance(getattr(stream, "raw", None), gzip.GzipFile)


def position(stream: BinaryIO) -> int:
    """Return how many bytes of the file, as stored, a stream of `opened` has read."""
    stored = stream.raw.fileobj if is_packed(stream) else stream  # type: ignore[attr-defined]
    place: int = stored.tell()
    return place


def sha256(path: Path) -> str:
    """Return the SHA-256 of the file's bytes as stored (not unpacked), in hexadecimal."""
    try:
        with path.open("rb") as raw:
            return hashlib.file_digest(raw, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", file=path) from None


def quote(line: bytes, width: int = 60) -> str:
    """Return a line as printable text for a message, cut to `width` characters."""
    text = line[: 4 * width].decode("utf-8", "replace").strip()
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return f"'{text if len(text) <= width else text[: width - 1] + '…'}'"
