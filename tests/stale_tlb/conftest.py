from __future__ import annotations

from collections.abc import Callable

import pytest

from perfmodel.stale_tlb.cells import ask
from perfmodel.stale_tlb.eras import ERAS, Rules
from perfmodel.stale_tlb.invariants import INVARIANTS
from perfmodel.stale_tlb.setting import Setting

Broken = Callable[..., set[str]]


@pytest.fixture
def broken() -> Broken:
    """Explore one company and return the names of what it breaks."""

    def explored(era: str | Rules, call: str, policy: str, change: str, *others: str,
                 guard: str = "none", size: str = "base") -> set[str]:  # fmt: skip
        rules = ERAS[era] if isinstance(era, str) else era
        found = ask(Setting(rules, call, policy, change, size, guard), others)
        return {INVARIANTS[number][0] for number in found.failures}

    return explored
