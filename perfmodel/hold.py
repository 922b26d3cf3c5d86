"""Scenario and policy to phases: which piece of a call runs under which lock mode, and how long.

The durations come from :mod:`perfmodel.equations.hold`; this module says only who holds what. The
calibration uses the same two functions, so that what is fitted is what is predicted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.kernel import Kernel
from perfmodel.scenario import Call, Policy, Scenario, affected_share

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from perfmodel.equations.equation import Equation

__all__ = [
    "ACTUAL_POLICY",
    "SKIPPED",
    "Hold",
    "Phase",
    "facts",
    "frees_page_tables",
    "hold",
    "holds",
    "not_applicable",
    "pieces",
    "shares",
    "where_known",
]

FloatArray = Any

#: What the kernel really does, by operation (munmap and mremap since 4.20, dd2283f2605e and
#: 85a06835f6f1; userfaultfd write-protect and MADV_DONTNEED take the lock for reading).
ACTUAL_POLICY: Mapping[str, Policy] = {
    "mprotect": Policy.NONE,
    "munmap": Policy.LAST_VMA,
    "mremap_shrink": Policy.LAST_VMA,
    "uffd_writeprotect": Policy.READ_ONLY,
    "madvise": Policy.READ_ONLY,
}

#: Pieces that a policy moves under the read lock; everything else but ``enter`` stays exclusive.
_SHARED_PIECES: Mapping[Policy, frozenset[str]] = {
    Policy.NONE: frozenset(),
    Policy.LAST_VMA: frozenset({"step", "walk_start", "walk", "flush", "shootdown", "finish"}),
    Policy.BEFORE_FLUSH: frozenset({"flush", "shootdown", "finish"}),
    Policy.EVERY_VMA: frozenset({"step", "walk_start", "walk", "flush", "shootdown"}),
    Policy.READ_ONLY: frozenset({"locked", "find", "prepare", "step", "walk_start", "walk", "flush",
                                 "shootdown", "finish"}),
    Policy.AFTER_FLUSH: frozenset({"finish"}),
    # The hold was measured on a release with per-VMA locks: marking the VMAs is part of it.
    Policy.PER_VMA: frozenset(),
}  # fmt: skip


#: Pieces that a call on unchanged flags returns before; no entry is present to walk or flush then.
SKIPPED = ("prepare", "step")


def not_applicable(scenario: Scenario, policy: Policy) -> str:
    """Say why a policy means nothing for a scenario; empty where it does mean something."""
    operation = scenario.call.operation
    if policy is Policy.PER_VMA:
        if scenario.kernel.per_vma_lock:
            return f"{scenario.kernel.release} has per-VMA locks: it is what 'none' does"
        if ACTUAL_POLICY[operation] is not Policy.NONE:
            return (
                f"it is the alternative to a write lock to the end, which {operation} does not hold"
            )
    if operation in ("munmap", "mremap_shrink"):
        if policy is Policy.EVERY_VMA:
            return "munmap detaches all VMAs before it walks any: there is no per-VMA cut"
        if policy is Policy.READ_ONLY:
            return "detaching a VMA changes the tree: it needs the write lock"
    return ""


def frees_page_tables(operation: str) -> bool:
    """Whether a call frees page tables: its flush then interrupts idle CPUs too."""
    return operation in ("munmap", "mremap_shrink")


def facts(
    kernel: Kernel, call: Call, policy: Policy, remote_cpus: float, *, each_table: bool = False
) -> dict[str, float]:
    """Return what the equations of the hold need to know of a call, by symbol name.

    Parameters
    ----------
    kernel : Kernel
        The rules.
    call : Call
        The call.
    policy : Policy
        Where the lock is downgraded.
    remote_cpus : float
        CPUs that must be interrupted by a flush; may be a mean.
    each_table : bool
        Whether mprotect flushes before it drops the lock of each page table.
    """
    present = call.present_pages
    if call.operation == "mprotect" and call.transition == "same-flags":
        present = 0.0
    flushes = 0
    if present > 0:
        per_vma = (
            policy is Policy.EVERY_VMA
            # mwriteprotect_range gathers and flushes each VMA by itself.
            or call.operation == "uffd_writeprotect"
            or (call.operation == "mprotect" and kernel.flush_in_loop)
        )
        flushes = call.vmas if per_vma else 1
        if each_table:
            flushes = call.page_tables
        if call.operation == "mprotect" and not kernel.flushes(call.transition):
            flushes = 0
    refinds = 0
    if call.operation == "mprotect" and (policy is Policy.EVERY_VMA or kernel.refinds_vma):
        refinds = call.vmas - 1
    path = {
        Policy.NONE: "write",
        Policy.PER_VMA: "write",
        Policy.READ_ONLY: "read",
        Policy.EVERY_VMA: "every-vma",
    }.get(policy, "downgrade")
    return {
        "pages": call.pages,
        "vmas": call.vmas,
        "splits": call.splits,
        "merges": call.merges,
        "populated": present / call.pages,
        "huge": int(call.huge),
        "anon": int(present > 0),
        "grants_write": int(
            call.operation in ("mprotect", "uffd_writeprotect") and call.transition.endswith("->RW")
        ),
        "flush_count": flushes,
        "flush_ceiling": kernel.flush_ceiling_pages,
        "refinds": refinds,
        "lock_ops": kernel.locked_ops(path, call.vmas),
        "remote_cpus": remote_cpus,
    }


def pieces(
    operation: str,
    constants: Mapping[str, FloatArray],
    given: Mapping[str, FloatArray],
    *,
    unchanged: FloatArray = False,
    depending_on: str = "",
) -> dict[str, NDArray[np.float64]]:
    """Return the duration of every piece of a call in ns.

    Parameters
    ----------
    operation : str
        Which call.
    constants : mapping of str to float or ndarray
        Costs of the machine by name, ns; NaN where unknown.
    given : mapping of str to float or ndarray
        What `facts` returns; arrays broadcast against the constants.
    unchanged : bool or ndarray of bool
        Where mprotect finds the flags as they should be and returns before it prepares anything.
    depending_on : str
        Only the pieces whose equation has this argument; empty for all.

    Returns
    -------
    dict of str to ndarray
        By piece, in the kernel's order.
    """
    from perfmodel.equations.hold import PIECES

    known = {**constants, **given}
    out = {}
    for name, equation in PIECES[operation].items():
        if depending_on and depending_on not in equation.names:
            continue
        value = where_known(equation, known)
        out[name] = np.where(unchanged, 0.0, value) if name in SKIPPED else value
    return out


def where_known(equation: Equation, known: Mapping[str, FloatArray]) -> NDArray[np.float64]:
    """Evaluate an equation so that an unknown constant makes NaN only where it matters.

    A huge-page cost that nobody measured must not spoil a call without huge pages, but NaN times
    zero is NaN. So unknown constants are tried with two values: where the result does not move, it
    does not depend on them.
    """
    used = {n: np.asarray(known[n], dtype=float) for n in equation.names}
    if not any(np.isnan(v).any() for v in used.values()):
        return equation(**used)
    low, high = (
        equation(**{n: np.where(np.isnan(v), trial, v) for n, v in used.items()})
        for trial in (0.0, 1.0)
    )
    return np.where(low == high, low, np.nan)


def shares(
    kernel: Kernel, operation: str, policy: Policy, vmas: int = 1, *, each_table: bool = False
) -> dict[str, tuple[float, float]]:
    """Return, for every piece, its share under the write lock and under the read lock.

    The rest, if any, is outside the lock. A cut before the walk of the last VMA shares the walk of
    that VMA only, and of the flushes only those that come after the cut. With a flush for `each_table`
    they come with the walk.
    """
    from perfmodel.equations.hold import PIECES

    shared_pieces = _SHARED_PIECES[policy]
    detached = operation in ("munmap", "mremap_shrink")
    out = {}
    for name in PIECES[operation]:
        if name == "enter":
            out[name] = (0.0, 0.0)
            continue
        shared = 1.0 if name in shared_pieces else 0.0
        if not detached and shared and vmas > 1:
            if policy is Policy.LAST_VMA and name in ("step", "walk"):
                shared = 1.0 / vmas
            elif policy is Policy.LAST_VMA and name == "walk_start":
                shared = 0.0
            elif (
                policy in (Policy.LAST_VMA, Policy.BEFORE_FLUSH)
                and name in ("flush", "shootdown")
                and kernel.flush_in_loop
            ):
                shared = 1.0 / vmas
        out[name] = (1.0 - shared, shared)
    if each_table:
        # What is flushed with the walk runs under the lock of the walk.
        out["flush"] = out["shootdown"] = out["walk"]
    return out


@dataclass(frozen=True)
class Phase:
    """One stretch of a call under one lock mode.

    Parameters
    ----------
    name : str
        The piece.
    mode : {"outside", "exclusive", "shared"}
    ns : ndarray
        Duration over the draws.
    """

    name: str
    mode: str
    ns: NDArray[np.float64]


@dataclass(frozen=True)
class Hold:
    """Hold of one call under one policy; arrays run over the draws of the machine.

    Parameters
    ----------
    policy : Policy
    phases : tuple of Phase
        In time order for one VMA; for several, the pieces of all VMAs together.
    exclusive, shared, call : ndarray of shape (draws,), ns
        Under the write lock, under the read lock, and from entry to return without any wait.
    sections : int
        Separate write sections: 1, or the number of VMAs where the lock is dropped for each.
    lock_ops : int
        Locked operations on the lock's line.
    """

    policy: Policy
    phases: tuple[Phase, ...]
    exclusive: NDArray[np.float64]
    shared: NDArray[np.float64]
    call: NDArray[np.float64]
    sections: int
    lock_ops: int

    def spent(self, *names: str, mode: str = "") -> NDArray[np.float64]:
        """Return the time in some pieces, ns, in one lock mode or in any."""
        some = (p.ns for p in self.phases if p.name in names and mode in ("", p.mode))
        return sum(some, np.zeros_like(self.call))

    def same_lock(self, other: Hold) -> bool:
        """Return whether another hold asks the same of the lock, whatever its pieces are."""
        return self.sections == other.sections and all(
            np.array_equal(getattr(self, name), getattr(other, name), equal_nan=True)
            for name in ("exclusive", "shared", "call")
        )


def hold(
    scenario: Scenario,
    policy: Policy,
    constants: Mapping[str, FloatArray] | None = None,
    *,
    each_table: bool = False,
) -> Hold:
    """Return the hold of the scenario's call under `policy`.

    Parameters
    ----------
    scenario : Scenario
        The question.
    policy : Policy
        Where the lock is downgraded.
    constants : mapping of str to ndarray, optional
        Draws of the machine's constants, ns. Default: the estimates.
    each_table : bool
        Whether the call flushes before it drops the lock of each page table, as no mprotect does.

    Returns
    -------
    Hold
        All NaN where the policy does not apply or a constant it needs is unknown.
    """
    return holds(scenario, (policy,), constants, each_table=each_table)[0]


def holds(
    scenario: Scenario,
    policies: Sequence[Policy],
    constants: Mapping[str, FloatArray] | None = None,
    *,
    each_table: bool = False,
) -> list[Hold]:
    """Return the holds under several policies, each as `hold` does: every equation is asked once."""
    call = scenario.call
    constants = constants if constants is not None else scenario.machine.draws(1)
    known = [facts(scenario.kernel, call, p, scenario.remote_cpus, each_table=each_table)
             for p in policies]  # fmt: skip
    # One row a policy, one column a draw.
    given: dict[str, FloatArray] = {
        name: np.array([float(one[name]) for one in known])[..., None] for name in known[0]
    }
    unchanged = call.operation == "mprotect" and call.transition == "same-flags"
    divided = [shares(scenario.kernel, call.operation, p, call.vmas, each_table=each_table)
               for p in policies]  # fmt: skip
    lasting = pieces(call.operation, constants, given, unchanged=unchanged)
    if scenario.faults.threads is not None and not frees_page_tables(call.operation):
        given["remote_cpus"] = _still_to_interrupt(scenario, policies, divided, lasting)
        lasting = {**lasting, **pieces(call.operation, constants, given, unchanged=unchanged,
                                       depending_on="remote_cpus")}  # fmt: skip
    shape = np.broadcast_shapes(*(v.shape for v in lasting.values()), (len(policies), 1))
    lasting = {name: np.broadcast_to(v, shape) for name, v in lasting.items()}
    return [
        _divided(
            scenario,
            policy,
            divided[k],
            {name: v[k] for name, v in lasting.items()},
            int(known[k]["lock_ops"]),
        )
        for k, policy in enumerate(policies)
    ]


def _still_to_interrupt(
    scenario: Scenario,
    policies: Sequence[Policy],
    divided: Sequence[Mapping[str, tuple[float, float]]],
    lasting: Mapping[str, FloatArray],
) -> FloatArray:
    """Return the CPUs that the flush interrupts: a thread that blocks before it leaves its CPU idle.

    One row a policy.
    """
    from perfmodel.equations.hold import still_running

    before: FloatArray = 0.0
    for name in ("find", "prepare", "step", "walk_start", "walk"):
        if name in lasting:
            before = before + np.array([d[name][0] for d in divided])[..., None] * lasting[name]
    think = max(scenario.faults.think_ns, 1.0)
    sections = [_sections(scenario.call, p) for p in policies]
    unblocked = still_running(
        nu=np.array([affected_share(scenario, p) / think for p in policies])[..., None],
        window=before / np.array(sections, dtype=float)[..., None],
    )
    return scenario.running_cpus(unblocked)


def _sections(call: Call, policy: Policy) -> int:
    """Return how many times a call takes the lock."""
    return call.vmas if policy is Policy.EVERY_VMA else 1


def _divided(
    scenario: Scenario,
    policy: Policy,
    divided: Mapping[str, tuple[float, float]],
    lasting: Mapping[str, NDArray[np.float64]],
    lock_ops: int,
) -> Hold:
    """Put the pieces of one policy under the modes of the lock."""
    applies = not not_applicable(scenario, policy)
    count = lasting["enter"].shape
    if not applies:
        lasting = {name: np.full(count, np.nan) for name in lasting}
    phases = []
    modes = ("outside", "exclusive", "shared")
    totals = {mode: np.full(count, 0.0 if applies else np.nan) for mode in modes}
    for name, (exclusive, shared) in divided.items():
        for mode, share in (
            ("outside", 1.0 - exclusive - shared), ("exclusive", exclusive), ("shared", shared),
        ):  # fmt: skip
            if share > 0.0:
                ns = share * lasting[name]
                phases.append(Phase(name, mode, ns))
                totals[mode] = totals[mode] + ns
    return Hold(
        policy=policy,
        phases=tuple(phases),
        exclusive=totals["exclusive"],
        shared=totals["shared"],
        call=sum(totals.values(), np.zeros(count)),
        sections=_sections(scenario.call, policy),
        lock_ops=lock_ops,
    )
