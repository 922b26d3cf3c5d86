"""Observations as a machine with known constants would make them, in every form that files have."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from perfmodel.fit import Calibration, calibrate, collect
from perfmodel.fit.model import PointModel
from perfmodel.fit.points import FEWEST
from perfmodel.machine import CONSTANTS
from perfmodel.observations import Group, Moments, ObservationTable, Source

TRUTH = {
    "syscall": 90.0, "find_vma": 40.0, "vma_step": 12.0, "vma_fixup": 80.0, "split": 200.0,
    "merge": 130.0, "anon_link": 150.0, "anon_unlink": 250.0, "walk_start": 400.0, "pte": 18.0,
    "pte_grant": 3.0, "pte_cold": 6.0, "huge_pte": 30.0, "flush_page": 110.0, "flush_full": 150.0,
    "shootdown": 6000.0, "unmap_vma": 120.0, "unmap_finish": 140.0, "zap": 70.0, "zap_cold": 30.0,
    "uffd_call": 70.0, "uffd_vma": 200.0, "rmw_local": 5.0, "line_transfer": 60.0,
    "fault_minor": 500.0, "wake_latency": 4000.0, "wake_kick": 1500.0, "wake_switch": 1200.0,
    "wake_serial": 600.0, "warm_pages": 4096.0, "warm_zap_pages": 4096.0,
}  # fmt: skip

FILE = "made.json"
SOURCE = Source(FILE, "made", "A", "0" * 64)
MACHINES = {FILE: {"machine": {"kernel": {"release": "6.18.44", "config": {}}}}}

Cell = tuple[str, str, dict[str, Any]]


def group(
    operation: str, phase: str, conditions: dict[str, Any], values: object, source: Source = SOURCE
) -> Group:
    values = np.atleast_1d(np.asarray(values, dtype=float))
    return Group(
        operation, phase, conditions, values, values, np.ones(len(values), dtype=int), source
    )


def grid(
    *,
    all_pages: Sequence[int] = (1, 4, 16, 33, 34, 128, 512, 2048, 8192, 65536),
    all_vmas: Sequence[int] = (1, 4, 16),
    all_spinners: Sequence[int] = (0, 1),
) -> list[Cell]:
    out: list[Cell] = []
    call = {"benchmark": "call_latency", "populated": 1.0, "huge": False, "splits": 0, "merges": 0}
    for spinners in all_spinners:
        for pages in all_pages:
            for vmas in all_vmas:
                if vmas > pages:
                    continue
                shape = {**call, "pages": pages, "vmas": vmas, "spinners": spinners}
                for transition in ("RW->R", "R->RW", "NONE->RW", "same-flags"):
                    out.append(("mprotect", "call", {**shape, "transition": transition}))
                out += [
                    (op, "call", shape) for op in ("munmap", "uffd_writeprotect", "uffd_unprotect")
                ]
            for populated in (0.0, 1.0):
                shape = {**call, "pages": pages, "vmas": 1, "spinners": spinners,
                         "populated": populated}  # fmt: skip
                out.append(("mprotect", "call", {**shape, "transition": "RW->R", "splits": 2}))
                out.append(("mprotect", "call", {**shape, "transition": "R->RW", "merges": 2}))
        huge = {**call, "pages": 4096, "vmas": 1, "huge": True, "spinners": spinners}
        out.append(("mprotect", "call", {**huge, "transition": "RW->R"}))
    for pages in (1, 16, 512):
        out += [("munmap", phase, {"pages": pages, "vmas": 1}) for phase in ("exclusive", "shared")]
    out.append(("mprotect", "exclusive", {"pages": 1, "vmas": 1, "transition": "same-flags"}))
    out.append(("null_syscall", "call", {"benchmark": "call_latency"}))
    out.append(("xadd", "op", {"benchmark": "locked_op", "sharing": "none"}))
    out.append(("line_transfer", "one_way", {"benchmark": "locked_op"}))
    out.append(("fault_read", "idle", {"benchmark": "fault_latency", "writer": "none",
                                       "target": "same_vma"}))  # fmt: skip
    for n in (1, 4, 16, 64):
        wake = {"benchmark": "wake", "placement": "pinned", "sleepers": n}
        out.append(("futex_wake", "call", wake))
        out += [("futex_wake", "wake", {**wake, "rank": r}) for r in {1, n}]
    return out


#: A grid small enough to be fitted in a second, whatever the form of the times.
SMALL = grid(all_pages=(1, 16, 33, 512, 8192, 65536), all_vmas=(1, 4), all_spinners=(0, 1))


def exact(cells: Sequence[Cell], truth: dict[str, float], tracer: float) -> np.ndarray:
    """Return the model's own value of every cell, ns."""
    empty = ObservationTable(
        tuple(group(op, phase, c, np.ones(FEWEST)) for op, phase, c in cells), (), MACHINES
    )
    constants = dict.fromkeys(CONSTANTS, 0.0) | truth
    return PointModel(collect(empty).points).predict(
        {**constants, "tracer_exclusive": tracer, "tracer_shared": tracer}
    )


