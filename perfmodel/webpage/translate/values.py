"""Python values that the model keeps at module level, as JavaScript literals."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

import numpy as np

from perfmodel.equations.equation import Equation
from perfmodel.webpage.translate.source import TranslationError

__all__ = ["number", "text", "value"]


def number(x: float) -> str:
    """Return a number that reads back as the same double."""
    if isinstance(x, bool):
        return "true" if x else "false"
    if math.isnan(x):
        return "NaN"
    if math.isinf(x):
        return "Infinity" if x > 0 else "-Infinity"
    return repr(int(x)) if isinstance(x, (int, np.integer)) else repr(float(x))


def text(x: str) -> str:
    """Return a string literal that is also safe inside a script element."""
    return json.dumps(x).replace("</", "<\\/").replace("<!--", "<\\!--")


def value(x: Any, refer: Callable[[Any], str]) -> str:
    """Return any value of the model's constants.

    Parameters
    ----------
    x
        The value.
    refer : callable
        Gives the JavaScript name of a class, function or equation in it.

    Raises
    ------
    TranslationError
        If its type is not known.
    """
    if x is None:
        return "null"
    if isinstance(x, Enum):
        return f"{refer(type(x))}.{x.name}"
    if isinstance(x, (bool, int, float, np.number)):
        return number(x if isinstance(x, (bool, int, float)) else x.item())
    if isinstance(x, str):
        return text(x)
    if isinstance(x, np.ndarray):
        if x.dtype.kind not in "fi":
            raise TranslationError(f"an array of {x.dtype} among the model's constants")
        flat = ",".join(number(float(v)) for v in x.ravel())
        return f"new A(Float64Array.of({flat}),{json.dumps(list(x.shape))})"
    if isinstance(x, (tuple, list)):
        return "[" + ",".join(value(v, refer) for v in x) + "]"
    if isinstance(x, (set, frozenset)):
        return "new PySet([" + ",".join(value(v, refer) for v in sorted(x)) + "])"
    if isinstance(x, Mapping):
        kinds = {(type(k), type(v)) for k, v in x.items()}
        if len(x) > 8 and len(kinds) == 1 and all(map(dataclasses.is_dataclass, *kinds)):
            return _table(x, refer)
        pairs = ",".join(f"[{value(k, refer)},{value(v, refer)}]" for k, v in x.items())
        return f"new Dict([{pairs}])"
    if isinstance(x, Equation) or callable(x):
        return refer(x)
    if dataclasses.is_dataclass(x):
        given = ",".join(value(getattr(x, f.name), refer) for f in dataclasses.fields(x))
        return f"new {refer(type(x))}({given})"
    raise TranslationError(f"a {type(x).__name__} among the model's constants")


def _table(x: Mapping[Any, Any], refer: Callable[[Any], str]) -> str:
    """Return a large table of records by records: the names of their classes stand there once."""

    def fields(record: Any) -> str:
        given = (getattr(record, f.name) for f in dataclasses.fields(record))
        return "[" + ",".join(value(v, refer) for v in given) + "]"

    ((kind, held),) = {(type(k), type(v)) for k, v in x.items()}
    rows = ",".join(f"[{fields(k)},{fields(v)}]" for k, v in x.items())
    made = f"[new {refer(kind)}(...k),new {refer(held)}(...v)]"
    return f"new Dict([{rows}].map(([k,v])=>{made}))"
