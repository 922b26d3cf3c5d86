"""Tables of klockstat, of bcc and of libbpf-tools."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .aggregates import fixture, one, reasons, written

if TYPE_CHECKING:
    from pathlib import Path


def test_bcc() -> None:
    table = fixture("klockstat-bcc.txt")
    wait = one(table, "wait", caller="psi_avgs_work+0x2e")
    assert wait.moments is not None
    assert (wait.moments.count, wait.mean, wait.moments.maximum) == (5, 3675, 5468)
    held = one(table, "hold")
    assert (held.total, held.mean, held.conditions["lock"]) == (2, 48_432, "unknown")


def test_libbpf_with_units() -> None:
    table = fixture("klockstat-libbpf.txt")
    wait = one(table, "wait", caller="do_mprotect_pkey+0xff")
    assert wait.moments is not None
    assert (wait.operation, wait.mean, wait.moments.maximum) == ("mprotect", 4500, 61_000)
    assert one(table, "hold").mean == 6000


def test_sums_are_checked(tmp_path: Path) -> None:
    text = (
        "   Caller   Avg Hold  Count   Max hold Total hold\n"
        "   a+0x1         10      5         20         50\n"
        "   b+0x1         10      5         20         90\n"
        "   c+0x1         10      5         80         50\n"
    )
    table = written(tmp_path, text)
    assert [g.conditions["caller"] for g in table.groups] == ["a+0x1"]
    assert "5 times 10 ns do not make 90 ns" in reasons(table)
    assert "longer than all together" in reasons(table)
