from __future__ import annotations

import pytest

from perfmodel.machine import Machine


@pytest.fixture(scope="session")
def machine() -> Machine:
    """The shipped profile that was measured."""
    return Machine.load("xeon-vm-6.18")
