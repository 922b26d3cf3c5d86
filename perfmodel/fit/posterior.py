"""Draws from the likelihood and the prior themselves, where the Gaussian may not do."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from perfmodel.errors import InputError
from perfmodel.fit.objective import limits, prior_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from perfmodel.fit.joint import FitResult

__all__ = ["Posterior", "sample"]

#: Chains that walk side by side, steps that tune the length of a step, steps that count at a time, and
#: how often such a stretch is added until the draws are worth half their number.
CHAINS, TUNING, STEPS, STRETCHES = 24, 120, 400, 5

#: Share of the proposals that should be taken.
_WANTED = 0.3


@dataclass(frozen=True, eq=False)
class Posterior:
    """Draws of the fitted constants.

    Parameters
    ----------
    names : tuple of str
        Constants, those of the tracer included.
    log_values : ndarray of shape (draws, constants)
        Natural logarithms, ns or pages.
    effective : float
        Independent draws that these are worth, for the constant for which they are worth least.
    acceptance : float
        Share of the proposed steps that were taken.
    """

    names: tuple[str, ...]
    log_values: NDArray[np.float64]
    effective: float
    acceptance: float

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        return np.exp(self.log_values[:, self.names.index(name)])

    def __len__(self) -> int:
        return len(self.log_values)

    def to_dict(self) -> dict[str, NDArray[np.float64]]:
        """Return the draws by constant, ns or pages, each of shape (draws,)."""
        return {name: self[name] for name in self.names}


def sample(result: FitResult, count: int, *, seed: int = 0) -> Posterior:
    """Draw from the robust likelihood of the fit times the prior of the typical ranges.

    A walk of several chains whose proposals keep the normal law of the fit's covariance (a step is
    part of the way from where it stands to a fresh draw of that law): were the posterior that law,
    every step would be taken. A constant that was set to zero stays there. The scatter that the model
    itself has is not added; `Machine.draws` adds it.

    Parameters
    ----------
    result : FitResult
    count : int
        Draws to return, at most what the longest walk has.
    seed : int

    Returns
    -------
    Posterior

    Raises
    ------
    InputError
        If `count` is not positive or too many.
    """
    most = CHAINS * STEPS * STRETCHES
    if not 1 <= count <= most:
        raise InputError(f"{count} draws", field="n", expected=f"1 to {most}")
    target = _Target(result)
    generator = np.random.default_rng(seed)
    spread = _with_variances(result)
    here = target.inside(
        result.theta + 0.5 * generator.multivariate_normal(np.zeros(len(spread)), spread, CHAINS)
    )
    walk = _Walk(target, result.theta, spread, here, 0.3)
    # The soft loss has tails that the curvature does not know: learn the widths, then walk by them.
    for _ in range(2):
        seen = np.array([walk.take(generator, tune=True)[1] for _ in range(TUNING)])[TUNING // 3 :]
        seen = seen.reshape(-1, len(spread))
        wider = np.clip(seen.std(axis=0) / np.sqrt(np.diag(spread)), 0.8, 4.0)
        walk = _Walk(
            target, seen.mean(axis=0), spread * np.outer(wider, wider), walk.here, walk.step
        )  # fmt: skip
    for _ in range(TUNING // 2):
        walk.take(generator, tune=True)
    kept: list[NDArray[np.float64]] = []
    taken: list[float] = []
    effective = 0.0
    for _ in range(STRETCHES):
        for _ in range(STEPS):
            share, place = walk.take(generator)
            taken.append(share)
            kept.append(place)
        effective = _effective(np.array(kept))
        if effective >= count / 2 and len(kept) * CHAINS >= count:
            break
    walked = np.array(kept)
    chosen = np.linspace(0, walked[..., 0].size - 1, count).round().astype(int)
    # Chain by chain, so that few draws come from all along all chains.
    flat = walked.transpose(1, 0, 2).reshape(-1, len(spread))
    return Posterior(
        result.free, flat[chosen], min(float(count), effective), float(np.mean(taken))
    )  # fmt: skip


def _with_variances(result: FitResult) -> NDArray[np.float64]:
    """Return the covariance of the fit, with the typical range's variance where there is none."""
    spread = result.covariance.copy()
    for i in np.flatnonzero(np.isnan(np.diag(spread))):
        spread[i, :] = spread[:, i] = 0.0
        spread[i, i] = prior_of(result.free[i])[1] ** 2
    return spread


