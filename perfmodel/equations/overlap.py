r"""How long a caller waits for faults that the call before has woken but that do not run yet.

rwsem grants the lock to a sleeper before it runs: from the release on the lock is held for reading
for the wake-up's length *s*. A caller that thinks for an exponential time *Z* comes sooner with
probability :math:`1-e^{-s/\overline Z}` and waits :math:`(s-Z)^+`. Its moments are those of a
blocked thread's wait in a window of length *s*: :math:`k!\,s^{k+1}\varphi_{k+1}(s/\overline Z)/\overline Z`,
which loses no digits where the wake-up is short.
"""

from __future__ import annotations

from sympy import Abs, Min, exp

from perfmodel.equations.equation import declare
from perfmodel.equations.special import OneMinusExp, Phi
from perfmodel.equations.symbols import symbol

__all__ = ["OVERLAP", "OVERLAP_2", "OVERLAP_HIT"]

_s, _z, _nu = symbol("wake_latency"), symbol("think_writer"), symbol("nu")
_SOURCE = "derivation in perfmodel.equations.overlap; rwsem_mark_wake, 5.11 to 6.18"
_ASSUME = ("think times are exponential", "one wake-up, of constant length")

OVERLAP = declare(
    "wake_overlap", r"\overline{(s-Z)^+}", "ns", "mean wait for a fault that is on its way",
    _s**2 / _z * Phi(2, _s / _z), source=_SOURCE, assumptions=_ASSUME, valid="think_writer > 0",
)  # fmt: skip
OVERLAP_2 = declare(
    "wake_overlap_2", r"\overline{((s-Z)^+)^2}", "ns^2", "second moment of the same wait",
    2 * _s**3 / _z * Phi(3, _s / _z), source=_SOURCE, assumptions=_ASSUME, valid="think_writer > 0",
)  # fmt: skip
OVERLAP_HIT = declare(
    "overlap_hit", r"\overline{1-e^{-\nu(s-Z)^+}}", "1", "a thinking thread faults in that wait",
    OneMinusExp(_nu * _s)
    - _nu * _s * exp(-Min(_nu, 1 / _z) * _s) * Phi(1, Abs(_nu - 1 / _z) * _s),
    source=_SOURCE, assumptions=_ASSUME, valid="think_writer > 0",
)  # fmt: skip
