"""A run made up so that its numbers are known, and the programs built once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from perfmodel.counterfactual import Configuration, Run, grid, load
from perfmodel.measure.build import Toolset, build

from .made import document, pairs, record_of


@pytest.fixture(scope="session")
def some() -> tuple[Configuration, ...]:
    """The first configuration of every group."""
    found: dict[str, Configuration] = {}
    for one in grid():
        found.setdefault(one.group, one)
    return tuple(found.values())


@pytest.fixture
def run_file(some: tuple[Configuration, ...], tmp_path: Path) -> Path:
    path = tmp_path / "downgrade-1.json"
    records = [record_of(c, pairs((1000, 1200), (900_000, 300_000))) for c in some]
    path.write_text(json.dumps(document(records)))
    return path


@pytest.fixture
def run(run_file: Path) -> Run:
    return load(run_file)


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Toolset:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler here")
    return build(tmp_path_factory.mktemp("bench"))
