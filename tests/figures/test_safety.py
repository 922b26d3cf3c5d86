"""The figures of safety: the explored table, and the losses against actors run in time."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.text import Text

import perfmodel as pm
from perfmodel.exposure import lost_stores
from perfmodel.figures import Inputs, new_figure, stale_window, who_breaks
from perfmodel.stale_tlb.boundary import Question, load

pytestmark = pytest.mark.xdist_group("figures")


def test_the_table_drawn_is_the_table_explored() -> None:
    spec = who_breaks.data_for()
    for (panel, row, era), cell in spec.cells.items():
        _, call, policy, change = who_breaks.PANELS[panel][1][row]
        found = load()[Question(call, "base", policy, "none", change, era)]
        assert bool(cell.by) is not found.safe
        assert set(cell.by) == {
            who_breaks.LETTERS[n] for b in found.breaks for n in b.by if n in who_breaks.LETTERS
        }
        # Nobody breaks a cell without a letter in the picture.
        assert all(set(b.by) & set(who_breaks.LETTERS) for b in found.breaks)
    figure = new_figure(*who_breaks.FIGURE.size)
    who_breaks.draw(spec, figure)
    drawn = [t.get_text() for t in figure.findobj(Text)]
    assert sum(t == "FD" for t in drawn) == sum(c.by == "FD" for c in spec.cells.values()) > 0
    assert "5.19" in who_breaks.title(spec)


@pytest.fixture(scope="module")
def losses(machine: pm.Machine) -> stale_window.Spec:
    return stale_window.data_for(machine, points=9, checks=2, runs=1500)


def test_the_losses_drawn_are_those_of_the_verb(
    machine: pm.Machine, losses: stale_window.Spec
) -> None:
    scenario = pm.Scenario.from_dict(losses.source["scenario"], machine=machine)
    told = lost_stores(
        scenario, forced_writes_per_s=stale_window.FORCED, stores_per_s=stale_window.STORES, draws=1
    )
    for one in told:
        assert one.per_hour[0] == pytest.approx(losses.base[one.policy], rel=1e-9)
        assert one.window[0] == pytest.approx(losses.window[one.policy], rel=1e-9)


def test_actors_run_in_time_lose_what_the_closed_form_says(losses: stale_window.Spec) -> None:
    for panel in losses.panels:
        for policy, (mean, error) in panel.counted.items():
            expected = np.exp(
                np.interp(np.log(panel.at), np.log(panel.x), np.log(panel.lost[policy]))
            )
            # The curve is drawn through nine points only: a bend costs the interpolation something.
            assert (abs(mean - expected) < 5 * error + 0.15 * expected).all()


@pytest.mark.parametrize("kind", [who_breaks.FIGURE, stale_window.FIGURE], ids=lambda k: k.name)
def test_words_and_data(machine: pm.Machine, losses: stale_window.Spec, kind) -> None:
    spec = losses if kind is stale_window.FIGURE else kind.build(Inputs(machine))
    head, body = kind.rows(spec)
    assert all(len(row) == len(head) for row in body)
    assert len(kind.title(spec)) < 110
    assert kind.title(spec) in kind.alt(spec)
    assert "Evidence" in kind.caption(spec)
    figure = new_figure(*kind.size)
    kind.draw(spec, figure)
    assert figure.axes
