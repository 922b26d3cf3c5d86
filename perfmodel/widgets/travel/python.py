"""Python that builds the scenario. Read back as literals: nothing of a text is run."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from perfmodel.errors import InputError
from perfmodel.kernel import Kernel
from perfmodel.scenario import Call, Faults, Policy, Scenario, Writers
from perfmodel.widgets.shown import Exploration
from perfmodel.widgets.travel.machines import Machines, shipped

__all__ = ["from_python", "python_text", "to_python"]

_PARTS: Mapping[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    kind.__name__: (kind, tuple(f.name for f in fields(kind)))
    for kind in (Call, Faults, Writers, Kernel, Scenario)
}


def python_text(s: Scenario) -> str:
    """Return Python that builds a scenario as ``s`` and prints its verdict.

    The static page has this function too, translated.
    """
    kernel = repr(s.kernel.release)
    if not s.kernel.hung_task_blocker:
        kernel = f"pm.Kernel({kernel}, hung_task_blocker=False)"
    lines = [
        "import perfmodel as pm",
        "",
        "s = pm.Scenario(",
        f"    machine={s.machine.name!r},",
        f"    kernel={kernel},",
        f"    call={_python(s.call, Call(s.call.operation, transition=s.call.transition))},",
        f"    faults={_python(s.faults, None)},",
        f"    writers={_python(s.writers, None)},",
        f"    cpus={s.cpus},",
    ]
    if s.policies != Scenario.__dataclass_fields__["policies"].default:
        listed = ", ".join(f"pm.Policy.{p.name}" for p in s.policies)
        lines.append(f"    policies=({listed},),")
    return "\n".join([*lines, ")", "print(pm.predict(s).verdict.sentence)", ""])


def _python(part: Call | Faults | Writers, default: object | None) -> str:
    """Write a part of a scenario with the arguments that are not the default's."""
    default = default if default is not None else type(part)
    words = []
    for item in fields(part):
        value = getattr(part, item.name)
        assumed = getattr(default, item.name, None) if isinstance(default, type) else None
        if not isinstance(default, type):
            assumed = getattr(default, item.name)
        always = item.name in ("operation", "pages", "transition")
        if always or value != assumed:
            words.append(f"{item.name}={value!r}")
    return f"pm.{type(part).__name__}({', '.join(words)})"


def to_python(exploration: Exploration) -> str:
    """Return Python that builds the scenario as ``s`` and prints its verdict."""
    return python_text(exploration.scenario)


def from_python(text: str, machines: Machines = shipped) -> Exploration:
    """Return the scenario that a ``Scenario(...)`` in Python text states.

    Literals, ``Call``, ``Faults``, ``Writers``, ``Kernel`` and ``Policy`` are understood; names of
    variables, arithmetic and everything else is an error, and nothing is run.

    Parameters
    ----------
    text : str
        Python with one ``Scenario(...)`` in it; the rest is not looked at.
    machines : callable
        Name to `Machine`.

    Raises
    ------
    InputError
        If there is no such call or more than one, or an argument is no literal or wrong.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        at = "" if line is None else f" in line {line}"
        raise InputError(f"this is not Python ({getattr(error, 'msg', error)}{at})") from None
    found = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and _name(n.func) == "Scenario"]
    if len(found) != 1:
        raise InputError(f"there are {len(found)} Scenario(...) in this text", expected="one")
    return Exploration(_built(found[0], machines))


def _name(node: ast.expr) -> str:
    """Return the last part of a dotted name; empty for anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _built(node: ast.Call, machines: Machines) -> Any:
    name = _name(node.func)
    if name not in _PARTS:
        raise _wrong(node, "a literal, or one of " + ", ".join(_PARTS))
    kind, names = _PARTS[name]
    if len(node.args) > len(names):
        raise _wrong(node, f"at most {len(names)} arguments of {name}")
    arguments = dict(zip(names, node.args, strict=False))
    for word in node.keywords:
        if word.arg not in names:
            raise InputError(f"{name} has no argument {word.arg!r} (line {node.lineno})",
                             expected="some of " + ", ".join(names))  # fmt: skip
        if word.arg in arguments:
            raise InputError(f"{name} is given {word.arg!r} twice (line {node.lineno})")
        arguments[word.arg] = word.value
    values = {n: _value(a, machines) for n, a in arguments.items()}
    if kind is Scenario:
        _check_scenario(values, machines)
    elif kind is Kernel and not isinstance(values.get("release"), str):
        raise InputError("a kernel is named by a text", field="kernel", expected='such as "5.11"')
    return kind(**values)


def _check_scenario(values: dict[str, Any], machines: Machines) -> None:
    """Put the machine in place, and refuse parts of the wrong kind before they go any further."""
    if not isinstance(values.get("machine"), str):
        raise InputError("no machine is named", field="machine", expected="a profile's name")
    values["machine"] = machines(values["machine"])
    kinds = {"kernel": (str, Kernel), "call": Call, "faults": Faults, "writers": Writers}
    for name, kind in kinds.items():
        if name in values and not isinstance(values[name], kind):  # type: ignore[arg-type]
            raise InputError(f"{values[name]!r} is not what stands there", field=name,
                             expected=f"{name.capitalize()}(...)")  # fmt: skip
    if "policies" in values:
        given = values["policies"]
        if not isinstance(given, (tuple, list)) or not all(isinstance(p, Policy) for p in given):
            raise InputError(f"{given!r} is no list of policies", field="policies",
                             expected="such as (Policy.NONE, Policy.LAST_VMA)")  # fmt: skip


def _value(node: ast.expr, machines: Machines) -> Any:
    if isinstance(node, ast.Call):
        return _built(node, machines)
    if isinstance(node, ast.Attribute) and _name(node.value) == "Policy":
        if node.attr not in Policy.__members__:
            raise _wrong(node, "one of " + ", ".join(Policy.__members__))
        return Policy[node.attr]
    if isinstance(node, (ast.Tuple, ast.List)):
        return tuple(_value(each, machines) for each in node.elts)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError):
        raise _wrong(node, "a literal: nothing is run to find out what it is") from None


def _wrong(node: ast.expr, expected: str) -> InputError:
    return InputError(f"{ast.unparse(node)[:60]!r} in line {node.lineno}", expected=expected)
