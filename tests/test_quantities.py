from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.quantities import ACCOUNT, CALL_FACTS, MACHINE, SCENARIO, STATE, quantity

ALL = {**MACHINE, **STATE, **CALL_FACTS, **ACCOUNT, **SCENARIO}


@pytest.mark.parametrize("name", ALL)
def test_declaration_is_complete_and_consistent(name: str) -> None:
    q = quantity(name)
    assert q.domain[0] <= q.typical[0] <= q.typical[1] <= q.domain[1]
    assert q.meaning and q.source and q.symbol
    assert q.unit in {"ns", "us", "1", "1/s", "pages"}


@pytest.mark.parametrize("name", SCENARIO)
@pytest.mark.parametrize("bad", [float("nan"), "12", None, True, -1e-9, -5])
def test_bad_values_are_refused_with_the_field_and_what_is_right(name: str, bad: object) -> None:
    with pytest.raises(InputError) as caught:
        quantity(name).check(bad, field="call.x")
    assert "call.x" in str(caught.value)
    assert "Expected a" in str(caught.value)


@given(st.sampled_from(sorted(ALL)), st.floats(allow_nan=True, allow_infinity=True))
def test_check_returns_the_value_or_raises(name: str, value: float) -> None:
    q = quantity(name)
    inside = not math.isnan(value) and q.domain[0] <= value <= q.domain[1]
    whole = not q.integer or float(value).is_integer()
    if inside and whole:
        assert q.check(value) == value
    else:
        with pytest.raises(InputError):
            q.check(value)


def test_unknown_name_suggests_the_closest() -> None:
    with pytest.raises(InputError, match="shootdown"):
        quantity("shotdown")
