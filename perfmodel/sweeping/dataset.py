"""The result of a sweep as labelled arrays: dimensions, units, and where the numbers come from."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel import __version__
from perfmodel.results import LEVEL
from perfmodel.sweeping.answers import Found
from perfmodel.sweeping.guarded import GUARDED
from perfmodel.sweeping.variables import BOUNDS, VARIABLES, Variable

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

    from perfmodel.sweeping.plan import Plan

__all__ = [
    "COUNTED",
    "Account",
    "attributes_of",
    "coordinates_of",
    "dataset_of",
    "dims_of",
    "meta_of",
]


#: Attributes that are known only when every point has been answered.
COUNTED = (
    "answered_by_forms", "stated_error", "outside_stated_region", "impossible_points",
    "impossible_reasons", "unanswered",
)  # fmt: skip


@dataclass
class Account:
    """What was said of the points of all blocks.

    Parameters
    ----------
    reasons, broken : Counter
        As of :class:`perfmodel.sweeping.answers.Found`.
    solvers, errors : set of str
    """

    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    solvers: set[str] = field(default_factory=set)
    errors: set[str] = field(default_factory=set)

    def add(self, found: Found) -> None:
        """Add what was said of one block."""
        self.reasons += found.reasons
        self.broken += found.broken
        self.solvers |= found.solvers
        self.errors |= found.errors

    @staticmethod
    def line(found: Found) -> dict[str, Any]:
        """Return what was said of one block as JSON-ready values."""
        return {
            "reasons": [[*key, count] for key, count in found.reasons.items()],
            "broken": list(found.broken.items()),
            "solvers": sorted(found.solvers), "errors": sorted(found.errors),
        }  # fmt: skip

    def add_line(self, line: Mapping[str, Any]) -> None:
        """Add what `line` has given."""
        for policy, reason, count in line["reasons"]:
            self.reasons[policy, reason] += count
        for text, count in line["broken"]:
            self.broken[text] += count
        self.solvers |= set(line["solvers"])
        self.errors |= set(line["errors"])


def dims_of(plan: Plan, variable: Variable) -> tuple[str, ...]:
    """Return the dimensions of a variable: those of the points come first."""
    return (*plan.dims, *(name for name, _ in plan.extra(variable)))


def meta_of(plan: Plan, variable: Variable) -> dict[str, Any]:
    """Return unit and meaning of a variable, and those of its flags."""
    meta: dict[str, Any] = {"long_name": variable.meaning}
    if variable.units:
        meta["units"] = variable.units
    flags = [p.value for p in plan.policies] if variable.names_policy else list(variable.flags)
    if flags:
        meta["flag_values"] = np.arange(len(flags), dtype=np.int8)
        meta["flag_meanings"] = " ".join(f.replace(" ", "_") for f in flags)
    if variable.bounded and plan.draws > 1 and not plan.keep_draws:
        meta["level"] = LEVEL
    return meta


def coordinates_of(plan: Plan) -> dict[str, tuple[tuple[str, ...], Any, dict[str, Any]]]:
    """Return every coordinate: its dimensions, values and attributes."""
    coordinates: dict[str, tuple[tuple[str, ...], Any, dict[str, Any]]] = {}
    for axis in plan.axes:
        dims = ("point",) if plan.zipped else (axis.name,)
        declared = axis.declared
        values = axis.values
        if declared is not None and declared.integer:
            values = values.astype(np.int64)
        coordinates[axis.name] = dims, values, axis.attributes
    names = [p.value for p in plan.policies]
    coordinates["policy"] = ("policy",), np.array(names, dtype=str), {
        "long_name": "where the write lock is downgraded"
    }  # fmt: skip
    extra = {name for v in plan.variables for name, _ in plan.extra(VARIABLES[v])}
    if "guarded" in extra:
        labels = [f"{policy.value} with {guard}" for policy, guard in GUARDED]
        coordinates["guarded"] = ("guarded",), np.array(labels, dtype=str), {
            "long_name": "a cut with what would make it safe; with a nested flush where it needs one"
        }  # fmt: skip
    if "level" in extra:
        coordinates["level"] = ("level",), np.array(plan.levels), {"units": "1"}
    if "bound" in extra:
        coordinates["bound"] = ("bound",), np.array(BOUNDS, dtype=str), {
            "long_name": f"ends of the {100 * LEVEL:g} % interval over the draws, and the estimate"
        }  # fmt: skip
    if "draw" in extra:
        coordinates["draw"] = ("draw",), np.arange(plan.draws), {
            "long_name": "draw of the machine's constants; 0 is the estimate"
        }  # fmt: skip
    return coordinates


def attributes_of(plan: Plan, account: Account) -> dict[str, Any]:
    """Return where the numbers come from, and which points have none."""
    impossible = {r: n for (policy, r), n in account.reasons.items() if not policy}
    unanswered = [
        {"policy": policy, "reason": reason, "points": count}
        for (policy, reason), count in sorted(account.reasons.items()) if policy
    ]  # fmt: skip
    broken = [
        {"not_so_that": text, "points_and_policies": count}
        for text, count in account.broken.most_common()
    ]
    machines = plan.machines
    return {
        "title": "sweep over " + ", ".join(a.name for a in plan.axes),
        "scenario": plan.scenario.to_json(),
        "machine": ", ".join(m.name for m in machines),
        "machine_evidence": ", ".join(m.evidence for m in machines),
        "machine_sha256": ", ".join(m.sha256 for m in machines),
        "perfmodel_version": __version__,
        "sweep_sha256": plan.sha256,
        "solver": plan.solver, "answered_by_forms": "; ".join(sorted(account.solvers)),
        "stated_error": "; ".join(sorted(account.errors)),
        "outside_stated_region": json.dumps(broken),
        "draws": plan.draws, "seed": plan.seed, "interval_level": LEVEL,
        "points": plan.size,
        "impossible_points": sum(impossible.values()),
        "impossible_reasons": json.dumps(impossible), "unanswered": json.dumps(unanswered),
    }  # fmt: skip


def dataset_of(plan: Plan, values: Mapping[str, Any], account: Account) -> xr.Dataset:
    """Label the arrays of a sweep.

    Parameters
    ----------
    plan : Plan
    values : mapping of str to array
        Every variable in its full shape.
    account : Account
    """
    import xarray as xr

    return xr.Dataset(
        {
            name: (dims_of(plan, VARIABLES[name]), values[name], meta_of(plan, VARIABLES[name]))
            for name in plan.variables
        },
        coords=coordinates_of(plan),
        attrs=attributes_of(plan, account),
    )
