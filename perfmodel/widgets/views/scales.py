"""Axes over times of either sign and over parameters: limits that change rarely, and ticks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from matplotlib.ticker import FuncFormatter, NullFormatter

from perfmodel.breakeven import PARAMETERS
from perfmodel.quantities import SCENARIO
from perfmodel.report.labels import label
from perfmodel.verdict import time_text

if TYPE_CHECKING:
    from matplotlib.axis import Axis

    from perfmodel.quantities import Quantity

__all__ = [
    "LINEAR",
    "count_text",
    "decades",
    "declared",
    "name_of",
    "nice",
    "over_parameter",
    "signed_text",
    "signed_times",
]  # fmt: skip

#: Times smaller than this are drawn on a linear scale around zero, ns.
LINEAR = 10.0


def declared(over: str) -> Quantity:
    """Return the declaration of a parameter that can be swept."""
    return SCENARIO[PARAMETERS[over][1]]


def name_of(over: str) -> str:
    """Return a parameter's name for a person, with its unit."""
    return label(declared(over))


def nice(value: float) -> float:
    """Return the next of 1, 1.5, 2, 3, 4, 6, 8 times a power of ten: limits then change rarely."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return float(
        next((m * power for m in (1, 1.5, 2, 3, 4, 6, 8) if m * power >= value), 10 * power)
    )


def decades(values: Iterable[float]) -> tuple[float, float]:
    """Return the decades beyond the smallest and the largest of some times, zero among them."""
    known = [0.0, *(v for v in values if math.isfinite(v))]
    bottom, top = _decade(min(known)), _decade(max(known))
    return (bottom, top) if bottom < top else (-LINEAR, LINEAR)


def _decade(value: float) -> float:
    """Return the decade beyond a value, on its side of zero."""
    if value == 0:
        return 0.0
    small = abs(value) < LINEAR
    edge = LINEAR if small else 10.0 ** (math.floor(math.log10(abs(value))) + 1)
    return math.copysign(edge, value)


def _ticks(bottom: float, top: float) -> list[float]:
    """Return zero and some decades on both sides, no more than eight in all."""
    found = []
    for edge in (bottom, top):
        if edge:
            last = round(math.log10(abs(edge)))
            found += [math.copysign(10.0**k, edge) for k in range(1, last + 1)]
    step = max(1, math.ceil(len(found) / 7))
    kept = [d for d in found if (round(math.log10(abs(d))) - 1) % step == step - 1 or step == 1]
    return sorted([0.0, *kept])


def signed_times(axis: Axis, ends: tuple[float, float] | None = None) -> None:
    """Make an axis one of times of either sign, linear around zero; with ends, put its ticks."""
    axis._set_axes_scale("symlog", linthresh=LINEAR, linscale=0.4)  # type: ignore[attr-defined]
    axis.set_major_formatter(FuncFormatter(lambda v, _: signed_text(v)))
    axis.set_minor_formatter(NullFormatter())
    if ends is not None:
        axis.set_ticks(_ticks(*ends))


def over_parameter(axis: Axis, over: str) -> None:
    """Make an axis that of a parameter: its scale, its label, its ticks."""
    log = declared(over).spans_decades
    axis._set_axes_scale("log" if log else "linear")  # type: ignore[attr-defined]
    axis.set_label_text(name_of(over))
    if log:
        axis.set_major_formatter(FuncFormatter(lambda v, _: count_text(v)))
        axis.set_minor_formatter(NullFormatter())


def signed_text(value: float) -> str:
    """Return a time with its sign, short."""
    return "0" if value == 0 else f"{'−' if value < 0 else ''}{time_text(abs(value))}"


def count_text(value: float) -> str:
    """Return a number with a prefix instead of zeros."""
    for scale, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= scale:
            return f"{value / scale:g}{unit}"
    return f"{value:g}"
