from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from perfmodel.breakeven import PARAMETERS, WRITER_SHARE, break_even
from perfmodel.breakeven.search import Scale, interpolated
from perfmodel.errors import InputError
from perfmodel.machine import Machine
from perfmodel.prediction import predict
from perfmodel.presets import preset
from perfmodel.report.breakeven import breakeven_blocks
from perfmodel.report.markdown import to_markdown
from perfmodel.results import LEVEL
from perfmodel.scenario import Call, Faults, Policy, Scenario


def gain(scenario: Scenario, draws: int = 1) -> Any:
    pair = scenario.replace(policies=(Policy.NONE, Policy.LAST_VMA))
    return predict(pair, draws=draws, levels=(), solver="chain")[Policy.LAST_VMA].net_gain


def mail(machine: Machine, **changes: Any) -> Scenario:
    return Scenario.from_dict(preset("mail").parameters, machine=machine).replace(**changes)


def test_root_is_where_the_net_gain_changes_sign(machine: Machine) -> None:
    scenario = Scenario(machine, call=Call(pages=1))
    found = break_even(scenario, "fault_rate", policy=Policy.LAST_VMA, points=25, draws=60)
    assert found.answer == "turns"
    (root,) = found.roots
    assert root.pays == "above"
    assert root.low < root.value < root.high
    assert root.share == 1
    # There the gain is nothing beside what it is a little further on.
    assert abs(gain(scenario.replace(rate=root.value))[0]) < 1e-3 * gain(
        scenario.replace(rate=1.4 * root.value)
    )
    for factor, sign in ((0.7, -1), (1.4, 1)):
        there = scenario.replace(rate=root.value * factor)
        assert np.sign(gain(there)[0]) == sign


def test_every_turn_at_the_flush_ceiling_is_found(machine: Machine) -> None:
    # Up to 33 pages each is invalidated by itself, beyond them the whole TLB at once, which is cheaper:
    # there is less to share at 34 pages than at 33. On this grid both signs lie within one cell.
    scenario = mail(machine, rate=20.0)
    found = break_even(scenario, "pages", policy=Policy.LAST_VMA, points=12, draws=100)
    assert not np.any((found.grid > 20) & (found.grid < 40))
    signs = np.array([gain(scenario.replace(pages=p))[0] > 0 for p in range(1, 61)])
    expected = [p + 1 for p in range(1, 60) if signs[p] != signs[p - 1]]
    assert len(expected) == 2
    assert [r.value for r in found.roots if r.value <= 60] == expected
    assert [r.pays for r in found.roots] == ["above", "below", "above"]
    last = int(found.roots[2].value)
    assert gain(scenario.replace(pages=last - 1))[0] <= 0 < gain(scenario.replace(pages=last))[0]
    # The draws that do not gain at 33 pages do not turn there; they are not left out silently.
    turn = gain(scenario.replace(pages=33), draws=100)[1:] > 0
    for root in found.roots[:2]:
        assert root.share == pytest.approx(turn.mean(), abs=1e-9)
    assert found.roots[1].low == found.roots[1].high == 34
    assert "% of the draws" in found.sentence()


