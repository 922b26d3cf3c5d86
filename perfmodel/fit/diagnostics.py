"""How well the model fits, and how well it predicts what it was not fitted to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from perfmodel.fit.model import NUISANCE
from perfmodel.fit.points import Point, Points
from perfmodel.machine import Machine

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["predict_points", "residual_table", "summary"]


def predict_points(machine: Machine, points: Points) -> NDArray[np.float64]:
    """Predict every point from a profile.

    Parameters
    ----------
    machine : Machine
        The constants.
    points : Points
        What was measured, perhaps in another run.

    Returns
    -------
    ndarray of shape (points,), ns
        NaN where a constant is unknown. The tracer's own cost is that of the profile's fit; one of perf
        or bpftrace that the profile does not hold is unknown.
    """
    tracer = machine.fit.get("tracer_ns") or {}
    model = points.model
    known = {n: float(v) for n, v in tracer.items()}
    known |= {n: known.get(n, 0.0) for n in NUISANCE.values()}
    return model.predict(machine.values() | {n: known.get(n, math.nan) for n in model.tracer_terms})


def residual_table(points: Sequence[Point], predicted: NDArray[np.float64]) -> pd.DataFrame:
    """Return one row a point: what it is, measured and predicted ns, and the error.

    The error is predicted over measured less one; `form` says how the times are known.
    """
    import pandas as pd

    rows = []
    for point, value in zip(points, predicted, strict=True):
        c = point.conditions
        rows.append(
            {
                "operation": point.operation, "phase": point.phase,
                "transition": c.get("transition", ""), "shape": c.get("shape", ""),
                "pages": c.get("pages", np.nan), "vmas": c.get("vmas", np.nan),
                "populated": c.get("populated", np.nan), "huge": bool(c.get("huge", False)),
                "spinners": c.get("spinners", np.nan), "measured_ns": point.ns,
                "predicted_ns": float(value), "error": float(value) / point.ns - 1.0,
                "measured_log_sd": point.log_sd, "events": point.events, "form": point.form,
                "where": point.where,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def summary(table: pd.DataFrame, by: Sequence[str] = ("operation", "phase")) -> pd.DataFrame:
    """Return the median, 90 % and largest absolute error by group, with the number of points."""
    error = table.assign(size=table["error"].abs()).groupby(list(by), sort=False)["size"]
    return error.agg(
        points="size", median="median", p90=lambda e: float(np.quantile(e, 0.9)), largest="max"
    ).reset_index()
