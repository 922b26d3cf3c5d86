"""A run made up so that its numbers are known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from perfmodel.counterfactual import Configuration, Run, grid, load

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
