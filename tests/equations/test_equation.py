"""The equation object: names, domains, LaTeX, derivatives, broadcasting."""

import numpy as np
import pytest

from perfmodel.equations import EQUATIONS, declare, symbol
from perfmodel.equations.equation import floats, together
from perfmodel.equations.queue import LIGHT_READER
from perfmodel.equations.symbols import declaration
from perfmodel.errors import InputError

BENEFIT = EQUATIONS["benefit_open"]
GIVEN = {"lambda_r": 1e-3, "acquire": 100.0, "exclusive": 500.0, "shared": 300.0}


def typical(equation):
    """Return a plausible value for each argument, in the middle of its typical range."""
    values = {}
    for name, declared in equation.arguments.items():
        low, high = declared.typical
        values[name] = np.sqrt(low * high) if low > 0 else 0.3 * high
        if name.startswith("window_") and name[-1] in "234":
            values[name] = 1.5 * 900.0 ** int(name[-1]) * (0.7 if "after" in name else 1.0)
    if "window" in values:
        values["window"] = 500.0
    if "spinners" in values:
        values["spinners"] = 2.0
    return values


def test_numbers_broadcast_and_nan_propagates():
    out = BENEFIT(**{**GIVEN, "shared": np.array([0.0, 300.0, np.nan])})
    assert out.shape == (3,)
    assert out[1] == pytest.approx(1e-3 * 300 * (100 + 500 + 150))
    assert out[0] == 0
    assert np.isnan(out[2])
    grid = BENEFIT(**{**GIVEN, "lambda_r": np.ones((4, 1)), "shared": np.ones(3)})
    assert grid.shape == (4, 3)


def test_unknown_and_missing_names_are_named():
    with pytest.raises(InputError, match="no argument speed") as caught:
        BENEFIT(**GIVEN, speed=1)
    assert caught.value.field == "speed"
    with pytest.raises(InputError, match="needs shared"):
        BENEFIT(**{k: v for k, v in GIVEN.items() if k != "shared"})


@pytest.mark.parametrize("bad", [-1.0, "fast", None])
def test_values_out_of_domain_are_named(bad):
    with pytest.raises(InputError, match="shared"):
        BENEFIT(**{**GIVEN, "shared": bad if bad is not None else [[1], [2, 3]]})


def test_shapes_that_do_not_broadcast():
    with pytest.raises(InputError, match="broadcast"):
        BENEFIT(**{**GIVEN, "shared": np.ones(3), "acquire": np.ones(2)})
    with pytest.raises(InputError, match="broadcast"):
        together(shared=np.ones(3), acquire=np.ones(2))


def test_latex_uses_the_declared_symbols():
    text = BENEFIT.latex()
    assert text.startswith(r"\Delta = ")
    assert r"\lambda_r" in text
    assert "exclusive" not in text
    assert not BENEFIT.latex(left=False).startswith(r"\Delta")


def test_derivative_is_an_equation_and_cached():
    slope = BENEFIT.derivative("shared")
    assert slope is BENEFIT.derivative("shared")
    assert slope(**GIVEN) == pytest.approx(1e-3 * (100 + 500 + 300))
    assert "partial" in slope.latex()
    with pytest.raises(InputError, match="does not depend on 'mu'"):
        BENEFIT.derivative("mu")


def test_a_formula_is_declared_once():
    with pytest.raises(ValueError, match="twice"):
        declare("benefit_open", "x", "1", "again", symbol("shared"), source="a test")
    assert symbol("shared") is symbol("shared")


def test_unknown_symbols():
    with pytest.raises(InputError, match="no quantity 'line_transfr'") as caught:
        symbol("line_transfr")
    assert "line_transfer" in caught.value.expected


def test_region_of_validity():
    near = {"lambda_r": 1e-3, "lambda_w": [1e-8, 1e-3], "mu": 1e-3, "exclusive": 500, "shared": 300}
    assert LIGHT_READER.holds(**near).tolist() == [True, False]
    assert BENEFIT.holds(**GIVEN).all()
    with pytest.raises(InputError, match="needs"):
        LIGHT_READER.holds(mu=1.0)


def test_floats_reports_the_first_wrong_value():
    with pytest.raises(InputError, match="-3 is out of range"):
        floats(shared=[1, -3])


@pytest.mark.parametrize("name", sorted(EQUATIONS))
def test_every_equation_has_numbers_latex_and_derivatives(name):
    equation = EQUATIONS[name]
    values = typical(equation)
    value = equation(**values)
    assert np.isfinite(value), values
    assert equation.latex()
    assert equation.source
    assert equation.result.meaning
    for argument in equation.names:
        assert declaration(argument).meaning
        if equation.arguments[argument].integer or argument in ("spinners", "threads"):
            continue
        try:
            slope = equation.derivative(argument)(**values)
        except (TypeError, NameError, ValueError, KeyError):
            pytest.fail(f"no derivative of {name} by {argument}")
        if "Derivative" in str(equation.derivative(argument).expression):
            continue
        step = 1e-5 * values[argument]
        up = equation(**{**values, argument: values[argument] + step})
        down = equation(**{**values, argument: values[argument] - step})
        difference = (up - down) / (2 * step)
        floor = 1e-9 * abs(value) / values[argument]
        assert slope == pytest.approx(difference, rel=2e-4, abs=floor), argument
