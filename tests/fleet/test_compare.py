"""The verdict over many profiles: the same numbers as one at a time, ranked within their evidence."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

import perfmodel as pm
from perfmodel.errors import InputError, MissingExtraError
from perfmodel.fleet import api
from perfmodel.machine import Machine

pytestmark = pytest.mark.xdist_group("compiled")

Make = Callable[..., Machine]

POLICIES = (pm.Policy.NONE, pm.Policy.LAST_VMA, pm.Policy.BEFORE_FLUSH, pm.Policy.READ_ONLY)


@pytest.fixture
def scenario(machine: Machine) -> pm.Scenario:
    return pm.Scenario(machine, policies=POLICIES)


def test_each_row_is_the_prediction_of_its_profile(scenario: pm.Scenario, other: Make) -> None:
    fleet = [other(f"m{i}", i) for i in range(4)]
    found = pm.compare(fleet, scenario, draws=20)
    assert [r.rank for r in found.rows] == [1, 2, 3, 4]
    gains = [r.cut.estimate for r in found.rows]
    assert gains == sorted(gains, reverse=True)
    for row in found.rows:
        machine = next(m for m in fleet if m.name == row.name)
        told = pm.predict(
            scenario.replace(machine=machine), draws=20, solver="closed", guards=False
        )
        judged, safe = told[told.verdict.policy], told[told.verdict.best_safe_policy]
        assert (row.verdict, row.verdict_if_safe) == (told.verdict.answer, told.verdict.if_safe)
        assert (row.cut.policy, row.best_safe.policy) == (judged.name, safe.name)
        for gain, result in ((row.cut, judged), (row.best_safe, safe)):
            np.testing.assert_allclose(
                [gain.estimate, gain.low, gain.high], result.interval(), rtol=1e-9
            )
        assert row.cut.p_pays == pytest.approx(judged.p_pays)
        assert row.share_of_thread_time == pytest.approx(told.verdict.share_of_thread_time)
        assert row.sha256 == machine.sha256


def test_kinds_of_evidence_are_never_in_one_ranking(scenario: pm.Scenario, other: Make) -> None:
    kinds = ["emulated", "measured", "published", "emulated", "measured", "published"]
    fleet = [other(f"m{i}", i, evidence=kind) for i, kind in enumerate(kinds)]
    found = pm.compare(fleet, scenario, draws=1)
    assert [r.evidence for r in found.rows] == sorted(
        kinds, key=["measured", "published", "emulated"].index
    )
    assert [r.rank for r in found.rows] == [1, 2] * 3
    assert found.to_dict()["ranked_within"] == "evidence"


def test_the_batches_and_the_loop_change_nothing(
    scenario: pm.Scenario, other: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("numba")
    fleet = [other(f"m{i}", i) for i in range(5)]
    how = {"draws": 5, "over": "fault_rate=10,1e3,1e5,1e6"}
    whole = pm.compare(fleet, scenario, **how)
    monkeypatch.setattr(api, "BATCH", 2)
    monkeypatch.setattr(api, "_BLOCK", 1)
    monkeypatch.setattr(api, "WORTH", 1)
    parts = pm.compare(fleet, scenario, **how, workers=2)
    for one, two in zip(whole.rows, parts.rows, strict=True):
        assert (one.name, one.rank, one.verdict, one.turns) == (
            two.name, two.rank, two.verdict, two.turns,
        )  # fmt: skip
        assert two.cut.estimate == pytest.approx(one.cut.estimate, rel=1e-7)
        assert [c.value for c in two.crossings] == pytest.approx(
            [c.value for c in one.crossings], rel=1e-5
        )


@pytest.mark.parametrize(("over", "remote"), [("fault-rate", 0), ("shootdown", 1)])
def test_the_crossings_are_those_of_break_even(
    scenario: pm.Scenario, other: Make, over: str, remote: int
) -> None:
    asked = scenario.replace(policies=POLICIES[:2], remote_cpus=remote, rate=100)
    fleet = [other(f"m{i}", i) for i in range(2)]
    found = pm.compare(fleet, asked, draws=60, over=over, points=15)
    turned = 0
    for row in found.rows:
        machine = next(m for m in fleet if m.name == row.name)
        told = pm.break_even(
            asked.replace(machine=machine), over, points=15, draws=60, solver="closed"
        )
        assert row.turns == told.answer
        assert len(row.crossings) == len(told.roots)
        for crossing, root in zip(row.crossings, told.roots, strict=True):
            turned += 1
            assert crossing.pays == root.pays
            assert crossing.value == pytest.approx(root.value, rel=0.02)
            if (
                np.isfinite([root.low, root.high, crossing.low, crossing.high]).all()
                and root.share == 1
            ):
                assert crossing.low == pytest.approx(root.low, rel=0.06)
                assert crossing.high == pytest.approx(root.high, rel=0.06)
    assert turned or over == "shootdown"


def test_whole_numbers_turn_at_whole_numbers(scenario: pm.Scenario, machine: Machine) -> None:
    asked = scenario.replace(policies=POLICIES[:2], rate=100)
    found = pm.compare([machine], asked, draws=1, over="pages", points=13)
    told = pm.break_even(asked, "pages", points=13, draws=1, solver="closed")
    assert found.rows[0].turns == told.answer == "turns"
    assert [c.value for c in found.rows[0].crossings] == [r.value for r in told.roots]


def test_what_a_profile_does_not_know_is_said(scenario: pm.Scenario, other: Make) -> None:
    whole = other("whole", 1)
    constants = dict(whole.constants)
    constants["fault_hold"] = msgspec.structs.replace(
        constants["fault_hold"], value=None, log_sd=None
    )
    lacking = replace(
        whole, name="lacking", constants=constants, covariance_names=(),
        covariance=np.zeros((0, 0)),
    )  # fmt: skip
    found = pm.compare([lacking, whole], scenario, draws=5, over="fault_rate", points=5)
    assert [r.name for r in found.rows] == ["whole", "lacking"]
    last = found.rows[-1]
    assert (last.rank, last.verdict, last.turns) == (0, "unknown", "unknown")
    assert "fault_hold" in last.why
    assert found.to_dict()["profiles"][-1]["net_gain"] is None


def test_a_damaged_profile_is_counted_with_its_field(
    scenario: pm.Scenario, machine: Machine, other: Make, tmp_path: Path
) -> None:
    folder = tmp_path / "fleet"
    (folder / "deeper").mkdir(parents=True)
    other("good", 1).save(folder / "deeper" / "good.json")
    other("good", 1).save(folder / "again.json")
    (folder / "cut.json").write_bytes(machine.to_bytes()[:500])
    wrong = json.loads(machine.to_bytes())
    wrong["constants"]["shootdown"]["value"] = -1
    (folder / "negative.json").write_text(json.dumps(wrong))
    found = pm.compare([folder, "xeon-vm-6.18", "nowhere"], scenario, draws=1)
    assert sorted(r.name for r in found.rows) == ["good", "xeon-vm-6.18"]
    assert found.repeated == 1
    told = {Path(d.source).name: d for d in found.damaged}
    assert set(told) == {"cut.json", "negative.json", "nowhere"}
    assert "not JSON" in told["cut.json"].what
    assert told["negative.json"].field.startswith("constants.shootdown")
    assert "there is no profile 'nowhere'" in told["nowhere"].what


@pytest.mark.parametrize(
    ("profiles", "how", "said"),
    [
        (["nowhere"], {}, "there is no profile 'nowhere'"),
        ([], {}, "there is no profile"),
        (["xeon-vm-6.18"], {"over": "page"}, "do you mean pages"),
        (["xeon-vm-6.18"], {"over": "pages=4"}, "no two numbers"),
        (["xeon-vm-6.18"], {"over": "kernel=5.11,6.1"}, "no two numbers"),
        (["xeon-vm-6.18"], {"over": "writer-share"}, "break-even --over writer-share"),
        (["xeon-vm-6.18"], {"path": "found.csv"}, "is no table"),
        (["xeon-vm-6.18"], {"path": "nowhere/found.parquet"}, "there is no folder"),
    ],
)
def test_wrong_input_is_refused(
    scenario: pm.Scenario, tmp_path: Path, profiles: list, how: dict, said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=said):
        pm.compare(profiles, scenario, draws=1, **how)
    assert not list(tmp_path.iterdir())


def test_a_table_needs_its_extra(
    scenario: pm.Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"perfmodel\[sweep\]"):
        pm.compare(["xeon-vm-6.18"], scenario, draws=1, path=tmp_path / "found.parquet")
