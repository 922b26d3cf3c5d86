"""A link: the words after the question mark. The static page has the same in its address."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from perfmodel.errors import InputError
from perfmodel.quantities import SCENARIO
from perfmodel.scenario import STANDARD_POLICIES, Policy, Scenario
from perfmodel.widgets.parameters import CLOSED, OPEN, PATHS, given
from perfmodel.widgets.shown import Exploration, Pin, Shown
from perfmodel.widgets.travel.machines import Machines, shipped

__all__ = ["from_query", "to_query"]

_SWITCHES = ("hung_task_blocker", "huge")

#: Words about the view; `over` alone is known to the static page too.
_VIEW = ("view", "over", "across", "cut")


def to_query(exploration: Exploration) -> str:
    """Return the words that stand for the scenario and its view, without the question mark.

    What is as it would be without a word is left out, except the scenario's own numbers: a link must
    not change its meaning when a default does.
    """
    words = _scenario_words(exploration.scenario)
    shown, usual = exploration.shown, Shown()
    told = {"view": shown.view, "over": shown.over, "across": shown.across,
            "cut": shown.policy.value if shown.policy else None}  # fmt: skip
    words += [(n, v) for n, v in told.items() if v is not None and v != getattr(usual, n, None)]
    for pin in exploration.pins:
        words.append(("pin", f"{pin.name}:{_encoded(_scenario_words(pin.scenario))}"))
    return _encoded(words)


def _encoded(words: list[tuple[str, str]]) -> str:
    return urlencode(words, safe=",:")


def _scenario_words(s: Scenario) -> list[tuple[str, str]]:
    words = [("machine", s.machine.name), ("kernel", s.kernel.release),
             ("operation", s.call.operation), ("transition", s.call.transition)]  # fmt: skip
    if not s.kernel.hung_task_blocker:
        words.append(("hung_task_blocker", "0"))
    if s.call.huge:
        words.append(("huge", "1"))
    for name in SCENARIO:
        value = given(s, name)
        if value is not None:
            words.append((name, _number(value)))
    if s.policies != STANDARD_POLICIES:
        words.append(("policy", ",".join(p.value for p in s.policies)))
    return words


def _number(value: float) -> str:
    """Write a number as a browser would: no digits after the point of a whole one."""
    return str(int(value)) if float(value).is_integer() else repr(value)


def from_query(text: str, machines: Machines = shipped) -> Exploration:
    """Return what a link says.

    Parameters
    ----------
    text : str
        The words, or the whole address. The words of a page's address after ``#`` will do.
    machines : callable
        Name to `Machine`.

    Raises
    ------
    InputError
        If a word is unknown or twice there, or a value is wrong.
    """
    found = re.split(r"[?#]", text.strip(), maxsplit=1)
    pairs = parse_qsl(found[-1], keep_blank_values=True)
    pins, words = [], {}
    for name, value in pairs:
        if name == "pin":
            pins.append(_pin(value, machines))
        elif name in words:
            raise InputError("the word is there twice", field=name, expected="one value")
        else:
            words[name] = value
    view = {name: words.pop(name) for name in _VIEW if name in words}
    cut = view.pop("cut", None)
    policy = None if cut is None else _one(cut)
    return Exploration(_scenario(words, machines), Shown(**view, policy=policy), tuple(pins))


def _one(text: str) -> Policy:
    chosen = Policy.parse(text)
    if len(chosen) != 1:
        raise InputError(f"{text!r} names {len(chosen)} policies", field="cut", expected="one")
    return chosen[0]


def _pin(text: str, machines: Machines) -> Pin:
    name, colon, inner = text.rpartition(":")
    if not colon or not name:
        raise InputError(f"{text!r} is no pinned scenario", field="pin",
                         expected="a name, a colon and the words of a scenario")  # fmt: skip
    return Pin(name, _scenario(dict(parse_qsl(inner, keep_blank_values=True)), machines))


def _scenario(words: Mapping[str, str], machines: Machines) -> Scenario:
    known = {"machine", "kernel", "operation", "transition", "policy", *_SWITCHES, *SCENARIO}
    for name in words:
        if name not in known:
            raise InputError("a link has no such word", field=name,
                             expected="some of " + ", ".join((*sorted(known), *_VIEW, "pin")))  # fmt: skip
    data: dict[str, Any] = {"call": {}, "faults": {}, "writers": {}}
    for name, text in words.items():
        if name in SCENARIO:
            part, _, key = PATHS[name].rpartition(".")
            (data[part] if part else data)[key] = _read(name, text)
    # As on the page: whoever says nothing of a rate means threads.
    for part, rate in OPEN.items():
        if rate not in words and not any(n in words for n in CLOSED[part]):
            data[part]["threads"] = 32 if part == "faults" else 1
    for name in ("operation", "transition"):
        if name in words:
            data["call"][name] = words[name]
    for name in _SWITCHES:
        if name in words:
            if words[name] not in ("0", "1"):
                raise InputError(f"{words[name]!r} is no switch", field=name, expected="0 or 1")
            on = words[name] == "1"
            (data["call"] if name == "huge" else data)[name] = on
    if "kernel" in words:
        data["kernel"] = words["kernel"]
    if "policy" in words:
        data["policies"] = words["policy"].split(",")
    if "machine" not in words:
        raise InputError("the link names no machine", field="machine", expected="a profile's name")
    return Scenario.from_dict(data, machine=machines(words["machine"]))


def _read(name: str, text: str) -> float:
    declared = SCENARIO[name]
    try:
        value: float = int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        raise InputError(f"{text!r} is not a number", field=name,
                         expected=declared.expectation()) from None  # fmt: skip
    return declared.check(value, field=name)
