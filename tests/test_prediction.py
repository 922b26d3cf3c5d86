from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import perfmodel as pm
from perfmodel.machine import Constant, Machine
from perfmodel.scenario import Call, Faults, Policy, Scenario, Writers
from perfmodel.verdict import CUTS

RELEASES = ["5.10", "5.11", "5.19", "6.1", "6.4", "6.18"]


def _predict(
    machine: Machine, release: str = "5.11", draws: int = 40, **more: object
) -> pm.Prediction:
    return pm.predict(Scenario(machine, release, **more), draws=draws)  # type: ignore[arg-type]


def test_the_mails_case_and_the_large_one_differ_as_the_facts_say(machine: Machine) -> None:
    mail = _predict(machine, call=Call(pages=1))
    large = _predict(machine, call=Call(pages=16384), faults=Faults(threads=32))
    assert mail.verdict.if_safe == "lost in the noise"
    assert large.verdict.if_safe == "pays"
    assert mail.verdict.answer == large.verdict.answer == "unsafe"
    assert large[Policy.LAST_VMA].net_gain[0] > 1000 * mail[Policy.LAST_VMA].net_gain[0]
    # "half a usec sooner" holds for one page, and is wrong by orders of magnitude for 64 MiB.
    assert 100 < mail[Policy.LAST_VMA].hold.shared[0] < 3000
    assert large[Policy.LAST_VMA].hold.shared[0] > 1e5


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    "call",
    [
        Call(transition="same-flags", pages=512),
        Call(transition="RW->R", pages=512, populated=0.0),
        Call(transition="NONE->RW", pages=512),
    ],
)
@pytest.mark.parametrize(
    "faults", [Faults(rate=1e5), Faults(threads=16, think_us=5.0), Faults(rate=10.0)]
)
def test_no_shared_part_is_pure_cost(
    machine: Machine, release: str, call: Call, faults: Faults
) -> None:
    prediction = _predict(machine, release, call=call, faults=faults)
    for policy in CUTS:
        result = prediction[policy]
        assert (result.net_gain < 0).all()
        assert result.p_pays == 0
        if call.transition == "same-flags" or prediction.scenario.kernel.version >= (5, 19):
            assert result.safety.safe
    # A fault may map a page between the cut and the walk, so giving rights is not safe before 5.19.
    verdict = prediction.verdict
    assert verdict.if_safe == "costs"
    assert verdict.answer == (
        "costs" if prediction[Policy(verdict.policy)].safety.safe else "unsafe"
    )


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    release=st.sampled_from(RELEASES), pages=st.sampled_from([1, 33, 34, 512, 10**5]),
    faults=st.builds(Faults, threads=st.integers(1, 300), think_us=st.floats(0.5, 1e4),
                     same_vma=st.floats(0, 1), first_touch=st.floats(0, 1))
    | st.builds(Faults, rate=st.floats(1, 1e6), io_share=st.sampled_from([0.0, 0.01])),
    writers=st.builds(Writers, threads=st.integers(1, 4), think_us=st.floats(50, 1e6)),
    cpus=st.integers(1, 128),
)  # fmt: skip
def test_predictions_are_sane_everywhere(
    machine: Machine, release: str, pages: int, faults: Faults, writers: Writers, cpus: int
) -> None:
    prediction = _predict(
        machine, release, 3, call=Call(pages=pages), faults=faults, writers=writers, cpus=cpus
    )
    for result in prediction.results:
        answer = result.answer
        if result.reason:  # it does not apply here: unknown, and why is said
            assert np.isnan(answer.blocked_share).all()
            continue
        assert np.all(answer.blocked_share >= 0)
        assert np.all(answer.blocked_share <= 1 + 1e-9)
        assert np.all(answer.acquire >= 0)
        assert np.all(answer.call_rate > 0)
        waits = [float(q[0]) for q in answer.wait_quantiles.values()]
        assert waits == sorted(waits)
        if faults.threads is not None:
            assert np.all(answer.fault_rate <= faults.threads / faults.think_ns * (1 + 1e-9))
    assert prediction[Policy.NONE].net_gain == pytest.approx(0)
    # The read lock throughout blocks nobody.
    assert prediction[Policy.READ_ONLY].answer.blocked_time == pytest.approx(0)
    json.dumps(prediction.to_dict(), allow_nan=False)


def test_the_read_lock_throughout_beats_every_downgrade(machine: Machine) -> None:
    prediction = _predict(machine, call=Call(pages=512, vmas=4), faults=Faults(threads=16))
    best = prediction[Policy.READ_ONLY].net_gain[0]
    assert all(best > prediction[p].net_gain[0] for p in CUTS)


