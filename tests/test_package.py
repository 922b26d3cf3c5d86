from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import perfmodel


def test_no_public_name_is_also_a_module() -> None:
    # Importing perfmodel.x binds the module x and would hide a function of the same name.
    modules = {m.name for m in pkgutil.iter_modules(perfmodel.__path__)}
    assert not modules & set(perfmodel.__all__)


def test_every_public_name_can_be_used() -> None:
    for name in perfmodel.__all__:
        if name != "explore":  # needs the notebook extra
            assert getattr(perfmodel, name) is not None


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_thing"):
        perfmodel.no_such_thing  # noqa: B018


def _loaded_by(code: str) -> set[str]:
    out = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('\\n'.join(sys.modules))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {name.partition(".")[0] for name in out.stdout.split()}


def test_import_loads_nothing_heavy() -> None:
    loaded = _loaded_by("import perfmodel")
    heavy = {"numpy", "scipy", "sympy", "matplotlib", "xarray", "pandas", "ipywidgets",
             "anywidget", "typer", "rich", "msgspec"}  # fmt: skip
    assert not loaded & heavy


def test_predicting_needs_no_extra_and_no_plotting() -> None:
    loaded = _loaded_by(
        "import perfmodel as pm\npm.predict(pm.Scenario(machine='xeon-vm-6.18'), draws=2)"
    )
    assert not loaded & {"matplotlib", "ipywidgets", "anywidget", "pandas", "IPython"}
