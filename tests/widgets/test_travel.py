from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import perfmodel as pm
from perfmodel.cli.scenario_options import OPTIONS
from perfmodel.errors import InputError
from perfmodel.presets import PRESETS
from perfmodel.quantities import SCENARIO
from perfmodel.scenario import OPERATIONS, STANDARD_POLICIES, TRANSITIONS, Policy, Scenario
from perfmodel.widgets import travel
from perfmodel.widgets.shown import VIEWS, Exploration, Pin, Shown
from perfmodel.widgets.state import ExplorerState, mail_case


def _number(name: str) -> st.SearchStrategy[Any]:
    low, high = SCENARIO[name].typical
    if SCENARIO[name].integer:
        return st.integers(int(low), int(high))
    return st.floats(low, high)


@st.composite
def scenarios(draw: Any) -> Scenario:
    pages = draw(st.integers(64, 2**20))
    call = pm.Call(
        draw(st.sampled_from(OPERATIONS)), pages=pages, vmas=draw(_number("vmas")),
        splits=draw(_number("splits")), merges=draw(_number("merges")),
        transition=draw(st.sampled_from(TRANSITIONS)), populated=draw(_number("populated")),
        huge=draw(st.booleans()), remote_cpus=draw(st.none() | _number("remote_cpus")),
    )  # fmt: skip
    shares = {
        n: draw(_number(n)) for n in ("same_vma", "first_touch", "io_share", "io_us", "wp_share")
    }
    faults = draw(st.one_of(
        st.builds(pm.Faults, rate=_number("fault_rate")),
        st.builds(pm.Faults, threads=_number("fault_threads"), think_us=_number("fault_think_us")),
    ))  # fmt: skip
    writers = draw(st.one_of(
        st.builds(pm.Writers, rate=_number("writer_rate")),
        st.builds(pm.Writers, threads=_number("writer_threads"), think_us=_number("writer_think_us")),
    ))  # fmt: skip
    kernel = pm.Kernel(draw(st.sampled_from(("5.10", "5.11", "6.4", "6.18"))), draw(st.booleans()))
    chosen = draw(st.sets(st.sampled_from(Policy)))
    policies = tuple(p for p in Policy if p in chosen) or STANDARD_POLICIES
    base = Scenario(
        mail_case().machine, kernel, call, faults, writers, draw(_number("cpus")), policies
    )
    return base.replace(**{f"faults.{n}": v for n, v in shares.items()})


@st.composite
def explorations(draw: Any) -> Exploration:
    over, across = draw(
        st.lists(st.sampled_from(("pages", "fault_rate", "same_vma", "cpus")), min_size=2,
                 max_size=2, unique=True)
    )  # fmt: skip
    cut = draw(st.none() | st.sampled_from([p for p in Policy if p is not Policy.NONE]))
    names = draw(st.lists(st.text(min_size=1, max_size=8), max_size=3, unique=True))
    return Exploration(
        draw(scenarios()), Shown(draw(st.sampled_from(tuple(VIEWS))), over, across, cut),
        tuple(Pin(n, draw(scenarios())) for n in names),
    )  # fmt: skip


@given(explorations())
@settings(max_examples=60, deadline=None)
def test_a_link_and_a_document_carry_the_whole_view(made: Exploration) -> None:
    assert travel.from_query(travel.to_query(made)) == made
    assert travel.from_query(f"http://127.0.0.1:8866/?{travel.to_query(made)}") == made
    assert travel.read(travel.to_document(made)) == made


@given(scenarios())
@settings(max_examples=40, deadline=None)
def test_python_carries_the_scenario(made: Scenario) -> None:
    assert travel.read(travel.to_python(Exploration(made))).scenario == made


@given(scenarios())
@settings(max_examples=15, deadline=None)
def test_a_command_line_carries_what_it_has_options_for(made: Scenario) -> None:
    # The build option is a property of a kernel for which the command has no option.
    made = made.replace(kernel=pm.Kernel(made.kernel.release))
    assert travel.read(travel.to_command(Exploration(made))).scenario == made


def test_the_command_line_uses_every_option_of_a_scenario() -> None:
    texts = []
    for opened in (False, True):
        state = ExplorerState(mail_case().replace(remote_cpus=3.0))
        state.set("faults_open", opened)
        state.set("writers_open", opened)
        state.set("merges", 1)
        state.set("huge", True)
        texts.append(state.to_command())
    for option in OPTIONS:
        if option.path:
            assert any(f"{option.flag} " in f"{text} " for text in texts), option.flag


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_travels(name: str) -> None:
    state = ExplorerState(mail_case())
    state.load_preset(name)
    assert state.preset == name
    for write in travel.FORMS.values():
        other = ExplorerState(mail_case())
        other.load(write(state.exploration))
        assert other.scenario == state.scenario
        assert other.preset == name


def test_the_words_of_a_link_are_those_of_the_static_page() -> None:
    """The page takes a word for a control only if it is one of its own controls' names."""
    from urllib.parse import parse_qsl

    from perfmodel.webpage.content import content

    state = ExplorerState(mail_case())
    state.set("policies", (Policy.NONE, Policy.LAST_VMA))
    state.show(over="fault_rate")
    page = content([mail_case().machine], draws=2)
    controls = {c["name"] for g in page["groups"] for c in g["controls"]}
    others = {"machine", "kernel", "operation", "transition", "huge", "hung_task_blocker", "policy",
              "over", "across"}  # fmt: skip
    assert {n for n, _ in parse_qsl(state.to_query())} <= controls | others


