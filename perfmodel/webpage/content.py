"""What the page carries beside the model: machines with their draws, controls, presets, menus."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from perfmodel import __version__
from perfmodel.breakeven import PARAMETERS
from perfmodel.errors import InputError
from perfmodel.kernel import FACTS
from perfmodel.machine import Machine
from perfmodel.prediction import DRAWS
from perfmodel.presets import PRESETS
from perfmodel.quantities import SCENARIO, Quantity
from perfmodel.report.labels import label
from perfmodel.scenario import OPERATIONS, STANDARD_POLICIES, TRANSITIONS, Policy
from perfmodel.stale_tlb import SCOPE
from perfmodel.stale_tlb.eras import ERAS
from perfmodel.widgets.state import PATHS, ExplorerState, mail_case

__all__ = ["content", "label", "stops"]

#: Which controls stand together; everything declared in SCENARIO is in one of them.
_GROUPS = (
    ("call", "The call", ("pages", "vmas", "splits", "merges", "populated", "remote_cpus")),
    ("faults", "The faults", ("fault_threads", "fault_think_us", "fault_rate", "same_vma",
                              "first_touch", "io_share", "io_us", "wp_share")),
    ("writers", "The callers", ("writer_threads", "writer_think_us", "writer_rate")),
    ("", "The machine", ("cpus",)),
)  # fmt: skip

#: What a policy is, in the words of `perfmodel.scenario.Policy`.
_POLICIES = {
    Policy.NONE: "write lock to the end",
    Policy.LAST_VMA: "cut K0: downgrade before the page-table walk of the last VMA",
    Policy.BEFORE_FLUSH: "cut K1: downgrade before the TLB flush",
    Policy.EVERY_VMA: "for each VMA: downgrade, walk and flush, drop the lock, take it again",
    Policy.READ_ONLY: "read lock throughout, as userfaultfd write-protect",
    Policy.PER_VMA: "write lock to the end, faults take the lock of their VMA",
    Policy.AFTER_FLUSH: "cut K2: downgrade after the flush",
}


def stops(declared: Quantity) -> list[float]:
    """Return where a parameter's slider can stand, over its typical range.

    Round numbers: over decades powers of two for whole numbers and twenty a decade else; on a linear
    scale every whole number, or fiftieths of the range.
    """
    low, high = declared.typical
    if declared.spans_decades and declared.integer:
        powers = [2.0**k for k in range(math.floor(math.log2(high)) + 1)]
        found = sorted({low, *powers, *(1.5 * p for p in powers[1:-1]), high})
    elif declared.spans_decades:
        first, last = round(20 * math.log10(low)), round(20 * math.log10(high))
        found = [float(f"{10 ** (k / 20):.2g}") for k in range(first, last + 1)]
    elif declared.integer:
        found = [float(k) for k in range(math.ceil(low), math.floor(high) + 1)]
    else:
        found = [float(f"{low + (high - low) * k / 50:.6g}") for k in range(51)]
    kept = dict.fromkeys(s for s in found if low <= s <= high)
    return [int(s) if declared.integer else s for s in kept]


def _start() -> dict[str, float]:
    """Return where each control stands while nobody has said anything about it."""
    state = ExplorerState(mail_case())
    return {name: state.remembered(name) for name in SCENARIO}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _controls() -> list[dict[str, Any]]:
    """Return every control, from the declarations."""
    out = []
    for part, title, names in _GROUPS:
        controls = []
        for name in names:
            declared = SCENARIO[name]
            controls.append(
                {
                    "name": name, "label": label(declared).replace("writer", "caller"), "path": PATHS[name],
                    "unit": declared.unit, "integer": declared.integer,
                    "log": declared.spans_decades, "stops": stops(declared),
                    "domain": [_finite(v) for v in declared.domain],
                    "meaning": declared.meaning, "source": declared.source,
                    "expected": declared.expectation(), "swept": name in PARAMETERS,
                }
            )  # fmt: skip
        out.append({"part": part, "title": title, "controls": controls})
    left = set(SCENARIO) - {n for _, _, names in _GROUPS for n in names}
    if left:
        raise InputError(f"no control stands for {', '.join(sorted(left))}", field="SCENARIO")
    return out


def _kernels() -> list[dict[str, str]]:
    """Return the releases at which a rule changes, and what changes there."""
    changes: dict[tuple[int, int], list[str]] = {}
    for name, history in FACTS.items():
        for fact in history:
            changes.setdefault(fact.since, []).append(name.replace("_", " "))
    for era in ERAS:
        major, minor = era.split(".")
        changes.setdefault((int(major), int(minor)), []).append("stale-TLB rules")
    for given in PRESETS.values():
        major, minor = str(given.parameters.get("kernel", "5.11")).split(".")[:2]
        changes.setdefault((int(major), int(minor)), [])
    first = min(changes)
    return [
        {
            "release": f"{major}.{minor}",
            "change": "oldest release read" if (major, minor) == first else ", ".join(what),
        }
        for (major, minor), what in sorted(changes.items())
    ]


def _column(values: np.ndarray[Any, Any]) -> float | str | None:
    """Return the draws of one constant: one number if they do not vary, none if it is unknown.

    Else their doubles, little-endian, in base64: half as long as digits, and exact.
    """
    if np.isnan(values).all():
        return None
    if (values == values[0]).all():
        return float(values[0])
    return base64.b64encode(values.astype("<f8").tobytes()).decode("ascii")


def _machine(machine: Machine, count: int) -> dict[str, Any]:
    drawn = machine.draws(count)
    return {
        "name": machine.name,
        "evidence": machine.evidence,
        "sha256": machine.sha256,
        "description": machine.description,
        "created": machine.created,
        "count": count,
        "constants": {
            name: {"value": c.value, "source": c.source, "reason": c.reason}
            for name, c in sorted(machine.constants.items())
        },
        "draws": {name: _column(values) for name, values in sorted(drawn.items())},
    }


def content(machines: Sequence[Machine], *, draws: int = DRAWS) -> dict[str, Any]:
    """Return everything that the page reads, JSON-ready.

    Parameters
    ----------
    machines : sequence of Machine
        The first one is where the page begins.
    draws : int
        Draws of each machine's constants, the estimate included: those of
        ``predict(scenario, draws=draws)``, number by number.

    Raises
    ------
    InputError
        If two machines have one name, or there is none.
    """
    names = [m.name for m in machines]
    if not names:
        raise InputError("no machine is given", field="--machine", expected="at least one profile")
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two machines are called {name!r}", field="--machine")
    return {
        "schema": "perfmodel.page/1",
        "version": __version__,
        "draws": draws,
        "machines": [_machine(m, draws) for m in machines],
        "groups": _controls(),
        "kernels": _kernels(),
        "operations": list(OPERATIONS),
        "transitions": list(TRANSITIONS),
        "policies": [
            {"name": p.value, "meaning": _POLICIES[p], "standard": p in STANDARD_POLICIES}
            for p in Policy
        ],
        "presets": [
            {"name": p.name, "sentence": p.sentence, "source": p.source, "parameters": p.parameters}
            for p in PRESETS.values()
        ],
        "start": _start(),
        "scope": SCOPE,
    }
