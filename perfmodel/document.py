"""A JSON document of the kit's own: read, held against its declared form, every fault named."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from perfmodel.errors import InputError

__all__ = ["decode"]


class _HasSchema(Protocol):
    schema: str


D = TypeVar("D", bound=_HasSchema)


def decode(path: Path, kind: type[D], schema: str) -> tuple[D, bytes]:
    """Read a document and return it with its bytes.

    Parameters
    ----------
    path : Path
    kind : type
        A msgspec structure with a field ``schema``.
    schema : str
        What that field must say.

    Raises
    ------
    InputError
        With file and field, where it cannot be read or is none of this format.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", file=path) from None
    try:
        document = msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        what, _, where = str(error).partition(" - at `$")
        raise InputError(what, file=path, field=where.rstrip("`").lstrip(".") or None,
                         expected=f"a document of the format {schema}") from None  # fmt: skip
    if document.schema != schema:
        raise InputError(f"the schema is {document.schema!r}", file=path, field="schema",
                         expected=schema)  # fmt: skip
    return document, raw
