"""Where a Python function or class stands in its file, as a syntax tree."""

from __future__ import annotations

import ast
import inspect
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from perfmodel.errors import PerfmodelError

__all__ = ["TranslationError", "constant_at", "module_of", "node_of", "place"]

Definition = ast.FunctionDef | ast.ClassDef


class TranslationError(PerfmodelError):
    """The model uses something that the translation to JavaScript does not know."""


@cache
def _definitions(name: str) -> dict[str, Definition]:
    """Return every function and class of a module by qualified name."""
    module = sys.modules[name]
    found: dict[str, Definition] = {}

    def visit(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef):
                found[prefix + node.name] = node
            elif isinstance(node, ast.ClassDef):
                found[prefix + node.name] = node
                visit(node.body, f"{prefix}{node.name}.")

    visit(ast.parse(inspect.getsource(module)).body, "")
    return found


def node_of(thing: Any) -> Definition:
    """Return the definition of a function or class.

    Raises
    ------
    TranslationError
        If its module's text does not define it.
    """
    try:
        return _definitions(thing.__module__)[thing.__qualname__]
    except (AttributeError, KeyError, OSError):
        raise TranslationError(f"no source of {thing!r} is found") from None


def module_of(thing: Any) -> ModuleType:
    """Return the module that defines a function or class."""
    return sys.modules[thing.__module__]


@cache
def _assigned(name: str) -> dict[str, ast.expr]:
    return {
        target.id: node.value
        for node in ast.parse(inspect.getsource(sys.modules[name])).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def constant_at(module: str, name: str) -> ast.expr | None:
    """Return what a module assigns to a name at its top level; None if it does not."""
    return _assigned(module).get(name)


def place(module: ModuleType, node: ast.AST) -> str:
    """Return file and line of a node, for messages."""
    return f"{Path(module.__file__ or '?').name}:{getattr(node, 'lineno', 0)}"
