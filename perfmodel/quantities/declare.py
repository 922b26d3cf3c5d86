"""The declaration of one parameter: unit, domain, typical range, meaning and source."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from perfmodel.errors import InputError

__all__ = ["INFINITY", "Quantity", "group"]

#: The upper end of a domain without one.
INFINITY = math.inf


@dataclass(frozen=True, slots=True)
class Quantity:
    """One named parameter of the models.

    Parameters
    ----------
    name : str
        The name in code, in profiles and in JSON.
    symbol : str
        How it is written in LaTeX.
    unit : str
        ``ns``, ``1/ns``, ``us``, ``1/s``, ``pages``, or ``1`` for a pure number.
    domain : tuple of float
        Closed range outside which the value is an error.
    typical : tuple of float
        Range of a slider and of a fit's start: what machines and workloads show.
    meaning : str
        One sentence for a tooltip or a table.
    source : str
        Where the meaning or the range comes from.
    integer : bool
        Whether only whole numbers are right.
    """

    name: str
    symbol: str
    unit: str
    domain: tuple[float, float]
    typical: tuple[float, float]
    meaning: str
    source: str
    integer: bool = False

    @property
    def spans_decades(self) -> bool:
        """Whether a control should be logarithmic."""
        low, high = self.typical
        return low > 0 and high / low >= 50

    def check(self, value: object, *, field: str | None = None) -> float:
        """Return `value` as a number inside the domain.

        Raises
        ------
        InputError
            If it is not a number, is NaN, or lies outside the domain.
        """
        field = field or self.name
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InputError(f"{value!r} is not a number", field=field, expected=self.expectation())
        number = float(value)
        if math.isnan(number):
            raise InputError(
                "the value is NaN (not a number)", field=field, expected=self.expectation()
            )
        if not self.domain[0] <= number <= self.domain[1]:
            raise InputError(f"{value!r} is out of range", field=field, expected=self.expectation())
        if self.integer and not number.is_integer():
            raise InputError(
                f"{value!r} is not a whole number", field=field, expected=self.expectation()
            )
        return int(number) if self.integer else number

    def expectation(self) -> str:
        """Say in words what a right value is."""
        kind = "a whole number" if self.integer else "a number"
        low, high = self.domain
        span = f"of at least {low:g}" if math.isinf(high) else f"from {low:g} to {high:g}"
        unit = "" if self.unit == "1" else f" ({self.unit})"
        return f"{kind} {span}{unit}"


def group(*declared: Quantity) -> Mapping[str, Quantity]:
    """Return declarations by name.

    Raises
    ------
    ValueError
        If a name is declared twice.
    """
    named = {q.name: q for q in declared}
    if len(named) != len(declared):
        raise ValueError("a quantity is declared twice")
    return MappingProxyType(named)
