"""Everything that a prediction runs through, found from its entry points and translated."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Sequence
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from perfmodel.equations.equation import Equation
from perfmodel.webpage.translate import formulas
from perfmodel.webpage.translate.expressions import Expressions
from perfmodel.webpage.translate.known import BUILTINS, EXCEPTIONS
from perfmodel.webpage.translate.replaced import (
    CUT,
    EVALUATED,
    INSTEAD,
    NUMERIC_MODULE,
    REMEMBERED,
    REPLACED,
)
from perfmodel.webpage.translate.scope import Scope
from perfmodel.webpage.translate.source import TranslationError, constant_at, module_of
from perfmodel.webpage.translate.statements import class_text, function_text
from perfmodel.webpage.translate.values import text, value

__all__ = ["Reached"]

_PACKAGE = "perfmodel."


def _qualified(thing: Any) -> str:
    return f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', '')}"


class Reached:
    """What is reached so far, by its JavaScript name."""

    def __init__(self) -> None:
        self._functions: dict[str, Any] = {}
        self._classes: dict[str, type] = {}
        self._constants: dict[str, tuple[Any, ModuleType, str]] = {}
        self._equations: dict[str, Equation] = {}
        self._loops: dict[str, str] = {}
        self._attributes: set[str] = set()
        self._names: dict[int, str] = {}
        self._kept: list[Any] = []
        self._texts: list[str] = []

    # ---------------------------------------------------------------------- what names stand for

    def is_class(self, thing: Any) -> bool:
        """Whether a class is one of the model's own, or replaced by one by hand."""
        return isinstance(thing, type) and (
            (thing.__module__ or "").startswith(_PACKAGE) or thing.__name__ in EXCEPTIONS
        )

    def attribute(self, name: str) -> None:
        """Take note that somebody asks for an attribute of this name."""
        self._attributes.add(name)

    def wants(self, name: str, wanted: set[str]) -> bool:
        """Whether a class keeps a method."""
        special = ("__init__", "__post_init__", "__and__", "__getitem__")
        return name in special or (name in wanted and not name.startswith("__"))

    def refer(self, thing: Any) -> str:
        """Return the JavaScript name of a function, class or equation."""
        return self.name_of(thing, None, getattr(thing, "__name__", ""))

    def name_of(self, thing: Any, module: ModuleType | None, name: str) -> str:
        """Return the JavaScript name of what a Python name stands for, and remember it.

        Raises
        ------
        TranslationError
            If it is neither the model's nor known to the runtime.
        """
        if isinstance(thing, Equation):
            return self._equation(thing)
        thing = inspect.unwrap(thing) if callable(thing) else thing
        qualified = _qualified(thing)
        if qualified in REPLACED:
            return REPLACED[qualified]
        if qualified in INSTEAD:
            return self.name_of(getattr(module_of(thing), INSTEAD[qualified]), module, name)
        if isinstance(thing, (FunctionType, type)):
            if qualified.startswith(NUMERIC_MODULE):
                return f"S.{thing.__name__}"
            if qualified.startswith(_PACKAGE):
                return self._own(thing, qualified)
            if thing.__name__ in EXCEPTIONS:
                return f"$b.{thing.__name__}"
            if thing.__name__ in BUILTINS:
                return f"$b.{thing.__name__}"
            raise TranslationError(f"{qualified} is not known in JavaScript")
        if isinstance(thing, np.ufunc):
            return f"sc.{thing.__name__}"
        if inspect.isbuiltin(thing) and thing.__name__ in BUILTINS:
            return f"$b.{thing.__name__}"
        if module is None:
            raise TranslationError(f"{thing!r} is not known in JavaScript")
        return self._constant(thing, module, name)

    def _own(self, thing: Any, qualified: str) -> str:
        key = id(thing)
        if key not in self._names:
            self._kept.append(thing)
            self._names[key] = qualified.removeprefix(_PACKAGE).replace(".", "$")
            if isinstance(thing, type):
                self._classes[self._names[key]] = thing
            else:
                self._functions[self._names[key]] = thing
        return self._names[key]

    def _equation(self, declared: Equation) -> str:
        self._equations[declared.name] = declared
        return f"E.{declared.name}" if declared.name.isidentifier() else f"E[{text(declared.name)}]"

    def loop(self, names: list[str], made: str) -> str:
        """Return the name of a function that makes one element out of others, in one loop."""
        key = f"({','.join(names)}) {made}"
        if key not in self._loops:
            name = f"loop${len(self._loops)}"
            self._loops[key] = name
            self._texts.append(formulas.elementwise(name, names, [], made))
        return self._loops[key]

    def _constant(self, thing: Any, module: ModuleType, name: str) -> str:
        """Return the name of a module's constant; the module that defined it is found by identity."""
        for home in (module, *_modules_that_hold(thing, name)):
            if constant_at(home.__name__, name) is not None or home is module:
                module = home
        key = f"{module.__name__.removeprefix(_PACKAGE).replace('.', '$')}${name}"
        self._constants.setdefault(key, (thing, module, name))
        return key

    # -------------------------------------------------------------------------------- the text

    def script(self, entries: Sequence[Any], wanted: Sequence[str]) -> str:
        """Return the model as JavaScript.

        Parameters
        ----------
        entries : sequence
            Functions and classes that the page calls.
        wanted : sequence of str
            Methods that it calls.

        Raises
        ------
        TranslationError
            If a part cannot be translated.
        """
        self._attributes.update(wanted)
        exported = {self.refer(entry): entry for entry in entries}
        texts: dict[str, str] = {}
        while True:
            # Whatever is translated may reach more; a method may be asked for later.
            before = self._count()
            for name, thing in list(self._functions.items()):
                if name not in texts:
                    texts[name] = self._function(thing, name)
            for name, owner in list(self._classes.items()):
                texts[name] = class_text(self, owner, name, self._attributes)
            for name, (thing, module, key) in list(self._constants.items()):
                texts[name] = f"const {name}={self._value(thing, module, key)};"
            if self._count() == before:
                break
        declared = [formulas.equation(e) for _, e in sorted(self._equations.items())]
        order = [*_bases_first(self._classes), *self._functions, *self._in_order(texts)]
        listed = ",".join(f"{text(getattr(e, '__name__', n))}:{n}" for n, e in exported.items())
        return "\n".join(
            [*declared, *self._texts, *(texts[n] for n in order), f"const MODEL={{{listed}}};", ""]
        )

    def _count(self) -> tuple[int, ...]:
        groups = (
            self._functions,
            self._classes,
            self._constants,
            self._equations,
            self._attributes,
        )
        return tuple(len(g) for g in groups)

    def _function(self, thing: Any, name: str) -> str:
        qualified = _qualified(thing)
        if qualified in CUT:
            return f"function {name}(){{throw new InputError('this page has the closed forms alone');}}"
        if qualified in EVALUATED:
            self._constants[f"{name}$answer"] = (thing(), module_of(thing), name)
            return f"function {name}(){{return {name}$answer;}}"
        out = function_text(self, thing, name)
        if qualified in REMEMBERED:
            renamed = out.replace(f"function {name}(", f"function {name}$once(", 1)
            renamed = renamed.replace(f"$fn({name},", f"$fn({name}$once,", 1)
            out = f"{renamed}const {name}=$remember({name}$once,{REMEMBERED[qualified]});"
        return out

    def _value(self, thing: Any, module: ModuleType, name: str) -> str:
        try:
            return value(thing, self.refer)
        except TranslationError:
            node = constant_at(module.__name__, name)
            if node is None:
                raise
            # A table of functions or lambdas: as it is written.
            return Expressions(self, Scope(module))(node)

    def _in_order(self, texts: dict[str, str]) -> list[str]:
        """Return the constants, each after those that its text names."""
        done: dict[str, None] = {}

        def visit(name: str) -> None:
            for other in self._constants:
                if other != name and other not in done and _names(texts[name], other):
                    visit(other)
            done[name] = None

        for name in self._constants:
            if name not in done:
                visit(name)
        return list(done)


def _names(script: str, name: str) -> bool:
    return re.search(rf"(?<![\w$]){re.escape(name)}(?![\w$])", script) is not None


def _modules_that_hold(thing: Any, name: str) -> list[ModuleType]:
    return [
        module for key, module in sorted(sys.modules.items())
        if key.startswith(_PACKAGE) and vars(module).get(name) is thing
    ]  # fmt: skip


def _bases_first(classes: dict[str, type]) -> list[str]:
    return sorted(classes, key=lambda name: (len(classes[name].__mro__), name))
