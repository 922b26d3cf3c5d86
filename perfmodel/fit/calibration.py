"""A calibration: the profile, what it was fitted to, and everything needed to judge it."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from perfmodel.errors import CalibrationError
from perfmodel.fit.diagnostics import residual_table, summary
from perfmodel.fit.joint import FitResult, fit
from perfmodel.fit.model import PointModel
from perfmodel.fit.nested import Comparison, compare
from perfmodel.fit.points import Points, collect
from perfmodel.fit.posterior import Posterior, sample
from perfmodel.fit.priors import PRIORS, derived_fault_hold
from perfmodel.fit.profiles import LEVEL
from perfmodel.kernel import Kernel
from perfmodel.machine import CONSTANTS, Constant, InputFile, Machine
from perfmodel.observations import ObservationTable

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Calibration", "calibrate", "evidence_of"]


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
    nested : tuple of Comparison
        Parts of the model that were put to the data: needed or not.
    """

    machine: Machine
    points: Points
    fit: FitResult
    nested: tuple[Comparison, ...] = ()

    def residuals(self) -> pd.DataFrame:
        """Return the residual table of the fit."""
        return residual_table(self.points.points, self.fit.predicted)

    def draws(self, n: int, seed: int = 0) -> Posterior:
        """Draw the fitted constants from the likelihood and the prior themselves.

        `Machine.draws` draws from the normal law of the covariance, which is what predictions use and
        all that a profile holds. This is how good that law is.

        Parameters
        ----------
        n : int
            Draws.
        seed : int

        Returns
        -------
        Posterior
            With its effective sample size.
        """
        return sample(self.fit, n, seed=seed)

    # As with a prediction: asked only when it is shown.
    def __rich__(self) -> Any:
        from perfmodel.report.calibration import calibration_blocks
        from perfmodel.report.terminal import to_rich

        return to_rich(calibration_blocks(self))

    def _repr_html_(self) -> str:
        from perfmodel.report.calibration import calibration_blocks
        from perfmodel.report.html import to_fragment

        return to_fragment(calibration_blocks(self))


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
    result = fit(PointModel(points.points), progress=progress)
    progress("comparison of nested models")
    nested = compare(result)
    sleep = _sleep_spread(result, points)
    shown = result if sleep is None else _widened(result, sleep)
    machine = Machine(
        name=name,
        description=description,
        constants=_constants(shown),
        covariance_names=_kept_names(shown),
        covariance=_kept(shown),
        created=created or dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        fit=_figures(result, points, nested, sleep),
        inputs=_inputs(observations),
        state=_state(observations),
        evidence=evidence_of(observations),
    )
    return Calibration(machine, points, result, nested)


def _sleep_spread(result: FitResult, points: Points) -> float | None:
    """Return by how much the wake-up latency varies with the length of the sleep, in the logarithm.

    An idle CPU sinks deeper the longer it idles, and one constant stands for all sleeps: the
    spread over the lengths measured is part of what is known of it.
    """
    delays = [
        p.ns for p in points.points
        if p.phase == "wake_delay" and p.conditions.get("sleepers") == 1
    ]  # fmt: skip
    if len(delays) < 2 or "wake_latency" not in result.free:
        return None
    return float(np.std(np.log(delays), ddof=1))


def _widened(result: FitResult, sleep: float) -> FitResult:
    place = result.free.index("wake_latency")
    covariance = result.covariance.copy()
    covariance[place, place] += sleep**2
    return replace(result, covariance=covariance)


def _constants(result: FitResult) -> dict[str, Constant]:
    deviation = dict(
        zip(result.free, (math.sqrt(v) for v in result.covariance.diagonal()), strict=True)
    )
    constants: dict[str, Constant] = {}
    for name, declared in CONSTANTS.items():
        if name in deviation:
            interval = result.intervals.get(name)
            flat = interval is not None and interval.verdict == "not identifiable"
            spread = deviation[name]
            constants[name] = Constant(
                value=_digits(result.values[name]),
                log_sd=None if math.isnan(spread) else _digits(spread),
                unit=declared.unit,
                source="assumed: the middle of its typical range" if flat else "fit",
                reason=result.missing.get(name) or result.weak.get(name, ""),
            )
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