def made(
    noise: float, *, seed: int = 1, events: int = 60, tracer: float = 90.0, form: str = "events",
    cells: Sequence[Cell] | None = None, repetitions: int = 3, truth: dict[str, float] | None = None,
) -> ObservationTable:  # fmt: skip
    """Observations of the cells as the truth makes them, with lognormal scatter between repetitions.

    `form` says how the times of calls and holds are known; the directly timed costs stay as they are.
    One event in fifty is late, by a factor of ten, as on a shared machine.
    """
    rng = np.random.default_rng(seed)
    cells = grid() if cells is None else cells
    truth = TRUTH if truth is None else truth
    groups = []
    for (operation, phase, conditions), value in zip(
        cells, exact(cells, truth, tracer), strict=True
    ):
        whole = operation in ("mprotect", "munmap", "uffd_writeprotect", "uffd_unprotect")
        for _ in range(repetitions):
            middle = value * math.exp(noise * rng.standard_normal())
            times = middle * rng.lognormal(0, 0.05, events)
            if form != "events":
                times *= np.where(rng.random(events) < 0.02, 10.0, 1.0)
            one = group(operation, phase, conditions, times)
            groups.append(one if form == "events" or not whole else FORMS[form](one, times, rng))
    return ObservationTable(tuple(groups), (), MACHINES)


def _as_trace(one: Group, evidence: str) -> dict[str, Any]:
    conditions = {k: v for k, v in one.conditions.items() if k != "benchmark"}
    return {
        "conditions": conditions,
        "phase": "latency" if one.phase == "call" else one.phase,
        "source": Source(FILE, "made", evidence, "1" * 64),
    }


def stamped(one: Group, times: np.ndarray, rng: np.random.Generator) -> Group:
    """Differences of two time stamps that are cut to whole microseconds."""
    begin = rng.random(len(times)) * 1000
    read = np.floor((begin + times) / 1000) * 1000
    return replace(
        one, low=np.maximum(read - 1000, 0), high=read + 1000, **_as_trace(one, "B")
    )  # fmt: skip


def binned(one: Group, times: np.ndarray, rng: np.random.Generator) -> Group:
    """A histogram of powers of two."""
    power, count = np.unique(np.floor(np.log2(times)), return_counts=True)
    return replace(
        one, low=2.0**power, high=2.0 ** (power + 1), count=count, **_as_trace(one, "C")
    )  # fmt: skip


def averaged(one: Group, times: np.ndarray, rng: np.random.Generator) -> Group:
    """Count, mean, extremes and deviation."""
    told = Moments(len(times), times.mean(), times.min(), times.max(), times.std())
    more = _as_trace(one, "D")
    return Group.of_moments(one.operation, more["phase"], more["conditions"], told, more["source"])


def throughput(one: Group, times: np.ndarray, rng: np.random.Generator) -> Group:
    """The cost of one operation, from how many were done."""
    more = _as_trace(one, "E")
    phase = "cost" if more["phase"] == "latency" else more["phase"]
    told = Moments(len(times), float(times.mean()))
    return Group.of_moments(one.operation, phase, more["conditions"], told, more["source"])


FORMS = {"stamps": stamped, "bins": binned, "moments": averaged, "cost": throughput}


@functools.cache
def calibrated() -> Calibration:
    """The small grid of exact events, calibrated once for all tests."""
    return calibrate(made(0.02, cells=SMALL), name="made")


@functools.cache
def untraced() -> Calibration:
    """The same without traced holds: nothing tells the exclusive from the shared per-VMA part of munmap."""
    table = made(0.02, cells=SMALL)
    kept = tuple(g for g in table.groups if "benchmark" in g.conditions)
    return calibrate(replace(table, groups=kept), name="untraced")
