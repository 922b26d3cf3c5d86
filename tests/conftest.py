from __future__ import annotations

import os

import pytest
from hypothesis import settings

from perfmodel.machine import Machine

# Timings are benchmarks, never asserted: a slow machine must not fail a test. CI walks the same
# examples every time; a run by hand looks for new ones.
settings.register_profile("search", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "search")


@pytest.fixture(scope="session")
def machine() -> Machine:
    """The shipped profile that was measured."""
    return Machine.load("xeon-vm-6.18")
