r"""First come, first served, from the law of the exclusive work that is outstanding.

Let *u* be the exclusive work just after a call has joined: its wait *V* and its own hold *D*. The next
call joins after :math:`T \sim \mathrm{Exp}(\lambda_w)` and waits for what is left of *u*, and then for
the readers that came in between. Given *u* and *T* the longest of them is known exactly. With
:math:`c(x) = \lambda_w + \lambda_r S(x)` and :math:`L(c) = E\,e^{-cu}`, for :math:`x \geq R`:

* work is left (:math:`u > T`), and the drain :math:`E_1` after it ends within *x*, with probability
  :math:`\lambda_w (1 - L(c))/c`;
* none is left, and the rest of the drain ends within *x* with probability *P*, where
  :math:`P' = c\,P - \lambda_w L(c)`: readers that came since the lock was free count from their own
  start.

Integrating the second against :math:`A' = 1 - cA`, :math:`A(0) = 0`, which does not depend on *u*,
turns its moments into plain integrals of *L*. So *u* gives the moments of the next *V*, and *u* needs
a law with two moments to close the loop: *D* and a gamma time. A fault's wait is :math:`E(u-T)^+`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sympy import exp

from perfmodel.equations.closing import Grid, by_chunks, repeating, solve_relaxation
from perfmodel.equations.equation import FloatArray, declare
from perfmodel.equations.reads import OUTLASTS, READS, panels, panels_within, regular
from perfmodel.equations.special import LogExcessRatio, LogRatio, Phi
from perfmodel.equations.symbols import symbol

__all__ = ["CUT_RATE", "FIFO_ERROR", "Waits", "fifo_waits"]

_lr, _lw, _d = symbol("lambda_r"), symbol("lambda_w"), symbol("exclusive")
_a, _theta, _c = symbol("acquire"), symbol("acquire_scale"), symbol("cut_rate")
_g, _rho, _found = symbol("drawn_time"), symbol("waiting_share"), symbol("found_work")

FIFO_ERROR = (
    "median, nineteen of twenty, worst of 100 points each, simulated with a scatter of 0.2 to 0.5 %: "
    "without I/O W_r 0.1 %, 1 %, 3 %; W_w 0.1 %, 0.8 %, 2.6 %; share that waits 0.1 %, 0.3 %, 0.7 %; "
    "with I/O W_r 0.4 %, 1.7 %, 2.5 %; W_w 0.2 %, 1.3 %, 1.8 %; share 0.2 %, 1.7 %, 5 %"
)
_exact: dict[str, Any] = {
    "source": "derivation in perfmodel.equations.closure",
    "assumptions": ("faults and calls are Poisson", "the holds of the call are constant"),
}
_closed: dict[str, Any] = {
    "source": "derivation in perfmodel.equations.closure",
    "assumptions": (*_exact["assumptions"], "the wait of a call is gamma distributed"),
    "stated_error": FIFO_ERROR,
}

CUT_RATE = declare(
    "cut_rate_after", "c(x)", "1/ns", "next call, or a fault whose hold outlasts x",
    _lr * OUTLASTS.expression + _lw, **_exact,
)  # fmt: skip
DRAWN = declare(
    "drawn", "g(c)", "ns", "exponent of E exp(-cu), over c: the mean of u for small c",
    _d + _a * LogRatio(_c * _theta), **_closed,
)  # fmt: skip
WAITING_SHARE = declare(
    "waiting_share_fifo", r"\rho", "1", "probability that a fault or a call finds exclusive work",
    _lw * _g * Phi(1, _lw * _g), **_closed,
)  # fmt: skip
FOUND = declare(
    "found_work_fifo", r"E\,(u-T)^+", "ns", "mean wait of a fault: exclusive work that it finds",
    _lw * (_a * _theta * LogExcessRatio(_lw * _theta) + _g**2 * Phi(2, _lw * _g)), **_closed,
)  # fmt: skip
BUSY_OUTLASTS = declare(
    "busy_outlasts", r"P(u > T,\,E_1 > x)", "1", "a call finds work, and the drain after it is long",
    _rho - _lw * _g * Phi(1, _c * _g), **_closed,
)  # fmt: skip
BUSY_FOUND = declare(
    "busy_found", r"E\,[(u-T)^+;\,E_1 > x]", "ns", "the work that it finds, where that drain is long",
    _found - _lw * (_a * _theta * LogExcessRatio(_c * _theta) + _g**2 * Phi(2, _c * _g)), **_closed,
)  # fmt: skip
IDLE_SOURCE = declare(
    "idle_source", "q(x)", "1/ns", "density of long drains where a call finds no exclusive work",
    _c * (1 - _rho) - _lw * exp(-_c * _g), **_closed,
)  # fmt: skip


@dataclass(frozen=True)
class Waits:
    """Mean waits of one order of service; every array has the points' shape.

    Attributes
    ----------
    reader_wait, writer_wait : ndarray, ns
        Mean wait of all faults and of calls.
    waiting_share : ndarray
        Probability that a fault waits.
    crowd : ndarray
        Faults that are let in at once, mean and twice the standard deviation; 0 where the order of
        service does not gather them.
    """

    reader_wait: FloatArray
    writer_wait: FloatArray
    waiting_share: FloatArray
    crowd: FloatArray


def fifo_waits(g: dict[str, FloatArray]) -> Waits:
    """Solve the closure at stable points.

    Parameters
    ----------
    g : dict of str to ndarray of shape (points,)
        `lambda_r`, `lambda_w`, `mu`, `exclusive`, `shared`, `io_share`, `io_time`; known numbers, with
        calls and a load below 1.

    Returns
    -------
    Waits
        NaN where Newton's method does not end.
    """
    return Waits(*by_chunks(lambda part: _Loop(part).waits(), g, 4))


class _Loop:
    """One pass from the law of a call's wait to that of the next call's."""

    def __init__(self, g: dict[str, FloatArray]) -> None:
        self.g = g = regular(g)
        law = {k: g[k][:, None] for k in ("lambda_r", "lambda_w", *READS)}
        with np.errstate(all="ignore"):
            fast = g["lambda_r"] + g["lambda_w"]
            within = Grid.between(panels_within(g, fast))
            beyond = Grid.between(g["shared"][:, None] + panels(g, fast))
            start = np.zeros((2, fast.size))
            for grid in (within, beyond):
                self.cut, self.x, self.weight = CUT_RATE(window=grid.x, **law), grid.x, grid.weight
                # A and B: B' = 2x - cB gives the second moment.
                sources = (np.ones_like(grid.x), 2 * grid.x)
                self.before = start
                self.relaxed, start = solve_relaxation(grid, self.cut, sources, start)

    def once(
        self, at: npt.NDArray[np.int64], mean: FloatArray, variance: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return mean and variance of the next wait, the work found, and how often there is any."""
        lw, d, r = (self.g[k][at] for k in ("lambda_w", "exclusive", "shared"))
        x, w, cut, (a, b) = self.x[at], self.weight[at], self.cut[at], self.relaxed[:, at]
        a_r, b_r = self.before[:, at]
        law = {"acquire": mean, "acquire_scale": variance / mean}
        drawn = DRAWN(cut_rate=lw, exclusive=d, **law)
        rho = WAITING_SHARE(lambda_w=lw, drawn_time=drawn)
        found = FOUND(lambda_w=lw, drawn_time=drawn, **law)
        column = {k: v[..., None] for k, v in law.items()}
        inner = DRAWN(cut_rate=cut, exclusive=d[:, None], **column)
        here = {"cut_rate": cut, "drawn_time": inner, "lambda_w": lw[:, None]}
        share = rho[..., None]
        busy = w * BUSY_OUTLASTS(waiting_share=share, **here)
        cross = r * found + (w * BUSY_FOUND(found_work=found[..., None], **here, **column)).sum(-1)
        idle = w * IDLE_SOURCE(waiting_share=share, **here)
        # Up to R nothing ends: the integrals are closed there, as A' = 1 - cA.
        first = r * rho + busy.sum(-1) + (1 - rho) * (r - a_r) + (idle * a).sum(-1)
        second = r**2 * rho + 2 * (x * busy).sum(-1) + (1 - rho) * (r**2 - b_r) + (idle * b).sum(-1)
        u_2 = variance + (d + mean) ** 2
        wait = found + first
        return wait, u_2 - 2 * found / lw + 2 * cross + second - wait**2, found, rho

    def waits(self) -> FloatArray:
        """Return the rows of `Waits`."""
        with np.errstate(all="ignore"):
            start = 0.1 / self.g["mu"] + 0.1 * self.g["exclusive"]
            none = np.zeros_like(start)
            mean, variance, ended = repeating(
                lambda *trial: self.once(*trial)[:2], start, (none, none)
            )
            wait, _, found, rho = self.once(np.arange(mean.size), mean, variance)
        rows = np.stack([found, wait, rho, np.zeros_like(rho)])
        return np.where(ended, rows, np.nan)
