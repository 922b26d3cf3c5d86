"""What the page carries: every control, every machine, and nothing from outside."""

from __future__ import annotations

import base64
import json
import re

import numpy as np
import pytest

from perfmodel.errors import InputError
from perfmodel.kernel import FACTS, Kernel
from perfmodel.machine import Machine, shipped_profiles
from perfmodel.presets import PRESETS
from perfmodel.quantities import SCENARIO
from perfmodel.scenario import Policy, Scenario
from perfmodel.webpage import page_html
from perfmodel.webpage.content import content, stops

pytestmark = pytest.mark.xdist_group("page-content")


@pytest.fixture(scope="module")
def machines() -> list[Machine]:
    return [Machine.load(path) for path in shipped_profiles().values()]


@pytest.fixture(scope="module")
def page(machines: list[Machine]) -> str:
    return page_html(machines, simulate=False)


def test_every_parameter_has_a_control_as_it_is_declared(machines: list[Machine]) -> None:
    controls = {c["name"]: c for g in content(machines, draws=2)["groups"] for c in g["controls"]}
    assert set(controls) == set(SCENARIO)
    for name, declared in SCENARIO.items():
        control = controls[name]
        assert control["meaning"] == declared.meaning
        assert control["source"] == declared.source
        assert control["log"] == declared.spans_decades
        assert control["expected"] == declared.expectation()


@pytest.mark.parametrize("name", SCENARIO)
def test_a_slider_stands_on_values_that_are_allowed(name: str) -> None:
    declared = SCENARIO[name]
    found = stops(declared)
    assert found == sorted(set(found))
    assert len(found) >= 3
    assert all(declared.check(value) == value for value in found)
    low, high = declared.typical
    assert found[0] <= max(low * 1.1, low + 1) and found[-1] >= high * 0.9


def test_the_controls_begin_where_the_first_preset_is(machines: list[Machine]) -> None:
    start = content(machines, draws=2)["start"]
    scenario = Scenario.from_dict(PRESETS["mail"].parameters, machine=machines[0])
    assert start["pages"] == scenario.call.pages
    assert start["fault_rate"] == scenario.faults.rate
    assert all(SCENARIO[name].check(value) == value for name, value in start.items())


def test_the_kernel_menu_has_every_release_that_changes_a_rule(machines: list[Machine]) -> None:
    menu = {k["release"]: k["change"] for k in content(machines, draws=2)["kernels"]}
    for name, history in FACTS.items():
        for fact in history[1:]:
            release = "{}.{}".format(*fact.since)
            assert name.replace("_", " ") in menu[release]
    assert all(Kernel(release).version for release in menu)
    for preset in PRESETS.values():
        assert preset.parameters.get("kernel", "5.11") in menu


def test_every_policy_is_explained(machines: list[Machine]) -> None:
    listed = content(machines, draws=2)["policies"]
    assert [p["name"] for p in listed] == [p.value for p in Policy]
    assert all(p["meaning"] for p in listed)


def test_the_draws_are_the_machines_own(machines: list[Machine]) -> None:
    for machine, given in zip(machines, content(machines, draws=30)["machines"], strict=True):
        for name, values in machine.draws(30).items():
            column = given["draws"][name]
            if isinstance(column, str):
                read = np.frombuffer(base64.b64decode(column), dtype="<f8")
            else:
                read = np.full(30, np.nan if column is None else column)
            np.testing.assert_array_equal(read, values)


def test_two_machines_of_one_name_are_refused(machines: list[Machine]) -> None:
    with pytest.raises(InputError, match="two machines"):
        content([machines[0], machines[0]])
    with pytest.raises(InputError, match="no machine"):
        content([])


def test_the_page_is_whole_and_asks_for_nothing(page: str) -> None:
    assert page.startswith("<!DOCTYPE html>")
    assert page.count("<script") == page.count("</script>") == 3
    assert not re.search(r"/\*[A-Z]+\*/", page)
    assert not re.search(r'(src|href)="(?!#|data:)', page)
    for word in (
        "fetch(",
        "XMLHttpRequest",
        "WebSocket",
        "import(",
        "@import",
        "eval(",
        "new Function",
    ):
        assert word not in page
    # The model and the view, and each machine with its draws.
    assert len(page.encode()) < 0.85e6 + 0.18e6 * page.count('"sha256":')


def test_the_same_input_gives_the_same_bytes(page: str, machines: list[Machine]) -> None:
    assert page_html(machines, simulate=False) == page


def test_the_data_are_json(page: str, machines: list[Machine]) -> None:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found
    data = json.loads(found[1])
    assert [m["name"] for m in data["machines"]] == [m.name for m in machines]
    assert [p["name"] for p in data["presets"]] == list(PRESETS)


def test_a_hostile_description_stays_text(machines: list[Machine]) -> None:
    from dataclasses import replace

    given = replace(machines[0], description="</script><script>alert(1)</script><!--")
    page = page_html([given], draws=2, simulate=False)
    assert page.count("<script") == 3
    assert "alert(1)" in page
