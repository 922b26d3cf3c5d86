r"""Special functions of the equations: sympy symbols with a numpy function that keeps its digits.

Each class is a sympy function of its own, with its derivative and its LaTeX; ``NUMERIC`` maps its
name to the vectorised numpy function that :class:`perfmodel.equations.equation.Equation` calls.
The textbook forms lose all digits where the models live (a think rate times a window of 1e-8), so
the numeric functions use series there; the tests hold them against 50-digit arithmetic.

The functions :math:`\varphi_k(z) = \int_0^1 e^{-z(1-t)} t^{k-1}/(k-1)!\,dt` carry the finite
populations: a thread that thinks for an exponential time of rate :math:`\nu` and is blocked until
the end of a window *Y* is blocked for *B*, and
:math:`E\,B^k = k!\,\nu\,Y^{k+1} \varphi_{k+1}(\nu Y)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import sympy
from sympy.core.function import ArgumentIndexError

from perfmodel.equations.numeric import (
    binomial_tail,
    dilog,
    ein,
    ein2,
    erlang_b,
    erlang_served,
    harmonic,
    line_queue,
    line_queue_variance,
    log_excess,
    log_excess_ratio,
    log_ratio,
    one_minus_exp,
    phi,
    poisson_tail,
)

__all__ = [
    "NUMERIC",
    "BinomialTail",
    "Dilog",
    "Ein",
    "Ein2",
    "ErlangB",
    "ErlangServed",
    "Harmonic",
    "LineQueue",
    "LineQueueVariance",
    "Log1p",
    "LogExcess",
    "LogExcessRatio",
    "LogRatio",
    "OneMinusExp",
    "Phi",
    "PoissonTail",
    "binomial_tail",
    "dilog",
    "ein",
    "ein2",
    "erlang_b",
    "erlang_served",
    "harmonic",
    "line_queue",
    "line_queue_variance",
    "log_excess",
    "log_excess_ratio",
    "log_ratio",
    "one_minus_exp",
    "phi",
    "poisson_tail",
]


# --------------------------------------------------------------------------------- sympy classes


class _Special(sympy.Function):  # type: ignore[misc]
    """Base: LaTeX from a template, nonnegative and real."""

    template = "{}"
    is_real = True
    is_nonnegative = True

    def _latex(self, printer: Any, exp: Any = None) -> str:
        text = self.template.format(*(printer._print(a) for a in self.args))
        return rf"\left({text}\right)^{{{exp}}}" if exp is not None else text


class OneMinusExp(_Special):
    """1 - exp(-z)."""

    nargs = 1
    template = r"\left(1 - e^{{-{0}}}\right)"

    def fdiff(self, argindex: int = 1) -> Any:  # noqa: ARG002
        """Return exp(-z)."""
        return sympy.exp(-self.args[0])


class Phi(_Special):
    """phi_k(z) of the module's docstring; d/dz phi_k = k phi_{k+1} - phi_k."""

    nargs = 2
    template = r"\varphi_{{{0}}}\left({1}\right)"

    def fdiff(self, argindex: int = 2) -> Any:
        """Return the derivative by z."""
        if argindex != 2:
            raise ArgumentIndexError(self, argindex)
        k, z = self.args
        return k * Phi(k + 1, z) - Phi(k, z)


class Log1p(_Special):
    """log(1 + z)."""

    nargs = 1
    template = r"\ln\left(1 + {0}\right)"

    def fdiff(self, argindex: int = 1) -> Any:  # noqa: ARG002
        """Return 1/(1 + z)."""
        return 1 / (1 + self.args[0])


class LogExcess(_Special):
    """x - log(1 + x)."""

    nargs = 1
    template = r"\left({0} - \ln\left(1 + {0}\right)\right)"

    def fdiff(self, argindex: int = 1) -> Any:  # noqa: ARG002
        """Return x/(1 + x)."""
        return self.args[0] / (1 + self.args[0])


class LogExcessRatio(_Special):
    """(x - log(1 + x))/x^2."""

    nargs = 1
    template = r"\frac{{{0} - \ln\left(1 + {0}\right)}}{{\left({0}\right)^2}}"

    def fdiff(self, argindex: int = 1) -> Any:  # noqa: ARG002
        """Return the derivative, through the function itself."""
        x = self.args[0]
        return (1 / (1 + x) - 2 * LogExcessRatio(x)) / x


class LogRatio(_Special):
    """log(1 + x)/x."""

    nargs = 1
    template = r"\frac{{\ln\left(1 + {0}\right)}}{{{0}}}"

    def fdiff(self, argindex: int = 1) -> Any:  # noqa: ARG002
        """Return the derivative; (1/(1+x) - log(1+x)/x)/x = LogExcessRatio - 1/(1+x)."""
        x = self.args[0]
        return LogExcessRatio(x) - 1 / (1 + x)


