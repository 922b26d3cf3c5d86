"""Observations to a machine profile: one joint robust fit, its diagnostics, a held-out check."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.fit.diagnostics import predict_points, residual_table, summary
from perfmodel.fit.joint import FitResult, fit
from perfmodel.fit.model import NUISANCE, PointModel
from perfmodel.fit.points import Point, Points, collect
from perfmodel.fit.priors import PRIORS, derived_fault_hold
from perfmodel.kernel import Kernel
from perfmodel.machine import CONSTANTS, Constant, InputFile, Machine
from perfmodel.observations import ObservationTable

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Calibration", "Point", "Points", "calibrate", "collect", "predict_points", "residual_table",
    "summary",
]  # fmt: skip


@dataclass(frozen=True)
class Calibration:
    """A calibrated machine and everything needed to judge it.

    Parameters
    ----------
    machine : Machine
        The profile.
    points : Points
        What it was fitted to, and what was left out.
    fit : FitResult
        Outcome of the fit.
    """

    machine: Machine
    points: Points
    fit: FitResult

    def residuals(self) -> pd.DataFrame:
        """Return the residual table of the fit."""
        return residual_table(self.points.points, self.fit.predicted)


def calibrate(
    observations: ObservationTable | str | Path | Iterable[str | Path],
    *,
    name: str = "machine",
    description: str = "",
    kernel: Kernel | str | None = None,
    created: str | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Calibration:
    """Calibrate a machine from benchmark output and traces.

    Parameters
    ----------
    observations : ObservationTable or path or paths
        What to fit; paths are read.
    name, description : str
        Of the profile.
    kernel : Kernel or str, optional
        Rules for files that do not name their kernel.
    created : str, optional
        ISO date of the profile. Default: now.
    progress : callable
        Told in a few words what is being done.

    Returns
    -------
    Calibration

    Raises
    ------
    InputError
        If a file cannot be read.
    CalibrationError
        If the observations cannot answer.
    """
    if not isinstance(observations, ObservationTable):
        from perfmodel.readers import read

        observations = read(observations)
    if isinstance(kernel, str):
        kernel = Kernel(kernel)
    points = collect(observations, kernel=kernel)
    result = _with_sleep_spread(fit(PointModel(points.points), progress=progress), points)
    machine = Machine(
        name=name,
        description=description,
        constants=_constants(result),
        covariance_names=tuple(n for n in result.free if n in CONSTANTS),
        covariance=_kept(result),
        created=created or dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        fit=_figures(result, points),
        inputs=_inputs(observations),
        state=_state(observations),
    )
    return Calibration(machine, points, result)


def _with_sleep_spread(result: FitResult, points: Points) -> FitResult:
    """Widen the wake-up latency by what it varies with the length of the sleep.

    An idle CPU sinks deeper the longer it idles, and one constant stands for all sleeps: the
    spread over the lengths measured is part of what is known of it.
    """
    delays = [
        p.ns for p in points.points
        if p.phase == "wake_delay" and p.conditions.get("sleepers") == 1
    ]  # fmt: skip
    if len(delays) < 2 or "wake_latency" not in result.free:
        return result
    place = result.free.index("wake_latency")
    covariance = result.covariance.copy()
    covariance[place, place] += float(np.var(np.log(delays), ddof=1))
    return replace(result, covariance=covariance)


def _constants(result: FitResult) -> dict[str, Constant]:
    deviation = dict(
        zip(result.free, (math.sqrt(v) for v in result.covariance.diagonal()), strict=True)
    )
    constants: dict[str, Constant] = {}
    for name, declared in CONSTANTS.items():
        if name in deviation:
            constants[name] = Constant(
                value=_digits(result.values[name]), log_sd=_digits(deviation[name]),
                unit=declared.unit, source="fit", reason=result.weak.get(name, ""),
            )  # fmt: skip
        elif name in result.zero:
            constants[name] = Constant(
                value=0.0, unit=declared.unit, source="fit",
                reason="cannot be told from zero with these data; at most"
                f" {result.zero[name]:.3g} {declared.unit}",
            )  # fmt: skip
        elif name in result.values:
            constants[name] = Constant(value=result.values[name], unit=declared.unit, source="fit")
        elif name in PRIORS:
            constants[name] = PRIORS[name]
        else:
            constants[name] = Constant(
                value=None, unit=declared.unit, source="none",
                reason="no observation depends on it",
            )  # fmt: skip
    hold = derived_fault_hold(constants.get("fault_minor"), constants.get("syscall"))
    if hold is not None and constants["fault_hold"].value is None:
        constants["fault_hold"] = hold
    return constants


def _digits(value: float) -> float:
    """Six digits: more than any of them deserves, few enough to read."""
    return float(f"{value:.6g}")


def _kept(result: FitResult) -> Any:
    kept = [i for i, n in enumerate(result.free) if n in CONSTANTS]
    return result.covariance[kept][:, kept].round(12)


def _figures(result: FitResult, points: Points) -> dict[str, Any]:
    table = residual_table(points.points, result.predicted)
    return {
        "points": len(points),
        "events": int(sum(p.events for p in points.points)),
        "free_constants": len(result.free),
        "robust_chi2": _digits(result.chi2),
        "degrees_of_freedom": result.ndf,
        "residual_log_sd": _digits(result.model_log_sd),
        "median_absolute_error": _digits(float(table["error"].abs().median())),
        "p90_absolute_error": _digits(float(table["error"].abs().quantile(0.9))),
        "errors_by_operation": [
            {k: (_digits(v) if isinstance(v, float) else v) for k, v in row.items()}
            for row in summary(table).to_dict("records")
        ],
        "tracer_ns": {
            n: _digits(result.values[n]) for n in NUISANCE.values() if n in result.values
        },
        "correlated": result.correlation,
        "weakly_identified": result.weak,
        "not_in_the_data": list(result.untouched),
        "left_out": dict(points.left_out),
    }


def _inputs(table: ObservationTable) -> list[InputFile]:
    seen = {g.source.file: g.source for g in table.groups}
    return [
        InputFile(file=Path(s.file).name, sha256=s.sha256, format=s.format) for s in seen.values()
    ]


def _state(table: ObservationTable) -> dict[str, Any]:
    """State of the machine, from the first file that carries one."""
    for document in table.machines.values():
        return {k: document[k] for k in ("machine", "noise") if k in document}
    return {}
