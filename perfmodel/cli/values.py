"""Numbers of the command line, read and refused in the words of their declaration."""

from __future__ import annotations

import math

from perfmodel.quantities import Quantity

__all__ = ["DRAWS", "POINTS", "SEED", "THRESHOLD", "number"]


def _count(name: str, low: int, high: int, meaning: str) -> Quantity:
    return Quantity(name, name, "1", (low, high), (low, high), meaning, "caller", integer=True)


DRAWS = _count("draws", 1, 20_000, "draws of the machine's constants behind an interval")
POINTS = _count("points", 2, 2_000, "values tried over the range of the parameter")
SEED = _count("seed", 0, 2**31 - 1, "seed of the order in which the points are measured")
THRESHOLD = Quantity(
    "threshold", "threshold", "1", (0, 10), (0.01, 0.5),
    "largest median absolute error of the held-out check that passes", "caller",
)  # fmt: skip


def number(text: str, declared: Quantity, option: str) -> float:
    """Read a number and check it against its declaration.

    Parameters
    ----------
    text : str
        What the user typed.
    declared : Quantity
    option : str
        The option it was typed after, for the message.

    Raises
    ------
    InputError
        With the declaration's own words on what would be right.
    """
    try:
        value = float(text)
    except ValueError:
        declared.check(text, field=option)  # refuses: a text is not a number
        raise
    # Beyond 2^53 a float skips whole numbers; nobody has so many pages, and the domain says so.
    exact = math.isfinite(value) and value.is_integer() and abs(value) < 2**53
    return declared.check(int(value) if exact and declared.integer else value, field=option)


def help_text(declared: Quantity, default: str = "") -> str:
    """Return meaning, unit and range of a declaration as the help of its option."""
    low, high = declared.domain
    unit = "" if declared.unit == "1" else f" {declared.unit}"
    span = f"from {low:g}" if math.isinf(high) else f"{low:g} to {high:g}"
    kind = ", whole" if declared.integer else ""
    text = f"{declared.meaning[0].upper()}{declared.meaning[1:]} ({span}{unit}{kind})."
    return f"{text} Default: {default}." if default else text
