"""What intervals say of their median: real laws, coarse bins, time stamps."""

from __future__ import annotations

import numpy as np
import pytest

from perfmodel.fit.scatter import Curve, curve_of, log_likelihood
from perfmodel.observations import Group

from .made import SOURCE, binned, group, stamped

#: Laws that are not the one assumed: the truth is the median of each.
LAWS = {
    "lognormal": lambda rng, n: rng.lognormal(0, 0.15, n),
    "narrow, with a tail": lambda rng, n: rng.lognormal(0, 0.01, n)
    * np.where(rng.random(n) < 0.05, 1 + rng.exponential(3.0, n), 1.0),
    "skewed": lambda rng, n: np.exp(np.where(rng.random(n) < 0.5, -0.05, 0.15) * rng.exponential(1, n)),
    "wide": lambda rng, n: rng.lognormal(0, 0.6, n),
}  # fmt: skip


def _covered(form: str, law: str, median: float, seeds: int = 12) -> float:
    inside = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        times = median * LAWS[law](rng, 150)
        one = {"bins": binned, "stamps": stamped}[form](
            group("munmap", "shared", {}, times), times, rng
        )
        residual, _ = curve_of([one], stamped=form == "stamps").residual(np.array([np.log(median)]))
        inside.append(abs(float(residual[0])) < 1.645)
    return float(np.mean(inside))


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(
    ("form", "median"), [("bins", 700.0), ("stamps", 640.0), ("stamps", 7300.0)]
)
def test_the_curve_covers_the_median(form: str, law: str, median: float) -> None:
    # 90 % are meant; of 12 samples a right interval misses 4 or more once in 40. Below the resolution of
    # the stamps only the mean is seen, and that of the skewed law is 6 % above its median.
    least = 7 if (law, median) == ("skewed", 640.0) else 9
    assert _covered(form, law, median) >= least / 12


def test_time_stamps_tell_more_than_that_each_is_within_a_microsecond() -> None:
    rng = np.random.default_rng(3)
    times = 300.0 * rng.lognormal(0, 0.03, 400)
    curve = curve_of([stamped(group("munmap", "shared", {}, times), times, rng)], stamped=True)
    assert np.exp(curve.best) == pytest.approx(300, rel=0.15)
    # Of a reading of 0 or 1 alone; a late event in ten would do the same as a median 7 % higher.
    assert curve.log_sd < 0.25


def test_all_in_one_bin_says_no_more_than_the_bin() -> None:
    one = Group("munmap", "shared", {}, [512.0], [1024.0], [500], SOURCE)
    curve = curve_of([one], stamped=False)
    deviance = np.interp(np.log([400, 600, 700, 900, 1200]), curve.log_median, curve.deviance)
    assert (deviance[1:4] < 1.5).all()
    assert deviance[0] > 4
    assert deviance[4] > 4
    assert 600 < np.exp(curve.best) < 900


def test_probabilities_of_all_readings_sum_to_one() -> None:
    # One event in each possible reading in turn: their likelihoods are the probabilities.
    read = np.arange(0, 3_000_000.0, 1000.0)
    at = np.log([700.0, 12_345.0])
    total = np.zeros(2)
    for d in read[:80]:
        one = np.array([max(d - 1000, 0.0)]), np.array([d + 1000]), np.array([1.0])
        total += np.exp(log_likelihood(*one, at, stamped=True)).mean(axis=0)
    # What is beyond 80 us is the tail of the widest spreads.
    assert (total > 0.9).all()
    assert (total <= 1 + 1e-9).all()


def test_the_scatter_of_the_model_adds_as_a_variance() -> None:
    grid = np.linspace(-1, 1, 401)
    wide = Curve(grid, (grid / 0.1) ** 2).scattered(0.2)
    at = np.array([-0.5, -0.1, 0.0, 0.3])
    residual, slope = wide.residual(at)
    assert residual == pytest.approx(at / np.hypot(0.1, 0.2), abs=0.02)
    assert slope == pytest.approx(1 / np.hypot(0.1, 0.2), rel=0.05)
    assert wide.log_sd == pytest.approx(np.hypot(0.1, 0.2), rel=0.05)


def test_repetitions_that_disagree_count_as_so_many_repetitions() -> None:
    rng = np.random.default_rng(5)

    def run(median: float) -> Group:
        times = median * rng.lognormal(0, 0.02, 2000)
        return stamped(group("munmap", "shared", {}, times), times, rng)

    agreeing = curve_of([run(3300.0), run(3300.0), run(3300.0)], stamped=True)
    apart = curve_of([run(3000.0), run(3300.0), run(3630.0)], stamped=True)
    assert agreeing.log_sd < 0.005
    assert apart.log_sd > 0.02
