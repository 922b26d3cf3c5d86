"""What the fit minimises: the robust loss of all points, its derivatives, and the ways down.

Every point gives one residual, in standard deviations: of the logarithm where its law is normal, the
signed root of the deviance where its likelihood is a curve. The loss is soft, quadratic to one standard
deviation and linear beyond: that is the likelihood of a law with tails, and what a shared machine does
to a few points does not pull the rest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.fit.model import Design
from perfmodel.fit.scatter import Curves
from perfmodel.machine import CONSTANTS
from perfmodel.quantities import Quantity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from perfmodel.fit.points import Point

__all__ = ["FLOOR", "Objective", "declared", "descend", "limits", "minimise", "prior_of", "start"]

#: A constant whose best value is below this, ns, or this many pages, is zero for all that the data say.
FLOOR = 0.02

#: Smallest prediction, ns: logarithms need one.
_LEAST = 1e-3


def declared(name: str) -> Quantity:
    """Return the declaration of a constant, or of what a tracer adds."""
    if name in CONSTANTS:
        return CONSTANTS[name]
    return Quantity(name, name, "ns", (0.0, 1e6), (10, 1000), "what the tracer adds", "null loop")


def start(name: str) -> float:
    """Return the middle of the typical range, where the search begins."""
    low, high = declared(name).typical
    return math.sqrt(low * high)


def limits(name: str) -> tuple[float, float]:
    """Return the logarithms between which a constant is sought."""
    quantity = declared(name)
    low, high = quantity.typical
    # A cost may vanish; a size cannot be less than its domain allows.
    lowest = max(min(FLOOR / 2, low), quantity.domain[0])
    return math.log(lowest), math.log(min(high * 100, quantity.domain[1]))


def prior_of(name: str) -> tuple[float, float]:
    """Return centre and standard deviation of what is known of a constant's logarithm without data.

    The typical range of its declaration, as a normal law that reaches from end to end within two
    standard deviations.
    """
    low, high = declared(name).typical
    return 0.5 * math.log(low * high), math.log(high / low) / 2


@dataclass(frozen=True, eq=False)
class Objective:
    """The loss over the logarithms of the free constants.

    Parameters
    ----------
    design : Design
        The model.
    points : sequence of Point
    free : tuple of str
        Constants that are fitted.
    fixed : mapping of str to float
        Those that are not, zero where absent.
    model_sd : float
        Scatter of the logarithm that the model does not explain.
    rows : ndarray of int, optional
        Points that count. Default: all.
    extra : ndarray of shape (points, e), optional
        Further terms, linear, of either sign, ns a unit: `theta` ends with their coefficients.
    """

    design: Design
    points: Sequence[Point]
    free: tuple[str, ...]
    fixed: Mapping[str, float]
    model_sd: float
    rows: NDArray[np.intp] | None = None
    extra: NDArray[np.float64] | None = None

    @cached_property
    def _places(self) -> tuple[list[tuple[int, int]], list[tuple[int, str]]]:
        """Where each free constant stands: (theta, column) of costs, (theta, name) of sizes."""
        costs = [(i, self.design.costs.index(n)) for i, n in enumerate(self.free)
                 if n in self.design.costs]  # fmt: skip
        return costs, [(i, n) for i, n in enumerate(self.free) if n in self.design.sizes]

    @cached_property
    def _resting(self) -> NDArray[np.float64]:
        return np.array([float(self.fixed.get(n, 0.0)) for n in self.design.costs])

    @cached_property
    def _normal(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Logarithm of the measured median, and standard deviation of the residual."""
        y = np.log([p.ns for p in self.points])
        return y, np.hypot([p.log_sd for p in self.points], self.model_sd)

    @cached_property
    def _curves(self) -> tuple[NDArray[np.intp], Curves | None]:
        """Points whose likelihood is a curve, and the curves."""
        found = {i: p.curve.scattered(self.model_sd) for i, p in enumerate(self.points) if p.curve}
        return np.array(list(found), dtype=np.intp), Curves(list(found.values())) if found else None

    def _constants(self, theta: NDArray[np.float64]) -> tuple[NDArray[np.float64], dict[str, Any]]:
        """Return costs of shape (..., costs) and sizes of shape (...)."""
        costs, sizes = self._places
        value = np.exp(theta)
        known = np.broadcast_to(self._resting, (*theta.shape[:-1], len(self._resting))).copy()
        for i, column in costs:
            known[..., column] = value[..., i]
        given: dict[str, Any] = {n: np.full(theta.shape[:-1], self.fixed.get(n, 1.0))
                                 for n in self.design.sizes}  # fmt: skip
        given |= {n: value[..., i] for i, n in sizes}
        return known, given

    def predict(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return all points, ns; `theta` of shape (..., free) gives shape (..., points)."""
        many = np.atleast_2d(theta)
        costs, sizes = self._constants(many)
        out = self.design.batch(costs, sizes)
        if self.extra is not None:
            out = out + many[:, len(self.free) :] @ self.extra.T
        return np.maximum(out, _LEAST).reshape(*theta.shape[:-1], -1)

    def residuals(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the residuals of the points that count, in standard deviations."""
        return self._residuals(np.log(self.predict(theta)))[0]

    def _residuals(
        self, log_mu: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        y, sd = self._normal
        residual = (log_mu - y) / sd
        slope = np.broadcast_to(1.0 / sd, residual.shape).copy()
        places, curves = self._curves
        if curves is not None:
            residual[..., places], slope[..., places] = curves.residuals(log_mu[..., places])
        if self.rows is not None:
            return residual[..., self.rows], slope[..., self.rows]
        return residual, slope

    def jacobian(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the derivatives of the residuals, shape (points that count, theta)."""
        return self._both(theta)[1]

    def _both(self, theta: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        known, given = self._constants(theta)
        sizes = {n: float(v) for n, v in given.items()}
        matrix = self.design.matrix(sizes)
        mu = matrix @ known
        costs, of_sizes = self._places
        slope = np.zeros((len(mu), len(theta)))
        slope[:, [i for i, _ in costs]] = (
            matrix[:, [c for _, c in costs]] * known[[c for _, c in costs]]
        )
        for i, name in of_sizes:
            slope[:, i] = sizes[name] * self.design.size_slope(known, sizes, name)
        if self.extra is not None:
            mu = mu + self.extra @ theta[len(self.free) :]
            slope[:, len(self.free) :] = self.extra
        # A prediction held at the least one does not move.
        slope = np.where((mu > _LEAST)[:, None], slope / np.maximum(mu, _LEAST)[:, None], 0.0)
        residual, steep = self._residuals(np.log(np.maximum(mu, _LEAST)))
        if self.rows is not None:
            slope = slope[self.rows]
        return residual, steep[:, None] * slope

    def cost(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the soft loss: twice the negative logarithm of the robust likelihood."""
        return np.asarray(self.point_cost(theta).sum(axis=-1))

    def point_cost(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the soft loss of each point that counts."""
        return 2.0 * (np.sqrt(1.0 + self.residuals(theta) ** 2) - 1.0)

    def system(
        self, theta: NDArray[np.float64]
    ) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
        """Return half the loss, its gradient, and the curvature that the soft loss has at its place.

        The curvature is the one by which scipy scales its Jacobian under the same loss.
        """
        r, jacobian = self._both(theta)
        root = np.sqrt(1.0 + r**2)
        gradient = jacobian.T @ (r / root)
        # Not by BLAS: its threads wait for each other on a busy machine, hundreds of times as long.
        curvature = np.einsum("pi,pj->ij", jacobian * (root**-3)[:, None], jacobian)
        return float((root - 1.0).sum()), gradient, curvature

    def information(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the curvature from which the covariance is made, shape (theta, theta).

        As that of `system`; but a likelihood that is flat and falls off at the edge of a bin has a steep
        slope there that holds for no distance. No curve tells more than its width.
        """
        r, jacobian = self._both(theta)
        places, curves = self._curves
        if curves is not None and self.rows is None:
            slope = np.ones(len(r))
            _, steep = self._residuals(np.log(self.predict(theta)))
            most = np.array(
                [1.0 / self.points[i].curve.scattered(self.model_sd).log_sd for i in places]
            )
            slope[places] = np.minimum(1.0, most / np.maximum(np.abs(steep[places]), 1e-12))
            jacobian = jacobian * slope[:, None]
        weight = (1.0 + r**2) ** -1.5
        return np.asarray(np.einsum("pi,pj->ij", jacobian * weight[:, None], jacobian))


def minimise(objective: Objective, theta: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the lowest minimum found from several starts around one that may be far off.

    A size at which a cost turns colder has a minimum of its own between any two sizes measured: every
    combination of a few sizes is a start. The other constants are nearly linear and need but two.
    """
    sizes = [i for i, n in enumerate(objective.free) if n in objective.design.sizes]
    starts = []
    for factors in product((1 / 16, 1 / 4, 1.0, 4.0), repeat=len(sizes)):
        near = theta.copy()
        near[sizes] += np.log(factors)
        starts.append(near)
    starts.append(theta + np.random.default_rng(0).normal(0.0, 1.0, len(theta)))
    found = [descend(objective, near, steps=30, close=0.1) for near in starts]
    best = sorted(found, key=lambda pair: pair[1])[:3]
    return min((descend(objective, at, steps=100, close=1e-2) for at, _ in best),
               key=lambda pair: pair[1])[0]  # fmt: skip


def descend(
    objective: Objective, theta: NDArray[np.float64], *, held: int | None = None, steps: int = 40,
    close: float = 1e-4,
) -> tuple[NDArray[np.float64], float]:  # fmt: skip
    """Go down from a start that is near, one constant held if wanted.

    Levenberg and Marquardt's steps; much cheaper than `minimise`, which profiles need thousands of.

    Parameters
    ----------
    objective : Objective
    theta : ndarray
        The start.
    held : int, optional
        Place of the constant that stays.
    steps : int
        At most so many.
    close : float
        Loss below which a further step is not worth it.

    Returns
    -------
    theta, cost : ndarray, float
        Where it ended, and the loss there.
    """
    moving = np.ones(len(theta), dtype=bool)
    if held is not None:
        moving[held] = False
    low = np.full(len(theta), -np.inf)
    high = np.full(len(theta), np.inf)
    low[: len(objective.free)], high[: len(objective.free)] = np.array(
        [limits(n) for n in objective.free]
    ).T
    at = theta.copy()
    at[moving] = np.clip(at, low, high)[moving]
    damping = 1e-3
    half, gradient, curvature = objective.system(at)
    for _ in range(steps):
        # Who stands on a bound and wants beyond it stays.
        stuck = ((at <= low) & (gradient > 0)) | ((at >= high) & (gradient < 0))
        go = moving & ~stuck
        if not go.any():
            break
        g, h = gradient[go], curvature[np.ix_(go, go)]
        scale = np.diag(h) + 1e-9
        step = np.linalg.solve(h + damping * np.diag(scale), -g)
        trial = at.copy()
        # Half a unit of the logarithm at most: the model is far from linear beyond. Each by itself, so that
        # a cost on its way to zero does not hold up the rest.
        trial[go] += np.where(
            np.flatnonzero(go) < len(objective.free), np.clip(step, -0.7, 0.7), step
        )
        trial = np.where(moving, np.clip(trial, low, high), at)
        tried, new_gradient, new_curvature = objective.system(trial)
        if tried < half:
            gain = half - tried
            at, half, gradient, curvature = trial, tried, new_gradient, new_curvature
            damping = max(damping / 10, 1e-7)
            if gain < close / 2:
                break
        else:
            damping *= 10
            if damping > 1e6:
                break
    return at, 2.0 * half
