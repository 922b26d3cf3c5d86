"""What of the model is written by hand in JavaScript, and why it cannot be translated.

Everything else that a prediction runs through is translated from its Python source. Each entry names
an object of ``static/outside.js`` or ``static/special.js``; the tests hold both against Python.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["CUT", "EVALUATED", "INSTEAD", "NUMERIC_MODULE", "REMEMBERED", "REPLACED"]

#: By qualified name: the JavaScript that stands for it.
REPLACED: Mapping[str, str] = {
    # Reads files and draws random numbers: the page carries the draws themselves.
    "perfmodel.machine.Machine": "Machine",
    # An exception class must derive from JavaScript's own.
    "perfmodel.errors.InputError": "InputError",
    "perfmodel.errors.MissingExtraError": "MissingExtraError",
    "perfmodel.errors.ModelWarning": "ModelWarning",
    # A regular expression.
    "perfmodel.kernel._parse": "parseRelease",
    # Argument checks that run before every equation: by hand they need no keyword dictionary.
    "perfmodel.equations.equation.floats": "floats",
    "perfmodel.equations.equation.together": "together",
}

#: Functions that the page does without: what is translated instead, which gives the same numbers. In
#: JavaScript a loop costs as much for three points at once as for three, one after another.
INSTEAD: Mapping[str, str] = {
    "perfmodel.rwlock.stacked.solve_all": "solve_each",
}

#: Functions without arguments whose answer is carried instead: they read a file of the package.
EVALUATED = ("perfmodel.stale_tlb.boundary.load",)

#: Solvers that the page does not have: who asks for one is told so.
CUT = (
    "perfmodel.rwlock.fallback._ask_chain",
    "perfmodel.rwlock.fallback._ask_simulation",
)

#: Its vectorised functions have a scalar twin by hand in ``static/special.js``, by the same name.
NUMERIC_MODULE = "perfmodel.equations.numeric"

#: Pure functions whose last answers are kept: a prediction asks them the same things again, for the
#: quantiles, for the guards, or in every round of a fixed point.
REMEMBERED: Mapping[str, int] = {
    "perfmodel.equations.drain._nodes": 12,
    "perfmodel.equations.woken.closed_system_woken": 24,
    "perfmodel.rwlock.closed_form.solve": 48,
}
