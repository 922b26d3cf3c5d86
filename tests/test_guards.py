"""A cut with the guard that it needs, against doing nothing."""

from __future__ import annotations

import numpy as np
import pytest

import perfmodel as pm
from perfmodel.guards import GUARDED, guarded_hold, variants
from perfmodel.hold import hold
from perfmodel.presets import preset
from perfmodel.scenario import Call, Faults, Policy, Scenario
from perfmodel.stale_tlb import guarded_safety


def _preset(machine: pm.Machine, name: str, **changes: object) -> Scenario:
    return Scenario.from_dict(preset(name).parameters, machine=machine).replace(**changes)


def _by(prediction: pm.Prediction) -> dict[tuple[str, str], object]:
    return {(r.policy.value, r.guard): r for r in prediction.guarded}


def test_every_cut_that_was_asked_about_has_every_guard(machine: pm.Machine) -> None:
    found = variants(_preset(machine, "mail"))
    assert len(found) == 5 * len(GUARDED)
    for one in found:
        scenario = _preset(machine, "mail")
        assert one.safety == guarded_safety(scenario.kernel, scenario.call, one.policy, one.guard)
    # Before 5.19 a cut before the walk also needs the nested flush; then mprotect has it.
    guards = {(v.policy, v.single): v.guard for v in found}
    assert guards[Policy.LAST_VMA, "mark"] == "mark+nested"
    assert guards[Policy.BEFORE_FLUSH, "mark"] == "mark"
    assert all("nested" not in v.guard for v in variants(_preset(machine, "mail", kernel="5.19")))
    # A generation of the page table, the reply's proposal, does not do.
    assert [v.safety.safe for v in found if v.single == "generation"] == [False, False]


def test_no_guard_where_no_entry_is_left_stale_by_a_cut(machine: pm.Machine) -> None:
    assert variants(_preset(machine, "mail", operation="munmap")) == ()
    assert variants(_preset(machine, "mail", transition="same-flags")) == ()
    one = _preset(machine, "mail").replace(policies=(Policy.NONE, Policy.BEFORE_FLUSH))
    assert {v.policy for v in variants(one)} == {Policy.BEFORE_FLUSH}
    assert pm.predict(_preset(machine, "mail"), draws=2, guards=False).guarded == ()


def test_a_flush_in_the_walk_is_paid_for_each_page_table(machine: pm.Machine) -> None:
    scenario = _preset(machine, "large")
    assert scenario.call.page_tables == 32
    constants = machine.draws(1)
    by = {(v.policy, v.single): v for v in variants(scenario)}
    flushed = guarded_hold(scenario, by[Policy.LAST_VMA, "flush-in-ptl"], constants)
    plain = hold(scenario, Policy.LAST_VMA, constants)
    assert flushed.spent("shootdown") == pytest.approx(32 * plain.spent("shootdown"))
    assert flushed.spent("walk") == pytest.approx(plain.spent("walk"))
    # Cut before the flush there is none left to share.
    late = guarded_hold(scenario, by[Policy.BEFORE_FLUSH, "flush-in-ptl"], constants)
    assert late.shared == 0
    # Over one page table such a call is left alone.
    alone = guarded_hold(scenario, by[Policy.LAST_VMA, "one-pmd"], constants)
    assert alone.same_lock(hold(scenario, Policy.NONE, constants))


@pytest.mark.parametrize(
    ("pages", "vmas", "huge", "tables"),
    [(1, 1, False, 1), (512, 1, False, 1), (513, 1, False, 2), (8, 8, False, 8),
     (2**18, 1, True, 1), (2**18 + 1, 1, True, 2)],
)  # fmt: skip
def test_page_tables(pages: int, vmas: int, huge: bool, tables: int) -> None:
    assert Call(pages=pages, vmas=vmas, huge=huge).page_tables == tables


@pytest.mark.parametrize("name", ["mail", "large"])
def test_the_gain_is_the_cuts_less_what_the_guard_costs(machine: pm.Machine, name: str) -> None:
    prediction = pm.predict(_preset(machine, name), draws=5, levels=())
    for (cut, guard), result in _by(prediction).items():
        single = guard.removesuffix("+nested")
        price = result.account["guard_time"]
        assert (price >= 0).all()
        if single in ("pending-check", "mark", "generation"):
            np.testing.assert_allclose(result.net_gain, prediction[cut].net_gain - price, rtol=1e-9)
        if single == "one-pmd" and name == "large":
            np.testing.assert_allclose(result.net_gain, 0.0, atol=1e-6)
    # The same cut under the mark is no use to who meets the mark: it costs more the more do.
    more = pm.predict(_preset(machine, name, wp_share=1.0), draws=5, levels=())
    by, dear = _by(prediction), _by(more)
    for key in by:
        if key[1].startswith(("mark", "pending", "generation")):
            assert (dear[key].net_gain < by[key].net_gain).all()
        else:
            np.testing.assert_allclose(dear[key].net_gain, by[key].net_gain)


def test_up_to_which_share_of_write_protect_faults_it_pays(machine: pm.Machine) -> None:
    large = _preset(machine, "large")
    found = _by(pm.predict(large, draws=1, levels=()))["last-vma", "mark+nested"]
    assert 0 < found.wp_share_limit < 1
    for factor, sign in ((0.97, 1), (1.03, -1)):
        share = factor * found.wp_share_limit
        there = pm.predict(large.replace(wp_share=share), draws=1, levels=())
        assert np.sign(_by(there)["last-vma", "mark+nested"].net_gain[0]) == sign
    assert np.isnan(
        _by(pm.predict(large, draws=1, levels=()))["last-vma", "one-pmd"].wp_share_limit
    )


def test_the_verdict_names_the_best_that_is_safe(machine: pm.Machine) -> None:
    prediction = pm.predict(_preset(machine, "large"), draws=50, levels=())
    verdict = prediction.verdict
    assert verdict.answer == "unsafe"
    best = max((r for r in prediction.guarded if r.safety.safe), key=lambda r: r.net_gain[0])
    assert verdict.guarded == best.name
    assert best.name in verdict.sentence
    assert "which no kernel has" in verdict.sentence
    # It does not become what one may do today.
    assert verdict.best_safe_policy in ("none", "per-vma")
    data = prediction.to_dict()
    assert data["verdict"]["guarded"] == best.name
    assert {(d["policy"], d["guard"]) for d in data["guarded"]} == set(_by(prediction))
    assert all(d["why_unsafe"] for d in data["guarded"] if not d["safe"])
    # Where nobody breaks the cut the sentence needs no guard.
    later = pm.predict(_preset(machine, "large", kernel="6.1"), draws=50, levels=()).verdict
    assert later.answer == "pays"
    assert "no kernel has" not in later.sentence


def test_who_is_not_kept_out_may_find_a_flush_pending(machine: pm.Machine) -> None:
    # With per-VMA locks most faults do not wait for the call, and meet its pending flush.
    def price(**faults: float) -> float:
        s = Scenario(machine, kernel="6.18", call=Call(pages=4096),
                     faults=Faults(threads=16, think_us=20, wp_share=1.0, **faults))  # fmt: skip
        found = _by(pm.predict(s, draws=1, levels=(), solver="closed"))
        return float(found["before-flush", "pending-check"].account["guard_time"][0])

    assert price(same_vma=0.1) > 2 * price(same_vma=1.0)
