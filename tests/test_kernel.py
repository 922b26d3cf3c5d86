from __future__ import annotations

import pytest

from perfmodel.errors import InputError, ModelWarning
from perfmodel.kernel import FACTS, Kernel


@pytest.mark.parametrize(
    ("release", "per_vma", "in_loop", "refinds", "spin", "mprotect", "downgraded", "read"),
    [
        ("5.10", False, True, False, True, 2, 3, 2),
        ("5.11", False, True, False, False, 2, 3, 2),
        ("5.18.3", False, True, False, False, 2, 3, 2),
        ("5.19", False, False, False, False, 2, 3, 2),
        ("6.1-rc7", False, False, True, False, 2, 3, 2),
        ("6.4", True, False, False, False, 2, 3, 2),
        ("6.12.5-cloud", True, False, False, False, 2, 3, 2),
        ("v6.18.44", True, False, False, False, 2, 4, 3),
    ],
)
def test_rules_by_release(
    release: str, per_vma: bool, in_loop: bool, refinds: bool, spin: bool,
    mprotect: int, downgraded: int, read: int,
) -> None:  # fmt: skip
    kernel = Kernel(release)
    assert kernel.per_vma_lock is per_vma
    assert kernel.flush_in_loop is in_loop
    assert kernel.refinds_vma is refinds
    assert kernel.reader_spin is spin
    assert kernel.locked_ops("write") == mprotect
    assert kernel.locked_ops("downgrade") == downgraded
    assert kernel.locked_ops("read") == read


def test_hung_task_accounting_can_be_configured_away() -> None:
    assert Kernel("6.18", hung_task_blocker=False).locked_ops("downgrade") == 3


def test_which_transitions_flush() -> None:
    assert Kernel("5.11").flushes("NONE->RW")
    assert not Kernel("5.19").flushes("NONE->RW")
    for release in ("5.11", "6.18"):
        assert Kernel(release).flushes("R->RW")
        assert not Kernel(release).flushes("same-flags")


def test_every_fact_has_a_source_and_an_ordered_history() -> None:
    for history in FACTS.values():
        assert [f.since for f in history] == sorted(f.since for f in history)
        assert history[0].since == (5, 10)
        assert all(f.source for f in history)
    assert set(Kernel("6.1").sources()) == set(FACTS)


@pytest.mark.parametrize("bad", ["4.19", "5.9", "x", "", "6", "6.x"])
def test_unknown_releases_are_refused(bad: str) -> None:
    with pytest.raises(InputError, match="kernel"):
        Kernel(bad)


def test_newer_than_known_is_said() -> None:
    with pytest.warns(ModelWarning, match=r"6\.18 are assumed"):
        assert Kernel("7.3").per_vma_lock
