"""JSON: the whole view in one object, of which ``perfmodel --scenario FILE`` takes the scenario."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from perfmodel.errors import InputError
from perfmodel.scenario import Policy, Scenario
from perfmodel.widgets.shown import Exploration, Pin, Shown
from perfmodel.widgets.travel.machines import Machines, shipped

__all__ = ["SCHEMA", "from_document", "to_document"]

SCHEMA = "perfmodel.explorer/1"
_WANTED = f"an object of the schema {SCHEMA}, or a scenario's own"


def to_document(exploration: Exploration) -> str:
    """Return the scenario, what is shown and what is pinned as indented JSON."""
    shown = exploration.shown
    return json.dumps(
        {
            "schema": SCHEMA,
            "scenario": exploration.scenario.to_dict(),
            "view": {"view": shown.view, "over": shown.over, "across": shown.across,
                     "cut": shown.policy.value if shown.policy else None},
            "pins": [{"name": p.name, "scenario": p.scenario.to_dict()} for p in exploration.pins],
        },
        indent=2,
    )  # fmt: skip


def from_document(text: str, machines: Machines = shipped) -> Exploration:
    """Return what a JSON document says.

    Parameters
    ----------
    text : str
        What `to_document` gave, a scenario's own object, or anything that repeats its scenario under
        ``scenario``, such as the output of ``perfmodel predict --json``.
    machines : callable
        Name to `Machine`.

    Raises
    ------
    InputError
        If the text is not JSON, or a field is unknown or wrong.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"this is not JSON ({error})", expected=_WANTED) from None
    if not isinstance(data, dict):
        raise InputError("this is not an object", expected=_WANTED)
    if data.get("schema") != SCHEMA:
        inner = data.get("scenario")
        return Exploration(_scenario(inner if isinstance(inner, dict) else data, machines))
    _known(data, ("schema", "scenario", "view", "pins"), "")
    view = data.get("view", {})
    _known(view, ("view", "over", "across", "cut"), "view.")
    chosen = {k: v for k, v in view.items() if k != "cut"}
    for name, value in chosen.items():
        if not isinstance(value, str):
            raise InputError(f"{value!r} is not a name", field=f"view.{name}")
    cut = view.get("cut")
    policy = None if cut is None else Policy.parse(str(cut))[0]
    pins = data.get("pins", [])
    if not isinstance(pins, list):
        raise InputError(f"{pins!r} is not a list", field="pins")
    return Exploration(
        _scenario(data.get("scenario"), machines),
        Shown(**chosen, policy=policy),
        tuple(_pin(p, machines) for p in pins),
    )


def _pin(data: Any, machines: Machines) -> Pin:
    _known(data, ("name", "scenario"), "pins.")
    if not isinstance(data.get("name"), str):
        raise InputError("a pinned scenario has no name", field="pins.name")
    return Pin(data["name"], _scenario(data.get("scenario"), machines))


def _known(data: Any, names: tuple[str, ...], where: str) -> None:
    if not isinstance(data, Mapping):
        raise InputError(f"{data!r} is not an object", field=where.rstrip(".") or None)
    for name in data:
        if name not in names:
            raise InputError("there is no such field", field=f"{where}{name}",
                             expected="one of " + ", ".join(names))  # fmt: skip


def _scenario(data: Any, machines: Machines) -> Scenario:
    if not isinstance(data, Mapping):
        raise InputError("a scenario is not a JSON object", field="scenario", expected="an object")
    name = data.get("machine")
    if not isinstance(name, str):
        raise InputError("no machine is named", field="machine", expected="a profile's name")
    return Scenario.from_dict(data, machine=machines(name))
