"""The claims: every number is the model's, and the verdicts follow from the numbers."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import msgspec
import pytest

from perfmodel.claims import ClaimTable, evaluate_claims
from perfmodel.errors import InputError
from perfmodel.hold import hold
from perfmodel.machine import Machine
from perfmodel.prediction import predict
from perfmodel.presets import preset
from perfmodel.report.claims import claims_blocks, claims_markdown
from perfmodel.report.markdown import to_markdown
from perfmodel.scenario import Policy, Scenario

# One worker has the table of all claims.
pytestmark = pytest.mark.xdist_group("claims")


@pytest.fixture(scope="module")
def table(machine: Machine) -> ClaimTable:
    return evaluate_claims(machine, draws=60)


def number(table: ClaimTable, claim: str, what: str) -> float:
    (found,) = [n for n in table[claim].numbers if n.what == what]
    return found.value


def test_every_claim_has_an_answer(table: ClaimTable) -> None:
    assert [c.name for c in table.claims] == ["C1", "C2", "C3", "C4", "C5", "C6", "2006"]
    for claim in table.claims:
        assert claim.verdict in ("holds", "holds in part", "does not hold")
        assert claim.numbers and claim.brief and claim.answer and claim.where and claim.rests_on
        for word in ("measured", "derived", "assumed"):
            assert word in claim.rests_on or claim.name == "C6"
        assert "unknown" not in claim.answer
        for n in claim.numbers:
            assert n.basis in ("measured", "derived", "assumed")
            assert n.unit in ("ns", "1/s", "1")
            if math.isfinite(n.low):
                assert n.low <= n.value <= n.high, n
    with pytest.raises(KeyError):
        table["C7"]


def test_numbers_are_those_of_the_models(machine: Machine, table: ClaimTable) -> None:
    mail = Scenario.from_dict(preset("mail").parameters, machine=machine)
    shared = hold(mail, Policy.LAST_VMA).shared[0]
    assert number(table, "C5", "1 page, alone: shared after the cut") == pytest.approx(shared)
    large = Scenario.from_dict(preset("large").parameters, machine=machine).replace(
        pages=512, vmas=8
    )
    gain = predict(large, draws=1, levels=(), solver="closed")[Policy.EVERY_VMA].net_gain[0]
    assert number(table, "C1", "5.11: net gain of every-vma, 32 threads") == pytest.approx(gain)
    # 6.1 finds every VMA again by itself; the others would not.
    again = 7 * (machine.value("find_vma") - machine.value("vma_step"))
    assert number(table, "C1", "5.11: finding VMAs again, a call") == pytest.approx(again)
    assert number(table, "C1", "6.1: finding VMAs again, a call") == 0
    assert number(table, "C4", "5.11: locked operations of a call, more by") == 0.5
    assert number(table, "C4", "6.18: locked operations of a call, more by") == 1.0


def test_the_rule_of_2006_turns_where_the_gain_does(machine: Machine, table: ClaimTable) -> None:
    mail = Scenario.from_dict(preset("mail").parameters, machine=machine)
    for pages in (1, 8):
        what = f"{pages} page{'s' if pages > 1 else ''}: gains above"
        rate = number(table, "2006", what)
        below, above = (
            predict(mail.replace(pages=pages, rate=rate * f), draws=1, levels=())[Policy.LAST_VMA]
            for f in (0.9, 1.1)
        )
        assert below.net_gain[0] < 0 < above.net_gain[0]
    assert number(table, "2006", "8 pages: gains above") < number(
        table, "2006", "1 page: gains above"
    )


def test_verdicts_follow_the_machine(machine: Machine, table: ClaimTable) -> None:
    assert table["C5"].verdict == "holds in part"
    assert table["C6"].verdict == "holds in part"
    assert "5.11: some cut is broken for RW->R" in table["C6"].answer
    assert "6.18: nobody in the model breaks a cut" in table["C6"].answer
    # On a machine a hundred times slower to walk, half a microsecond is wrong for one page too.
    slow = {n: msgspec.structs.replace(machine.constants[n], value=100 * machine.value(n))
            for n in ("walk_start", "pte", "flush_page")}  # fmt: skip
    slower = replace(machine, constants={**machine.constants, **slow})
    assert evaluate_claims(slower, draws=5)["C5"].verdict == "does not hold"


def test_claims_can_be_repeated_and_written(machine: Machine, table: ClaimTable) -> None:
    assert evaluate_claims(machine, draws=60).to_dict() == table.to_dict()
    data = json.loads(json.dumps(table.to_dict(), allow_nan=False))
    assert data["schema"] == "perfmodel.claims/1"
    assert data["machine"]["sha256"] == machine.sha256
    text = to_markdown(claims_blocks(table))
    for claim in table.claims:
        assert f"{claim.name}: {claim.verdict}" in text
    with pytest.raises(InputError, match="draws"):
        evaluate_claims(machine, draws=0)


def test_markdown_is_one_table(machine: Machine) -> None:
    lines = claims_markdown(machine, draws=20).splitlines()
    assert len(lines) == 2 + 7
    assert {line.replace("\\|", "").count("|") for line in lines} == {4}


def test_no_interval_without_draws(machine: Machine) -> None:
    one = evaluate_claims(machine, draws=1)
    assert all(math.isnan(n.low) for c in one.claims for n in c.numbers if n.unit == "ns")
