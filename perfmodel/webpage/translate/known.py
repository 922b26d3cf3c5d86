"""What the runtime in ``static/`` knows of Python and its libraries, by name."""

from __future__ import annotations

from perfmodel.webpage.translate.scope import words

__all__ = ["ATTRIBUTES", "BUILTINS", "EXCEPTIONS", "METHODS", "MODULES"]

#: Attributes that numbers, strings and lists of Python have: asked of the runtime, as those of
#: JavaScript do not.
ATTRIBUTES = frozenset(["shape", "size", "ndim", "T", "flat", "__name__", "__dataclass_fields__"])
METHODS = words(
    "join startswith endswith split partition rpartition replace strip lstrip rstrip lower upper"
    " removeprefix removesuffix title index count append extend insert pop sort copy sum any all"
    " reshape ravel max min mean astype tobytes tolist is_integer setflags"
)  # fmt: skip

#: Modules that the runtime stands in for.
MODULES = {"numpy": "np", "math": "math", "scipy.special": "sc", "warnings": "warnings",
            "shlex": "shlex", "json": "json"}  # fmt: skip

#: Built-in functions that the runtime has, and the classes that are called like functions.
BUILTINS = words(
    "abs all any bool dict enumerate float frozenset getattr hasattr int iter len list map max min"
    " next range repr reversed round set setattr sorted str sum tuple zip object type id print"
    " slice replace fields asdict is_dataclass MappingProxyType partial"
)  # fmt: skip
EXCEPTIONS = frozenset(["ValueError", "KeyError", "TypeError", "IndexError", "NotImplementedError",
                         "ZeroDivisionError", "OverflowError", "StopIteration"])  # fmt: skip
