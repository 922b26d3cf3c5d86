"""The declared equations, compiled: scalar functions of numba, and the special functions they need.

Nothing is declared here: every formula is the sympy expression of :mod:`perfmodel.equations`. The
special functions are those of :mod:`perfmodel.equations.numeric` for one number at a time; the tests
hold the two against each other. Importing this module needs numba.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numba
import numpy as np
import sympy

from perfmodel.equations.equation import Equation
from perfmodel.equations.numeric import ein2_tail
from perfmodel.equations.special import LineQueue, LineQueueVariance, Phi

__all__ = ["compiled", "ein", "ein2", "gamma_tail", "indexed", "line", "phis", "scalar"]

#: Its stubs know only the options that are documented.
_njit: Any = numba.njit

_EULER = float(np.euler_gamma)
_TINY = 1e-300


def compiled(function: Callable[..., Any]) -> Any:
    """Compile with the arithmetic of numpy, a division by zero is no error, into whoever calls it.

    Nothing here allocates, so nothing need be counted: see `perfmodel.rwlock.world`. A product and a
    sum may be one instruction, rounded once.
    """
    return _njit(
        error_model="numpy", nogil=True, _nrt=False, forceinline=True, fastmath={"contract"}
    )(function)


@compiled
def one_minus_exp(z: float) -> Any:
    """Return 1 - exp(-z)."""
    return -math.expm1(-z)


_TERMS = 30
#: (-1)^j/(j + 3)!, and those of Ein and Ein2: a product and a sum a term, no division.
_PHI_3 = np.array([(-1.0) ** j / math.factorial(j + 3) for j in range(_TERMS)])
_EIN = np.array([(-1.0) ** j / ((j + 1) * math.factorial(j + 1)) for j in range(_TERMS)])
_EIN2 = np.array([(-1.0) ** j / ((j + 1) ** 2 * math.factorial(j + 1)) for j in range(_TERMS)])


@compiled
def _series(coefficients: Any, z: float) -> Any:
    """Sum a series for 0 <= z < 1.6, as far as its terms count."""
    count = 4 if z < 1e-4 else 7 if z < 1e-2 else 12 if z < 0.2 else 20 if z < 0.9 else _TERMS
    total = coefficients[count - 1]
    for j in range(count - 2, -1, -1):
        total = total * z + coefficients[j]
    return total


@compiled
def phis(z: float) -> Any:
    """Return phi_1, phi_2 and phi_3 of z, as `perfmodel.equations.numeric.phi`, from one sum."""
    if z < 0.9:
        three = _series(_PHI_3, z)
        two = 0.5 - z * three
        return 1.0 - z * two, two, three
    if math.isinf(z):
        return 0.0, 0.0, 0.0
    each = 1.0 / z
    one = -math.expm1(-z) * each
    two = (1.0 - one) * each
    return one, two, (0.5 - two) * each


@compiled
def exponential_integral(z: float) -> Any:
    """Return E1(z) for z >= 1.5, by its continued fraction."""
    if z > 700.0:
        return 0.0
    b = z + 1.0
    c = 1.0 / _TINY
    d = 1.0 / b
    h = d
    for i in range(1, 500):
        a = -float(i) * i
        b += 2.0
        d = 1.0 / (a * d + b)
        c = b + a / c
        step = c * d
        h *= step
        if abs(step - 1.0) < 1e-15:
            break
    return h * math.exp(-z)


@compiled
def ein(z: float) -> Any:
    """Return Ein(z), as `perfmodel.equations.numeric.ein`."""
    if z < 1.5:
        return z * _series(_EIN, z)
    return math.log(z) + _EULER + exponential_integral(z)


def _tail_coefficients(low: float, high: float) -> Any:
    """Return the Chebyshev coefficients, in 1/z, of z^2 e^z times the tail of Ein2."""

    def scaled(t: Any) -> Any:
        z = 2.0 / (1.0 / high + 1.0 / low + (1.0 / low - 1.0 / high) * t)
        return z * z * np.exp(z) * ein2_tail(z)

    return np.polynomial.chebyshev.chebinterpolate(scaled, 17)


#: Of z from 1.5 to 4 and from 4 to 60: 18 terms leave less than 2e-16 of Ein2.
_NEAR, _FAR = _tail_coefficients(1.5, 4.0), _tail_coefficients(4.0, 60.0)


@compiled
def _chebyshev(coefficients: Any, t: float) -> Any:
    """Sum a Chebyshev series by Clenshaw's recursion."""
    one = two = 0.0
    for j in range(coefficients.size - 1, 0, -1):
        one, two = coefficients[j] + 2.0 * t * one - two, one
    return coefficients[0] + t * one - two


