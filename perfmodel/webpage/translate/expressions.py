"""Python expressions as JavaScript over the runtime of ``static/python.js``."""

from __future__ import annotations

import ast
from types import ModuleType
from typing import TYPE_CHECKING, Any

from perfmodel.equations.equation import Equation
from perfmodel.webpage.translate.fusion import fused
from perfmodel.webpage.translate.known import ATTRIBUTES, METHODS, MODULES
from perfmodel.webpage.translate.replaced import NUMERIC_MODULE
from perfmodel.webpage.translate.scope import Scope, safe
from perfmodel.webpage.translate.source import TranslationError, place
from perfmodel.webpage.translate.values import number, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from perfmodel.webpage.translate.reach import Reached

__all__ = ["Expressions"]

_BINARY = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.FloorDiv: "floordiv",
    ast.Mod: "mod", ast.Pow: "pow", ast.BitAnd: "band", ast.BitOr: "bor", ast.MatMult: "matmul",
}  # fmt: skip
_COMPARE = {
    ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge", ast.Eq: "eq", ast.NotEq: "ne",
}  # fmt: skip


class Expressions:
    """Translate expressions of one scope.

    Parameters
    ----------
    reached : Reached
        Gives JavaScript names for what the expressions refer to, and takes note of it.
    scope : Scope
    """

    def __init__(self, reached: Reached, scope: Scope) -> None:
        self.reached = reached
        self.scope = scope

    def __call__(self, node: ast.expr) -> str:
        """Return the JavaScript of an expression.

        Raises
        ------
        TranslationError
            If a kind of expression is not known; the message says where it stands.
        """
        if isinstance(node, (ast.BinOp, ast.UnaryOp, ast.Call)):
            whole = fused(self, node)
            if whole is not None:
                return whole
        return self.plainly(node)

    def plainly(self, node: ast.expr) -> str:
        """Return the JavaScript of an expression, its operations one after the other."""
        handler: Callable[[Any], str] | None = getattr(
            self, f"_{type(node).__name__.lower()}", None
        )
        if handler is None:
            raise self.refuse(node)
        return handler(node)

    def library(self, node: ast.expr) -> str:
        """Return the dotted name of something that the runtime stands in for; else nothing."""
        if isinstance(node, ast.Attribute):
            return self._module_root(node) or ""
        if isinstance(node, ast.Name) and node.id not in self.scope.locals:
            found = self.scope.meaning(node.id)
            if callable(found) and getattr(found, "__module__", None) == NUMERIC_MODULE:
                return f"S.{found.__name__}"
        return ""

    def refuse(self, node: ast.AST, why: str = "") -> TranslationError:
        """Return the error that says what cannot be translated, and where it stands."""
        what = why or f"cannot translate {type(node).__name__}"
        return TranslationError(f"{place(self.scope.module, node)}: {what}: {ast.unparse(node)}")

    def within(self, names: list[str]) -> Expressions:
        """Return the translator of a scope inside this one."""
        return Expressions(self.reached, self.scope.inner(names))

    def truth(self, node: ast.expr) -> str:
        """Return an expression for a place where only true or false counts."""
        if isinstance(node, ast.BoolOp):
            joint = "&&" if isinstance(node.op, ast.And) else "||"
            return "(" + joint.join(self.truth(v) for v in node.values) + ")"
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return f"!{self.truth(node.operand)}"
        if isinstance(node, ast.Compare) and all(
            isinstance(o, (ast.Is, ast.IsNot)) for o in node.ops
        ):
            return self(node)
        return f"$t({self(node)})"

    def meaning(self, node: ast.expr) -> Any:
        """Return the Python object that a name, or a dotted name, stands for; None if it is local."""
        if isinstance(node, ast.Name) and node.id not in self.scope.locals:
            return self.scope.meaning(node.id)
        if isinstance(node, ast.Attribute):
            whole = self.meaning(node.value)
            if isinstance(whole, ModuleType) and whole.__name__ not in MODULES:
                return getattr(whole, node.attr)
        return None

    # -------------------------------------------------------------------------------- the leaves

    def _constant(self, node: ast.Constant) -> str:
        if node.value is None:
            return "null"
        if node.value is Ellipsis:
            return "$E"
        if isinstance(node.value, str):
            return text(node.value)
        if isinstance(node.value, (bool, int, float)):
            return number(node.value)
        raise self.refuse(node)

    def _name(self, node: ast.Name) -> str:
        if node.id in self.scope.locals:
            return safe(node.id)
        return self._reference(self.scope.meaning(node.id), node.id, node)

    def _reference(self, thing: Any, name: str, node: ast.AST) -> str:
        if isinstance(thing, ModuleType) and thing.__name__ in MODULES:
            return MODULES[thing.__name__]
        try:
            return self.reached.name_of(thing, self.scope.module, name)
        except TranslationError as error:
            raise self.refuse(node, str(error)) from None

    def _attribute(self, node: ast.Attribute) -> str:
        whole = self.meaning(node.value)
        if isinstance(whole, ModuleType) and whole.__name__ not in MODULES:
            return self._reference(getattr(whole, node.attr), node.attr, node)
        self.reached.attribute(node.attr)
        inner = self(node.value)
        if node.attr in ATTRIBUTES:
            return f"$attr({inner},{text(node.attr)})"
        return f"{inner}.{node.attr}"

    def _joinedstr(self, node: ast.JoinedStr) -> str:
        parts = []
        for piece in node.values:
            if isinstance(piece, ast.Constant):
                parts.append(text(str(piece.value)))
            elif isinstance(piece, ast.FormattedValue):
                form = self(piece.format_spec) if piece.format_spec else '""'
                turned = "true" if piece.conversion == ord("r") else "false"
                parts.append(f"$fmt({self(piece.value)},{form},{turned})")
        return "(" + "+".join(parts or ['""']) + ")"

    # ---------------------------------------------------------------------------------- operators

    def _binop(self, node: ast.BinOp) -> str:
        if type(node.op) not in _BINARY:
            raise self.refuse(node)
        return f"${_BINARY[type(node.op)]}({self(node.left)},{self(node.right)})"

    def _unaryop(self, node: ast.UnaryOp) -> str:
        if isinstance(node.op, ast.Not):
            return f"(!{self.truth(node.operand)})"
        if isinstance(node.op, ast.USub):
            if isinstance(node.operand, ast.Constant):
                return f"(-{self(node.operand)})"
            return f"$neg({self(node.operand)})"
        if isinstance(node.op, ast.Invert):
            return f"$inv({self(node.operand)})"
        raise self.refuse(node)

    def _boolop(self, node: ast.BoolOp) -> str:
        out = self(node.values[-1])
        name = "$andv" if isinstance(node.op, ast.And) else "$orv"
        for value in reversed(node.values[:-1]):
            out = f"{name}({self(value)},()=>{out})"
        return out

    def _compare(self, node: ast.Compare) -> str:
        if len(node.ops) == 1:
            return self._pair(node.ops[0], node.left, node.comparators[0])
        if not all(type(op) in _COMPARE for op in node.ops):
            raise self.refuse(node)
        links = (
            f"[${_COMPARE[type(op)]},()=>{self(side)}]"
            for op, side in zip(node.ops, node.comparators, strict=True)
        )
        return f"$chain({self(node.left)},{','.join(links)})"

    def _pair(self, op: ast.cmpop, left: ast.expr, right: ast.expr) -> str:
        a, b = self(left), self(right)
        if isinstance(op, ast.Is):
            return f"({a}==={b})"
        if isinstance(op, ast.IsNot):
            return f"({a}!=={b})"
        if isinstance(op, ast.In):
            return f"$in({a},{b})"
        if isinstance(op, ast.NotIn):
            return f"(!$in({a},{b}))"
        return f"${_COMPARE[type(op)]}({a},{b})"

    def _ifexp(self, node: ast.IfExp) -> str:
        return f"({self.truth(node.test)}?{self(node.body)}:{self(node.orelse)})"

    # ---------------------------------------------------------------------------------- displays

    def _tuple(self, node: ast.Tuple | ast.List) -> str:
        return "[" + ",".join(self._spread(e) for e in node.elts) + "]"

    _list = _tuple

    def _set(self, node: ast.Set) -> str:
        return f"new PySet([{','.join(self._spread(e) for e in node.elts)}])"

    def _spread(self, node: ast.expr) -> str:
        if isinstance(node, ast.Starred):
            return f"...$it({self(node.value)})"
        return self(node)

    def _dict(self, node: ast.Dict) -> str:
        pairs = []
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                pairs.append(f"...{self(value)}.items()")
            else:
                pairs.append(f"[{self(key)},{self(value)}]")
        return f"new Dict([{','.join(pairs)}])"

    def _comprehension(self, node: Any, result: Callable[[Expressions], str]) -> str:
        """Return nested filters and maps; everything is worked out at once, as a list."""
        inner, source = self, []
        for generator in node.generators:
            names = [n.id for n in ast.walk(generator.target) if isinstance(n, ast.Name)]
            over = f"$it({inner(generator.iter)})"
            inner = inner.within(names)
            target = inner.target(generator.target)
            for test in generator.ifs:
                over += f".filter(({target})=>{inner.truth(test)})"
            source.append((over, target))
        out = f"{source[-1][0]}.map(({source[-1][1]})=>{result(inner)})"
        for over, target in reversed(source[:-1]):
            out = f"{over}.flatMap(({target})=>{out})"
        return out

    def target(self, node: ast.expr) -> str:
        """Return a pattern that takes values apart."""
        if isinstance(node, ast.Name):
            return safe(node.id)
        if isinstance(node, ast.Starred):
            return f"...{self.target(node.value)}"
        if isinstance(node, (ast.Tuple, ast.List)):
            return "[" + ",".join(self.target(e) for e in node.elts) + "]"
        if isinstance(node, ast.Attribute):
            return f"{self(node.value)}.{node.attr}"
        raise self.refuse(node)

    def _listcomp(self, node: ast.ListComp) -> str:
        return self._comprehension(node, lambda inner: inner(node.elt))

    def _generatorexp(self, node: ast.GeneratorExp) -> str:
        return self._comprehension(node, lambda inner: inner(node.elt))

    def _setcomp(self, node: ast.SetComp) -> str:
        return f"new PySet({self._comprehension(node, lambda inner: inner(node.elt))})"

    def _dictcomp(self, node: ast.DictComp) -> str:
        pairs = self._comprehension(node, lambda inner: f"[{inner(node.key)},{inner(node.value)}]")
        return f"new Dict({pairs})"

    def _lambda(self, node: ast.Lambda) -> str:
        names, listed = self.parameters(node.args)
        inner = self.within(names)
        body = inner(node.body)
        return f"$fn(({listed})=>({body}),[{','.join(text(n) for n in names)}])"

    def parameters(self, given: ast.arguments) -> tuple[list[str], str]:
        """Return the names of a function's parameters, and the list as JavaScript writes it.

        Defaults are left to the function's body: ``undefined`` stands for an argument not given.
        """
        names = [a.arg for a in (*given.posonlyargs, *given.args)]
        listed = [safe(n) for n in names]
        if given.vararg:
            # Keywords after a star come in an object of their own: see `starred`.
            names.append(given.vararg.arg)
            return names, ",".join([*listed, f"...{safe(given.vararg.arg)}"])
        names += [a.arg for a in given.kwonlyargs]
        return names, ",".join(safe(n) for n in names)

    # ----------------------------------------------------------------------------- index and call

    def _subscript(self, node: ast.Subscript) -> str:
        return f"$get({self(node.value)},{self.index(node.slice)})"

    def index(self, node: ast.expr) -> str:
        """Return what stands between the brackets."""
        if isinstance(node, ast.Slice):
            ends = (
                self(e) if e is not None else "null" for e in (node.lower, node.upper, node.step)
            )
            return f"$slice({','.join(ends)})"
        if isinstance(node, ast.Tuple):
            return "[" + ",".join(self.index(e) for e in node.elts) + "]"
        return self(node)

    def _call(self, node: ast.Call) -> str:
        thing = self.meaning(node.func)
        if isinstance(node.func, ast.Name) and thing is isinstance:
            return f"$isinstance({self(node.args[0])},{self._kinds(node.args[1])})"
        if isinstance(thing, Equation):
            return self._equation_call(node, thing)
        if isinstance(thing, type) and thing is not type and self.reached.is_class(thing):
            return self._keyword_call("$new", self(node.func), node)
        if isinstance(node.func, ast.Name) and node.func.id == "cls":
            return self._keyword_call("$new", self(node.func), node)
        if isinstance(node.func, ast.Call) and self.meaning(node.func.func) is type:
            return self._keyword_call("$new", self(node.func), node)
        if isinstance(node.func, ast.Attribute):
            return self._method_call(node)
        if not node.keywords:
            return f"{self(node.func)}({self._arguments(node)})"
        return self._keyword_call("$kw", self(node.func), node)

    def _arguments(self, node: ast.Call) -> str:
        return ",".join(self._spread(a) for a in node.args)

    def _keywords(self, node: ast.Call) -> str:
        """Return keyword arguments as pairs."""
        pairs = [
            f"...{self(k.value)}.items()" if k.arg is None else f"[{text(k.arg)},{self(k.value)}]"
            for k in node.keywords
        ]
        return f"[{','.join(pairs)}]"

    def _keyword_call(self, how: str, function: str, node: ast.Call) -> str:
        return f"{how}({function},[{self._arguments(node)}],{self._keywords(node)})"

    def _method_call(self, node: ast.Call) -> str:
        assert isinstance(node.func, ast.Attribute)
        name = node.func.attr
        root = self._module_root(node.func)
        if root is not None:
            # A function of the runtime: keywords come last, as an object.
            named = ",".join(f"{k.arg}:{self(k.value)}" for k in node.keywords)
            listed = self._arguments(node)
            extra = f"{',' if listed else ''}{{{named}}}" if named else ""
            return f"{root}({listed}{extra})"
        whole = self.meaning(node.func)
        if whole is not None:
            function = self._reference(whole, name, node)
            if isinstance(whole, type):
                return self._keyword_call("$new", function, node)
            return self._keyword_call("$kw", function, node)
        declared = self.meaning(node.func.value)
        if isinstance(declared, Equation) and name == "derivative":
            (by,) = node.args
            if not isinstance(by, ast.Constant):
                raise self.refuse(node, "the derivative is not by a name")
            return self._reference(declared.derivative(str(by.value)), "", node)
        self.reached.attribute(name)
        inner = self(node.func.value)
        if name in METHODS:
            return f"$m({inner},{text(name)},[{self._arguments(node)}],{self._keywords(node)})"
        if node.keywords:
            return f"$kwm({inner},{text(name)},[{self._arguments(node)}],{self._keywords(node)})"
        return f"{inner}.{name}({self._arguments(node)})"

    def _module_root(self, node: ast.Attribute) -> str | None:
        """Return the dotted name of a function of a module that the runtime stands in for."""
        names, at = [node.attr], node.value
        while isinstance(at, ast.Attribute):
            names.append(at.attr)
            at = at.value
        if not isinstance(at, ast.Name) or at.id in self.scope.locals:
            return None
        thing = self.scope.meaning(at.id)
        if isinstance(thing, ModuleType) and thing.__name__ in MODULES:
            return ".".join([MODULES[thing.__name__], *reversed(names)])
        return None

    def _equation_call(self, node: ast.Call, declared: Equation) -> str:
        given = {k.arg: k.value for k in node.keywords if k.arg is not None}
        function = self(node.func)
        if len(given) == len(node.keywords) and set(given) == set(declared.names):
            return f"{function}({','.join(self(given[n]) for n in declared.names)})"
        return self._keyword_call("$kw", function, node)

    def _kinds(self, node: ast.expr) -> str:
        """Return what isinstance asks for: names of built-in kinds, and classes."""
        if isinstance(node, ast.Tuple):
            return "[" + ",".join(self._kinds(e)[1:-1] for e in node.elts) + "]"
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return f"[{self._kinds(node.left)[1:-1]},{self._kinds(node.right)[1:-1]}]"
        if isinstance(node, ast.Attribute):
            return f"[{text(node.attr)}]"
        thing = self.meaning(node)
        if isinstance(thing, type) and self.reached.is_class(thing):
            return f"[{self(node)}]"
        return f"[{text(getattr(thing, '__name__', str(thing)))}]"
