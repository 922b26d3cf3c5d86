from __future__ import annotations

import json
import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import perfmodel as pm
from perfmodel.errors import InputError
from perfmodel.quantities import SCENARIO
from perfmodel.scenario import Policy
from perfmodel.widgets.state import PATHS, Change, ExplorerState, mail_case


@pytest.fixture
def state() -> ExplorerState:
    return ExplorerState(mail_case(), clock=iter(range(0, 10_000, 10)).__next__)


def test_the_mails_case_is_one_page_of_one_vma(state: ExplorerState) -> None:
    call = state.scenario.call
    assert (call.operation, call.pages, call.vmas, call.transition) == ("mprotect", 1, 1, "RW->R")
    assert state.scenario.kernel.release == "5.11"


@pytest.mark.parametrize("name", sorted(SCENARIO))
def test_every_declared_parameter_can_be_set_and_read(state: ExplorerState, name: str) -> None:
    declared = SCENARIO[name]
    state.set("pages", 65530)
    value = declared.typical[1] if name != "pages" else 4096
    value = int(value) if declared.integer else float(value)
    state.set(name, value)
    assert state.value(name) == value


@pytest.mark.parametrize("name", sorted(SCENARIO))
def test_a_value_outside_its_domain_is_refused_and_nothing_changes(
    state: ExplorerState, name: str
) -> None:
    before, heard = state.scenario, []
    state.listen(heard.append)
    for bad in (-1.0, float("nan"), "many", None if name != "remote_cpus" else -2, True):
        with pytest.raises(InputError) as caught:
            state.set(name, bad)
        assert PATHS[name] in str(caught.value)
    assert state.scenario is before
    assert heard == []
    assert not state.can_undo


def test_an_impossible_combination_names_the_field(state: ExplorerState) -> None:
    with pytest.raises(InputError, match=r"call\.vmas: 2 VMAs cannot share 1 page"):
        state.set("vmas", 2)


def test_an_unknown_name_is_refused_with_those_that_exist(state: ExplorerState) -> None:
    with pytest.raises(InputError, match="pages, vmas"):
        state.set("page_count", 3)
    with pytest.raises(InputError, match="fault_rate"):
        state.show(over="transition")


def test_listeners_hear_each_change_once_and_can_leave(state: ExplorerState) -> None:
    heard: list[Change] = []
    leave = state.listen(heard.append)
    state.set("pages", 8)
    state.set("pages", 8)
    state.show(over="fault_rate")
    assert [(set(c.names), c.plot) for c in heard] == [({"pages"}, False), (set(), True)]
    leave()
    state.set("pages", 16)
    assert len(heard) == 2


def test_an_error_of_a_listener_is_not_swallowed(state: ExplorerState) -> None:
    def broken(_: Change) -> None:
        raise ZeroDivisionError

    state.listen(broken)
    with pytest.raises(ZeroDivisionError):
        state.set("pages", 8)


def test_undo_goes_back_step_by_step(state: ExplorerState) -> None:
    start = state.scenario
    state.set("pages", 8)
    state.set("kernel", "6.4")
    assert state.undo()
    assert state.value("kernel") == "5.11"
    assert state.value("pages") == 8
    assert state.undo()
    assert state.scenario is start
    assert not state.undo()


def test_a_drag_is_one_step_of_undo() -> None:
    now = iter((0.0, 0.1, 0.2, 5.0)).__next__
    state = ExplorerState(mail_case(), clock=now)
    for pages in (2, 4, 8, 16):
        state.set("pages", pages)
    state.undo()
    assert state.value("pages") == 8
    state.undo()
    assert state.value("pages") == 1


def test_reset_can_be_undone(state: ExplorerState) -> None:
    state.set("cpus", 8)
    state.reset()
    assert state.value("cpus") == 48
    state.undo()
    assert state.value("cpus") == 8


def test_a_population_comes_back_as_it_was(state: ExplorerState) -> None:
    state.set("fault_rate", 1234.0)
    state.set("faults_open", False)
    assert state.value("fault_rate") is None
    state.set("fault_threads", 7)
    state.set("faults_open", True)
    assert state.value("fault_rate") == 1234.0
    assert state.value("fault_threads") is None
    state.set("faults_open", False)
    assert state.value("fault_threads") == 7


