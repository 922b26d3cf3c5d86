"""Elasticities against a machine that really is another one, and Sobol indices against known ones."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from perfmodel.errors import InputError, MissingExtraError
from perfmodel.hold import hold
from perfmodel.machine import Machine
from perfmodel.prediction import predict
from perfmodel.presets import preset
from perfmodel.scenario import Call, Faults, Policy, Scenario, Writers
from perfmodel.sensitivity import OUTPUTS, elasticities, hold_slopes, log_covariance, sobol


def named(name: str, machine: Machine, **changes: object) -> Scenario:
    return Scenario.from_dict(preset(name).parameters, machine=machine).replace(**changes)


def other(machine: Machine, name: str, factor: float) -> Machine:
    """The machine with one constant changed."""
    one = machine.constants[name]
    assert one.value is not None
    changed = msgspec.structs.replace(one, value=one.value * factor)
    return replace(machine, constants={**machine.constants, name: changed})


CASES = {
    "mail": lambda m: named("mail", m),
    "large": lambda m: named("large", m),
    "jit": lambda m: named("jit", m),
    "munmap": lambda m: named("munmap-80g", m),
    "uffd": lambda m: named("uffd-snapshot", m),
    "several VMAs": lambda m: named("large", m, pages=300, vmas=5, splits=2, merges=1),
    "huge": lambda m: named("large", m, huge=True),
    "open, CPUs from the faults in progress": lambda m: Scenario(m, call=Call(pages=40), faults=Faults(rate=1e5)),
    "same flags": lambda m: Scenario(m, call=Call(pages=8, vmas=2, transition="same-flags")),
}  # fmt: skip


@pytest.mark.parametrize(
    "policy", [Policy.NONE, Policy.LAST_VMA, Policy.EVERY_VMA, Policy.READ_ONLY]
)
@pytest.mark.parametrize("case", CASES)
def test_symbolic_slopes_of_the_hold_are_those_of_another_machine(
    machine: Machine, case: str, policy: Policy
) -> None:
    scenario = CASES[case](machine)
    central = hold(scenario, policy)
    if not math.isfinite(central.call[0]):
        pytest.skip("the policy means nothing for this call")
    slopes = hold_slopes(scenario, policy)
    step = 1e-4
    values = {n: v for n, v in machine.values().items() if v > 0}
    # One pair of columns a constant; the faults in progress follow the machine itself.
    columns = {n: np.full(2 * len(values), machine.value(n)) for n in machine.values()}
    for i, name in enumerate(values):
        columns[name][2 * i : 2 * i + 2] *= np.exp([step, -step])
    moved = hold(scenario, policy, columns)
    by_faults = [
        hold(scenario.replace(machine=other(machine, "fault_minor", math.exp(s))), policy)
        for s in (step, -step)
    ]
    for time in ("exclusive", "shared", "call"):
        ends = getattr(moved, time).reshape(-1, 2)
        differences = dict(zip(values, (ends[:, 0] - ends[:, 1]) / (2 * step), strict=True))
        up, down = (getattr(h, time)[0] for h in by_faults)
        differences["fault_minor"] = (up - down) / (2 * step)
        for name, difference in differences.items():
            slope = slopes.get(name, {}).get(time, 0.0)
            assert slope == pytest.approx(difference, rel=1e-4, abs=1e-6 * central.call[0]), name


@pytest.mark.parametrize("name", ["mail", "large", "jit"])
def test_elasticities_are_those_of_another_machine(machine: Machine, name: str) -> None:
    found = {
        output: elasticities(named(name, machine), policy=Policy.LAST_VMA, output=output)
        for output in OUTPUTS
    }
    step = 0.01
    matter = {e.name for f in found.values() for e in f.constants if abs(e.elasticity) > 5e-3}
    for constant in matter | {"fault_hold", "fault_minor"}:
        results = [
            predict(
                found["net_gain"].scenario.replace(
                    machine=other(machine, constant, math.exp(sign * step))
                ),
                draws=1,
                levels=(),
                solver="closed",
            )[Policy.LAST_VMA]
            for sign in (1, -1)
        ]
        ends = {
            "net_gain": [r.net_gain[0] for r in results],
            "exclusive": [r.hold.exclusive[0] for r in results],
            "wait_mean": [r.answer.wait_mean[0] for r in results],
        }
        for output, (up, down) in ends.items():
            expected = math.log(up / down) / (2 * step)
            assert found[output][constant].elasticity == pytest.approx(expected, abs=2e-3), constant


def test_the_hold_is_homogeneous_in_its_costs(machine: Machine) -> None:
    # Twice the cost of everything is twice the hold: where the CPUs to interrupt are given, the
    # elasticities of the costs sum to one (sizes of caches apart).
    found = elasticities(named("large", machine, remote_cpus=3), output="exclusive", policy="none")
    costs = [e.elasticity for e in found.constants if e.unit == "ns"]
    assert sum(costs) == pytest.approx(1.0, abs=1e-12)


def test_shares_make_up_the_variance_of_the_draws(machine: Machine) -> None:
    found = elasticities(named("mail", machine))
    assert sum(e.share for e in found.constants) == pytest.approx(1.0)
    gain = predict(found.scenario, draws=4000, levels=())[found.policy].net_gain
    assert np.std(np.log(gain)) == pytest.approx(found.log_sd, rel=0.06)
    shares = [abs(e.share) for e in found.constants]
    assert shares == sorted(shares, reverse=True)


def test_covariance_is_that_of_the_draws(machine: Machine) -> None:
    names, covariance = log_covariance(machine)
    drawn = machine.draws(20_000, seed=1)
    logs = np.log(np.array([drawn[n] for n in names]))
    scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    assert np.abs((np.cov(logs) - covariance) / scale).max() < 0.04


def test_parameters_of_the_scenario(machine: Machine) -> None:
    found = elasticities(named("large", machine))
    assert found["populated"].elasticity == pytest.approx(found["pages"].elasticity, abs=0.02)
    assert math.isnan(found["populated"].share)
    assert found.left_out["io_share"] == "it is zero"
    # Twice the threads, about twice the thread time saved.
    assert found["fault_threads"].elasticity == pytest.approx(1.0, abs=0.1)
    with pytest.raises(KeyError):
        found["colour"]
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["policy"] == "last-vma"


def test_where_there_is_no_logarithm(machine: Machine) -> None:
    with pytest.raises(InputError, match="zero"):
        elasticities(named("mail", machine), policy="read-only", output="exclusive")
    with pytest.raises(InputError, match="against 'none' itself"):
        elasticities(named("mail", machine), policy="none")
    with pytest.raises(InputError, match="there is no output"):
        elasticities(named("mail", machine), output="beauty")
    with pytest.raises(InputError, match="cannot be predicted"):
        elasticities(named("munmap-80g", machine), policy="every-vma")


def test_sobol_splits_a_linear_output_as_its_terms(machine: Machine) -> None:
    # The exclusive part after the cut is a sum of three independent terms at a small spread; the
    # variances of the terms are the indices.
    plain = replace(machine, covariance_names=(), covariance=np.zeros((0, 0)), fit={}, constants={
        n: msgspec.structs.replace(c, log_sd=0.05 if n in ("find_vma", "vma_fixup", "rmw_local") else None)
        for n, c in machine.constants.items()
    })  # fmt: skip
    found = sobol(
        named("mail", plain, remote_cpus=0), policy="last-vma", output="exclusive", samples=512
    )
    terms = {"find_vma": 1.0, "vma_fixup": 1.0, "rmw_local": 3.0}
    variances = {n: (k * machine.value(n)) ** 2 for n, k in terms.items()}
    assert found.indices[0].name == "vma_fixup"
    for index in found.indices:
        expected = variances[index.name] / sum(variances.values())
        assert index.first == pytest.approx(expected, abs=0.03)
        assert index.total == pytest.approx(expected, abs=0.03)
    assert found.largest_correlation == 0.0
    assert found.sd == pytest.approx(0.05 * math.sqrt(sum(variances.values())), rel=0.05)


def test_sobol_agrees_with_the_first_order_where_the_spread_is_small(machine: Machine) -> None:
    # The wake-up enters the gain squared, and its own spread is not small: a tenth of all spreads.
    small = replace(machine, covariance=machine.covariance * 0.01, fit={}, constants={
        n: msgspec.structs.replace(c, log_sd=None if c.log_sd is None else 0.1 * c.log_sd)
        for n, c in machine.constants.items()
    })  # fmt: skip
    scenario = named("mail", small)
    linear = elasticities(scenario)
    found = sobol(scenario, samples=128)
    for index in found.indices[:2]:
        assert index.first == pytest.approx(linear[index.name].alone, abs=0.1)
        assert index.total >= index.first - 2 * index.first_half
    assert sobol(scenario, samples=128).to_dict() == found.to_dict()
    assert sobol(scenario, samples=128, seed=1).mean != found.mean
    assert found.evaluations == 128 * (len(found.indices) + 2)
    json.dumps(found.to_dict(), allow_nan=False)


def test_what_sobol_refuses(machine: Machine) -> None:
    with pytest.raises(InputError, match="power of two"):
        sobol(named("mail", machine), samples=100)
    fixed = replace(machine, covariance_names=(), covariance=np.zeros((0, 0)), fit={}, constants={
        n: msgspec.structs.replace(c, log_sd=None) for n, c in machine.constants.items()
    })  # fmt: skip
    with pytest.raises(InputError, match="does not vary"):
        sobol(named("mail", fixed))
    with pytest.raises(InputError, match="no steady state"):
        # Callers that come at random fill the lock up in some draws only.
        sobol(Scenario(machine, call=Call(pages=1, remote_cpus=0), faults=Faults(rate=1e4),
                       writers=Writers(rate=1.38e6)), output="net_gain", policy="last-vma")  # fmt: skip


def test_without_salib_the_extra_is_named(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "SALib.analyze", None)
    with pytest.raises(MissingExtraError, match=r"perfmodel\[sensitivity\]"):
        sobol(named("mail", machine))
