"""The joint robust fit: all points, all constants, one likelihood."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.errors import CalibrationError
from perfmodel.fit.model import NUISANCE, PointModel
from perfmodel.machine import CONSTANTS
from perfmodel.quantities import Quantity

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FitResult", "fit"]

#: A constant whose best value is below this, ns, or this many pages, is zero for all that the data say.
FLOOR = 0.02

#: Standard deviation of a constant's logarithm above which it is called weakly identified.
WEAK = 0.5

#: Sizes at which a cost turns colder, and that cost.
_SIZES = {"warm_pages": "pte_cold", "warm_zap_pages": "zap_cold"}

_TRACER = {
    name: Quantity(name, name, "ns", (0.0, 1e6), (10, 1000), "what the tracer adds", "null loop")
    for name in NUISANCE.values()
}


def _declared(name: str) -> Quantity:
    return CONSTANTS[name] if name in CONSTANTS else _TRACER[name]


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
        Of the logarithms of `free`, scaled so that the residuals are what was expected.
    zero : dict of str to float
        Constants that are indistinguishable from zero, with the largest value, ns, that the data
        allow (95 %).
    untouched : tuple of str
        Constants that no point depends on.
    weak : dict of str to str
        Weakly identified constants, and what they are confounded with.
    predicted : ndarray of shape (points,), ns
    residual : ndarray of shape (points,)
        Logarithm of measured over predicted.
    model_log_sd : float
        Scatter of the residuals that sampling does not explain: what the model leaves out.
    chi2, ndf : float, int
        Robust sum of squares and degrees of freedom.
    correlation : dict
        Pairs correlated beyond 0.9, by "a, b".
    """

    values: dict[str, float]
    free: tuple[str, ...]
    covariance: NDArray[np.float64]
    zero: dict[str, float]
    untouched: tuple[str, ...]
    weak: dict[str, str]
    predicted: NDArray[np.float64]
    residual: NDArray[np.float64]
    model_log_sd: float
    chi2: float
    ndf: int
    correlation: dict[str, float]


def _start(name: str) -> float:
    low, high = _declared(name).typical
    return math.sqrt(low * high)


def _limits(name: str) -> tuple[float, float]:
    low, high = _declared(name).typical
    return math.log(min(FLOOR / 2, low)), math.log(high * 100)


