"""Runs made from the model's own law, so that what a validation must say of them is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from perfmodel.hold import ACTUAL_POLICY, hold
from perfmodel.kernel import Kernel
from perfmodel.machine import Machine
from perfmodel.observations import Group, ObservationTable, Source
from perfmodel.scenario import Call, Scenario

FILE = "made.json"
SOURCE = Source(FILE, "made", "A", "1" * 64)
MACHINES = {FILE: {"machine": {"kernel": {"release": "6.18.44", "config": {}},
                               "cpu": {"model": "Known CPU"}}}}  # fmt: skip
THINK = 1500.0


def group(operation: str, phase: str, conditions: dict[str, Any], values: Any) -> Group:
    values = np.asarray(values, dtype=float)
    ones = np.ones(len(values), dtype=int)
    return Group(operation, phase, conditions, values, values, ones, SOURCE)


def simulate(
    rng: np.random.Generator, calls: int, *, lead: float, exclusive: float, shared: float,
    tail: float, waker: float, wake: float, idle: float,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Walk one thread through many calls, moment by moment: latencies, and which were blocked.

    Nothing here is a formula of the model: the thread thinks, faults, and is put to sleep if the
    lock is held exclusively when its fault begins.
    """
    latencies, blocked = [], []
    for _ in range(calls):
        now, woken = 0.0, False
        while True:
            now += rng.exponential(THINK)
            end = lead + exclusive + shared + tail + (waker if woken else 0.0)
            if now >= end:
                break
            wait = 0.0
            if lead <= now < lead + exclusive:
                wait, woken = lead + exclusive - now + wake, True
            blocked.append(wait > 0)
            latencies.append(wait + idle)
            now += wait + idle
    return np.array(latencies), np.array(blocked)


@pytest.fixture(scope="session")
def made(machine: Machine) -> Callable[..., ObservationTable]:
    """Return a run of the given machine, every time in it `scale` times what the model says."""

    def make(scale: float = 1.0, *, seed: int = 1) -> ObservationTable:
        rng = np.random.default_rng(seed)
        groups = []

        def put(operation: str, phase: str, ns: float, n: int = 60, **conditions: Any) -> None:
            # The scatter between points is that which the profile says its fit had.
            middle = ns * scale * np.exp(machine.residual_sd * rng.standard_normal())
            groups.append(
                group(operation, phase, conditions, middle * np.exp(0.02 * rng.standard_normal(n)))
            )

        call = {"benchmark": "call_latency", "populated": 1.0, "huge": False, "splits": 0,
                "merges": 0, "spinners": 0}  # fmt: skip
        for operation in ("mprotect", "munmap", "uffd_writeprotect"):
            for pages in (1, 8, 64, 512, 4096, 16384):
                for vmas in (1, 8):
                    if vmas <= pages:
                        shape = Call(operation, pages=pages, vmas=vmas, remote_cpus=0)
                        scenario = Scenario(machine, Kernel("6.18"), shape)
                        ns = float(hold(scenario, ACTUAL_POLICY[operation]).call[0])
                        put(operation, "call", ns, transition="RW->R", shape="own", pages=pages,
                            vmas=vmas, **call)  # fmt: skip
        idle = 500.0
        for target in ("same_vma", "fresh_vma"):
            common = {"benchmark": "fault_latency", "target": target, "fault_think_us": THINK / 1e3}
            groups.append(
                group("fault_read", "idle", {**common, "writer": "none"},
                      scale * idle * np.exp(0.02 * rng.standard_normal(3000)))
            )  # fmt: skip
            for writer in ("mprotect", "munmap"):
                for pages in (512, 16384):
                    shape = {
                        **common, "writer": writer, "pages": pages, "vmas": 1, "splits": 1,
                        "merges": 0, "transition": "RW->R" if writer == "mprotect" else "none",
                        "shape": "edge", "duty_asked": 0.5, "duty": 0.5, "direction": "forth",
                    }  # fmt: skip
                    scenario = Scenario(
                        machine, Kernel("6.18"), Call(writer, pages=pages, splits=1, remote_cpus=0)
                    )
                    held = hold(scenario, ACTUAL_POLICY[writer])
                    lead = 0.5 * machine.value("syscall")
                    exclusive = float(held.exclusive[0])
                    latency, _ = simulate(
                        rng, 100, lead=lead, exclusive=exclusive, shared=float(held.shared[0]),
                        tail=lead, waker=machine.value("wake_kick") + machine.value("wake_serial"),
                        wake=machine.value("wake_latency"), idle=idle,
                    )  # fmt: skip
                    jitter = np.exp(0.02 * rng.standard_normal(len(latency)))
                    groups.append(group("fault_read", "during", shape, scale * latency * jitter))
        return ObservationTable(tuple(groups), (), MACHINES)

    return make


@pytest.fixture(scope="session")
def run(made: Callable[..., ObservationTable]) -> ObservationTable:
    return made()
