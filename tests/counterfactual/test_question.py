"""From constants to lock questions; the laws of the C program against those of the simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from perfmodel.counterfactual import Configuration, Constants, Run, grid, laws, locks
from perfmodel.errors import InputError

BASE = replace(
    grid()[0], readers=1, writers=1, exclusive_ns=20_000, shared_ns=30_000, read_ns=1_000,
    read_think_ns=50_000, write_think_ns=200_000, think="run",
)  # fmt: skip


@pytest.fixture
def constants(run: Run) -> Constants:
    return Constants.of(run)


def test_constants_are_the_medians(constants: Constants) -> None:
    assert constants.read_pair == 20
    assert constants.around_read == pytest.approx(60)
    assert constants.around_call == pytest.approx(100)
    assert constants.serial == pytest.approx(1000)
    assert constants.kick == pytest.approx(11_000 - 10)
    assert constants.switch == 1500
    assert constants.overslept(1e6) == pytest.approx(21_000)
    assert constants.wake_latency(1e5) == pytest.approx(16_000 - 1000)
    # Outside of what was timed the ends hold.
    assert constants.wake_latency(1.0) == pytest.approx(15_020 - 1000)
    assert constants.wake_latency(1e9) == pytest.approx(65_000 - 1000)


def test_a_constant_that_was_not_timed_is_named(run: Run) -> None:
    for name in ("read_pair", "wake_idle", "wake_same_cpu"):
        some = tuple(c for c in run.constants if c.operation != name)
        broken = Run(**{f: getattr(run, f) for f in run.__struct_fields__} | {"constants": some})
        with pytest.raises(InputError, match=name):
            Constants.of(broken)


def test_the_arms_share_the_hold(constants: Constants) -> None:
    without, with_it = locks(BASE, constants, 2)
    assert without.shared[0] == 0
    assert without.exclusive[0] == pytest.approx(50_020)
    assert with_it.exclusive[0] == pytest.approx(20_015)
    # The waker's payment comes before the shared part with a downgrade, else after the call.
    assert 30_015 < with_it.shared[0] < 30_015 + constants.kick
    assert 200_100 < float(without.writer_think) < 200_100 + constants.kick
    assert float(with_it.writer_think) == pytest.approx(200_100)
    # The longer the sleep, the longer the way back.
    assert float(without.wake_latency) > float(with_it.wake_latency) > 0
    assert without.cpus is None


def test_who_shares_cpus_pays_a_switch(constants: Constants) -> None:
    crowd = replace(BASE, readers=6, writers=2)
    without, with_it = locks(crowd, constants, 2)
    for lock in (without, with_it):
        assert lock.cpus == 2
        assert float(lock.wake_latency) == constants.switch
        assert float(lock.writer_think) == pytest.approx(200_100)
    assert with_it.shared[0] == pytest.approx(30_015)


def test_who_sleeps_as_it_thinks_oversleeps_and_has_a_cpu(constants: Constants) -> None:
    asleep = replace(BASE, readers=6, think="sleep", read_think_ns=1_000_000)
    without, _ = locks(asleep, constants, 2)
    assert without.cpus is None
    assert without.fault_think == pytest.approx(1_000_060 + 21_000)


@pytest.mark.parametrize("name", ["constant", "exponential", "heavy", "rare"])
def test_laws_have_the_moments_of_what_is_drawn(name: str) -> None:
    configuration: Configuration = replace(BASE, call_law=name, read_law=name)
    law = laws(configuration)["exclusive"]
    share, times = 0.02, 20.0
    body = (1 - share * times) / (1 - share)
    second = {
        "constant": 1.0, "exponential": 2.0,
        "heavy": 2 * (share * times**2 + (1 - share) * body**2),
        "rare": share * times**2 + (1 - share) * body**2,
    }[name]  # fmt: skip
    if law.kind != "empirical":
        assert law.kind == name
        return
    edges, shares = np.array(law.edges), np.array(law.shares)
    weight = np.diff(shares)
    low, high = edges[:-1], edges[1:]
    assert np.sum(weight * (low + high) / 2) == pytest.approx(1.0)
    found = np.sum(weight * (low**2 + low * high + high**2) / 3)
    assert found == pytest.approx(second, rel=2e-3)
