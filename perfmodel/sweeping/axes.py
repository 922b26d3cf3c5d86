"""What can be swept over several values: a parameter of the scenario, a constant, a choice."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.breakeven.search import Scale
from perfmodel.breakeven.sweeps import PARAMETERS, WRITER_SHARE
from perfmodel.errors import InputError
from perfmodel.machine import CONSTANTS, Machine
from perfmodel.quantities import SCENARIO, Quantity
from perfmodel.scenario import OPERATIONS, TRANSITIONS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from perfmodel.scenario import Scenario

__all__ = ["CHOICES", "NUMBERS", "Axis", "axis_of", "changes_of", "read_axis"]

#: Numbers of a scenario: path in it, declaration. What a break-even sweeps, and two more.
NUMBERS: Mapping[str, tuple[str, str]] = {
    **PARAMETERS, "splits": ("call.splits", "splits"), "merges": ("call.merges", "merges"),
}  # fmt: skip

#: What has names and not numbers: path in the scenario.
CHOICES: Mapping[str, str] = {
    "kernel": "kernel", "operation": "call.operation", "transition": "call.transition",
    "huge": "call.huge", "machine": "machine",
}  # fmt: skip

#: As `Scenario.replace` takes them: the faults come first.
_SHORT = {"threads": "fault_threads", "think_us": "fault_think_us"}

#: What cannot be swept at once: a stream has no threads.
_EXCLUDED = (
    ("fault_rate", "fault_threads"), ("fault_rate", "fault_think_us"),
    ("writer_rate", "writer_threads"), ("writer_rate", "writer_think_us"),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Axis:
    """One parameter and the values that it takes.

    Parameters
    ----------
    name : str
        Of `NUMBERS`, `CHOICES`, or a constant of the machine.
    values : ndarray
        Numbers in the unit of the edge, or texts; of huge, booleans; of machine, profile names.
    machines : tuple of Machine
        The profiles themselves, for the axis of machines.
    """

    name: str
    values: NDArray[Any]
    machines: tuple[Machine, ...] = field(default=(), repr=False)

    @property
    def declared(self) -> Quantity | None:
        """The declaration of a number; None for a choice."""
        if self.name in NUMBERS:
            return SCENARIO[NUMBERS[self.name][1]]
        return CONSTANTS.get(self.name)

    @property
    def constant(self) -> bool:
        """Whether it is a constant of the machine."""
        return self.name in CONSTANTS

    @cached_property
    def attributes(self) -> dict[str, str]:
        """Unit and meaning, for a coordinate."""
        declared = self.declared
        if declared is None:
            return {"long_name": self.name}
        return {"units": declared.unit, "long_name": declared.meaning}

    @cached_property
    def distinct(self) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """The different values, and for each value the place of its like among them."""
        values, codes = np.unique(self.values, return_inverse=True)
        return values, codes.reshape(-1)


def axis_of(name: str, values: Any) -> Axis:
    """Return one axis, every value checked against its declaration.

    Parameters
    ----------
    name : str
        With underscores or hyphens; ``threads`` and ``think_us`` are those of the faults.
    values : sequence
        Numbers, or names of a choice; a single value is a sequence of one.

    Raises
    ------
    InputError
        If there is no such parameter, no value, or one that is out of its domain.
    """
    name = name.strip().replace("-", "_")
    name = _SHORT.get(name, name)
    if name == WRITER_SHARE:
        raise InputError(
            "the share of the calls follows from rates and is searched for, one point after another",
            field=name, expected="writer_rate, or perfmodel break-even --over writer-share",
        )  # fmt: skip
    if name not in NUMBERS and name not in CHOICES and name not in CONSTANTS:
        raise _unknown(name)
    if isinstance(values, str | bytes | Machine) or not hasattr(values, "__iter__"):
        values = [values]
    elif not hasattr(values, "__len__"):
        values = list(values)
    if len(values) == 0:
        raise InputError("there are no values", field=name, expected="at least one")
    if name == "machine":
        return _machines(values)
    if name in CHOICES:
        return Axis(name, _choices(name, values))
    declared = SCENARIO[NUMBERS[name][1]] if name in NUMBERS else CONSTANTS[name]
    return Axis(name, _numbers(name, values, declared))


def _unknown(name: str) -> InputError:
    from difflib import get_close_matches

    near = get_close_matches(name, [*NUMBERS, *CHOICES, *CONSTANTS], n=3)
    return InputError(
        f"cannot sweep {name!r}" + (f"; do you mean {' or '.join(near)}" if near else ""),
        field=name,
        expected=f"one of {', '.join([*NUMBERS, *CHOICES])}, or a constant of the machine such as"
        " shootdown",
    )


def _numbers(name: str, values: Any, declared: Quantity) -> NDArray[np.float64]:
    if isinstance(values, np.ndarray) and values.dtype.kind in "iuf":
        array = values.astype(np.float64)
    else:
        array = np.array([declared.check(_plain(v), field=name) for v in values], dtype=np.float64)
    if array.ndim != 1:
        raise InputError(f"the values have {array.ndim} dimensions", field=name, expected="one")
    low, high = declared.domain
    wrong = ~((array >= low) & (array <= high))
    if declared.integer:
        wrong |= array != np.floor(array)
    if wrong.any():
        declared.check(float(array[wrong][0]), field=name)
    return array


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _choices(name: str, values: Sequence[Any]) -> NDArray[Any]:
    from perfmodel.kernel import Kernel

    if name == "huge":
        if not all(isinstance(_plain(v), bool) for v in values):
            raise InputError("a value is not true or false", field=name)
        return np.array(values, dtype=bool)
    texts = [v.release if isinstance(v, Kernel) else v for v in values]
    allowed = {"operation": OPERATIONS, "transition": TRANSITIONS}.get(name)
    for text in texts:
        if name == "kernel":
            Kernel(text)
        elif text not in (allowed or ()):
            raise InputError(
                f"there is no {name} {text!r}", field=name,
                expected="some of " + ", ".join(allowed or ()),
            )  # fmt: skip
    return np.array(texts, dtype=str)


def _machines(values: Sequence[Any]) -> Axis:
    found = tuple(v if isinstance(v, Machine) else Machine.load(v) for v in values)
    names = [m.name for m in found]
    if len(set(names)) < len(names):
        raise InputError("two profiles have one name", field="machine", expected="different names")
    return Axis("machine", np.array(names, dtype=str), found)


def check_together(axes: Sequence[Axis], *, zipped: bool) -> None:
    """Refuse axes that cannot be swept at once.

    Raises
    ------
    InputError
        If there is none, one is given twice, two exclude each other, lengths differ where they go
        together, or values are out of order where they become a coordinate.
    """
    if not axes:
        raise InputError("nothing is swept", field="over", expected="at least one parameter")
    names = [a.name for a in axes]
    twice = [n for n in names if names.count(n) > 1]
    if twice:
        raise InputError("it is swept twice", field=twice[0], expected="one set of values")
    for one, other in _EXCLUDED:
        if one in names and other in names:
            raise InputError(
                f"{one} and {other} exclude each other: a stream has no threads that think",
                field=one, expected="one of them",
            )  # fmt: skip
    if zipped:
        lengths = {len(a.values) for a in axes}
        if len(lengths) > 1:
            told = ", ".join(f"{a.name} {len(a.values)}" for a in axes)
            raise InputError(f"the values do not go together: {told}", field="zipped",
                             expected="as many of each")  # fmt: skip
        return
    for axis in axes:
        values = axis.values
        if axis.declared is None:
            if len(set(values.tolist())) < len(values):
                raise InputError(
                    "a value is given twice", field=axis.name, expected="different ones"
                )
        elif len(values) > 1:
            steps = np.diff(values)
            if not (np.all(steps > 0) or np.all(steps < 0)):
                raise InputError(
                    "the values neither rise nor fall: they become a coordinate", field=axis.name,
                    expected="values in order, none twice, or zipped axes",
                )  # fmt: skip


def changes_of(scenario: Scenario, point: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `Scenario.replace` must change for the values of one point, constants apart.

    A rate takes the place of threads, and the other way round.
    """
    changes: dict[str, Any] = {}
    for name, value in point.items():
        if name in CHOICES:
            changes[CHOICES[name]] = _plain(value)
        elif name in NUMBERS:
            path, declared = NUMBERS[name]
            changes[path] = int(value) if SCENARIO[declared].integer else float(value)
    # As break-even does it.
    if "fault_rate" in point:
        changes |= {"faults.threads": None, "faults.think_us": None}
    elif scenario.faults.open and ("fault_threads" in point or "fault_think_us" in point):
        changes |= {"faults.rate": None}
    if "writer_rate" in point:
        changes |= {"writers.threads": None}
    elif scenario.writers.open and ("writer_threads" in point or "writer_think_us" in point):
        changes |= {"writers.rate": None}
    if "operation" in point or "transition" in point:
        # The share that is present follows from them, unless it is said.
        fresh = scenario.call.operation == "mprotect" and scenario.call.transition[:6] == "NONE->"
        if "populated" not in point and scenario.call.populated == (0.0 if fresh else 1.0):
            changes["call.populated"] = None
    return changes


