"""Profiles of machines that nobody here could measure, put together from published figures.

Three classes of machine: a two-socket server, a laptop, an Arm phone. No such profile describes one
machine. Each constant is one of

- published: the geometric mean of published figures, as wide as they scatter;
- derived: the measured profile's constant times the geometric mean of (published call / the measured
  profile's prediction of that call), as wide as those ratios scatter;
- assumed: an order of magnitude, with a wide spread.

Nothing is adjusted to any pair of :mod:`perfmodel.published.pairs`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from perfmodel.fit.priors import PRIORS, derived_fault_hold
from perfmodel.hold import ACTUAL_POLICY, hold
from perfmodel.kernel import Kernel
from perfmodel.machine import CONSTANTS, Constant, InputFile, Machine
from perfmodel.published.figures import Published
from perfmodel.scenario import Call, Scenario

__all__ = ["BASE", "COMPOSITES", "USED", "composite"]

#: The measured profile that gives the proportions of what nobody published.
BASE = "xeon-vm-6.18"

#: Least factor to either side of any published or derived value (90 %): machines of a class differ.
LEAST = 1.5

#: Published constants that each composite is made from: no prediction of these is a hit.
USED = {
    "two-socket-server": (
        "mprotect_small", "mprotect_per_page", "zap_per_page", "atomic_add", "line_transfer",
        "fault_minor", "futex_wake", "context_switch", "shootdown_share",
    ),
    "laptop": (
        "mprotect_per_vma", "munmap_per_vma", "madvise_per_vma", "zap_per_page", "atomic_add",
        "line_transfer", "fault_minor", "futex_wake", "context_switch", "shootdown_share",
    ),
    "arm-phone": (
        "none_to_rw_arm64", "zap_per_page", "atomic_add", "line_transfer", "fault_minor",
        "futex_wake", "context_switch",
    ),
}  # fmt: skip

#: Work of the kernel on the CPU: what scales together from one machine to the next.
_WORK = (
    "syscall", "find_vma", "vma_step", "vma_fixup", "split", "merge", "anon_link", "anon_unlink",
    "walk_start", "pmd_step", "pte", "pte_grant", "pte_cold", "huge_pte", "flush_page", "flush_full",
    "unmap_vma", "unmap_finish", "huge_zap", "uffd_call", "uffd_vma", "madvise_call", "madvise_vma",
)  # fmt: skip


def _sd(factor: float) -> float:
    """Return the standard deviation of a logarithm whose 90 % range is `factor` to either side."""
    return math.log(factor) / 1.645


@dataclass(frozen=True)
class _Scale:
    """Ratio of a class of machines to the measured profile."""

    value: float
    log_sd: float
    source: str


def _mean(values: Sequence[float], least: float = LEAST) -> tuple[float, float]:
    """Return the geometric mean and the spread, at least `least` to either side."""
    logs = np.log(values)
    spread = float(np.std(logs, ddof=1)) if len(values) > 1 else 0.0
    return float(np.exp(logs.mean())), max(spread, _sd(least))


class _Maker:
    """Makes one profile, constant by constant."""

    def __init__(self, name: str, published: Published, base: Machine) -> None:
        self.name, self.published, self.base = name, published, base
        self.constants: dict[str, Constant] = {}
        self.common: dict[str, float] = {}
        self.spread = 0.0

    def put(
        self, name: str, value: float, log_sd: float | None, source: str, why: str = ""
    ) -> None:
        self.common.pop(name, None)
        self.common.pop(name, None)
        self.constants[name] = Constant(
            value=float(f"{value:.4g}"), log_sd=None if log_sd is None else float(f"{log_sd:.4g}"),
            unit=CONSTANTS[name].unit, source=source, reason=why,
        )  # fmt: skip

    def publish(
        self, name: str, constant: str, values: Sequence[float], least: float = LEAST, why: str = ""
    ) -> None:
        """Take the geometric mean of some figures of a published constant, ns."""
        one = self.published.constant(constant)
        value, sd = _mean(values, least)
        told = ", ".join(f"{v:g}" for v in values)
        self.put(
            name, value, sd, f"published: {constant}, {told} ns ({one.basis}; {one.source})", why
        )

    def ns(self, constant: str, *whats: str) -> list[float]:
        """Return the times in ns of a published constant, of all figures or of those named."""
        one = self.published.constant(constant)
        return [t for w in whats for t in one.times(w)] if whats else one.times()

    def call(self, machine: Machine, call: Call) -> float:
        """Return the predicted length of a call made alone, ns."""
        scenario = Scenario(machine, Kernel("6.18"), call)
        return float(hold(scenario, ACTUAL_POLICY[call.operation]).call[0])

    def scale(self, constant: str, pairs: Sequence[tuple[float, float]]) -> _Scale:
        value, sd = _mean([a / b for a, b in pairs], least=2.0)
        told = ", ".join(f"{a / b:.2g}" for a, b in pairs)
        return _Scale(value, sd, f"{self.base.name} times {value:.3g} ({constant}: {told})")

    def work(self, scale: _Scale) -> None:
        """Scale the kernel's work on the CPU: what the scale errs by, all of it errs by together."""
        self.spread = scale.log_sd
        for name in _WORK:
            own = self.base.constants[name]
            if own.value is None:
                self.constants[name] = own
                continue
            sd = math.hypot(scale.log_sd, own.log_sd or 0.0) if own.value else None
            self.put(name, own.value * scale.value, sd, f"derived: {scale.source}", own.reason)
            if own.value:
                self.common[name] = own.log_sd or 0.0
            if own.value:
                self.common[name] = own.log_sd or 0.0

    def rest(self) -> None:
        """Fill what every class takes in the same way."""
        self.publish("zap", "zap_per_page", self.ns("zap_per_page"), 2.0)
        self.put("zap_cold", 0.0, None, "derived: contained in zap",
                 "published per page of a range that no cache holds")  # fmt: skip
        for name in ("warm_pages", "warm_zap_pages"):
            value = self.base.value(name)
            self.put(name, value, _sd(4.0), f"assumed: as on {self.base.name}; caches differ")
        self.publish("wake_switch", "context_switch", self.ns("context_switch"), 2.0)
        for name in ("wake_kick", "wake_serial", "shootdown_more"):
            self.constants.setdefault(name, PRIORS[name])
        fault = derived_fault_hold(self.constants["fault_minor"], self.constants["syscall"])
        self.constants["fault_hold"] = fault or Constant(
            value=None, unit="ns", source="none", reason="a fault is shorter than a system call"
        )

    def shootdown(self, factor: float) -> None:
        """Derive one remote CPU's shootdown from its published share of a small munmap."""
        share = self.published.constant("shootdown_share").figures[0].value / 100
        alone = self.call(self.machine(), Call("munmap", pages=1, remote_cpus=0))
        self.put(
            "shootdown", alone * share / (1 - share), _sd(factor),
            f"derived: {100 * share:g} % of a small munmap (shootdown_share, LATR), the rest of it"
            f" {alone:.0f} ns by this profile",
        )  # fmt: skip

    def machine(self, description: str = "") -> Machine:
        missing = {
            n: Constant(value=None, unit=CONSTANTS[n].unit, source="none", reason="not yet made")
            for n in CONSTANTS if n not in self.constants
        }  # fmt: skip
        constants = {n: self.constants.get(n) or missing[n] for n in CONSTANTS}
        return Machine(
            name=self.name,
            description=description,
            constants=constants,
            covariance_names=tuple(self.common),
            covariance=(self.spread**2 + np.diag(np.square(list(self.common.values())))).round(6)
            if self.common
            else np.zeros((0, 0)),
            evidence="published",
            created=self.base.created,
            inputs=(
                InputFile(file="published.yaml", sha256=self.published.sha256, format="published"),
                InputFile(file=f"{self.base.name}.json", sha256=self.base.sha256, format="profile"),
            ),
        )


