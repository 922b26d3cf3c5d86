"""What a run of the laboratory shows of each point: one set of numbers a slice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.errors import InputError
from perfmodel.experiment.configuration import CUTS, Configuration
from perfmodel.observations import joined

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from perfmodel.observations import Group, ObservationTable

__all__ = ["Slice", "idle_law", "laboratory", "slices"]

#: How finely the law of undisturbed faults is told.
_NODES = (np.arange(200) + 0.5) / 200

#: Fewer faults during calls than this have no quantiles.
_FEWEST = 20


@dataclass(frozen=True)
class Slice:
    """One point, measured once under one cut.

    Parameters
    ----------
    configuration : Configuration
    cut : str
    boot : str
        Which boot of a guest: file of the run and number of the boot.
    round : int
        Slices of one boot that differ in the cut only share it.
    values : mapping of str to float
        By name of `perfmodel.experiment.quantities`; NaN where too few faults met a call.
    faults, calls : int
        How many there were.
    idle : float, ns
        Median latency of the faults that met no call.
    """

    configuration: Configuration
    cut: str
    boot: str
    round: int
    values: Mapping[str, float]
    faults: int
    calls: int
    idle: float = float("nan")


def laboratory(table: ObservationTable, group: Group) -> Mapping[str, Any]:
    """Return what guest a group was measured in.

    Raises
    ------
    InputError
        If its file is no document of the kernel laboratory.
    """
    machine = table.machines.get(group.source.file, {}).get("machine") or {}
    lab = machine.get("laboratory")
    if not lab:
        raise InputError(
            "was not measured in the kernel laboratory",
            file=group.source.file,
            expected="a document that `perfmodel measure --kernel-lab` wrote",
        )
    return lab  # type: ignore[no-any-return]


def slices(table: ObservationTable, wake_latency: Mapping[int, float]) -> list[Slice]:
    """Return every slice of mprotect beside faults.

    Parameters
    ----------
    table : ObservationTable
        Documents of the kernel laboratory.
    wake_latency : mapping of int to float, ns
        What waking takes, by vCPUs: a fault that takes half of it longer than one that meets no call
        is counted as blocked.

    Raises
    ------
    InputError
        If a document is none of the laboratory, or its kernel checked its locks.
    """
    found: dict[tuple[Any, ...], list[Group]] = defaultdict(list)
    for group in table.groups:
        c = group.conditions
        if c.get("part") != "faults" or c.get("writer") != "mprotect" or c["cut"] not in CUTS:
            continue
        lab = laboratory(table, group)
        if lab["debug"]:
            raise InputError("measured on a kernel that checks its locks: its times say nothing",
                             file=group.source.file)  # fmt: skip
        point = Configuration.of(c, lab["vcpus"])
        started = str(table.machines[group.source.file].get("started", ""))
        boot = f"{started} boot {lab['boot']}"
        found[point, c["cut"], boot, c["round"], c["slice"]].append(group)
    return [
        _slice(point, cut, boot, number, groups, wake_latency[point.vcpus])
        for (point, cut, boot, number, _), groups in found.items()
        if point.vcpus in wake_latency
    ]


def _slice(
    point: Configuration, cut: str, boot: str, number: int, groups: Sequence[Group], wake: float
) -> Slice:
    calls = [g for g in groups if g.phase == "call"]
    forth = [g for g in calls if g.conditions["direction"] == "forth"]
    faults = [g for g in groups if g.phase != "call"]
    idle = [g for g in faults if g.phase == "idle"]
    during = [
        g for g in faults if g.phase == "during" and g.conditions["direction"] == "forth"
    ]  # fmt: skip
    everything = joined(faults)
    undisturbed = joined(idle) if idle else everything
    wait = everything.mean - undisturbed.mean
    limit = undisturbed.median + wake / 2
    seconds = float(groups[0].conditions["watched_ms"]) / 1e3
    number_of_calls = sum(g.total for g in calls)
    quantile = {name: float("nan") for name in ("p50", "p90", "p99")}
    if sum(g.total for g in during) >= _FEWEST:
        met = joined(during)
        quantile = {name: met.quantile(float(name[1:]) / 100) for name in quantile}
    # A caller that was off its CPU in every call has none to show.
    lost = float("nan")
    if number_of_calls:
        lost = joined(calls).mean + wait * everything.total / number_of_calls
    return Slice(
        configuration=point, cut=cut, boot=boot, round=number,
        values={
            "call": joined(forth).mean if forth else float("nan"),
            "wait": wait, **quantile,
            "blocked": float(everything.count[everything.middle > limit].sum() / everything.total),
            "faults": everything.total / seconds,
            "lost": lost,
        },
        faults=everything.total, calls=number_of_calls, idle=undisturbed.median,
    )  # fmt: skip


def idle_law(table: ObservationTable, point: Configuration) -> NDArray[np.float64]:
    """Return the law of faults that meet no call, from slices without any cut, ns, as quantiles.

    Raises
    ------
    InputError
        If the table has none of the point's kind.
    """
    groups = [
        g for g in table.groups
        if g.phase == "idle" and g.conditions.get("cut") == "none"
        and g.conditions.get("part") == "faults" and g.conditions.get("writer") == "mprotect"
        and Configuration.of(g.conditions, laboratory(table, g)["vcpus"]) == point
    ]  # fmt: skip
    if not groups:
        raise InputError(f"no fault without a call was measured: {point.name}",
                         expected="a run of the laboratory with cut none")  # fmt: skip
    whole = joined(groups)
    return np.array([whole.quantile(p) for p in _NODES])
