r"""Lost in the noise: how many calls or runs a comparison needs to show the saving.

A naive A/B test compares the mean blocked time per call of two arms; its noise is mostly the
scatter of the window itself, :math:`\lambda^2 \mathrm{Var}(Y^2)/4`. Who records the wait for the
lock of each call can take :math:`\lambda Y^2/2` as control variate; only the scatter of the faults
in a known window, :math:`\lambda Y^3/3`, is left. Calls per arm for a two-sided test follow from
the normal approximation :math:`\kappa (\sigma_0^2 + \sigma_1^2)/\delta^2`,
:math:`\kappa = (z_{1-\alpha/2} + z_{power})^2` (7.849 for 95 % and 80 %).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri
from sympy import sqrt

from perfmodel.equations.blocking import WindowMoments, window_moments
from perfmodel.equations.equation import FloatArray, declare, together
from perfmodel.equations.symbols import symbol
from perfmodel.errors import InputError

__all__ = ["Detection", "calls_to_detect", "power_factor", "runs_to_detect"]

_SOURCE = "derivation in perfmodel.equations.noise"
_ASSUME = ("faults are Poisson", "calls are independent", "sums of n calls are close to normal")
_STATED = "power 0.85 where 0.80 is asked, 0.78 to 0.94 in nine of ten; wait with cv below 1.5"

_lam, _kappa = symbol("lambda_r"), symbol("power_factor")
_y02, _y03, _y04 = (symbol(f"window_before_{k}") for k in (2, 3, 4))
_y12, _y13, _y14 = (symbol(f"window_after_{k}") for k in (2, 3, 4))
_g, _cv = symbol("effect"), symbol("run_cv")

_delta = _lam * (_y02 - _y12) / 2
_within = _lam * (_y03 + _y13) / 3
_between = _lam**2 * (_y04 - _y02**2 + _y14 - _y12**2) / 4

CALLS = declare(
    "calls_per_arm", "n", "1", "calls per arm that a naive comparison of means needs",
    _kappa * (_within + _between) / _delta**2, source=_SOURCE, assumptions=_ASSUME,
    stated_error=_STATED,
)  # fmt: skip
CALLS_CONTROLLED = declare(
    "calls_per_arm_controlled", "n_{cv}", "1",
    "calls per arm when the wait for the lock of each call is known",
    _kappa * _within / _delta**2, source=_SOURCE, assumptions=_ASSUME, stated_error=_STATED,
)  # fmt: skip
COHEN = declare(
    "cohen_d", "d", "1", "saving in standard deviations of one call",
    _delta / sqrt((_within + _between) / 2), source=_SOURCE, assumptions=_ASSUME,
)  # fmt: skip
RUNS = declare(
    "runs_per_arm", "n_{run}", "1", "runs per arm of a whole program to show a relative change",
    2 * _kappa * (_cv / _g) ** 2, source="two-sample normal test", assumptions=_ASSUME[1:],
)  # fmt: skip


@dataclass(frozen=True)
class Detection:
    """What it takes to see the saving; arrays of the broadcast shape.

    Attributes
    ----------
    calls : ndarray
        Calls per arm for a comparison of means; inf where there is nothing to see.
    calls_controlled : ndarray
        Calls per arm with the wait of each call as control variate.
    cohen_d : ndarray
        Saving in standard deviations of one call's blocked time.
    effect : ndarray
        Saving relative to the mean blocked time without the downgrade.
    """

    calls: FloatArray
    calls_controlled: FloatArray
    cohen_d: FloatArray
    effect: FloatArray


def power_factor(level: float = 0.95, power: float = 0.8) -> float:
    """Return the factor kappa of a two-sided test.

    Parameters
    ----------
    level : float
        Confidence, between 0 and 1.
    power : float
        Probability to see an effect that is there, between 0 and 1.

    Raises
    ------
    InputError
        If either is not between 0 and 1.
    """
    for name, value in (("level", level), ("power", power)):
        if not 0 < value < 1:
            raise InputError(f"{value!r} is out of range", field=name, expected="between 0 and 1")
    return float((ndtri(0.5 + level / 2) + ndtri(power)) ** 2)


def calls_to_detect(
    lambda_r: Any,
    exclusive: Any,
    shared: Any,
    acquire: Any = 0.0,
    acquire_2: Any = None,
    *,
    before: WindowMoments | None = None,
    after: WindowMoments | None = None,
    level: float = 0.95,
    power: float = 0.8,
) -> Detection:
    """Return how many calls per arm show the blocked time that a downgrade saves.

    Parameters
    ----------
    lambda_r : array_like
        Faults per ns.
    exclusive, shared : array_like
        Parts of the hold, ns.
    acquire, acquire_2 : array_like
        Mean and second moment of the wait for the lock; gamma law.
    before, after : WindowMoments, optional
        Moments of the window without and with the downgrade, for another law of the wait; they
        replace the ones that follow from the arguments above.
    level, power : float
        Of the two-sided test.

    Raises
    ------
    InputError
        If an argument is out of its domain or the shapes do not broadcast.
    """
    lam = together(lambda_r=lambda_r)["lambda_r"]
    g = together(exclusive=exclusive, shared=shared, acquire=acquire)
    if before is None:
        before = window_moments(g["exclusive"] + g["shared"], g["acquire"], acquire_2)
    if after is None:
        after = window_moments(g["exclusive"], g["acquire"], acquire_2)
    seconds = {"window_before_2": before.window_2, "window_after_2": after.window_2}
    thirds = {"window_before_3": before.window_3, "window_after_3": after.window_3}
    fourths = {"window_before_4": before.window_4, "window_after_4": after.window_4}
    kappa = power_factor(level, power)
    full = CALLS(lambda_r=lam, power_factor=kappa, **seconds, **thirds, **fourths)
    controlled = CALLS_CONTROLLED(lambda_r=lam, power_factor=kappa, **seconds, **thirds)
    cohen = COHEN(lambda_r=lam, **seconds, **thirds, **fourths)
    with np.errstate(all="ignore"):
        effect = 1 - after.window_2 / before.window_2
    nothing = (lam == 0) | (before.window_2 == after.window_2)
    return Detection(
        np.where(nothing, np.inf, full),
        np.where(nothing, np.inf, controlled),
        np.where(nothing, 0.0, cohen),
        np.where(before.window_2 == 0, 0.0, effect),
    )


def runs_to_detect(
    effect: Any, run_cv: Any, *, level: float = 0.95, power: float = 0.8
) -> FloatArray:
    """Return the runs per arm of a whole program that show a relative change.

    Parameters
    ----------
    effect : array_like
        Relative change, e.g. 0.001.
    run_cv : array_like
        Coefficient of variation of one run.
    level, power : float
        Of the two-sided test.

    Raises
    ------
    InputError
        If an argument is out of its domain or the shapes do not broadcast.
    """
    kappa = power_factor(level, power)
    return RUNS(effect=effect, run_cv=run_cv, power_factor=kappa)
