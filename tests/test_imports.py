"""What is loaded by the package and by its first command: modules are counted, no time is taken."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

#: Packages that neither needs, and that take longer to load than either takes to answer.
HEAVY = {
    "pandas", "dask", "distributed", "zarr", "pyarrow", "numba", "llvmlite", "ipywidgets",
    "IPython", "anywidget", "matplotlib", "SALib", "yaml",
}  # fmt: skip

_COUNT = """
import contextlib, io, json, sys
before = set(sys.modules)
{statement}
print(json.dumps(sorted(set(sys.modules) - before)), file=sys.__stdout__)
"""
_COMMAND = """
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    from perfmodel.cli import main
    status = main({words!r})
assert status == 0, status
"""


def _loaded(statement: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", _COUNT.format(statement=statement)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    modules: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return set(modules)


def _heavy(modules: set[str]) -> set[str]:
    return {m.partition(".")[0] for m in modules} & HEAVY


def test_import_loads_nothing_but_the_standard_library() -> None:
    modules = _loaded("import perfmodel")
    ours = {m for m in modules if m.partition(".")[0] == "perfmodel"}
    assert ours == {"perfmodel"}
    assert not _heavy(modules)
    heavy = {"numpy", "scipy", "sympy", "xarray", "typer", "rich", "msgspec"}
    assert not {m.partition(".")[0] for m in modules} & heavy
    assert len(modules) < 60


@pytest.mark.parametrize(
    ("words", "budget"),
    [
        (["--help"], 500),
        (["predict", "--preset", "mail", "--brief"], 1250),
        (["predict", "--preset", "large", "--json"], 1200),
    ],
)  # fmt: skip
def test_commands_keep_their_budget_of_modules(words: list[str], budget: int) -> None:
    modules = _loaded(_COMMAND.format(words=words))
    assert not _heavy(modules)
    assert "xarray" not in modules  # labels are for Python, not for the terminal
    if words == ["--help"]:
        assert not {m.partition(".")[0] for m in modules} & {"numpy", "scipy", "sympy"}
    assert len(modules) < budget


def test_a_prediction_in_python_loads_no_extra() -> None:
    modules = _loaded(
        "import perfmodel as pm;pm.predict(pm.Scenario(machine='xeon-vm-6.18'), draws=1)"
    )
    assert not _heavy(modules)
    assert "xarray" not in modules
    assert not {m for m in modules if m.startswith(("perfmodel.cli", "perfmodel.report"))}
