"""`perfmodel explore --html`: a file, or one sentence that says why not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from perfmodel.cli import main
from perfmodel.machine import shipped_profiles


def test_it_writes_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "explorer.html"
    first = next(iter(shipped_profiles()))
    assert main(["explore", "--html", str(file), "--machine", first, "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == {"file": str(file), "machines": [first]}
    assert "MB in" in said.err
    assert file.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert [p.name for p in tmp_path.iterdir()] == ["explorer.html"]
    assert main(["explore", "--html", str(file)]) == 2
    assert "not overwritten" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--html", "x.html", "--preset", "large"),
            "--preset: the page asks for its scenario itself",
        ),
        (("--html", "/nowhere/at/all.html"), "there is no folder"),
        (("--html", "x.html", "--machine", "pdp-11"), "pdp-11"),
        (("--html", "."), "folder"),
    ],
)
def test_what_it_cannot_do_it_says(
    words: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["explore", *words]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert said in told.err.splitlines()[-1]
    assert not list(tmp_path.iterdir())