def test_per_vma_locks_take_the_question_away_where_faults_hit_other_vmas(
    machine: Machine,
) -> None:
    faults = Faults(threads=16, same_vma=0.0)
    old = _predict(machine, "6.1", call=Call(pages=512), faults=faults)
    new = _predict(machine, "6.4", call=Call(pages=512), faults=faults)
    assert old[Policy.LAST_VMA].net_gain[0] > 1e4
    assert new[Policy.NONE].answer.blocked_share[0] == 0
    assert new[Policy.LAST_VMA].net_gain[0] < 0


def test_spinning_readers_pay_no_wake_up(machine: Machine) -> None:
    spin = _predict(machine, "5.10", call=Call(pages=512), faults=Faults(rate=1e5))
    sleep = _predict(machine, "5.11", call=Call(pages=512), faults=Faults(rate=1e5))
    assert spin[Policy.NONE].answer.wake_time[0] == 0
    assert sleep[Policy.NONE].answer.wake_time[0] > 0
    assert sleep[Policy.LAST_VMA].net_gain[0] > spin[Policy.LAST_VMA].net_gain[0]


def test_hung_task_accounting_makes_the_downgrade_dearer(machine: Machine) -> None:
    call = Call(transition="same-flags")
    plain = pm.predict(Scenario(machine, pm.Kernel("6.18", hung_task_blocker=False), call), draws=1)
    default = pm.predict(Scenario(machine, pm.Kernel("6.18"), call), draws=1)
    assert default[Policy.LAST_VMA].net_gain[0] < plain[Policy.LAST_VMA].net_gain[0] < 0


def test_conservation_of_a_faulting_threads_time(machine: Machine) -> None:
    faults = Faults(threads=8, think_us=10.0)
    prediction = _predict(machine, call=Call(pages=512), faults=faults)
    for result in prediction.results:
        cycle = (
            10_000 + prediction.scenario.machine.value("fault_hold") + result.answer.wait_mean[0]
        )
        assert result.answer.fault_rate[0] * cycle == pytest.approx(8, rel=1e-6)


def test_account_adds_up_and_is_paired(machine: Machine) -> None:
    prediction = _predict(machine, call=Call(pages=64), faults=Faults(threads=4))
    none = prediction[Policy.NONE]
    for result in prediction.results:
        assert sum(result.account.values()) == pytest.approx(result.lost_time)
        assert result.net_gain == pytest.approx(none.lost_time - result.lost_time)


def test_same_seed_same_answer_and_the_interval_holds_the_estimate(machine: Machine) -> None:
    one = _predict(machine, draws=200, call=Call(pages=64), faults=Faults(threads=4))
    two = _predict(machine, draws=200, call=Call(pages=64), faults=Faults(threads=4))
    assert one.to_dict() == two.to_dict()
    estimate, low, high = one[Policy.LAST_VMA].interval()
    assert low < estimate < high


def test_what_no_constant_is_known_for_is_unknown_and_said(machine: Machine) -> None:
    constants = {**machine.constants}
    constants["pte"] = Constant(value=None, unit="ns", source="none", reason="never measured")
    keep = [i for i, n in enumerate(machine.covariance_names) if n != "pte"]
    other = Machine(
        "x", constants, tuple(machine.covariance_names[i] for i in keep),
        machine.covariance[np.ix_(keep, keep)],
    )  # fmt: skip
    prediction = _predict(other, call=Call(pages=64))
    data = prediction.to_dict()
    assert data["policies"][0]["exclusive_ns"] is None
    assert data["verdict"]["answer"] == "unknown"
    assert any("never measured" in w for w in prediction.warnings)


def test_policies_that_mean_nothing_are_said_to(machine: Machine) -> None:
    prediction = _predict(machine, call=Call("munmap", pages=64))
    assert prediction[Policy.EVERY_VMA].reason
    assert np.isnan(prediction[Policy.EVERY_VMA].net_gain).all()
    assert prediction.verdict.answer in ("pays", "lost in the noise")
    assert prediction.verdict.best_safe_policy == "last-vma"


def test_oversubscription_is_said(machine: Machine) -> None:
    prediction = _predict(machine, call=Call(pages=64), faults=Faults(threads=64), cpus=4)
    assert any("share 4 CPUs" in w for w in prediction.warnings)


def test_dataset_is_labelled(machine: Machine) -> None:
    data = _predict(machine, call=Call(pages=64)).to_dataset()
    assert data.sizes == {"policy": 6, "draw": 40, "level": 3}
    assert data["net_gain"].attrs["units"] == "ns"
    assert float(data["shared"].sel(policy="none", draw=0)) == 0
    assert not bool(data["safe"].sel(policy="last-vma"))
