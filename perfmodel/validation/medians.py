"""Medians of calls, traced holds and directly timed costs, predicted from a profile."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from perfmodel.fit import Points, predict_points
from perfmodel.validation.predictive import Draws, Z
from perfmodel.validation.result import Row

if TYPE_CHECKING:
    from perfmodel.fit import Point

__all__ = ["median_rows"]

#: Kind of a phase of the fit; everything else is a cost timed by itself.
_KIND = {"latency": "call", "exclusive": "exclusive", "shared": "shared"}


def median_rows(draws: Draws, points: Points) -> list[Row]:
    """Return one row a point: the median measured, and what one such median would be.

    Parameters
    ----------
    draws : Draws
    points : Points
        Of the run.
    """
    # The first of them is the estimate itself.
    drawn = np.array([predict_points(m, points) for m in draws.machines()])
    with np.errstate(all="ignore"):
        spread = np.std(np.log(drawn[1:]), axis=0, ddof=1)
    rows = []
    for point, value, sd in zip(points.points, drawn[0], spread, strict=True):
        total = math.hypot(float(sd), draws.machine.residual_sd, point.log_sd)
        predicted = float(value)
        known = math.isfinite(predicted) and math.isfinite(total)
        rows.append(
            Row(
                kind=_KIND.get(point.phase, "cost"),
                operation=point.operation if point.call is not None else point.phase,
                conditions=point.conditions,
                unit="ns",
                measured=point.ns,
                predicted=predicted,
                low=predicted * math.exp(-Z * total) if known else math.nan,
                high=predicted * math.exp(Z * total) if known else math.nan,
                events=point.events,
                where=point.where,
                reason="" if known else _unknown(draws, point),
            )
        )
    return rows


def _unknown(draws: Draws, point: Point) -> str:
    missing = [n for n, c in draws.machine.constants.items() if c.value is None]
    return f"{point.operation} needs a constant that the profile lacks: it lacks " + ", ".join(
        missing
    )
