"""The README's output is what its commands print."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.xdist_group("recorded")


def test_readme_shows_what_the_commands_print() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "calibration" / "refresh.py"), "--check"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_file_the_readme_points_to_exists() -> None:
    import re

    for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / target).exists(), target
