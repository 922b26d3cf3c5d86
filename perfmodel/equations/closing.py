"""Numerics of a closed loop: linear relaxations along x, and a pair of moments that repeats itself.

Both closures, first come first served and the kernel's rule, integrate functions that relax as
y' = f - c y along x, and look for the mean and variance of a time that reproduce themselves. All
points are worked on at once; the loops here run over panels and over Newton's steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from perfmodel.equations.equation import FloatArray

__all__ = ["Grid", "Moved", "by_chunks", "repeating", "solve_relaxation"]

_Index = npt.NDArray[np.int64]

#: Radau's method of order five: nodes and weights of one panel.
_ROOT = np.sqrt(6.0)
_RADAU_AT = np.array([(4 - _ROOT) / 10, (4 + _ROOT) / 10, 1.0])
_RADAU = np.array(
    [
        [(88 - 7 * _ROOT) / 360, (296 - 169 * _ROOT) / 1800, (-2 + 3 * _ROOT) / 225],
        [(296 + 169 * _ROOT) / 1800, (88 + 7 * _ROOT) / 360, (-2 - 3 * _ROOT) / 225],
        [(16 - _ROOT) / 36, (16 + _ROOT) / 36, 1 / 9],
    ]
)


@dataclass(frozen=True)
class Grid:
    """Nodes of the panels between some edges.

    Attributes
    ----------
    x, weight : ndarray of shape (points, nodes)
        Nodes, and the weights of an integral over them.
    panels : int
    """

    x: FloatArray
    weight: FloatArray
    panels: int

    @classmethod
    def between(cls, edges: FloatArray) -> Grid:
        """Return the grid of edges of shape (points, panels + 1)."""
        h = np.diff(edges, axis=1)[..., None]
        shape = (edges.shape[0], -1)
        return cls(
            (edges[:, :-1, None] + h * _RADAU_AT).reshape(shape),
            (h * _RADAU[2]).reshape(shape),
            edges.shape[1] - 1,
        )


def solve_relaxation(
    grid: Grid, cut: FloatArray, sources: Sequence[FloatArray], start: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Solve y' = f - c y for several f.

    Parameters
    ----------
    grid : Grid
    cut : ndarray of shape (points, nodes)
        c at the nodes; it may be stiff.
    sources : sequence of ndarray of shape (points, nodes)
        Each f at the nodes.
    start : ndarray of shape (sources, points)
        y at the first edge.

    Returns
    -------
    ndarray of shape (sources, points, nodes), ndarray of shape (sources, points)
        y at the nodes and at the last edge.
    """
    points, shape = cut.shape[0], (cut.shape[0], grid.panels, 3)
    h = (grid.weight.reshape(shape) @ np.ones(3))[..., None]
    # Each panel maps its start linearly: a homogeneous part, and one for each source.
    right = np.stack(
        [np.ones(shape), *(h * (f.reshape(shape) @ _RADAU.T) for f in sources)], axis=-1
    )
    panel = np.linalg.solve(np.eye(3) + (h * cut.reshape(shape))[..., None, :] * _RADAU, right)
    out, now = np.empty((len(sources), *shape)), start
    for i in range(grid.panels):
        out[:, :, i] = panel[:, i, :, 0] * now[..., None] + np.moveaxis(panel[:, i, :, 1:], -1, 0)
        now = out[:, :, i, 2]
    return out.reshape(len(sources), points, -1), now


#: Mean and variance that follow from a trial mean and variance, shape (..., points), at some points.
Moved = Callable[[_Index, FloatArray, FloatArray], tuple[FloatArray, ...]]

#: Relative step of the derivatives, and residual at which the last step is taken.
_STEP, _ENDED = 1e-6, 1e-6

#: Steps in which Newton's method must agree with the plain one, and steps after which it is given up.
_CAREFUL = 30
_MOST = 80


def repeating(
    moved: Moved, mean: FloatArray, noise: tuple[FloatArray, FloatArray]
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.bool_]]:
    """Find the mean and variance that reproduce themselves.

    Parameters
    ----------
    moved : callable
        See `Moved`; increasing in the mean.
    mean : ndarray of shape (points,)
        A start from below.
    noise : pair of ndarray of shape (points,)
        Relative rounding of the mean and of the variance that `moved` gives.

    Returns
    -------
    ndarray, ndarray, ndarray of bool, each of shape (points,)
        Mean, variance, and where they were found.
    """
    mean, left = mean.copy(), np.arange(mean.size)
    variance = mean**2
    for _ in range(3):
        new, spread = moved(left, mean, variance)
        mean = np.where(new > 0, new, mean)
        variance = np.maximum(spread, 1e-9 * mean**2)
    found = np.zeros(mean.shape, dtype=bool)
    for count in range(_MOST):
        if not left.size:
            break
        m, v = mean[left], variance[left]
        means = m * np.array([[1.0], [1.0 + _STEP], [1.0]])
        variances = v * np.array([[1.0], [1.0], [1.0 + _STEP]])
        new, spread = moved(left, means, variances)
        off = np.stack([new - means, spread - variances])
        f, by_mean, by_variance = off[:, 0], off[:, 1] - off[:, 0], off[:, 2] - off[:, 0]
        det = by_mean[0] * by_variance[1] - by_variance[0] * by_mean[1]
        to_mean = -_STEP * m * (by_variance[1] * f[0] - by_variance[0] * f[1]) / det
        to_variance = -_STEP * v * (by_mean[0] * f[1] - by_mean[1] * f[0]) / det
        # Newton's step must lead where the plain one does: far below the fixed point it may not. Then
        # go up, at least twice as far, with the same shape: from above it does not fail.
        good = np.isfinite(to_mean) & np.isfinite(to_variance)
        if count < _CAREFUL:
            good &= to_mean * f[0] >= 0
        ended = np.abs(f[0]) < (_ENDED + noise[0][left]) * m
        ended &= np.abs(f[1]) < (_ENDED + noise[1][left]) * v
        most = 3.0 if count < _CAREFUL else 0.4
        length = np.maximum(np.abs(to_mean) / m, np.abs(to_variance) / v / 3)
        short = np.minimum(1.0, most / np.where(good, np.maximum(length, most), 1.0))
        plain, far = m + f[0], f[0] > (0.0 if count < _CAREFUL / 2 else 0.02) * m
        up = np.where(far, np.maximum(plain, 2 * m), plain)
        shape = np.where(plain > 0, up / plain, 1.0) ** 2
        new_mean = np.where(good, m + short * to_mean, up)
        new_variance = np.where(good, v + short * to_variance, (v + f[1]) * shape)
        mean[left] = np.maximum(new_mean, m / 4)
        variance[left] = np.maximum(new_variance, v / 16)
        found[left] = ended
        left = left[~ended]
    return mean, variance, found


#: Points worked on at once: bounds the memory.
_CHUNK = 2048


def by_chunks(
    solve: Callable[[dict[str, FloatArray]], FloatArray], g: dict[str, FloatArray], rows: int
) -> FloatArray:
    """Apply `solve`, which gives `rows` numbers a point, to bounded parts of the points."""
    size = g["lambda_w"].size
    parts = [
        solve({k: v[start : start + _CHUNK] for k, v in g.items()})
        for start in range(0, size, _CHUNK)
    ]
    return np.concatenate([np.empty((rows, 0)), *parts], axis=1)