def test_interval_is_that_of_the_draws_own_roots(machine: Machine) -> None:
    scenario = mail(machine)
    found = break_even(scenario, "fault_rate", policy=Policy.LAST_VMA, points=9, draws=60)
    (root,) = found.roots
    fine = np.geomspace(60, 400, 40)
    gains = np.array([gain(scenario.replace(rate=r), draws=60) for r in fine])
    own = [interpolated(fine, gains[:, d], Scale(log=True))[0].value for d in range(1, 60)]
    ends = np.quantile(own, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    assert [root.low, root.high] == pytest.approx(ends, rel=0.01)


def test_never_and_always(machine: Machine) -> None:
    nothing = Scenario(machine, call=Call(pages=512, transition="same-flags"))
    assert break_even(nothing, "fault_rate", points=5, draws=1).answer == "never"
    large = Scenario(machine, call=Call(pages=512), faults=Faults(threads=32))
    found = break_even(large, "pages", policy=Policy.LAST_VMA, points=5, draws=1)
    assert found.answer == "always"
    assert not found.safe
    assert "unsafe" in found.sentence()


SWEPT = [*PARAMETERS, WRITER_SHARE, "shootdown", "pte", "warm_pages"]


@pytest.mark.parametrize(
    ("over", "faults"),
    [(over, Faults(threads=8)) for over in SWEPT]
    # Several callers beside a stream are a queue that takes a second a value.
    + [(over, Faults(rate=1e4)) for over in SWEPT if over != "writer_threads"],
)
def test_every_parameter_can_be_swept(machine: Machine, over: str, faults: Faults) -> None:
    scenario = Scenario(machine, "6.18", Call(pages=64), faults)  # type: ignore[arg-type]
    found = break_even(scenario, over, policy=Policy.LAST_VMA, points=3, draws=1, solver="closed")
    assert found.grid[0] < found.grid[-1]
    # Calls that come faster than the lock can serve them have no steady state.
    assert set(found.undefined) <= ({found.grid[-1]} if over == "writer_rate" else set())
    data = found.to_dict()
    assert data["unit"]
    assert all(v is None or math.isfinite(v) for v in data["net_gain_ns_per_call"])


def test_shootdown(machine: Machine) -> None:
    few = mail(machine, rate=20.0, remote_cpus=1)
    found = break_even(few, "shootdown", policy=Policy.LAST_VMA, points=9, draws=30)
    # The longer the other CPU takes, the more there is to share.
    assert np.all(np.diff(found.net_gain, axis=0) > 0)
    (root,) = found.roots
    assert root.pays == "above"
    assert root.low < root.value < root.high
    alone = break_even(mail(machine), "shootdown", policy=Policy.LAST_VMA, points=5, draws=12)
    assert alone.answer == "always"
    assert np.ptp(alone.net_gain[:, 0]) == 0
    assert any("no other CPU has a TLB to be flushed" in note for note in alone.notes)
    rare = break_even(
        mail(machine, rate=20.0), "shootdown", policy=Policy.LAST_VMA, points=5, draws=2
    )
    assert rare.answer == "never"


def test_writer_share_with_a_turn(machine: Machine) -> None:
    # Where faults are few, callers who follow each other closely wait for those that they have woken,
    # fewer of them with the downgrade.
    scenario = mail(machine, rate=130.0)
    found = break_even(scenario, "writer-share", policy=Policy.LAST_VMA, points=15, draws=2)
    assert found.over == WRITER_SHARE
    (root,) = found.roots
    assert root.pays == "above"
    assert 0 < found.grid[0] < root.value < found.grid[-1] < 1
    # The same by hand: with an open stream of faults the share alone says how often they call.
    cycle = 1e9 * (1 - root.value) / (130.0 * root.value)
    answer = predict(scenario, draws=1, levels=(), solver="chain")[Policy.NONE]
    busy = float(answer.hold.call[0] + answer.answer.acquire[0])
    near = [
        gain(scenario.replace(**{"writers.think_us": f * (cycle - busy) / 1e3}))[0]
        for f in (1.2, 0.8)
    ]
    assert near[0] < 0 < near[1]


def test_no_answer_is_said_to_be_none(machine: Machine) -> None:
    over = break_even(
        Scenario(machine, "6.18", faults=Faults(rate=1e4, same_vma=0.0)),  # type: ignore[arg-type]
        "writer_share", policy=Policy.LAST_VMA, points=5, draws=3,
    )  # fmt: skip
    assert over.answer == "unknown"
    assert over.undefined == over.grid.tolist()
    assert over.roots == ()
    assert "cannot be predicted" in over.sentence()


def test_json_and_report_say_all_of_it(machine: Machine) -> None:
    found = break_even(mail(machine), "fault_rate", policy=Policy.LAST_VMA, points=9, draws=30)
    data = found.to_dict()
    assert data["schema"] == "perfmodel.break_even/1"
    (root,) = data["roots"]
    assert root.keys() == {"value", "low", "high", "level", "pays", "share"}
    form = data["closed_form"]
    assert form["equation"] == "break_even_rate"
    assert form["latex"].startswith(r"\lambda^* = \frac")
    assert form["ratio"] == pytest.approx(root["value"] / form["value"])
    assert all(a["holds"] for a in form["assumptions"])
    text = to_markdown(breakeven_blocks(found))
    assert "Closed form" in text
    assert "the model's own root is" in text
    assert "Stated error" in text
    # One draw alone has no interval and no share.
    (root,) = break_even(
        mail(machine), "fault_rate", policy=Policy.LAST_VMA, points=9, draws=1
    ).to_dict()["roots"]
    assert root["low"] is root["high"] is root["share"] is None


def test_progress_goes_up_to_the_end(machine: Machine) -> None:
    told: list[float] = []
    break_even(
        mail(machine),
        "fault_rate",
        policy=Policy.LAST_VMA,
        points=5,
        draws=15,
        progress=told.append,
    )
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_unknown_parameter_is_named(machine: Machine) -> None:
    with pytest.raises(InputError, match="over: cannot sweep 'colour'"):
        break_even(Scenario(machine), "colour")
