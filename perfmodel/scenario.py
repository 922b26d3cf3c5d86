"""The question: which call, which faults, which writers, on which kernel and machine.

Times and rates carry the unit of the edge in their names (``_us``, ``per second``); the properties
that end in ``_ns`` and ``_per_ns`` are what the models use.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import Enum
from typing import Any, Self

import numpy as np

from perfmodel.errors import InputError
from perfmodel.kernel import Kernel
from perfmodel.machine import Machine
from perfmodel.quantities import SCENARIO

__all__ = [
    "OPERATIONS",
    "TRANSITIONS",
    "Call",
    "Faults",
    "Policy",
    "Scenario",
    "Writers",
    "affected_share",
]

OPERATIONS = ("mprotect", "munmap", "mremap_shrink", "uffd_writeprotect", "madvise")
TRANSITIONS = (
    "RW->R", "R->RW", "RW->NONE", "R->NONE", "NONE->R", "NONE->RW", "same-flags",
)  # fmt: skip

SCHEMA = "perfmodel.scenario/1"

#: Entries of a page table, and base pages under a huge entry (x86-64).
_ENTRIES = 512


class Policy(Enum):
    """Where the write lock is downgraded."""

    #: Never: write lock to the end.
    NONE = "none"
    #: Cut K0: before the page-table walk of the last VMA (munmap: after all VMAs are detached).
    LAST_VMA = "last-vma"
    #: Cut K1: before the TLB flush.
    BEFORE_FLUSH = "before-flush"
    #: For each VMA: downgrade, walk and flush, drop, retake for writing, find the VMA again.
    EVERY_VMA = "every-vma"
    #: Read lock throughout, as userfaultfd write-protect.
    READ_ONLY = "read-only"
    #: Write lock to the end, but faults take the lock of their VMA (6.4 on): only those in a VMA of
    #: the call, and those that fall back, are blocked.
    PER_VMA = "per-vma"
    #: Cut K2: after the flush; nothing is left to gain.
    AFTER_FLUSH = "after-flush"

    @classmethod
    def parse(cls, text: str) -> tuple[Policy, ...]:
        """Return the policies that a comma-separated list or ``all`` names.

        Raises
        ------
        InputError
            If a name is unknown.
        """
        if text.strip() == "all":
            return STANDARD_POLICIES
        chosen = []
        for name in text.split(","):
            try:
                chosen.append(cls(name.strip().lower().replace("_", "-")))
            except ValueError:
                raise InputError(
                    f"there is no policy {name.strip()!r}",
                    field="policy",
                    expected="all, or some of " + ", ".join(p.value for p in cls),
                ) from None
        return tuple(dict.fromkeys(chosen))


#: The policies that are compared when none is named.
STANDARD_POLICIES = (
    Policy.NONE, Policy.LAST_VMA, Policy.BEFORE_FLUSH, Policy.EVERY_VMA, Policy.READ_ONLY,
    Policy.PER_VMA,
)  # fmt: skip


def _check(owner: object, prefix: str) -> None:
    """Check every numeric field against its declaration and store the checked value."""
    for item in fields(owner):  # type: ignore[arg-type]
        value = getattr(owner, item.name)
        declared = SCENARIO.get("fault_" + item.name if prefix == "faults" else item.name)
        if prefix == "writers":
            declared = SCENARIO.get("writer_" + item.name)
        if prefix == "faults" and declared is None:
            declared = SCENARIO.get(item.name)
        # None stands only where it is the default: "follows from the rest".
        if declared is not None and (value is not None or item.default is not None):
            object.__setattr__(
                owner, item.name, declared.check(value, field=f"{prefix}.{item.name}")
            )


@dataclass(frozen=True)
class Call:
    """One call of the writer.

    Parameters
    ----------
    operation : str
        One of `OPERATIONS`.
    pages : int
        Pages of 4 KiB in the range.
    vmas : int
        VMAs that the range covers.
    splits, merges : int
        VMAs the call splits and merges away.
    transition : str
        Old and new protection, one of `TRANSITIONS`; only mprotect has one.
    populated : float, optional
        Share of the pages present. Default: 1, but 0 for ``NONE->R`` and ``NONE->RW``, which are
        made to commit reserved memory that nothing has touched yet.
    huge : bool
        Whether the range is mapped by 2 MiB entries.
    remote_cpus : float, optional
        CPUs whose TLB must be flushed by interrupt. Default: follows from threads and cpus.

    Raises
    ------
    InputError
        If a value is outside its domain or the combination is impossible.
    """

    operation: str = "mprotect"
    pages: int = 1
    vmas: int = 1
    splits: int = 0
    merges: int = 0
    transition: str = "RW->R"
    populated: float | None = None
    huge: bool = False
    remote_cpus: float | None = None

    def __post_init__(self) -> None:
        if self.operation not in OPERATIONS:
            raise InputError(
                f"there is no operation {self.operation!r}",
                field="call.operation",
                expected="one of " + ", ".join(OPERATIONS),
            )
        if self.transition not in TRANSITIONS:
            raise InputError(
                f"there is no transition {self.transition!r}",
                field="call.transition",
                expected="one of " + ", ".join(TRANSITIONS),
            )
        if not isinstance(self.huge, bool):
            raise InputError(f"{self.huge!r} is not true or false", field="call.huge")
        if self.populated is None:
            fresh = self.operation == "mprotect" and self.transition.startswith("NONE->")
            object.__setattr__(self, "populated", 0.0 if fresh else 1.0)
        _check(self, "call")
        if self.vmas > self.pages:
            raise InputError(
                f"{self.vmas} VMAs cannot share {self.pages} page(s)",
                field="call.vmas",
                expected="at most as many VMAs as pages",
            )

    @property
    def present_pages(self) -> float:
        """Pages whose entries the walk must change."""
        return self.pages * float(self.populated or 0.0)

    @property
    def page_tables(self) -> int:
        """Page tables that the walk goes through, each with a lock of its own.

        A table has 512 entries, and each VMA begins a new one: exact for VMAs that begin at the border
        of a table; others may touch one more.
        """
        pages = _ENTRIES * (_ENTRIES if self.huge else 1)
        return self.vmas * math.ceil(self.pages / self.vmas / pages)


class _Population:
    """What callers and faults have in common: a closed population of threads, or an open stream."""

    threads: int | None
    think_us: float | None
    rate: float | None

    @property
    def open(self) -> bool:
        """Whether they are an open stream."""
        return self.rate is not None

    @property
    def rate_per_ns(self) -> float:
        """Rate of the open stream per ns; NaN for a closed population."""
        return math.nan if self.rate is None else self.rate * 1e-9

    @property
    def think_ns(self) -> float:
        """Think time in ns; NaN where nobody thinks."""
        return math.nan if self.think_us is None else self.think_us * 1e3


@dataclass(frozen=True)
class Faults(_Population):
    """The readers: an open stream (`rate`) or a closed population (`threads`, `think_us`).

    Parameters
    ----------
    threads : int, optional
        Faulting threads of a closed population; 32 where only `think_us` is given.
    think_us : float, optional
        Mean time a thread runs between two faults; 20 where only `threads` is given.
    rate : float, optional
        Faults a second of the whole process; excludes `threads`. 50000 where nothing is given.
    same_vma : float
        Share of the faults that hit a VMA of the call.
    first_touch : float
        Share of the other faults that fall back to mmap_lock under per-VMA locks.
    io_share, io_us : float
        Share of the faults that wait for I/O under the lock, and its mean time.
    wp_share : float
        Share of the faults that write to a present, read-only page (do_wp_page): those that a guard
        against stale translations would concern. It matters to nothing else. The default is assumed.
    """

    threads: int | None = None
    think_us: float | None = None
    rate: float | None = None
    same_vma: float = 1.0
    first_touch: float = 0.0
    io_share: float = 0.0
    io_us: float = 100.0
    wp_share: float = 0.1

    def __post_init__(self) -> None:
        _check(self, "faults")
        if self.rate is not None and self.threads is not None:
            raise InputError(
                "both a rate and a number of threads are given",
                field="faults",
                expected="either faults.rate (open stream) or faults.threads (closed population)",
            )
        if self.rate is not None and self.think_us is not None:
            raise InputError(
                "a rate and a think time are given; only threads think",
                field="faults",
                expected="faults.threads beside faults.think_us, or faults.rate alone",
            )
        if self.rate is None and self.threads is None:
            if self.think_us is None:
                object.__setattr__(self, "rate", 50_000.0)
            else:
                object.__setattr__(self, "threads", 32)
        if self.threads is not None and self.think_us is None:
            object.__setattr__(self, "think_us", 20.0)

    @property
    def io_ns(self) -> float:
        """Mean I/O time in ns."""
        return self.io_us * 1e3


@dataclass(frozen=True)
class Writers(_Population):
    """The callers: a closed population of `threads`, or an open stream of `rate` calls a second."""

    threads: int | None = None
    think_us: float = 200.0
    rate: float | None = None

    def __post_init__(self) -> None:
        _check(self, "writers")
        if self.rate is not None and self.threads is not None:
            raise InputError(
                "both a rate and a number of threads are given",
                field="writers",
                expected="either writers.rate or writers.threads",
            )
        if self.rate is None and self.threads is None:
            object.__setattr__(self, "threads", 1)


@dataclass(frozen=True)
class Scenario:
    """Everything a question needs.

    Parameters
    ----------
    machine : Machine or str
        Costs, or the name or path of a profile.
    kernel : Kernel or str
        Rules, or a release such as ``"5.11"``.
    call, faults, writers
        The call and who meets it.
    cpus : int
        CPUs the process may run on.
    policies : tuple of Policy
        The policies to compare; `Policy.NONE`, what every other one is compared with, is added
        where it is missing.
    """

    machine: Machine
    kernel: Kernel = field(default_factory=lambda: Kernel("5.11"))
    call: Call = field(default_factory=Call)
    faults: Faults = field(default_factory=Faults)
    writers: Writers = field(default_factory=Writers)
    cpus: int = 48
    policies: tuple[Policy, ...] = STANDARD_POLICIES

    def __post_init__(self) -> None:
        if isinstance(self.machine, str):
            object.__setattr__(self, "machine", Machine.load(self.machine))
        if isinstance(self.kernel, str):
            object.__setattr__(self, "kernel", Kernel(self.kernel))
        object.__setattr__(self, "cpus", SCENARIO["cpus"].check(self.cpus))
        policies = tuple(self.policies)
        if Policy.NONE not in policies:
            policies = (Policy.NONE, *policies)
        object.__setattr__(self, "policies", policies)

    @property
    def remote_cpus(self) -> float:
        """CPUs that must be interrupted to flush while nobody is blocked: see `running_cpus`."""
        return float(self.running_cpus(1.0))

    def running_cpus(self, unblocked: Any) -> Any:
        """Return the CPUs that a flush must interrupt, at most one less than there are.

        As the call says; else, for threads, every CPU on which another thread of the process runs;
        for an open stream of faults, of which only the faults themselves are known to run, the mean
        number of faults in progress. A faulting thread that is blocked on the lock has left its CPU
        idle, and an idle CPU is flushed lazily, without an interrupt (x86 since 4.20).

        Parameters
        ----------
        unblocked : float or ndarray
            Share of the faulting threads that are not blocked when the flush comes.
        """
        if self.call.remote_cpus is not None:
            return min(self.call.remote_cpus, self.cpus - 1) + 0.0 * unblocked
        callers = (self.writers.threads or 1) - 1
        if self.faults.threads is not None:
            running = self.faults.threads * unblocked
        else:
            fault = self.machine.value("fault_minor")
            running = self.faults.rate_per_ns * fault if math.isfinite(fault) else 0.0
        return np.minimum(running + callers + 0.0 * unblocked, self.cpus - 1)

    def replace(self, **changes: Any) -> Self:
        """Return a copy with parameters changed; a dotted or plain name reaches the inner objects.

        ``scenario.replace(pages=64, think_us=5, cpus=8)`` finds ``call.pages`` and
        ``faults.think_us``; ``**{"writers.think_us": 100}`` says which is meant.
        """
        inner: dict[str, dict[str, Any]] = {"call": {}, "faults": {}, "writers": {}}
        outer: dict[str, Any] = {}
        own = {f.name for f in fields(self)}
        for name, value in changes.items():
            if name in own:
                outer[name] = value
                continue
            part, _, key = name.rpartition(".")
            places = [part] if part else [
                p for p in inner if key in {f.name for f in fields(getattr(self, p))}
            ]  # fmt: skip
            if part and (
                part not in inner or key not in {f.name for f in fields(getattr(self, part))}
            ):
                places = []
            if not places:
                raise InputError(f"a scenario has no parameter {name!r}", field=name)
            inner[places[0]][key] = value
        for part, values in inner.items():
            if values:
                outer[part] = replace(outer.get(part, getattr(self, part)), **values)
        return replace(self, **outer)

    def to_dict(self) -> dict[str, Any]:
        """Return the scenario as JSON-ready values; `from_dict` takes it back."""
        return {
            "schema": SCHEMA,
            "machine": self.machine.name,
            "kernel": self.kernel.release,
            "hung_task_blocker": self.kernel.hung_task_blocker,
            "call": asdict(self.call),
            "faults": asdict(self.faults),
            "writers": asdict(self.writers),
            "cpus": self.cpus,
            "policies": [p.value for p in self.policies],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, machine: Machine | None = None) -> Self:
        """Build a scenario from what `to_dict` gives; missing parts take their defaults.

        Raises
        ------
        InputError
            If the schema is another one, or a field is unknown or wrong.
        """
        if not isinstance(data, Mapping):
            raise InputError("a scenario is not a JSON object", expected="an object")
        if data.get("schema", SCHEMA) != SCHEMA:
            raise InputError(f"the schema is {data['schema']!r}", field="schema", expected=SCHEMA)
        known = {"schema", "hung_task_blocker", *(f.name for f in fields(cls))}
        parts: dict[str, Any] = {}
        for name in data:
            if name not in known:
                raise InputError("there is no such field", field=str(name),
                                 expected="one of " + ", ".join(sorted(known)))  # fmt: skip
        for name, kind in (("call", Call), ("faults", Faults), ("writers", Writers)):
            given = data.get(name, {})
            if not isinstance(given, Mapping):
                raise InputError(f"{given!r} is not an object", field=name)
            allowed = {f.name for f in fields(kind)}
            for key in given:
                if key not in allowed:
                    raise InputError("there is no such field", field=f"{name}.{key}",
                                     expected="one of " + ", ".join(sorted(allowed)))  # fmt: skip
            parts[name] = kind(**given)
        if "policies" in data:
            if not isinstance(data["policies"], (list, tuple)):
                raise InputError(f"{data['policies']!r} is not a list", field="policies")
            parts["policies"] = Policy.parse(",".join(map(str, data["policies"])))
        if "cpus" in data:
            parts["cpus"] = data["cpus"]
        release = data.get("kernel", "5.11")
        parts["kernel"] = Kernel(release, bool(data.get("hung_task_blocker", True)))
        if machine is None:
            if "machine" not in data:
                raise InputError("no machine is named", field="machine", expected="a profile")
            machine = Machine.load(str(data["machine"]))
        return cls(machine=machine, **parts)

    def to_json(self) -> str:
        """Return `to_dict` as indented JSON."""
        return json.dumps(self.to_dict(), indent=2)


def affected_share(scenario: Scenario, policy: Policy = Policy.NONE) -> float:
    """Return the share of the faults that the call can block.

    Up to 6.3 every fault takes mmap_lock. With per-VMA locks, from 6.4 on or by `Policy.PER_VMA`, a
    fault is blocked if it hits a VMA of the call, or if it falls back to mmap_lock: the first touch
    of a fresh anonymous VMA.
    """
    if not scenario.kernel.per_vma_lock and policy is not Policy.PER_VMA:
        return 1.0
    q, fresh = scenario.faults.same_vma, scenario.faults.first_touch
    return q + (1.0 - q) * fresh