_RANGE = re.compile(r"^([^:]+):([^:]+):(log|lin|)(\d+)$")


def read_axis(text: str) -> tuple[Axis, str]:
    """Read ``NAME=VALUES`` as the command line has it.

    Parameters
    ----------
    text : str
        Values are separated by commas, or a range ``FIRST:LAST:logN`` or ``FIRST:LAST:linN`` of N
        values; without log or lin the scale is that of the parameter.

    Returns
    -------
    Axis, str
        And a remark where whole numbers made fewer values than asked for; else empty.

    Raises
    ------
    InputError
        If it cannot be read, or as `axis_of`.
    """
    name, equals, given = text.partition("=")
    name = name.strip().replace("-", "_")
    name = _SHORT.get(name, name)
    if not equals or not given.strip():
        raise InputError(f"{text!r} has no values", field="--over",
                         expected="NAME=VALUES, for instance pages=1:65536:log17")  # fmt: skip
    words = [w.strip() for w in given.split(",")]
    if name not in NUMBERS and name not in CONSTANTS:
        if name == "huge":
            truth = {"yes": True, "true": True, "no": False, "false": False}
            if not all(w.lower() in truth for w in words):
                raise InputError(f"{given!r} is not yes or no", field=name, expected="no,yes")
            return axis_of(name, [truth[w.lower()] for w in words]), ""
        return axis_of(name, words), ""
    declared = SCENARIO[NUMBERS[name][1]] if name in NUMBERS else CONSTANTS[name]
    match = _RANGE.match(given.strip())
    if match is None:
        return axis_of(name, [_number(w, declared, name) for w in words]), ""
    first, last = (_number(match[i].strip(), declared, name) for i in (1, 2))
    count = int(match[4])
    if count < 1 or (count == 1 and first != last):
        raise InputError(f"{count} values cannot go from {first:g} to {last:g}", field=name,
                         expected="at least 2")  # fmt: skip
    decades = match[3] == "log" or (match[3] == "" and declared.spans_decades)
    if decades and min(first, last) <= 0:
        raise InputError("a logarithmic range begins or ends at 0", field=name,
                         expected="a first and a last value above 0, or lin")  # fmt: skip
    low, high = sorted((first, last))
    values = (
        Scale(decades, declared.integer).between(low, high, count)
        if low < high
        else np.array([low])
    )
    remark = ""
    if len(values) < count and low < high:
        remark = f"{name}: {len(values)} different whole numbers, not {count}"
    return axis_of(name, values if first <= last else values[::-1]), remark


def _number(word: str, declared: Quantity, name: str) -> float:
    try:
        value = float(word)
    except ValueError:
        raise InputError(f"{word!r} is not a number", field=name,
                         expected=declared.expectation()) from None  # fmt: skip
    return declared.check(value, field=name)
