"""The README's output is what its commands print."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from perfmodel.cli import main
from perfmodel.experiment import Recorded

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.xdist_group("recorded")


@pytest.fixture
def refresh(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script that makes the README's output."""
    path = ROOT / "calibration" / "refresh.py"
    monkeypatch.syspath_prepend(path.parent)
    spec = importlib.util.spec_from_file_location("refresh", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_readme_shows_what_the_commands_print(
    refresh: ModuleType, experiment: Recorded, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    for name, value in (("COLUMNS", "100"), ("NO_COLOR", "1"), ("TERM", "dumb")):
        monkeypatch.setenv(name, value)
    ran: list[str] = []

    def perfmodel(*words: str) -> str:
        """Run a command in this process: a process of its own takes two seconds to begin."""
        capsys.readouterr()
        assert main(list(words)) == 0
        ran.append(shlex.join(words))
        return "\n".join(line.rstrip() for line in capsys.readouterr().out.strip("\n").splitlines())

    monkeypatch.setattr(refresh, "_perfmodel", perfmodel)
    monkeypatch.setattr(refresh, "recorded", lambda: experiment)
    monkeypatch.setattr(sys, "argv", ["refresh.py", "--check"])
    with pd.option_context("display.width", 80):
        status = refresh.main()
    assert status == 0, capsys.readouterr().out
    assert len(ran) >= 4


def test_a_command_of_the_readme_in_a_process_of_its_own(refresh: ModuleType) -> None:
    text = (ROOT / "README.md").read_text()
    command, output = re.findall(r"```console\n\$ perfmodel ([^\n]*)\n(.*?)\n```", text, re.DOTALL)[
        0
    ]
    assert refresh._perfmodel(*shlex.split(command)) == output


def test_every_file_the_readme_points_to_exists() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / target).exists(), target