def test_a_closed_population_opens_at_the_same_load() -> None:
    s = mail_case().replace(**{"faults.rate": None, "faults.threads": 10, "faults.think_us": 50.0})
    state = ExplorerState(s)
    state.set("faults_open", True)
    assert state.value("fault_rate") == pytest.approx(10 / 50e-6)
    state.set("writers_open", True)
    assert state.value("writer_rate") == pytest.approx(1 / 200e-6)
    assert state.value("writer_think_us") is None


def test_json_round_trip(state: ExplorerState) -> None:
    state.set("pages", 4096)
    state.set("faults_open", False)
    text = state.to_json()
    other = ExplorerState(mail_case())
    other.load(text)
    assert other.scenario.to_dict() == state.scenario.to_dict()
    assert other.undo()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"machine": "nowhere"}', '{"machine": 3}',
     '{"machine": "xeon-vm-6.18", "call": {"pages": -1}}',
     '{"machine": "xeon-vm-6.18", "call": {"size": 1}}',
     '{"machine": "xeon-vm-6.18", "schema": "perfmodel.scenario/9"}'],
)  # fmt: skip
def test_bad_json_is_refused_and_nothing_changes(state: ExplorerState, text: str) -> None:
    before = state.scenario
    with pytest.raises(InputError):
        state.load(text)
    assert state.scenario is before


def _states() -> st.SearchStrategy[list[tuple[str, float]]]:
    moves = []
    for name, q in SCENARIO.items():
        low, high = q.typical
        number = st.integers(int(low), int(high)) if q.integer else st.floats(low, high)
        moves.append(st.tuples(st.just(name), number))
    return st.lists(st.one_of(moves), max_size=8)


def _moved(moves: list[tuple[str, float]]) -> ExplorerState:
    state = ExplorerState(mail_case())
    for name, value in moves:
        if name != "vmas" or value <= state.value("pages"):
            if name == "pages":
                value = max(value, state.value("vmas"))
            state.set(name, value)
    return state


@settings(max_examples=40, deadline=None)
@given(_states())
def test_python_and_json_say_the_same_scenario(moves: list[tuple[str, float]]) -> None:
    state = _moved(moves)
    space: dict[str, object] = {}
    code = state.to_python().replace("print(pm.predict(s).verdict.sentence)", "")
    exec(code, space)  # noqa: S102
    made = space["s"]
    assert isinstance(made, pm.Scenario)
    assert made.to_dict() == state.scenario.to_dict()
    assert json.loads(state.to_json())["scenario"] == state.scenario.to_dict()


def test_the_copied_python_runs_to_its_end(
    state: ExplorerState, capsys: pytest.CaptureFixture[str]
) -> None:
    state.set("kernel", "6.18")
    state.set("transition", "NONE->RW")
    exec(state.to_python(), {})  # noqa: S102
    assert capsys.readouterr().out.strip() == pm.predict(state.scenario).verdict.sentence


def test_the_copied_command_asks_the_same(state: ExplorerState) -> None:
    testing = pytest.importorskip("typer.testing")
    cli = pytest.importorskip("perfmodel.cli")
    from perfmodel.cli import app as application

    app = getattr(application, "app", None) or getattr(cli, "app", None)
    if app is None or not hasattr(app, "registered_commands"):
        pytest.skip("the command line has no application object")
    for name, value in (("pages", 512), ("faults_open", False), ("fault_think_us", 12.5),
                        ("huge", True), ("kernel", "6.4"), ("remote_cpus", 3.0)):  # fmt: skip
        state.set(name, value)
    words = shlex.split(state.to_command())
    assert words[0] == "perfmodel"
    result = testing.CliRunner().invoke(app, [*words[1:], "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["scenario"] == state.scenario.to_dict()


def test_what_is_plotted_is_no_step_of_undo(state: ExplorerState) -> None:
    state.show(over="cpus", policy="every-vma")
    assert (state.over, state.policy) == ("cpus", Policy.EVERY_VMA)
    assert not state.can_undo
