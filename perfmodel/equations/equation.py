"""An equation declared once: its LaTeX, its derivatives and its numpy function follow from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy

from perfmodel.equations.special import NUMERIC
from perfmodel.equations.symbols import declaration
from perfmodel.errors import InputError
from perfmodel.quantities import Quantity

__all__ = [
    "CHECKPOINT",
    "EQUATIONS",
    "Equation",
    "FloatArray",
    "checkpoint",
    "declare",
    "floats",
    "together",
]

FloatArray = npt.NDArray[np.float64]

_REGISTERED: dict[str, Equation] = {}

#: Called before every evaluation in its context: it raises where nobody waits for the answer any more.
CHECKPOINT: ContextVar[Callable[[], None] | None] = ContextVar("CHECKPOINT", default=None)


def checkpoint() -> None:
    """Call what `CHECKPOINT` holds, if anything: long work passes here between its steps."""
    check = CHECKPOINT.get()
    if check is not None:
        check()


def floats(**values: Any) -> dict[str, FloatArray]:
    """Turn named arguments into float arrays and hold them against their declared domains.

    Parameters
    ----------
    **values : array_like
        Arguments by the name of a declared symbol. NaN is allowed and means "not known".

    Returns
    -------
    dict of str to ndarray
        The same names; shapes are untouched.

    Raises
    ------
    InputError
        If a value is not a number or lies outside the symbol's domain; the field is the name.
    """
    arrays = {}
    for name, value in values.items():
        declared = declaration(name)
        try:
            array = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError(
                "the values are not numbers", field=name, expected=declared.expectation()
            ) from None
        low, high = declared.domain
        if array.size == 1:
            # Every move of a slider asks hundreds of equations about one point: a comparison of
            # two numbers costs a twentieth of one of two arrays.
            inside = not (array.item() < low or array.item() > high)
        else:
            inside = not ((array < low) | (array > high)).any()
        if not inside:
            wrong = array[(array < low) | (array > high)]
            raise InputError(
                f"{float(wrong.flat[0]):g} is out of range",
                field=name,
                expected=declared.expectation(),
            )
        arrays[name] = array
    return arrays


def _common_shape(arrays: Mapping[str, FloatArray]) -> tuple[int, ...]:
    """Return the shape that arrays broadcast to; ValueError if they do not."""
    shapes = {a.shape for a in arrays.values()}
    shapes.discard(())
    return shapes.pop() if len(shapes) == 1 else np.broadcast_shapes(*shapes)


def together(**values: Any) -> dict[str, FloatArray]:
    """Like :func:`floats`, and broadcast to one shape.

    Raises
    ------
    InputError
        As :func:`floats`, and if the shapes do not broadcast.
    """
    arrays = floats(**values)
    try:
        shape = _common_shape(arrays)
    except ValueError:
        shapes = ", ".join(f"{k} {a.shape}" for k, a in arrays.items())
        raise InputError(f"the shapes do not broadcast: {shapes}") from None
    return {
        name: array if array.shape == shape else np.broadcast_to(array, shape)
        for name, array in arrays.items()
    }


@dataclass(frozen=True)
class Equation:
    """One formula, declared once in sympy.

    Parameters
    ----------
    name : str
        Unique name, also the left-hand side in code.
    result : Quantity
        Meaning, unit and LaTeX of the left-hand side.
    expression : sympy.Expr
        The right-hand side over symbols of :func:`perfmodel.equations.symbols.symbol`.
    source : str
        Where it comes from: a publication or "derivation in <module>".
    assumptions : tuple of str
        What must be true for it to hold.
    stated_error : str
        ``exact``, or the error that was measured against simulation.
    valid : str
        Region of validity in words.
    within : sympy Boolean, optional
        The same region as a condition on the symbols.
    over : tuple of sympy.Symbol
        Arguments to accept beyond those of the expression; a derivative takes those of its parent.
    """

    name: str
    result: Quantity
    expression: sympy.Expr
    source: str
    assumptions: tuple[str, ...] = ()
    stated_error: str = "exact"
    valid: str = "everywhere in the domain"
    within: Any = field(default=None, compare=False)
    over: tuple[sympy.Symbol, ...] = ()

    @cached_property
    def symbols(self) -> tuple[sympy.Symbol, ...]:
        """Symbols of the right-hand side and of `over`, by name."""
        return tuple(sorted({*self.expression.free_symbols, *self.over}, key=lambda s: s.name))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the arguments."""
        return tuple(s.name for s in self.symbols)

    @cached_property
    def arguments(self) -> Mapping[str, Quantity]:
        """Declaration of each argument, by name."""
        return MappingProxyType({name: declaration(name) for name in self.names})

    def latex(self, *, left: bool = True) -> str:
        """Return the formula in LaTeX, with the declared symbols.

        Parameters
        ----------
        left : bool
            Whether to write the left-hand side too.
        """
        written = {s: declaration(s.name).symbol for s in self.symbols}
        right = sympy.latex(self.expression, symbol_names=written)
        return f"{self.result.symbol} = {right}" if left else right

    def derivative(self, name: str) -> Equation:
        """Return the partial derivative with respect to one argument, as an equation.

        Raises
        ------
        InputError
            If the equation does not depend on `name`.
        """
        if name not in self.names:
            raise InputError(
                f"{self.name} does not depend on {name!r}",
                expected=f"one of {', '.join(self.names)}",
            )
        cached: dict[str, Equation] = self.__dict__.setdefault("_derivatives", {})
        if name not in cached:
            by = next(s for s in self.symbols if s.name == name)
            unit = declaration(name).unit
            result = Quantity(
                f"d_{self.name}_d_{name}",
                rf"\partial {self.result.symbol} / \partial {declaration(name).symbol}",
                self.result.unit if unit == "1" else f"({self.result.unit})/({unit})",
                (-np.inf, np.inf),
                (-np.inf, np.inf),
                f"change of: {self.result.meaning}, with: {declaration(name).meaning}",
                f"derivative of {self.name}",
            )
            cached[name] = Equation(
                name=result.name,
                result=result,
                expression=sympy.diff(self.expression, by),
                source=f"derivative of {self.name}",
                assumptions=self.assumptions,
                stated_error=self.stated_error,
                valid=self.valid,
                within=self.within,
                over=self.symbols,
            )
        return cached[name]

    @cached_property
    def _function(self) -> Any:
        return sympy.lambdify(
            self.symbols, self.expression, modules=[dict(NUMERIC), "scipy", "numpy"], cse=True
        )

    @cached_property
    def _condition(self) -> tuple[tuple[str, ...], Any]:
        symbols = sorted(self.within.free_symbols, key=lambda s: s.name)
        names = tuple(s.name for s in symbols)
        return names, sympy.lambdify(symbols, self.within, modules=[dict(NUMERIC), "numpy"])

    def __call__(self, **values: Any) -> FloatArray:
        """Evaluate the formula.

        Parameters
        ----------
        **values : array_like
            Every argument by name, in the declared units; shapes broadcast together. NaN gives NaN.

        Returns
        -------
        ndarray
            Shape of the arguments broadcast together.

        Raises
        ------
        InputError
            If a name is unknown or missing, a value is no number or is out of its domain, or the
            shapes do not broadcast.
        """
        checkpoint()
        self._check_names(values)
        arrays = floats(**values)
        try:
            shape = _common_shape(arrays)
        except ValueError:
            shapes = ", ".join(f"{k} {a.shape}" for k, a in arrays.items())
            raise InputError(f"the shapes of {self.name} do not broadcast: {shapes}") from None
        result = np.asarray(self.unchecked(arrays), dtype=np.float64)
        return result if result.shape == shape else np.broadcast_to(result, shape).copy()

    def unchecked(self, arrays: Mapping[str, Any]) -> Any:
        """Evaluate the formula where the arguments are known to be good: a fit asks thousands of times.

        Parameters
        ----------
        arrays : mapping of str to array_like
            Every argument by name, inside its domain; others are ignored. Shapes broadcast together.

        Returns
        -------
        ndarray or float
            Of a shape that broadcasts to that of the arguments.
        """
        with np.errstate(all="ignore"):
            return self._function(*(arrays[name] for name in self.names))

    def holds(self, **values: Any) -> npt.NDArray[np.bool_]:
        """Tell where the arguments lie inside the region of validity.

        Parameters
        ----------
        **values : array_like
            At least the arguments that :attr:`within` is about; others are ignored.

        Returns
        -------
        ndarray of bool
            True where the stated error was checked; False for NaN.

        Raises
        ------
        InputError
            If an argument of the condition is missing.
        """
        if self.within is None:
            shape = np.broadcast_shapes(*(np.shape(v) for v in values.values()))
            return np.ones(shape, dtype=bool)
        names, condition = self._condition
        missing = [name for name in names if name not in values]
        if missing:
            raise InputError(f"{self.name} needs {', '.join(missing)}", field=missing[0])
        arrays = floats(**{name: values[name] for name in names})
        with np.errstate(all="ignore"):
            return np.asarray(condition(*(arrays[name] for name in names)), dtype=bool)

    def _check_names(self, values: Mapping[str, Any]) -> None:
        if values.keys() == self.arguments.keys():
            return
        unknown = [name for name in values if name not in self.names]
        if unknown:
            raise InputError(
                f"{self.name} has no argument {', '.join(unknown)}",
                field=unknown[0],
                expected=f"only {', '.join(self.names)}",
            )
        missing = [name for name in self.names if name not in values]
        if missing:
            raise InputError(f"{self.name} needs {', '.join(missing)}", field=missing[0])


#: Every declared equation, by name.
EQUATIONS: Mapping[str, Equation] = MappingProxyType(_REGISTERED)


def declare(
    name: str,
    latex: str,
    unit: str,
    meaning: str,
    expression: Any,
    *,
    source: str,
    assumptions: tuple[str, ...] = (),
    stated_error: str = "exact",
    valid: str = "everywhere in the domain",
    within: Any = None,
) -> Equation:
    """Declare an equation and enter it in :data:`EQUATIONS`.

    Parameters
    ----------
    name, latex, unit, meaning : str
        The left-hand side.
    expression : sympy.Expr
        The right-hand side.
    source, assumptions, stated_error, valid, within
        As in :class:`Equation`.

    Raises
    ------
    ValueError
        If the name is taken: a formula is declared once.
    """
    if name in _REGISTERED:
        raise ValueError(f"the equation {name!r} is declared twice")
    result = Quantity(name, latex, unit, (-np.inf, np.inf), (-np.inf, np.inf), meaning, source)
    _REGISTERED[name] = Equation(
        name, result, sympy.sympify(expression), source, assumptions, stated_error, valid, within
    )
    return _REGISTERED[name]
