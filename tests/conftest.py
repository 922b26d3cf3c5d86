from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

# What is imported here is imported by the process that only hands out the tests, too.
if TYPE_CHECKING:
    from perfmodel.experiment import Recorded
    from perfmodel.machine import Machine
    from perfmodel.measure.build import Toolset

# Timings are benchmarks, never asserted: a slow machine must not fail a test. CI walks the same
# examples every time; a run by hand looks for new ones.
settings.register_profile("search", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "search")


@pytest.fixture(scope="session")
def machine() -> Machine:
    """The shipped profile that was measured."""
    from perfmodel.machine import Machine

    return Machine.load("xeon-vm-6.18")


@pytest.fixture(scope="session")
def experiment() -> Recorded:
    """The shipped experiment, read once: who uses it belongs to the group "recorded" of xdist."""
    from perfmodel.experiment import recorded

    return recorded()


@pytest.fixture(scope="session")
def built_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the measuring programs are built."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler here")
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="session")
def tools(built_in: Path) -> Toolset:
    """The measuring programs, built once: who uses them belongs to the group "measure" of xdist."""
    from perfmodel.measure.build import build

    return build(built_in)