def test_whoever_says_nothing_of_faults_means_threads_as_on_the_page() -> None:
    found = travel.from_query("machine=xeon-vm-6.18&pages=64").scenario
    assert (found.faults.threads, found.faults.think_us) == (32, 20.0)
    assert found.call.pages == 64
    assert found.writers.threads == 1


def test_a_prediction_and_a_bare_scenario_are_read_too() -> None:
    scenario = mail_case().replace(pages=64)
    for data in (
        scenario.to_dict(),
        {"schema": "perfmodel.prediction/1", "scenario": scenario.to_dict()},
    ):
        assert travel.read(json.dumps(data)).scenario == scenario


def test_break_even_says_what_is_swept() -> None:
    found = travel.read("$ perfmodel break-even --preset large --over same-vma --draws 20 --json")
    assert found.shown.over == "same_vma"
    assert found.scenario.call.pages == PRESETS["large"].parameters["call"]["pages"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "none of the forms"),
        ("hello", "none of the forms"),
        ("{", "not JSON"),
        ("[" * 100_001, "100001 characters"),
        ('{"schema": "perfmodel.explorer/1", "extra": 1}', "there is no such field"),
        ('{"schema": "perfmodel.explorer/1", "scenario": 3}', "not a JSON object"),
        ("perfmodel predict --pages many", "--pages"),
        ("perfmodel predict --no-such 3", "No such option"),
        ("perfmodel predict stray", "belongs to no option"),
        ("perfmodel predict --scenario /etc/passwd", "a file is not opened"),
        ("perfmodel predict --machine ./profile.json", "there is no profile"),
        ("perfmodel calibrate results.json", "asks nothing of a scenario"),
        ("perfmodel predict --pages '3", "no command line"),
        ("Scenario(", "not Python"),
        ("s = Scenario(machine=open('/etc/passwd').read())", "a literal"),
        ("Scenario(machine='xeon-vm-6.18', call=Call(pages=2**40))", "a literal"),
        ("Scenario(machine='xeon-vm-6.18', call=Call(size=3))", "no argument 'size'"),
        ("Scenario(machine='xeon-vm-6.18', faults=Call())", "faults"),
        ("Scenario(machine='../secret.json')", "there is no profile"),
        ("Scenario(machine='xeon-vm-6.18')\nScenario(machine='laptop')", "there are 2"),
        ("Scenario('xeon-vm-6.18', machine='laptop')", "twice"),
        ("machine=nowhere", "there is no profile"),
        ("machine=xeon-vm-6.18&pages=0", "out of range"),
        ("machine=xeon-vm-6.18&pages=1&pages=2", "twice"),
        ("machine=xeon-vm-6.18&colour=red", "no such word"),
        ("machine=xeon-vm-6.18&view=face", "no view"),
        ("machine=xeon-vm-6.18&over=pages&across=pages", "both axes"),
        ("machine=xeon-vm-6.18&cut=all", "policies"),
        ("machine=xeon-vm-6.18&pin=A", "no pinned scenario"),
        ("machine=xeon-vm-6.18&huge=maybe", "no switch"),
        ("machine=xeon-vm-6.18&fault_rate=5&fault_threads=3", "both a rate"),
    ],
)  # fmt: skip
def test_a_wrong_text_is_refused_and_nothing_has_changed(text: str, said: str) -> None:
    state = ExplorerState(mail_case())
    before = state.exploration
    with pytest.raises(InputError, match=said):
        state.load(text)
    assert state.exploration == before
    assert not state.can_undo


def test_nothing_of_python_is_run(tmp_path: Any) -> None:
    mark = tmp_path / "ran"
    text = f"open({str(mark)!r}, 'w')\nimport perfmodel as pm\ns = pm.Scenario(machine='xeon-vm-6.18')\n"
    assert travel.read(text).scenario.machine.name == "xeon-vm-6.18"
    assert not mark.exists()


def test_loading_a_view_is_one_change_and_one_step_of_undo() -> None:
    made = ExplorerState(mail_case())
    made.pin("before")
    made.set("pages", 512)
    made.show(view="map", over="pages", policy="before-flush")
    state, heard = ExplorerState(mail_case()), []
    state.listen(heard.append)
    state.load(made.to_json())
    assert state.exploration == made.exploration
    assert len(heard) == 1
    state.reset()
    assert state.value("pages") == 512  # what was loaded is where one returns to
    assert state.undo()
    assert state.value("pages") == 1


def test_a_machine_of_the_readers_own_is_known_by_its_name() -> None:
    from dataclasses import replace

    own = replace(mail_case().machine, name="my-box")
    state = ExplorerState(mail_case().replace(machine=own))
    for write in travel.FORMS.values():
        text = write(state.exploration)
        state.set("pages", 9)
        state.load(text)
        assert state.scenario.machine is own
        assert state.value("pages") == 1