def _server(make: _Maker) -> Machine:
    small = "mprotect_small"
    calls = {
        "same-flags": Call(transition="same-flags", remote_cpus=0),
        "RW->R own VMA": Call(remote_cpus=0),
        "NONE->RW": Call(transition="NONE->RW", populated=1.0, remote_cpus=0),
        "two splits": Call(pages=1, splits=2, remote_cpus=0),
        "merge of three": Call(merges=2, transition="R->RW", remote_cpus=0),
    }
    make.work(make.scale(small, [
        (make.ns(small, what)[0], make.call(make.base, call)) for what, call in calls.items()
    ]))  # fmt: skip
    make.publish("pte", "mprotect_per_page", make.ns("mprotect_per_page", "at 512 pages"), 3.0)
    make.publish("rmw_local", "atomic_add", make.ns("atomic_add"))
    # Half of the transfers of a line that all CPUs use cross the sockets.
    lines = make.published.constant("line_transfer").figures
    by: dict[str, list[float]] = {}
    for f in lines:
        if f.what in ("same socket", "cross socket"):
            by.setdefault(f.machine.split(" (")[0], []).append(f.ns)
    make.publish("line_transfer", "line_transfer", [sum(v) / len(v) for v in by.values()],
                 why="half of the transfers cross the sockets")  # fmt: skip
    make.publish("fault_minor", "fault_minor", make.ns("fault_minor", "server"))
    make.publish("wake_latency", "futex_wake", make.ns("futex_wake"), 2.8)
    make.rest()
    make.shootdown(3.0)
    return make.machine(
        "Composite of published figures for two-socket x86 servers, no machine in particular; kernel"
        f" work has the proportions of {make.base.name}"
    )


