"""Running the command line in this process, and runs of a machine that is known exactly."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perfmodel.cli import main
from perfmodel.fit import calibration
from perfmodel.fit.joint import FitResult
from perfmodel.fit.model import PointModel
from perfmodel.hold import ACTUAL_POLICY, hold
from perfmodel.kernel import Kernel
from perfmodel.machine import Machine, shipped_profiles
from perfmodel.scenario import Call, Scenario


@dataclass
class Ran:
    """What a call of the command line gave."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Cli = Callable[..., Ran]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    def run(*words: object) -> Ran:
        capsys.readouterr()
        status = main([str(w) for w in words])
        captured = capsys.readouterr()
        return Ran(status, captured.out, captured.err)

    return run


def refused(ran: Ran, *said: str) -> None:
    """Check that bad input was refused as it should be: one paragraph, nothing else."""
    assert ran.status == 2, (ran.out, ran.err)
    assert ran.out == ""
    assert "Traceback" not in ran.err
    lines = ran.err.splitlines()
    assert lines[-1].startswith("perfmodel: error: ")
    assert sum(line.startswith("perfmodel: error: ") for line in lines) == 1
    # Before it, at most what was being done.
    assert all(line.startswith("perfmodel: ") for line in lines)
    for words in said:
        assert words in ran.err


@pytest.fixture(scope="session")
def machine() -> Machine:
    return Machine.load(next(iter(shipped_profiles())))


def document(machine: Machine, seed: int, scale: float = 1.0) -> dict[str, Any]:
    """Return a run of the measuring programs on a machine whose costs are those of `machine`.

    Every point of a small grid gets 30 samples around the hold model's own value times `scale`.
    """
    noise = np.random.default_rng(seed)
    records = []

    def record(operation: str, ns: float, **conditions: Any) -> None:
        benchmark = conditions.pop("benchmark", "call_latency")
        phase = conditions.pop("phase", "call")
        samples = (ns * scale * np.exp(0.02 * noise.standard_normal(30))).round(1).tolist()
        records.append({
            "benchmark": benchmark, "operation": operation, "conditions": conditions,
            "phase": phase, "unit": "ns", "count": len(samples), "min": min(samples),
            "max": max(samples), "mean": float(np.mean(samples)),
            "median": float(np.median(samples)), "samples": samples,
        })  # fmt: skip

    record("null_syscall", machine.value("syscall"))
    for operation in ("mprotect", "munmap", "uffd_writeprotect"):
        for pages in (1, 8, 64, 512, 4096, 32768):
            for vmas in (1, 8):
                for populated in (0, 1):
                    if vmas <= pages:
                        call = Call(operation, pages=pages, vmas=vmas, populated=populated)
                        ns = _call_ns(machine, call)
                        record(operation, ns, transition="RW->R", shape="own", pages=pages,
                               vmas=vmas, splits=0, merges=0, populated=populated, huge=False,
                               spinners=0)  # fmt: skip
    return {
        "schema": "perfmodel.bench/1", "status": "complete", "status_detail": None,
        "started": "2026-11-23T03:00:00+00:00", "finished": "2026-11-23T03:05:00+00:00",
        "tool": {"perfmodel": "0.1.0"},
        "machine": {"kernel": {"release": "6.18.44", "version": "", "config": {}},
                    "cpu": {"model": "Known CPU"}},
        "clock": {"name": "CLOCK_MONOTONIC", "null_ns": 20.0}, "noise": {}, "problems": [],
        "trace": None, "records": records,
    }  # fmt: skip


def _call_ns(machine: Machine, call: Call) -> float:
    scenario = Scenario(machine=machine, kernel=Kernel("6.18"), call=call)
    held = hold(scenario.replace(remote_cpus=0), ACTUAL_POLICY[call.operation])
    return float(held.call[0])


_FITS: dict[bytes, FitResult] = {}


@pytest.fixture
def fitted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fit the same points once a session: the fit follows from them alone, and what is asked here is
    what the command makes of it."""
    whole = calibration.fit

    def fit(model: PointModel, **options: Any) -> FitResult:
        points = pickle.dumps(model.points)
        if points not in _FITS:
            _FITS[points] = whole(model, **options)
        return _FITS[points]

    monkeypatch.setattr(calibration, "fit", fit)


@pytest.fixture(scope="session")
def runs(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of three runs: to fit, to hold out, and one of a machine half as fast."""
    folder = tmp_path_factory.mktemp("runs")
    paths = {}
    for name, seed, scale in (("fit", 1, 1.0), ("held-out", 2, 1.0), ("slower", 3, 2.0)):
        paths[name] = folder / f"{name}.json"
        paths[name].write_text(json.dumps(document(machine, seed, scale)))
    return paths
