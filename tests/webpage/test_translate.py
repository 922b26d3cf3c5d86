"""What the translation refuses, and that everything written by hand still stands for something."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import sympy

from perfmodel.equations import EQUATIONS, symbol
from perfmodel.webpage.page import model_part
from perfmodel.webpage.translate import TranslationError, model_script
from perfmodel.webpage.translate.formulas import expression
from perfmodel.webpage.translate.reach import Reached
from perfmodel.webpage.translate.replaced import (
    CUT,
    EVALUATED,
    NUMERIC_MODULE,
    REMEMBERED,
    REPLACED,
)
from perfmodel.webpage.translate.values import number, text, value

STATIC = Path(sys.modules["perfmodel.webpage"].__file__ or "").parent / "static"


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a module of the model's package that a test writes."""

    def write(source: str) -> ModuleType:
        name = f"perfmodel.written_{abs(hash(source)) % 10**8}"
        path = tmp_path / f"{name.rpartition('.')[2]}.py"
        path.write_text(textwrap.dedent(source))
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return write


def script(module: ModuleType) -> str:
    return Reached().script((module.ask,), ())


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def ask(x):\n    yield x", "Yield"),
        ("def ask(x):\n    while x:\n        x -= 1\n    else:\n        x = 2\n    return x", "else"),
        ("def ask(x):\n    with open(x) as f:\n        return f.read()", "With"),
        ("def ask(x):\n    return x << 2", "x << 2"),
        ("import os\ndef ask(x):\n    return os.path.join(x)", "os"),
        ("def ask(x):\n    return compile(x, '', 'eval')", "compile"),
        ("def ask(x):\n    global y\n    y = x", "Global"),
        ("def ask(x):\n    return x and (y := x)", "NamedExpr"),
        ("from perfmodel.errors import MeasureError as E\n_T = {1: E('x')}\ndef ask(x):\n    return _T[x]",
         "MeasureError"),
        ("def ask(x):\n    try:\n        return x\n    finally:\n        x = 1", "Try"),
    ],
)  # fmt: skip
def test_what_has_no_translation_is_refused_with_its_place(
    written: Any, source: str, said: str
) -> None:
    with pytest.raises(TranslationError, match=r".") as refused:
        script(written(source))
    assert said in str(refused.value)


def test_a_function_is_followed_to_what_it_uses(written: Any) -> None:
    module = written("""
        import numpy as np
        from perfmodel.equations.account import ANY_WOKEN
        _TABLE = {"a": (1.5, None), "b": (float("inf"), True)}
        def _inner(x, *, twice=False):
            return 2 * x if twice else x
        def ask(x):
            return np.where(ANY_WOKEN(woken=x) > 0, _inner(x, twice=True), _TABLE["a"][0])
        def unused(x):
            return x
    """)
    made = script(module)
    assert "_inner" in made and "_TABLE" in made and 'E["any_woken"]' in made
    assert "Infinity" in made
    assert "unused" not in made


def test_a_method_is_taken_only_if_somebody_asks_for_it(written: Any) -> None:
    module = written("""
        from dataclasses import dataclass
        @dataclass(frozen=True)
        class Pair:
            a: float
            b: float = 2.0
            @property
            def whole(self):
                return self.a + self.b
            def shown(self):
                raise NotImplementedError
        def ask(x):
            return Pair(x).whole
    """)
    made = script(module)
    assert "get whole()" in made
    assert "shown" not in made


def test_a_nest_of_arithmetic_is_one_loop_and_a_list_is_none(written: Any) -> None:
    module = written("""
        import numpy as np
        def ask(x, y, words):
            words = words + ["a"] + ["b"]
            return np.where(x > 0, np.exp(-x * y), 0.0) + x**2, words
    """)
    made = script(module)
    assert "((a0>0)?(Math.exp(((-a0)*a1))):0.0)+squared(a0))" in made.replace(" ", "")
    assert made.count("loop$0(") >= 2 and "loop$1" not in made
    assert '$add($add(words,["a"]),["b"])' in made


def named(qualified: str) -> Any:
    """Return what a qualified name stands for."""
    module, _, rest = qualified.rpartition(".")
    while True:
        try:
            found: Any = importlib.import_module(module)
            break
        except ModuleNotFoundError:
            module, _, more = module.rpartition(".")
            rest = f"{more}.{rest}"
    for part in rest.split("."):
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("qualified", [*REPLACED, *CUT, *EVALUATED, *REMEMBERED])
def test_what_is_written_by_hand_stands_for_something(qualified: str) -> None:
    assert callable(named(qualified))


def test_what_is_written_by_hand_is_there() -> None:
    outside = (STATIC / "outside.js").read_text()
    for name in REPLACED.values():
        assert (
            f"class {name} " in outside
            or f"function {name}(" in outside
            or f"const {name} =" in outside
        )
    numeric = importlib.import_module(NUMERIC_MODULE)
    made = model_part()
    for name in numeric.__all__:
        assert f"S.{name}=" in made


def test_the_model_is_the_same_in_every_process(tmp_path: Path) -> None:
    code = "from perfmodel.webpage.translate import model_script as m; print(m())"
    seed = "22" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    made = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path,
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
    ).stdout  # fmt: skip
    assert made == model_script() + "\n"


def test_neither_a_simulation_nor_a_chain_comes_along() -> None:
    made = model_script()
    for name in ("solve_chain", "simulate", "markov"):
        assert f"function {name}" not in made
    assert "this page has the closed forms alone" in made


@pytest.mark.parametrize(
    ("given", "wanted"),
    [(1.0, "1.0"), (0.1, "0.1"), (3, "3"), (True, "true"), (float("nan"), "NaN"),
     (-float("inf"), "-Infinity"), (1e-300, "1e-300"), (np.float64(2.5), "2.5")],
)  # fmt: skip
def test_a_number_reads_back_as_itself(given: float, wanted: str) -> None:
    assert number(given) == wanted


def test_text_cannot_end_a_script() -> None:
    assert "</" not in text("a </script> b")
    assert "<!--" not in text("<!-- x")


def test_a_constant_of_another_kind_is_refused() -> None:
    with pytest.raises(TranslationError, match="object"):
        value(object(), str)
    with pytest.raises(TranslationError, match="array"):
        value(np.array(["a"]), str)


def test_a_formula_keeps_a_piecewise_and_its_domain() -> None:
    x = symbol("window")
    parts, whole = expression(sympy.Piecewise((x**2, x > 1), (sympy.sqrt(x), True)))
    assert not parts
    assert whole.replace(" ", "") == "((window>1)?((window*window)):(Math.sqrt(window)))"


def test_a_function_without_a_twin_is_refused() -> None:
    with pytest.raises(TranslationError, match="Bessel"):
        expression(sympy.Function("Bessel")(symbol("window")))


def test_every_equation_has_a_form_in_javascript() -> None:
    for equation in EQUATIONS.values():
        parts, whole = expression(equation.expression)
        assert "Not supported" not in whole + "".join(e for _, e in parts), equation.name
