from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.machine import Machine
from perfmodel.scenario import (
    OPERATIONS,
    TRANSITIONS,
    Call,
    Faults,
    Policy,
    Scenario,
    Writers,
    affected_share,
)

_calls = st.builds(
    Call,
    operation=st.sampled_from(OPERATIONS),
    pages=st.integers(64, 10**6),
    vmas=st.integers(1, 64),
    splits=st.integers(0, 2),
    transition=st.sampled_from(TRANSITIONS),
    populated=st.none() | st.floats(0, 1),
    huge=st.booleans(),
)
_faults = st.builds(Faults, threads=st.integers(1, 500), think_us=st.floats(0.1, 1e6)) | st.builds(
    Faults, rate=st.floats(1, 1e7), same_vma=st.floats(0, 1), first_touch=st.floats(0, 1)
)
_writers = st.builds(Writers, threads=st.integers(1, 50)) | st.builds(
    Writers, rate=st.floats(0.1, 1e5)
)


@given(
    call=_calls, faults=_faults, writers=_writers, cpus=st.integers(1, 512),
    release=st.sampled_from(["5.10", "5.11", "6.1", "6.4", "6.18"]),
)  # fmt: skip
def test_round_trip_through_json(
    machine: Machine, call: Call, faults: Faults, writers: Writers, cpus: int, release: str
) -> None:
    one = Scenario(machine, release, call, faults, writers, cpus)  # type: ignore[arg-type]
    two = Scenario.from_dict(json.loads(one.to_json()))
    assert two.to_dict() == one.to_dict()
    assert (two.call, two.faults, two.writers) == (one.call, one.faults, one.writers)


@pytest.mark.parametrize(
    ("build", "named"),
    [
        (lambda: Call(pages=-5), "call.pages"),
        (lambda: Call(pages=float("nan")), "call.pages"),
        (lambda: Call(pages=1.5), "call.pages"),
        (lambda: Call(pages="4"), "call.pages"),
        (lambda: Call(operation="mlock"), "call.operation"),
        (lambda: Call(transition="R->W"), "call.transition"),
        (lambda: Call(pages=2, vmas=3), "call.vmas"),
        (lambda: Call(populated=1.01), "call.populated"),
        (lambda: Faults(rate=-1.0), "faults.rate"),
        (lambda: Faults(rate=1.0, threads=2), "faults"),
        (lambda: Faults(rate=1.0, think_us=2.0), "faults"),
        (lambda: Faults(threads=0), "faults.threads"),
        (lambda: Faults(threads=2, io_share=2.0), "faults.io_share"),
        (lambda: Writers(rate=1.0, threads=1), "writers"),
        (lambda: Writers(think_us=float("inf")), "writers.think_us"),
    ],
)
def test_bad_parameters_name_the_field(build: object, named: str) -> None:
    with pytest.raises(InputError) as caught:
        build()  # type: ignore[operator]
    assert str(caught.value).startswith(named)


@pytest.mark.parametrize(
    "data",
    [
        [], {"schema": "other/1"}, {"nosuch": 1}, {"call": {"nosuch": 1}}, {"call": 3},
        {"kernel": 5.11}, {"policies": ["maybe"]}, {"cpus": 0}, {}, {"machine": "nosuch"},
    ],
)  # fmt: skip
def test_bad_scenario_files_are_input_errors(data: object) -> None:
    with pytest.raises(InputError):
        Scenario.from_dict(data)  # type: ignore[arg-type]


def test_replace_reaches_the_inner_parts(machine: Machine) -> None:
    one = Scenario(machine, faults=Faults(threads=4))
    two = one.replace(pages=64, **{"writers.think_us": 7.0}, cpus=3)
    assert (two.call.pages, two.writers.think_us, two.cpus) == (64, 7.0, 3)
    assert one.call.pages == 1
    with pytest.raises(InputError, match="nosuch"):
        one.replace(nosuch=1)
    with pytest.raises(InputError):
        one.replace(**{"call.rate": 1})


def test_affected_share_by_era(machine: Machine) -> None:
    faults = Faults(threads=4, same_vma=0.2, first_touch=0.5)
    assert affected_share(Scenario(machine, "6.1", faults=faults)) == 1.0  # type: ignore[arg-type]
    assert affected_share(Scenario(machine, "6.4", faults=faults)) == pytest.approx(0.6)  # type: ignore[arg-type]


def test_cpus_that_a_flush_must_interrupt(machine: Machine) -> None:
    threads = Scenario(machine, faults=Faults(threads=8), cpus=48)
    assert threads.remote_cpus == 8
    assert threads.replace(cpus=4).remote_cpus == 3
    assert threads.replace(remote_cpus=2).remote_cpus == 2
    stream = Scenario(machine, faults=Faults(rate=1e5))
    assert stream.remote_cpus == pytest.approx(1e-4 * machine.value("fault_minor"))


def test_policies_parse_and_the_reference_is_added(machine: Machine) -> None:
    assert set(Policy.parse("all")) == set(Policy) - {Policy.AFTER_FLUSH}
    assert Policy.parse("LAST_VMA, none") == (Policy.LAST_VMA, Policy.NONE)
    only = Scenario(machine, policies=(Policy.READ_ONLY,))
    assert only.policies == (Policy.NONE, Policy.READ_ONLY)
    with pytest.raises(InputError, match="last-vma"):
        Policy.parse("sometimes")