class _Target:
    """Negative logarithm of likelihood times prior."""

    def __init__(self, result: FitResult) -> None:
        self._objective, self._scale = result.objective, result.scale
        self._low, self._high = np.array([limits(n) for n in result.free]).T
        self._prior, self._width = np.array([prior_of(n) for n in result.free]).T

    def inside(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the nearest place within the bounds of the search."""
        return np.clip(theta, self._low, self._high)

    def __call__(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:
        within = np.all((theta >= self._low) & (theta <= self._high), axis=-1)
        at = self.inside(theta)
        prior = (((at - self._prior) / self._width) ** 2).sum(axis=-1)
        return np.where(
            within, 0.5 * (self._objective.cost(at) / self._scale + prior), math.inf
        )  # fmt: skip


class _Walk:
    """Chains that step so that a normal law would be kept by every step."""

    def __init__(
        self, target: _Target, centre: NDArray[np.float64], spread: NDArray[np.float64],
        here: NDArray[np.float64], step: float,
    ) -> None:  # fmt: skip
        values, vectors = np.linalg.eigh(spread)
        values = np.maximum(values, 1e-12)
        self._root, self._inverse = vectors * np.sqrt(values), vectors / np.sqrt(values)
        self._target, self._centre, self.step = target, centre, step
        self.here, self._now = here, self._excess(here)

    def _excess(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:
        """By how much the target exceeds the negative logarithm of the normal law."""
        normal = 0.5 * (((theta - self._centre) @ self._inverse) ** 2).sum(axis=-1)
        return np.asarray(self._target(theta) - normal)

    def take(
        self, generator: np.random.Generator, *, tune: bool = False
    ) -> tuple[float, NDArray[np.float64]]:
        """Step once; return the share of chains that moved, and where all are."""
        fresh = generator.standard_normal(self.here.shape) @ self._root.T
        trial = (
            self._centre + math.sqrt(1.0 - self.step**2) * (self.here - self._centre)
            + self.step * fresh
        )  # fmt: skip
        then = self._excess(trial)
        accept = np.log(generator.random(len(self.here))) < self._now - then
        self.here = np.where(accept[:, None], trial, self.here)
        self._now = np.where(accept, then, self._now)
        share = float(accept.mean())
        if tune:
            self.step = min(max(self.step * math.exp(0.3 * (share - _WANTED)), 0.02), 0.98)
        return share, self.here


def _effective(kept: NDArray[np.float64]) -> float:
    """Return the effective sample size of the constant that mixes worst.

    From the autocorrelation within the chains, summed until a pair of lags is no longer positive, and
    the variance between the chains.
    """
    steps, chains, _ = kept.shape
    away = kept - kept.mean(axis=0)
    within = away.var(axis=0).mean(axis=0)
    total = within + kept.mean(axis=0).var(axis=0, ddof=1)
    time = np.ones(kept.shape[2])
    going = np.ones(kept.shape[2], dtype=bool)
    for lag in range(1, steps // 2, 2):
        pair = np.zeros(kept.shape[2])
        for k in (lag, lag + 1):
            covariance = (away[:-k] * away[k:]).mean(axis=0).mean(axis=0)
            # What the chains disagree on counts as correlation that never ends.
            pair += 1.0 - (within - covariance) / total
        going &= pair > 0
        if not going.any():
            break
        time += np.where(going, 2.0 * pair, 0.0)
    return float(steps * chains / time.max())
