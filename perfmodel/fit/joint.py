"""The joint robust fit: all points, all constants, one likelihood."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from perfmodel.errors import CalibrationError
from perfmodel.fit.model import PointModel
from perfmodel.fit.objective import (
    FLOOR,
    Objective,
    descend,
    limits,
    minimise,
    prior_of,
    start,
)
from perfmodel.fit.profiles import Interval, intervals, upper_limit
from perfmodel.machine import CONSTANTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from perfmodel.fit.points import Point

__all__ = ["FitResult", "fit"]

#: Sizes at which a cost turns colder, and that cost.
SIZES: Mapping[str, str] = {"warm_pages": "pte_cold", "warm_zap_pages": "zap_cold"}

#: Scatter of the model's own that is assumed to begin with, and the least that is believed.
_FIRST_SCATTER, _LEAST_SCATTER = 0.10, 0.005

#: Scatter that is assumed at least where the points cannot tell: that of the recorded runs.
_USUAL_SCATTER = 0.05

#: Points of single events from which the model's scatter is estimated from them alone.
_ENOUGH = 30

#: By how much all means may exceed their medians together, in the logarithm.
_COMMON_TAIL = 0.10

#: One-sided 95 % in standard deviations.
_Z95 = 1.645


@dataclass(frozen=True)
class FitResult:
    """Outcome of the fit.

    Parameters
    ----------
    values : dict of str to float
        Every constant that a point depends on, ns (`warm_pages`: pages), tracer terms included.
    free : tuple of str
        Constants that were fitted and are not zero, in the order of `covariance`.
    covariance : ndarray
        Of the logarithms of `free`, scaled so that the residuals are what was expected; NaN for the
        constants of `missing`.
    zero : dict of str to float
        Constants that are indistinguishable from zero, with the largest value, ns, that the data
        allow (95 %), all others refitted.
    untouched : tuple of str
        Constants that no point depends on.
    intervals : dict of str to Interval
        Profile-likelihood interval of every free constant, and what it says of identifiability.
    weak : dict of str to str
        Constants that the data do not bound on both sides, in words.
    missing : dict of str to str
        Constants without a variance, and why.
    predicted : ndarray of shape (points,), ns
    residual : ndarray of shape (points,)
        Logarithm of measured over predicted.
    model_log_sd : float
        Scatter of the residuals that sampling does not explain: what the model leaves out.
    chi2, ndf : float, int
        Robust sum of squares and degrees of freedom.
    correlation : dict
        Pairs correlated beyond 0.9, by "a, b".
    objective : Objective
        The loss at whose minimum this is.
    theta : ndarray of shape (free,)
        Logarithms of the constants at the minimum.
    """

    values: dict[str, float]
    free: tuple[str, ...]
    covariance: NDArray[np.float64]
    zero: dict[str, float]
    untouched: tuple[str, ...]
    intervals: dict[str, Interval]
    weak: dict[str, str]
    missing: dict[str, str]
    predicted: NDArray[np.float64]
    residual: NDArray[np.float64]
    model_log_sd: float
    chi2: float
    ndf: int
    correlation: dict[str, float]
    objective: Objective = field(repr=False)
    theta: NDArray[np.float64] = field(repr=False)

    @property
    def scale(self) -> float:
        """By how much the loss exceeds its degrees of freedom, at least 1: divides every deviance."""
        return max(1.0, self.chi2 / max(self.ndf, 1))


def covariance_of(objective: Objective, theta: NDArray[np.float64], scale: float) -> tuple[
    NDArray[np.float64], dict[str, str]
]:  # fmt: skip
    """Invert the curvature of the robust loss, in the logarithms of the constants.

    Where the data leave a direction open (two costs that only ever appear as a sum) the curvature
    is singular; what is known then is the typical range of each constant, entered as a normal law
    of the same width. It adds nothing to a constant that the data know, and makes one that they do
    not know come out as wide as it is. A constant on the bound of its search has no curvature that
    means anything: its variance is NaN.

    Returns
    -------
    covariance : ndarray
    missing : dict of str to str
        Why a variance is NaN.
    """
    free = objective.free
    missing = {}
    for name, value in zip(free, theta, strict=True):
        low, high = limits(name)
        if value < low + 1e-3 or value > high - 1e-3:
            missing[name] = (
                f"the fit ended on the {'lower' if value < low + 1e-3 else 'upper'} bound"
            )
    keep = [i for i, n in enumerate(free) if n not in missing]
    curvature = objective.information(theta)
    ranges = np.array([prior_of(n)[1] for n in free])
    whole = curvature / scale + np.diag(1.0 / ranges**2)
    out = np.full((len(free), len(free)), np.nan)
    try:
        out[np.ix_(keep, keep)] = np.linalg.inv(whole[np.ix_(keep, keep)])
    except np.linalg.LinAlgError:
        missing |= dict.fromkeys(free, "the curvature of the likelihood cannot be inverted")
    return out, missing


def _scatter(
    residual: NDArray[np.float64], sampling: NDArray[np.float64], exact: NDArray[np.bool_]
) -> float:
    """Return the scatter of the model itself: that of the residuals less what sampling explains.

    It is taken from the points of single events where they are many and most of all; intervals and
    aggregates know their medians too badly to tell, so that it is at least what the recorded runs show.
    """
    telling = exact.sum() >= max(_ENOUGH, len(exact) / 2)
    if telling:
        residual, sampling = residual[exact], sampling[exact]
    away = np.abs(residual - np.median(residual))
    spread = 1.4826 * float(np.median(away))
    if telling:
        return math.sqrt(max(spread**2 - float(np.median(sampling)) ** 2, _LEAST_SCATTER**2))
    # Errors of very different sizes have no one size to take off: the scatter is what makes half of
    # the residuals smaller than the middle of a normal law.
    low, high = _USUAL_SCATTER, max(spread, _USUAL_SCATTER)
    for _ in range(30):
        middle = math.sqrt(low * high)
        if 1.4826 * float(np.median(away / np.hypot(sampling, middle))) > 1.0:
            low = middle
        else:
            high = middle
    return high


def _with_common_tail(
    objective: Objective, theta: NDArray[np.float64], covariance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Add what all means being too high together would do to the constants.

    The tail that pulls a mean above its median is the machine's, so that its error does not average out
    over the points that are known by their means.
    """
    means = np.array([p.form == "moments" for p in objective.points])
    if not means.any():
        return covariance
    root = np.sqrt(1.0 + objective.residuals(theta)[means] ** 2)
    weighted = objective.jacobian(theta)[means] * (root**-3)[:, None]
    sd = np.hypot([p.log_sd for p in objective.points], objective.model_sd)[means]
    shift = np.nan_to_num(covariance) @ (weighted.T @ (_COMMON_TAIL / sd))
    return np.asarray(covariance + np.outer(shift, shift))


