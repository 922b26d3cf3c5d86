"""The special functions of the compiled loop are those of the equations."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")

from perfmodel.equations import numeric
from perfmodel.sweeping import compiled_functions


def test_ein2_is_that_of_the_equations_and_has_no_step_where_its_series_meet() -> None:
    joints = [at for z in (1.5, 4.0, 60.0) for at in (np.nextafter(z, 0.0), z)]
    z = np.sort(np.concatenate((np.geomspace(1e-6, 500.0, 700), joints)))
    found = np.array([compiled_functions.ein2(x) for x in z])
    assert found == pytest.approx(numeric.ein2(z), rel=1e-14)
    assert np.all(np.diff(found) >= 0)