class Dilog(_Special):
    """-Li2(-z)."""

    nargs = 1
    template = r"\left[-\mathrm{{Li}}_2\left(-{0}\right)\right]"

    def fdiff(self, argindex: int = 1) -> Any:  # noqa: ARG002
        """Return log(1 + z)/z."""
        return Log1p(self.args[0]) / self.args[0]


class Ein(_Special):
    """Entire exponential integral."""

    nargs = 1
    template = r"\mathrm{{Ein}}\left({0}\right)"

    def fdiff(self, argindex: int = 1) -> Any:  # noqa: ARG002
        """Return (1 - exp(-z))/z, which is phi_1."""
        return Phi(1, self.args[0])


class Ein2(_Special):
    """Integral of Ein(t)/t from 0 to z."""

    nargs = 1
    template = r"\mathrm{{Ein}}_2\left({0}\right)"

    def fdiff(self, argindex: int = 1) -> Any:  # noqa: ARG002
        """Return Ein(z)/z."""
        return Ein(self.args[0]) / self.args[0]


class Harmonic(_Special):
    """Harmonic number, also of real argument."""

    nargs = 1
    template = r"H_{{{0}}}"

    def fdiff(self, argindex: int = 1) -> Any:  # noqa: ARG002
        """Return the trigamma function at n + 1."""
        return sympy.polygamma(1, self.args[0] + 1)


class PoissonTail(_Special):
    """P(N >= k) for Poisson N of mean a."""

    nargs = 2
    template = r"P\left(N_{{{1}}} \geq {0}\right)"

    def fdiff(self, argindex: int = 2) -> Any:
        """Return the derivative by a, P(N = k - 1)."""
        if argindex != 2:
            raise ArgumentIndexError(self, argindex)
        k, a = self.args
        return PoissonTail(k - 1, a) - PoissonTail(k, a)


class BinomialTail(_Special):
    """P(X >= j) of a binomial X of n trials with probability s."""

    nargs = 3
    template = r"P\left(\mathrm{{Bin}}({1}, {2}) \geq {0}\right)"

    def fdiff(self, argindex: int = 3) -> Any:
        """Return the derivative by the probability."""
        if argindex != 3:
            raise ArgumentIndexError(self, argindex)
        j, n, s = self.args
        return s ** (j - 1) * (1 - s) ** (n - j) / sympy.beta(j, n - j + 1)


class ErlangB(_Special):
    """Erlang's loss probability."""

    nargs = 2
    template = r"B\left({0}, {1}\right)"

    def fdiff(self, argindex: int = 2) -> Any:
        """Return the derivative by the load."""
        if argindex != 2:
            raise ArgumentIndexError(self, argindex)
        n, r = self.args
        return ErlangB(n, r) * LineQueue(n, r) / r


class ErlangServed(_Special):
    """1 - ErlangB."""

    nargs = 2
    template = r"\left(1 - B\left({0}, {1}\right)\right)"

    def fdiff(self, argindex: int = 2) -> Any:
        """Return the derivative by the load."""
        if argindex != 2:
            raise ArgumentIndexError(self, argindex)
        n, r = self.args
        return -ErlangB(n, r) * LineQueue(n, r) / r


class LineQueue(_Special):
    """Mean number at the line, n - r (1 - B)."""

    nargs = 2
    template = r"Q\left({0}, {1}\right)"

    def fdiff(self, argindex: int = 2) -> Any:
        """Return the derivative by the load: the weights are powers of 1/r."""
        if argindex != 2:
            raise ArgumentIndexError(self, argindex)
        n, r = self.args
        return -LineQueueVariance(n, r) / r


class LineQueueVariance(_Special):
    """Variance of the number at the line."""

    nargs = 2
    template = r"\sigma^2_Q\left({0}, {1}\right)"

    def fdiff(self, argindex: int = 2) -> Any:
        """Return the derivative by the load; it loses digits where the line is idle, r >> n."""
        if argindex != 2:
            raise ArgumentIndexError(self, argindex)
        n, r = self.args
        b = ErlangB(n, r)
        return 1 - b * (1 + LineQueue(n, r)) ** 2 + b * LineQueueVariance(n, r)


#: Numpy function of each sympy function above, by the name sympy prints.
NUMERIC: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "OneMinusExp": one_minus_exp,
        "Phi": phi,
        "Log1p": np.log1p,
        "LogExcess": log_excess,
        "LogExcessRatio": log_excess_ratio,
        "LogRatio": log_ratio,
        "Dilog": dilog,
        "Ein": ein,
        "Ein2": ein2,
        "Harmonic": harmonic,
        "PoissonTail": poisson_tail,
        "BinomialTail": binomial_tail,
        "ErlangB": erlang_b,
        "ErlangServed": erlang_served,
        "LineQueue": line_queue,
        "LineQueueVariance": line_queue_variance,
    }
)
