"""Profile likelihoods: intervals, one-sided bounds, what is not identifiable, what has no variance."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from perfmodel.fit import calibrate, collect
from perfmodel.fit.joint import covariance_of, fit
from perfmodel.fit.model import PointModel
from perfmodel.fit.objective import Objective, descend, limits, minimise, start

from .made import SMALL, TRUTH, calibrated, made, untraced

pytestmark = pytest.mark.xdist_group("fit")


@pytest.fixture(scope="module")
def whole():
    return calibrated().fit


def _deviance(result, name: str, value: float) -> float:
    """Twice the loss of log-likelihood with a constant held, by a search that is not the profile's."""
    place = result.free.index(name)
    at = result.theta.copy()
    at[place] = math.log(value)
    moved, cost = descend(result.objective, at, held=place, steps=300, close=1e-8)
    assert moved[place] == at[place]
    return (cost - float(result.objective.cost(result.theta))) / result.scale


@pytest.mark.parametrize("name", ["pte", "walk_start", "find_vma", "unmap_finish", "warm_pages"])
def test_at_the_ends_the_deviance_is_what_90_percent_allow(whole, name: str) -> None:
    interval = whole.intervals[name]
    assert interval.verdict == "identified"
    for end in (interval.low, interval.high):
        assert _deviance(whole, name, end) == pytest.approx(2.706, rel=0.15)


def test_where_the_likelihood_is_normal_both_intervals_agree(whole) -> None:
    deviation = dict(zip(whole.free, np.sqrt(np.diag(whole.covariance)), strict=True))
    for name in ("pte", "zap", "shootdown", "flush_page"):
        interval = whole.intervals[name]
        for end, side in ((interval.low, -1), (interval.high, 1)):
            expected = whole.values[name] * math.exp(side * 1.645 * deviation[name])
            assert end == pytest.approx(expected, rel=0.02)


def test_intervals_cover() -> None:
    inside = []
    for seed in range(2):
        found = fit(PointModel(collect(made(0.03, seed=seed, cells=SMALL)).points)).intervals
        for name, i in found.items():
            if name in TRUTH:
                inside.append(
                    not TRUTH[name] < np.nan_to_num(i.low)
                    and not TRUTH[name] > np.nan_to_num(i.high, nan=math.inf)
                )
    # Three repetitions give an error of their own error: nine in ten are meant.
    assert 0.75 < np.mean(inside) <= 1.0


def test_what_only_appears_in_a_sum_is_bounded_by_it() -> None:
    calibration = untraced()
    total = TRUTH["unmap_vma"] + TRUTH["unmap_finish"]
    for name in ("unmap_vma", "unmap_finish"):
        interval = calibration.fit.intervals[name]
        assert interval.verdict == "at most"
        assert 0.9 * total < interval.high < 1.3 * total
        constant = calibration.machine.constants[name]
        assert "at most" in constant.reason
        # Draws stay where the likelihood is.
        assert constant.value * math.exp(1.645 * constant.log_sd) < 1.4 * interval.high
    drawn = calibration.machine.draws(400)
    both = drawn["unmap_vma"] + drawn["unmap_finish"]
    assert np.quantile(both, 0.95) < 2 * total


def test_what_the_data_say_nothing_of_is_assumed_and_said_to_be() -> None:
    table = made(0.02, cells=SMALL)
    # Without a large range nothing turns colder.
    small = [g for g in table.groups if g.conditions.get("pages", 1) <= 512]
    calibration = calibrate(replace(table, groups=tuple(small)))
    verdicts = {n: i.verdict for n, i in calibration.fit.intervals.items()}
    sizes = [n for n in ("warm_pages", "warm_zap_pages") if n in verdicts]
    for name in sizes:
        assert verdicts[name] in ("not identifiable", "at least")
    flat = [n for n, v in verdicts.items() if v == "not identifiable"]
    for name in flat:
        constant = calibration.machine.constants[name]
        assert constant.source.startswith("assumed")
        assert "not identifiable" in constant.reason
        assert constant.value == pytest.approx(start(name), rel=1e-4)
    assert flat or set(sizes) < set(verdicts)


def test_a_constant_on_its_bound_has_no_variance(whole) -> None:
    place = whole.free.index("zap")
    on_bound = whole.theta.copy()
    on_bound[place] = limits("zap")[1]
    covariance, missing = covariance_of(whole.objective, on_bound, 1.0)
    assert list(missing) == ["zap"]
    assert "upper bound" in missing["zap"]
    assert np.isnan(covariance[place]).all()
    rest = np.delete(np.delete(covariance, place, 0), place, 1)
    assert np.isfinite(rest).all()


def test_derivatives_are_those_of_the_residuals(whole) -> None:
    rng = np.random.default_rng(0)
    theta = whole.theta + 0.1 * rng.standard_normal(len(whole.theta))
    step = 1e-6 * np.eye(len(theta))
    numeric = np.column_stack(
        [(whole.objective.residuals(theta + s) - whole.objective.residuals(theta - s)) / 2e-6
         for s in step]
    )  # fmt: skip
    assert whole.objective.jacobian(theta) == pytest.approx(numeric, abs=1e-4)


def test_the_matrix_is_the_equations() -> None:
    model = PointModel(calibrated().points.points)
    design = model.design()
    rng = np.random.default_rng(1)
    constants = {n: math.exp(rng.normal(4, 1)) for n in design.costs}
    constants |= {n: math.exp(rng.normal(7, 1)) for n in design.sizes}
    costs = np.array([constants[n] for n in design.costs])
    sizes = {n: constants[n] for n in design.sizes}
    predicted = model.predict(constants)
    assert design.matrix(sizes) @ costs == pytest.approx(predicted, rel=1e-12)
    many = design.batch(np.stack([costs, 2 * costs]), {n: np.full(2, v) for n, v in sizes.items()})
    assert many == pytest.approx(np.stack([predicted, 2 * predicted]), rel=1e-12)


def test_the_lowest_minimum_is_found_from_anywhere(whole) -> None:
    best = float(whole.objective.cost(whole.theta))
    rng = np.random.default_rng(2)
    objective: Objective = whole.objective
    for _ in range(2):
        theta = np.log([start(n) for n in objective.free]) + 0.5 * rng.standard_normal(
            len(whole.theta)
        )
        found = minimise(objective, theta)
        assert float(objective.cost(found)) < best + 0.1