def _laptop(make: _Maker) -> Machine:
    base = make.base
    own = {
        "mprotect_per_vma": base.value("vma_step") + base.value("vma_fixup"),
        "munmap_per_vma": base.value("vma_step") + base.value("unmap_vma")
        + base.value("unmap_finish"),
        "madvise_per_vma": base.value("vma_step") + base.value("madvise_vma"),
    }  # fmt: skip
    ratios = [(make.ns(name)[0], value) for name, value in own.items()]
    make.work(make.scale(", ".join(own), ratios))
    for names, (constant, pair) in (
        (("vma_fixup",), ("mprotect_per_vma", ratios[0])),
        (("unmap_vma", "unmap_finish"), ("munmap_per_vma", ratios[1])),
        (("madvise_vma",), ("madvise_per_vma", ratios[2])),
    ):
        scale = pair[0] / pair[1]
        for name in names:
            make.put(name, base.value(name) * scale, _sd(2.0),
                     f"derived: {base.name} times {scale:.3g} ({constant}, taken as work on VMAs alone)",
                     "whether the VMAs were populated or merged is not said")  # fmt: skip
    make.publish("rmw_local", "atomic_add", make.ns("atomic_add")[:1], 2.0)
    make.publish("line_transfer", "line_transfer", make.ns("line_transfer", "desktop"), 2.0)
    make.publish("fault_minor", "fault_minor", make.ns("fault_minor"))
    make.publish("wake_latency", "futex_wake",
                 make.ns("futex_wake", "same socket, least", "same socket, most"), 2.8)  # fmt: skip
    make.rest()
    make.shootdown(4.0)
    return make.machine(
        "Composite of published figures for x86 laptops (the VMA work of a Pentium Gold 7505), no machine"
        " in particular"
    )


def _phone(make: _Maker) -> Machine:
    name = "none_to_rw_arm64"
    call = Call(transition="NONE->RW", populated=1.0, remote_cpus=0)
    with_, without = make.ns(name, "with flush")[0], make.ns(name, "without flush")[0]
    make.work(make.scale(name, [(without, make.call(make.base, call))]))
    make.publish("flush_page", name, [with_ - without], 2.5, "a flush of one page is broadcast")
    for constant in ("shootdown", "shootdown_more"):
        make.put(constant, 0.0, None, "derived: arm64 interrupts nobody",
                 "hardware broadcasts the invalidation; its cost is in flush_page")  # fmt: skip
    make.publish("rmw_local", "atomic_add", make.ns("atomic_add"), 3.0, "of x86")
    make.publish("line_transfer", "line_transfer", make.ns("line_transfer", "Arm"), 2.5,
                 "of Arm servers")  # fmt: skip
    make.publish("fault_minor", "fault_minor", make.ns("fault_minor"), 3.0, "of x86")
    make.publish("wake_latency", "futex_wake", make.ns("futex_wake"), 4.0, "of x86")
    make.rest()
    return make.machine(
        "Composite of published figures for an Arm phone, no machine in particular; much is that of x86,"
        " and so are the rules of what is flushed"
    )


#: What makes each composite.
COMPOSITES: dict[str, Callable[[_Maker], Machine]] = {
    "two-socket-server": _server, "laptop": _laptop, "arm-phone": _phone,
}  # fmt: skip


def composite(name: str, published: Published, base: Machine | None = None) -> Machine:
    """Put a profile together from published figures.

    Parameters
    ----------
    name : str
        One of `COMPOSITES`.
    published : Published
    base : Machine, optional
        The measured profile. Default: `BASE`.

    Raises
    ------
    InputError
        If a published constant is missing.
    """
    return COMPOSITES[name](_Maker(name, published, base or Machine.load(BASE)))
