"""Random scenarios over everything that the closed forms know, wider than anybody's typical ranges."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from perfmodel.scenario import OPERATIONS, TRANSITIONS, Policy

#: One release of every set of rules.
KERNELS = ("5.10", "5.11", "5.15", "5.19", "6.0", "6.1", "6.3", "6.4", "6.12", "6.18")

OTHERS = tuple(p.value for p in Policy if p is not Policy.NONE)


class Drawn:
    """A generator of scenarios as `Scenario.from_dict` takes them."""

    def __init__(self, seed: int, machines: tuple[str, ...]) -> None:
        self.rng = np.random.default_rng(seed)
        self.machines = machines

    def log(self, low: float, high: float) -> float:
        return float(math.exp(self.rng.uniform(math.log(low), math.log(high))))

    def pick(self, choices: tuple[Any, ...]) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def call(self) -> dict[str, Any]:
        pages = round(self.log(1, 2**20))
        call: dict[str, Any] = {
            # Most of the questions are about mprotect.
            "operation": "mprotect" if self.chance(0.4) else self.pick(OPERATIONS),
            "pages": pages,
            "vmas": min(pages, round(self.log(1, 64))) if self.chance(0.5) else 1,
            "splits": int(self.rng.integers(3)),
            "merges": int(self.rng.integers(3)),
            "transition": self.pick(TRANSITIONS),
            "huge": self.chance(0.15),
        }
        if self.chance(0.4):
            call["populated"] = 0.0 if self.chance(0.25) else float(self.rng.random())
        if self.chance(0.2):
            call["remote_cpus"] = self.log(0.1, 64)
        return call

    def faults(self) -> dict[str, Any]:
        faults: dict[str, Any] = {
            "same_vma": 1.0 if self.chance(0.4) else float(self.rng.random()),
            "first_touch": 0.0 if self.chance(0.5) else float(self.rng.random()),
            "wp_share": float(self.rng.random()),
        }
        if self.chance(0.5):
            faults |= {"threads": round(self.log(1, 256)), "think_us": self.log(0.5, 1e5)}
        else:
            faults["rate"] = self.log(10, 5e6)
        if self.chance(0.25):
            faults |= {"io_share": self.log(1e-5, 0.1), "io_us": self.log(10, 1e5)}
        return faults

    def writers(self) -> dict[str, Any]:
        kind = self.rng.random()
        if kind < 0.7:
            return {"threads": 1, "think_us": self.log(1, 1e7)}
        if kind < 0.85:
            return {"threads": round(self.log(2, 64)), "think_us": self.log(1, 1e7)}
        return {"rate": self.log(0.1, 1e6)}

    def scenario(self, policies: tuple[str, ...] | None = None) -> dict[str, Any]:
        given = {
            "machine": self.pick(self.machines),
            "kernel": self.pick(KERNELS),
            "hung_task_blocker": self.chance(0.7),
            "call": self.call(),
            "faults": self.faults(),
            "writers": self.writers(),
            "cpus": round(self.log(1, 256)),
        }
        if policies is not None:
            given["policies"] = list(policies)
        return given