@compiled
def ein2(z: float) -> Any:
    """Return Ein2(z), as `perfmodel.equations.numeric.ein2`."""
    if z < 1.5:
        return z * _series(_EIN2, z)
    whole = 0.5 * (math.log(z) + _EULER) ** 2 + math.pi**2 / 12
    if z < 4.0:
        t = (2.0 / z - 1.0 / 4.0 - 1.0 / 1.5) / (1.0 / 1.5 - 1.0 / 4.0)
        whole -= math.exp(-z) / (z * z) * _chebyshev(_NEAR, t)
    elif z < 60.0:
        t = (2.0 / z - 1.0 / 60.0 - 1.0 / 4.0) / (1.0 / 4.0 - 1.0 / 60.0)
        whole -= math.exp(-z) / (z * z) * _chebyshev(_FAR, t)
    return whole


@compiled
def gamma_tail(k: float, x: float, front: float) -> Any:
    """Return Q(k, x), the regularised upper incomplete gamma function.

    Parameters
    ----------
    k, x : float
    front : float
        x^k e^-x / Gamma(k + 1), which the caller needs too.
    """
    if x <= 0.0:
        return 1.0
    if x < k + 1.0:
        term, total = 1.0, 1.0
        for i in range(1, 20_000):
            term *= x / (k + i)
            total += term
            if term < 1e-17 * total:
                break
        return 1.0 - front * total
    b = x + 1.0 - k
    c = 1.0 / _TINY
    d = 1.0 / b
    h = d
    for i in range(1, 20_000):
        a = -i * (i - k)
        b += 2.0
        d = a * d + b
        d = 1.0 / (d if abs(d) > _TINY else _TINY)
        c = b + a / c
        c = c if abs(c) > _TINY else _TINY
        step = c * d
        h *= step
        if abs(step - 1.0) < 1e-16:
            break
    return front * k * h


@compiled
def line(n: float, r: float) -> tuple[float, float]:
    """Return mean and variance of the number at the line of the machine-repairman model."""
    if not (n >= 0.0 and r >= 0.0):
        return math.nan, math.nan
    if r < n:
        if r > 0.0:
            front = math.exp(n * math.log(r) - r - math.lgamma(n + 1.0))
            b = front / gamma_tail(n + 1.0, r, front * r / (n + 1.0))
        else:
            b = 1.0 if n == 0.0 else 0.0
        queue = n - r * (1.0 - b)
        return queue, r * (1.0 - b) - r * b * queue
    # Weights n!/(n-k)! r^-k: the terms only fall, and soon do not count. The variance is at least the
    # mean, which is at most about the root of n: little cancels.
    each = 1.0 / r
    weight, total, first, second = 1.0, 1.0, 0.0, 0.0
    for k in range(1, int(n) + 1):
        weight *= (n - k + 1.0) * each
        total += weight
        first += k * weight
        more = k * k * weight
        second += more
        if more < 1e-17 * second:
            break
    mean = first / total
    return mean, second / total - mean * mean


_SPECIAL: Mapping[str, Any] = {
    "OneMinusExp": one_minus_exp, "Ein": ein, "Ein2": ein2,
}  # fmt: skip


def scalar(equation: Equation, *order: str) -> Any:
    """Compile one equation, its arguments in the order given.

    The mean and the variance of the line are arguments too, where it has them (``line_queue``,
    ``line_queue_variance``): both come from one sum. So are phi_1 to phi_3 (``phi_2``).
    """
    given = {
        LineQueue: lambda *_: sympy.Symbol("line_queue"),
        LineQueueVariance: lambda *_: sympy.Symbol("line_queue_variance"),
        Phi: lambda k, _: sympy.Symbol(f"phi_{k}"),
    }
    expression = equation.expression
    for function, stand_in in given.items():
        expression = expression.replace(function, stand_in)
    names = {s.name: s for s in expression.free_symbols}
    assert set(names) <= set(order), (equation.name, names)
    symbols = [names.get(name, sympy.Symbol(name)) for name in order]
    return compiled(sympy.lambdify(symbols, expression, modules=[dict(_SPECIAL), "math"], cse=True))


def indexed(equations: Sequence[Equation], places: Mapping[str, int]) -> Any:
    """Compile several equations into one function of a vector that holds their arguments.

    Parameters
    ----------
    equations : sequence of Equation
    places : mapping of str to int
        Where each argument stands in the vector.

    Returns
    -------
    function of ndarray
        Its result is the list of values.
    """
    vector = sympy.IndexedBase("v")
    written = [
        e.expression.subs({s: vector[places[s.name]] for s in e.expression.free_symbols})
        for e in equations
    ]
    written = [w + sympy.Float(0.0) if w.is_Integer else w for w in written]
    function = sympy.lambdify([vector], tuple(written), modules=[dict(_SPECIAL), "math"], cse=True)
    return compiled(function)
