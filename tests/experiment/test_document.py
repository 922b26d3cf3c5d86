"""The prediction as a file: what is written is read, and damage is named."""

from __future__ import annotations

import json
import math
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest

from perfmodel.errors import InputError
from perfmodel.experiment import Configuration, Predicted, load_prediction, write_prediction
from perfmodel.machine import Machine
from perfmodel.resources import calibration_path


@pytest.fixture(scope="module")
def machine() -> Machine:
    return Machine.load(calibration_path("data", "kernel-lab-6.1", "profile-2cpu.json"))


@pytest.fixture
def written(tmp_path: Path, machine: Machine, point: Configuration) -> Path:
    path = tmp_path / "prediction.json"
    rows = [
        Predicted(point, "none", "call", 100.0, 90.0, 120.0, solver="made up"),
        Predicted(point, "k0", "call", 50.0, 40.0, 60.0, 0.5, 0.4, 0.6, "made up"),
    ]
    write_prediction(path, {2: machine}, rows, written="2026-01-01")
    return path


def test_what_is_written_is_read(written: Path, machine: Machine, point: Configuration) -> None:
    found = load_prediction(written)
    assert found.written == "2026-01-01"
    assert found.wake_latency == {2: machine.value("wake_latency")}
    assert found.profiles[0].sha256 == machine.sha256
    # Both stock runs have files of the same names.
    assert len(found.profiles[0].fitted_to) == len({i.sha256 for i in machine.inputs})
    none, cut = found.rows
    assert none.configuration == cut.configuration == point
    assert math.isnan(none.effect)
    assert astuple(cut)[3:] == (50.0, 40.0, 60.0, 0.5, 0.4, 0.6, "made up")
    assert list(written.parent.iterdir()) == [written]


def damaged(document: dict[str, Any], where: str, value: Any) -> dict[str, Any]:
    *path, last = where.split(".")
    at: Any = document
    for step in path:
        at = at[int(step) if step.isdigit() else step]
    at[last] = value
    return document


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        ("schema", "perfmodel.bench/1", "schema"),
        ("evidence", "measured", "evidence"),
        ("rows.1.cut", "k7", r"rows\[1\].cut"),
        ("rows.0.quantity", "speed", r"rows\[0\].quantity"),
        ("rows.0.point", 5, r"rows\[0\].point"),
        ("rows.0.value", "much", "rows"),
        ("profiles.0.wake_latency", 0.0, "wake_latency"),
        ("rows.0.more", 1, "more"),
    ],
)
def test_damage_is_named(written: Path, where: str, value: Any, said: str) -> None:
    document = damaged(json.loads(written.read_text()), where, value)
    written.write_text(json.dumps(document))
    with pytest.raises(InputError, match=said):
        load_prediction(written)


def test_what_is_no_json_and_what_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "prediction.json"
    with pytest.raises(InputError, match="cannot be read"):
        load_prediction(path)
    path.write_bytes(b"\xff\xfe{")
    with pytest.raises(InputError, match="experiment-prediction"):
        load_prediction(path)
