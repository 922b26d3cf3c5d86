"""What is measured: the grid of threads, sections and laws, and what the program is told of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["GROUPS", "Configuration", "grid"]

#: Groups of the grid: what each of them tells apart.
GROUPS = {
    "own-cpu": "one reader and one caller, each with a CPU of its own, which also run as they think",
    "asleep": "more threads than CPUs that sleep as they think, so that a CPU is nearly always free",
    "few-cpus": "more threads than CPUs that run as they think",
    "short-slices": "some of these again by threads that give the CPU away after 100 us of work",
}

_SEED = 20201222  # the day of the founding mail

#: Threads at most: four times as many as the two CPUs of the smallest machine worth measuring.
_MOST_THREADS = 8


@dataclass(frozen=True)
class Configuration:
    """One point of the grid; times are means in ns.

    Parameters
    ----------
    number : int
        In the grid; the seed of its durations follows from it.
    group : str
        One of `GROUPS`.
    readers, writers : int
        Threads.
    exclusive_ns, shared_ns : int
        Parts of a call: the second can be shared if the lock is downgraded before it.
    call_law : {"constant", "exponential", "heavy"}
        Of both parts.
    read_ns : int
        Read section.
    read_law : {"constant", "exponential", "rare"}
    read_think_ns, write_think_ns : int
        Time outside the lock, exponential.
    think : {"run", "sleep"}
        Whether a thread that thinks runs.
    spin : bool
        Whether writers spin before they queue.
    quantum_us : int
        After how much work a thread gives its CPU away; 0: when the scheduler takes it.
    """

    number: int
    group: str
    readers: int
    writers: int
    exclusive_ns: int
    shared_ns: int
    call_law: str
    read_ns: int
    read_law: str
    read_think_ns: int
    write_think_ns: int
    think: str
    spin: bool
    quantum_us: int = 0

    @property
    def name(self) -> str:
        """Group and number."""
        return f"{self.group}-{self.number:03d}"

    def arguments(self, *, milliseconds: float) -> list[str]:
        """Return the options of the program ``downgrade`` for a run of about so many ms.

        Parameters
        ----------
        milliseconds : float
            Of both arms together, settling included.
        """
        cycle = self.write_think_ns + self.exclusive_ns + self.shared_ns
        # A slice holds some calls of every caller; what settles is the call of the arm before.
        slice_ns = float(np.clip(10 * cycle, 2e7, 8e7))
        settle_ns = float(np.clip(2 * cycle, 2e6, 3e7))
        pairs = max(6, round(milliseconds * 1e6 / (2 * (slice_ns + settle_ns))))
        return [
            "--number", str(self.number), "--seed", str(self.number + 1),
            "--readers", str(self.readers), "--writers", str(self.writers),
            "--exclusive-ns", str(self.exclusive_ns), "--shared-ns", str(self.shared_ns),
            "--call-law", self.call_law, "--read-ns", str(self.read_ns),
            "--read-law", self.read_law, "--read-think-ns", str(self.read_think_ns),
            "--write-think-ns", str(self.write_think_ns), "--think", self.think,
            "--quantum-us", str(self.quantum_us), *(["--spin"] if self.spin else []),
            "--pairs", str(pairs), "--slice-us", str(round(slice_ns / 1e3)),
            "--settle-us", str(round(settle_ns / 1e3)),
        ]  # fmt: skip


def _log(u: float, low: float, high: float) -> int:
    value: float = low * (high / low) ** u
    return round(value)


def _pick(u: float, *choices: tuple[str, float]) -> str:
    for name, share in choices:
        if u < share:
            return name
        u -= share
    return choices[-1][0]


def _sections(u: np.ndarray, longest: float) -> dict[str, Any]:
    """Return the parts of a call and their law; those with a tail are not the longest.

    The exclusive part is thirty times the shared one at most: beyond that a downgrade changes less
    than any run of this length can see.
    """
    law = _pick(u[2], ("constant", 0.5), ("exponential", 0.25), ("heavy", 0.25))
    most = longest if law != "heavy" else min(longest, 2e5)
    shared = _log(u[1], 500, most)
    return {
        "exclusive_ns": _log(u[0], 500, min(most, 30 * shared)), "shared_ns": shared,
        "call_law": law,
        "read_law": _pick(u[3], ("exponential", 0.6), ("constant", 0.2), ("rare", 0.2)),
        "spin": bool(u[4] < 0.5),
    }  # fmt: skip


def _own_cpu(u: np.ndarray) -> dict[str, Any]:
    made = _sections(u, 5e6)
    call = made["exclusive_ns"] + made["shared_ns"]
    return made | {
        "readers": 1, "writers": 1, "read_ns": _log(u[5], 300, 2e4),
        "read_think_ns": _log(u[6], 2e3, 2e5),
        "write_think_ns": max(5000, round(call * _log(u[7], 300, 8000) / 1e3)),
        "think": "run",
    }  # fmt: skip


def _asleep(u: np.ndarray) -> dict[str, Any]:
    made = _sections(u, 5e6)
    call = made["exclusive_ns"] + made["shared_ns"]
    writers = 1 + int(3 * u[9])
    readers = 2 + int((_MOST_THREADS - 1 - writers) * u[8])
    think = _log(u[6], 3e5, 5e6)
    # All readers together use a third of one CPU, and the callers half of one, at most.
    read = min(_log(u[5], 1e3, 5e4), round(0.3 * think / readers))
    share = 0.05 + 0.45 * u[7]
    return made | {
        "readers": readers, "writers": writers, "read_ns": read, "read_think_ns": think,
        "write_think_ns": max(100_000, round(call * (writers / share - 1))), "think": "sleep",
    }  # fmt: skip


def _few_cpus(u: np.ndarray) -> dict[str, Any]:
    made = _sections(u, 5e5)
    call = made["exclusive_ns"] + made["shared_ns"]
    writers = 1 + int(3 * u[9])
    readers = 2 + int((_MOST_THREADS - 1 - writers) * u[8])
    return made | {
        "readers": readers, "writers": writers, "read_ns": _log(u[5], 300, 2e4),
        "read_think_ns": _log(u[6], 5e3, 2e5),
        "write_think_ns": max(20_000, round(call * _log(u[7], 1000, 15_000) / 1e3)),
        "think": "run",
    }  # fmt: skip


_MAKE = {"own-cpu": (40, _own_cpu), "asleep": (44, _asleep), "few-cpus": (28, _few_cpus)}

#: Which of the oversubscribed ones are measured again with short slices: every other one.
_AGAIN = 2


def grid() -> tuple[Configuration, ...]:
    """Return the grid, always the same: lengths spread over decades by a scrambled Sobol sequence."""
    from scipy.stats import qmc

    found: list[Configuration] = []
    for place, (group, (count, make)) in enumerate(_MAKE.items()):
        sequence = qmc.Sobol(10, seed=_SEED + place)
        rows = sequence.random_base2(int(np.ceil(np.log2(count))))[:count]
        found += [
            Configuration(number=len(found) + i, group=group, **make(row))
            for i, row in enumerate(rows)
        ]
    again = [c for c in found if c.group == "few-cpus"][::_AGAIN]
    first = len(found)
    found += [
        Configuration(
            **{**vars(c), "number": first + i, "group": "short-slices", "quantum_us": 100}
        )
        for i, c in enumerate(again)
    ]
    return tuple(found)
