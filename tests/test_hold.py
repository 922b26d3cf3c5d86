from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.hold import ACTUAL_POLICY, facts, hold, not_applicable, shares
from perfmodel.kernel import Kernel
from perfmodel.machine import Constant, Machine
from perfmodel.scenario import OPERATIONS, Call, Faults, Policy, Scenario

RELEASES = ["5.10", "5.11", "5.19", "6.1", "6.4", "6.12", "6.18"]
CUTS = (Policy.LAST_VMA, Policy.BEFORE_FLUSH, Policy.EVERY_VMA)


def _scenario(machine: Machine, release: str = "6.1", **call: object) -> Scenario:
    return Scenario(machine, Kernel(release), Call(**call), Faults(threads=4))  # type: ignore[arg-type]


@given(
    release=st.sampled_from(RELEASES), operation=st.sampled_from(OPERATIONS),
    pages=st.integers(64, 10**6), vmas=st.integers(1, 64), policy=st.sampled_from(list(Policy)),
)  # fmt: skip
def test_parts_make_up_the_call(
    machine: Machine, release: str, operation: str, pages: int, vmas: int, policy: Policy
) -> None:
    scenario = _scenario(machine, release, operation=operation, pages=pages, vmas=vmas)
    held = hold(scenario, policy)
    if not_applicable(scenario, policy):
        assert np.isnan(held.call).all()
        return
    assert sum(p.ns for p in held.phases) == pytest.approx(held.call)
    outside = sum(p.ns for p in held.phases if p.mode == "outside")
    assert held.exclusive + held.shared + outside == pytest.approx(held.call)
    assert (held.exclusive >= 0).all()
    assert (held.shared >= 0).all()
    if policy in (Policy.NONE, Policy.PER_VMA):
        assert held.shared == pytest.approx(0)
    if policy is Policy.READ_ONLY:
        assert held.exclusive == pytest.approx(0)


@given(
    release=st.sampled_from(RELEASES), operation=st.sampled_from(OPERATIONS),
    policy=st.sampled_from(list(Policy)), vmas=st.integers(1, 100),
)  # fmt: skip
def test_shares_are_shares(release: str, operation: str, policy: Policy, vmas: int) -> None:
    for exclusive, shared in shares(Kernel(release), operation, policy, vmas).values():
        assert 0 <= exclusive <= 1
        assert 0 <= shared <= 1
        assert exclusive + shared <= 1 + 1e-12


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    "call",
    [
        {"transition": "same-flags", "pages": 512},
        {"transition": "RW->R", "pages": 512, "populated": 0.0},
        {"transition": "NONE->RW", "pages": 512},
    ],
)
def test_nothing_to_share_where_no_entry_changes(
    machine: Machine, release: str, call: dict[str, object]
) -> None:
    scenario = _scenario(machine, release, **call)
    before = hold(scenario, Policy.NONE)
    for policy in CUTS:
        held = hold(scenario, policy)
        # A cut before the walk shares the steps over page tables that turn out to be empty.
        step = held.spent("step", mode="shared")
        assert held.shared == pytest.approx(step)
        assert (held.shared < 3).all()
        assert (held.exclusive + step > before.exclusive).all()  # the extra operation


def test_munmap_steps_over_its_page_tables_after_the_downgrade(machine: Machine) -> None:
    # 80 GB unmapped: 40960 page tables are walked under the read lock (dd2283f2605e).
    huge = hold(_scenario(machine, "6.1", operation="munmap", pages=20_000_000), Policy.LAST_VMA)
    one = hold(_scenario(machine, "6.1", operation="munmap", pages=1), Policy.LAST_VMA)
    assert huge.exclusive == pytest.approx(one.exclusive)
    assert huge.spent("step", mode="shared")[0] > 10_000


def test_granting_rights_to_absent_entries_does_not_flush_from_5_19_on(machine: Machine) -> None:
    call = {"transition": "NONE->RW", "pages": 512, "populated": 1.0}
    assert hold(_scenario(machine, "5.11", **call), Policy.BEFORE_FLUSH).shared[0] > 0
    assert hold(_scenario(machine, "5.19", **call), Policy.BEFORE_FLUSH).shared[0] == 0
    # The walk is there all the same, and a cut before it shares it.
    assert hold(_scenario(machine, "5.19", **call), Policy.LAST_VMA).shared[0] > 0


