r"""The kernel's rule, from the law of the gate behind which faults queue.

A fault queues as soon as anybody waits. When all calls before the first queued fault are served, all
queued faults are let in past the calls that came later. Let *G* be the time from the first queued
fault until then, the *gate*: :math:`1 + \mathrm{Poisson}(\lambda_r G)` faults are let in, and
:math:`N \sim \mathrm{Poisson}(\lambda_w G)` calls wait. So *G* is a Markov chain, in three steps.

* :math:`N \geq 1`: the calls wait until those faults are done and the last tail *R* has ended, a time
  *V*, and for each other. Seen without further calls the last of them ends its exclusive part after
  :math:`X = V - R + N(D+R)`.
* :math:`N = 0`: faults come and go until a call joins; it drains those that are left, :math:`V'`, and
  :math:`X = V' + D`. The relaxation of :mod:`perfmodel.equations.closure` gives the law of :math:`V'`.
* From there the backlog is a workload: it falls with time, and each further call adds
  :math:`H = D + R`. A fault comes after :math:`F \sim \mathrm{Exp}(\lambda_r)` and finds what is left:
  that is the next gate. With :math:`\psi(\theta) = \theta - \lambda_w(1 - e^{-\theta H})` and
  :math:`\psi(s) = \lambda_r`,

  .. math:: E\,[e^{-\theta G'}; F \text{ in time}] =
            \frac{\lambda_r}{\lambda_r - \psi(\theta)} \left(e^{-\theta X} - e^{-sX}\right)

  so moments of :math:`G'` are closed in *X*. If no fault comes in time (:math:`q = E\,e^{-sX}`), the
  last tail runs on alone, and the next call starts anew.

All of it is exact but for the law of *G*, a gamma law with its mean and variance. The limit of 256
faults let in at once is left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sympy import exp

from perfmodel.equations.closing import Grid, by_chunks, repeating, solve_relaxation
from perfmodel.equations.closure import CUT_RATE, Waits
from perfmodel.equations.equation import FloatArray, declare
from perfmodel.equations.reads import OUTLASTS, READS, panels, panels_within, regular
from perfmodel.equations.special import LogRatio, OneMinusExp
from perfmodel.equations.symbols import symbol

__all__ = ["GATE_ERROR", "gate_waits"]

_lr, _lw, _d, _r = (symbol(s) for s in ("lambda_r", "lambda_w", "exclusive", "shared"))
_s, _c, _g, _theta = (symbol(s) for s in ("gate_decay", "cut_rate", "gate", "gate_scale"))
_x, _x2, _closes = symbol("backlog"), symbol("backlog_2"), symbol("gate_closes")
_g2, _cycle, _sum = symbol("gate_2"), symbol("gate_cycle"), symbol("call_waits")
_hold = _d + _r

GATE_ERROR = (
    "median, nineteen of twenty, worst, simulated with a scatter of 0.5 % (1 % with I/O): "
    "306 points without I/O W_r 0.4 %, 2 %, 4 %; W_w 0.3 %, 1.2 %, 3.7 %; share that waits 0.2 %, 1.1 %, "
    "4 %; 25 points with I/O W_r 0.6 %, 1.7 %, 1.8 %; W_w 0.6 %, 1.8 %, 2.3 %; share 1 %, 9 %, 30 %"
)
_exact: dict[str, Any] = {
    "source": "derivation in perfmodel.equations.gate",
    "assumptions": ("faults and calls are Poisson", "the holds of the call are constant",
                    "any number of queued faults is let in at once"),
}  # fmt: skip
_closed: dict[str, Any] = {
    "source": "derivation in perfmodel.equations.gate",
    "assumptions": (*_exact["assumptions"], "the gate is gamma distributed"),
    "stated_error": GATE_ERROR,
}

DECAY = declare(
    "gate_decay_rate", "s", "1/ns", "odds that no fault comes while X is served: exp(-sX); s solves this",
    _lr + _lw * OneMinusExp(_s * _hold), **_exact,
)  # fmt: skip
GATE_DRAW = declare(
    "gate_transform", r"E\,e^{-cG}", "1", "neither a call nor such a fault comes in a gate",
    exp(-_c * _g * LogRatio(_c * _theta)), **_closed,
)  # fmt: skip
GATE_DRAW_1 = declare(
    "gate_transform_1", r"E\,[G e^{-cG}]", "ns", "length of the gates in which none comes",
    _g * exp(-_c * _g * LogRatio(_c * _theta)) / (1 + _c * _theta), **_closed,
)  # fmt: skip
NEXT = declare(
    "next_gate", r"E\,[G'; F]", "ns", "what the next fault finds of the backlog",
    _x - (1 - _lw * _hold) / _lr * _closes, **_exact,
)  # fmt: skip
NEXT_2 = declare(
    "next_gate_2", r"E\,[G'^2; F]", "ns^2", "second moment of what it finds",
    _x2 - 2 * (1 - _lw * _hold) / _lr * _x
    + _closes * (_lw * _hold**2 / _lr + 2 * (1 - _lw * _hold) ** 2 / _lr**2), **_exact,
)  # fmt: skip
GATE_READER = declare(
    "gate_reader_wait", "W_r", "ns", "mean wait of all faults: the first waits G, the others half",
    (_g + _lr * _g2 / 2) / (_lr * _cycle), **_exact,
)  # fmt: skip
GATE_SHARE = declare(
    "gate_waiting_share", r"\rho", "1", "share of the faults that queue",
    (1 + _lr * _g) / (_lr * _cycle), **_exact,
)  # fmt: skip
GATE_WRITER = declare(
    "gate_writer_wait", "W_w", "ns", "mean wait of calls",
    _sum / (_lw * _cycle), **_exact,
)  # fmt: skip


def gate_waits(g: dict[str, FloatArray]) -> Waits:
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
    return Waits(*by_chunks(lambda part: _Gates(part).waits(), g, 4))


def _decay(g: dict[str, FloatArray]) -> FloatArray:
    """Solve the equation of `DECAY`; from above its Newton steps fall monotonically."""
    known = {k: g[k] for k in ("lambda_r", "lambda_w", "exclusive", "shared")}
    slope = DECAY.derivative("gate_decay")
    s = g["lambda_r"] + g["lambda_w"]
    for _ in range(60):
        step = (s - DECAY(gate_decay=s, **known)) / (1 - slope(gate_decay=s, **known))
        s = s - step
        if np.all(np.abs(step) <= 1e-14 * s):
            break
    return s


class _Gates:
    """One pass from the law of a gate to that of the next."""

    def __init__(self, g: dict[str, FloatArray]) -> None:
        g = regular(g)
        hold = g["exclusive"] + g["shared"]
        # Without any fault there is no gate, but a limit: rarer faults give the same waits.
        longest = hold + 1 / g["mu"] + np.where(g["io_share"] > 0, g["io_time"], 0.0)
        g["lambda_r"] = np.maximum(g["lambda_r"], 1e-6 / longest)
        with np.errstate(all="ignore"):
            self.s = _decay(g)
            self.g, self.hold = g, hold
            column = {k: v[:, None] for k, v in g.items()}
            law = {k: column[k] for k in ("lambda_r", "lambda_w", *READS)}
            s, d, r, lw = self.s, g["exclusive"], g["shared"], g["lambda_w"]
            start = np.zeros((3, lw.size))
            for edges in (panels_within(g, s), r[:, None] + panels(g, s)):
                grid = Grid.between(edges)
                x, self.weight, self.cut = grid.x, grid.weight, CUT_RATE(window=grid.x, **law)
                sources = (np.ones_like(x), 2 * x, np.exp(-s[:, None] * x))
                self.before = start
                self.relaxed, start = solve_relaxation(grid, self.cut, sources, start)
            self.past = x - r[:, None]
            self.long = OUTLASTS(window=x, **{k: column[k] for k in READS})
            # Transforms of min(V', R), and of D.
            self.in_tail = -np.expm1(-s * r) / s
            self.in_hold = -np.expm1(-s * d)
            self.calm = self._drained(np.arange(lw.size), np.ones_like(lw), lw[:, None])
            self.calm_next = self._next(
                np.arange(lw.size), *self._own(*self.calm, np.ones_like(lw))
            )

    def _of(self, name: str, at: npt.NDArray[np.int64]) -> FloatArray:
        return self.g[name][at]

    def _drained(
        self, at: npt.NDArray[np.int64], share: FloatArray, ended: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return mean, second moment and (1 - E exp(-sV'))/s of the drain V' of a call that joins.

        `share` is the probability of the case, `ended` the density lambda_w P(no reader of before).
        """
        r, w = self._of("shared", at), self.weight[at]
        source = w * (self.cut[at] * share[..., None] - ended)
        a, b, c = self.relaxed[:, at]
        a_r, b_r, c_r = self.before[:, at]
        return (
            share * (r - a_r) + (source * a).sum(-1),
            share * (r**2 - b_r) + (source * b).sum(-1),
            share * (self.in_tail[at] - c_r) + (source * c).sum(-1),
        )

    def _own(
        self, mean: FloatArray, second: FloatArray, drawn: FloatArray, share: FloatArray,
        at: npt.NDArray[np.int64] | slice = slice(None),
    ) -> tuple[FloatArray, FloatArray, FloatArray]:  # fmt: skip
        """Return the moments of X = V' + D, and the probability that a fault comes within it."""
        d, s = self.g["exclusive"][at], self.s[at]
        closes = share * self.in_hold[at] + np.exp(-s * d) * s * drawn
        return mean + d * share, second + 2 * d * mean + d**2 * share, closes

    def _next(
        self, at: npt.NDArray[np.int64], backlog: FloatArray, backlog_2: FloatArray,
        closes: FloatArray,
    ) -> tuple[FloatArray, FloatArray, FloatArray]:  # fmt: skip
        known = {k: self._of(k, at) for k in ("lambda_r", "lambda_w", "exclusive", "shared")}
        closes = np.clip(closes, 0.0, 1.0)
        first = NEXT(backlog=backlog, gate_closes=closes, **known)
        second = NEXT_2(backlog=backlog, backlog_2=backlog_2, gate_closes=closes, **known)
        # Where faults are rare little is left of the difference, and rounding may turn its sign.
        return np.maximum(first, 0.0), np.maximum(second, 0.0), closes

    def once(
        self, at: npt.NDArray[np.int64], mean: FloatArray, variance: FloatArray
    ) -> tuple[FloatArray, ...]:
        """Return mean and variance of the next gate, the cycle, and the waits of its calls."""
        lr, lw, r = (self._of(k, at) for k in ("lambda_r", "lambda_w", "shared"))
        s, hold, w, past = self.s[at], self.hold[at], self.weight[at], self.past[at]
        law = {"gate": mean, "gate_scale": variance / mean}
        column = {k: v[..., None] for k, v in law.items()}
        square = variance + mean**2
        reads, calls = lr[:, None] * self.long[at], lw[:, None]
        first_ended = 1 - self.long[at]
        alone = GATE_DRAW(cut_rate=lw, **law)
        ended, ended_alone = (
            first_ended * GATE_DRAW(cut_rate=reads + c, **column) for c in (0.0, calls)
        )
        # Calls wait: their drain beyond R, its product with G, and its transform with the calls'.
        outlasts = w * ((1 - alone)[..., None] - (ended - ended_alone))
        tail, tail_2 = outlasts.sum(-1), 2 * (past * outlasts).sum(-1)
        with_gate = (
            w * (mean[..., None] - first_ended * GATE_DRAW_1(cut_rate=reads, **column))
        ).sum(-1)
        none_in = lw * -np.expm1(-s * hold)
        quiet = GATE_DRAW(cut_rate=none_in, **law) - alone
        both = first_ended * GATE_DRAW(cut_rate=reads + none_in[:, None], **column) - ended_alone
        drawn = s * (w * np.exp(-s[:, None] * past) * (quiet[..., None] - both)).sum(-1)
        busy = self._next(
            at,
            tail + hold * lw * mean,
            tail_2 + 2 * hold * lw * with_gate + hold**2 * (lw * mean + lw**2 * square),
            (1 - alone) - (quiet - drawn),
        )
        drain = self._drained(at, alone, calls * ended_alone)
        idle = self._next(at, *self._own(*drain, alone, at))
        # No fault in time: the last tail runs on alone, until a gate closes.
        calm_drain = self.calm[0][at]
        calm, calm_2, calm_closes = (v[at] for v in self.calm_next)
        again = np.maximum(1 - busy[2] - idle[2], 0.0) / calm_closes
        gate = busy[0] + idle[0] + again * calm
        gate_2 = busy[1] + idle[1] + again * calm_2
        cycle = 1 / lr + (alone + again) / lw + gate
        waits = (
            lw * square / 2 + lw * (mean * r + with_gate) + hold * lw**2 * square / 2
            + lw / lr * (gate + r) + drain[0] + again * calm_drain
        )  # fmt: skip
        return gate, gate_2 - gate**2, gate_2, cycle, waits

    def waits(self) -> FloatArray:
        """Return the rows of `Waits`."""
        lr, lw = self.g["lambda_r"], self.g["lambda_w"]
        with np.errstate(all="ignore"):
            start = 0.1 / self.g["mu"] + self.g["exclusive"]
            # Where faults are rare, X and what is subtracted from it agree in many digits.
            rare = np.minimum(lr * (self.hold + 1 / self.g["mu"]), 1.0)
            mean, variance, ended = repeating(
                lambda *trial: self.once(*trial)[:2], start, (1e-14 / rare, 1e-13 / rare**2)
            )
            gate, spread, gate_2, cycle, waits = self.once(np.arange(lw.size), mean, variance)
            gate_2 = np.maximum(gate_2, gate**2)
            crowd = 1 + lr * (gate + 2 * np.sqrt(np.maximum(spread, 0.0)))
            rows = np.stack([
                GATE_READER(lambda_r=lr, gate=gate, gate_2=gate_2, gate_cycle=cycle),
                GATE_WRITER(lambda_w=lw, call_waits=waits, gate_cycle=cycle),
                np.minimum(GATE_SHARE(lambda_r=lr, gate=gate, gate_cycle=cycle), 1.0),
                crowd,
            ])  # fmt: skip
        return np.where(ended, rows, np.nan)
