"""munmap predicted by a fit that has seen none: what is known then, and what is not."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from perfmodel.errors import InputError
from perfmodel.fit import collect
from perfmodel.machine import Constant, Machine
from perfmodel.observations import ObservationTable
from perfmodel.readers import read
from perfmodel.report.html import to_fragment
from perfmodel.report.validation import blind_blocks
from perfmodel.resources import calibration_path
from perfmodel.validation.blind import (
    UNSEEN,
    Blind,
    fit_without,
    predict_munmap,
    with_published,
)

pytest.importorskip("yaml")

pytestmark = pytest.mark.xdist_group("recorded")

RUNS = calibration_path("data", "xeon-vm-6.18")


@pytest.fixture(scope="module")
def blind() -> Blind:
    return predict_munmap(read(RUNS / "run-1.json"), read(RUNS / "run-2.json"), draws=20)


def test_the_fit_sees_no_munmap(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[ObservationTable] = []
    import perfmodel.fit as fit

    def stop(table: ObservationTable, **_: object) -> None:
        seen.append(table)
        raise InterruptedError

    monkeypatch.setattr(fit, "calibrate", stop)
    with pytest.raises(InterruptedError):
        fit_without(read(RUNS / "run-1.json"))
    (table,) = seen
    assert table.groups
    for group in table.groups:
        assert group.operation not in UNSEEN
        assert group.conditions.get("writer") not in UNSEEN
    assert {p.operation for p in collect(table).points} >= {"mprotect", "uffd_writeprotect"}


def test_what_munmap_alone_costs_is_not_fitted(blind: Blind, machine: Machine) -> None:
    for name in ("unmap_vma", "unmap_finish", "zap"):
        assert blind.machine.constants[name].source.startswith("published")
        assert name in blind.stand_ins
    assert blind.machine.constants["huge_zap"].value is None
    assert blind.stand_ins["huge_zap"].startswith("unknown")
    # The pieces that both have are those of the whole fit, within what that fit is unsure of.
    for name in ("find_vma", "split", "rmw_local"):
        constant = machine.constants[name]
        ratio = blind.machine.value(name) / machine.value(name)
        assert abs(math.log(ratio)) < 4 * math.hypot(constant.log_sd or 0, machine.residual_sd)


def test_the_exclusive_part_is_made_of_both(blind: Blind) -> None:
    assert 0.3 < blind.fitted_share < 0.95
    fitted = sum(p.ns for p in blind.parts if p.fitted)
    assert fitted > blind.machine.value("split")
    assert {p.name for p in blind.parts} == {"locked", "find", "prepare"}


def test_munmap_is_told_from_mprotect_without_having_been_seen(blind: Blind) -> None:
    rows = [r for r in blind.rows if r.kind == "blocked" and "other_vma" not in r.operation]
    assert len(rows) >= 10
    for row in rows:
        # mprotect of the same ranges blocks nine in ten.
        assert row.predicted < 0.15
        assert row.measured < 0.15


def test_the_report_names_every_stand_in(blind: Blind) -> None:
    text = to_fragment(blind_blocks(blind))
    for name in blind.stand_ins:
        assert name in text
    assert blind.to_dict()["not_seen"] == list(UNSEEN)


def test_the_same_file_twice_is_refused() -> None:
    table = read(RUNS / "run-1.json")
    with pytest.raises(InputError, match="not held out"):
        predict_munmap(table, table, draws=10)


def test_published_figures_do_not_replace_fitted_ones(machine: Machine) -> None:
    from perfmodel.published import load_published

    same, none = with_published(machine, load_published())
    assert not none
    assert same.values() == machine.values()
    constants = {**machine.constants, "zap": Constant(value=None, unit="ns", source="none")}
    bare = replace(machine, constants=constants, covariance_names=(), covariance=np.zeros((0, 0)))
    filled, stand_ins = with_published(bare, load_published())
    assert list(stand_ins) == ["zap"]
    assert filled.value("zap") == pytest.approx(math.sqrt(118 * 214))
    assert filled.constants["zap"].log_sd
