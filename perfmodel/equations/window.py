r"""The stores that a downgrade would lose: the stale window, who copies in it, who stores meanwhile.

A forced write copies a page whose entry the walk has made read-only, while a CPU still stores to the
page through the translation it has cached. What is stored between the copy of the word and the moment
that the copy is mapped, or the flush reaches that CPU, is lost: see :mod:`perfmodel.stale_tlb`, which
says in which releases, and that nobody else who was modelled does it.

Let a page's entry be stale for a time *w*, a copy last *c*, and the CPU store to the page at rate
:math:`\sigma`. A copy that begins with *u* of the window left loses a store with probability
:math:`1 - e^{-\sigma\min(c,u)}`. Copies that begin at random lose, for each unit of their rate,

.. math:: G(w) = \int_0^w 1 - e^{-\sigma \min(c,u)}\,du
          = \sigma w^2\varphi_2(\sigma w) \;(w \le c),\quad G(c) + (w-c)(1 - e^{-\sigma c}) \;(w > c).

The walk reaches the pages of the call one after the other, in a time :math:`T`, and the flush ends
a time *F* after it. Cut before the walk, the window of a page is spread evenly over :math:`F .. F+T`,
with the mean of *G* over it from :math:`H(w) = \int_0^w G`. Cut before the flush it is *F* for all.

Besides there are those that the lock has kept waiting: :math:`\phi D` of them, let in by the cut and
running a time :math:`\tau_w` after it, the time of a wake-up. They find their page stale if the walk has
passed it, and what is left of the window then.
"""

from __future__ import annotations

from typing import Any

import sympy
from sympy import Max, Min, Piecewise

from perfmodel.equations.equation import declare
from perfmodel.equations.special import OneMinusExp, Phi
from perfmodel.equations.symbols import symbol

__all__ = ["LOST_BEFORE_FLUSH", "LOST_BEFORE_WALK"]

_phi, _sigma, _c = symbol("forced_writes"), symbol("stores"), symbol("copy_time")
_T, _F, _D, _tau = (
    symbol("shared_walk"),
    symbol("flush_time"),
    symbol("before_cut"),
    symbol("late"),
)


def _loses(left: Any) -> sympy.Expr:
    """Return the probability that a copy with `left` of the window to come loses a store."""
    return OneMinusExp(_sigma * Min(_c, left))


def _copies(w: Any) -> sympy.Expr:
    """Return G."""
    short = _sigma * w**2 * Phi(2, _sigma * w)
    long = _sigma * _c**2 * Phi(2, _sigma * _c) + (w - _c) * OneMinusExp(_sigma * _c)
    return Piecewise((short, w <= _c), (long, True))


def _sum(w: Any) -> sympy.Expr:
    """Return H."""
    short = _sigma * w**3 * Phi(3, _sigma * w)
    over = w - _c
    long = (
        _sigma * _c**3 * Phi(3, _sigma * _c)
        + over * _sigma * _c**2 * Phi(2, _sigma * _c)
        + over**2 / 2 * OneMinusExp(_sigma * _c)
    )
    return Piecewise((short, w <= _c), (long, True))


_SOURCE = "derivation in perfmodel.equations.window; schedules of perfmodel.stale_tlb"
_ASSUMED = (
    "forced writes are Poisson, on pages that somebody else holds a reference to",
    "one copy at most falls into a window",
    "each word is copied at one moment, and the stores to it are Poisson",
)
LOST_BEFORE_FLUSH = declare(
    "lost_before_flush", "N_1", "1", "calls that lose a store, per call, cut before the flush",
    _phi * (_copies(_F) + _D * _loses(Max(_F - _tau, 0))), source=_SOURCE, assumptions=_ASSUMED,
    stated_error="exact to first order in forced_writes: a timed run of the explored actors agrees",
)  # fmt: skip
LOST_BEFORE_WALK = declare(
    "lost_before_walk", "N_0", "1", "calls that lose a store, per call, cut before the walk",
    _phi * (
        Piecewise(((_sum(_F + _T) - _sum(_F)) / _T, _T > 0), (_copies(_F), True))
        + _D * Piecewise((Min(1, _tau / _T), _T > 0), (1, True)) * _loses(Max(_F + _T - _tau, 0))
    ), source=_SOURCE,
    assumptions=(*_ASSUMED, "a fault that finds its page not yet changed writes to it without a copy"),
    stated_error="exact to first order in forced_writes: a timed run of the explored actors agrees",
)  # fmt: skip
