"""Draws from the likelihood and the prior themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from perfmodel.errors import InputError
from perfmodel.fit.calibration import Calibration
from perfmodel.fit.posterior import sample

from .made import calibrated

pytestmark = pytest.mark.xdist_group("fit")


@pytest.fixture(scope="module")
def result():
    return calibrated().fit


def test_where_the_data_are_plenty_the_normal_law_does(result) -> None:
    posterior = sample(result, 300, seed=1)
    assert posterior.effective > 100
    deviation = np.sqrt(np.diag(result.covariance))
    error = 4 / np.sqrt(posterior.effective)
    for name in ("pte", "zap", "flush_page", "walk_start", "uffd_vma"):
        i = result.free.index(name)
        log = np.log(posterior[name])
        assert abs(log.mean() - result.theta[i]) < (error + 0.1) * deviation[i]
        assert log.std() == pytest.approx(deviation[i], rel=0.1 + error)


def test_one_point_alone_has_the_tails_of_the_soft_loss(result) -> None:
    # Its residual is its constant's: the posterior is that of the loss itself, known in one dimension.
    i = result.free.index("line_transfer")
    at = np.linspace(-3, 3, 2001) + result.theta[i]
    theta = np.repeat(result.theta[None, :], len(at), axis=0)
    theta[:, i] = at
    weight = np.exp(-0.5 * (result.objective.cost(theta) - result.objective.cost(result.theta)))
    mean = np.average(at, weights=weight)
    exact = np.sqrt(np.average((at - mean) ** 2, weights=weight))
    posterior = sample(result, 150, seed=2)
    drawn = np.log(posterior["line_transfer"])
    assert exact > 1.2 * np.sqrt(result.covariance[i, i])
    assert drawn.std() == pytest.approx(exact, rel=0.3)


def test_draws_are_the_same_for_the_same_seed(result) -> None:
    first, again, other = (sample(result, 20, seed=s) for s in (3, 3, 4))
    assert (first.log_values == again.log_values).all()
    assert not (first.log_values == other.log_values).all()
    assert len(first) == 20
    assert set(first.to_dict()) == set(result.free)


def test_a_count_that_makes_no_sense_is_refused(result) -> None:
    for count in (0, 10**7):
        with pytest.raises(InputError, match="draws"):
            sample(result, count)


def test_a_constant_without_a_variance_is_drawn_all_the_same(result) -> None:
    covariance = result.covariance.copy()
    covariance[0, :] = covariance[:, 0] = np.nan
    broken = replace(result, covariance=covariance)
    assert np.isfinite(sample(broken, 20).log_values).all()
    calibration = Calibration(None, None, broken)  # type: ignore[arg-type]
    assert len(calibration.draws(20, seed=5)) == 20