def test_the_flush_turns_at_the_ceiling(machine: Machine) -> None:
    def flush(pages: int) -> float:
        held = hold(_scenario(machine, pages=pages), Policy.NONE)
        return float(next(p.ns[0] for p in held.phases if p.name == "flush"))

    assert flush(33) == pytest.approx(33 * machine.value("flush_page"))
    assert flush(34) == pytest.approx(machine.value("flush_full"))


def test_only_the_last_vma_is_shared_and_in_the_loop_only_its_flush(machine: Machine) -> None:
    old = hold(_scenario(machine, "5.11", pages=64, vmas=8), Policy.LAST_VMA)
    new = hold(_scenario(machine, "5.19", pages=64, vmas=8), Policy.LAST_VMA)
    walk = 64 * machine.value("pte")

    def part(held: object, name: str, mode: str) -> float:
        return float(sum(p.ns[0] for p in held.phases if (p.name, p.mode) == (name, mode)))  # type: ignore[attr-defined]

    assert part(old, "walk", "shared") == pytest.approx(walk / 8)
    assert part(old, "walk", "exclusive") == pytest.approx(walk * 7 / 8)
    whole = 64 * machine.value("flush_page")  # 8 flushes of 8 pages
    assert part(old, "flush", "shared") == pytest.approx(whole / 8)
    # From 5.19 on one flush of 64 pages, beyond the ceiling, and all of it after the cut.
    assert part(new, "flush", "shared") == pytest.approx(machine.value("flush_full"))
    assert part(new, "flush", "exclusive") == 0


def test_a_single_vma_has_no_difference_between_last_and_every(machine: Machine) -> None:
    scenario = _scenario(machine, pages=512)
    last, every = hold(scenario, Policy.LAST_VMA), hold(scenario, Policy.EVERY_VMA)
    assert every.exclusive == pytest.approx(last.exclusive)
    assert every.shared == pytest.approx(last.shared)


def test_dropping_the_lock_for_each_vma_costs_lookups_and_operations(machine: Machine) -> None:
    scenario = _scenario(machine, "5.19", pages=64, vmas=8, remote_cpus=0)
    none, every = hold(scenario, Policy.NONE), hold(scenario, Policy.EVERY_VMA)
    assert every.sections == 8
    assert every.lock_ops == 24
    names = {p.name: p.ns[0] for p in none.phases}
    again = {p.name: p.ns[0] for p in every.phases}
    assert again["find"] == pytest.approx(8 * machine.value("find_vma"))
    assert names["find"] == pytest.approx(machine.value("find_vma") + 7 * machine.value("vma_step"))


def test_userfaultfd_flushes_each_vma(machine: Machine) -> None:
    call = Call("uffd_writeprotect", pages=64, vmas=8)
    assert facts(Kernel("6.18"), call, Policy.READ_ONLY, 1)["flush_count"] == 8


def test_an_unknown_constant_spoils_only_what_needs_it(machine: Machine) -> None:
    constants = dict(machine.constants)
    constants["huge_pte"] = Constant(value=None, unit="ns", source="none", reason="no huge pages")
    names = [n for n in machine.covariance_names if n != "huge_pte"]
    keep = [i for i, n in enumerate(machine.covariance_names) if n != "huge_pte"]
    other = Machine("x", constants, tuple(names), machine.covariance[np.ix_(keep, keep)])
    assert np.isfinite(hold(_scenario(other, pages=512), Policy.NONE).call).all()
    assert np.isnan(hold(_scenario(other, pages=512, huge=True), Policy.NONE).call).all()


def test_blocked_threads_need_no_interrupt_unless_page_tables_are_freed(machine: Machine) -> None:
    def shootdown(**call: object) -> float:
        scenario = Scenario(
            machine,
            Kernel("6.1"),
            Call(**call),
            Faults(threads=4, think_us=5.0),  # type: ignore[arg-type]
        )
        held = hold(scenario, Policy.NONE)
        return float(next(p.ns[0] for p in held.phases if p.name == "shootdown"))

    short, long = shootdown(pages=1), shootdown(pages=65536)
    assert long < 0.01 * short
    assert shootdown(operation="munmap", pages=65536) == pytest.approx(
        shootdown(operation="munmap", pages=1)
    )


def test_what_the_kernel_does(machine: Machine) -> None:
    assert ACTUAL_POLICY["mprotect"] is Policy.NONE
    held = hold(_scenario(machine, operation="munmap", pages=4096), ACTUAL_POLICY["munmap"])
    assert held.shared[0] > 100 * held.exclusive[0]
