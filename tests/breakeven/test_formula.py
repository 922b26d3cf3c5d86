from __future__ import annotations

import math
from typing import Any

import pytest

import perfmodel.equations.benefit as benefit
from perfmodel.breakeven.find import break_even
from perfmodel.breakeven.formula import STATED
from perfmodel.breakeven.parts import CHECKS
from perfmodel.equations.equation import EQUATIONS
from perfmodel.machine import Machine
from perfmodel.presets import preset
from perfmodel.scenario import Call, Policy, Scenario

STREAM: dict[str, Any] = {"faults.threads": None, "faults.think_us": None, "faults.rate": 20_000.0}
THREADS: dict[str, Any] = {"faults.rate": None, "faults.threads": 16, "faults.think_us": 3e3}


def case(machine: Machine, name: str = "mail", **changes: Any) -> Scenario:
    return Scenario.from_dict(preset(name).parameters, machine=machine).replace(**changes)


#: Parameter, preset and changes: each within the formula's assumptions.
INSIDE: list[tuple[str, str, dict[str, Any]]] = [
    ("fault_rate", "mail", {}),
    ("fault_rate", "mail", {"kernel": "5.10"}),
    ("fault_rate", "mail", {"pages": 64, "vmas": 8}),
    ("fault_rate", "jit", STREAM),
    ("pages", "mail", {"rate": 60.0}),
    ("populated", "mail", {"pages": 64, "rate": 40.0}),
    ("remote_cpus", "mail", {"rate": 20.0}),
    ("shootdown", "mail", {"rate": 20.0, "remote_cpus": 1}),
    ("pte", "mail", {"rate": 30.0, "pages": 8}),
    ("same_vma", "jit", STREAM),
    ("fault_threads", "mail", {**THREADS, "kernel": "5.10"}),
]


@pytest.mark.parametrize(("over", "name", "changes"), INSIDE)
def test_within_its_assumptions_the_formula_is_as_good_as_it_states(
    machine: Machine, over: str, name: str, changes: dict[str, Any]
) -> None:
    scenario = case(machine, name, **changes)
    found = break_even(scenario, over, policy=Policy.LAST_VMA, points=7, draws=1)
    form = found.closed_form
    assert form is not None
    assert form.broken == ()
    assert all(form.conditions.values())
    root = next(r.value for r in found.roots if r.pays == "above")
    assert form.root == root
    whole = 1.0 if found.declared.integer else 0.0
    assert abs(root - form.value) <= whole + STATED * form.value
    assert form.agrees
    assert form.ratio == pytest.approx(root / form.value)


def test_the_value_is_a_root_of_the_declared_saving(machine: Machine) -> None:
    form = break_even(
        case(machine), "fault_rate", policy=Policy.LAST_VMA, points=5, draws=1
    ).closed_form
    assert form is not None
    given = dict(form.given)
    cost = given["cost"]
    assert benefit.NET(lambda_r=form.value * 1e-9, **given) == pytest.approx(0, abs=1e-9 * cost)
    assert form.latex == EQUATIONS["break_even_rate"].latex()
    assert form._repr_latex_() == rf"$\displaystyle {form.latex}$"

    form = break_even(
        case(machine, rate=60.0), "pages", policy=Policy.LAST_VMA, points=5, draws=1
    ).closed_form
    assert form is not None
    given = dict(form.given)
    shared = given.pop("fixed_shared") + given.pop("per_page") * form.value
    assert benefit.NET(shared=shared, **given) == pytest.approx(0, abs=1e-9 * cost)


def test_a_disagreement_is_told_with_the_assumption_that_fails(machine: Machine) -> None:
    # A caller who calls again after 1 us waits for the faults that it has woken: fewer of them with
    # the downgrade, which the formula leaves out.
    scenario = case(machine, **{"writers.think_us": 1.0})
    found = break_even(scenario, "fault_rate", policy=Policy.LAST_VMA, points=7, draws=1)
    form = found.closed_form
    assert form is not None
    assert form.agrees is False
    assert abs(math.log(form.ratio)) > math.log1p(STATED)
    assert "the downgrade does not change the wait for the lock" in form.broken
    assert "further apart" in form.says
    assert form.broken[0] in form.says


def test_never_always_and_beyond_the_range(machine: Machine) -> None:
    nothing = case(machine, pages=512)
    found = break_even(nothing, "fault_rate", policy=Policy.BEFORE_FLUSH, points=5, draws=1)
    form = found.closed_form
    assert form is not None
    assert (math.isinf(form.value), found.answer, form.agrees) == (True, "never", True)
    assert form.to_dict()["value"] is None
    assert form.to_dict()["never"] is True

    found = break_even(case(machine), "pages", policy=Policy.LAST_VMA, points=5, draws=1)
    form = found.closed_form
    assert form is not None
    assert (form.value, found.answer, form.agrees) == (0.0, "always", True)

    spinning = case(machine, kernel="5.10", **{**THREADS, "faults.think_us": 1e5})
    found = break_even(spinning, "fault_threads", policy=Policy.LAST_VMA, points=5, draws=1)
    form = found.closed_form
    assert form is not None
    assert form.value > found.grid[-1]
    assert (found.answer, form.agrees) == ("never", True)


@pytest.mark.parametrize(
    ("over", "policy", "changes"),
    [
        ("fault_rate", Policy.READ_ONLY, {}),
        ("fault_rate", Policy.EVERY_VMA, {"pages": 64, "vmas": 8}),
        ("writer_threads", Policy.LAST_VMA, {}),
        ("same_vma", Policy.LAST_VMA, {}),
        # These reach the gain by another way than the shared part.
        ("wake_latency", Policy.LAST_VMA, {}),
        ("shootdown", Policy.LAST_VMA, {}),
        ("find_vma", Policy.LAST_VMA, {}),
    ],
)
def test_where_no_formula_is_about_it_there_is_none(
    machine: Machine, over: str, policy: Policy, changes: dict[str, Any]
) -> None:
    scenario = case(machine, **changes)
    found = break_even(scenario, over, policy=policy, points=3, draws=1)
    assert found.closed_form is None
    assert found.to_dict()["closed_form"] is None


def test_words_and_numbers_are_those_of_the_equations() -> None:
    for equation in (benefit.RATE, benefit.PAGES, benefit.THREADS):
        assert set(equation.assumptions) <= set(CHECKS)
        assert (
            f"{100 * STATED:.0f} % in nine of ten"
            in equation.stated_error.partition("break-even:")[2]
        )


def test_the_formula_of_any_symbol_can_be_set(machine: Machine) -> None:
    from matplotlib.mathtext import MathTextParser

    scenario = case(machine, rate=20.0, remote_cpus=8)
    for over in ("shootdown_more", "shootdown", "pages"):
        form = break_even(scenario, over, policy=Policy.LAST_VMA, points=3, draws=1).closed_form
        assert form is not None
        MathTextParser("path").parse(f"${form.latex}$")


def test_several_callers_and_threads_are_told_apart(machine: Machine) -> None:
    scenario = Scenario(machine, call=Call(pages=16, remote_cpus=0)).replace(
        **{"faults.rate": None, "faults.threads": 2, "faults.think_us": 1e5, "writers.threads": 2}
    )
    form = break_even(scenario, "pages", policy=Policy.LAST_VMA, points=3, draws=1).closed_form
    assert form is not None
    assert {"faults are Poisson", "one caller"} <= set(form.broken)
