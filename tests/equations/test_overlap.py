from __future__ import annotations

import numpy as np
import pytest

from perfmodel.equations.overlap import OVERLAP, OVERLAP_2


@pytest.mark.parametrize(("wake", "think"), [(100.0, 1000.0), (1000.0, 1000.0), (5e4, 1e3)])
def test_moments_of_the_wait_for_a_woken_fault(wake: float, think: float) -> None:
    left = np.maximum(wake - np.random.default_rng(5).exponential(think, 400_000), 0.0)
    for equation, power in ((OVERLAP, 1), (OVERLAP_2, 2)):
        values = left**power
        error = values.std() / np.sqrt(values.size)
        assert (
            abs(float(equation(wake_latency=wake, think_writer=think)) - values.mean())
            < 4.5 * error
        )


def test_limits() -> None:
    # A caller that never thinks waits the whole wake-up; one that thinks long waits nothing.
    assert float(OVERLAP(wake_latency=500.0, think_writer=1e-3)) == pytest.approx(500.0, abs=0.01)
    assert float(OVERLAP(wake_latency=500.0, think_writer=1e8)) == pytest.approx(0.00125, rel=1e-2)
