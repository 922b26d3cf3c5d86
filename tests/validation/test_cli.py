"""``perfmodel validate`` as it is typed: exit status, JSON, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from perfmodel.cli import main
from perfmodel.machine import Machine
from perfmodel.readers import read
from perfmodel.resources import calibration_path

RUN = calibration_path("data", "xeon-vm-6.18") / "run-2.json"

pytestmark = pytest.mark.xdist_group("recorded")


def _small(machine: Machine, folder: Path, scale: float) -> Path:
    """Keep the medians of a few recorded calls, times `scale`, as a run of its own."""
    document = json.loads(RUN.read_text())
    kept = [
        r for r in document["records"]
        if r["benchmark"] == "call_latency" and r["operation"] == "uffd_writeprotect"
        and r["conditions"]["pages"] in (512, 4096)
    ]  # fmt: skip
    assert kept
    for record in kept:
        record.pop("histogram", None)
        values = [record["median"] * scale * f for f in (0.98, 0.99, 1.0, 1.0, 1.01, 1.02)]
        record |= {"samples": values, "count": len(values), "min": values[0], "max": values[-1],
                   "mean": sum(values) / len(values), "median": values[2]}  # fmt: skip
    document["records"], document["trace"] = kept, None
    path = folder / f"run-{scale}.json"
    path.write_text(json.dumps(document))
    assert read(path).groups
    return path


def test_status_is_the_answer(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = (_small(machine, tmp_path, s) for s in (1.0, 3.0))
    assert main(["validate", machine.name, str(good), "--draws", "12"]) == 0
    assert "Validation passed" in capsys.readouterr().out
    assert main(["validate", machine.name, str(bad), "--draws", "12", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == "perfmodel.validation/1"
    assert told["passed"] is False
    assert told["failures"]
    assert told["rows"][0]["ratio"] == pytest.approx(1 / 3, rel=0.2)
    loose = ["--threshold", "call=5", "--coverage", "0"]
    assert main(["validate", machine.name, str(bad), "--draws", "12", *loose]) == 0
    capsys.readouterr()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--threshold", "call"], "--threshold"),
        (["--threshold", "calls=0.1"], "names no kind"),
        (["--threshold", "call=x"], "--threshold"),
        (["--coverage", "2"], "--coverage"),
        (["--draws", "2"], "--draws"),
        (["--kernel", "tomorrow"], "--kernel"),
    ],
)
def test_bad_options_are_refused(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", "xeon-vm-6.18", str(RUN), *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err


def test_the_fitted_run_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "xeon-vm-6.18", str(RUN.with_name("run-1.json"))]) == 2
    assert "not held out" in capsys.readouterr().err
