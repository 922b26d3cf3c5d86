from __future__ import annotations

import pytest

from perfmodel.kernel import Kernel
from perfmodel.scenario import TRANSITIONS, Call, Policy
from perfmodel.stale_tlb import safety

CUTS = (Policy.LAST_VMA, Policy.BEFORE_FLUSH, Policy.EVERY_VMA)


@pytest.mark.parametrize("release", ["5.10", "5.11", "5.12", "6.1", "6.18"])
@pytest.mark.parametrize("policy", CUTS)
@pytest.mark.parametrize("transition", TRANSITIONS)
def test_a_cut_that_takes_a_right_away_is_refused(
    release: str, policy: Policy, transition: str
) -> None:
    found = safety(Kernel(release), Call(pages=4, transition=transition, populated=1.0), policy)
    assert found.safe is (transition not in ("RW->R", "RW->NONE", "R->NONE"))
    assert found.reason and found.basis


@pytest.mark.parametrize("policy", CUTS)
def test_nothing_is_stale_where_nothing_changes(policy: Policy) -> None:
    assert safety(Kernel("5.11"), Call(pages=4, populated=0.0), policy).safe


def test_the_write_lock_and_what_the_kernel_does_are_safe() -> None:
    kernel = Kernel("6.18")
    assert safety(kernel, Call(), Policy.NONE).safe
    assert safety(kernel, Call("munmap"), Policy.LAST_VMA).safe
    assert safety(kernel, Call("uffd_writeprotect"), Policy.READ_ONLY).safe
    assert safety(kernel, Call("madvise"), Policy.READ_ONLY).safe


def test_mprotect_cannot_do_with_the_read_lock() -> None:
    assert not safety(Kernel("6.18"), Call(), Policy.READ_ONLY).safe


def test_userfaultfd_before_the_fix_is_said_to_lose_stores() -> None:
    assert (
        "un-protecting"
        in safety(Kernel("5.11"), Call("uffd_writeprotect"), Policy.READ_ONLY).reason
    )
