"""The special functions of the compiled loop are those of the equations."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")

from perfmodel.equations import numeric
from perfmodel.equations.blocked_time import blocked_quantile
from perfmodel.sweeping import compiled_functions, compiled_quantile

pytestmark = pytest.mark.xdist_group("compiled")


def test_ein2_is_that_of_the_equations_and_has_no_step_where_its_series_meet() -> None:
    joints = [at for z in (1.5, 4.0, 60.0) for at in (np.nextafter(z, 0.0), z)]
    z = np.sort(np.concatenate((np.geomspace(1e-6, 500.0, 700), joints)))
    found = np.array([compiled_functions.ein2(x) for x in z])
    assert found == pytest.approx(numeric.ein2(z), rel=1e-14)
    assert np.all(np.diff(found) >= 0)


def test_the_phis_are_those_of_the_equations_on_both_sides_of_the_joint() -> None:
    z = np.concatenate((np.geomspace(1e-9, 700.0, 500), [0.0, np.nextafter(0.9, 0.0), 0.9, np.inf]))
    found = np.array([compiled_functions.phis(x) for x in z])
    for k in (1, 2, 3):
        assert found[:, k - 1] == pytest.approx(numeric.phi(k, z), rel=1e-14)


def test_the_quantile_of_a_blocked_time_is_that_of_the_equations_in_and_beyond_its_table() -> None:
    chance = np.random.default_rng(11)
    count = 1500
    # Shapes and parts of the mean beyond both ends of the table.
    k = np.exp(chance.uniform(-9.0, 11.0, count))
    left = np.exp(-np.where(chance.random(count) < 0.2, 20.0, 3.0) * chance.random(count))
    acquire = np.full(count, 1e4)
    theta = acquire / k
    exclusive = 1e4 * chance.exponential(1.0, count)
    level = 1.0 - left * acquire / (exclusive + acquire)
    for alone, law in ((False, "gamma"), (True, "drain")):
        told = blocked_quantile(level, exclusive, acquire, acquire * (acquire + theta), law=law)
        found = np.array(
            [compiled_quantile.blocked_quantile(*one, alone)
             for one in zip(level, exclusive, acquire, theta, strict=True)]
        )  # fmt: skip
        assert found == pytest.approx(told, rel=1e-9)
