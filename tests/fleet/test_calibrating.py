"""Many machines' runs to a profile each: what fails is counted, what is done is not done again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import perfmodel as pm
from perfmodel.cli import main
from perfmodel.errors import InputError
from perfmodel.fleet.calibrating import runs_of
from perfmodel.machine import Machine
from tests.cli.conftest import document


@pytest.fixture(scope="module")
def runs(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of three machines, one of which half as fast, one with a run that is cut short."""
    root = tmp_path_factory.mktemp("runs")
    for name, seed, scale in (("fast", 1, 1.0), ("slow", 2, 2.0), ("short", 3, 1.0)):
        (root / name).mkdir()
        text = json.dumps(document(machine, seed, scale))
        (root / name / "run.json").write_text(text if name != "short" else text[:1000])
    (root / "no name").mkdir()
    (root / "no name" / "run.json").write_text("{}")
    (root / "empty").mkdir()
    return root


def test_each_machine_gets_the_profile_that_it_would_alone(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "profiles"
    status = main(["calibrate-fleet", str(runs), "-o", str(target), "--workers", "2", "--json"])
    said = json.loads(capsys.readouterr().out)
    assert status == 1
    assert sorted(p.name for p in target.iterdir()) == ["fast.json", "slow.json"]
    assert [p.name for p in tmp_path.iterdir()] == ["profiles"]
    told = {f["name"]: f["what"] for f in said["failed"]}
    assert set(told) == {"short", "no name", "empty"}
    assert str(runs / "short" / "run.json") in told["short"]
    assert "is no name" in told["no name"]
    assert "holds no file" in told["empty"]
    alone = pm.calibrate(runs / "slow", name="slow").machine
    found = Machine.load(target / "slow.json")
    assert found.values() == pytest.approx(alone.values(), nan_ok=True)
    assert found.draws(3)["pte"] == pytest.approx(alone.draws(3)["pte"])
    fast, slow = said["profiles"]
    assert (fast["name"], slow["name"], slow["files"]) == ("fast", "slow", 1)
    assert slow["sha256"] == found.sha256
    ratio = found.value("pte") / Machine.load(target / "fast.json").value("pte")
    assert ratio == pytest.approx(2, rel=0.1)


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch, machine: Machine) -> list[str]:
    """Answer a calibration at once, and say which were asked for."""
    asked: list[str] = []

    def calibrate(files: list[str], *, name: str, kernel: str | None) -> Any:
        asked.append(name)
        if name == "stopped" and asked.count(name) == 1:
            raise KeyboardInterrupt
        if name == "bad":
            raise InputError("a bad run", file=files[0], field="records")

        class Found:
            pass

        Found.machine = machine  # type: ignore[attr-defined]
        return Found

    monkeypatch.setattr("perfmodel.fit.calibrate", calibrate)
    return asked


@pytest.fixture
def fleet(tmp_path: Path) -> Callable[..., Path]:
    def make(*names: str) -> Path:
        root = tmp_path / "runs"
        for name in names:
            (root / name).mkdir(parents=True)
            (root / name / "run.json").write_text(name)
        return root

    return make


def test_who_is_stopped_goes_on_with_what_is_missing(
    fitted: list[str], fleet: Callable[..., Path], tmp_path: Path
) -> None:
    root, target = fleet("a", "bad", "stopped", "z"), tmp_path / "profiles"
    with pytest.raises(KeyboardInterrupt):
        pm.calibrate_fleet(root, target, workers=1)
    assert not target.exists()
    assert fitted == ["a", "bad", "stopped"]
    # As a kill in the middle of a line would leave it.
    with (tmp_path / "profiles.unfinished" / "journal").open("a") as journal:
        journal.write('{"part": "stop')
    said: list[str] = []
    shares: list[float] = []
    found = pm.calibrate_fleet(root, target, workers=1, told=said.append, progress=shares.append)
    assert fitted[3:] == ["stopped", "z"]
    assert said == ["2 of 4 machines are done already"]
    assert shares == [0.75, 1.0]
    assert (found.computed, [p.name for p in found.profiles]) == (2, ["a", "stopped", "z"])
    assert [(f.name, "records: a bad run" in f.what) for f in found.failed] == [("bad", True)]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["profiles", "runs"]
    with pytest.raises(InputError, match="exists and is not overwritten"):
        pm.calibrate_fleet(root, target)


def test_other_runs_are_another_question(
    fitted: list[str], fleet: Callable[..., Path], tmp_path: Path
) -> None:
    root, target = fleet("a", "stopped"), tmp_path / "profiles"
    with pytest.raises(KeyboardInterrupt):
        pm.calibrate_fleet(root, target, workers=1)
    (root / "a" / "run.json").write_text("measured anew")
    with pytest.raises(InputError, match="another calibration has left unfinished"):
        pm.calibrate_fleet(root, target, workers=1)


def test_runs_beside_each_other_are_one_machine_with_their_traces(tmp_path: Path) -> None:
    for name in ("one.json", "one.json.trace.txt.gz", "two.json", ".hidden"):
        (tmp_path / name).write_text("")
    assert {n: len(f) for n, f in runs_of(tmp_path).items()} == {"one": 2, "two": 1}


@pytest.mark.parametrize(("name", "said"), [("nowhere", "no such folder"), ("empty", "no run")])
def test_what_holds_no_runs_is_refused(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=said):
        pm.calibrate_fleet(tmp_path / name, tmp_path / "profiles")
    assert [p.name for p in tmp_path.iterdir()] == ["empty"]
