from __future__ import annotations

import pytest

from perfmodel.errors import InputError
from perfmodel.kernel import Kernel
from perfmodel.scenario import OPERATIONS, TRANSITIONS, Call, Policy
from perfmodel.stale_tlb import REVOKING, guarded_safety, safety
from perfmodel.stale_tlb.boundary import load
from perfmodel.stale_tlb.rules import GUARDS, question_of

CUTS = (Policy.LAST_VMA, Policy.BEFORE_FLUSH, Policy.EVERY_VMA)
RELEASES = ("5.10", "5.11", "5.12", "5.17", "6.1", "6.6", "6.18")


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("policy", Policy)
def test_every_call_has_an_answer_in_one_sentence(release: str, policy: Policy) -> None:
    kernel = Kernel(release)
    calls = [Call(op, huge=huge) for op in OPERATIONS for huge in (False, True)]
    calls += [Call(transition=t, populated=p) for t in TRANSITIONS for p in (0.0, 0.5, 1.0)]
    for call in calls:
        found = safety(kernel, call, policy)
        assert found.basis
        assert 20 < len(found.reason) < 200
        assert not found.reason.endswith(".")
        if call.transition != "same-flags" or call.operation != "mprotect":
            assert "states explored" in found.basis


@pytest.mark.parametrize("release", ["5.10", "5.11", "5.12", "5.17"])
@pytest.mark.parametrize("policy", CUTS)
@pytest.mark.parametrize("transition", TRANSITIONS)
def test_cuts_before_exclusive_pages(release: str, policy: Policy, transition: str) -> None:
    found = safety(Kernel(release), Call(pages=4, transition=transition, populated=1.0), policy)
    before_walk = policy is not Policy.BEFORE_FLUSH
    unsafe = {"RW->R", "RW->NONE"} | ({"R->NONE", "R->RW", "NONE->RW"} if before_walk else set())
    assert found.safe is (transition not in unsafe)


@pytest.mark.parametrize("release", ["5.19", "6.1", "6.6", "6.18"])
@pytest.mark.parametrize("policy", CUTS)
@pytest.mark.parametrize("transition", TRANSITIONS)
def test_cuts_since_exclusive_pages(release: str, policy: Policy, transition: str) -> None:
    assert safety(Kernel(release), Call(pages=4, transition=transition, populated=1.0), policy).safe


def test_the_gravest_break_is_the_reason() -> None:
    cut = safety(Kernel("5.11"), Call(), Policy.LAST_VMA)
    assert "forced write" in cut.reason and "no mark" in cut.reason
    assert "page with a second reference" in cut.basis
    huge = safety(Kernel("5.11"), Call(huge=True), Policy.LAST_VMA)
    assert "MADV_DONTNEED" in huge.reason
    wider = safety(Kernel("5.11"), Call(transition="NONE->RW"), Policy.LAST_VMA)
    assert "write bit" in wider.reason


@pytest.mark.parametrize("policy", CUTS)
@pytest.mark.parametrize("transition", REVOKING)
def test_nothing_is_stale_where_nothing_is_mapped(policy: Policy, transition: str) -> None:
    call = Call(pages=4, transition=transition, populated=0.0)
    assert safety(Kernel("5.11"), call, policy).safe


def test_the_write_lock_and_what_the_kernel_does_are_safe() -> None:
    kernel = Kernel("6.18")
    for policy in (Policy.NONE, Policy.AFTER_FLUSH, Policy.PER_VMA):
        assert safety(kernel, Call(), policy).safe
    assert safety(kernel, Call("munmap"), Policy.LAST_VMA).safe
    assert safety(kernel, Call("uffd_writeprotect"), Policy.READ_ONLY).safe
    assert safety(kernel, Call("madvise"), Policy.READ_ONLY).safe


@pytest.mark.parametrize("operation", ["mprotect", "munmap", "mremap_shrink"])
def test_who_changes_vmas_cannot_do_with_the_read_lock(operation: str) -> None:
    found = safety(Kernel("6.18"), Call(operation), Policy.READ_ONLY)
    assert not found.safe
    assert "needs the write lock" in found.reason


def test_userfaultfd_before_the_fix_is_said_to_lose_stores() -> None:
    found = safety(Kernel("5.11"), Call("uffd_writeprotect"), Policy.READ_ONLY)
    assert not found.safe
    assert "un-protecting" in found.reason
    assert safety(Kernel("5.11"), Call("uffd_writeprotect"), Policy.NONE).safe


@pytest.mark.parametrize("guard", GUARDS)
def test_a_cut_with_a_guard(guard: str) -> None:
    kernel, call = Kernel("5.11"), Call(pages=16)
    helps = guard not in ("generation", "nested")
    found = guarded_safety(kernel, call, Policy.BEFORE_FLUSH, guard)
    assert found.safe is helps
    whole = guarded_safety(kernel, call, Policy.LAST_VMA, guard)
    assert whole.safe is guard.endswith("+nested")


def test_beyond_one_page_table_one_pmd_keeps_the_write_lock() -> None:
    large = Call(pages=513)
    assert guarded_safety(Kernel("5.11"), large, Policy.LAST_VMA, "one-pmd").safe
    assert not guarded_safety(Kernel("5.11"), Call(pages=512), Policy.LAST_VMA, "one-pmd").safe


@pytest.mark.parametrize(
    ("call", "policy", "guard", "names"),
    [
        (Call(), Policy.LAST_VMA, "hope", "guard"),
        (Call(), Policy.READ_ONLY, "mark", "policy"),
        (Call("munmap"), Policy.LAST_VMA, "mark", "policy"),
    ],
)
def test_guards_that_were_not_explored_are_refused(
    call: Call, policy: Policy, guard: str, names: str
) -> None:
    with pytest.raises(InputError, match=names):
        guarded_safety(Kernel("5.11"), call, policy, guard)


def test_every_call_is_a_cell_of_the_table() -> None:
    for release in RELEASES:
        for policy in Policy:
            for operation in OPERATIONS:
                assert question_of(Kernel(release), Call(operation), policy) in load()
