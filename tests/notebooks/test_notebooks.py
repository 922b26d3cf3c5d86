"""Every notebook runs in a clean kernel, and what is kept of it in git is what a run gives."""

from __future__ import annotations

import copy
import importlib.util
import json
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

pytestmark = pytest.mark.xdist_group("notebooks")

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("notebook_build", FOLDER / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda p: p.stem)
def pair(
    request: Any, build: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, Any]:
    """A notebook as it is kept, and as a run gives it."""
    kept = nbformat.read(request.param, as_version=4)
    home = tmp_path_factory.mktemp("jupyter")
    with pytest.MonkeyPatch.context() as patch:
        # Nothing of the developer's settings, and the kernel of this interpreter.
        patch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
        patch.setenv("JUPYTER_RUNTIME_DIR", str(home))
        patch.setenv("IPYTHONDIR", str(home))
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        return kept, build.execute(copy.deepcopy(kept))


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


def test_it_runs_without_a_word_on_stderr(pair: tuple[Any, Any]) -> None:
    _, fresh = pair
    said = [o.text for c in fresh.cells for o in c.get("outputs", ()) if o.get("name") == "stderr"]
    assert said == []


def test_it_ends_with_asserts(pair: tuple[Any, Any]) -> None:
    kept, _ = pair
    assert kept.cells[-1].cell_type == "code"
    assert kept.cells[-1].source.count("assert ") >= 5


def test_what_is_kept_is_what_a_run_gives(pair: tuple[Any, Any], build: ModuleType) -> None:
    kept, fresh = pair
    told = build.differences(kept, build.normalise(copy.deepcopy(fresh)))
    assert told == [], "run: python notebooks/build.py"


def test_it_is_kept_by_the_rule(pair: tuple[Any, Any], build: ModuleType) -> None:
    kept, _ = pair
    again = build.normalise(copy.deepcopy(kept))
    assert nbformat.writes(again) == nbformat.writes(kept)
    text = json.dumps(kept)
    assert "widget-view" not in text
    pictures = [o for c in kept.cells for o in c.get("outputs", ())
                if "image/png" in o.get("data", {})]  # fmt: skip
    assert pictures


def test_numbers_may_differ_in_their_last_digits_only(build: ModuleType) -> None:
    assert build.same("gain 2.41 us (p 0.05)", "gain 2.42 us (p 0.05)")
    assert not build.same("gain 2.41 us", "gain 2.61 us")
    assert not build.same("gain 2.41 us", "loss 2.41 us")
    assert not build.same("gain 2.41 us", "gain 2.41 us and more")
    assert build.same("e 1.2e-05", "e 1.2e-05")
