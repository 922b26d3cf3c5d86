"""Python functions and classes as JavaScript over the runtime of ``static/python.js``."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any

from perfmodel.webpage.translate.expressions import Expressions
from perfmodel.webpage.translate.scope import Scope, bound_names, safe
from perfmodel.webpage.translate.source import TranslationError, module_of, node_of
from perfmodel.webpage.translate.values import text, value

if TYPE_CHECKING:
    from perfmodel.webpage.translate.reach import Reached

__all__ = ["class_text", "function_text", "method_text"]


class _Statements:
    """Translate the body of one function."""

    def __init__(self, reached: Reached, scope: Scope) -> None:
        self.reached, self.scope = reached, scope
        self.express = Expressions(reached, scope)

    def block(self, body: list[ast.stmt]) -> str:
        return "".join(self.one(node) for node in body)

    def one(self, node: ast.stmt) -> str:
        handler: Callable[[Any], str] | None = getattr(
            self, f"_{type(node).__name__.lower()}", None
        )
        if handler is None:
            raise self.express.refuse(node)
        return handler(node)

    def _pass(self, node: ast.stmt) -> str:  # noqa: ARG002
        return ""

    _import = _importfrom = _assert = _pass

    def _break(self, node: ast.Break) -> str:  # noqa: ARG002
        return "break;"

    def _continue(self, node: ast.Continue) -> str:  # noqa: ARG002
        return "continue;"

    def _expr(self, node: ast.Expr) -> str:
        if isinstance(node.value, ast.Constant):
            return ""  # a docstring
        return f"{self.express(node.value)};"

    def _return(self, node: ast.Return) -> str:
        return f"return {self.express(node.value) if node.value else 'null'};"

    def _assign(self, node: ast.Assign) -> str:
        taken = self.express(node.value)
        if len(node.targets) == 1:
            return self._store(node.targets[0], taken)
        return f"{{const $v={taken};{''.join(self._store(t, '$v') for t in node.targets)}}}"

    def _annassign(self, node: ast.AnnAssign) -> str:
        return self._store(node.target, self.express(node.value)) if node.value else ""

    def _augassign(self, node: ast.AugAssign) -> str:
        load = ast.parse(ast.unparse(node.target), mode="eval").body
        whole = ast.copy_location(ast.BinOp(load, node.op, node.value), node)
        ast.fix_missing_locations(whole)
        return self._store(node.target, self.express(whole))

    def _store(self, target: ast.expr, taken: str) -> str:
        if isinstance(target, ast.Name):
            return f"{safe(target.id)}={taken};"
        if isinstance(target, ast.Attribute):
            return f"{self.express(target.value)}.{target.attr}={taken};"
        if isinstance(target, ast.Subscript):
            place = self.express(target.value)
            return f"$set({place},{self.express.index(target.slice)},{taken});"
        if isinstance(target, ast.Tuple) and any(isinstance(e, ast.Subscript) for e in target.elts):
            stored = (self._store(e, f"$v[{i}]") for i, e in enumerate(target.elts))
            return f"{{const $v=$it({taken});{''.join(stored)}}}"
        if isinstance(target, ast.Tuple):
            return f"{self.express.target(target)}=$it({taken});"
        raise self.express.refuse(target)

    def _if(self, node: ast.If) -> str:
        out = f"if({self.express.truth(node.test)}){{{self.block(node.body)}}}"
        return out + (f"else{{{self.block(node.orelse)}}}" if node.orelse else "")

    def _for(self, node: ast.For) -> str:
        if node.orelse:
            raise self.express.refuse(node, "a loop with an else")
        stored = self._store(node.target, "$each")
        return (
            f"for(const $each of $it({self.express(node.iter)})){{{stored}{self.block(node.body)}}}"
        )

    def _while(self, node: ast.While) -> str:
        if node.orelse:
            raise self.express.refuse(node, "a loop with an else")
        return f"while({self.express.truth(node.test)}){{{self.block(node.body)}}}"

    def _with(self, node: ast.With) -> str:
        for item in node.items:
            call = item.context_expr
            if not (isinstance(call, ast.Call) and ast.unparse(call.func) == "np.errstate"):
                raise self.express.refuse(node)
        # JavaScript's numbers warn of nothing.
        return self.block(node.body)

    def _raise(self, node: ast.Raise) -> str:
        return f"throw {self.express(node.exc) if node.exc else '$error'};"

    def _try(self, node: ast.Try) -> str:
        if node.finalbody or node.orelse:
            raise self.express.refuse(node)
        branches = []
        for handler in node.handlers:
            kinds = self.express._kinds(handler.type) if handler.type else "[]"
            named = f"{safe(handler.name)}=$error;" if handler.name else ""
            branches.append(f"if($caught($error,{kinds})){{{named}{self.block(handler.body)}}}")
        return f"try{{{self.block(node.body)}}}catch($error){{{'else '.join(branches)}else throw $error;}}"

    def _functiondef(self, node: ast.FunctionDef) -> str:
        names, listed = self.express.parameters(node.args)
        body = _body(self.reached, self.scope, node, names)
        if node.args.kwarg:
            raise self.express.refuse(node, "a function inside another takes any keyword")
        keys = ",".join(text(n) for n in names if n != _star(node.args))
        star = '"*"' if node.args.vararg else "null"
        return f"{safe(node.name)}=$fn(({listed})=>{{{body}}},[{keys}],{star});"


def _star(given: ast.arguments) -> str:
    return given.vararg.arg if given.vararg else ""


def _body(
    reached: Reached, outer: Scope, node: ast.FunctionDef, names: list[str], before: str = ""
) -> str:
    """Return the inside of a function: defaults, its variables, its statements."""
    bound, imported = bound_names(node.body)
    late_names = [a.arg for a in node.args.kwonlyargs] if node.args.vararg else []
    if late_names and node.args.vararg:
        star = safe(node.args.vararg.arg)
        before += (
            f"const $late=$take({star});let {{{','.join(safe(n) for n in late_names)}}}=$late;"
        )
    names = [*names, *late_names]
    scope = outer.inner([*names, *bound], imported)
    # A default is worked out where the function is defined, of which it knows no variable.
    defaults = Expressions(reached, outer)
    given = node.args
    positional = [*given.posonlyargs, *given.args]
    late = positional[len(positional) - len(given.defaults) :]
    pairs = [*zip(late, given.defaults, strict=True),
             *((a, d) for a, d in zip(given.kwonlyargs, given.kw_defaults, strict=True) if d)]  # fmt: skip
    out = before
    for argument, default in pairs:
        name = safe(argument.arg)
        out += f"if({name}===undefined){name}={defaults(default)};"
    own = [safe(n) for n in bound if n not in names]
    if own:
        out += f"let {','.join(own)};"
    return out + _Statements(reached, scope).block(node.body)


def function_text(reached: Reached, thing: Any, name: str) -> str:
    """Return the definition of a function of a module."""
    node = node_of(thing)
    assert isinstance(node, ast.FunctionDef)
    scope = Scope(module_of(thing))
    express = Expressions(reached, scope)
    given = node.args
    names, listed = express.parameters(given)
    rest = ""
    if given.kwarg:
        rest = given.kwarg.arg
        names, listed = [*names, rest], f"{listed}{',' if listed else ''}{safe(rest)}"
    body = _body(reached, scope, node, names)
    keys = ",".join(text(n) for n in names if n not in (rest, _star(given)))
    rest = "*" if given.vararg else rest
    return (
        f"function {name}({listed}){{{body}}}$fn({name},[{keys}],{text(rest) if rest else 'null'});"
    )


def method_text(reached: Reached, owner: type, node: ast.FunctionDef) -> tuple[str, str]:
    """Return one method as JavaScript writes it in a class, and the list of its parameters."""
    scope = Scope(module_of(owner))
    express = Expressions(reached, scope)
    names, listed = express.parameters(node.args)
    rest = ""
    if node.args.kwarg:
        rest = node.args.kwarg.arg
        listed = f"{listed}{',' if listed else ''}{safe(rest)}"
    kinds = {ast.unparse(d) for d in node.decorator_list}
    own, _, listed = listed.partition(",")
    how, before = "", f"const {own}=this;"
    if "classmethod" in kinds:
        how = "static "
    elif "staticmethod" in kinds:
        how, before = "static ", ""
        listed = f"{own},{listed}" if listed else own
    elif kinds & {"property", "cached_property"}:
        how = "get "
    body = _body(reached, scope, node, [*names, rest] if rest else names, before)
    name = "$init" if node.name == "__init__" else node.name
    names = names if "staticmethod" in kinds else names[1:]
    keys = ",".join(text(n) for n in names if n != _star(node.args))
    rest = "*" if node.args.vararg else rest
    whole = f"{{p:[{keys}],rest:{text(rest) if rest else 'null'}}}"
    return f"{how}{name}({listed}){{{body}}}", f"[{text(name)},{whole}]"


def class_text(reached: Reached, owner: type, name: str, wanted: set[str]) -> str:
    """Return a class with those of its methods that somebody asks for.

    Parameters
    ----------
    reached : Reached
    owner : type
        A dataclass, an enumeration, or a class with an ``__init__``.
    name : str
        Its name in JavaScript.
    wanted : set of str
        Names of attributes that the model uses.
    """
    node = node_of(owner)
    assert isinstance(node, ast.ClassDef)
    if issubclass(owner, BaseException):
        raise TranslationError(f"{owner.__qualname__} is an error and must be written by hand")
    methods, kept = [], []
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and reached.wants(item.name, wanted):
            whole, keys = method_text(reached, owner, item)
            methods.append(whole)
            kept.append(keys)
    bases = [b for b in owner.__bases__ if reached.is_class(b)]
    if len(bases) > 1:
        raise TranslationError(f"{owner.__qualname__} has several bases")
    base = reached.name_of(bases[0], module_of(owner), bases[0].__name__) if bases else "Thing"
    out = f"class {name} extends {base}{{{''.join(methods)}}}"
    out += f"$class({name},{text(owner.__name__)},[{','.join(kept)}]);"
    if issubclass(owner, Enum):
        members = ",".join(f"[{text(m.name)},{value(m.value, reached.refer)}]" for m in owner)
        return f"{out}$enum({name},[{members}]);"
    skipped = [f.name for f in dataclasses.fields(owner)] if dataclasses.is_dataclass(owner) else []
    for key, held in vars(owner).items():
        if key in wanted and key not in skipped and isinstance(held, (int, float, str, tuple)):
            out += f"{name}.prototype.{key}={value(held, reached.refer)};"
    if dataclasses.is_dataclass(owner):
        out += f"$data({name},[{','.join(_fields(reached, owner))}],{_eq(owner)});"
    return out


def _eq(owner: type) -> str:
    """Whether two instances with the same fields are equal."""
    return "true" if owner.__dataclass_params__.eq else "false"  # type: ignore[attr-defined]


def _fields(reached: Reached, owner: type) -> list[str]:
    """Return name and default of each field; a default that is made anew is a function."""
    out = []
    for item in dataclasses.fields(owner):
        if item.default is not dataclasses.MISSING:
            default = f"()=>{value(item.default, reached.refer)}"
        elif item.default_factory is not dataclasses.MISSING:
            default = _factory(reached, owner, item)
        else:
            default = "null"
        out.append(f"[{text(item.name)},{default},{'true' if item.init else 'false'}]")
    return out


def _factory(reached: Reached, owner: type, item: Any) -> str:
    for node in node_of(owner).body:
        if not isinstance(node, ast.AnnAssign) or ast.unparse(node.target) != item.name:
            continue
        if not isinstance(node.value, ast.Call):
            continue
        for keyword in node.value.keywords:
            if keyword.arg == "default_factory":
                made = Expressions(reached, Scope(module_of(owner)))(keyword.value)
                return f"()=>$call({made})"
    raise TranslationError(f"{owner.__qualname__}.{item.name}: its default's maker is not found")
