"""The one declaration of every parameter: unit, domain, typical range, meaning and source.

The constructor's check, the fitter's bounds, the slider's range, the sympy symbol and the
documentation table all read the declarations of this package. Nothing else may state a range.
"""

from __future__ import annotations

from collections.abc import Iterator

from perfmodel.errors import InputError
from perfmodel.quantities.account import ACCOUNT
from perfmodel.quantities.call import CALL_FACTS
from perfmodel.quantities.declare import Quantity
from perfmodel.quantities.machine import MACHINE, STATE
from perfmodel.quantities.scenario import SCENARIO
from perfmodel.quantities.stale import STALE

__all__ = ["ACCOUNT", "CALL_FACTS", "MACHINE", "SCENARIO", "STALE", "STATE", "Quantity", "quantity"]


def _all() -> Iterator[Quantity]:
    for group in (MACHINE, STATE, CALL_FACTS, ACCOUNT, SCENARIO, STALE):
        yield from group.values()


_BY_NAME = {q.name: q for q in _all()}


def quantity(name: str) -> Quantity:
    """Return the declaration of `name`.

    Raises
    ------
    InputError
        If no quantity has that name; the message lists the closest ones.
    """
    try:
        return _BY_NAME[name]
    except KeyError:
        from difflib import get_close_matches

        near = get_close_matches(name, _BY_NAME, n=3)
        raise InputError(
            f"there is no quantity {name!r}",
            expected=f"one of {', '.join(near)}" if near else "a name from perfmodel.quantities",
        ) from None
