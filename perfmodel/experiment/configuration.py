"""A point of the laboratory: what calls, what faults; and the question that it is to the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from perfmodel.kernel import Kernel
from perfmodel.scenario import Call, Faults, Policy, Scenario, Writers

if TYPE_CHECKING:
    from perfmodel.machine import Machine

__all__ = ["CUTS", "DIRECTIONS", "Configuration"]

#: The laboratory's cuts, and what the models call them.
CUTS: Mapping[str, Policy] = {
    "none": Policy.NONE,
    "k0": Policy.LAST_VMA,
    "k1": Policy.BEFORE_FLUSH,
    "every-vma": Policy.EVERY_VMA,
}

#: The two calls that the caller makes in turns.
DIRECTIONS = ("RW->R", "R->RW")


@dataclass(frozen=True, order=True)
class Configuration:
    """One point that is measured under each cut.

    Parameters
    ----------
    vcpus : int
        Of the guest.
    faulters : int
        Threads that fault, each on a vCPU of its own beside the caller's.
    target : str
        ``other_vma`` or ``same_vma``: where they fault.
    pages, vmas : int
        Of the call's range, all pages present.
    duty : float
        Share of its time that the caller is in calls: it pauses accordingly.
    think_us : float
        Mean pause of a thread between two faults.
    window_pages : int
        Pages that a thread faults through before it empties them again.
    """

    vcpus: int
    faulters: int
    target: str
    pages: int
    vmas: int
    duty: float
    think_us: float
    window_pages: int

    @classmethod
    def of(cls, conditions: Mapping[str, Any], vcpus: int) -> Configuration:
        """Return the point that a record of ``fault_latency`` belongs to."""
        return cls(
            vcpus=vcpus,
            faulters=int(conditions.get("faulters", 1)),
            target=str(conditions["target"]),
            pages=int(conditions["pages"]),
            vmas=int(conditions.get("vmas", 1)),
            duty=float(conditions["duty_asked"]),
            think_us=float(conditions["fault_think_us"]),
            window_pages=int(conditions["window_pages"]),
        )

    @property
    def name(self) -> str:
        """The point in a few words."""
        threads = f"{self.faulters} thread{'s' if self.faulters > 1 else ''}"
        vmas = f" in {self.vmas} VMAs" if self.vmas > 1 else ""
        where = "same" if self.target == "same_vma" else "other"
        return (
            f"{self.pages} page{'s' if self.pages > 1 else ''}{vmas}, {threads} faulting in the {where}"
            f" VMA, duty {100 * self.duty:.0f} %, {self.vcpus} vCPUs"
        )

    def crowds(self, cpus: int) -> bool:
        """Whether caller and faulting threads are more than so many CPUs."""
        return self.faulters + 1 > cpus

    def call(self, direction: str) -> Call:
        """Return the call in one direction.

        In the same VMA it also covers the windows that the threads fault through: on average half of
        their pages are present.
        """
        window = self.faulters * self.window_pages if self.target == "same_vma" else 0
        return Call(
            pages=self.pages + window, vmas=self.vmas, transition=direction,
            populated=(self.pages + window / 2) / (self.pages + window),
        )  # fmt: skip

    def scenario(
        self, machine: Machine, direction: str, *, caller_think_ns: float, emptying_ns: float
    ) -> Scenario:
        """Return the question.

        Parameters
        ----------
        machine : Machine
            Of the guest, fitted to its calls without any cut; its kernel is 6.1.
        direction : str
            One of `DIRECTIONS`.
        caller_think_ns : float, ns
            The caller's mean pause.
        emptying_ns : float, ns
            What emptying the window again adds to each fault's pause.
        """
        return Scenario(
            machine=machine, kernel=Kernel("6.1"), call=self.call(direction),
            faults=Faults(
                threads=self.faulters, think_us=self.think_us + emptying_ns / 1e3,
                same_vma=float(self.target == "same_vma"),
            ),
            writers=Writers(threads=1, think_us=caller_think_ns / 1e3), cpus=self.vcpus,
            policies=tuple(CUTS.values()),
        )  # fmt: skip
