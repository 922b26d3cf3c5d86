"""A sweep is `predict` at every point: by arrays, by the compiled loop, and by the other solvers."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
import xarray as xr

import perfmodel as pm
from perfmodel.errors import InputError
from perfmodel.machine import Constant, Machine
from perfmodel.sweeping.axes import axis_of
from perfmodel.sweeping.dataset import Account, dataset_of
from perfmodel.sweeping.evaluate import evaluate
from perfmodel.sweeping.files import shaped
from perfmodel.sweeping.plan import Plan, make_plan
from perfmodel.sweeping.variables import ANSWERS

pytestmark = pytest.mark.xdist_group("compiled")

try:
    import numba  # noqa: F401

    HAS_NUMBA = True
except ImportError:
    HAS_NUMBA = False

#: A few values of everything, the ends of the domains among them.
STREAM: dict[str, list[Any]] = {
    "pages": [1, 3, 40, 512, 70_000], "fault_rate": [0.0, 30.0, 5e4, 2e6, 2e7],
    "vmas": [1, 4], "populated": [0.0, 0.4, 1.0], "same_vma": [0.0, 0.3, 1.0],
    "first_touch": [0.0, 0.5], "writer_think_us": [0.0, 3.0, 200.0, 1e6], "cpus": [1, 2, 48],
    "remote_cpus": [0, 1, 30], "splits": [0, 2], "kernel": ["5.10", "5.11", "6.1", "6.18"],
    "operation": ["mprotect", "munmap"], "transition": ["RW->R", "NONE->RW", "same-flags"],
    "huge": [False, True], "pte": [5.0, 60.0], "wake_latency": [0.0, 5e3], "fault_minor": [300.0, 9e3],
    "line_transfer": [20.0, 400.0], "flush_page": [10.0, 400.0],
}  # fmt: skip


def swept(plan: Plan, loop: bool) -> xr.Dataset:
    found = evaluate(plan, plan.block(0), loop=loop)
    account = Account()
    account.add(found)
    return dataset_of(plan, shaped(plan, plan.block(0), found), account)


def agrees(plan: Plan, found: xr.Dataset, i: int, tolerance: float = 1e-9) -> None:
    """Check one point of a zipped sweep against `predict`."""
    point = {a.name: plan.value(a, i) for a in plan.axes}
    here = found.isel(point=i)
    try:
        scenario = plan.placed(point)
    except InputError:
        assert np.isnan(here["net_gain"]).all()
        assert not here["inside_stated_region"].any()
        assert int(here["verdict"]) == 0
        return
    told = pm.predict(
        scenario, draws=plan.draws, seed=plan.seed, solver=plan.solver, levels=plan.levels, guards=False
    )  # fmt: skip
    why = f"{point}"
    for k, result in enumerate(told.results):
        one = here.isel(policy=k)
        answer = result.answer
        if result.reason:
            assert one["lost_time"].isnull().all()
            assert one["net_gain"].isnull().all()
            continue
        expected = {
            "exclusive": result.hold.exclusive, "shared": result.hold.shared, "call": result.hold.call,
            "acquire": answer.acquire, "wait_mean": answer.wait_mean,
            "blocked_share": answer.blocked_share, "fault_throughput": answer.fault_rate * 1e9,
            "call_throughput": answer.call_rate * 1e9, "lost_time": result.lost_time,
            "throughput_gain": result.throughput_gain, "p_pays": result.p_pays,
            "realised_share": result.realised,
        }  # fmt: skip
        for name, value in expected.items():
            np.testing.assert_allclose(
                one[name], np.reshape(value, -1)[0], rtol=tolerance, err_msg=f"{name} {why}"
            )
        waits = [np.reshape(answer.wait_quantiles[q], -1)[0] for q in plan.levels]
        np.testing.assert_allclose(one["wait_quantile"], waits, rtol=tolerance, err_msg=why)
        # A gain is a difference of lost times.
        scale = tolerance * abs(float(np.nan_to_num(told["none"].lost_time[0])))
        estimate, low, high = result.interval()
        wanted = [low, estimate, high] if plan.draws > 1 else estimate
        np.testing.assert_allclose(one["net_gain"], wanted, rtol=tolerance, atol=scale, err_msg=why)
        known = bool(np.isfinite(estimate))
        assert bool(one["inside_stated_region"]) == (known and not answer.broken), why
        assert bool(one["safe"]) == result.safety.safe
    verdict = told.verdict
    assert ANSWERS[int(here["verdict"])] == verdict.answer, why
    assert ANSWERS[int(here["verdict_if_safe"])] == verdict.if_safe, why
    policies = [p.value for p in plan.policies]
    assert policies[int(here["verdict_policy"])] == verdict.policy, why
    assert policies[int(here["best_safe_policy"])] == verdict.best_safe_policy, why
    np.testing.assert_allclose(
        here["share_of_thread_time"], verdict.share_of_thread_time, rtol=1e-6, atol=1e-15
    )


def random_plan(machine: Machine, seed: int, points: int, names: list[str], **how: Any) -> Plan:
    rng = np.random.default_rng(seed)
    axes = [
        axis_of(n, [STREAM[n][k] for k in rng.integers(0, len(STREAM[n]), points)]) for n in names
    ]
    return make_plan(pm.Scenario(machine), axes, zipped=True, **how)


@pytest.mark.parametrize("loop", [False, pytest.param(True, marks=pytest.mark.skipif(
    not HAS_NUMBA, reason="the compiled loop needs numba"))])  # fmt: skip
@pytest.mark.parametrize(("seed", "points", "draws"), [(1, 12, 1), (2, 6, 9)])
def test_a_stream_of_faults_is_predicted_as_predict_does(
    machine: Machine, loop: bool, seed: int, points: int, draws: int
) -> None:
    plan = random_plan(machine, seed, points, list(STREAM), draws=draws)
    found = swept(plan, loop)
    for i in range(points):
        agrees(plan, found, i)


@pytest.mark.skipif(not HAS_NUMBA, reason="the compiled loop needs numba")
@pytest.mark.parametrize("operation", ["mprotect", "munmap"])
def test_the_compiled_loop_is_the_arrays(machine: Machine, operation: str) -> None:
    names = [n for n in STREAM if n not in (
        "operation", "fault_minor", "kernel", "huge", "splits", "transition", "cpus", "same_vma",
        "first_touch", "fault_rate")]  # fmt: skip
    plan = random_plan(machine, 3, 300, names, draws=2)
    plan = make_plan(
        plan.scenario.replace(operation=operation, kernel="5.11"), plan.axes, zipped=True, draws=2
    )
    one, other = swept(plan, True), swept(plan, False)
    scale = 1e-9 * np.abs(other["lost_time"]).fillna(0.0)
    assert bool(
        ((np.abs(one["net_gain"] - other["net_gain"]) <= scale) | one["net_gain"].isnull()).all()
    )
    for name in one.variables:
        if one[name].dtype.kind == "f" and name != "net_gain":
            np.testing.assert_allclose(one[name], other[name], rtol=1e-9, err_msg=str(name))
        elif name != "net_gain":
            np.testing.assert_array_equal(one[name], other[name], err_msg=str(name))
    for name in ("impossible_reasons", "unanswered", "stated_error", "answered_by_forms"):
        assert one.attrs[name] == other.attrs[name]

    def sorted_out(d: xr.Dataset) -> Any:
        return sorted(tuple(x.values()) for x in json.loads(d.attrs["outside_stated_region"]))

    assert sorted_out(one) == sorted_out(other)


@pytest.mark.parametrize("loop", [False, pytest.param(True, marks=pytest.mark.skipif(
    not HAS_NUMBA, reason="the compiled loop needs numba"))])  # fmt: skip
def test_an_unknown_constant_matters_only_where_it_is_used(machine: Machine, loop: bool) -> None:
    nothing = Constant(value=None, unit="ns", source="none", reason="not measured")
    bare = dataclasses.replace(
        machine, constants={**machine.constants, "pte": nothing, "shootdown": nothing},
        covariance_names=(), covariance=np.zeros((0, 0)),
    )  # fmt: skip
    scenario = pm.Scenario(bare, call=pm.Call(pages=8, remote_cpus=0))
    axes = [axis_of("populated", [0.0, 1.0, 1.0, 0.5]), axis_of("remote_cpus", [3, 0, 0, 0]),
            axis_of("pte", [5.0, 5.0, 7.0, 7.0])]  # fmt: skip
    known = swept(make_plan(scenario, axes, zipped=True, draws=2), loop)
    assert known["net_gain"].sel(policy="last-vma").notnull().all()
    plan = make_plan(scenario, axes[:2], zipped=True, draws=2)
    found = swept(plan, loop)
    for i in range(plan.size):
        agrees(plan, found, i)
    lacking = found["net_gain"].sel(policy="last-vma", bound="estimate").isnull()
    assert lacking.values.tolist() == [False, True, True, True]
    assert found["verdict"].values.tolist()[1:] == [0, 0, 0]
    told = {u["policy"]: u for u in json.loads(found.attrs["unanswered"])}
    assert told["last-vma"]["points"] == 3
    assert "does not know pte, shootdown" in told["last-vma"]["reason"]


CLOSED = {
    "threads": {"fault_threads": [1, 8, 64], "fault_think_us": [1.0, 20.0, 5e3], "cpus": [4, 4, 48],
                "pages": [1, 64, 4096]},
    "callers": {"fault_threads": [8, 2, 8], "writer_threads": [4, 1, 2], "pages": [64, 64, 1],
                "writer_think_us": [200.0, 10.0, 1e4]},
    "stream of calls": {"fault_rate": [1e3, 1e5, 5e4], "writer_rate": [10.0, 1e3, 0.0],
                        "pages": [1, 16, 512]},
    "I/O": {"io_share": [0.0, 0.001, 0.01], "io_us": [10.0, 100.0, 1e3], "pages": [16, 16, 1]},
}  # fmt: skip


@pytest.mark.parametrize("what", CLOSED)
def test_other_closed_forms_are_predicted_as_predict_does(machine: Machine, what: str) -> None:
    axes = [axis_of(n, v) for n, v in CLOSED[what].items()]
    plan = make_plan(pm.Scenario(machine), axes, zipped=True, draws=3)
    found = swept(plan, True)
    for i in range(plan.size):
        # The loops of these forms end at 1e-9 of what they look for.
        agrees(plan, found, i, 1e-9 if what in ("stream of calls", "I/O") else 1e-7)


def test_draws_are_those_of_predict(machine: Machine) -> None:
    scenario = pm.Scenario(machine, kernel="6.18", faults=pm.Faults(rate=1e5, same_vma=0.1))
    found = pm.sweep(scenario, pages=[1, 64], writer_think_us=[20, 2000], draws=7, seed=5,
                     keep_draws=True, levels=())  # fmt: skip
    assert found["net_gain"].dims == ("pages", "writer_think_us", "policy", "draw")
    assert "bound" not in found.coords
    assert "wait_quantile" not in found
    at = found.sel(pages=64, writer_think_us=20)
    told = pm.predict(scenario.replace(**{"call.pages": 64, "writers.think_us": 20}), draws=7, seed=5,
                      solver="closed", levels=(), guards=False)  # fmt: skip
    for result in told.results:
        one = at.sel(policy=result.policy.value)
        np.testing.assert_allclose(one["lost_time"], result.lost_time, rtol=1e-9)
        np.testing.assert_allclose(
            one["net_gain"], result.net_gain, rtol=1e-9, atol=1e-9 * told["none"].lost_time[0]
        )
        np.testing.assert_allclose(one["p_pays"], result.p_pays)


def test_a_constant_holds_in_every_draw(machine: Machine) -> None:
    scenario = pm.Scenario(machine, call=pm.Call(pages=512))
    found = pm.sweep(scenario, pte=[1.0, 30.0], draws=40, variables=["exclusive", "net_gain"])
    assert found["pte"].attrs["units"] == "ns"
    width = found["net_gain"].sel(bound="high") - found["net_gain"].sel(bound="low")
    assert float(found["exclusive"].sel(policy="none").diff("pte")[0]) == pytest.approx(29.0 * 512)
    assert (width.sel(policy="last-vma") > 0).all()


def test_points_that_are_no_scenario_are_counted(machine: Machine) -> None:
    found = pm.sweep(pm.Scenario(machine), pages=[1, 4], vmas=[1, 2, 8], draws=1)
    bad = found["vmas"] > found["pages"]
    assert found.attrs["impossible_points"] == int(bad.sum()) == 3
    assert json.loads(found.attrs["impossible_reasons"]) == {"more VMAs than pages": 3}
    assert bool((found["lost_time"].isnull().all("policy") == bad).all())
    assert bool((found["verdict"].where(bad, 0) == 0).all())


def test_what_has_no_answer_says_why(machine: Machine) -> None:
    scenario = pm.Scenario(machine, call=pm.Call("munmap", pages=4))
    found = pm.sweep(scenario, pages=[4, 8], draws=1)
    told = {u["policy"]: u for u in json.loads(found.attrs["unanswered"])}
    assert set(told) == {"every-vma", "read-only", "per-vma"}
    assert told["every-vma"]["points"] == 2
    assert "munmap detaches" in told["every-vma"]["reason"]
    assert found["net_gain"].sel(policy="read-only").isnull().all()


def test_a_result_says_where_it_comes_from(machine: Machine) -> None:
    scenario = pm.Scenario(machine)
    found = pm.sweep(scenario, fault_rate=[1e3, 2e7], kernel=["5.11", "6.18"], draws=4)
    assert found["net_gain"].dims == ("fault_rate", "kernel", "policy", "bound")
    assert found["net_gain"].attrs["level"] == 0.9
    assert list(found["bound"].values) == ["low", "estimate", "high"]
    assert found.attrs["machine_sha256"] == machine.sha256
    assert found.attrs["perfmodel_version"] == pm.__version__
    assert found.attrs["stated_error"]
    assert (
        pm.Scenario.from_dict(json.loads(found.attrs["scenario"])).to_dict() == scenario.to_dict()
    )
    for name, variable in found.data_vars.items():
        assert variable.attrs["long_name"]
        if variable.dtype.kind == "f":
            assert "units" in variable.attrs, name
    flags = found["verdict"].attrs
    assert flags["flag_meanings"].split() == [
        "unknown",
        "pays",
        "costs",
        "lost_in_the_noise",
        "unsafe",
    ]
    assert list(flags["flag_values"]) == [0, 1, 2, 3, 4]
    # At 20 million faults a second the form is out of its region, and says so.
    inside = found["inside_stated_region"].sel(policy="none", kernel="5.11")
    assert inside.values.tolist() == [True, False]
    assert json.loads(found.attrs["outside_stated_region"])[0]["points_and_policies"] >= 1
    assert found["stream_overrun"].values.any(axis=1).tolist() == [False, True]


def test_another_solver_is_asked_where_the_form_is_outside_its_region(machine: Machine) -> None:
    scenario = pm.Scenario(machine, policies=(pm.Policy.NONE, pm.Policy.LAST_VMA),
                           faults=pm.Faults(threads=2, think_us=20),
                           writers=pm.Writers(threads=2, think_us=30))  # fmt: skip
    axes = [axis_of("writer_threads", [2, 1]), axis_of("writer_think_us", [30.0, 1e5])]
    plan = make_plan(scenario, axes, zipped=True, solver="chain", draws=2)
    found = swept(plan, True)
    assert found["answered_by"].values.tolist() == [1, 0]
    assert "Markov chain" in found.attrs["answered_by_forms"]
    for i in range(2):
        agrees(plan, found, i, 1e-7)
    closed = swept(make_plan(scenario, axes, zipped=True, draws=2), True)
    assert "answered_by" not in closed
    assert not closed["inside_stated_region"].isel(point=0).all()


def test_several_profiles_are_one_dimension(machine: Machine) -> None:
    slower = pm.Machine.from_bytes(
        machine.to_bytes().replace(b'"name": "xeon-vm-6.18"', b'"name": "slower"')
    )
    found = pm.sweep(pm.Scenario(machine), machine=[machine, slower], pages=[1, 8], draws=3)
    assert found["machine"].values.tolist() == ["xeon-vm-6.18", "slower"]
    np.testing.assert_array_equal(found["net_gain"][0], found["net_gain"][1])
    assert found.attrs["machine_sha256"].count(",") == 1


def test_too_many_points_for_memory_are_refused(machine: Machine) -> None:
    with pytest.raises(InputError, match=r"1,000,000,000 points take .* GiB"):
        pm.sweep(pm.Scenario(machine), pages=range(1, 1001), fault_rate=np.arange(1e3),
                 writer_think_us=np.arange(1e3))  # fmt: skip
