"""The special functions against 40-digit arithmetic."""

import mpmath as mp
import numpy as np
import pytest
import sympy

from perfmodel.equations import special as sp


def worst(function, reference, points):
    with mp.workdps(60):
        exact = np.array([float(reference(mp.mpf(float(x)))) for x in points])
    return float(np.max(np.abs(function(np.asarray(points)) / exact - 1)))


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_phi_keeps_its_digits(order):
    def exact(z):
        with mp.workdps(140):
            value = mp.exp(-z)
            for step in range(order):
                value = (1 / mp.factorial(step) - value) / z
            return value

    points = np.r_[np.logspace(-12, 3, 120), 0.79999, 0.8, 1.59999, 1.6]
    assert worst(lambda z: sp.phi(order, z), exact, points) < 3e-15
    assert sp.phi(order, 0.0) == pytest.approx(1 / float(sympy.factorial(order)), rel=1e-15)
    assert sp.phi(order, np.inf) == 0


def test_the_naive_form_would_have_lost_them():
    # Why phi exists: g(x) = x - (1 - e^-z)/nu at z = 1e-8.
    nu, x = 1e-8, 1.0
    naive = x - (1 - np.exp(-nu * x)) / nu
    assert abs(naive / (nu * x**2 / 2) - 1) > 0.1
    assert nu * x**2 * float(sp.phi(2, nu * x)) == pytest.approx(nu * x**2 / 2, rel=1e-8)


@pytest.mark.parametrize(
    ("name", "reference", "points", "tolerance"),
    [
        ("ein", lambda z: mp.log(z) + mp.euler + mp.e1(z), np.logspace(-9, 5, 60), 1e-15),
        ("dilog", lambda z: -mp.polylog(2, -z), np.logspace(-9, 5, 40), 2e-15),
        ("log_excess", lambda x: x - mp.log(1 + x), np.logspace(-9, 4, 60), 1e-15),
        ("log_excess", lambda x: x - mp.log(1 + x), -np.logspace(-9, -0.01, 40), 1e-15),
        ("log_excess_ratio", lambda x: (x - mp.log(1 + x)) / x**2, np.logspace(-9, 4, 60), 2e-15),
        ("log_ratio", lambda x: mp.log(1 + x) / x, np.logspace(-9, 4, 60), 1e-15),
        ("harmonic", lambda n: mp.digamma(n + 1) + mp.euler, np.logspace(-9, 5, 60), 3e-15),
        ("one_minus_exp", lambda z: 1 - mp.exp(-z), np.logspace(-12, 3, 60), 1e-15),
    ],
)
def test_against_mpmath(name, reference, points, tolerance):
    assert worst(getattr(sp, name), reference, points) < tolerance


def test_ein2_against_its_series_and_its_asymptote():
    def series(z):
        return mp.nsum(lambda j: -((-z) ** j) / (j * j * mp.factorial(j)), [1, mp.inf])

    assert worst(sp.ein2, series, np.logspace(-6, 1.5, 14)) < 3e-15
    z = 1e4
    assert sp.ein2(z) == pytest.approx((np.log(z) + np.euler_gamma) ** 2 / 2 + np.pi**2 / 12)


def test_harmonic_numbers():
    exact = [float(sympy.harmonic(n)) for n in (0, 1, 2, 10, 100)]
    assert sp.harmonic([0, 1, 2, 10, 100]) == pytest.approx(exact, rel=3e-16 * 4)


#: Erlang B, from the standard telephone tables (N servers, offered load, blocking).
ERLANG_TABLE = [(1, 0.0101, 0.01), (5, 1.361, 0.01), (10, 4.461, 0.01), (20, 12.03, 0.01),
                (50, 37.90, 0.01), (100, 84.06, 0.01),
                (10, 6.216, 0.05), (100, 95.24, 0.05)]  # fmt: skip


@pytest.mark.parametrize(("servers", "load", "blocking"), ERLANG_TABLE)
def test_erlang_b_tables(servers, load, blocking):
    assert float(sp.erlang_b(servers, load)) == pytest.approx(blocking, rel=2e-3)


def test_line_functions_against_the_recursion():
    with mp.workdps(60):
        for n in (1, 2, 3, 10, 64, 400):
            for share in (1e-3, 0.1, 0.9, 0.999, 1.0, 1.001, 2.0, 10.0, 1e6):
                r = mp.mpf(n * share)
                b = mp.mpf(1)
                for j in range(1, n + 1):
                    b = r * b / (j + r * b)
                queue = n - r * (1 - b)
                exact = {
                    "erlang_b": b,
                    "erlang_served": 1 - b,
                    "line_queue": queue,
                    "line_queue_variance": r * (1 - b) - r * b * queue,
                }
                for name, value in exact.items():
                    got = float(getattr(sp, name)(n, float(r)))
                    if value > 1e-290:
                        assert got == pytest.approx(float(value), rel=1e-11), (name, n, share)


def test_line_of_many_threads_and_nan():
    assert float(sp.erlang_served(4096, 1.0)) == 1.0
    got = sp.line_queue([[4, np.nan], [4096, 4096]], [1.0, 2e4])
    assert np.isnan(got[0, 1])
    assert np.isfinite(got[1]).all()


def test_poisson_tail():
    from scipy.stats import poisson

    a = np.array([1e-3, 0.5, 3.0, 40.0])
    for k in (-1, 0, 1, 2, 5):
        assert sp.poisson_tail(k, a) == pytest.approx(poisson.sf(k - 1, a), rel=1e-12)


@pytest.mark.parametrize(
    ("cls", "first"),
    [
        (sp.OneMinusExp, ()), (sp.Log1p, ()), (sp.LogExcess, ()), (sp.LogExcessRatio, ()),
        (sp.LogRatio, ()), (sp.Dilog, ()), (sp.Ein, ()), (sp.Ein2, ()), (sp.Harmonic, ()),
        (sp.Phi, (1,)), (sp.Phi, (2,)), (sp.Phi, (3,)), (sp.PoissonTail, (2,)),
        (sp.ErlangB, (7,)), (sp.ErlangServed, (7,)), (sp.LineQueue, (7,)),
        (sp.LineQueueVariance, (7,)),
    ],
)  # fmt: skip
def test_derivatives_match_differences(cls, first):
    z = sympy.Symbol("z", nonnegative=True)
    expression = cls(*first, z)
    modules = [dict(sp.NUMERIC), "scipy", "numpy"]
    value = sympy.lambdify(z, expression, modules)
    slope = sympy.lambdify(z, sympy.diff(expression, z), modules)
    x = np.array([0.3, 1.1, 4.0, 12.0])
    h = 1e-5 * x
    assert slope(x) == pytest.approx((value(x + h) - value(x - h)) / (2 * h), rel=1e-6, abs=1e-10)
    assert sympy.latex(expression)


def test_nan_stays_nan():
    for name, function in sp.NUMERIC.items():
        many = name in ("Phi", "PoissonTail", "ErlangB", "ErlangServed", "LineQueue",
                        "LineQueueVariance")  # fmt: skip
        before = (1, 2) if name == "BinomialTail" else (2,) if many else ()
        got = function(*before, np.array([np.nan]))
        assert np.isnan(got).all(), name