def _one_sided(
    covariance: NDArray[np.float64], free: Sequence[str], found: Mapping[str, Interval]
) -> NDArray[np.float64]:
    """Narrow the variance of what the data bound on one side to that side.

    The typical range alone would let draws go far beyond what the likelihood allows. Correlations stay.
    """
    shrink = np.ones(len(free))
    for i, name in enumerate(free):
        interval, deviation = found.get(name), math.sqrt(covariance[i, i])
        if interval is None or not deviation > 0:
            continue
        end = {"at most": interval.high, "at least": interval.low}.get(interval.verdict)
        if end is not None:
            side = abs(math.log(end / interval.best)) / _Z95
            shrink[i] = min(1.0, max(side, 0.05) / deviation)
    return np.asarray(covariance * np.outer(shrink, shrink))


def fit(
    model: PointModel,
    *,
    profiles: bool = True,
    progress: Callable[[str], None] = lambda _: None,
) -> FitResult:
    """Fit every constant that the points depend on.

    The residuals are logarithms, or signed roots of the deviance where a median is known only through
    intervals; the loss is soft (quadratic to one standard deviation, linear beyond), and the error of
    a point is its sampling error and the scatter of the model itself, which is estimated from the
    residuals and fed back. A constant that ends at the lower bound is set to zero and the rest fitted
    again.

    Parameters
    ----------
    model : PointModel
        The points.
    profiles : bool
        Whether to find the profile-likelihood intervals, which take most of the time.
    progress : callable
        Told in a few words what is being done.

    Returns
    -------
    FitResult

    Raises
    ------
    CalibrationError
        If there are fewer points than constants.
    """
    points = model.points
    counts = model.sensitive()
    untouched = tuple(n for n, count in counts.items() if count == 0 and n in CONSTANTS)
    free = tuple(n for n, count in counts.items() if count > 0)
    if len(points) <= len(free):
        raise CalibrationError(_too_few(points, free))
    measured = np.log([p.ns for p in points])
    sampling = np.array([p.log_sd for p in points])
    exact = np.array([p.form == "events" for p in points])
    design = model.design()
    fixed: dict[str, float] = {}
    zero: list[str] = []
    theta = np.log([start(n) for n in free])
    model_sd = _FIRST_SCATTER
    for round_ in range(6):
        objective = Objective(design, points, free, dict(fixed), model_sd)
        progress(f"fit of {len(free)} constants to {len(points)} points, round {round_ + 1}")
        theta = descend(
            objective, minimise(objective, theta) if round_ == 0 else theta, close=1e-5
        )[0]
        gone = _vanished(free, theta, fixed, zero)
        keep = [n not in gone for n in free]
        theta, free = theta[keep], tuple(n for n in free if n not in gone)
        objective = Objective(design, points, free, dict(fixed), model_sd)
        residual = measured - np.log(objective.predict(theta))
        new = _scatter(residual, sampling, exact)
        if not gone and abs(new - model_sd) < 0.03 * model_sd:
            break
        model_sd = new
    objective = Objective(design, points, free, dict(fixed), model_sd)
    theta, chi2 = descend(objective, theta, steps=200, close=1e-8)
    ndf = len(points) - len(free)
    scale = max(1.0, chi2 / ndf)
    progress("covariance")
    covariance, missing = covariance_of(objective, theta, scale)
    covariance = _with_common_tail(objective, theta, covariance)
    correlation = _correlations(free, covariance)
    found: dict[str, Interval] = {}
    if profiles:
        progress("profile likelihoods")
        found = intervals(objective, theta, covariance, scale)
        theta = _flat_at_middle(objective, theta, found)
        covariance = _one_sided(covariance, free, found)
    predicted = objective.predict(theta)
    return FitResult(
        values={**fixed, **dict(zip(free, np.exp(theta).tolist(), strict=True))},
        free=free,
        covariance=covariance,
        zero={n: upper_limit(objective, theta, n, scale) for n in zero},
        untouched=untouched,
        intervals=found,
        weak=_weak(found, correlation),
        missing=missing,
        predicted=predicted,
        residual=measured - np.log(predicted),
        model_log_sd=model_sd,
        chi2=chi2,
        ndf=ndf,
        correlation=correlation,
        objective=objective,
        theta=theta,
    )


