"""Arithmetic over arrays in one loop: numpy's operators one after the other would make an array each.

A nest of operators and of functions of one element becomes one function over its leaves, which are
whatever the nest is built on. Each element goes through the same operations in the same order, so the
numbers are the same to the last bit.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from perfmodel.webpage.translate.loops import NUMBERS, SPECIAL
from perfmodel.webpage.translate.values import number

if TYPE_CHECKING:
    from perfmodel.webpage.translate.expressions import Expressions

__all__ = ["fused"]

_ARITHMETIC = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_COMPARE = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "===", ast.NotEq: "!=="}
_LOGIC = {ast.BitAnd: "&&", ast.BitOr: "||"}
_FLAGS = {"isnan": "Number.isNaN", "isfinite": "Number.isFinite"}
_NUMBERS = {"np.nan": "NaN", "np.inf": "Infinity", "math.nan": "NaN", "math.inf": "Infinity"}

#: Operators that lists and strings do not have: what they stand among are numbers.
_ONLY_NUMBERS = (ast.Sub, ast.Div, ast.Pow)


@dataclass
class _Nest:
    """What a nest is made of, as it is taken apart."""

    express: Expressions
    leaves: dict[str, str] = field(default_factory=dict)
    operations: int = 0
    numeric: bool = False

    def leaf(self, node: ast.expr) -> tuple[str, str]:
        made = self.express.plainly(node)
        # The same variable twice is one leaf; a call is made as often as it stands there.
        key = made if isinstance(node, (ast.Name, ast.Attribute)) else f"{made}#{len(self.leaves)}"
        return self.leaves.setdefault(key, f"a{len(self.leaves)}"), "leaf"

    def as_number(self, node: ast.expr) -> str:
        made, kind = self.part(node)
        return f"({made}?1:0)" if kind == "flag" else made

    def as_flag(self, node: ast.expr) -> str:
        made, kind = self.part(node)
        return made if kind == "flag" else f"({made}!==0)"

    def part(self, node: ast.expr) -> tuple[str, str]:
        """Return JavaScript of one element, and whether it is a number, a flag, or a leaf."""
        if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
            if not isinstance(node.value, bool):
                return number(node.value), "number"
        elif isinstance(node, ast.BinOp):
            return self._operator(node)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            self.operations += 1
            return f"(-{self.as_number(node.operand)})", "number"
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert):
            self.operations += 1
            return f"(!{self.as_flag(node.operand)})", "flag"
        elif isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARE:
            self.operations += 1
            sides = self.as_number(node.left), self.as_number(node.comparators[0])
            return f"({sides[0]}{_COMPARE[type(node.ops[0])]}{sides[1]})", "flag"
        elif isinstance(node, ast.Call) and not node.keywords:
            return self._call(node)
        elif isinstance(node, ast.Attribute):
            known = self.express.library(node)
            if known in _NUMBERS:
                return _NUMBERS[known], "number"
        return self.leaf(node)

    def _operator(self, node: ast.BinOp) -> tuple[str, str]:
        kind = type(node.op)
        self.numeric |= kind in _ONLY_NUMBERS
        if kind in _LOGIC:
            self.operations += 1
            return f"({self.as_flag(node.left)}{_LOGIC[kind]}{self.as_flag(node.right)})", "flag"
        if kind is ast.Pow:
            self.operations += 1
            base = self.as_number(node.left)
            if isinstance(node.right, ast.Constant) and node.right.value == 2:
                return f"squared({base})", "number"
            return f"Math.pow({base},{self.as_number(node.right)})", "number"
        if kind not in _ARITHMETIC:
            return self.leaf(node)
        self.operations += 1
        left, right = self.as_number(node.left), self.as_number(node.right)
        return f"({left}{_ARITHMETIC[kind]}{right})", "number"

    def _call(self, node: ast.Call) -> tuple[str, str]:
        name = self.express.library(node.func)
        owner, _, last = name.partition(".")
        given = node.args
        if name == "np.where" and len(given) == 3:
            self.operations += 1
            self.numeric = True
            choice = self.as_flag(given[0]), self.as_number(given[1]), self.as_number(given[2])
            return "({}?{}:{})".format(*choice), "number"
        if name == "np.clip" and len(given) == 3:
            self.operations += 2
            self.numeric = True
            inner = ",".join(self.as_number(a) for a in given[:2])
            return f"Math.min(Math.max({inner}),{self.as_number(given[2])})", "number"
        if owner == "np" and last in _FLAGS and len(given) == 1:
            self.operations += 1
            return f"{_FLAGS[last]}({self.as_number(given[0])})", "flag"
        table = NUMBERS if owner == "np" else SPECIAL.get(owner, {})
        if last not in table or len(given) != len(table[last][0].split()):
            return self.leaf(node)
        self.operations += 1
        self.numeric = True
        names, made = table[last]
        values = dict(zip(names.split(), (self.as_number(a) for a in given), strict=True))
        if last == "square":
            return f"squared({values['a']})", "number"
        return _filled(made, values), "number"


def _filled(made: str, values: dict[str, str]) -> str:
    """Put expressions in the place of the one-letter arguments of a template."""
    return "(" + re.sub(r"(?<![\w.])([abc])(?!\w)", lambda m: values[m[1]], made) + ")"


def fused(express: Expressions, node: ast.expr) -> str | None:
    """Return a nest of arithmetic as one function over its leaves; None where it is no such nest."""
    nest = _Nest(express)
    made, kind = nest.part(node)
    if kind != "number" or nest.operations < 2 or not nest.numeric or not nest.leaves:
        return None
    names = list(nest.leaves.values())
    name = express.reached.loop(names, made)
    given = ",".join(key.rpartition("#")[0] if "#" in key else key for key in nest.leaves)
    return f"{name}({given})"