def _log_model(
    model: PointModel, free: Sequence[str], fixed: Mapping[str, float]
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    # A constant that no point depends on may have any value.
    idle = dict.fromkeys(CONSTANTS, 0.0)

    def predict(theta: NDArray[np.float64]) -> NDArray[np.float64]:
        constants = {**idle, **fixed, **dict(zip(free, np.exp(theta), strict=True))}
        return np.log(np.maximum(model.predict(constants), 1e-3))

    return predict


def _minimise(
    model: PointModel,
    free: Sequence[str],
    fixed: Mapping[str, float],
    measured: NDArray[np.float64],
    sd: NDArray[np.float64],
    start: NDArray[np.float64],
) -> Any:
    """Trust-region least squares with a soft loss: robust from a start that is far off."""
    from scipy.optimize import least_squares

    predict = _log_model(model, free, fixed)
    bounds = tuple(np.array([_limits(n) for n in free]).T)
    return least_squares(
        lambda theta: (predict(theta) - measured) / sd,
        np.clip(start, bounds[0] + 1e-6, bounds[1] - 1e-6),
        bounds=bounds,
        loss="soft_l1",
        x_scale="jac",
        max_nfev=200,
    )


def _covariance(
    free: Sequence[str], jacobian: NDArray[np.float64], scale: float
) -> NDArray[np.float64]:
    """Invert the curvature of the robust cost, in the logarithms of the constants.

    Where the data leave a direction open (two costs that only ever appear as a sum) the curvature
    is singular; what is known then is the typical range of each constant, entered as a normal law
    of the same width. It adds nothing to a constant that the data know, and makes one that they do
    not know come out as wide as it is.
    """
    ranges = np.array([math.log(b / a) / 2 for a, b in (_declared(n).typical for n in free)])
    curvature = jacobian.T @ jacobian / scale + np.diag(1.0 / ranges**2)
    return np.asarray(np.linalg.inv(curvature))


def fit(model: PointModel, *, progress: Callable[[str], None] = lambda _: None) -> FitResult:
    """Fit every constant that the points depend on.

    The residuals are logarithms, the loss is soft (quadratic to one standard deviation, linear
    beyond), and the error of a point is its sampling error and the scatter of the model itself,
    which is estimated from the residuals and fed back. A constant that ends at the lower bound is
    set to zero and the rest fitted again.

    Parameters
    ----------
    model : PointModel
        The points.
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
    counts = model.sensitive()
    untouched = tuple(n for n, count in counts.items() if count == 0 and n in CONSTANTS)
    free = [n for n, count in counts.items() if count > 0]
    measured = np.log([p.ns for p in model.points])
    sampling = np.array([p.log_sd for p in model.points])
    if len(measured) <= len(free):
        raise CalibrationError(
            f"{len(measured)} points cannot determine {len(free)} constants: give more files, or"
            " files with more sizes."
        )
    fixed: dict[str, float] = {}
    zero: dict[str, float] = {}
    theta = np.log([_start(n) for n in free])
    model_sd = 0.10
    for round_ in range(6):
        sd = np.hypot(sampling, model_sd)
        progress(f"fit of {len(free)} constants to {len(measured)} points, round {round_ + 1}")
        found = _minimise(model, free, fixed, measured, sd, theta)
        theta = found.x
        vanished = [
            n for n, t in zip(free, theta, strict=True)
            if n not in _SIZES and math.exp(t) < FLOOR
        ]  # fmt: skip
        for name in vanished:
            fixed[name] = 0.0
            zero[name] = math.nan
        for size, cold in _SIZES.items():
            # Without a colder regime there is no size at which it begins.
            if cold in fixed and size in free:
                vanished.append(size)
                fixed[size] = CONSTANTS[size].domain[1]
        keep = [n not in vanished for n in free]
        theta, free = theta[keep], [n for n in free if n not in vanished]
        residual = measured - _log_model(model, free, fixed)(theta)
        scatter = 1.4826 * float(np.median(np.abs(residual - np.median(residual))))
        new = math.sqrt(max(scatter**2 - float(np.median(sampling)) ** 2, 0.005**2))
        if not vanished and abs(new - model_sd) < 0.03 * model_sd:
            break
        model_sd = new
    sd = np.hypot(sampling, model_sd)
    progress("covariance")
    found = _minimise(model, free, fixed, measured, sd, theta)
    theta = found.x
    ndf = len(measured) - len(free)
    # scipy's cost is half the sum; its Jacobian is scaled so that J'J is the robust curvature.
    chi2 = 2.0 * float(found.cost)
    scale = max(1.0, chi2 / ndf)
    covariance = _covariance(free, np.asarray(found.jac), scale)
    for name in zero:
        zero[name] = _upper_limit(model, name, free, fixed, measured, sd, theta, scale)
    predicted = np.exp(_log_model(model, free, fixed)(theta))
    values = {**fixed, **dict(zip(free, np.exp(theta).tolist(), strict=True))}
    correlation = _correlations(free, covariance)
    return FitResult(
        values=values,
        free=tuple(free),
        covariance=covariance,
        zero=zero,
        untouched=untouched,
        weak=_weak(free, covariance, correlation),
        predicted=predicted,
        residual=measured - np.log(predicted),
        model_log_sd=model_sd,
        chi2=chi2,
        ndf=ndf,
        correlation=correlation,
    )


def _soft(residual: NDArray[np.float64]) -> float:
    """Soft-L1 sum of squares, as scipy defines it."""
    return float(np.sum(2.0 * (np.sqrt(1.0 + residual**2) - 1.0)))


def _upper_limit(
    model: PointModel, name: str, free: Sequence[str], fixed: Mapping[str, float],
    measured: NDArray[np.float64], sd: NDArray[np.float64], theta: NDArray[np.float64], scale: float,
) -> float:  # fmt: skip
    """Return the value at which the cost has risen by what 95 % one-sided allow, the rest held.

    Refitting the rest could only allow more: the limit is on the small side.
    """
    allowed = 2.71 * scale
    base = _soft((measured - _log_model(model, free, fixed)(theta)) / sd)
    low, high = FLOOR, _declared(name).typical[1] * 100
    for _ in range(40):
        middle = math.sqrt(low * high)
        cost = _soft((measured - _log_model(model, free, {**fixed, name: middle})(theta)) / sd)
        low, high = (middle, high) if cost - base < allowed else (low, middle)
    return high


def _correlations(free: Sequence[str], covariance: NDArray[np.float64]) -> dict[str, float]:
    deviation = np.sqrt(np.diag(covariance))
    matrix = covariance / np.outer(deviation, deviation)
    return {
        f"{free[i]}, {free[j]}": round(float(matrix[i, j]), 3)
        for i in range(len(free))
        for j in range(i + 1, len(free))
        if abs(matrix[i, j]) > 0.9
    }


def _weak(
    free: Sequence[str], covariance: NDArray[np.float64], correlation: Mapping[str, float]
) -> dict[str, str]:
    weak = {}
    for name, deviation in zip(free, np.sqrt(np.diag(covariance)), strict=True):
        if deviation > WEAK:
            partners = [
                pair.replace(name, "").strip(", ") for pair in correlation
                if name in pair.split(", ")
            ]  # fmt: skip
            beside = f"; moves together with {', '.join(partners)}" if partners else ""
            weak[name] = f"known only within a factor of {math.exp(1.645 * deviation):.1f}{beside}"
    return weak
