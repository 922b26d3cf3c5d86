"""A small measured run, made up so that its numbers are known: the model's own, 5 % slower."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text

import perfmodel as pm
from perfmodel.figures import Kind, new_figure
from perfmodel.hold import ACTUAL_POLICY, hold
from perfmodel.observations import ObservationTable
from perfmodel.scenario import Call, Faults, Scenario

STATE = {
    "kernel": {"release": "6.18.1-test", "config": {"DETECT_HUNG_TASK_BLOCKER": True}},
    "cpu": {"model": "Intel(R) Xeon(R) Processor", "count": 2},
    "virtualisation": "kvm",
}

#: How much slower the made-up machine is than the model.
SLOWER = 1.05


def _record(operation: str, phase: str, conditions: dict, values: list[float], **more) -> dict:
    values = [float(v) for v in values]
    return {
        "benchmark": conditions.pop("benchmark"), "operation": operation, "conditions": conditions,
        "phase": phase, "unit": "ns", "count": len(values), "min": min(values), "max": max(values),
        "mean": float(np.mean(values)), "median": float(np.median(values)), "samples": values,
    } | more  # fmt: skip


def document(machine: pm.Machine) -> dict:
    spread = np.linspace(0.9, 1.1, 21)
    records = []
    for operation in ("mprotect", "munmap", "uffd_writeprotect", "madvise"):
        name = "madvise_dontneed" if operation == "madvise" else operation
        for pages in (1, 16, 512, 16384):
            call = Call(operation, pages=pages, transition="RW->R", remote_cpus=1)
            scenario = Scenario(machine, "6.18", call, Faults(rate=1e4))
            ns = SLOWER * float(hold(scenario, ACTUAL_POLICY[operation]).call[0])
            records.append(_record(name, "call", {
                "benchmark": "call_latency", "pages": pages, "shape": "own", "vmas": 1, "splits": 0,
                "merges": 0, "populated": 1.0, "huge": False, "spinners": 1,
                "transition": "RW->R" if operation == "mprotect" else "none",
            }, list(ns * spread)))  # fmt: skip
    for writer, slow in (("mprotect", 90_000.0), ("munmap", 500.0)):
        for phase, values in (("during", slow * spread), ("idle", 480.0 * spread)):
            pairs = [[100.0 + 40 * i, 70_000.0, float(v)] for i, v in enumerate(values)]
            records.append(_record("fault_read", phase, {
                "benchmark": "fault_latency", "writer": writer, "transition": "RW->R",
                "direction": "forth", "shape": "edge", "pages": 4096, "vmas": 1, "splits": 1,
                "merges": 0, "populated": 1.0, "huge": False, "target": "same_vma",
                "duty_asked": 0.5, "fault_think_us": 1.5,
            }, list(values), **({"pairs": pairs, "pairs_kept": 21, "pairs_total": 21}
                                if phase == "during" else {})))  # fmt: skip
    return {
        "schema": "perfmodel.bench/1", "status": "complete", "tool": {"perfmodel": "0"},
        "machine": STATE, "clock": {"name": "CLOCK_MONOTONIC"}, "records": records,
    }  # fmt: skip


def outside(kind: Kind, spec: object) -> list[str]:
    """Draw a figure, and return the texts that do not lie within it."""
    figure = new_figure(*kind.size)
    kind.draw(spec, figure)
    figure.draw_without_rendering()
    # Ticks beyond the axes are kept, with a place, and not drawn.
    kept = {id(t) for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)
            for t in (*axis.get_ticklabels(), *axis.get_ticklabels(minor=True))}  # fmt: skip
    found = []
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip() and id(text) not in kept:
            box, (right, top) = text.get_window_extent(), figure.bbox.max
            if not (-1 < box.x0 <= box.x1 < right + 1 and -1 < box.y0 <= box.y1 < top + 1):
                found.append(text.get_text())
    return found


@pytest.fixture(scope="session")
def machine() -> pm.Machine:
    return pm.Machine.load("xeon-vm-6.18")


@pytest.fixture(scope="session")
def run_file(machine: pm.Machine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "run.json"
    path.write_text(json.dumps(document(machine)))
    return path


@pytest.fixture(scope="session")
def table(run_file: Path) -> ObservationTable:
    return pm.read(run_file)


@pytest.fixture(scope="session")
def blind(machine: pm.Machine) -> pm.Machine:
    """A profile that does not know what a page-table entry costs."""
    from dataclasses import replace

    constants = dict(machine.constants)
    for name in ("pte", "zap"):
        constants[name] = type(constants[name])(value=None, unit="ns", source="none", reason="?")
    return replace(machine, constants=constants, covariance_names=(), covariance=np.zeros((0, 0)))
