"""Operators and functions of numpy over arrays that broadcast: one loop of its own for each."""

from __future__ import annotations

from perfmodel.webpage.translate.formulas import elementwise

__all__ = ["NUMBERS", "SPECIAL", "loops"]

#: Arguments and what is made of one element of each.
NUMBERS = {
    "add": ("a b", "a+b"), "subtract": ("a b", "a-b"), "multiply": ("a b", "a*b"),
    "divide": ("a b", "a/b"), "floor_divide": ("a b", "Math.floor(a/b)"),
    "remainder": ("a b", "a-b*Math.floor(a/b)"), "power": ("a b", "Math.pow(a,b)"),
    "minimum": ("a b", "Math.min(a,b)"), "maximum": ("a b", "Math.max(a,b)"),
    "logaddexp": ("a b", "logaddexp(a,b)"), "negative": ("a", "-a"), "square": ("a", "a*a"),
    "abs": ("a", "Math.abs(a)"), "exp": ("a", "Math.exp(a)"), "log": ("a", "Math.log(a)"),
    "log1p": ("a", "Math.log1p(a)"), "expm1": ("a", "Math.expm1(a)"), "sqrt": ("a", "Math.sqrt(a)"),
    "floor": ("a", "Math.floor(a)"), "ceil": ("a", "Math.ceil(a)"),
}  # fmt: skip
_FLAGS = {
    "less": ("a b", "a<b"), "less_equal": ("a b", "a<=b"), "greater": ("a b", "a>b"),
    "greater_equal": ("a b", "a>=b"), "equal": ("a b", "a===b"), "not_equal": ("a b", "a!==b"),
    "logical_and": ("a b", "a!==0&&b!==0"), "logical_either": ("a b", "a!==0||b!==0"),
    "logical_not": ("a", "a===0"), "isnan": ("a", "a!==a"),
    "isfinite": ("a", "Number.isFinite(a)"), "isinf": ("a", "a===Infinity||a===-Infinity"),
}  # fmt: skip
#: scipy.special, and the functions of perfmodel.equations.numeric, by the twin of one element.
SPECIAL = {
    "sc": {
        "expit": ("a", "expit(a)"), "xlogy": ("a b", "xlogy(a,b)"),
        "xlog1py": ("a b", "xlog1py(a,b)"), "gammaln": ("a", "gammaln(a)"),
        "gammainc": ("a b", "gammainc(a,b)"), "gammaincc": ("a b", "gammaincc(a,b)"),
        "gammaincinv": ("a b", "gammaincinv(a,b)"), "betainc": ("a b c", "betainc(a,b,c)"),
        "digamma": ("a", "digamma(a)"), "exp1": ("a", "exp1(a)"), "ndtri": ("a", "ndtri(a)"),
    },
    "S": {
        "one_minus_exp": ("a", "oneMinusExp(a)"), "phi": ("a b", "phi(a,b)"),
        "log_excess": ("a", "logExcess(a)"), "log_excess_ratio": ("a", "logExcessRatio(a)"),
        "log_ratio": ("a", "logRatio(a)"), "dilog": ("a", "dilog(a)"), "ein": ("a", "ein(a)"),
        "ein2": ("a", "ein2(a)"), "harmonic": ("a", "harmonic(a)"),
        "poisson_tail": ("a b", "poissonTail(a,b)"),
        "binomial_tail": ("a b c", "binomialTail(a,b,c)"), "erlang_b": ("a b", "line(a,b,0)"),
        "erlang_served": ("a b", "line(a,b,1)"), "line_queue": ("a b", "line(a,b,2)"),
        "line_queue_variance": ("a b", "line(a,b,3)"),
    },
}  # fmt: skip


def loops() -> str:
    """Return the functions, as members of ``np``, ``sc`` and ``S``."""
    out = []
    for name, (arguments, made) in {**NUMBERS, **_FLAGS}.items():
        inner = elementwise("values", arguments.split(), [], made, boolean=name in _FLAGS)
        out.append(f"np.{name}=(()=>{{{inner} return values;}})();")
    choose = elementwise("values", ["a", "b", "c"], [], "a!==0?b:c")
    out.append(f"const choice=(()=>{{{choose} return values;}})();")
    for owner, functions in SPECIAL.items():
        out.append(f"const {owner}={{}};")
        for name, (arguments, made) in functions.items():
            inner = elementwise("values", arguments.split(), [], made)
            out.append(f"{owner}.{name}=(()=>{{{inner} return values;}})();")
    return "\n".join(out)
