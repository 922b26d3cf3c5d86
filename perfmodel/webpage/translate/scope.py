"""Which names a function binds itself, and what the others mean."""

from __future__ import annotations

import ast
import builtins
import importlib
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from perfmodel.webpage.translate.source import TranslationError

__all__ = ["Scope", "bound_names", "safe", "words"]


def words(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


#: Names that JavaScript keeps for itself.
_RESERVED = words(
    "arguments await break case catch class const continue debugger default delete do else enum eval"
    " export extends false finally for function if implements import in instanceof interface let new"
    " null package private protected public return static super switch this throw true try typeof"
    " undefined var void while with yield A E F S"
)

_MISSING = object()


def safe(name: str) -> str:
    """Return a name that JavaScript allows."""
    return f"{name}_" if name in _RESERVED else name


def bound_names(body: list[ast.stmt]) -> tuple[list[str], dict[str, Any]]:
    """Return the names that a function's statements assign, and what its own imports bring.

    Names of comprehensions and of functions inside are not among them.
    """
    names: dict[str, None] = {}
    imported: dict[str, Any] = {}

    def visit(node: ast.AST) -> None:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names[node.name] = None
            return
        if isinstance(
            node, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
        ):
            return
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module or "")
            for alias in node.names:
                imported[alias.asname or alias.name] = getattr(module, alias.name)
            return
        if isinstance(node, ast.Import):
            for alias in node.names:
                imported[alias.asname or alias.name] = importlib.import_module(alias.name)
            return
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names[node.id] = None
        if isinstance(node, ast.ExceptHandler) and node.name:
            names[node.name] = None
        for child in ast.iter_child_nodes(node):
            visit(child)

    for statement in body:
        visit(statement)
    return list(names), imported


@dataclass
class Scope:
    """Names at one place of the source.

    Parameters
    ----------
    module : ModuleType
        Whose globals hold.
    locals : set of str
        Bound by this function or one around it.
    imported : dict
        What import statements inside the function bring.
    """

    module: ModuleType
    locals: set[str] = field(default_factory=set)
    imported: dict[str, Any] = field(default_factory=dict)

    def inner(self, names: list[str], imported: dict[str, Any] | None = None) -> Scope:
        """Return the scope of a function or comprehension inside."""
        return Scope(self.module, self.locals | set(names), {**self.imported, **(imported or {})})

    def meaning(self, name: str) -> Any:
        """Return the Python object that a name stands for where it is not local.

        Raises
        ------
        TranslationError
            If nothing has that name.
        """
        for place in (self.imported, vars(self.module), vars(builtins)):
            found = place.get(name, _MISSING)
            if found is not _MISSING:
                return found
        raise TranslationError(f"{self.module.__name__}: nothing is called {name!r}")
