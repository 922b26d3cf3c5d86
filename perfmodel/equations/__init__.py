"""The equations of blocking, queueing, wake-ups, the shared cache line, benefit and noise.

Each formula is declared once, in sympy; numbers, LaTeX and derivatives come from the declaration.
Importing this package imports sympy; :mod:`perfmodel` itself does not.
"""

from perfmodel.equations import (
    benefit,
    blocked_time,
    blocking,
    cacheline,
    closed,
    closure,
    drain,
    gate,
    guard,
    guarded,
    noise,
    oversubscribed,
    queue,
    reads,
    wake,
    window,
    woken,
)
from perfmodel.equations.equation import EQUATIONS, Equation, declare
from perfmodel.equations.symbols import declaration, symbol

__all__ = [
    "EQUATIONS",
    "Equation",
    "benefit",
    "blocked_time",
    "blocking",
    "cacheline",
    "closed",
    "closure",
    "declaration",
    "declare",
    "drain",
    "gate",
    "guard",
    "guarded",
    "noise",
    "oversubscribed",
    "queue",
    "reads",
    "symbol",
    "wake",
    "window",
    "woken",
]
