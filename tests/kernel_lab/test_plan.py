"""The plan: which slice comes when, and what the guest is told."""

from __future__ import annotations

import itertools
import os
import subprocess

import pytest

from perfmodel.errors import InputError
from perfmodel.measure.kernel_lab import CUTS, make_plan


def test_a_point_is_measured_under_all_cuts_one_right_after_the_other():
    boot = make_plan(groups=["faults"], vcpus=[2]).boots[0]
    cut_slices = [s for s in boot.slices if s.group == "faults" and "mprotect" in s.arguments]
    assert len(cut_slices) % len(CUTS) == 0
    runs = [cut_slices[i : i + len(CUTS)] for i in range(0, len(cut_slices), len(CUTS))]
    for run in runs:
        assert {s.cut for s in run} == set(CUTS)
        assert len({(s.arguments, s.round) for s in run}) == 1
    # The order of the cuts changes, so that none always comes first.
    assert len({run[0].cut for run in runs}) == len(CUTS)


def test_a_seed_gives_the_same_plan_again_and_another_seed_another_order():
    assert make_plan(seed=3) == make_plan(seed=3)
    first, second = (make_plan(seed=s, groups=["faults"]).boots[0].slices for s in (3, 4))
    assert [s.cut for s in first] != [s.cut for s in second]


def test_without_the_stock_cut_nothing_is_run_that_is_fitted_from():
    plan = make_plan(cuts=["k0", "k1"])
    slices = list(itertools.chain.from_iterable(boot.slices for boot in plan.boots))
    assert {s.cut for s in slices} == {"k0", "k1"}
    assert "stock" not in {s.group for s in slices}


def test_only_the_stock_cut_holds_no_other():
    plan = make_plan(cuts=["none"])
    assert {s.cut for boot in plan.boots for s in boot.slices} == {"none"}


def test_rules_are_taken_away_for_races_only_and_each_race_has_its_control():
    slices = make_plan(vcpus=[4]).boots[0].slices
    assert not any(s.ignore_exclusive or s.ignore_nested for s in slices if s.group != "races")
    races = [s for s in slices if s.group == "races"]
    for name in ("forced-write", "dontneed", "write-fault"):
        mine = [s for s in races if name in s.arguments]
        assert {(s.cut, s.ignore_exclusive or s.ignore_nested) for s in mine} == set(
            itertools.product(CUTS, (False, True))
        )


def test_threads_that_fault_have_a_cpu_each():
    for boot in make_plan(groups=["faults"], vcpus=[2, 4]).boots:
        counts = {
            int(s.arguments[s.arguments.index("--faulters") + 1])
            for s in boot.slices if "--faulters" in s.arguments
        }  # fmt: skip
        assert counts == {n for n in (1, 3) if n < boot.vcpus}


def test_the_line_of_a_slice_has_what_the_guest_reads():
    boot = make_plan(quick=True, vcpus=[4], groups=["races"], cuts=["k1"]).boots[0]
    number = next(i for i, s in enumerate(boot.slices) if s.ignore_exclusive)
    one = boot.slices[number]
    line = boot.text().splitlines()[number].split("\t")
    assert line[:7] == [str(number), "2", "1", "0", f"{one.limit_s:g}", "0", "race"]
    assert tuple(line[7:]) == one.arguments
    assert boot.text().isascii()


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"cuts": ["k2"]}, "cuts"),
        ({"groups": ["wake"]}, "groups"),
        ({"groups": []}, "groups"),
        ({"vcpus": [0]}, "vcpus"),
        ({"vcpus": [64]}, "vcpus"),
        ({"rounds": 0}, "rounds"),
        ({"groups": ["races"], "vcpus": [2]}, "groups"),
        ({"groups": ["stock"], "cuts": ["k0"]}, "groups"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(options, field):
    with pytest.raises(InputError) as error:
        make_plan(**options)
    assert error.value.field == field


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="the points need 2 CPUs")
@pytest.mark.xdist_group("measure")
def test_the_programs_know_every_point_of_the_plan(tools):
    asked = {
        (s.program, s.arguments)
        for quick in (True, False)
        for boot in make_plan(quick=quick, vcpus=[2], rounds=1, cuts=["none"]).boots
        for s in boot.slices
        if s.program in ("fault_latency", "call_latency")
    }
    assert len(asked) > 30
    for program, arguments in sorted(asked):
        done = subprocess.run(
            [tools.program(program), *arguments, "--list"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (arguments, done.stderr)
        assert done.stdout.strip(), arguments
