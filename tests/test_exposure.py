"""What an unsafe cut would lose an hour."""

from __future__ import annotations

import numpy as np
import pytest

import perfmodel as pm
from perfmodel.equations.window import LOST_BEFORE_FLUSH
from perfmodel.errors import InputError
from perfmodel.exposure import NS_PER_HOUR, broken_by_forced_write, lost_stores
from perfmodel.presets import preset
from perfmodel.scenario import Policy, Scenario
from perfmodel.stale_tlb import safety


@pytest.fixture
def mail(machine: pm.Machine) -> Scenario:
    return Scenario.from_dict(preset("mail").parameters, machine=machine)


def _by(found):
    return {one.policy: one for one in found}


def test_the_hour_is_the_calls_of_an_hour(mail: Scenario) -> None:
    by = _by(lost_stores(mail, forced_writes_per_s=10, stores_per_s=1e6, copy_us=1.5, draws=3))
    held = pm.predict(mail, draws=3, levels=(), guards=False)[Policy.BEFORE_FLUSH]
    constants = mail.machine.draws(3)
    one = LOST_BEFORE_FLUSH(
        forced_writes=1e-8, stores=1e-3, copy_time=1500.0, late=constants["wake_latency"],
        flush_time=constants["flush_page"] + constants["shootdown"],
        before_cut=held.hold.exclusive + held.answer.acquire,
    )  # fmt: skip
    found = by[Policy.BEFORE_FLUSH]
    np.testing.assert_allclose(found.per_call, one, rtol=1e-6)
    np.testing.assert_allclose(found.per_hour, one * held.answer.call_rate * NS_PER_HOUR)
    low, high = found.interval()[1:]
    assert low <= found.per_hour[0] <= high


def test_more_is_lost_the_more_write_and_the_longer_it_takes(mail: Scenario) -> None:
    def lost(pages: int = 64, forced: float = 1, stores: float = 1e5, copy: float = 1.0) -> float:
        by = _by(lost_stores(mail.replace(pages=pages), forced_writes_per_s=forced,
                             stores_per_s=stores, copy_us=copy, draws=1))  # fmt: skip
        return float(by[Policy.LAST_VMA].per_call[0])

    assert lost(forced=10) == pytest.approx(10 * lost())
    assert lost(stores=1e6) > lost()
    assert lost(copy=5.0) > lost()
    assert lost(pages=4096) > lost()
    assert lost(forced=0) == lost(stores=0) == lost(copy=0) == 0


@pytest.mark.parametrize(
    ("kernel", "transition", "lost"),
    [("5.11", "RW->R", True), ("5.18", "RW->NONE", True), ("5.19", "RW->R", False),
     ("6.18", "RW->R", False), ("5.11", "R->NONE", False), ("5.11", "same-flags", False)],
)  # fmt: skip
def test_nothing_is_lost_where_nobody_breaks_the_cut(
    mail: Scenario, kernel: str, transition: str, lost: bool
) -> None:
    s = mail.replace(kernel=pm.Kernel(kernel), transition=transition)
    for one in lost_stores(s, forced_writes_per_s=100, stores_per_s=1e6, draws=1):
        assert one.lost == broken_by_forced_write(s, one.policy) == lost
        assert (one.per_hour[0] > 0) == lost
        assert safety(s.kernel, s.call, one.policy).reason in one.reason


def test_bad_input(mail: Scenario) -> None:
    with pytest.raises(InputError, match="mprotect"):
        lost_stores(mail.replace(operation="munmap"), forced_writes_per_s=1, stores_per_s=1)
    with pytest.raises(InputError, match="forced_writes_per_s"):
        lost_stores(mail, forced_writes_per_s=-1, stores_per_s=1)