def _flat_at_middle(
    objective: Objective, theta: NDArray[np.float64], found: Mapping[str, Interval]
) -> NDArray[np.float64]:
    """Put what the data say nothing of in the middle of its typical range, the others refitted."""
    flat = {n: prior_of(n)[0] for n, i in found.items() if i.verdict == "not identifiable"}
    if not flat:
        return theta
    keep = [i for i, n in enumerate(objective.free) if n not in flat]
    rest = replace(
        objective,
        free=tuple(objective.free[i] for i in keep),
        fixed={**objective.fixed, **{n: math.exp(v) for n, v in flat.items()}},
    )
    moved, _ = descend(rest, theta[keep], steps=100)
    out = np.array([flat.get(n, 0.0) for n in objective.free])
    out[keep] = moved
    return out


def _vanished(
    free: Sequence[str], theta: NDArray[np.float64], fixed: dict[str, float], zero: list[str]
) -> list[str]:
    """Set to zero what ended below the floor; return what is no longer free."""
    gone = [
        n for n, t in zip(free, theta, strict=True) if n not in SIZES and math.exp(t) < FLOOR
    ]  # fmt: skip
    fixed |= dict.fromkeys(gone, 0.0)
    zero += gone
    for size, cold in SIZES.items():
        # Without a colder regime there is no size at which it begins.
        if cold in fixed and size in free:
            gone.append(size)
            fixed[size] = CONSTANTS[size].domain[1]
    return gone


def _too_few(points: Sequence[Point], free: Sequence[str]) -> str:
    """Say what is there, what it would have to determine, and what is missing."""
    kinds = sorted({f"{p.operation} ({p.phase})" for p in points})
    shown = ", ".join(kinds[:6]) + (", ..." if len(kinds) > 6 else "")
    return (
        f"{len(points)} points cannot determine {len(free)} constants (it takes more points than"
        f" constants). The points are of {shown}; the"
        f" constants they depend on are {', '.join(free)}. Give more files, or files with more sizes: a"
        " run of perfmodel measure holds all that is needed."
    )


def _correlations(free: Sequence[str], covariance: NDArray[np.float64]) -> dict[str, float]:
    deviation = np.sqrt(np.diag(covariance))
    matrix = covariance / np.outer(deviation, deviation)
    return {
        f"{free[i]}, {free[j]}": round(float(matrix[i, j]), 3)
        for i in range(len(free))
        for j in range(i + 1, len(free))
        if abs(matrix[i, j]) > 0.9
    }


def _weak(found: Mapping[str, Interval], correlation: Mapping[str, float]) -> dict[str, str]:
    weak = {}
    for name, interval in found.items():
        if interval.verdict == "identified":
            continue
        partners = [
            pair.replace(name, "").strip(", ") for pair in correlation if name in pair.split(", ")
        ]  # fmt: skip
        beside = f"; moves together with {', '.join(partners)}" if partners else ""
        weak[name] = interval.words() + beside
    return weak
