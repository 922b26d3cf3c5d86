"""Equations, declared in sympy, as JavaScript; and loops over arrays around one expression.

The same common parts are taken out as in the numpy function of an equation, so that the two round
alike wherever a language rounds a product as the other does.
"""

from __future__ import annotations

from typing import Any

import sympy
from sympy.printing.jscode import JavascriptCodePrinter

from perfmodel.equations.equation import Equation
from perfmodel.equations.special import NUMERIC
from perfmodel.equations.symbols import LOCAL
from perfmodel.quantities import ACCOUNT, CALL_FACTS, MACHINE, SCENARIO, STATE, quantity
from perfmodel.webpage.translate.source import TranslationError
from perfmodel.webpage.translate.values import number, text

__all__ = ["domains", "elementwise", "equation", "expression"]

_QUANTITIES = tuple(n for group in (MACHINE, STATE, CALL_FACTS, ACCOUNT, SCENARIO) for n in group)


class _Printer(JavascriptCodePrinter):  # type: ignore[misc]
    """JavaScript of an expression, one line, with the special functions of the kit."""

    def _print_Pow(self, expr: Any) -> str:  # noqa: N802
        base, exponent = expr.as_base_exp()
        # Numpy squares by a product; Math.pow may differ in the last bit.
        if exponent.is_Integer and 2 <= int(exponent) <= 3 and base.is_Atom:
            return "(" + "*".join([self._print(base)] * int(exponent)) + ")"
        if exponent == -1:
            return f"(1/{self.parenthesize(base, 1000)})"
        if exponent == sympy.Rational(1, 2):
            return f"Math.sqrt({self._print(base)})"
        return f"Math.pow({self._print(base)},{self._print(exponent)})"

    def _print_Rational(self, expr: Any) -> str:  # noqa: N802
        return f"({int(expr.p)}/{int(expr.q)})"

    def _print_Float(self, expr: Any) -> str:  # noqa: N802
        return number(float(expr))

    def _print_Infinity(self, expr: Any) -> str:  # noqa: ARG002, N802
        return "Infinity"

    def _print_Piecewise(self, expr: Any) -> str:  # noqa: N802
        out = "NaN"
        for value, condition in reversed(expr.args):
            if condition == sympy.true:
                out = f"({self._print(value)})"
            else:
                out = f"(({self._print(condition)})?({self._print(value)}):{out})"
        return out

    def _print_Function(self, expr: Any) -> str:  # noqa: N802
        name = type(expr).__name__
        if name in self.known_functions:
            return str(super()._print_Function(expr))
        if name not in NUMERIC:
            raise TranslationError(f"the function {name} has no twin in JavaScript")
        return f"F.{name}({', '.join(self._print(a) for a in expr.args)})"


_PRINTER = _Printer({"contract": False})


def expression(expr: Any) -> tuple[list[tuple[str, str]], str]:
    """Return the common parts of an expression, each with a name, and what is made of them."""
    common, (whole,) = sympy.cse([expr], symbols=sympy.numbered_symbols("x_"))
    return [(str(s), _PRINTER.doprint(e)) for s, e in common], _PRINTER.doprint(whole)


def elementwise(
    name: str, arguments: list[str], parts: list[tuple[str, str]], whole: str, *,
    boolean: bool = False,
) -> str:  # fmt: skip
    """Return a function over numbers and arrays that broadcast, a loop of its own for each.

    Parameters
    ----------
    name : str
        Of the function.
    arguments : list of str
        Names of its arguments, as they stand in the expression.
    parts, whole
        As `expression` gives them.
    boolean : bool
        Whether the result is true or false.
    """
    if not arguments:
        return f"function {name}(){{return {whole};}}"
    here = "".join(f"const {s}={e};" for s, e in parts)
    flags = "true" if boolean else "false"

    def each(form: str, between: str = ",") -> str:
        return between.join(form.replace("#", str(i)) for i in range(len(arguments)))

    numbers = each('typeof a#==="number"', "&&")
    return (
        # One element; then numbers, one draw, and arrays.
        f"const {name}$one=({','.join(arguments)})=>{{{here}return {whole};}};"
        f"function {name}({each('a#')}){{"
        f"if({numbers})return {name}$one({each('a#')});"
        f"if({each('lone(a#)', '&&')})return single({name}$one({each('head(a#)')}),{flags});"
        f"const p=plan([{each('a#')}]);if(p.n===-1)return {name}(...p.data);"
        f"const [{each('d#')}]=p.data,[{each('s#')}]=p.step,[{each('b#')}]=p.base;"
        f"const out=room(p.n),m=p.columns;let k=0;"
        f"for(let r=0;r<p.rows;r++){{let {each('o#=b#?b#[r]:0')};"
        f"for(let j=0;j<m;j++){{out[k++]={name}$one({each('d#[o#]')});{each('o#+=s#', ';')};}}}}"
        f"return new A(out,p.shape,{flags});}}"
    )


def equation(declared: Equation) -> str:
    """Return the definition of an equation in JavaScript: a function that checks its arguments."""
    names = list(declared.names)
    parts, whole = expression(declared.expression)
    inner = elementwise("values", names, parts, whole)
    listed = ",".join(text(n) for n in names)
    return (
        f"E[{text(declared.name)}]=equation({text(declared.name)},[{listed}],"
        f"(()=>{{{inner} return values;}})());"
    )


def domains() -> str:
    """Return the domain of every declared symbol: low, high, and what a right value is."""
    declared = {**{n: quantity(n) for n in _QUANTITIES}, **LOCAL}
    pairs = (
        f"{text(n)}:[{number(float(q.domain[0]))},{number(float(q.domain[1]))},{text(q.expectation())}]"
        for n, q in sorted(declared.items())
    )
    return f"const DOMAINS={{{','.join(pairs)}}};"
