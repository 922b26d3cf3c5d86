"""Profiles in a Parquet table: nothing that a draw follows from is lost on the way there and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import perfmodel as pm
from perfmodel.errors import InputError
from perfmodel.fleet.profiles import profiles_of
from perfmodel.fleet.table import machines_of, rows_of
from perfmodel.machine import CONSTANTS, Machine

pa = pytest.importorskip("pyarrow", reason="the sweep extra is not installed")
pq = pytest.importorskip("pyarrow.parquet")

Make = Callable[..., Machine]


@pytest.fixture
def scenario(machine: Machine) -> pm.Scenario:
    return pm.Scenario(machine, policies=(pm.Policy.NONE, pm.Policy.LAST_VMA))


def test_a_fleet_survives_its_table(scenario: pm.Scenario, other: Make, tmp_path: Path) -> None:
    fleet = [other(f"m{i}", i) for i in range(3)] + [
        Machine.load("laptop"),
        other("lab", 9, evidence="emulated"),
    ]
    path = tmp_path / "fleet.parquet"
    found = pm.compare(fleet, scenario, draws=10, over="fault_rate", points=9, path=path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    again = pm.compare(path, scenario, draws=10, over="fault_rate", points=9)
    assert [(r.name, r.evidence, r.sha256, r.rank, r.cut, r.best_safe, r.crossings)
            for r in found.rows] == [
            (r.name, r.evidence, r.sha256, r.rank, r.cut, r.best_safe, r.crossings)
            for r in again.rows]  # fmt: skip
    for machine, (_, read, sha256) in zip(fleet, machines_of(path), strict=True):
        assert isinstance(read, Machine)
        assert sha256 == machine.sha256
        ours, theirs = machine.draws(7, seed=3), read.draws(7, seed=3)
        for name in CONSTANTS:
            np.testing.assert_array_equal(ours[name], theirs[name])
    rows = pq.read_table(path).to_pylist()
    assert [r["name"] for r in rows] == [m.name for m in fleet]
    by_name = {r.name: r for r in found.rows}
    for row in rows:
        told = by_name[row["name"]]
        assert row["rank"] == told.rank
        assert row["net_gain"] == told.cut.estimate
        assert row["crossings"][0]["pays"] == told.crossings[0].pays
    fields = pq.read_schema(path)
    assert fields.field("shootdown").metadata[b"unit"] == b"ns"
    said = json.loads(fields.metadata[b"perfmodel"])
    assert said["perfmodel"] == pm.__version__
    assert "machine" not in said["scenario"]


def test_a_table_of_others_may_hold_less(
    scenario: pm.Scenario, machine: Machine, tmp_path: Path
) -> None:
    path = tmp_path / "theirs.parquet"
    names = [n for n in CONSTANTS if np.isfinite(machine.value(n))]
    rows = [{"name": f"host-{i}", "evidence": "measured", **{n: (1 + i / 10) * machine.value(n) for n in names},
             "their_own": "x"} for i in range(600)]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), path)
    assert rows_of(path) == 600
    read = [m for _, m, _ in machines_of(path)]
    assert all(isinstance(m, Machine) for m in read)
    assert read[599].value("pte") == pytest.approx(60.9 * machine.value("pte"))
    one = pm.compare([read[0]], scenario, draws=3).rows[0].cut
    own = pm.predict(scenario, draws=1, solver="closed", guards=False)["last-vma"]
    # Without a spread every draw is the estimate.
    assert one.low == one.estimate == one.high == pytest.approx(own.net_gain[0])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"evidence": "guessed"}, "evidence"),
        ({"evidence": None}, "evidence"),
        ({"name": "no name/"}, "name"),
        ({"shootdown": -1.0}, "constants.shootdown.value"),
        ({"pte_log_sd": -0.1}, "pte_log_sd"),
        ({"covariance_names": ["pte", "nothing"]}, "covariance_log"),
        ({"covariance_names": ["nothing"], "covariance_log": [1.0]}, "covariance.names"),
        ({"covariance_names": ["pte"], "covariance_log": [-1.0]}, "covariance.log"),
        ({"covariance_names": ["pte"], "covariance_log": [None]}, "covariance.log"),
    ],
)
def test_a_damaged_row_is_told_with_its_column(
    scenario: pm.Scenario, other: Make, tmp_path: Path, change: dict[str, Any], field: str
) -> None:
    path = tmp_path / "fleet.parquet"
    pm.compare([other("one", 1), other("two", 2)], scenario, draws=1, path=path)
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[1] |= change
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    found = pm.compare(path, scenario, draws=1)
    assert [r.name for r in found.rows] == ["one"]
    assert [(d.source, d.field) for d in found.damaged] == [(f"{path}, row 1", field)]


def test_what_is_no_table_is_told(tmp_path: Path, machine: Machine) -> None:
    path = tmp_path / "fleet.parquet"
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match="no whole Parquet file"):
        list(machines_of(path))
    [damaged] = list(profiles_of([path]))
    assert "no whole Parquet file" in damaged.what
    pq.write_table(pa.table({"host": ["a"]}), path)
    with pytest.raises(InputError, match="name: the table has no such column"):
        list(machines_of(path))
    pq.write_table(pa.table({"name": ["a"], "evidence": ["measured"], "cpu": ["b"]}), path)
    with pytest.raises(InputError, match="no constant of a machine"):
        list(machines_of(path))
    pq.write_table(pa.table({"name": ["a"], "evidence": ["measured"], "pte": ["fast"]}), path)
    [(_, wrong, _)] = list(machines_of(path))
    assert "pte: 'fast' is not a number" in str(wrong)
