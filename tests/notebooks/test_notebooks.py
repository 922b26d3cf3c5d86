"""Every notebook runs in a clean kernel, and what is kept of it in git is what a run gives."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import json
import os
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

# Looked for and not imported, which takes two seconds: one worker runs the notebooks.
for package in ("nbformat", "nbclient", "ipykernel"):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed", allow_module_level=True)

pytestmark = pytest.mark.xdist_group("notebooks")

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.fixture(scope="module")
def nbformat() -> ModuleType:
    return importlib.import_module("nbformat")


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("notebook_build", FOLDER / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def ran() -> dict[Path, tuple[Any, Any]]:
    """Return what has been run already: a minute each is too much to do it for every test."""
    return {}


@pytest.fixture(params=NOTEBOOKS, ids=lambda p: p.stem)
def pair(
    request: Any, build: ModuleType, nbformat: ModuleType, ran: dict[Path, tuple[Any, Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Any, Any]:  # fmt: skip
    """A notebook as it is kept, and as a run gives it."""
    if request.param in ran:
        return ran[request.param]
    kept = nbformat.read(request.param, as_version=4)
    home = tmp_path_factory.mktemp("jupyter")
    with pytest.MonkeyPatch.context() as patch:
        # Nothing of the developer's settings, and the kernel of this interpreter.
        patch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
        patch.setenv("JUPYTER_RUNTIME_DIR", str(home))
        patch.setenv("IPYTHONDIR", str(home))
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        ran[request.param] = kept, build.execute(copy.deepcopy(kept))
    return ran[request.param]


def test_they_are_numbered_without_a_gap() -> None:
    assert [path.name[:2] for path in NOTEBOOKS] == [f"{i + 1:02}" for i in range(len(NOTEBOOKS))]


def test_the_index_names_each_with_its_question() -> None:
    rows = re.findall(
        r"^\| \[(\d\d)\]\((\S+)\) \| (.+?\?) \| (.+?) \| (\d+) \|$",
        (FOLDER / "README.md").read_text(encoding="utf-8"), re.MULTILINE,
    )  # fmt: skip
    assert [name for _, name, *_ in rows] == [path.name for path in NOTEBOOKS]
    assert all(name.startswith(number) for number, name, *_ in rows)


def test_links_between_the_pages_lead_somewhere(nbformat: ModuleType) -> None:
    pages = {path: "\n".join(c.source for c in nbformat.read(path, as_version=4).cells
                             if c.cell_type == "markdown") for path in NOTEBOOKS}  # fmt: skip
    pages[FOLDER / "README.md"] = (FOLDER / "README.md").read_text(encoding="utf-8")
    broken = [(page.name, to) for page, text in pages.items()
              for to in re.findall(r"\]\(([^)#\s]+)", text)
              if "://" not in to and not (page.parent / to).exists()]  # fmt: skip
    assert broken == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_it_begins_with_its_question_and_the_answer(nbformat: ModuleType, path: Path) -> None:
    first = nbformat.read(path, as_version=4).cells[0]
    question, _, rest = first.source.partition("\n\n")
    assert first.cell_type == "markdown"
    assert question.startswith("# ")
    assert question.endswith("?")
    assert rest.startswith("**Answer.** ")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_no_cell_is_longer_than_a_screen(nbformat: ModuleType, path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    for cell in cells[:-1]:
        if cell.cell_type == "code":
            assert len(cell.source.splitlines()) <= 40, cell.source.splitlines()[0]
            assert max(map(len, cell.source.splitlines())) <= 140


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


def test_it_is_kept_by_the_rule(
    pair: tuple[Any, Any], build: ModuleType, nbformat: ModuleType
) -> None:
    kept, _ = pair
    again = build.normalise(copy.deepcopy(kept))
    assert nbformat.writes(again) == nbformat.writes(kept)
    text = json.dumps(kept)
    assert "widget-view" not in text
    shown = [o for c in kept.cells for o in c.get("outputs", ())
             if {"image/png", "text/html"} & set(o.get("data", {}))]  # fmt: skip
    assert shown


def test_a_name_chooses_and_a_wrong_one_is_told(build: ModuleType) -> None:
    assert [path.name[:2] for path in build.chosen(["06", "01"])] == ["01", "06"]
    assert build.chosen([]) == NOTEBOOKS
    with pytest.raises(ValueError, match=r"begins with 'xx'; there are 01-when"):
        build.chosen(["xx"])


def test_a_failing_notebook_is_left_as_it_was(
    build: ModuleType, nbformat: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    broken = tmp_path / "01-broken.ipynb"
    cells = [nbformat.v4.new_code_cell("assert 1 == 2")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), broken)
    before = broken.read_bytes()
    monkeypatch.setattr(build, "FOLDER", tmp_path)
    assert build.main([]) == 1
    assert broken.read_bytes() == before
    assert "01-broken.ipynb: failed, left as it was" in capsys.readouterr().out


def test_of_what_widgets_show_a_picture_or_a_table_is_kept(
    build: ModuleType, nbformat: ModuleType
) -> None:
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "VBox()"}
    for kind in ("image/png", "text/html"):
        output = nbformat.v4.new_output("display_data", data={**view, kind: "content"})
        assert build._kept(output).data == {kind: "content"}
    formula = nbformat.v4.new_output(
        "display_data", data={"text/latex": "$x$", "text/plain": "<Math>"}
    )
    assert build._kept(formula).data == {"text/latex": "$x$"}


def test_numbers_may_differ_in_their_last_digits_only(build: ModuleType) -> None:
    assert build.same("gain 2.41 us (p 0.05)", "gain 2.42 us (p 0.05)")
    assert not build.same("gain 2.41 us", "gain 2.61 us")
    assert not build.same("gain 2.41 us", "loss 2.41 us")
    assert not build.same("gain 2.41 us", "gain 2.41 us and more")
    assert build.same("e 1.2e-05", "e 1.2e-05")
