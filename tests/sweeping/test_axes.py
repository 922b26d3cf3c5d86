from __future__ import annotations

import numpy as np
import pytest

import perfmodel as pm
from perfmodel.errors import InputError
from perfmodel.machine import Machine
from perfmodel.sweeping.axes import axis_of, check_together, read_axis
from perfmodel.sweeping.plan import Plan, make_plan


@pytest.fixture
def scenario(machine: Machine) -> pm.Scenario:
    return pm.Scenario(machine)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("pages=1:65536:log17", [2**i for i in range(17)]),
        ("pages=65536:1:log3", [65536, 256, 1]),
        ("same-vma=0:1:lin3", [0, 0.5, 1]),
        ("fault_rate=10, 1e3 ,1e5", [10, 1e3, 1e5]),
        ("threads=4", [4]),
        ("shootdown=100:10000:3", [100, 1000, 10000]),
        ("first_touch=0:1:5", [0, 0.25, 0.5, 0.75, 1]),
    ],
)
def test_values_are_read_as_they_are_written(text: str, values: list[float]) -> None:
    axis, remark = read_axis(text)
    np.testing.assert_allclose(axis.values, values)
    assert not remark
    assert axis.attributes["long_name"]
    assert "units" in axis.attributes


def test_whole_numbers_that_fall_together_are_told() -> None:
    axis, remark = read_axis("vmas=1:4:lin20")
    assert axis.values.tolist() == [1, 2, 3, 4]
    assert "4 different whole numbers, not 20" in remark


def test_the_short_names_are_those_of_the_faults() -> None:
    assert axis_of("threads", [1]).name == "fault_threads"
    assert axis_of("think-us", [1]).name == "fault_think_us"


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("page", [1], "do you mean pages"),
        ("writer_share", [0.1], "break-even --over writer-share"),
        ("pages", [], "there are no values"),
        ("pages", [1, 0], "out of range"),
        ("pages", [1.5], "not a whole number"),
        ("pages", np.array([1.0, np.nan]), "not a number"),
        ("pages", np.ones((2, 2)), "2 dimensions"),
        ("same_vma", [0.5, 1.5], "from 0 to 1"),
        ("kernel", ["4.4"], "no facts are known"),
        ("operation", ["mprotect", "fork"], "there is no operation 'fork'"),
        ("huge", [1], "not true or false"),
        ("machine", ["nowhere"], "there is no profile"),
        ("machine", ["xeon-vm-6.18", "xeon-vm-6.18"], "two profiles have one name"),
    ],
)
def test_a_wrong_value_is_refused_with_its_parameter(name: str, values: object, said: str) -> None:
    with pytest.raises(InputError) as refused:
        axis_of(name, values)
    assert said in str(refused.value)
    assert refused.value.field in (name, "kernel", "machine")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pages", "has no values"),
        ("pages=", "has no values"),
        ("pages=one", "'one' is not a number"),
        ("pages=1:2:log1", "1 values cannot go from 1 to 2"),
        ("same-vma=0:1:log3", "begins or ends at 0"),
        ("huge=maybe", "not yes or no"),
        ("pages=1:2", "'1:2' is not a number"),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_axis(text)


@pytest.mark.parametrize(
    ("given", "zipped", "said"),
    [
        ([], False, "nothing is swept"),
        ([("pages", [1]), ("pages", [2])], False, "swept twice"),
        ([("pages", [1, 16, 4])], False, "neither rise nor fall"),
        ([("pages", [1, 1])], False, "neither rise nor fall"),
        ([("kernel", ["6.1", "6.1"])], False, "given twice"),
        ([("fault_rate", [1]), ("threads", [2])], False, "exclude each other"),
        ([("writer_rate", [1]), ("writer_think_us", [2])], False, "exclude each other"),
        ([("pages", [1, 2]), ("vmas", [1])], True, "pages 2, vmas 1"),
    ],
)
def test_axes_that_do_not_go_together(given: list, zipped: bool, said: str) -> None:
    with pytest.raises(InputError, match=said):
        check_together([axis_of(n, v) for n, v in given], zipped=zipped)


def test_zipped_values_may_come_in_any_order() -> None:
    check_together([axis_of("pages", [4, 1, 4]), axis_of("vmas", [1, 1, 2])], zipped=True)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"solver": "guess"}, "there is no solver"),
        ({"draws": 0}, "at least 1"),
        ({"levels": (1.5,)}, "no probability"),
        ({"variables": ["gain"]}, "there is no variable"),
        ({"variables": []}, "no variable is named"),
        ({"variables": "wait_quantile", "levels": ()}, "no level"),
        ({"block_points": -1}, "at least 1"),
    ],
)
def test_a_wrong_option_is_refused(scenario: pm.Scenario, wrong: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        pm.sweep(scenario, pages=[1, 2], **wrong)


def test_blocks_cover_every_point_once(scenario: pm.Scenario) -> None:
    axes = [
        axis_of("pages", range(8, 15)),
        axis_of("vmas", [1, 2, 3]),
        axis_of("cpus", range(1, 12)),
    ]
    for points in (1, 5, 11, 20, 33, 50, 1000):
        plan = make_plan(scenario, axes, block_points=points)
        seen = np.zeros(plan.shape, dtype=int)
        for block in plan:
            assert block.size <= points
            seen[block.slices] += 1
            codes = plan.codes(block)
            at = [codes[a.name] for a in axes]
            assert np.array_equal(
                np.ravel_multi_index(at, plan.shape),
                np.arange(plan.size).reshape(plan.shape)[block.slices].reshape(-1),
            )
        assert (seen == 1).all()


def test_a_plan_survives_its_document(scenario: pm.Scenario) -> None:
    axes = [axis_of("machine", ["xeon-vm-6.18"]), axis_of("pages", [1, 3]), axis_of("pte", [0.1, 1 / 3]),
            axis_of("huge", [False, True]), axis_of("kernel", ["5.10", "6.18"])]  # fmt: skip
    plan = make_plan(scenario.replace(cpus=7), axes, draws=3, single=True, variables=["verdict"])
    again = Plan.from_document(plan.document())
    assert again.document() == plan.document()
    assert again.sha256 == plan.sha256
    assert make_plan(scenario, axes).sha256 != plan.sha256
    point = {a.name: plan.value(a, len(a.values) - 1) for a in axes}
    assert again.placed(point).to_dict() == plan.placed(point).to_dict()


def test_another_version_does_not_compute_it(scenario: pm.Scenario) -> None:
    text = make_plan(scenario, [axis_of("pages", [1])]).document()
    with pytest.raises(InputError, match="one version everywhere"):
        Plan.from_document(
            text.replace(f'"perfmodel": "{pm.__version__}"', '"perfmodel": "0.0.0"', 1)
        )