def _kept_names(result: FitResult) -> tuple[str, ...]:
    """Return the constants of the profile's covariance: fitted, of the machine, with a variance."""
    return tuple(n for n in result.free if n in CONSTANTS and n not in result.missing)


def _kept(result: FitResult) -> Any:
    kept = [result.free.index(n) for n in _kept_names(result)]
    return result.covariance[kept][:, kept].round(12)


def _figures(
    result: FitResult, points: Points, nested: tuple[Comparison, ...], sleep: float | None
) -> dict[str, Any]:
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
        "evidence": _evidence(points),
        "tracer_ns": {
            n: _digits(result.values[n]) for n in sorted(result.values) if n not in CONSTANTS
        },
        "correlated": result.correlation,
        "weakly_identified": result.weak,
        "without_variance": result.missing,
        "intervals": {
            "level": LEVEL,
            "constants": {
                n: {"low": _known(i.low), "high": _known(i.high), "verdict": i.verdict}
                for n, i in result.intervals.items()
            },
        },
        "nested": [c.to_dict() for c in nested],
        "sleep_spread_log_sd": None if sleep is None else _digits(sleep),
        "measured": _measured(points),
        "not_in_the_data": list(result.untouched),
        "left_out": dict(points.left_out),
    }  # fmt: skip


def _known(value: float) -> float | None:
    return _digits(value) if math.isfinite(value) else None


def _evidence(points: Points) -> list[dict[str, Any]]:
    """Return points and events by evidence class and the form in which the times are known."""
    rows: dict[tuple[str, str], list[Any]] = {}
    for p in points.points:
        rows.setdefault((p.evidence, p.form), []).append(p)
    return [
        {"evidence": e, "form": f, "points": len(some), "events": sum(p.events for p in some),
         "median_log_sd": _digits(float(np.median([p.log_sd for p in some])))}
        for (e, f), some in sorted(rows.items())
    ]  # fmt: skip


def _measured(points: Points) -> list[dict[str, Any]]:
    """Return how well each kind of point is known, for the choice of what to measure next."""
    rows: dict[tuple[str, str, int], list[float]] = {}
    for p in points.points:
        rows.setdefault((p.operation, p.phase, round(p.remote_cpus)), []).append(p.log_sd)
    return [
        {"operation": o, "phase": f, "remote_cpus": r, "points": len(errors),
         "log_sd": _digits(float(np.median(errors)))}
        for (o, f, r), errors in rows.items()
    ]  # fmt: skip


def _inputs(table: ObservationTable) -> list[InputFile]:
    seen = {g.source.file: g.source for g in table.groups}
    return [
        InputFile(file=Path(s.file).name, sha256=s.sha256, format=s.format) for s in seen.values()
    ]


def evidence_of(table: ObservationTable) -> Literal["measured", "emulated"]:
    """Return what a fit to these files rests on.

    Raises
    ------
    CalibrationError
        If runs of the kernel laboratory stand beside runs of hardware, or were made with a cut or
        with lock checking: no profile may hold a constant of either.
    """
    guests = {
        file: guest for file, document in table.machines.items()
        if (guest := (document.get("machine") or {}).get("laboratory"))
    }  # fmt: skip
    if not guests:
        return "measured"
    others = [f for f, d in table.machines.items() if f not in guests and "machine" in d]
    if others:
        raise CalibrationError(
            f"{next(iter(guests))} was measured in an emulated guest and {others[0]} was not: their"
            " times are never fitted together. Give either the one or the other."
        )
    for file, guest in guests.items():
        if guest.get("debug"):
            raise CalibrationError(
                f"{file} is of a kernel that checks its locks: its times say nothing."
            )
        if guest.get("cut", "none") != "none":
            raise CalibrationError(
                f"{file} was measured with the cut {guest['cut']}: constants are fitted to the stock"
                " kernel (cut none), and the cuts are predicted."
            )
    return "emulated"


def _state(table: ObservationTable) -> dict[str, Any]:
    """State of the machine, from the file that tells most of it."""
    told = [{k: d[k] for k in ("machine", "noise") if k in d} for d in table.machines.values()]
    return max(told, key=lambda state: len(state.get("machine") or {}), default={})
