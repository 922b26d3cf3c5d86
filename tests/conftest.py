from __future__ import annotations

import pytest
from hypothesis import settings

from perfmodel.machine import Machine

# Timings are benchmarks, never asserted: a slow machine must not fail a test.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")


@pytest.fixture(scope="session")
def machine() -> Machine:
    """The shipped profile that was measured."""
    return Machine.load("xeon-vm-6.18")
