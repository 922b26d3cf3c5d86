"""Decode JSON that somebody else's tool wrote, with every failure told as an input error."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from perfmodel.errors import InputError
from perfmodel.readers import files

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Pairs", "begins_object", "decode", "document", "integer", "listed", "real"]


class Pairs(list[tuple[str, Any]]):
    """An object of a document in which a key may stand more than once."""


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def decode(text: bytes | str, *, pairs: bool = False) -> Any:
    """Decode one JSON text.

    Parameters
    ----------
    text : bytes or str
    pairs : bool
        Give objects as `Pairs`, so that a repeated key is not lost.

    Raises
    ------
    ValueError
        The text is no JSON, or nested too deeply.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        return json.loads(
            text, object_pairs_hook=Pairs if pairs else None, parse_constant=_refuse_constant
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def document(path: Path) -> Any:
    """Return the one document that a file holds.

    Raises
    ------
    InputError
        With the line of broken JSON.
    """
    with files.opened(path) as stream:
        text = stream.read()
    try:
        return decode(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"no whole JSON document: {error.msg} at column {error.colno}",
            file=path,
            line=error.lineno,
        ) from None
    except ValueError as error:  # also a number with too many digits, and broken UTF-8
        raise InputError(f"no JSON document: {error}", file=path) from None


def begins_object(start: bytes) -> bool:
    """Tell whether text begins as a JSON object."""
    return bool(re.match(rb"(?:\xef\xbb\xbf)?\s*\{", start))


def real(record: Any, name: str) -> float | None:
    """Return a finite number of an object, or None."""
    value = record.get(name) if isinstance(record, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        value = float(value)
    except OverflowError:
        return None
    return value if math.isfinite(value) else None


def integer(record: Any, name: str) -> int | None:
    """Return a whole number of an object, or None."""
    value = real(record, name)
    return int(value) if value is not None and value == int(value) else None


def listed(path: Path, found: Any, name: str) -> list[Any]:
    """Return the list that a document holds under `name`.

    Raises
    ------
    InputError
        It holds none.
    """
    value = found.get(name) if isinstance(found, dict) else None
    if not isinstance(value, list):
        raise InputError("missing, or no list", file=path, field=name, expected="a list of results")
    return value
